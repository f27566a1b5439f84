#!/usr/bin/env bats
# Nodes that stop and come back: by SIGTERM and by kill -9, one and all. Whatever
# was acknowledged is there.
load helpers

setup_file() {
  free_block 12
  cluster_up -q
}
teardown_file() { cluster_down; }
setup() { requires redis-cli; }

# write_keys FIRST LAST FILE: writes until LAST or the cluster is gone; the keys
# that were acknowledged go to FILE.
write_keys() {
  local i
  for ((i = $1; i <= $2; i++)); do
    if [[ $(c $((i % 6)) SET "r:$i" "v$i" 2>/dev/null) == OK ]]; then echo "$i" >>"$3"; fi
  done
}

lines_in() { (($(wc -l <"$1") >= $2)); }

# all_there FILE: every key of FILE has its value. That a shard has no leader yet is
# known to all nodes only after a node_timeout, so a read may have to be repeated.
all_there() {
  local i missing=0
  while read -r i; do
    if ! retry 15 is "v$i" c $((i % 6)) GET "r:$i" >/dev/null 2>&1; then
      echo "lost r:$i" >&2
      missing=$((missing + 1))
    fi
  done <"$1"
  ((missing == 0))
}

signal_nodes() { # SIGNAL NODE…: and waits until they are gone
  local signal=$1 node pids=() pid
  shift
  for node in "$@"; do pids+=("$(<"$DIR/pids/node$node.pid")"); done
  kill "-$signal" "${pids[@]}"
  for pid in "${pids[@]}"; do gone 15 "$pid"; done
}

back() { # starts what is stopped, without any init
  aikv-tool cluster start -q --dir "$DIR" 3>&-
  local node
  for node in 0 1 2 3 4 5; do retry 15 is ok info_field "$node" cluster_state; done
}

@test "SIGTERM of one master: exit without a trace, its shard goes on, it comes back" {
  local acked=$BATS_TEST_TMPDIR/acked
  write_keys 1 60 "$acked"
  signal_nodes TERM 1
  retry 10 is OK c 1 SET '{06S}while' away
  back
  all_there "$acked"
  retry 15 topology_agrees 6
}

@test "kill -9 of one master: its replica takes over, nothing is lost" {
  local acked=$BATS_TEST_TMPDIR/acked
  write_keys 100 160 "$acked"
  local victim
  victim=$(on 0 CLUSTER NODES | awk '/ 0-5460$/ { split($2, a, "[:@]"); print a[2] }')
  signal_nodes KILL $((victim - BASE + 1))
  local other=$(((victim - BASE + 1) % 6))
  retry 15 is OK c "$other" SET '{06S}after' kill
  back
  all_there "$acked"
}

@test "SIGTERM of all six and start: the same cluster, no init" {
  local acked=$BATS_TEST_TMPDIR/acked ids
  ids=$(topology_of 0 | cut -d ' ' -f 1,2)
  write_keys 200 260 "$acked"
  signal_nodes TERM 1 2 3 4 5 6
  back
  is "$ids" bash -c "redis-cli -p $BASE CLUSTER NODES | cut -d ' ' -f 1,2 | sort"
  all_there "$acked"
}

@test "kill -9 of all six in the middle of writes: every acknowledged write is there" {
  local acked=$BATS_TEST_TMPDIR/acked round
  : >"$acked"
  for round in 1 2 3; do
    write_keys $((round * 10000)) $((round * 10000 + 5000)) "$acked" 3>&- &
    local writer=$!
    retry 20 lines_in "$acked" $((round * 40))
    signal_nodes KILL 1 2 3 4 5 6
    kill "$writer" 2>/dev/null || true
    wait "$writer" 2>/dev/null || true
    back
    all_there "$acked"
  done
  retry 15 topology_agrees 6
}

@test "kill -9 of two nodes: a shard may wait for them, nothing is lost" {
  local acked=$BATS_TEST_TMPDIR/acked
  write_keys 300 330 "$acked"
  signal_nodes KILL 2 5
  back
  all_there "$acked"
}

@test "SIGTERM exits 0" {
  # Not node_begin: of a process that was disowned, wait knows no exit code.
  local pid status=0 port=$((BASE + 8))
  env -u AIKV_BIN aikv serve -p "$port" --raft-port $((port + RAFT_OFFSET)) --data-dir "$BATS_TEST_TMPDIR/data" \
    </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  pid=$!
  retry 10 answers 8
  kill -TERM "$pid"
  wait "$pid" || status=$?
  [ "$status" -eq 0 ]
}

@test "a data folder in use, a port in use: one clear line, exit not 0" {
  run within 10 aikv serve -p $((BASE + 9)) --raft-port $((BASE + 9 + RAFT_OFFSET)) --data-dir "$DIR/data/node1"
  [ "$status" -ne 0 ]
  [ "$status" -ne 124 ]
  [[ $output == *"data"* ]]
  run within 10 aikv serve -p "$BASE" --raft-port $((BASE + 9 + RAFT_OFFSET)) --data-dir "$BATS_TEST_TMPDIR/x"
  [ "$status" -ne 0 ]
  [ "$status" -ne 124 ]
  [[ $output == *"$BASE"* ]]
}
