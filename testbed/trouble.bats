#!/usr/bin/env bats
# What surrounds a cluster and its tools goes wrong: nodes that hang, hosts that are
# silent, passwords, ports that others hold, missing programs, full disks, signals.
load helpers

setup() {
  requires redis-cli perl
  DIR=$BATS_TEST_TMPDIR/cluster
  export NODES=$BATS_TEST_TMPDIR/nodes
  free_block 12
}
teardown() {
  if [[ -n ${OTHER_PID:-} ]]; then kill -KILL "$OTHER_PID" 2>/dev/null || true; fi
  cluster_down
}

tool() { aikv-tool cluster "$@" --dir "$DIR" 3>&-; }
# shellcheck disable=SC2153 # free_block sets it
up() { cluster_init.sh -q --base-port "$BASE" --dir "$DIR" --shards 1 --replicas-per-shard "${1:-0}" 3>&-; }

# between_looks PID: a verb that polls is at rest, so it has looked once.
between_looks() { pgrep -P "$1" sleep; }

# path_without PROGRAM… sets BARE to a PATH on which all is but these.
path_without() {
  local folder folders file name
  IFS=: read -r -a folders <<<"$PATH"
  BARE=$BATS_TEST_TMPDIR/bare
  mkdir -p "$BARE"
  for folder in "${folders[@]}"; do
    if [[ $folder == "$ROOT"/* ]]; then continue; fi
    for file in "$folder"/*; do
      if [[ -x $file ]]; then ln -sf "$file" "$BARE/${file##*/}"; fi
    done
  done
  for name in "$@"; do rm -f "$BARE/$name"; done
  BARE="$ROOT/bin:$ROOT/scripts:$BARE"
}

# deaf_host PORT: a host that neither accepts nor refuses, as one behind a firewall.
deaf_host() {
  # shellcheck disable=SC2016 # perl's own dollars
  perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 1, ReuseAddr => 1) or die;
    my @held = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]", Blocking => 0) } 1 .. 4;
    sleep 1000' "$1" </dev/null >/dev/null 2>&1 3>&- &
  OTHER_PID=$!
  retry 5 bash -c "source '$ROOT/scripts/lib/processes.sh'; DIAL_SECONDS=1; dial 127.0.0.1:$1; [[ \${DIALED[0]} == silent ]]"
}

@test "a node that hangs: call says so, and verify --timeout waits until it answers" {
  up 1
  tool pause -q 2
  exits 6 aikv-tool cluster call --dir "$DIR" --timeout 1 PING
  [[ $output == *"127.0.0.1:$((BASE + 1)): no answer within 1 s"* ]]
  [[ $output == *"127.0.0.1:$BASE: PONG"* ]]
  run --separate-stderr aikv-tool cluster call --dir "$DIR" --timeout 1 --json PING
  [[ $output == *'"ok":false,"reply":""}'*'"ok":false}' ]]
  exits 4 tool start
  [[ $output == *"node 2 is paused"* ]]
  aikv-tool cluster verify -q --timeout 60 --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local verify=$!
  retry 10 between_looks "$verify"
  tool resume -q 2
  wait "$verify"
  has healthy cat "$BATS_TEST_TMPDIR/out"
}

@test "verify --timeout waits for a node that is down" {
  up 1
  tool kill -q 2
  exits 6 tool verify
  aikv-tool cluster verify -q --timeout 60 --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local verify=$!
  retry 10 between_looks "$verify"
  tool start -q 2
  wait "$verify"
  has healthy cat "$BATS_TEST_TMPDIR/out"
}

@test "a host that is silent is no port conflict, and no probe of it lasts for ever" {
  deaf_host "$BASE"
  exits 6 cluster_init.sh -m "127.0.0.1:$BASE" --timeout 1
  [[ $output == *"no answer within 1 s from: 127.0.0.1:$BASE"* ]]
  exits 6 aikv-tool cluster verify -m "127.0.0.1:$BASE"
  exits 6 aikv-tool cluster call -m "127.0.0.1:$BASE" --timeout 1 PING
  exits 7 aikv-tool cluster status -m "127.0.0.1:$BASE,127.0.0.1:$((BASE + 1))" || ((status == 8))
  # In the place of a node of ours, it is in the way.
  exits 4 up
}

@test "one node under two names is refused" {
  up
  exits 2 aikv-tool cluster status -m "127.0.0.1:$BASE,localhost:$BASE"
  [[ $output == *"127.0.0.1:$BASE and localhost:$BASE are the same node"* ]]
  exits 2 cluster_init.sh -m "127.0.0.1:$BASE" -r "localhost:$BASE" --timeout 5
}

