#!/usr/bin/env bats
# CLUSTER REPLICATE: roles are the same on every node right after OK.
load helpers

setup() { requires redis-cli; }
teardown() { wipe_nodes; }

# two_and_one: nodes 0 and 1 share the slots, node 2 has none.
two_and_one() {
  start_nodes 3
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 8191
  is OK on 1 CLUSTER ADDSLOTSRANGE 8192 16383
}

@test "right after OK every node shows the replica and its master" {
  two_and_one
  is OK on 2 CLUSTER REPLICATE "$(id_of 0)"
  topology_agrees 3
  shows "slave $(id_of 0)" on 1 CLUSTER NODES
  has "myself,slave" on 2 CLUSTER NODES
  has "$(id_of 2)" on 1 CLUSTER REPLICAS "$(id_of 0)"
}

@test "the replica gets the data, also what was there before" {
  two_and_one
  retry 5 is OK c 0 SET '{x}before' 1
  local owner=0
  [[ $(on 0 GET '{x}before') == 1 ]] || owner=1
  is OK on 2 CLUSTER REPLICATE "$(id_of "$owner")"
  retry 5 is OK c 0 SET '{x}after' 2
  retry 10 is 2 on 2 DBSIZE
  is $'OK\n1\n2' bash -c "printf 'READONLY\nGET {x}before\nGET {x}after\n' | redis-cli -p $((BASE + 2))"
}

@test "a replica redirects readers that did not say READONLY, and refuses writes" {
  two_and_one
  is OK on 2 CLUSTER REPLICATE "$(id_of 0)"
  has "MOVED" on 2 GET '{06S}a'
  has "MOVED" on 2 SET '{06S}a' 1
}

@test "it may follow another master" {
  two_and_one
  is OK on 2 CLUSTER REPLICATE "$(id_of 0)"
  is OK on 2 CLUSTER REPLICATE "$(id_of 1)"
  topology_agrees 3
  shows "slave $(id_of 1)" on 0 CLUSTER NODES
}

@test "the texts of wrong requests" {
  two_and_one
  local none=00000000000000000000000000000000deadbeef
  has "ERR Unknown node $none" on 2 CLUSTER REPLICATE "$none"
  has "ERR Can't replicate myself" on 2 CLUSTER REPLICATE "$(id_of 2)"
  has "ERR To set a master the node must be empty and without assigned slots." on 0 CLUSTER REPLICATE "$(id_of 1)"
  is OK on 2 CLUSTER REPLICATE "$(id_of 0)"
  has "ERR The specified node is not a master" on 0 CLUSTER REPLICAS "$(id_of 2)"
  shows "slave $(id_of 0)" on 1 CLUSTER NODES
}

@test "a replica cannot be replicated" {
  two_and_one
  is OK on 2 CLUSTER REPLICATE "$(id_of 0)"
  node_begin 3
  retry 10 answers 3
  is OK on 3 CLUSTER MEET 127.0.0.1 "$BASE"
  has "ERR I can only replicate a master, not a replica." on 3 CLUSTER REPLICATE "$(id_of 2)"
}
