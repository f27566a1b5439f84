#!/usr/bin/env bats
# The troubleshooting guide: a test for each of its five issues, and each of its
# command blocks as it is printed. Blocks run in a copy of the project (so that
# ./scripts, config and logs are where the guide has them), with bin and scripts
# on PATH; only the ports are mapped to this file's own.
load helpers

setup_file() {
  free_block 12
  PROJECT=$BATS_FILE_TMPDIR/project
  export PROJECT
  mkdir -p "$PROJECT"
  cp -Rp "$ROOT/scripts" "$ROOT/config" "$ROOT/bin" "$ROOT/go.mod" "$PROJECT/"
  DIR=$PROJECT/.aikv
  export DIR
}
teardown_file() { cluster_down; }

setup() {
  requires redis-cli
  export CLUSTER_BASE_PORT=$BASE
  export PATH="$PROJECT/bin:$PROJECT/scripts:$PATH"
}
teardown() { stop_nodes KILL; }

# block: runs the commands on stdin as printed, but for the ports. Those are whole
# numbers: a node's id may contain the same digits.
block() {
  local text port edits=()
  for port in 0 1 2 3 4 5; do
    edits+=(-e "s/(^|[^0-9])$((6379 + port))([^0-9]|\$)/\1$((BASE + port))\2/g")
    edits+=(-e "s/(^|[^0-9])$((50051 + port))([^0-9]|\$)/\1$((BASE + port + RAFT_OFFSET))\2/g")
  done
  text=$(sed -E "${edits[@]}")
  (cd "$PROJECT" && bash -c "$text" 3>&-)
}

fresh() { # no cluster, no data
  (cd "$PROJECT" && aikv-tool cluster clean -q -y 3>&-)
}

up() { (cd "$PROJECT" && ./scripts/cluster_init.sh -q 3>&-) >/dev/null; }

bare_nodes() { # six nodes that nobody has initialised, on the guide's ports
  fresh
  NODES=$BATS_TEST_TMPDIR/nodes
  start_nodes 6
}

# --- Issue 1: redis-cli --cluster create hangs --------------------------------

@test "issue 1: redis-cli --cluster create does not hang" {
  bare_nodes
  local node addrs=()
  for node in 0 1 2 3 4 5; do addrs+=("127.0.0.1:$((BASE + node))"); done
  exits 0 within 10 redis-cli --cluster create "${addrs[@]}" --cluster-replicas 1 --cluster-yes
  [[ $output == *"All 16384 slots covered"* ]]
}

@test "issue 1, block: aikv-tool" {
  fresh
  exits 0 block <<'BLOCK'
# One-click cluster deployment (6 nodes: 3 masters + 3 replicas)
aikv-tool cluster setup

# Verify cluster status
aikv-tool cluster status

# Connect and test
redis-cli -c -h 127.0.0.1 -p 6379 </dev/null
BLOCK
  [[ $output == *"The cluster is ready"*"MetaRaft leader"* ]]
  topology_agrees 6
}

@test "issue 1, block: the initialization script" {
  fresh
  exits 0 block <<'BLOCK'
./scripts/cluster_init.sh
BLOCK
  topology_agrees 6
}

@test "issue 1, block: individual node status" {
  up
  local port
  for port in 6379 6380 6381 6382 6383 6384; do
    exits 0 block <<<"PORT=$port; redis-cli -p \$PORT CLUSTER NODES"
    [ "$(grep -c connected <<<"$output")" -eq 6 ]
  done
}

# --- Issue 2: a slot on two masters -------------------------------------------

@test "issue 2: no slot is ever on two masters, however parallel the assignment" {
  bare_nodes
  local node pids=()
  for node in 1 2 3 4 5; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
  for node in 0 1 2; do
    on "$node" CLUSTER ADDSLOTS 0 >"$BATS_TEST_TMPDIR/$node" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  is 1 bash -c "cat '$BATS_TEST_TMPDIR'/[012] | grep -c '^OK'"
  is 2 bash -c "cat '$BATS_TEST_TMPDIR'/[012] | grep -c 'Slot 0 is already busy'"
  topology_agrees 6
}

@test "issue 2, block: clear the state on all nodes, then the script" {
  up
  exits 0 block <<'BLOCK'
for port in 6379 6380 6381 6382 6383 6384; do
    redis-cli -p $port CLUSTER RESET SOFT
done
BLOCK
  is $'OK\nOK\nOK\nOK\nOK\nOK' echo "$(grep . <<<"$output")"
  local node
  for node in 0 1 2 3 4 5; do is 1 info_field "$node" cluster_known_nodes; done
  exits 0 block <<'BLOCK'
./scripts/cluster_init.sh
BLOCK
  topology_agrees 6
}

# --- Issue 3: a replica shown as a master -------------------------------------

@test "issue 3, block: set a replica by hand; every node shows it at once" {
  bare_nodes
  local node
  for node in 1 2 3 4 5; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 16383
  exits 0 block <<'BLOCK'
# Get master node ID
MASTER_ID=$(redis-cli -p 6379 CLUSTER MYID)

# Set replica on port 6383
redis-cli -p 6383 CLUSTER REPLICATE $MASTER_ID
BLOCK
  has OK echo "$output"
  for node in 0 1 2 3 4 5; do shows "slave $(id_of 0)" on "$node" CLUSTER NODES; done
  topology_agrees 6
}

# --- Issue 4: masters that do not see each other ------------------------------