@test "a checklist that fails says with --json what failed" {
  up 1
  on 0 CLUSTER DELSLOTS 5
  run --separate-stderr tool verify --json
  [ "$status" -eq 7 ]
  [[ $output == *'"checks":['*'"check":"slots","ok":false'* ]]
  requires jq
  is false jq '.checks[] | select(.check == "slots") | .ok' <<<"$output"
}

@test "the password of setup is kept for starts from another shell, and only for its user" {
  (export AIKV_REQUIREPASS='se same"' && up 1)
  [[ $(ls -l "$DIR/password") == -rw-------* ]]
  has NOAUTH on 0 PING
  exits 6 tool status
  exits 0 tool restart
  has NOAUTH on 0 PING
  has NOAUTH on 1 PING
  tool kill -q 2
  REDISCLI_AUTH='se same"' exits 0 tool start
  REDISCLI_AUTH='se same"' exits 0 tool verify --timeout 20
  AIKV_REQUIREPASS=other exits 0 tool restart
  is PONG redis-cli -p "$BASE" -a other --no-auth-warning PING
  AIKV_REQUIREPASS='' exits 0 tool restart
  is PONG on 0 PING
  [ ! -e "$DIR/password" ]
}

@test "a wrong password is called that, by every verb and with either client" {
  (export AIKV_REQUIREPASS=sesame && up 1)
  local verb
  path_without redis-cli
  for verb in status verify doctor heal "partition 1" start add "remove 2" setup; do
    # shellcheck disable=SC2086 # words
    REDISCLI_AUTH=wrong exits 6 tool $verb
    [[ $output == *"127.0.0.1:$BASE wants a password, and REDISCLI_AUTH holds a wrong one"* ]]
    # shellcheck disable=SC2086
    PATH=$BARE REDISCLI_AUTH=wrong exits 6 tool $verb
    [[ $output == *"127.0.0.1:$BASE wants a password, and REDISCLI_AUTH holds a wrong one"* ]]
  done
  REDISCLI_AUTH=wrong exits 6 aikv-tool cluster call --dir "$DIR" PING
  [[ $output == *WRONGPASS* ]]
  AIKV_REQUIREPASS='' REDISCLI_AUTH=sesame exits 0 tool stop
  AIKV_REQUIREPASS='' exits 0 tool start
  PATH=$BARE REDISCLI_AUTH=sesame exits 6 tool status
  [[ $output == *"has no password, but REDISCLI_AUTH holds one"* ]]
}

@test "a Raft port that a connection holds as its own end: exit 4, and who it is" {
  if ! command -v ss >/dev/null && ! command -v lsof >/dev/null; then skip "needs ss or lsof"; fi
  # shellcheck disable=SC2016 # perl's own dollars
  perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 5, ReuseAddr => 1) or die;
    my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]", LocalAddr => "127.0.0.1", LocalPort => $ARGV[1]) or die;
    my $a = $s->accept; print "connected\n"; close STDOUT; sleep 1000' $((BASE + 9)) $((BASE + 1 + RAFT_OFFSET)) \
    </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  OTHER_PID=$!
  retry 5 grep -q connected "$BATS_TEST_TMPDIR/out"
  exits 4 up 1
  [[ $output == *"127.0.0.1:$((BASE + 1 + RAFT_OFFSET)), the Raft port of node 2, is in use by perl (process $OTHER_PID)"* ]]
  run answers 0
  [ "$status" -ne 0 ]
}

# raft_of PORT [old]: the Raft port that the scripts choose.
raft_of() {
  bash -c 'source "$1/scripts/lib/folder.sh"; source "$1/scripts/lib/nodes.sh"
    if [[ -n $3 ]]; then CONF_SHARDS=3; fi
    raft_port "$2"; echo "$RAFT_PORT"' - "$ROOT" "$1" "${2:-}"
}

