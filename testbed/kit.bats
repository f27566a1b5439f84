#!/usr/bin/env bats
# The verbs of aikv-tool on a cluster of its own folder. They share one cluster:
# each test leaves it whole.
load helpers

setup_file() {
  free_block 12
  cluster_up -q
  export CLUSTER_DIR=$DIR
}
teardown_file() { cluster_down; }
setup() {
  requires redis-cli
  export CLUSTER_DIR=$DIR
}

tool() { aikv-tool cluster "$@" 3>&-; }
pid_of() { cat "$DIR/pids/node$1.pid"; }
state_of() { tool status | awk -v n="$1" '$1 == n { print ($4 == "(was" ? $6 : $4) }'; }
whole() { tool verify -q --timeout $((20 * PATIENCE)); }

@test "status: a line for the cluster, a row a node; --json has the same" {
  exits 0 tool status
  [[ ${lines[0]} == "cluster: ok, 16384 of 16384 slots, epoch "*", MetaRaft leader 127.0.0.1:"*", term "*", 5 voters, 1 learner" ]]
  [[ ${lines[1]} == NODE*ADDRESS*ROLE*STATE*SLOTS*GROUP*RAFT*"ARBITER OF"*APPLIED*LAG*UPTIME*MEMORY ]]
  [[ ${lines[2]} == "1 "*"127.0.0.1:$BASE "*" up "*"MB" ]]
  [ "${#lines[@]}" -eq 8 ]
  requires jq
  run --separate-stderr tool status --json
  [ "$status" -eq 0 ]
  is '1 true ok 16384 6 up 5 3 0' jq -r '[.schema, .ok, .state, .slots_assigned, (.nodes | length), .nodes[3].state,
    .metaraft.voters, ([.nodes[].arbiter_of[]] | length), (.problems | length)] | join(" ")' <<<"$output"
  is true jq '.nodes | all(.memory_bytes > 1000000 and .uptime_seconds >= 0 and .applied > 0 and .lag == 0)' <<<"$output"
}

@test "kill: status is degraded (7) and says what to type; that helps" {
  exits 0 tool kill 2
  run kill -0 "$(pid_of 2)"
  [ "$status" -ne 0 ]
  exits 7 tool status
  [[ $output == "cluster: "*"node 2 (127.0.0.1:$((BASE + 1))) is down"*"-> aikv-tool cluster start 2"* ]]
  # Degraded it is at once; the replica takes over a moment later.
  retry 20 has "master (was replica)" tool status
  has "cluster: degraded" tool status
  exits 0 tool start 2
  whole
  is up state_of 2
  exits 0 tool status
}

@test "pause and resume: the node hangs, status and start say so, and it goes on" {
  exits 0 tool pause 4
  [[ $(ps -o stat= -p "$(pid_of 4)") == T* ]]
  exits 7 tool status
  [[ $output == *"node 4 (127.0.0.1:$((BASE + 3))) is paused"*"aikv-tool cluster resume 4"* ]]
  is paused state_of 4
  exits 4 tool start
  [[ $output == *"node 4 is paused"* ]]
  exits 0 tool resume 4
  whole
  exits 5 tool kill 99
  [[ $output == *"Its nodes are: 1 2 3 4 5 6"* ]]
}

@test "stop of a paused node wakes it, and it stops in order" {
  exits 0 tool pause 5
  exits 0 tool stop 5
  [[ $output != *killed* ]]
  has "node is stopping" tail -n 1 "$DIR/logs/node5.log"
  exits 5 tool kill 5
  [[ $output == *"node 5 does not run"* ]]
  exits 0 tool start
  whole
}

@test "restart of one node and of all: new processes, the same cluster" {
  local ids before
  ids=$(topology_of 0 | cut -d ' ' -f 1,2)
  before=$(pid_of 6)
  is OK c 0 SET kept 1
  exits 0 tool restart 6
  [ "$(pid_of 6)" != "$before" ]
  exits 0 tool restart
  whole
  is "$ids" bash -c "redis-cli -p $BASE CLUSTER NODES | cut -d ' ' -f 1,2 | sort"
  is 1 c 3 GET kept
}