@test "issue 4, block: MEET from each side; both see each other at once" {
  bare_nodes
  exits 0 block <<'BLOCK'
# From node 1, meet node 2
redis-cli -p 6379 CLUSTER MEET 127.0.0.1 6380

# From node 2, meet node 1 (bidirectional)
redis-cli -p 6380 CLUSTER MEET 127.0.0.1 6379
BLOCK
  is $'OK\nOK' echo "$(grep . <<<"$output")"
  topology_agrees 2
  exits 0 block <<'BLOCK'
./scripts/cluster_init.sh
BLOCK
  topology_agrees 6
}

# --- Issue 5: the state stays fail --------------------------------------------

@test "issue 5: a half-assigned cluster shows it; the missing slots are enough" {
  bare_nodes
  local node
  for node in 1 2 3 4 5; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 5460
  has cluster_state:fail on 0 CLUSTER INFO
  has cluster_slots_assigned:5461 on 3 CLUSTER INFO
  exits 0 block <<'BLOCK'
redis-cli -p 6379 CLUSTER SLOTS
BLOCK
  [[ $output == 0$'\n'5460* ]]
  is OK on 0 CLUSTER ADDSLOTS $(seq 5461 16383)
  for node in 0 1 2 3 4 5; do retry 5 is ok info_field "$node" cluster_state; done
}

@test "issue 5, block: or reinitialize: the script finishes it" {
  bare_nodes
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 5460
  exits 0 block <<'BLOCK'
./scripts/cluster_init.sh
BLOCK
  retry 10 is ok info_field 5 cluster_state
}

# --- CLUSTER METARAFT ---------------------------------------------------------

@test "METARAFT, block: the workflow for a new voting member" {
  bare_nodes
  local id
  retry 5 has voter on 1 CLUSTER METARAFT MEMBERS
  id=$(on 1 CLUSTER METARAFT MEMBERS | awk 'NF >= 2 { print $2; exit }')
  run block <<BLOCK
# 1. Add node as learner
redis-cli -p 6379 CLUSTER METARAFT ADDLEARNER $id 127.0.0.1:50052
BLOCK
  has OK echo "$output"
  # 2. Wait for learner to sync (check logs)
  retry 10 grep -h "MetaRaft.*caught up" "$NODES/0.log" "$NODES/1.log"
  exits 0 block <<BLOCK
# 3. Promote to voter
redis-cli -p 6379 CLUSTER METARAFT PROMOTE $id

# 4. Verify membership
redis-cli -p 6379 CLUSTER METARAFT MEMBERS
BLOCK
  has OK echo "$output"
  retry 10 is 2 bash -c "redis-cli -p $BASE CLUSTER METARAFT MEMBERS | grep -cw voter"
}

@test "METARAFT, block: MEMBERS and STATUS" {
  up
  exits 0 block <<'BLOCK'
redis-cli -p 6379 CLUSTER METARAFT MEMBERS
redis-cli -p 6379 CLUSTER METARAFT STATUS
BLOCK
  [[ $output == *voter*leader:* ]]
}

# --- Verification checklist ---------------------------------------------------

@test "checklist, block: all nodes see each other" {
  up
  run block <<'BLOCK'
redis-cli -p 6379 CLUSTER NODES | wc -l  # Should be 6 for 6-node cluster
BLOCK
  [ "$((output))" -eq 6 ]
}

@test "checklist, block: all slots assigned" {
  up
  run block <<'BLOCK'
redis-cli -p 6379 CLUSTER INFO | grep cluster_slots_assigned
BLOCK
  is cluster_slots_assigned:16384 echo "$output"
}

@test "checklist, block: cluster state is OK" {
  up
  run block <<'BLOCK'
redis-cli -p 6379 CLUSTER INFO | grep cluster_state
BLOCK
  is cluster_state:ok echo "$output"
}

@test "checklist, block: replicas are assigned" {
  up
  run block <<'BLOCK'
redis-cli -p 6379 CLUSTER NODES | grep slave
BLOCK
  [ "$(grep -c slave <<<"$output")" -eq 3 ]
}

@test "checklist, block: can write and read keys" {
  up
  run block <<'BLOCK'
redis-cli -c -p 6379 SET testkey testvalue
redis-cli -c -p 6380 GET testkey
BLOCK
  is $'OK\ntestvalue' echo "$output"
}

# --- Getting help -------------------------------------------------------------

@test "help, block: the log is where the guide has it, with MetaRaft lines" {
  up
  exits 0 block <<'BLOCK'
tail -n 5 logs/aikv.log
grep "MetaRaft" logs/aikv.log
BLOCK
  [[ $output == *MetaRaft* ]]
}

@test "help, block: debug logging in config/aikv-cluster.toml acts after a restart" {
  up
  aikv-tool cluster stop -q
  sed 's/^level *=.*/level = "debug"/' "$ROOT/config/aikv-cluster.toml" >"$PROJECT/config/aikv-cluster.toml"
  grep -q '^level = "debug"' "$PROJECT/config/aikv-cluster.toml"
  aikv-tool cluster start -q 3>&-
  cp "$ROOT/config/aikv-cluster.toml" "$PROJECT/config/aikv-cluster.toml"
  is $'loglevel\ndebug' on 0 CONFIG GET loglevel
  retry 5 grep -q "level=DEBUG" "$PROJECT/logs/aikv.log"
}

@test "help, block: what a report should contain" {
  up
  exits 0 block <<'BLOCK'
aikv --version
BLOCK
  [[ $output == "aikv "* ]]
  local port
  for port in 6379 6380 6381 6382 6383 6384; do
    exits 0 block <<<"redis-cli -p $port CLUSTER INFO; redis-cli -p $port CLUSTER NODES"
    [[ $output == *cluster_state:ok*connected* ]]
  done
}
