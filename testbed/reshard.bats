#!/usr/bin/env bats
# Slots move while clients work: by aikv-tool and cluster_init.sh, by redis-cli and, where
# AIKV_ORACLES names a folder with redis-cli-8 and valkey-cli-9, by those. All the while
# a client (acked steady) writes and reads, and must see no error, no lost, stale or
# doubled write.
load helpers

setup_file() {
  # Leaders are not lost by chance, however busy the machine is: an election is an error
  # for clients, and none of a move's.
  export AIKV_RAFT_TICK=250ms AIKV_CLUSTER_NODE_TIMEOUT=5s
  export ACKED=$BATS_FILE_TMPDIR/acked
  go build -o "$ACKED" "$ROOT/testbed/acked"
  free_block 12
  cluster_up -q
  export CLUSTER_DIR=$DIR
}
teardown_file() { cluster_down; }

setup() {
  requires redis-cli
  export CLUSTER_DIR=$DIR
}
teardown() { if [[ -n ${STEADY:-} ]]; then kill -KILL "$STEADY" 2>/dev/null || true; fi; }

tool() { aikv-tool cluster "$@" 3>&-; }
whole() { tool verify -q --timeout $((30 * PATIENCE)); }

# steady_begin: from here on, a client writes and reads.
steady_begin() {
  "$ACKED" steady "127.0.0.1:$BASE,127.0.0.1:$((BASE + 1)),127.0.0.1:$((BASE + 2))" >"$BATS_TEST_TMPDIR/steady" 2>"$BATS_TEST_TMPDIR/steady.err" 3>&- &
  STEADY=$!
}

# steady_end: it has seen nothing that it should not.
steady_end() {
  local status=0
  kill -TERM "$STEADY"
  wait "$STEADY" || status=$?
  STEADY=""
  cat "$BATS_TEST_TMPDIR/steady" "$BATS_TEST_TMPDIR/steady.err"
  ((status == 0))
  [[ $(<"$BATS_TEST_TMPDIR/steady") == *" 0 errors, 0 lost, stale or doubled,"* ]]
}

# master N: the id of the N-th node with slots, in the order of slots; port_of and slots_of, likewise.
masters() {
  on 0 CLUSTER NODES | awk '$3 ~ /master/ && NF > 8 && $9 !~ /^\[/ { split($2, a, "[:@]"); n = 0
    for (i = 9; i <= NF; i++) if ($i !~ /^\[/) n += (split($i, r, "-") == 2) ? r[2] - r[1] + 1 : 1
    print $9 + 0, $1, a[2], n }' | sort -n
}
master() { masters | sed -n "$1p" | cut -d ' ' -f 2; }
port_of() { masters | sed -n "$1p" | cut -d ' ' -f 3; }
shares() { masters | cut -d ' ' -f 4 | sort -n | tr '\n' ' '; }
number_at() { echo $(($1 - BASE + 1)); }

@test "add --rebalance, move, rebalance with weights, under writes; remove --drain" {
  requires jq
  steady_begin
  exits 0 tool add --rebalance
  [[ $output == *"node 7 "*"is a master without slots"*"to node 7, 1 of "*"4096 slots"* ]]
  is "4096 4096 4096 4096 " shares
  whole
  local a b before
  a=$(number_at "$(port_of 1)") b=$(number_at "$(port_of 2)")
  before=$(masters | sed -n 1p | cut -d ' ' -f 1)
  exits 0 tool move --dry-run "$before-$((before + 9))" "$a" "$b"
  [[ $output == "move "*"10 slots from node $a to node $b: $before-$((before + 9))" ]]
  is "4096 4096 4096 4096 " shares
  run --separate-stderr tool move --json "$before-$((before + 9))" "$a" "$b"
  [ "$status" -eq 0 ]
  is "true 10 1" jq -r '"\(.ok) \(.moved_slots) \(.moves | length)"' <<<"$output"
  is "4086 4096 4096 4106 " shares
  exits 0 tool move "$before-$((before + 9))" "$a" "$b"
  [[ $output == *"has these slots already"* ]]
  exits 0 tool rebalance
  is "4096 4096 4096 4096 " shares
  exits 0 tool rebalance
  [[ $output == *"nothing was moved"* ]]
  exits 0 tool rebalance --weights 7=2
  is "3277 3277 3277 6553 " shares
  steady_end # a shard that is dissolved may leave a write in flight uncertain
  exits 0 tool remove 7 --drain
  [ ! -e "$DIR/data/node7" ]
  is "5461 5461 5462 " shares
  topology_agrees 6
  whole
}