# owner_of SLOT: the number of the node that serves it.
owner_of() {
  on 0 CLUSTER NODES | awk -v slot="$1" -v base="$BASE" '{
    for (i = 9; i <= NF; i++) if (split($i, r, "-") && slot >= r[1] && slot <= r[length(r)]) { split($2, a, "[:@]"); print a[2] - base + 1 }
  }'
}

@test "partition: the majority goes on, the minority serves nothing, heal makes it whole, nothing is lost" {
  requires go
  local acked=$BATS_TEST_TMPDIR/acked keys=$BATS_TEST_TMPDIR/keys addrs="127.0.0.1:$BASE,127.0.0.1:$((BASE + 3))" victim other writer
  go build -o "$acked" "$ROOT/testbed/acked"
  "$acked" write "$addrs" >"$keys" 2>"$keys.err" 3>&- &
  writer=$!
  victim=$(owner_of 12182)
  other=$((victim % 6))
  exits 0 tool partition "$victim"
  [[ $output == *"node $victim is cut off from 5 other nodes"*"aikv-tool cluster heal"* ]]
  retry 30 has CLUSTERDOWN on $((victim - 1)) GET foo
  retry 30 is OK timeout 3 redis-cli -c -p $((BASE + other)) SET foo majority
  has CLUSTERDOWN on $((victim - 1)) SET foo minority
  exits 7 tool status
  [[ $output == *"node $victim is cut off"*"-> aikv-tool cluster heal"* ]]
  exits 0 tool heal
  whole
  kill -TERM "$writer"
  wait "$writer" || { cat "$keys.err" && false; }
  is majority c $((victim - 1)) GET foo
  (($(wc -l <"$keys") > 50))
  exits 0 "$acked" check "$addrs" <"$keys"
  exits 0 tool status
}

@test "a partition lasts until heal, through restart and pause of either side" {
  exits 0 tool pause 6
  exits 0 tool partition 5,6
  [[ $output == *"node 6 is paused"* ]]
  exits 0 tool restart 5
  exits 0 tool resume 6
  [[ $output == *"nodes 5, 6 are cut off still"* ]]
  retry 30 has fail info_field 4 cluster_state
  exits 0 tool restart
  retry 30 has fail info_field 5 cluster_state
  exits 0 tool pause 6
  exits 6 tool heal
  [[ $output == *"node 6 does not answer, and stays cut off"*"aikv-tool cluster resume 6"* ]]
  exits 0 tool resume 6
  exits 0 tool doctor --fix --yes
  [[ $output == *"nothing is wrong"* ]]
  exits 0 tool heal
  [[ $output == *"nobody was cut off"* ]]
  whole
  requires jq
  is '[2] debug true' bash -c "aikv-tool cluster partition 2 --json 2>/dev/null | jq -r '\"\(.nodes) \(.how) \(.ok)\"'"
  is true bash -c "aikv-tool cluster heal --json 2>/dev/null | jq .healed"
  whole
}

@test "partition refuses what makes no sense, and a node that does not allow it" {
  exits 2 tool partition
  exits 2 tool partition 1,2,3,4,5,6
  exits 5 tool partition 1,9
  exits 2 tool partition 1,x
  AIKV_DEBUG_FAULTS=false exits 0 tool restart 4
  exits 5 tool partition 2
  [[ $output == *"127.0.0.1:$((BASE + 3)) answered: ERR DEBUG command not allowed"*"aikv-tool cluster restart"*"Nothing was cut off"* ]]
  exits 0 tool restart 4
  whole
  exits 0 tool status
}

@test "without a MetaRaft quorum, status says fail and doctor says why" {
  exits 0 tool kill 1 2 3 4 # at most two of the five voters are left
  exits 7 tool status
  [[ $output == "cluster: fail, "*"node 3 "*"is down"* ]]
  [[ $output == *"only if they are gone for good"*" recover --data-dir $DIR/data/node"* ]]
  exits 0 tool doctor --fix --yes
  [[ $output == *"nothing is wrong"* ]]
  whole
}

@test "doctor: a node that is down, with the end of its log" {
  exits 0 tool stop 6
  exits 7 tool doctor
  [[ $output == *"node 6 (127.0.0.1:$((BASE + 5))) is down"*"why: it was stopped"*"do:  aikv-tool cluster start 6"*"node is stopping"* ]]
  exits 2 tool doctor --fix </dev/null
  [[ $output == *"--yes"* ]]
  exits 0 tool doctor --fix -y
  exits 0 tool doctor
}

