#!/usr/bin/env bats
# What the tools propose to type works when it is pasted, from another folder and
# without the environment of the call that said it. The cluster's own folder has a
# name that needs quotes.
load helpers

setup_file() {
  free_block 12
  export DIR="$BATS_FILE_TMPDIR/it's a cluster"
  cluster_up -q --shards 2
}
teardown_file() { cluster_down; }
setup() {
  requires redis-cli
  export CLUSTER_DIR=$DIR
  OTHER_PID=""
}
teardown() { if [[ -n $OTHER_PID ]]; then kill -KILL "$OTHER_PID" 2>/dev/null || true; fi; }

tool() { aikv-tool cluster "$@" 3>&-; }
whole() { tool verify -q --timeout $((20 * PATIENCE)); }

# paste TEXT: types the command that the last output proposes in the line with TEXT.
paste() {
  local line
  # shellcheck disable=SC2154 # output is set by run
  line=$(grep -F -e "$1" <<<"$output" | grep -oE '(aikv-tool|redis-cli) .*' | head -n 1)
  if [[ -z $line ]]; then
    printf 'nothing to paste after "%s" in:\n%s\n' "$1" "$output" >&2
    return 1
  fi
  echo "pasting: $line" >&2
  (cd / && env -u CLUSTER_DIR -u CLUSTER_BASE_PORT bash -c "$line" </dev/null 3>&-)
}

@test "status: a node that is down, one that is paused, a partition" {
  tool kill -q 2
  exits 7 tool status
  paste "-> " >/dev/null
  whole
  tool pause -q 3
  exits 7 tool status
  paste "-> "
  whole
  exits 0 tool partition 1
  paste "it ends with: "
  whole
}

@test "doctor: slots without an owner" {
  is OK on 0 CLUSTER DELSLOTS 5
  exits 7 tool doctor
  paste "do: "
  whole
}

@test "verify: what is missing is repaired, what is down is started" {
  is OK on 0 CLUSTER DELSLOTS 5
  exits 7 tool verify
  paste "To see each node: " || true # it says 7
  paste "To repair what is missing: "
  whole
  tool stop -q
  exits 6 tool verify
  paste "Start them: "
  whole
}

@test "refusals: a node that does not run, is not there, is paused" {
  tool stop -q 4
  exits 5 tool pause 4
  paste "Start it: "
  whole
  tool pause -q 4
  exits 4 tool start
  paste "is paused"
  whole
}

@test "a node that lives on another port is not gone: nobody is told to forget it" {
  tool stop -q 2
  env -u AIKV_BIN AIKV_RAFT_TOKEN_FILE="$DIR/raft-token" aikv serve -p $((BASE + 8)) --raft-port $((BASE + 8 + RAFT_OFFSET)) --data-dir "$DIR/data/node2" \
    </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  OTHER_PID=$!
  disown "$OTHER_PID" # bash has nothing to say about its end
  retry 60 bash -c "redis-cli -p $BASE CLUSTER NODES | grep '127.0.0.1:$((BASE + 8))@' | grep -v fail"
  exits 7 tool doctor --fix --yes
  [[ $output == *"node 2 is not at 127.0.0.1:$((BASE + 1)), but at 127.0.0.1:$((BASE + 8))"* ]]
  [[ $output != *FORGET* && $output != *"nobody serves"* ]]
  kill -TERM "$OTHER_PID"
  gone 30 "$OTHER_PID"
  paste "stop it there, then: "
  whole
}

@test "a node added as a master, its replica, and a takeover between them: nothing is wrong" {
  exits 0 tool add
  exits 0 tool add --replica-of 5
  retry 60 tool status
  exits 0 tool doctor
  exits 0 tool setup
  [[ $output == *"nothing was changed"* ]]
  retry 30 is OK on 5 CLUSTER FAILOVER
  retry 60 has master on 5 ROLE
  whole
  exits 0 tool doctor
  exits 0 tool setup
  [[ $output == *"nothing was changed"* ]]
  has master on 5 ROLE # setup has not undone it
  tool remove -q 5
  whole
  tool remove -q 6
  whole
}

@test "two nodes that do not answer under the names that were given are not forgotten" {
  local named="localhost:$BASE,localhost:$((BASE + 1)),localhost:$((BASE + 2)),localhost:$((BASE + 3))"
  tool kill -q 4
  retry 60 bash -c "redis-cli -p $BASE CLUSTER NODES | grep -q fail"
  exits 7 aikv-tool cluster doctor -m "$named" --fix --yes
  [[ $output == *"localhost:$((BASE + 3)) is down"*"may be the one that does not answer as localhost:$((BASE + 3))"* ]]
  is 4 info_field 0 cluster_known_nodes
  tool start -q
  whole
}

@test "where aikv-tool is not on the PATH, its path is proposed" {
  tool stop -q 3
  local path=$PATH
  path=${path//$ROOT\/scripts:/}
  exits 7 env PATH="$path" "$ROOT/scripts/aikv-tool" cluster status
  [[ $output == *"-> $ROOT/scripts/aikv-tool cluster start 3 --dir '$BATS_FILE_TMPDIR/it'\\''s a cluster'"* ]]
  paste "-> "
  whole
}

@test "no cluster at all, and a stranger on its port: setup with ports that are free" {
  requires redis-server
  export CLUSTER_DIR="$BATS_TEST_TMPDIR/no cluster"
  redis-server --port $((BASE + 9)) --bind 127.0.0.1 --save '' --dir "$BATS_TEST_TMPDIR" >/dev/null 2>&1 3>&- &
  OTHER_PID=$!
  disown "$OTHER_PID" # bash has nothing to say about its end
  retry 30 redis-cli -p $((BASE + 9)) PING
  exits 8 tool doctor --base-port $((BASE + 9)) --shards 1 --replicas-per-shard 0
  local setup=$output
  paste "choose other ports: "
  exits 0 tool status
  tool clean -q --yes
  kill -KILL "$OTHER_PID"
  gone 10 "$OTHER_PID"
  output=$setup
  paste "do:  aikv-tool cluster setup"
  tool clean -q --yes
}

@test "a shard that is lost: how to go on without it" {
  local forget='redis-cli -h 127.0.0.1 -p [0-9]+ CLUSTER FORGET [0-9a-f]{40} FORCE && ' learner lost live slots key
  # Nodes 1 and 3 are a shard, 2 and 4. MetaRaft has to go on, with two of its three
  # voters: the shard goes that has its learner.
  learner=$(on 0 CLUSTER METARAFT MEMBERS | awk '$4 == "learner" { sub(/.*:/, "", $3); print $3 }')
  case $((learner - BASE - RAFT_OFFSET)) in
    0 | 2) lost="1 3" live=1 slots="0 8191" key='{06S}k' ;; # slot 0
    1 | 3) lost="2 4" live=0 slots="8192 16383" key=foo ;;  # slot 12182
  esac
  # shellcheck disable=SC2086 # two words
  tool kill -q $lost
  retry 60 has "to go on without it" tool status
  exits 7 tool status
  [[ $output == *"nobody serves the slots ${slots/ /-} of "*"bring it back: "* ]]
  grep -qE "lose its keys: $forget${forget}redis-cli -h 127.0.0.1 -p [0-9]+ CLUSTER ADDSLOTSRANGE $slots" <<<"$output"
  [[ $output != *"two of the shard"* ]]
  paste "lose its keys: "
  retry 30 is ok info_field "$live" cluster_state
  is 16384 info_field $((live + 2)) cluster_slots_assigned
  is 2 info_field "$live" cluster_known_nodes
  retry 30 is OK c "$live" SET "$key" 1 # of a slot that was lost
}
