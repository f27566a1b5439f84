# shellcheck shell=bash
# cluster_init: from whatever is there to a verified cluster.
#
# Order: find the nodes (start them if nothing runs) -> reset if asked ->
# compare with the plan -> MEET -> ADDSLOTS -> REPLICATE -> checklist. What is
# already done is not done again, which is what finishes an interrupted run.

VERDICT=""    # fresh, partial or complete
PLAN=()       # the missing actions
FOREIGNERS=() # of each node, who has answered in its place
BUILD_PID=""  # make, and the group of what it runs
INTERRUPTED_WHAT="" INTERRUPTED_VERB=""
START_PIDS=()
CHECK_WAITS=0 # 1: the checklist waits also for nodes that do not answer
NODE_PID=""
CLOSED_MS=10000 # for so long, a port that ends connections may be a container's whose node is not up yet

# probe asks every node what it is; sets KINDS. On a quiet machine the answer is
# there in milliseconds: two seconds without one is a port that does not speak Redis.
# Only a node without a MetaRaft quorum is slower, a second for each command.
probe() {
  local node
  collect_within 2
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if ! answered "$node" && [[ $(<"$WORK/ans.$node") == *@@* ]]; then
      collect_within 8
      break
    fi
  done
  KINDS=()
  COUNT_AIKV=0 COUNT_FREE=0 COUNT_WAIT=0
  CONFLICTS=() FOREIGNERS=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    node_kind "$node"
    if [[ $KIND == closed ]] && ((NOW_MS - UI_START < CLOSED_MS)); then KIND=busy; fi
    KINDS[node]=$KIND
    case $KIND in
      aikv) COUNT_AIKV=$((COUNT_AIKV + 1)) ;;
      free) COUNT_FREE=$((COUNT_FREE + 1)) ;;
      busy) COUNT_WAIT=$((COUNT_WAIT + 1)) ;;
      auth) wrong_password "$node" ;;
      foreign | redis) probe_stranger "$node" ;;
      *) probe_silent "$node" ;;
    esac
  done
  if ((GIVEN == 1 && COUNT_AIKV > 1)); then one_name_each; fi
}

# wrong_password NODE: it does not let us in.
wrong_password() {
  local text="wants a password" hint="Set REDISCLI_AUTH and run again."
  if [[ -n "${REDISCLI_AUTH:-}" ]]; then
    text="wants a password, and REDISCLI_AUTH holds a wrong one" hint="Correct REDISCLI_AUTH and run again."
    if [[ $(<"$WORK/ans.$1.err") == *"without any password"* ]]; then
      text="has no password, but REDISCLI_AUTH holds one" hint="Unset REDISCLI_AUTH and run again."
    fi
  fi
  die "$EXIT_UNREACHABLE" "${ADDRS[$1]} $text" "$hint"
}