@test "call: every line of every answer; errors make it 1, a node that is down 6" {
  exits 0 tool call ECHO 'two  words'
  is 6 grep -c ": two  words$" <<<"$output"
  exits 0 tool call CLUSTER INFO
  [[ $output == *"127.0.0.1:$((BASE + 5)): cluster_state:ok"* ]]
  exits 1 tool call GET foo
  [[ $output == *"127.0.0.1:$BASE: MOVED 12182 "* ]]
  exits 2 tool call
  tool stop -q 6
  exits 6 tool call PING
  is 5 grep -c PONG <<<"$output"
  tool start -q
  requires jq
  run --separate-stderr tool call --json PING
  is "6 true" jq -r '"\(.replies | length) \(.replies | all(.reply == "PONG"))"' <<<"$output"
}

@test "env: what eval needs" {
  # shellcheck disable=SC2016 # the inner bash expands it
  is "127.0.0.1:$BASE,127.0.0.1:$((BASE + 1)),127.0.0.1:$((BASE + 2)),127.0.0.1:$((BASE + 3)),127.0.0.1:$((BASE + 4)),127.0.0.1:$((BASE + 5)) redis://127.0.0.1:$BASE $DIR" \
    bash -c 'unset CLUSTER_DIR; eval "$(aikv-tool cluster env --dir "$0")"; echo "$AIKV_NODES $REDIS_URL $CLUSTER_DIR"' "$DIR"
  exits 5 tool env --dir /nonexistent
}

@test "report: version, CLUSTER INFO and NODES of every node, the ends of the logs" {
  run --separate-stderr tool report -n 3
  [ "$status" -eq 0 ]
  [[ $output == *"aikv:   aikv v"* ]]
  is 6 grep -c "^cluster_state:ok" <<<"$output"
  is 6 grep -c "myself," <<<"$output"
  is 6 grep -c "^== the last 3 lines of $DIR/logs/node" <<<"$output"
  tool stop -q 3
  run --separate-stderr tool report -n 3
  [ "$status" -eq 0 ]
  [[ $output == *"(node 3): down"*"refused"* ]]
  tool start -q
}

@test "verify is the checklist" {
  whole
  exits 0 tool verify
  [[ $output == *"✓ voters"*"✓ write"*"healthy"* ]]
  is OK on 0 CLUSTER DELSLOTS "$(on 0 CLUSTER NODES | sed -n 's/.*myself.*connected \([0-9]*\)-.*/\1/p' | grep . || echo 0)"
  exits 7 tool verify
  exits 0 tool setup -q
}

@test "add as a master without slots and as a replica, remove; setup and verify know of them" {
  exits 0 tool add
  [[ $output == *"node 7 (127.0.0.1:$((BASE + 6))) is a master without slots"* ]]
  topology_agrees 7
  local master
  master=$(tool status --json | sed 's/.*"node":\([1-6]\),[^}]*"role":"master".*/\1/')
  exits 0 tool add --replica-of "$master"
  [[ $output == *"node 8 (127.0.0.1:$((BASE + 7))) follows node $master"* ]]
  topology_agrees 8
  shows "slave $(id_of $((master - 1)))" bash -c "redis-cli -p $BASE CLUSTER NODES | grep :$((BASE + 7))@"
  whole
  exits 0 tool setup
  [[ $output == *"nothing was changed"* ]]
  exits 5 tool remove "$master"
  [[ $output == *"owns the slots"* ]]
  exits 5 tool add --replica-of 8
  [[ $output == *"is a replica itself"* ]]
  exits 0 tool restart 7 8
  exits 0 tool remove 7
  [ ! -e "$DIR/data/node7" ]
  exits 0 tool remove 8
  topology_agrees 6
  whole
  exits 5 tool remove 8
}

@test "a node that is down or paused can be removed; one that is added again is new" {
  exits 0 tool add
  local id
  id=$(id_of 6)
  tool kill -q 7
  exits 0 tool remove 7
  topology_agrees 6
  exits 0 tool add
  [ "$(id_of 6)" != "$id" ]
  tool pause -q 7
  exits 0 tool remove 7
  topology_agrees 6
  whole
}