@test "what makes no sense is refused, and moves nothing" {
  local before
  before=$(masters)
  exits 2 tool move 0-10 1
  exits 2 tool move 10-0 1 2
  exits 2 tool move 0-16384 1 2
  exits 2 tool move x 1 2
  exits 2 tool move 0 1 1
  exits 5 tool move 0 1 99
  exits 2 tool rebalance --weights 1
  exits 2 tool rebalance --weights 1=x
  exits 2 tool rebalance --weights 1=1,1=2
  exits 5 tool rebalance --weights 99=1
  exits 5 tool rebalance --weights "$(number_at "$(port_of 1)")=0,$(number_at "$(port_of 2)")=0,$(number_at "$(port_of 3)")=0"
  [[ $output == *"no other master"* ]]
  exits 5 tool move 16383 "$(number_at "$(port_of 1)")" "$(number_at "$(port_of 2)")"
  [[ $output == *"slot 16383 is not there, but on node"* ]]
  exits 2 tool add --rebalance --replica-of 1
  exits 5 tool remove "$(number_at "$(port_of 1)")"
  [[ $output == *"owns the slots"*"remove $(number_at "$(port_of 1)") --drain"* ]]
  is "$before" masters
}

@test "--shards 4 grows the cluster, under writes, and --shards 3 shrinks it" {
  exits 5 cluster_init.sh --dir "$DIR" --shards 4 </dev/null
  [[ $output == *"holds another cluster, of 3 shards, not 4"*"--yes"* ]]
  exits 0 cluster_init.sh --dir "$DIR" --shards 4 --yes --dry-run
  [[ $output == *"start "*"--data-dir $DIR/data/node7"*"move "*"to node 7"* ]]
  is "5461 5461 5462 " shares
  steady_begin
  exits 0 cluster_init.sh --dir "$DIR" --shards 4 --yes 3>&-
  [[ $output == *"has grown to 4 masters, 4 replicas"* ]]
  is "4096 4096 4096 4096 " shares
  topology_agrees 8
  exits 0 tool setup
  [[ $output == *"nothing was changed"* ]]
  steady_end
  exits 0 cluster_init.sh --dir "$DIR" --shards 3 --yes 3>&-
  [[ $output == *"has shrunk to 3 masters, 3 replicas"* ]]
  is "5461 5461 5462 " shares
  topology_agrees 6
  [ ! -e "$DIR/data/node7" ]
  run ! grep -q nodes= "$DIR/cluster.conf"
  exits 0 tool setup
  [[ $output == *"nothing was changed"* ]]
}

@test "killed half-way, the same command goes on" {
  local script status=0
  set -m
  cluster_init.sh --dir "$DIR" --shards 4 --yes >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 60 grep -q "move .* 2 of" "$BATS_TEST_TMPDIR/out"
  kill -KILL -- "-$script"
  wait "$script" 2>/dev/null || status=$?
  exits 0 cluster_init.sh --dir "$DIR" --shards 4 --yes 3>&-
  is "4096 4096 4096 4096 " shares
  set -m
  cluster_init.sh --dir "$DIR" --shards 3 --yes >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 60 grep -q "move .* 2 of" "$BATS_TEST_TMPDIR/out"
  kill -KILL -- "-$script"
  wait "$script" 2>/dev/null || status=$?
  exits 7 tool doctor
  [[ $output == *"were about to leave"*"setup"*"--yes"* ]]
  exits 0 cluster_init.sh --dir "$DIR" --yes 3>&-
  is "5461 5461 5462 " shares
  topology_agrees 6
}

# opened SLOT FROM-PORT FROM-ID TO-PORT TO-ID: as redis-cli does when it begins.
opened() {
  is OK redis-cli -p "$4" CLUSTER SETSLOT "$1" IMPORTING "$3"
  is OK redis-cli -p "$2" CLUSTER SETSLOT "$1" MIGRATING "$5"
}

