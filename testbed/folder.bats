#!/usr/bin/env bats
# The folder of a cluster: whatever it is called and whatever its files hold, what
# runs on it is found, and nothing in a file or the environment is executed.
load helpers

setup() {
  requires redis-cli
  DIR=$BATS_TEST_TMPDIR/cluster
  export NODES=$BATS_TEST_TMPDIR/nodes
  BOMB=$BATS_TEST_TMPDIR/executed
  export BOMB
}
teardown() { cluster_down; }

tool() { aikv-tool cluster "$@" 3>&-; }
one_node() {
  free_block 12
  cluster_init.sh -q --base-port "$BASE" --dir "$DIR" --shards 1 --replicas-per-shard 0 3>&-
}

@test "nothing that stands in cluster.conf is executed; what is wrong is named" {
  local line verb
  mkdir -p "$DIR"
  # shellcheck disable=SC2016 # not to be expanded
  for line in 'shards=EUID[$(touch "$BOMB")0]' 'replicas_per_shard=x[$(touch "$BOMB")]' 'base_port=a[`touch "$BOMB"`0]' \
    'nodes=1 a[$(touch "$BOMB")]' 'spares=$(touch "$BOMB")' 'adding=a[$(touch "$BOMB")]' 'follows=a[$(touch "$BOMB")]' \
    'shards=-1' 'shards=' 'shards=0' 'base_port=65536' 'base_port=99999999999999999999' 'nodes=1 1' 'nodes=%s' 'other=1' ''; do
    printf 'shards=1\nreplicas_per_shard=0\nbase_port=17340\n%s\n' "$line" >"$DIR/cluster.conf"
    for verb in status start stop clean env add setup; do
      exits 5 tool "$verb" --dir "$DIR" </dev/null
      [[ $output == *"$DIR/cluster.conf cannot be used: it has the line '$line'"* ]]
    done
  done
  printf 'shards=1\nreplicas_per_shard=0\n' >"$DIR/cluster.conf"
  exits 5 tool status --dir "$DIR"
  [[ $output == *"is not whole"* ]]
  printf 'shards=01\nreplicas_per_shard=00\nbase_port=017340' >"$DIR/cluster.conf"
  is "redis://127.0.0.1:17340" bash -c "aikv-tool cluster env --json --dir '$DIR' | sed 's/.*REDIS_URL\":\"//; s/\".*//'"
  [ ! -e "$BOMB" ]
}

@test "nothing that stands in the other files of the folder, or in a lock, is executed" {
  one_node
  local pid
  pid=$(<"$DIR/pids/node1.pid")
  # shellcheck disable=SC2016 # not to be expanded
  printf 'a[$(touch "$BOMB")]\n' >"$DIR/pids/node1.pid"
  # shellcheck disable=SC2016
  printf 'nodes=1 a[$(touch "$BOMB")]\nhow=debug\n' >"$DIR/partition.$BASE"
  exits 5 tool heal --dir "$DIR"
  [[ $output == *"$DIR/partition.$BASE cannot be used"* ]]
  rm "$DIR/partition.$BASE"
  # shellcheck disable=SC2016
  ln -s 'a[$(touch "$BOMB")] 1' "$DIR/lock"
  # shellcheck disable=SC2016
  mkdir -p "$DIR"/data/'nodea[$(touch "$BOMB")]'
  exits 0 tool stop --dir "$DIR"
  gone 10 "$pid"
  [ ! -e "$BOMB" ]
}

