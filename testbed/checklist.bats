#!/usr/bin/env bats
# The checklist: what a healthy cluster shows, and that each point can fail.
load helpers

setup_file() {
  free_block 12
  cluster_up -q
}
teardown_file() { cluster_down; }
setup() { requires redis-cli; }

check() { cluster_init.sh --base-port "$BASE" --dir "$DIR" --check-only "$@"; }

@test "every point holds on a new cluster" {
  exits 0 check
  [[ $output == *"healthy"* ]]
  local point
  for point in see slots state replicas voters write; do [[ $output == *"✓ $point"* ]]; done
}

@test "it is checked on every node, and says so" {
  run check
  [[ $output == *"seen by 6 of 6"* ]]
  [[ $output == *"the same on 6 of 6"* ]]
  [[ $output == *"ok on 6 of 6"* ]]
}

@test "every node shows the same topology" { topology_agrees 6; }

@test "slots are split as redis-cli splits them" {
  has " 0-5460" on 3 CLUSTER NODES
  has " 5461-10922" on 4 CLUSTER NODES
  has " 10923-16383" on 5 CLUSTER NODES
}

@test "the check leaves no key behind" {
  check -q
  local node
  for node in 0 1 2; do is 0 on "$node" DBSIZE; done
}

@test "--json carries the points" {
  run --separate-stderr check --json
  [ "$status" -eq 0 ]
  [[ $output == '{"schema":1,"ok":true,"action":"checked",'* ]]
  [[ $output == *'"check":"voters","ok":true'* ]]
}

@test "a missing slot fails it with exit 7 and is named; the next run repairs it" {
  is OK on 0 CLUSTER DELSLOTS 100
  exits 7 check
  [[ $output == *"missing 100"* ]]
  exits 0 cluster_init.sh --base-port "$BASE" --dir "$DIR"
  is 16384 info_field 5 cluster_slots_assigned
}

@test "a dead node fails it with exit 6 and is named" {
  local pid
  pid=$(<"$DIR/pids/node6.pid")
  kill -KILL "$pid"
  gone 5 "$pid"
  exits 6 check
  [[ $output == *"127.0.0.1:$((BASE + 5))"* ]]
  exits 0 cluster_init.sh --base-port "$BASE" --dir "$DIR"
  exits 0 check
}

@test "aikv-tool cluster status shows nodes, groups and MetaRaft" {
  exits 0 aikv-tool cluster status --base-port "$BASE" --dir "$DIR"
  local node
  for node in 0 1 2 3 4 5; do [[ $output == *"127.0.0.1:$((BASE + node))"* ]]; done
  [[ $output == *"leader"* && $output == *"follower"* ]]
  [[ $output == *"MetaRaft leader 127.0.0.1:"* ]]
  [[ $output == *"5 voters"* ]]
}