@test "an open slot: status shows it, doctor --fix closes it, with its keys or without" {
  local slot from to from_id to_id key
  from=$(port_of 1) to=$(port_of 2) from_id=$(master 1) to_id=$(master 2)
  for key in 'open {a}' 'the "second"{a}' $'line\nbreak{a}'; do is OK c 0 SET "$key" "of $key"; done
  slot=$(on 0 CLUSTER KEYSLOT a)
  if [[ $(redis-cli -p "$from" CLUSTER COUNTKEYSINSLOT "$slot") == 0 ]]; then
    from=$(masters | awk -v s="$slot" '$1 <= s { p = $3 } END { print p }')
    from_id=$(redis-cli -p "$from" CLUSTER MYID)
    to=$(port_of 1) to_id=$(master 1)
  fi
  opened "$slot" "$from" "$from_id" "$to" "$to_id"
  is OK redis-cli -p "$from" MIGRATE 127.0.0.1 "$to" '' 0 5000 KEYS 'open {a}'
  exits 0 tool status
  [[ $output == *"slot $slot is open on node $(number_at "$from"): it goes to node $(number_at "$to")"* ]]
  exits 7 tool doctor
  [[ $output == *"slot $slot is open"*"keys here and there: 2 1"*"doctor --fix"* ]]
  exits 0 tool doctor --fix --yes
  [[ $output == *"slot $slot is on node $(number_at "$to"), with all of its keys"*"nothing is wrong"* ]]
  for key in 'open {a}' 'the "second"{a}' $'line\nbreak{a}'; do is "of $key" c 0 GET "$key"; done
  is 3 redis-cli -p "$to" CLUSTER COUNTKEYSINSLOT "$slot"
  opened "$slot" "$to" "$to_id" "$from" "$from_id"
  exits 0 tool doctor --fix --yes
  [[ $output == *"slot $slot is on node"* || $output == *"slot $slot stays where it is"* ]]
  for key in 'open {a}' 'the "second"{a}' $'line\nbreak{a}'; do is "of $key" c 0 GET "$key"; done
  exits 0 tool rebalance
  whole
}

# oracle NAME sets CLI: that program of AIKV_ORACLES, or the test is skipped.
oracle() {
  CLI=${AIKV_ORACLES:-}/$1
  if [[ -z ${AIKV_ORACLES:-} || ! -x $CLI ]]; then cannot_here "AIKV_ORACLES names no folder with $1"; fi
}

check_ok() {
  exits 0 "$CLI" --cluster check "127.0.0.1:$BASE"
  [[ $output == *"All nodes agree about slots configuration"*"All 16384 slots covered"* ]]
}

# by_cli [OPTION…]: what its --cluster has for slots, on the three masters of before and
# a fourth, under writes. OPTIONs go to reshard and rebalance.
by_cli() {
  local from to at="127.0.0.1:$BASE"
  exits 0 tool add
  from=$(master 1) to=$(id_of 6)
  steady_begin
  exits 0 "$CLI" --cluster reshard "$at" --cluster-from "$from" --cluster-to "$to" --cluster-slots 40 --cluster-yes "$@"
  retry 20 has " 40" masters
  retry 20 check_ok
  exits 0 "$CLI" --cluster rebalance "$at" --cluster-weight "$to=0.02" "$@"
  retry 20 check_ok
  exits 0 "$CLI" --cluster reshard "$at" --cluster-from "$to" --cluster-to "$(master 2)" --cluster-slots "$(masters | awk -v id="$to" '$2 == id { print $4 }')" --cluster-yes "$@"
  retry 20 is 3 bash -c "redis-cli -p $BASE CLUSTER NODES | awk '\$3 ~ /master/ && NF > 8' | wc -l | tr -d ' '"
  retry 20 check_ok
  # Whoever gives its last slot away becomes a replica.
  retry 20 shows slave bash -c "redis-cli -p $BASE CLUSTER NODES | grep '^$to '"
  steady_end
  exits 0 tool remove 7
  whole
}

@test "redis-cli 7: reshard, rebalance, check, under writes" {
  CLI=redis-cli by_cli
}