@test "no variable of the environment is executed" {
  local name vars=()
  # Every name that the scripts use, but those that bash and the system need.
  while IFS= read -r name; do
    case $name in PATH | PWD | TMPDIR | TERM | AIKV_BIN | REDIS_CLI | EUID | BASH* | SECONDS | RANDOM | EPOCH* | BOMB | LC_ALL | CLUSTER_DIR) continue ;; esac
    # shellcheck disable=SC2016
    vars+=("$name=a[\$(touch \"\$BOMB\")0]")
  done < <(cat "$ROOT"/scripts/cluster_init.sh "$ROOT"/scripts/aikv-tool "$ROOT"/scripts/lib/*.sh | grep -oE '\b[A-Z][A-Z_0-9]{2,}\b' | sort -u)
  ((${#vars[@]} > 100))
  cd "$BATS_TEST_TMPDIR" # some of them name a file that is written
  free_block 12
  local args=(--base-port "$BASE" --dir "$DIR")
  unset CLUSTER_DIR
  run env "${vars[@]}" CLUSTER_DIR="$BATS_TEST_TMPDIR" aikv-tool cluster status
  [ "$status" -eq 2 ]
  [[ $output == *CLUSTER_BASE_PORT* ]]
  for name in AIKV_DEBUG_FAULTS AIKV_REQUIREPASS REDISCLI_AUTH GOMAXPROCS; do vars+=("$name="); done
  run env "${vars[@]}" cluster_init.sh "${args[@]}" --dry-run --shards 1
  run env "${vars[@]}" cluster_init.sh "${args[@]}" --shards 1 --replicas-per-shard 1 3>&-
  local verb
  for verb in status verify doctor report "call PING" "pause 1" "resume 1" "partition 1" heal add "remove 3" "kill 2" start restart stop "clean --yes"; do
    # shellcheck disable=SC2086 # words
    run env "${vars[@]}" aikv-tool cluster $verb --dir "$DIR" 3>&-
    [[ $output != *"unbound variable"* ]]
  done
  [ ! -e "$BOMB" ]
}

@test "a folder has one name: relative, with a slash, through a link, from elsewhere" {
  one_node
  ln -s "$DIR" "$BATS_TEST_TMPDIR/link"
  cd "$BATS_TEST_TMPDIR"
  local name pid
  for name in cluster ./cluster cluster/ link link/ ../"${BATS_TEST_TMPDIR##*/}"/cluster "$DIR/../cluster//"; do
    pid=$(<"$DIR/pids/node1.pid")
    exits 0 tool restart --dir "$name"
    [[ $output == *"1 node stopped"* ]]
    gone 1 "$pid"
  done
  exits 5 tool setup --dir link --shards 2
  exits 0 tool clean --yes --dir link/
  [ ! -e "$DIR" ]
  run answers 0
  [ "$status" -ne 0 ]
}

@test "a lost pid file: the process is found all the same, by the lock of its data" {
  one_node
  local pid
  pid=$(<"$DIR/pids/node1.pid")
  is "$pid" cat "$DIR/data/node1/wal/LOCK"
  rm "$DIR/pids/node1.pid"
  exits 0 tool pause 1 --dir "$DIR"
  exits 0 tool resume 1 --dir "$DIR"
  exits 0 tool stop --dir "$DIR"
  [[ $output == *"1 node stopped"* ]]
  gone 1 "$pid"
  exits 0 tool start --dir "$DIR"
  rm "$DIR/pids/node1.pid"
  exits 0 tool start --dir "$DIR"
  [[ $output != *"1 started"* ]]
  exits 0 tool clean --yes --dir "$DIR"
  run answers 0
  [ "$status" -ne 0 ]
}

@test "a node that nothing in the folder names: stop fails, clean keeps the data" {
  one_node
  local pid lsof
  pid=$(<"$DIR/pids/node1.pid")
  rm "$DIR/pids/node1.pid"
  : >"$DIR/data/node1/wal/LOCK"
  for verb in stop "clean --yes" restart "kill 1"; do
    # shellcheck disable=SC2086
    exits 6 tool $verb --dir "$DIR"
    [[ $output == *"node 1 (127.0.0.1:$BASE) answers still, with its data in $DIR/data/node1: process $pid"* ]]
  done
  # Without a tool that tells who has a port, the node itself says it.
  lsof=$BATS_TEST_TMPDIR/none
  mkdir "$lsof"
  printf '#!/bin/sh\nexit 1\n' >"$lsof/lsof"
  chmod +x "$lsof/lsof"
  PATH="$lsof:$PATH" exits 6 tool clean --yes --dir "$DIR"
  [[ $output == *"process $pid, as it says"* ]]
  [ -s "$DIR/cluster.conf" ]
  is OK on 0 SET k v
  echo "$pid" >"$DIR/pids/node1.pid"
  exits 0 tool stop --dir "$DIR"
}

@test "a stranger on the port of a stopped node does not keep stop from stopping" {
  requires redis-server
  one_node
  tool stop -q --dir "$DIR"
  redis-server --port "$BASE" --save '' --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  local redis=$!
  retry 10 redis-cli -p "$BASE" PING
  run tool stop --dir "$DIR"
  kill -KILL "$redis"
  [ "$status" -eq 0 ]
}

