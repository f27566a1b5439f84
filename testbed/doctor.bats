#!/usr/bin/env bats
# aikv-tool cluster doctor: the five situations of the troubleshooting guide and
# the usual others, each recognised, with a command to type that helps as printed.
load helpers

setup_file() {
  free_block 12
  NODES=$BATS_FILE_TMPDIR/nodes
  start_nodes 6
}
teardown_file() { stop_nodes KILL; }

setup() {
  requires redis-cli
  DIR=$BATS_TEST_TMPDIR/none
  OTHER_PID=""
  local node
  for node in 0 1 2 3 4 5; do is OK on "$node" CLUSTER RESET; done
}
teardown() { if [[ -n $OTHER_PID ]]; then kill -KILL "$OTHER_PID" 2>/dev/null || true; fi; }

doctor() { aikv-tool cluster doctor --base-port "$BASE" --dir "$DIR" "$@" 3>&-; }

# do_it: types the first command that the last output of doctor says.
do_it() {
  local line
  # shellcheck disable=SC2154 # output is set by run
  line=$(sed -n 's/^ *do:  *//p' <<<"$output" | head -n 1)
  bash -c "$line" >/dev/null
}

met() { # all six, by hand
  local node
  for node in 1 2 3 4 5; do is OK on "$node" CLUSTER MEET 127.0.0.1 "$BASE"; done
}

slots() {
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 5460
  is OK on 1 CLUSTER ADDSLOTSRANGE 5461 10922
  is OK on 2 CLUSTER ADDSLOTSRANGE 10923 16383
}

follow() {
  local node
  for node in 3 4 5; do is OK on "$node" CLUSTER REPLICATE "$(id_of $((node - 3)))"; done
}

@test "nodes that run and were never initialised; --fix makes them a cluster" {
  exits 7 doctor
  [[ $output == *"are not a cluster yet"*"do:  aikv-tool cluster setup --dir $DIR --base-port $BASE"* ]]
  exits 0 doctor --fix --yes
  [[ $output == *"nothing is wrong"* ]]
  topology_agrees 6
}

@test "issue 1: create that was interrupted before the nodes met" {
  slots
  exits 7 doctor
  [[ $output == *"3 nodes with slots have not met the others"*"--cluster create was interrupted"* ]]
  exits 0 doctor --fix --yes
  is 16384 info_field 5 cluster_slots_assigned
  topology_agrees 6
}

@test "issue 2: a slot on two masters is two clusters; nothing is erased by --fix" {
  is OK on 0 CLUSTER ADDSLOTS 0 7
  is OK on 1 CLUSTER ADDSLOTS 0
  is OK on 2 CLUSTER ADDSLOTS 7 # the second one on other masters than the first
  exits 7 doctor --fix --yes
  [[ $output == *"slot 0 and 1 others are on two masters, 127.0.0.1:$BASE and 127.0.0.1:$((BASE + 1))"*"different clusters"*"--reset"* ]]
  is 2 info_field 0 cluster_slots_assigned
  is 1 info_field 1 cluster_slots_assigned
}

@test "issue 3: a master that should be a replica, with the REPLICATE to type" {
  met
  slots
  is OK on 3 CLUSTER REPLICATE "$(id_of 0)"
  is OK on 4 CLUSTER REPLICATE "$(id_of 1)"
  exits 7 doctor
  [[ $output == *"127.0.0.1:$((BASE + 5)) is a master without slots"*"redis-cli -h 127.0.0.1 -p $((BASE + 5)) CLUSTER REPLICATE $(id_of 2)"* ]]
  do_it
  retry 20 doctor
}

@test "issue 4: a node that was not met, with the MEET to type" {
  met
  slots
  is OK on 5 CLUSTER RESET
  exits 7 doctor
  [[ $output == *"does not know 127.0.0.1:$((BASE + 5))"*"CLUSTER MEET 127.0.0.1 $((BASE + 5))"* ]]
  do_it
  is 6 info_field 5 cluster_known_nodes
  follow
  retry 20 doctor
}

@test "issue 5: the state stays fail, with the ADDSLOTSRANGE to type" {
  met
  slots
  follow
  is OK on 4 CLUSTER DELSLOTS 100 300 301
  exits 7 doctor
  [[ $output == *"3 of 16384 slots are assigned to nobody"*"-p $BASE CLUSTER ADDSLOTSRANGE 100 100 300 301"* ]]
  do_it
  retry 20 doctor
  is OK on 4 CLUSTER DELSLOTS 5 6000
  has "-p $BASE CLUSTER ADDSLOTSRANGE 5 5; redis-cli -h 127.0.0.1 -p $((BASE + 1)) CLUSTER ADDSLOTSRANGE 6000 6000" doctor
  exits 0 doctor --fix --yes
}

