#!/usr/bin/env bats
# cluster_init.sh and aikv-tool: what they do with whatever they find.
load helpers

setup() {
  requires redis-cli
  free_block 12
  DIR=$BATS_TEST_TMPDIR/cluster
  export NODES=$BATS_TEST_TMPDIR/nodes
}
teardown() {
  if [[ -n ${OTHER_PID:-} ]]; then kill -KILL "$OTHER_PID" 2>/dev/null || true; fi
  cluster_down
  stop_nodes KILL
}

init() { cluster_init.sh --base-port "$BASE" --dir "$DIR" "$@" 3>&-; }
topology() { redis-cli -p "$BASE" CLUSTER NODES | awk '{ print $1, $2, $4, $9 }' | sort; }

# silent_listener PORT: somebody who accepts and never answers.
silent_listener() {
  # shellcheck disable=SC2016 # perl's own dollars
  perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 5, ReuseAddr => 1) or die;
    my @keep; while (my $c = $s->accept) { push @keep, $c }' "$1" </dev/null >/dev/null 2>&1 3>&- &
  OTHER_PID=$!
  retry 5 port_is_open "$1"
}

@test "from nothing to a verified cluster; a line a step, the result on stdout" {
  run --separate-stderr init
  [ "$status" -eq 0 ]
  [[ $output == *"redis-cli -c -h 127.0.0.1 -p $BASE" ]]
  local step
  # shellcheck disable=SC2154 # stderr is set by run
  for step in nodes meet slots replicate see state replicas voters write; do [[ $stderr == *"✓ $step"* ]]; done
  [[ $stderr == *"30 of 30"* ]]
  is OK c 0 SET foo bar
  is bar c 4 GET foo
}

@test "run again: says so, exit 0, changes nothing" {
  init -q
  local before
  before=$(topology)
  exits 0 init
  [[ $output == *"already initialised"*"nothing was changed"* ]]
  [[ $output != *"✓ meet"* ]]
  is "$before" topology
}

@test "nodes that somebody else started are initialised; nothing is started" {
  start_nodes 6
  exits 0 init
  [ ! -e "$DIR" ]
  topology_agrees 6
}

@test "-m and -r, also with a node that starts later" {
  requires aikv
  start_nodes 3
  local p=$BASE
  (
    # When somebody has asked the others, a run waits for this one.
    retry 20 grep -q . "$BATS_TEST_TMPDIR/asked"
    node_begin 3
  ) 3>&- &
  # shellcheck disable=SC2016 # the program expands it
  printf '#!/bin/bash\necho asked >>"%s"\nexec "%s" "$@"\n' "$BATS_TEST_TMPDIR/asked" "$(command -v redis-cli)" >"$BATS_TEST_TMPDIR/cli"
  chmod +x "$BATS_TEST_TMPDIR/cli"
  REDIS_CLI=$BATS_TEST_TMPDIR/cli exits 0 cluster_init.sh -m "127.0.0.1:$p,127.0.0.1:$((p + 1))" -r "127.0.0.1:$((p + 2)),127.0.0.1:$((p + 3))" --timeout 20
  topology_agrees 4
  shows "slave $(id_of 1)" on 0 CLUSTER NODES
}

@test "-m and -r with IPv6 addresses in brackets" {
  if ! aikv serve -H ::1 --print-config >/dev/null || [[ ! -e /proc/net/if_inet6 ]]; then cannot_here "no IPv6"; fi
  local node p=$BASE
  mkdir -p "$NODES"
  for node in 0 1; do node_begin "$node" -H ::1; done
  exits 0 cluster_init.sh -m "[::1]:$p" -r "[::1]:$((p + 1))" --timeout 20
  [[ $output == *"1 master, 1 replica,"*"redis-cli -c -h ::1 -p $p" ]]
  has "::1:$((p + 1))@$((p + 10001)) slave" redis-cli -h ::1 -p "$p" CLUSTER NODES
  stop_node 1 KILL
  exits 7 aikv-tool cluster status -m "[::1]:$p" -r "[::1]:$((p + 1))"
    [[ $output == *"[::1]:$((p + 1)) "*"replica"*"down"* ]]
}