# one_name_each refuses a node that was named twice, by two names of its host.
one_name_each() {
  local a b
  read_ids
  for ((a = 0; a < ${#ADDRS[@]}; a++)); do
    for ((b = a + 1; b < ${#ADDRS[@]}; b++)); do
      if [[ -n ${IDS[a]:-} && ${IDS[a]} == "${IDS[b]:-}" ]]; then
        usage_error "${ADDRS[a]} and ${ADDRS[b]} are the same node" "Name each node once."
      fi
    done
  done
}

# probe_stranger NODE: a server that is no node of ours. What it says is nothing
# about this cluster.
probe_stranger() {
  : >"$WORK/ans.$1"
  if [[ $KIND == foreign ]]; then
    FOREIGNERS[$1]=$FOREIGN
    CONFLICTS+=("${ADDRS[$1]}, the port of node ${NUMS[$1]} of $DIR: $FOREIGN")
  else
    CONFLICTS+=("${ADDRS[$1]}: a Redis server, not aikv$(taken_by "${ADDRS[$1]}")")
  fi
}

# probe_silent NODE: something listens and does not answer as aikv, or the host does
# not answer at all. A node that hangs, or was named by the user, may answer yet;
# another one in the place of ours will not.
probe_silent() {
  local number=${NUMS[$1]:-}
  if ((GIVEN == 0)); then node_pid "$number"; fi
  if ((GIVEN == 0)) && [[ -n $NODE_PID ]] && process_is paused "$NODE_PID"; then
    CONFLICTS+=("${ADDRS[$1]}: node $number is paused: $(tool "resume $number")")
  elif [[ $KIND == silent || $KIND == closed ]] && { ((GIVEN == 1)) || [[ -n $NODE_PID ]]; }; then
    COUNT_WAIT=$((COUNT_WAIT + 1))
  else
    CONFLICTS+=("${ADDRS[$1]}: something that does not answer as aikv ($(why_silent "$1"))$(taken_by "${ADDRS[$1]}")")
  fi
}

# taken_by HOST:PORT prints who has a port of this machine, and what helps if that
# is known: ", by redis-server (process 12)".
taken_by() {
  case $1 in 127.* | localhost:* | "[::1]"*) ;; *) return 0 ;; esac
  port_owner "${1##*:}"
  printf '%s' "${OWNER:+, by $OWNER}${OWNER_HINT:+: $OWNER_HINT}"
}

# collect_within SECONDS, or until the deadline.
collect_within() {
  local seconds=$1
  ui_left
  if ((LEFT_S < seconds)); then seconds=$((LEFT_S > 0 ? LEFT_S : 1)); fi
  collect "$seconds"
}

# raft_conflicts adds the Raft ports of nodes about to be started that are taken.
raft_conflicts() {
  local node at addrs=() nodes=()
  can_dial || return 0
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} != free ]]; then continue; fi
    split_addr "${ADDRS[node]}"
    raft_port "$NODE_PORT"
    addrs+=("$NODE_HOST:$RAFT_PORT")
    nodes+=("${NUMS[node]}")
  done
  dial ${addrs[@]+"${addrs[@]}"}
  for ((at = 0; at < ${#addrs[@]}; at++)); do
    if [[ ${DIALED[at]} != closed ]]; then
      CONFLICTS+=("${addrs[at]}: the Raft port of node ${nodes[at]} is in use$(taken_by "${addrs[at]}")")
    fi
  done
}

# die_conflicts [HINT]
die_conflicts() {
  if ((${#CONFLICTS[@]} == 0)); then return 0; fi
  local hint=${1:-"Stop what listens there, or choose other ports with --base-port."}
  if [[ -z ${1:-} ]] && conf_read; then hint="Stop what listens there: the ports of a cluster stay those that it was made with."; fi
  if ((GIVEN == 1)); then hint="Stop what listens there, or name the aikv nodes."; fi
  if ((${#FOREIGNERS[@]} > 0)); then hint="$hint To initialise what runs there, name another --dir, which holds no cluster."; fi
  die "$EXIT_CONFLICT" "${#CONFLICTS[@]} port(s) are taken by something else" "${CONFLICTS[@]}" "$hint"
}

# find_nodes ends when every node answers: those that run already, and those of
# this folder, which are started.
find_nodes() {
  step_begin
  probe
  if ((COUNT_AIKV + COUNT_WAIT < ${#ADDRS[@]} && GIVEN == 0)); then
    raft_conflicts
  fi
  die_conflicts
  if ((GIVEN == 0 && COUNT_FREE > 0)); then start_missing; fi
  wait_for_nodes
  ids_keep
  local text="${#ADDRS[@]} of ${#ADDRS[@]} answer"
  if ((${#STARTED[@]} > 0)); then text="$text, ${#STARTED[@]} started"; fi
  step_done nodes "$text"
}

# start_missing starts the nodes that do not answer: all of them if none does,
# else those whose data is in DIR. The others, somebody else is about to start.
start_missing() {
  local node todo=() foreign=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} != free ]]; then continue; fi
    if is_ours "$node"; then
      todo+=("${NUMS[node]}")
    else
      foreign+=("${ADDRS[node]}")
    fi
  done
  if ((${#foreign[@]} > 0)); then
    say "  waiting for ${foreign[*]}: others answer, and $DIR does not hold these nodes"
  fi
  if ((${#todo[@]} == 0)); then return 0; fi
  check_shape
  aikv_build
  ui_deadline "$UI_TIMEOUT"
  step_begin
  lock_take
  dir_create
  for node in "${todo[@]}"; do
    node_pid "$node"
    if [[ -n $NODE_PID ]]; then continue; fi # still starting, or not listening yet
    node_start "$node"
    START_PIDS+=($!)
  done
}

# is_ours NODE: it is started here, as it does not answer.
is_ours() { ((COUNT_AIKV + COUNT_WAIT == 0)) || [[ -d "$DIR/data/node${NUMS[$1]}" ]]; }

# check_shape refuses a folder that holds a cluster of another shape. --reset may
# change the shape where the nodes stay the same.
check_shape() {
  local same=0 reset=""
  conf_read || return 0
  if [[ "$CONF_SHARDS $CONF_REPLICAS $CONF_BASE_PORT" == "$MASTERS $REPLICAS $BASE_PORT" ]]; then return 0; fi
  if ((CONF_SHARDS * (1 + CONF_REPLICAS) == NODES_TOTAL && CONF_BASE_PORT == BASE_PORT)) && [[ -z $CONF_NODES ]]; then same=1; fi
  if ((same == 1)); then
    if ((OPT_RESET == 1)); then return 0; fi
    reset=" --reset gives its nodes the new one, and erases all keys."
  fi
  die "$EXIT_MISMATCH" "$DIR holds another cluster" \
    "There: $CONF_SHARDS shards, $CONF_REPLICAS replicas each, ports from $CONF_BASE_PORT. Asked for: $MASTERS, $REPLICAS, $BASE_PORT." \
    "Use another --dir, give that shape, or remove it: $(tool clean)$reset"
}

wait_for_nodes() {
  local node k
  while :; do
    if ((COUNT_AIKV == ${#ADDRS[@]})); then return 0; fi
    k=0
    for node in ${STARTED[@]+"${STARTED[@]}"}; do
      if ! kill -0 "${START_PIDS[k]}" 2>/dev/null; then start_again "$node" "$k"; fi
      k=$((k + 1))
    done
    ui_left
    if ((LEFT_S == 0)); then silent_nodes; fi
    sleep 0.02
    if ! ports_open; then continue; fi
    probe
    if ((${#STARTED[@]} == 0)); then die_conflicts; fi
  done
}

# ports_open: every node accepts connections, which is cheap to find out and
# saves asking those that cannot answer yet.
ports_open() {
  local node addrs=()
  can_dial || return 0
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} != aikv ]]; then addrs+=("${ADDRS[node]}"); fi
  done
  dial ${addrs[@]+"${addrs[@]}"}
  case " ${DIALED[*]-} " in *" closed "* | *" silent "*) return 1 ;; esac
}

# start_again NODE INDEX deals with a node that ended while starting. A port that
# nobody listens on can still be "in use", by a connection that has it as its own
# end. Of one that is closed already, that passes; who has another one is named.
start_again() {
  local last
  last=$(log_tail "$1")
  case $last in
    *"in use by another program"*)
      held_ports "$1"
      if ((${#CONFLICTS[@]} > 0)); then
        stop_started
        die_conflicts "Stop that process or let it connect anew, or choose other ports with --base-port."
      fi
      ui_left
      if ((LEFT_S > 0)); then
        sleep 0.5
        node_start "$1"
        START_PIDS[$2]=$!
        unset "STARTED[$((${#STARTED[@]} - 1))]"
        return 0
      fi
      ;;
  esac
  start_failed "$1" "$last"
}

# held_ports NODE sets CONFLICTS to those of its ports that somebody has now.
held_ports() {
  local port what=client
  CONFLICTS=()
  node_addr "$1"
  for port in "$NODE_PORT" "$RAFT_PORT"; do
    port_owner "$port" held
    if [[ -n $OWNER ]]; then CONFLICTS+=("$NODE_HOST:$port, the $what port of node $1, is in use by $OWNER"); fi
    what=Raft
  done
}

start_failed() {
  local last=$2 code=$EXIT_INTERNAL
  stop_started
  node_addr "$1"
  case $last in *"in use by another program"*) code=$EXIT_CONFLICT ;; esac
  die "$code" "node $1 ($NODE_HOST:$NODE_PORT) stopped while starting" "$last" "Its log: $DIR/logs/node$1.log"
}

silent_nodes() {
  local node list="" hanging=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} == aikv ]]; then continue; fi
    list="$list ${ADDRS[node]}"
    if ((GIVEN == 1)); then continue; fi
    node_pid "${NUMS[node]}"
    if [[ -n $NODE_PID ]]; then hanging+=("node ${NUMS[node]} (${ADDRS[node]}) runs as process $NODE_PID, and does not answer: $(log_tail "${NUMS[node]}")"); fi
  done
  local hint="Start them and run again, or raise --timeout."
  if ((${#hanging[@]} > 0)); then hint="See the logs in $DIR/logs, or raise --timeout."; fi
  stop_started
  die "$EXIT_UNREACHABLE" "no answer within $UI_TIMEOUT s from:$list" ${hanging[@]+"${hanging[@]}"} "$hint"
}

stop_started() {
  if ((${#STARTED[@]} > 0)); then nodes_stop 5 "${STARTED[@]}"; fi
  STARTED=()
}

# make_plan compares what the nodes say (collect) with what is asked for. While
# members of one cluster disagree, it asks again.
make_plan() {
  until read_plan; do
    ui_left
    if ((LEFT_S == 0)); then
      die "$EXIT_UNREACHABLE" "the nodes do not agree in time: $UNSETTLED" "See: $(tool status)"
    fi
    sleep 0.05
    refresh
  done
}

# read_plan sets VERDICT, KEYS and PLAN; false if the nodes disagree (UNSETTLED).
read_plan() {
  local line
  PLAN=()
  VERDICT=""
  KEYS=()
  UNSETTLED=""
  state_run plan >"$WORK/plan"
  while IFS= read -r line; do
    case $line in
      "verdict "*) VERDICT=${line#verdict } ;;
      "keys "*) KEYS+=("${line#keys }") ;;
      "unsettled "*) UNSETTLED=${line#unsettled } ;;
      "refuse "*)
        line=${line#refuse }
        die "$EXIT_MISMATCH" "${line%%|*}" "${line#*|}"
        ;;
      *) PLAN+=("$line") ;;
    esac
  done <"$WORK/plan"
  if [[ -n $UNSETTLED ]]; then return 1; fi
  [[ -n $VERDICT ]] || die "$EXIT_INTERNAL" "the nodes' answers could not be read" "They are printed by: redis-cli CLUSTER NODES"
}

# plan_lines PREFIX sets LINES to the plan's actions of one kind.
plan_lines() {
  local line
  LINES_OF=()
  for line in ${PLAN[@]+"${PLAN[@]}"}; do
    case $line in "$1" | "$1 "*) LINES_OF+=("$line") ;; esac
  done
}

# act sends the batches that were built; true if all answers are OK, else
# ACT_ERROR says what the first was.
act() {
  local node label text
  ui_left
  ACT_ERROR=""
  ask_all 0 "$LEFT_S"
  for node in "${ASKED[@]}"; do
    if ! answered "$node"; then ACT_ERROR="${ADDRS[node]}: $(why_silent "$node")"; fi
  done
  while read -r node label text; do
    if [[ $label == end ]]; then continue; fi
    if [[ -z $ACT_ERROR ]]; then ACT_ERROR="${ADDRS[node]} answered: $text"; fi
  done < <(not_ok)
  [[ -z $ACT_ERROR ]]
}

meet_all() {
  local i j n=${#ADDRS[@]}
  for ((i = 0; i < n; i++)); do
    for ((j = 0; j < n; j++)); do
      if ((i == j)); then continue; fi
      split_addr "${ADDRS[j]}"
      ask "$i" meet "CLUSTER MEET $NODE_HOST $NODE_PORT"
    done
  done
  act
}

# add_slots: one master after the other, so that a conflict is seen where it is.
add_slots() {
  local line verb node first last
  for line in "${LINES_OF[@]}"; do
    read -r verb node first last <<<"$line"
    : "$verb"
    ask "$node" slots "CLUSTER ADDSLOTSRANGE $first $last"
    act || return 1
  done
}

set_replicas() {
  local line verb node master
  for line in "${LINES_OF[@]}"; do
    read -r verb node master <<<"$line"
    : "$verb"
    ask "$node" replicate "CLUSTER REPLICATE ${IDS[master]}"
  done
  act
}

# read_ids sets IDS from the answers of collect.
read_ids() {
  local node line
  IDS=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    while IFS= read -r line; do
      case $line in *" myself,"* | *",myself"* | *" myself "*) IDS[node]=${line%% *} ;; esac
    done <"$WORK/ans.$node"
  done
}

# converge carries the plan out. Each action is idempotent, so after an error the
# nodes are asked again and what is still missing is tried again.
converge() {
  local n=${#ADDRS[@]} failing_since=0 error=""
  many "$MASTERS" master
  local masters=$MANY
  while ((${#PLAN[@]} > 0)); do
    error=""
    read_ids
    run_step meet meet_all "$((n * (n - 1))) of $((n * (n - 1))), full mesh" &&
      run_step slots add_slots "16384 over $masters" &&
      run_step replicate set_replicas "%s assigned" &&
      return 0
    error=$ACT_ERROR
    ui_left
    if ((failing_since == 0)); then failing_since=$NOW_MS; fi
    if ((LEFT_S == 0 || NOW_MS - failing_since > 20000)); then
      die "$EXIT_UNREACHABLE" "the cluster could not be completed in time" "$error" "Run again: what is done is not done twice."
    fi
    sleep 0.1
    refresh
    make_plan
  done
}

# run_step KIND FUNCTION TEXT: one step of the plan, if anything of it is missing.
run_step() {
  plan_lines "$1"
  if ((${#LINES_OF[@]} == 0)); then return 0; fi
  step_begin
  "$2" || return 1
  local text
  many "${#LINES_OF[@]}" replica
  # shellcheck disable=SC2059 # the text is ours
  printf -v text "$3" "$MANY"
  step_done "$1" "$text"
}

# refresh asks all nodes again and dies if one has gone.
refresh() {
  local node
  ui_left
  collect "$((LEFT_S > 0 ? LEFT_S : 1))"
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if answered "$node" || { ((CHECK_WAITS == 1)) && ui_left && ((LEFT_S > 0)); }; then continue; fi
    die "$EXIT_UNREACHABLE" "${ADDRS[node]} does not answer any more" \
      "$(why_silent "$node")" "See its log, and run again."
  done
}

# reset_asks sets RESET_LINE to what --reset has to be confirmed for, if anything;
# dies if nobody can be asked.
reset_asks() {
  local node count=0 label text
  RESET_LINE=""
  state_run plan facts_only=1 >"$WORK/plan"
  while read -r label node text; do
    : "$node"
    if [[ $label == keys ]] && whole "$text" 0 9999999999; then count=$((count + NUMBER)); fi
  done <"$WORK/plan"
  if ((count > 0 && OPT_YES == 0)); then
    RESET_LINE="--reset erases $count keys (replicas counted)"
    if [[ ! -t 0 ]]; then die "$EXIT_MISMATCH" "$RESET_LINE" "Add --yes if that is meant."; fi
  fi
}

# reset_nodes erases every node and makes it a cluster of one.
reset_nodes() {
  reset_asks
  if [[ -n $RESET_LINE ]]; then ui_confirm "$RESET_LINE. Go on?" || die "$EXIT_MISMATCH" "not reset: you said no"; fi
  step_begin
  local node n=${#ADDRS[@]}
  for ((node = 0; node < n; node++)); do ask "$node" flush "FLUSHALL"; done
  ui_left
  ask_all 0 "$LEFT_S" # a replica refuses: its master's FLUSHALL empties it
  for ((node = n - 1; node >= 0; node--)); do
    ask "$node" reset "CLUSTER RESET"
    act || die "$EXIT_UNREACHABLE" "CLUSTER RESET failed" "$ACT_ERROR" "See that node's log, and run again."
  done
  refresh
  if ((GIVEN == 0)) && conf_read; then
    CONF_SHARDS=$MASTERS CONF_REPLICAS=$REPLICAS CONF_MASTERS=""
    conf_write
  fi
  step_done reset "$n of $n flushed and reset"
}

# finish ACTION prints the result.
finish() {
  ui_now
  local action=$1 ms=$((NOW_MS - UI_START)) connect
  split_addr "${ADDRS[0]}"
  connect="$(client) -c -h $NODE_HOST -p $NODE_PORT"
  if ((${#CLI[@]} == 0)); then connect="$connect PING"; fi
  json_string "$connect"
  ui_seconds "$ms"
  if ((UI_JSON == 1)); then
    printf '{"schema":1,"ok":true,"action":"%s","ms":%d,"shards":%d,"replicas_per_shard":%d,"connect":%s,"nodes":[%s],"steps":[%s],"checks":[%s]}\n' \
      "$1" "$ms" "$MASTERS" "$REPLICAS" "$JSON_TEXT" "$NODES_JSON" "$UI_STEPS" "$CHECKS"
    return 0
  fi
  local text masters
  many "$MASTERS" master
  masters=$MANY
  many "$((${#ADDRS[@]} - MASTERS))" replica
  case $1 in
    unchanged) text="The cluster is already initialised and healthy: nothing was changed." ;;
    checked) text="The cluster is healthy." ;;
    grown | shrunk) text="The cluster has $action to $masters, $MANY, in $SECONDS_TEXT." ;;
    *) text="The cluster is ready: $masters, $MANY, in $SECONDS_TEXT." ;;
  esac
  printf '%s Connect: %s\n' "$text" "$connect"
}

# interrupted_says WHAT [VERB]: what was done when this run is interrupted from now
# on, and the verb that goes on from there.
interrupted_says() { INTERRUPTED_WHAT=$1 INTERRUPTED_VERB=${2:-}; }

on_interrupt() {
  trap '' INT TERM HUP
  local count=${#STARTED[@]} text="nothing was stopped. Run again to finish."
  if [[ -n $BUILD_PID ]]; then
    kill -TERM -- "-$BUILD_PID" 2>/dev/null || true # the group: make, and what it runs
    wait "$BUILD_PID" 2>/dev/null || true
  fi
  stop_started
  if ((count > 0)); then text="the $count nodes this run had started are stopped, their data is kept. Run again to finish."; fi
  if [[ -n $INTERRUPTED_WHAT ]]; then
    text="$INTERRUPTED_WHAT.${INTERRUPTED_VERB:+ To go on: $(tool "$INTERRUPTED_VERB")}"
  fi
  lock_release
  work_close
  printf 'interrupted: %s\n' "$text" >&2
  exit "$EXIT_INTERRUPTED"
}

# traps_set: whatever ends a run, it leaves no lock, no scratch folder and no
# process of its own behind.
traps_set() {
  need_programs awk cat env ln mkdir mktemp mv readlink rm sleep tail
  if [[ ! -e /proc/self/stat ]]; then need_programs ps; fi
  trap 'on_interrupt' INT TERM HUP
  trap 'lock_release; work_close' EXIT
  work_open
}

# act_begin is for verbs that only act on processes of the folder.
act_begin() {
  traps_set
  lock_take
}

# init_begin sets up what every path that asks nodes needs: a client, a scratch
# folder, traps.
init_begin() {
  traps_set
  cli_find
  if ((${#CLI[@]} == 0)); then
    if ((OPT_DRY_RUN == 1)); then aikv_find; else aikv_build; fi
    [[ -n $AIKV ]] || die "$EXIT_PREREQ" "there is no redis-cli and no aikv binary to ask the nodes with" "Run 'make build'."
  fi
  ui_deadline "$UI_TIMEOUT"
}

init_main() {
  ui_init
  init_parse "$@"
  init_targets
  if ((GIVEN == 0)); then shape_wanted; fi
  init_begin
  if ((OPT_DRY_RUN == 1)); then
    init_dry_run
    return 0
  fi
  if ((OPT_CHECK_ONLY == 1)); then
    init_check_only
    return 0
  fi
  reshape_confirmed
  lock_take
  reshape_begin
  find_nodes
  if ((OPT_RESET == 1)); then reset_nodes; fi
  reshape_shrink
  make_plan
  local action=created
  case $VERDICT in
    partial) action=finished ;;
    complete) action=unchanged ;;
  esac
  if ((${#STARTED[@]} > 0)) && [[ $action == unchanged ]]; then action=restarted; fi
  if [[ -n $RESHAPE ]]; then
    action=$RESHAPE
  elif [[ $action == finished ]]; then
    say "  part of this cluster exists already: doing what is missing"
  fi
  if ((${#PLAN[@]} > 0)); then
    converge
    refresh
  fi
  spread
  checklist 0 || init_failed_checks
  finish "$action"
}

# init_check_only looks once or, with --timeout, until all is well.
init_check_only() {
  step_begin
  CHECK_WAITS=$OPT_WAIT
  until check_answers; do
    ui_left
    if ((CHECK_WAITS == 0 || LEFT_S == 0)); then check_unanswered; fi
    sleep 0.2
  done
  checklist $((1 - CHECK_WAITS)) || init_failed_checks
  finish checked
}

check_answers() {
  probe
  ((COUNT_AIKV == ${#ADDRS[@]}))
}

check_unanswered() {
  local node list="" hint="Start them where they belong."
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} != aikv ]]; then list="$list ${ADDRS[node]}"; fi
  done
  die_conflicts
  if conf_read; then hint="Start them: $(tool start)"; elif ((GIVEN == 0)); then hint="Make a cluster: $(tool setup)"; fi
  die "$EXIT_UNREACHABLE" "no answer from:$list" "$hint"
}