@test "one run at a time: every verb that changes something refuses while another one has the lock" {
  one_node
  local verb began
  began=$(awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$$/stat" 2>/dev/null || ps -o lstart= -p $$ | awk '{ $1 = $1; print }')
  ln -s "$$ $began" "$DIR/lock"
  for verb in setup start stop restart "clean --yes" "kill 1" "pause 1" "resume 1" heal add; do
    # shellcheck disable=SC2086
    exits 5 tool $verb --dir "$DIR"
    [[ $output == *"another run (process $$) is changing the cluster"*"Its lock is $DIR/lock"* ]]
  done
  exits 0 tool status --dir "$DIR"
  exits 0 tool verify --dir "$DIR"
  rm "$DIR/lock"
  ln -s 1 "$DIR/lock" # nobody's: process 1 lives, but that is not its lock
  exits 0 tool restart --dir "$DIR"
  ln -s "$$ 12345" "$DIR/lock" # a process that has only got the number
  exits 0 tool restart --dir "$DIR"
  [ ! -L "$DIR/lock" ]
  mkdir "$DIR/lock"
  exits 5 tool restart --dir "$DIR"
  [[ $output == *"$DIR/lock is a folder"* ]]
}

@test "nodes of another folder's cluster are not taken: not for setup, --reset or status" {
  one_node
  is OK on 0 SET k v
  local other=$BATS_TEST_TMPDIR/typo args
  for args in "setup --reset --yes" setup verify partition; do
    if [[ $args == partition ]]; then args="partition 1 --replicas-per-shard 1"; fi
    # shellcheck disable=SC2086 # words
    run tool $args --base-port "$BASE" --dir "$other"
    ((status == 4 || status == 8))
    [[ $output == *"of the cluster in $DIR"* || $output == *"no node of the cluster answers"* ]]
  done
  exits 8 tool status --base-port "$BASE" --dir "$other"
  [[ $output == *"of the cluster in $DIR"* ]]
  exits 5 tool setup --reset --yes --base-port $((BASE + 1)) --dir "$DIR"
  [[ $output == *"$DIR holds another cluster"* ]]
  [ ! -e "$other" ]
  is v on 0 GET k
}

@test "nodes on other ports than the folder's are not mixed up with the folder's own" {
  one_node
  exits 0 tool pause 1 --dir "$DIR"
  export NODES=$BATS_TEST_TMPDIR/nodes
  exits 8 tool status --dir "$DIR" --base-port $((BASE + 5))
  [[ $output != *paused* ]]
  node_begin 5
  retry 10 answers 5
  run tool status --dir "$DIR" --base-port $((BASE + 5))
  stop_nodes KILL
  [[ $output != *paused* && $output == *"127.0.0.1:$((BASE + 5))"*" up "* ]]
  exits 0 tool resume 1 --dir "$DIR"
}

@test "--reset gives nodes another shape, which the folder remembers" {
  free_block 12
  cluster_init.sh -q --base-port "$BASE" --dir "$DIR" --shards 2 --replicas-per-shard 0 3>&-
  exits 5 tool setup --dir "$DIR" --shards 1 --replicas-per-shard 1
  [[ $output == *"--reset"* ]]
  exits 0 tool setup --dir "$DIR" --shards 1 --replicas-per-shard 1 --reset
  exits 0 tool restart --dir "$DIR"
  exits 0 tool setup --dir "$DIR"
  has slave bash -c "redis-cli -p $BASE CLUSTER NODES"
}

@test "numbers are decimal, and an empty value is none" {
  is '"redis://127.0.0.1:7000"' bash -c "aikv-tool cluster env -m 127.0.0.1:07000 --json | sed 's/.*REDIS_URL\"://; s/,.*//'"
  exits 0 cluster_init.sh --dry-run --base-port 017340 --dir "$DIR" --shards 01
  [[ $output == *" -p 17340 "* ]]
  CLUSTER_BASE_PORT=017340 exits 0 cluster_init.sh --dry-run --dir "$DIR"
  [[ $output == *" -p 17340 "* ]]
  CLUSTER_BASE_PORT=x exits 2 cluster_init.sh --dry-run --dir "$DIR"
  exits 2 tool status --dir '' --json
  [[ $output == *"--dir wants a value"* ]]
  exits 2 tool status --dir= --json
  exits 2 tool status -m ''
  exits 2 tool status -m 127.0.0.1:7000,127.0.0.1:07000
  exits 2 cluster_init.sh --dir ''
  exits 2 cluster_init.sh -m '-x:1'
  exits 2 tool env --dir "$BATS_TEST_TMPDIR"/$'a\nb'
}