@test "a node of the cluster that is gone for good is forgotten" {
  met
  slots
  follow
  node_begin 6
  retry 10 answers 6
  is OK on 6 CLUSTER MEET 127.0.0.1 "$BASE"
  exits 7 doctor
  [[ $output == *"a node that was not named, 127.0.0.1:$((BASE + 6))"* ]]
  stop_node 6 KILL
  retry 20 has "a node that is gone, 127.0.0.1:$((BASE + 6))" doctor
  exits 0 doctor --fix --yes
  topology_agrees 6
  rm -rf "${NODES:?}/6"
}

@test "a stranger on a port: who it is" {
  requires redis-server lsof
  local port=$((BASE + 8))
  redis-server --port $port --bind 127.0.0.1 --save '' --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  OTHER_PID=$!
  disown "$OTHER_PID" # bash has nothing to say about its end
  retry 10 redis-cli -p $port PING
  exits 8 aikv-tool cluster doctor --base-port $port --dir "$DIR" --shards 1 --replicas-per-shard 0
  [[ $output == *"127.0.0.1:$port, the client port of node 1, is taken by redis-server"*"(process $OTHER_PID)"* ]]
}

@test "an announced address that nobody can reach" {
  local port=$((BASE + 8))
  node_begin 8 --announce-port $((BASE + 11))
  retry 10 answers 8
  run aikv-tool cluster doctor -m "127.0.0.1:$port"
  stop_node 8 KILL
  [ "$status" -eq 7 ]
  [[ $output == *"127.0.0.1:$port tells clients to go to 127.0.0.1:$((BASE + 11)), where nobody listens"* ]]
}

@test "a disk that is almost full" {
  mkdir -p "$BATS_TEST_TMPDIR/bin" "$DIR"
  printf '#!/bin/sh\necho "Filesystem 1024-blocks Used Available Capacity Mounted on"\necho "/dev/x 100 99 2048 99%% /"\n' >"$BATS_TEST_TMPDIR/bin/df"
  chmod +x "$BATS_TEST_TMPDIR/bin/df"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH exits 7 doctor
  [[ $output == *"only 2 MB are free for $DIR"* ]]
}

# diagnosis ANSWER…: what is found if the nodes answer so.
diagnosis() {
  # shellcheck disable=SC2034 # the scripts read them
  local WORK=$BATS_TEST_TMPDIR/work ADDRS=() answer MASTERS=1 REPLICAS=0 LOOSE=0 NUMS=() STATES=() SCRIPTS=$ROOT/scripts
  mkdir -p "$WORK"
  for answer in "$@"; do
    printf '%s\n@@end\n' "$answer" >"$WORK/ans.${#ADDRS[@]}"
    ADDRS+=("127.0.0.1:$((7000 + ${#ADDRS[@]}))")
  done
  # shellcheck source=../scripts/lib/state.sh
  source "$ROOT/scripts/lib/state.sh"
  # shellcheck source=../scripts/lib/diagnose.sh
  source "$ROOT/scripts/lib/diagnose.sh"
  MASTERS=1 REPLICAS=1
  state_run diagnosis client=redis-cli down=0
}

@test "clocks that differ, versions that differ, a node that the others do not hear" {
  local first second
  first=$'@@info\nserver_time_usec:1000000000\naikv_version:v1\nmetaraft:role=leader,settled=1\ngroup_0:id=g,kind=data,role=leader,leader=aa,settled=1\n@@nodes\naa 127.0.0.1:7000@1 myself,master - 0 0 1 connected 0-16383\nbb 127.0.0.1:7001@2 slave aa 0 0 1 connected'
  second=$'@@info\nserver_time_usec:1000900000\naikv_version:v1\n@@nodes\naa 127.0.0.1:7000@1 master - 0 0 1 connected 0-16383\nbb 127.0.0.1:7001@2 myself,slave aa 0 0 1 connected'
  is "" diagnosis "$first" "$second"
  has "the clock of 127.0.0.1:7000 is 60 s behind that of 127.0.0.1:7001" diagnosis "$first" "${second/1000900000/1060000000}"
  has "127.0.0.1:7001 runs aikv v2, others v1" diagnosis "$first" "${second/:v1/:v2}"
  has "127.0.0.1:7001 answers here, but 1 node does not hear it" diagnosis "${first/slave aa 0 0 1 connected/slave,fail aa 0 0 1 disconnected}" "$second"
  local taken=$'@@nodes\naa 127.0.0.1:7000@1 slave bb 0 0 2 connected\nbb 127.0.0.1:7001@2 myself,master - 0 0 2 connected 0-16383'
  has "slot 0 and 16383 others have another owner for some nodes than for others" diagnosis "$first" "${second%%@@nodes*}$taken"
  has "MetaRaft has no leader" diagnosis "${first/role=leader,settled/role=follower,settled}" "$second"
  has "nobody serves the slots 0-16383 of 127.0.0.1:7000" diagnosis "${first/data,role=leader/data,role=candidate}" "$second"
}

@test "a healthy cluster: nothing is wrong, exit 0" {
  met
  slots
  follow
  retry 20 doctor
  exits 0 doctor
  [[ $output == *"nothing is wrong"*"cluster: ok"* ]]
  is true bash -c "aikv-tool cluster doctor --base-port $BASE --dir '$DIR' --json | jq .ok"
}