@test "nodes that want a password: exit 6 and says so; with REDISCLI_AUTH it goes on" {
  export AIKV_REQUIREPASS=sesame
  REDISCLI_AUTH=sesame exits 0 init --shards 1
  unset AIKV_REQUIREPASS
  exits 6 init
  [[ $output == *"wants a password"*REDISCLI_AUTH* ]]
  REDISCLI_AUTH=wrong exits 6 init
  [[ $output == *"wants a password"* ]]
  PATH=$(without_redis_cli) exits 6 init
  [[ $output == *"wants a password"* ]]
  REDISCLI_AUTH=sesame exits 0 init --check-only
}

@test "only the missing nodes of its own folder are started" {
  init -q
  local pid5 pid6
  pid5=$(<"$DIR/pids/node5.pid")
  pid6=$(<"$DIR/pids/node6.pid")
  kill -KILL "$pid6"
  gone 5 "$pid6"
  exits 0 init
  [[ $output == *"1 started"* ]]
  [ "$(<"$DIR/pids/node5.pid")" = "$pid5" ]
  [ "$(<"$DIR/pids/node6.pid")" != "$pid6" ]
}

@test "other shapes: one master; two masters with two replicas each" {
  exits 0 init --shards 1 --replicas-per-shard 0
  is 16384 info_field 0 cluster_slots_assigned
  cluster_down
  exits 0 init --shards 2 --replicas-per-shard 2
  topology_agrees 6
  is 4 bash -c "redis-cli -p $BASE CLUSTER NODES | grep -c slave"
}

# hold_at MOMENT: from now on, a run stays for ever where it sends a command with
# that word or, for "nodeN", where it starts that node; $HELD names who waits there.
hold_at() {
  HELD=$BATS_TEST_TMPDIR/held
  rm -f "$HELD"
  # shellcheck disable=SC2016 # the programs expand it
  printf '#!/bin/bash\nbatch=$(cat)\ncase $batch in *"%s"*) echo $$ >>"%s"; exec sleep 1000 ;; esac\nexec "%s" "$@" <<<"$batch"\n' \
    "$1" "$HELD" "$(command -v redis-cli)" >"$BATS_TEST_TMPDIR/cli"
  # shellcheck disable=SC2016
  printf '#!/bin/bash\ncase "$* " in *"/%s "*) sleep 1000 & echo $! >>"%s"; wait ;; esac\nexec "%s" "$@"\n' \
    "$1" "$HELD" "$AIKV_BIN" >"$BATS_TEST_TMPDIR/aikv"
  chmod +x "$BATS_TEST_TMPDIR/cli" "$BATS_TEST_TMPDIR/aikv"
}

# held_init: a run in the background, with the programs of hold_at; SCRIPT is its pid.
held_init() {
  set -m
  REDIS_CLI=$BATS_TEST_TMPDIR/cli AIKV_BIN=$BATS_TEST_TMPDIR/aikv \
    cluster_init.sh --base-port "$BASE" --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  SCRIPT=$!
  set +m
  retry 20 test -s "$HELD"
}

release_held() {
  local pid
  while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done <"$HELD"
}

@test "interrupted by Ctrl-C: exit 130, what it started is stopped; the next run finishes" {
  local moment pid pids status
  for moment in node3 MEET REPLICATE; do
    status=0
    hold_at "$moment"
    held_init
    pids=$(cluster_pids)
    kill -INT -- "-$SCRIPT"
    wait "$SCRIPT" || status=$?
    [ "$status" -eq 130 ]
    has interrupted cat "$BATS_TEST_TMPDIR/out"
    for pid in $pids; do gone 1 "$pid"; done
    [ ! -L "$DIR/lock" ]
    release_held
    exits 0 init
    topology_agrees 6
    cluster_down
    free_block 12
  done
}

