#!/usr/bin/env bats
# CLUSTER RESET, from one node and from a whole cluster.
load helpers

setup() { requires redis-cli; }
teardown() { wipe_nodes; }

pair() {
  start_nodes 2
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
}

@test "SOFT keeps the id, HARD makes a new one" {
  start_nodes 1
  local id
  id=$(id_of 0)
  is OK on 0 CLUSTER RESET
  is "$id" id_of 0
  is OK on 0 CLUSTER RESET SOFT
  is "$id" id_of 0
  is OK on 0 CLUSTER RESET HARD
  [[ $(id_of 0) != "$id" ]]
  has "ERR syntax error" on 0 CLUSTER RESET GENTLY
}

@test "a node that resets is alone; its slots are free" {
  pair
  is OK on 1 CLUSTER ADDSLOTSRANGE 0 99
  is OK on 1 CLUSTER RESET
  is 1 info_field 1 cluster_known_nodes
  is 0 info_field 1 cluster_slots_assigned
}

@test "a master that holds keys refuses, and keeps everything" {
  start_nodes 1
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 16383
  retry 5 is OK on 0 SET key value
  has "ERR CLUSTER RESET can't be called with master nodes containing keys" on 0 CLUSTER RESET
  is value on 0 GET key
  is OK on 0 FLUSHALL
  is OK on 0 CLUSTER RESET
  is 0 info_field 0 cluster_slots_assigned
}

@test "a replica drops its data" {
  pair
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 16383
  is OK on 1 CLUSTER REPLICATE "$(id_of 0)"
  retry 5 is OK on 0 SET key value
  retry 10 is 1 on 1 DBSIZE
  is OK on 1 CLUSTER RESET
  is 0 on 1 DBSIZE
  retry 5 is value on 0 GET key
}

@test "a whole cluster, node after node, and a new one of the same nodes" {
  start_nodes 3
  local node round
  for round in first second; do
    echo "$round round"
    for node in 1 2; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
    is OK on 0 CLUSTER ADDSLOTSRANGE 0 16383
    topology_agrees 3
    for node in 0 1 2; do is OK on "$node" CLUSTER RESET SOFT; done
    for node in 0 1 2; do
      is 1 info_field "$node" cluster_known_nodes
      is 0 info_field "$node" cluster_slots_assigned
    done
  done
}

@test "RESET works without a quorum, so nobody is ever stuck" {
  start_nodes 3
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
  stop_node 0 KILL
  stop_node 1 KILL
  is OK on 2 CLUSTER RESET HARD
  is 1 info_field 2 cluster_known_nodes
}