@test "add that was interrupted is finished by the next add" {
  local script status=0
  set -m
  aikv-tool cluster add >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 10 test -s "$DIR/pids/node7.pid"
  kill -KILL "$script"
  wait "$script" 2>/dev/null || status=$?
  retry 10 answers 6
  exits 0 tool add
  [[ $output == *"finishing with node 7"* ]]
  topology_agrees 7
  exits 0 tool remove 7
  grep -q "base_port=$BASE" "$DIR/cluster.conf"
  run ! grep -q nodes= "$DIR/cluster.conf"
  whole
}

@test "status --watch shows it again, and Ctrl-C ends it" {
  local script status=0
  set -m
  aikv-tool cluster status --watch >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  script=$!
  set +m
  retry 90 bash -c "(( \$(grep -c ^cluster: '$BATS_TEST_TMPDIR/out') >= 2 ))"
  kill -INT -- "-$script"
  wait "$script" || status=$?
  [ "$status" -eq 130 ]
  run ! grep -q interrupted "$BATS_TEST_TMPDIR/out"
}

@test "every verb has help with an example; wrong options are refused by name" {
  local verb
  for verb in setup start stop restart clean status verify doctor report logs call kill pause resume partition heal add remove env; do
    run --separate-stderr aikv-tool cluster "$verb" --help
    [ "$status" -eq 0 ]
    [[ $output == "Usage: aikv-tool cluster $verb"*"--dir D"*"Examples:"*"aikv-tool cluster $verb"* ]]
    has "  $verb " aikv-tool --help
  done
  exits 2 tool stop -f
  [[ $output == *"'stop' has no option -f"* ]]
  exits 2 tool status --nonsense
  exits 2 tool status --watch=3
  exits 2 tool kill
  exits 2 tool remove 1 2
  exits 2 tool logs x
  exits 2 aikv-tool completion fish
}

# completes WORDS…: what bash offers for the last word.
completes() {
  bash -c 'eval "$(aikv-tool completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _aikv_tool; echo "${COMPREPLY[*]}"' - "$@"
}

@test "completion: verbs and their own options" {
  is "cluster completion" completes aikv-tool c
  is "start stop status" completes aikv-tool cluster st
  is "--follow" completes aikv-tool cluster logs --f
  is "--fix" completes aikv-tool cluster doctor --f
  is "bash zsh" completes aikv-tool completion ""
  if command -v zsh >/dev/null; then
    # shellcheck disable=SC2016 # zsh expands it
    is "--follow" zsh -fc 'compdef() { :; }; compadd() { shift; print -l -- "$@" | grep -e --follow; }
      eval "$(aikv-tool completion zsh)"; words=(aikv-tool cluster logs ""); CURRENT=4; _aikv_tool'
  fi
}

@test "the nodes of a folder share a secret: a node that does not know it stays outside" {
  [[ $(ls -l "$DIR/raft-token") == -rw-------* ]]
  export NODES=$BATS_TEST_TMPDIR
  node_begin 11
  retry 10 answers 11
  has "raft.token" redis-cli -p $((BASE + 11)) CLUSTER MEET 127.0.0.1 "$BASE"
  kill "$(cat "$NODES/11.pid")"
  retry 10 bash -c "! kill -0 $(cat "$NODES/11.pid") 2>/dev/null"
  AIKV_RAFT_TOKEN_FILE=$DIR/raft-token node_begin 11
  retry 10 answers 11
  is OK redis-cli -p $((BASE + 11)) CLUSTER MEET 127.0.0.1 "$BASE"
  is OK redis-cli -p $((BASE + 11)) CLUSTER RESET
  kill "$(cat "$NODES/11.pid")"
  whole
}

@test "clean of a folder with added nodes leaves nothing" {
  tool add -q
  local pids
  pids=$(cluster_pids)
  exits 5 tool clean </dev/null
  [[ $output == *"removes all data"*"--yes"* ]]
  exits 0 tool clean --yes </dev/null
  [ ! -e "$DIR" ]
  local pid
  for pid in $pids; do gone 1 "$pid"; done
  exits 8 tool status
  exits 8 tool doctor
  [[ $output == *"there is no cluster"*"aikv-tool cluster setup"* ]]
}
