#!/usr/bin/env bats
# redis-cli --cluster create, as it is, ten times in a row.
load helpers

setup() { requires redis-cli timeout; }
teardown() { wipe_nodes; }

@test "create with a replica each and check succeed within 10 s, ten times in a row" {
  local round node addrs begin
  for round in 1 2 3 4 5 6 7 8 9 10; do
    start_nodes 6
    addrs=()
    for node in 0 1 2 3 4 5; do addrs+=("127.0.0.1:$((BASE + node))"); done
    begin=$SECONDS
    echo "round $round"
    exits 0 within 10 redis-cli --cluster create "${addrs[@]}" --cluster-replicas 1 --cluster-yes
    [[ $output == *"All 16384 slots covered"* ]]
    exits 0 within 10 redis-cli --cluster check "${addrs[3]}"
    [[ $output == *"All nodes agree about slots configuration"* ]]
    ((SECONDS - begin <= 10 * PATIENCE))
    retry 5 topology_agrees 6
    [ "$(on 0 CLUSTER NODES | grep -c slave)" -eq 3 ]
    wipe_nodes
  done
}

has_nodes() { is "$2" info_field "$1" cluster_known_nodes; }

@test "add-node as a master and as a replica, and del-node" {
  start_nodes 7
  local node addrs=() id
  for node in 0 1 2 3 4 5; do addrs+=("127.0.0.1:$((BASE + node))"); done
  exits 0 within 20 redis-cli --cluster create "${addrs[@]}" --cluster-replicas 1 --cluster-yes
  id=$(id_of 6)
  exits 0 within 20 redis-cli --cluster add-node "127.0.0.1:$((BASE + 6))" "127.0.0.1:$BASE"
  topology_agrees 7
  exits 0 within 20 redis-cli --cluster del-node "127.0.0.1:$BASE" "$id"
  topology_agrees 6
  retry 10 has_nodes 6 1
  exits 0 within 20 redis-cli --cluster add-node "127.0.0.1:$((BASE + 6))" "127.0.0.1:$BASE" \
    --cluster-slave --cluster-master-id "$(id_of 1)"
  topology_agrees 7
  shows "$id 127.0.0.1:$((BASE + 6))@$((BASE + 10006)) slave $(id_of 1)" on 0 CLUSTER NODES
  exits 0 within 20 redis-cli --cluster del-node "127.0.0.1:$BASE" "$id"
  retry 10 has_nodes 6 1
  exits 0 within 20 redis-cli --cluster check "127.0.0.1:$BASE"
}

@test "the cluster it makes passes our own checklist" {
  start_nodes 6
  local node addrs=()
  for node in 0 1 2 3 4 5; do addrs+=("127.0.0.1:$((BASE + node))"); done
  within 10 redis-cli --cluster create "${addrs[@]}" --cluster-replicas 1 --cluster-yes
  exits 0 cluster_init.sh --base-port "$BASE"
  [[ $output == *"nothing was changed"* ]]
}
