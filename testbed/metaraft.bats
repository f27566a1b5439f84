#!/usr/bin/env bats
# CLUSTER METARAFT: members, learners, promotion, status.
load helpers

setup() { requires redis-cli; }
teardown() { wipe_nodes; }

decimal_of() { # the id of a node as METARAFT takes it in decimal
  retry 5 has "$(id_of "$1")" on "$1" CLUSTER METARAFT MEMBERS
  on "$1" CLUSTER METARAFT MEMBERS | awk -v id="$(id_of "$1")" '$1 == id { print $2 }'
}

@test "MEMBERS names every node with its role, on every node" {
  start_nodes 3
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
  local node
  for node in 0 1 2; do has "$(id_of "$node")" on 1 CLUSTER METARAFT MEMBERS; done
  has voter on 2 CLUSTER METARAFT MEMBERS
}

@test "three nodes end as three voters, six as an odd number up to five" {
  start_nodes 6
  local node
  for node in 1 2; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
  retry 10 is 3 bash -c "redis-cli -p $BASE CLUSTER METARAFT MEMBERS | grep -cw voter"
  for node in 3 4 5; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
  retry 15 is 5 bash -c "redis-cli -p $((BASE + 5)) CLUSTER METARAFT MEMBERS | grep -cw voter"
}

@test "STATUS: key:value lines with leader, term, commit, applied, voters, learners" {
  start_nodes 1
  local field
  for field in leader term commit applied voters learners; do
    has "$field:" on 0 CLUSTER METARAFT STATUS
  done
}

@test "the guide's workflow: ADDLEARNER, the log says caught up, PROMOTE" {
  start_nodes 2
  local id
  id=$(decimal_of 1)
  is OK on 0 CLUSTER METARAFT ADDLEARNER "$id" 127.0.0.1:$((BASE + 1 + RAFT_OFFSET))
  topology_agrees 2
  retry 10 grep -h "MetaRaft.*learner.*caught up" "$NODES/0.log" "$NODES/1.log"
  has OK on 0 CLUSTER METARAFT PROMOTE "$id"
  retry 10 is 2 bash -c "redis-cli -p $BASE CLUSTER METARAFT MEMBERS | grep -cw voter"
}

@test "ADDLEARNER of a member is OK; of a client port or a wrong id, an error that says so" {
  start_nodes 2
  is OK on 0 CLUSTER METARAFT ADDLEARNER "$(id_of 0)" 127.0.0.1:$((BASE + RAFT_OFFSET))
  has ERR on 0 CLUSTER METARAFT ADDLEARNER "$(decimal_of 1)" 127.0.0.1:$((BASE + 1))
  has ERR on 0 CLUSTER METARAFT ADDLEARNER 1234567890 127.0.0.1:$((BASE + 1 + RAFT_OFFSET))
  is 1 info_field 0 cluster_known_nodes
}

@test "PROMOTE of an id that nobody has is an error" {
  start_nodes 1
  has ERR on 0 CLUSTER METARAFT PROMOTE 1234567890
}

# takes_slot NODE SLOT: it is assigned, by this try or by one that was UNCERTAIN.
takes_slot() {
  on "$1" CLUSTER ADDSLOTS "$2" | grep -qE "^OK|Slot $2 is already busy"
}

@test "topology changes go on when MetaRaft's leader dies" {
  start_nodes 3
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
  retry 10 is 3 bash -c "redis-cli -p $BASE CLUSTER METARAFT MEMBERS | grep -cw voter"
  local leader node
  leader=$(on 0 CLUSTER METARAFT STATUS | tr -d '\r' | sed -n 's/^leader://p')
  for node in 0 1 2; do
    if [[ $leader == *"$(id_of "$node")"* ]]; then break; fi
  done
  stop_node "$node" KILL
  local other=$(((node + 1) % 3))
  retry 10 takes_slot "$other" 1
  is 1 info_field $(((node + 2) % 3)) cluster_slots_assigned
}