@test "killed half-way, at any moment: the next run finishes" {
  local moment status
  for moment in node3 "CLUSTER INFO" MEET "ADDSLOTSRANGE 0" "ADDSLOTSRANGE 10923" REPLICATE "SET aikv:check"; do
    status=0
    hold_at "$moment"
    held_init
    kill -KILL "$SCRIPT"
    wait "$SCRIPT" 2>/dev/null || status=$?
    [ "$status" -eq 137 ] # not behind the end
    release_held
    exits 0 init
    topology_agrees 6
    cluster_down
    free_block 12
  done
}

@test "interrupting a run over nodes that others started stops none of them" {
  start_nodes 5
  set -m
  cluster_init.sh --base-port "$BASE" --dir "$DIR" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local script=$! status=0
  set +m
  retry 10 grep -q waiting "$BATS_TEST_TMPDIR/out"
  kill -INT -- "-$script"
  wait "$script" || status=$?
  [ "$status" -eq 130 ]
  local node
  for node in 0 1 2 3 4; do answers "$node"; done
}

@test "half-assigned by hand: finished, not made anew" {
  start_nodes 6
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 2000
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 5 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 1 CLUSTER ADDSLOTS 6000
  local id
  id=$(id_of 0)
  exits 0 init
  is "$id" id_of 0
  topology_agrees 6
}

@test "another shape: exit 5, and nothing has changed" {
  init -q
  local before
  before=$(topology)
  exits 5 init --shards 2 --replicas-per-shard 2
  [[ $output == *"--reset"* ]]
  exits 5 init --shards 2 --replicas-per-shard 1
  is "$before" topology
}

@test "a stopped cluster of another shape in the folder: exit 5 before anything starts" {
  init -q --shards 1 --replicas-per-shard 0
  aikv-tool cluster stop -q --dir "$DIR"
  exits 5 init --shards 3
  [[ $output == *"another cluster"* ]]
}

@test "foreign data: exit 5 and says what to do; --reset --yes goes on" {
  start_nodes 6
  is OK on 2 CLUSTER ADDSLOTSRANGE 0 16383
  retry 5 is OK on 2 SET mine 1
  exits 5 init
  [[ $output == *"holds 1 keys"* && $output == *"--reset --yes"* ]]
  is 1 on 2 GET mine
  exits 5 init --reset
  [[ $output == *"--yes"* ]]
  is 1 on 2 GET mine
  exits 0 init --reset --yes
  topology_agrees 6
  is "" c 0 GET mine
}

@test "a node of another cluster among the targets: exit 5, and names the stranger" {
  start_nodes 7
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 6))
  exits 5 init
  [[ $output == *"another node, 127.0.0.1:$((BASE + 6))"* ]]
  is 1 info_field 1 cluster_known_nodes
}

@test "--reset of a healthy empty cluster asks nothing" {
  init -q
  exits 0 init --reset
  [[ $output == *"✓ reset"* ]]
  topology_agrees 6
}

@test "anything else on a port is a conflict: exit 4, all of them named, nothing started" {
  requires redis-server perl
  redis-server --port $((BASE + 1)) --save '' --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  local redis=$!
  retry 5 redis-cli -p $((BASE + 1)) PING
  silent_listener $((BASE + 3))
  run init
  kill -KILL "$redis"
  [ "$status" -eq 4 ]
  [[ $output == *"127.0.0.1:$((BASE + 1))"*"Redis"* ]]
  [[ $output == *"127.0.0.1:$((BASE + 3))"* ]]
  [ ! -e "$DIR" ]
}

@test "a port that ends connections is waited for: a container's, whose node is not up yet" {
  requires perl
  mkdir -p "$NODES"
  # shellcheck disable=SC2016 # perl's own dollars
  perl -MIO::Socket::INET -e '
    my $l = IO::Socket::INET->new(Listen => 5, ReuseAddr => 1, LocalAddr => "127.0.0.1:" . shift) or die $!;
    $l->accept->close for 1 .. 20; # redis-cli tries again by itself
    close $l;
    exec @ARGV;
  ' "$BASE" env -u AIKV_BIN aikv serve -p "$BASE" --raft-port $((BASE + RAFT_OFFSET)) --data-dir "$NODES/0" \
    </dev/null >"$NODES/0.log" 2>&1 3>&- &
  echo $! >"$NODES/0.pid"
  disown $!
  retry 5 port_is_open "$BASE"
  exits 0 cluster_init.sh -m "127.0.0.1:$BASE"
}

