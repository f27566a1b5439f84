#!/usr/bin/env bats
# A server that is not ours on a port of ours, a node of another cluster or a real
# Redis: it is named, and nothing is done to it.
load helpers

setup_file() {
  free_block 12
  cluster_up -q --shards 2
  # The stranger of the port of node 2 has slots and a key.
  aikv-tool cluster kill -q 2 --dir "$DIR"
  export NODES=$BATS_FILE_TMPDIR/strangers
  node_begin 1
  retry 30 answers 1
  is OK on 1 CLUSTER ADDSLOTSRANGE 0 16383
  is OK on 1 SET theirs 1
}
teardown_file() {
  stop_nodes KILL
  cluster_down
}
setup() {
  requires redis-cli
  export CLUSTER_DIR=$DIR
  OTHER_PID=""
}
teardown() { if [[ -n $OTHER_PID ]]; then kill -KILL "$OTHER_PID" 2>/dev/null || true; fi; }

tool() { aikv-tool cluster "$@" 3>&-; }
untouched() {
  is 1 on 1 GET theirs
  is 16384 info_field 1 cluster_slots_assigned
  is 1 info_field 1 cluster_known_nodes
}

@test "start and setup refuse it, also with --reset, and touch nothing" {
  exits 4 tool start
  [[ $output == *"127.0.0.1:$((BASE + 1)), the port of node 2 of $DIR: another node, $(id_of 1), with its data in $NODES/1"* ]]
  exits 4 tool setup
  exits 4 cluster_init.sh --dir "$DIR" --reset --yes
  exits 4 tool verify
  untouched
  has "slave" on 0 CLUSTER NODES # ours is as it was, too
}

@test "status and doctor name it, and advise nothing against it" {
  exits 7 tool status
  [[ $output == *"127.0.0.1:$((BASE + 1))"*" alien "*"the client port of node 2, is taken by another node, $(id_of 1)"* ]]
  [[ $output != *FORGET* && $output != *--reset* && $output != *MEET* && $output != *"two masters"* ]]
  exits 7 tool doctor --fix --yes
  [[ $output == *"with its data in $NODES/1"*"do:  "*": aikv-tool cluster start 2 --dir $DIR"* ]]
  [[ $output != *FORGET* && $output != *--reset* && $output != *MEET* ]]
  untouched
}

@test "partition and heal leave it alone" {
  exits 0 tool partition 2
  [[ $output == *"another node answers in the place of node 2"* ]]
  exits 0 tool heal
  untouched
}

@test "when it has gone, start is all that is needed" {
  stop_node 1 KILL
  exits 0 tool start
  retry 60 tool verify -q
  exits 0 tool status
}

@test "a node of ours that was started in another way is ours, by its id" {
  local id
  id=$(id_of 1)
  tool stop -q 2
  mkdir -p "$BATS_TEST_TMPDIR/moved"
  mv "$DIR/data/node2" "$BATS_TEST_TMPDIR/moved/1"
  mkdir "$DIR/data/node2"
  NODES=$BATS_TEST_TMPDIR/moved node_begin 1
  OTHER_PID=$(<"$BATS_TEST_TMPDIR/moved/1.pid")
  retry 30 answers 1
  is "$id" id_of 1
  run ! grep -q "another node" <(tool status)
  kill -KILL "$OTHER_PID"
  gone 10 "$OTHER_PID"
  rmdir "$DIR/data/node2"
  mv "$BATS_TEST_TMPDIR/moved/1" "$DIR/data/node2"
}

@test "a real Redis Cluster node in a port of ours: status does not speak of its slots" {
  requires redis-server
  tool stop -q 2
  redis-server --port $((BASE + 1)) --cluster-port $((BASE + 9)) --bind 127.0.0.1 --cluster-enabled yes --save '' \
    --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  OTHER_PID=$!
  disown "$OTHER_PID" # bash has nothing to say about its end
  retry 30 redis-cli -p $((BASE + 1)) PING
  is OK on 1 CLUSTER ADDSLOTSRANGE 0 16383
  exits 7 tool status
  [[ $output == *"the client port of node 2, is taken by "*"aikv-tool cluster start 2"* ]]
  [[ $output != *--reset* && $output != *"two masters"* && $output != *FORGET* ]]
  exits 7 tool doctor
  [[ $output != *--reset* && $output != *"two masters"* && $output != *FORGET* ]]
  kill -KILL "$OTHER_PID"
  gone 10 "$OTHER_PID"
  retry 30 tool start -q
}