@test "Raft ports: the guide's, else none from which Linux takes a port for a connection" {
  is 50051 raft_of 6379
  is 50056 raft_of 6384
  is 16385 raft_of 6385
  is 17000 raft_of 7000
  is 60672 raft_of 17000 old
  local result
  result=$(bash -c 'source "$1/scripts/lib/folder.sh"; source "$1/scripts/lib/nodes.sh"
    for ((p = 1; p <= 65535; p++)); do
      raft_port "$p"
      if ((p >= 6379 && p <= 6384)); then continue; fi
      if ((RAFT_PORT < 1 || RAFT_PORT > 65535 || RAFT_PORT == p || RAFT_PORT >= 32768 && RAFT_PORT <= 60999)); then echo "$p -> $RAFT_PORT"; fi
    done' - "$ROOT")
  is "" echo "$result"
  exits 2 cluster_init.sh --dry-run --base-port 65535 --dir "$DIR"
  exits 0 cluster_init.sh --dry-run --base-port 65535 --dir "$DIR" --shards 1 --replicas-per-shard 0
  [[ $output == *"--raft-port 25535 "* ]]
}

@test "a folder from before keeps the Raft ports that its nodes know each other by" {
  mkdir -p "$DIR"
  printf 'shards=1\nreplicas_per_shard=0\nbase_port=%d\n' "$BASE" >"$DIR/cluster.conf"
  exits 0 cluster_init.sh --dry-run --dir "$DIR"
  [[ $output == *"--raft-port $((BASE + 43672)) "* ]]
}

@test "restart checks the configuration first: a typo in it stops nothing" {
  up
  local project=$BATS_TEST_TMPDIR/project pid
  mkdir -p "$project"
  cp -R "$ROOT/scripts" "$ROOT/config" "$project/"
  pid=$(<"$DIR/pids/node1.pid")
  sed 's/^maxclients/maxcleints/' "$ROOT/config/aikv-cluster.toml" >"$project/config/aikv-cluster.toml"
  exits 5 "$project/scripts/aikv-tool" cluster restart --dir "$DIR"
  [[ $output == *"node 1 would not start again"*maxcleints*"Nothing was stopped"* ]]
  kill -0 "$pid"
  AIKV_SERVER_MAXCLIENTS=many exits 5 tool restart
  is "$pid" cat "$DIR/pids/node1.pid"
  is PONG on 0 PING
}

@test "without one of the programs that the scripts need: exit 3, which names it" {
  up
  local name
  for name in awk sleep mktemp ln tail; do
    path_without "$name"
    for verb in status stop "pause 1" verify restart; do
      # shellcheck disable=SC2086 # words
      PATH=$BARE exits 3 tool $verb
      [[ $output == *"this needs programs that are not there: $name"* ]]
    done
  done
  path_without nohup
  tool stop -q
  PATH=$BARE exits 3 tool start
  [[ $output == *"not there: nohup"* ]]
  requires go
  path_without make
  local project=$BATS_TEST_TMPDIR/project
  mkdir -p "$project"
  cp -R "$ROOT/scripts" "$ROOT/config" "$ROOT/go.mod" "$project/"
  PATH=$BARE AIKV_BIN="" exits 3 "$project/scripts/cluster_init.sh" --base-port "$BASE" --dir "$DIR/other"
  [[ $output == *"no make to build it"* ]]
  exits 3 env PATH="$BARE" AIKV_BIN="" "$project/scripts/cluster_init.sh" --dry-run --base-port "$BASE" --dir "$DIR/other"
}

@test "without ps, pause and resume work where /proc tells, else nothing is done" {
  up
  path_without ps
  if [[ -e /proc/self/stat ]]; then
    PATH=$BARE exits 0 tool pause 1
    PATH=$BARE exits 7 tool status
    PATH=$BARE exits 0 tool resume 1
  else
    PATH=$BARE exits 3 tool pause 1
  fi
  is PONG on 0 PING
}

@test "a full disk: partition does not say that it is done, and nothing is cut off" {
  if [[ ! -c /dev/full ]]; then cannot_here "there is no /dev/full"; fi
  up 2
  ln -s /dev/full "$DIR/partition.$BASE.new"
  exits 1 tool partition 2
  [[ $output == *"cannot write $DIR/partition.$BASE"*"Nothing was cut off"* ]]
  [ ! -e "$DIR/partition.$BASE" ]
  exits 0 tool verify --timeout 20
  ln -s /dev/full "$DIR/cluster.conf.new"
  exits 1 tool add
  [[ $output == *"cannot write $DIR/cluster.conf"* ]]
  exits 0 tool verify --timeout 20
}

@test "Ctrl-C in restart says which nodes are stopped, and how to go on" {
  up 1
  # The new processes never answer, so that the restart is in the middle for ever.
  printf '#!/bin/sh\ncase "$*" in *print-config*) exit 0 ;; esac\ntouch "%s"\nexec sleep 1000\n' "$BATS_TEST_TMPDIR/began" >"$BATS_TEST_TMPDIR/aikv"
  chmod +x "$BATS_TEST_TMPDIR/aikv"
  set -m
  AIKV_BIN=$BATS_TEST_TMPDIR/aikv aikv-tool cluster restart --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local script=$! status=0
  set +m
  retry 20 test -e "$BATS_TEST_TMPDIR/began"
  kill -INT -- "-$script"
  wait "$script" || status=$?
  [ "$status" -eq 130 ]
  has "interrupted: nodes 1 2 are stopped" cat "$BATS_TEST_TMPDIR/out"
  has "aikv-tool cluster start 1 2" cat "$BATS_TEST_TMPDIR/out"
  [ ! -L "$DIR/lock" ]
  exits 0 tool start 1 2
  exits 0 tool verify --timeout 20
}

@test "Ctrl-C behind the forget of remove says that the node is no member any more" {
  up 2
  local real script status=0
  real=$(command -v redis-cli)
  # The client tells that FORGET was answered, and is in the way from then on.
  # shellcheck disable=SC2016 # not to be expanded
  printf '#!/bin/bash\nbatch=$(cat)\n"%s" "$@" <<<"$batch"\ncase $batch in *FORGET*) touch "%s"; exec sleep 1000 ;; esac\n' \
    "$real" "$BATS_TEST_TMPDIR/forgot" >"$BATS_TEST_TMPDIR/cli"
  chmod +x "$BATS_TEST_TMPDIR/cli"
  set -m
  REDIS_CLI=$BATS_TEST_TMPDIR/cli aikv-tool cluster remove 3 --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 20 test -e "$BATS_TEST_TMPDIR/forgot"
  kill -INT -- "-$script"
  wait "$script" || status=$?
  [ "$status" -eq 130 ]
  has "interrupted: node 3 may be no member any more" cat "$BATS_TEST_TMPDIR/out"
  has "aikv-tool cluster remove 3" cat "$BATS_TEST_TMPDIR/out"
  exits 0 tool remove 3
  exits 0 tool verify --timeout 20
  exits 0 tool remove 2
  [[ $output == *"warning: node 2 is the last replica of 127.0.0.1:$BASE"* ]]
}

@test "SIGTERM during a build ends make and what it runs" {
  local project=$BATS_TEST_TMPDIR/project script status=0 pids pid
  mkdir -p "$project"
  cp -R "$ROOT/scripts" "$ROOT/config" "$ROOT/go.mod" "$project/"
  # shellcheck disable=SC2016 # make and sh expand it
  printf 'build:\n\t@echo $$PPID >"%s"; sleep 1000 & echo $$! >>"%s"; wait\n' "$BATS_TEST_TMPDIR/pids" "$BATS_TEST_TMPDIR/pids" >"$project/Makefile"
  AIKV_BIN="" "$project/scripts/cluster_init.sh" --base-port "$BASE" --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  retry 20 bash -c "(( \$(wc -l <'$BATS_TEST_TMPDIR/pids') == 2 ))"
  kill -TERM "$script"
  wait "$script" || status=$?
  [ "$status" -eq 130 ]
  for pid in $(<"$BATS_TEST_TMPDIR/pids"); do gone 5 "$pid"; done
}

@test "--dry-run refuses what the real run refuses, and --json makes it one object" {
  up
  exits 5 cluster_init.sh --dry-run --dir "$DIR" --shards 2
  exits 5 cluster_init.sh --dry-run --dir "$DIR" --base-port $((BASE + 1)) --shards 1 --replicas-per-shard 0
  is OK on 0 SET k v
  exits 5 cluster_init.sh --dry-run --dir "$DIR" --reset </dev/null
  [[ $output == *"erases 1 keys"* ]]
  exits 0 cluster_init.sh --dry-run --dir "$DIR" --reset --yes
  is v on 0 GET k
  process_began_here
  ln -s "$$ $BEGAN" "$DIR/lock"
  exits 5 cluster_init.sh --dry-run --dir "$DIR"
  [[ $output == *"another run"* ]]
  rm "$DIR/lock"
  exits 0 cluster_init.sh --dry-run --dir "$DIR" --json
  [[ $output == '{"schema":1,"ok":true,"action":"dry-run","plan":[{"step":"use",'*']}' ]]
  tool stop -q
  exits 0 cluster_init.sh --dry-run --dir "$DIR"
  [[ $output == *"start "*"finish "*"check "* && $output != *ADDSLOTSRANGE\ 0* ]]
}

process_began_here() {
  # shellcheck source=../scripts/lib/processes.sh
  source "$ROOT/scripts/lib/processes.sh"
  process_began "$$"
}

@test "no port beyond 65535 is planned, for setup or for one more node" {
  exits 2 cluster_init.sh --dry-run --base-port 65531 --dir "$DIR"
  [[ $output == *"port 65536 is out of range"* ]]
  mkdir -p "$DIR"
  printf 'shards=1\nreplicas_per_shard=0\nbase_port=65535\nraft_offset=10000\n' >"$DIR/cluster.conf"
  exits 5 tool add
  [[ $output == *"no port for one more node"* ]]
}