@test "a Raft port in use is a conflict too" {
  requires perl
  silent_listener $((BASE + 2 + RAFT_OFFSET))
  exits 4 init
  [[ $output == *"127.0.0.1:$((BASE + 2 + RAFT_OFFSET))"* ]]
}

@test "who has a port is named; on macOS, AirPlay" {
  command -v ss >/dev/null || requires lsof
  # shellcheck disable=SC1091 # found by SCRIPTDIR
  source "$ROOT/scripts/cluster_init.sh"
  requires perl
  silent_listener "$BASE"
  has ", by perl (process " taken_by "127.0.0.1:$BASE"
  is "" taken_by "10.0.0.1:$BASE" # that is not this machine
  OSTYPE=darwin23
  is ", by macOS's AirPlay Receiver, most likely: turn it off in System Settings > General > AirDrop & Handoff" taken_by 127.0.0.1:5000
}

@test "nobody there: exit 6 after --timeout" {
  local begin=$SECONDS
  exits 6 cluster_init.sh -m "127.0.0.1:$BASE" --timeout 1
  [[ $output == *"127.0.0.1:$BASE"* ]]
  ((SECONDS - begin <= 3))
  exits 6 init --check-only
}

@test "wrong usage: exit 2" {
  local args
  for args in --nonsense --shards "--shards x" "--base-port 70000" "-r 127.0.0.1:1" "-m 127.0.0.1" "-m ::1:6379" \
    "-m 127.0.0.1:1,127.0.0.1:1" "-m a:1,a:2 -r a:3" "--timeout 0" stray; do
    # shellcheck disable=SC2086 # several words on purpose
    exits 2 cluster_init.sh $args
    [[ $output == *error:* ]]
  done
  exits 2 aikv-tool cluster nonsense
}

@test "a missing prerequisite: exit 3" {
  AIKV_BIN=/nonexistent/aikv exits 3 init
  REDIS_CLI=/nonexistent/redis-cli exits 3 init
}

@test "-h and --help: exit 0, on stdout" {
  run --separate-stderr cluster_init.sh --help
  [ "$status" -eq 0 ]
  [[ $output == Usage:* && $output == *"Exit codes"* ]]
  exits 0 cluster_init.sh -h
  exits 0 aikv-tool --help
  [[ $output == *setup*start*stop*clean*status*logs* ]]
}

@test "--dry-run changes nothing and names every step" {
  exits 0 init --dry-run
  [ ! -e "$DIR" ]
  [[ $output == *"start"*"$BASE"*"meet"*"ADDSLOTSRANGE 0 5460"*"REPLICATE"* ]]
  run answers 0
  [ "$status" -ne 0 ]
}

@test "-q is silent but for the result; --json is one object" {
  run --separate-stderr init -q
  [ "$status" -eq 0 ]
  [ -z "$stderr" ]
  run --separate-stderr init --json -q
  [ "$status" -eq 0 ]
  [[ $output == '{"schema":1,"ok":true,"action":"unchanged",'*'}' ]]
  if command -v jq >/dev/null; then [ "$(jq '.nodes | length' <<<"$output")" -eq 6 ]; fi
  run --separate-stderr init --json -q --shards 2 --replicas-per-shard 2
  [ "$status" -eq 5 ]
  [[ $output == '{"schema":1,"ok":false,"code":5,'*'}' ]]
}

@test "no colour off a terminal" {
  run init
  [[ $output != *$'\033'* ]]
}

