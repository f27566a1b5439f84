#!/usr/bin/env bats
# CLUSTER MEET and FORGET: who joins whom, and what everybody sees right after.
load helpers

setup() { requires redis-cli; }
teardown() { wipe_nodes; }

@test "a lone node knows itself only" {
  start_nodes 1
  is 1 info_field 0 cluster_known_nodes
  is fail info_field 0 cluster_state
  has "myself,master" on 0 CLUSTER NODES
}

@test "right after OK both sides show both nodes" {
  start_nodes 2
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  topology_agrees 2
}

@test "the other direction works as well" {
  start_nodes 2
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  topology_agrees 2
}

@test "self, repeated and mutual MEETs change nothing" {
  start_nodes 2
  is OK on 0 CLUSTER MEET 127.0.0.1 "$BASE"
  is 1 info_field 0 cluster_known_nodes
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  local before
  before=$(topology_of 0)
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is "$before" topology_of 0
  is "$before" topology_of 1
}

@test "two nodes that meet each other at the same moment become one cluster" {
  start_nodes 2
  local a b
  on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1)) >"$BATS_TEST_TMPDIR/a" 3>&- &
  a=$!
  on 1 CLUSTER MEET 127.0.0.1 "$BASE" >"$BATS_TEST_TMPDIR/b" 3>&- &
  b=$!
  wait "$a" "$b"
  is OK cat "$BATS_TEST_TMPDIR/a"
  is OK cat "$BATS_TEST_TMPDIR/b"
  topology_agrees 2
}

@test "five back-to-back MEETs to the first node" {
  start_nodes 6
  local node pids=()
  for node in 1 2 3 4 5; do
    on "$node" CLUSTER MEET 127.0.0.1 "$BASE" >"$BATS_TEST_TMPDIR/$node" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  for node in 1 2 3 4 5; do is OK cat "$BATS_TEST_TMPDIR/$node"; done
  topology_agrees 6
}

@test "a full mesh, all at once" {
  start_nodes 4
  local i j pids=()
  for i in 0 1 2 3; do
    (for j in 0 1 2 3; do on "$i" CLUSTER MEET 127.0.0.1 $((BASE + j)); done) >"$BATS_TEST_TMPDIR/$i" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  for i in 0 1 2 3; do is $'OK\nOK\nOK\nOK' cat "$BATS_TEST_TMPDIR/$i"; done
  topology_agrees 4
}

@test "a chain: each adds its slots, then meets the one before" {
  start_nodes 3
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 5460
  is OK on 1 CLUSTER ADDSLOTSRANGE 5461 10922
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER ADDSLOTSRANGE 10923 16383
  is OK on 2 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  topology_agrees 3
  is 16384 info_field 2 cluster_slots_assigned
  retry 10 is ok info_field 0 cluster_state
}

@test "the first node meets fresh nodes, slots afterwards" {
  start_nodes 3
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 2))
  is OK on 2 CLUSTER ADDSLOTSRANGE 0 16383
  topology_agrees 3
  retry 10 is ok info_field 1 cluster_state
}

@test "addresses that cannot be: Redis's texts" {
  start_nodes 1
  has "ERR Invalid base port specified: x" on 0 CLUSTER MEET 127.0.0.1 x
  has "ERR Invalid node address specified: 127.0.0.1:0" on 0 CLUSTER MEET 127.0.0.1 0
  is 1 info_field 0 cluster_known_nodes
}

@test "nobody there: an error that says so, and nothing has changed" {
  start_nodes 1
  has "ERR" on 0 CLUSTER MEET 127.0.0.1 $((BASE + 15))
  is 1 info_field 0 cluster_known_nodes
  is OK on 0 CLUSTER ADDSLOTS 1
}

@test "two clusters that both own slots are not merged" {
  start_nodes 4
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  is OK on 2 CLUSTER MEET 127.0.0.1 $((BASE + 3))
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 100
  is OK on 2 CLUSTER ADDSLOTSRANGE 200 300
  has "ERR" on 0 CLUSTER MEET 127.0.0.1 $((BASE + 2))
  is 2 info_field 0 cluster_known_nodes
  is 2 info_field 2 cluster_known_nodes
}

@test "FORGET: gone everywhere, forgetting twice is OK, an unknown id is not" {
  start_nodes 3
  local id
  id=$(id_of 2)
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 2))
  is OK on 0 CLUSTER FORGET "$id"
  topology_agrees 2
  is OK on 1 CLUSTER FORGET "$id"
  has "ERR Unknown node 00000000000000000000000000000000deadbeef" on 0 CLUSTER FORGET 00000000000000000000000000000000deadbeef
  has "ERR I tried hard but I can't forget myself..." on 0 CLUSTER FORGET "$(id_of 0)"
}

@test "a forgotten node is alone again, and may come back" {
  start_nodes 2
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  is OK on 0 CLUSTER FORGET "$(id_of 1)"
  retry 10 is 1 info_field 1 cluster_known_nodes
  is OK on 0 CLUSTER MEET 127.0.0.1 $((BASE + 1))
  topology_agrees 2
}