@test "redis-cli 8: the same" {
  oracle redis-cli-8
  by_cli
}

@test "valkey-cli 9: the same" {
  oracle valkey-cli-9
  by_cli
}

@test "valkey-cli 9: the same, by its atomic moves" {
  oracle valkey-cli-9
  by_cli --cluster-use-atomic-slot-migration
}

@test "redis-cli: reshard is interrupted, fix closes what it left" {
  steady_begin
  local script status=0
  set -m
  redis-cli --cluster reshard "127.0.0.1:$BASE" --cluster-from "$(master 1)" --cluster-to "$(master 2)" --cluster-slots 2000 --cluster-yes >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 30 grep -q "Moving slot .* from .*:" "$BATS_TEST_TMPDIR/out"
  kill -INT -- "-$script"
  wait "$script" || status=$?
  retry 30 exits 0 redis-cli --cluster fix "127.0.0.1:$BASE" --cluster-yes
  CLI=redis-cli retry 20 check_ok
  exits 0 tool rebalance
  whole
  steady_end
}

@test "redis-cli: add-node, also as a replica, del-node, import from a server that stands alone" {
  requires redis-server
  local port=$((BASE + 11)) pid key
  export NODES=$BATS_TEST_TMPDIR
  AIKV_RAFT_TOKEN_FILE=$DIR/raft-token node_begin 9
  retry 10 answers 9
  exits 0 redis-cli --cluster add-node "127.0.0.1:$((BASE + 9))" "127.0.0.1:$BASE"
  retry 20 has "$(id_of 9)" on 0 CLUSTER NODES
  exits 0 redis-cli --cluster del-node "127.0.0.1:$BASE" "$(id_of 9)"
  AIKV_RAFT_TOKEN_FILE=$DIR/raft-token node_begin 10
  retry 10 answers 10
  exits 0 redis-cli --cluster add-node "127.0.0.1:$((BASE + 10))" "127.0.0.1:$BASE" --cluster-slave --cluster-master-id "$(master 1)"
  retry 20 shows "slave $(master 1)" bash -c "redis-cli -p $BASE CLUSTER NODES | grep '^$(id_of 10) '"
  exits 0 redis-cli --cluster del-node "127.0.0.1:$BASE" "$(id_of 10)"
  stop_nodes KILL
  redis-server --port "$port" --save '' --bind 127.0.0.1 --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  pid=$!
  retry 10 redis-cli -p "$port" PING
  for key in 1 2 3 4 5 6 7 8 9; do redis-cli -p "$port" SET "import:$key" "$key" >/dev/null; done
  exits 0 redis-cli --cluster import "127.0.0.1:$BASE" --cluster-from "127.0.0.1:$port" --cluster-copy
  kill "$pid"
  for key in 1 2 3 4 5 6 7 8 9; do is "$key" c 0 GET "import:$key"; done
  whole
}

@test "nodes that no folder holds, as in compose: --shards 4, and --shards 3" {
  export NODES=$BATS_TEST_TMPDIR
  unset BASE CLUSTER_DIR
  start_nodes 3
  local none=$BATS_TEST_TMPDIR/none
  exits 0 cluster_init.sh --base-port "$BASE" --dir "$none" --shards 3 --replicas-per-shard 0
  is OK c 0 SET foo bar
  node_begin 3
  retry 10 answers 3
  exits 5 cluster_init.sh --base-port "$BASE" --dir "$none" --shards 4 --replicas-per-shard 0 </dev/null
  [[ $output == *"fewer masters have slots than the 4"*"--yes"* ]]
  exits 0 cluster_init.sh --base-port "$BASE" --dir "$none" --shards 4 --replicas-per-shard 0 --yes
  is "4096 4096 4096 4096 " shares
  exits 5 cluster_init.sh --base-port "$BASE" --dir "$none" --shards 3 --replicas-per-shard 0 </dev/null
  [[ $output == *"--yes"* ]]
  exits 0 cluster_init.sh --base-port "$BASE" --dir "$none" --shards 3 --replicas-per-shard 0 --yes
  is "5461 5461 5462 " shares
  is bar c 0 GET foo
  [ ! -e "$none" ]
  wipe_nodes
}