# without_redis_cli: a PATH with what the scripts need, but redis-cli.
without_redis_cli() {
  local bin=$BATS_TEST_TMPDIR/bin tool
  mkdir -p "$bin"
  for tool in bash env awk sed cat mkdir mktemp rm ln mv dirname readlink sleep tail tr find head nohup setsid ps make go; do
    if command -v "$tool" >/dev/null; then ln -sf "$(command -v "$tool")" "$bin/$tool"; fi
  done
  printf '%s' "$ROOT/bin:$ROOT/scripts:$bin"
}

@test "without redis-cli, aikv cli does it all" {
  PATH=$(without_redis_cli) exits 0 cluster_init.sh --base-port "$BASE" --dir "$DIR"
  [[ $output == *"aikv cli -c"* ]]
  topology_agrees 6
}

@test "stop keeps the data, start brings it back, clean removes it" {
  init -q
  is OK c 0 SET kept 1
  exits 0 aikv-tool cluster stop --dir "$DIR"
  [[ $output == *"6 nodes stopped"* ]]
  run answers 0
  [ "$status" -ne 0 ]
  exits 0 aikv-tool cluster start --dir "$DIR"
  retry 10 is 1 c 3 GET kept
  exits 0 aikv-tool cluster logs --dir "$DIR" -n 1 2
  [ -n "$output" ]
  exits 0 aikv-tool cluster clean --yes --dir "$DIR"
  [ ! -e "$DIR" ]
}

@test "two runs at once: one starts the nodes, the other refuses or joins in; one cluster" {
  local a b first=0 second=0
  init -q >"$BATS_TEST_TMPDIR/a" 2>&1 &
  a=$!
  init -q >"$BATS_TEST_TMPDIR/b" 2>&1 &
  b=$!
  wait "$a" || first=$?
  wait "$b" || second=$?
  cat "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
  ((first == 0 || second == 0))
  ((first == 0 || first == 5))
  ((second == 0 || second == 5))
  exits 0 init --check-only
}

@test "a pid file is not trusted: a stranger's process is never stopped" {
  init -q --shards 1 --replicas-per-shard 0
  local pid
  pid=$(<"$DIR/pids/node1.pid")
  sleep 60 3>&- &
  OTHER_PID=$!
  echo "$OTHER_PID" >"$DIR/pids/node1.pid"
  aikv-tool cluster stop -q --dir "$DIR"
  kill -0 "$OTHER_PID"
  kill -KILL "$pid"
}

# plan FILE…: what the plan is if the nodes answer so.
plan() {
  # shellcheck disable=SC2034 # state.sh reads them
  local WORK=$BATS_TEST_TMPDIR/plan ADDRS=() file LOOSE=0 SCRIPTS=$ROOT/scripts
  mkdir -p "$WORK"
  for file in "$@"; do
    printf '@@nodes\n%s\n' "$file" >"$WORK/ans.${#ADDRS[@]}"
    ADDRS+=("127.0.0.1:$((7000 + ${#ADDRS[@]}))")
  done
  # shellcheck source=../scripts/lib/state.sh
  source "$ROOT/scripts/lib/state.sh"
  MASTERS=1
  state_run plan
}

@test "members of one cluster that disagree are asked again; two clusters with one slot are refused" {
  local old new same
  old=$'aa 127.0.0.1:7000@1 myself,master - 0 0 1 connected 0-16383\nbb 127.0.0.1:7001@2 slave aa 0 0 1 connected'
  same=$'aa 127.0.0.1:7000@1 master - 0 0 1 connected 0-16383\nbb 127.0.0.1:7001@2 myself,slave aa 0 0 1 connected'
  new=$'aa 127.0.0.1:7000@1 slave bb 0 0 2 connected\nbb 127.0.0.1:7001@2 myself,master - 0 0 2 connected 0-16383'
  is "unsettled 127.0.0.1:7000 and 127.0.0.1:7001 disagree about 127.0.0.1:7000" plan "$old" "$new"
  is "verdict complete" plan "$old" "$same"
  run plan "${old%%$'\n'*}" "bb 127.0.0.1:7001@2 myself,master - 0 0 1 connected 100"
  [[ $output == "refuse slot 100 belongs to two nodes"* ]]
}
