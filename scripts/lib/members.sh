# shellcheck shell=bash
# "add" and "remove": the nodes of a running cluster, one at a time.

LAST_REPLICA=false # see last_replica

# verb_add starts one more node and lets it join. Which one is written down before
# it starts, so that the next call finishes what an interrupted one began.
verb_add() {
  verb_parse add "$@"
  no_words
  need_dir
  if ((OPT_REBALANCE == 1)) && [[ -n $OPT_REPLICA_OF ]]; then usage_error "add: a replica has no slots, so --rebalance and --replica-of exclude each other"; fi
  init_begin
  if ((OPT_DRY_RUN == 1)); then lock_free; else lock_take; fi
  local number follows=$OPT_REPLICA_OF follows_id="" seed text
  if [[ -n $CONF_ADDING ]]; then
    number=$CONF_ADDING
    follows=${OPT_REPLICA_OF:-$CONF_FOLLOWS}
    say "  finishing with node $number, which an interrupted run has left"
    drop_target "$number"
  else
    number=$((NUMS[${#NUMS[@]} - 1] + 1))
  fi
  node_addr "$number"
  if ((NODE_PORT > 65535 || RAFT_PORT > 65535)); then
    die "$EXIT_MISMATCH" "there is no port for one more node" "It would be node $number, on port $NODE_PORT."
  fi
  probe
  need_running
  seed=$SEED
  if [[ -n $follows ]]; then
    master_id "$follows"
    follows_id=$MASTER_ID
  fi
  if ((OPT_DRY_RUN == 1)); then
    add_would "$number" "$follows"
    return 0
  fi
  aikv_build
  ui_deadline "$UI_TIMEOUT"
  add_start "$number" "$follows" "$seed"
  add_join "$follows_id" "$seed"
  CONF_ADDING="" CONF_FOLLOWS=""
  conf_write
  node_addr "$number"
  text="node $number ($NODE_HOST:$NODE_PORT) is a master without slots"
  if [[ -n $follows ]]; then text="node $number ($NODE_HOST:$NODE_PORT) follows node $follows"; fi
  step_done add "$text"
  text=",\"node\":$number,\"address\":\"$NODE_HOST:$NODE_PORT\""
  if ((OPT_REBALANCE == 0)); then
    result_done "$text"
    return 0
  fi
  init_nodes
  moves_begin
  MOVE_VERB=rebalance
  interrupted_says "node $number is part of the cluster, its share of the slots has not moved yet" rebalance
  moves_run want=rebalance
  conf_follow
  moves_result "there was nothing to move" "$text"
}

# add_would NUMBER FOLLOWS: what "add" would do.
add_would() {
  local node=${#ADDRS[@]}
  aikv_find
  node_addr "$1"
  AIKV=${AIKV:-$ROOT/bin/aikv}
  share_cores
  serve_command "$1"
  would start "${SERVE[*]}"
  would meet "node $1 joins the cluster"
  if [[ -n $2 ]]; then would follow "node $1 follows node $2"; fi
  if ((OPT_REBALANCE == 1)); then
    NUMS[node]=$1
    pretend_node "$NODE_HOST:$NODE_PORT"
    moves_plan want=rebalance
    moves_would
  fi
  dry_result
}

# pretend_node ADDRESS: one more node, as if it were there and empty.
pretend_node() {
  local node=${#ADDRS[@]}
  ADDRS+=("$1")
  printf '@@nodes\nnode%d %s@0 myself,master - 0 0 0 connected\n@@end\n' "$node" "$1" >"$WORK/ans.$node"
}

# without NUMBER LIST sets LEFT to the list less the number.
without() {
  local word
  LEFT=""
  for word in $2; do
    if [[ $word != "$1" ]]; then LEFT="${LEFT:+$LEFT }$word"; fi
  done
}

# original_nodes: those of CONF_NODES are those of the shape again.
original_nodes() {
  local node all=""
  for ((node = 1; node <= CONF_SHARDS * (1 + CONF_REPLICAS); node++)); do all="$all $node"; done
  [[ $CONF_NODES == "${all# }" && -z $CONF_SPARES ]]
}

# drop_target NODE takes a node out of ADDRS.
drop_target() {
  local node left=()
  for node in "${NUMS[@]}"; do
    if [[ $node != "$1" ]]; then left+=("$node"); fi
  done
  if ((${#left[@]} == 0)); then die "$EXIT_MISMATCH" "node $1 is the only one in $DIR" "Remove it all: $(tool clean)"; fi
  only_nodes "${left[@]}"
}

# need_running sets SEED to the index of a node that answers.
need_running() {
  for ((SEED = 0; SEED < ${#ADDRS[@]}; SEED++)); do
    if [[ ${KINDS[SEED]} == aikv ]]; then
      read_ids
      return 0
    fi
  done
  die "$EXIT_NOTHING" "no node of the cluster answers" "Start it: $(tool start)"
}

# master_id NODE sets MASTER_ID; dies unless the node answers and is a master.
master_id() {
  index_of_node "$1" || die "$EXIT_MISMATCH" "there is no node $1 in $DIR" "Its nodes are: ${NUMS[*]}"
  MASTER_ID=${IDS[INDEX]:-}
  if [[ -z $MASTER_ID ]]; then die "$EXIT_UNREACHABLE" "node $1 (${ADDRS[INDEX]}) does not answer" "Start it: $(tool "start $1")"; fi
  if node_line "$INDEX" "$MASTER_ID" && [[ $LINE == *slave* ]]; then
    die "$EXIT_MISMATCH" "node $1 (${ADDRS[INDEX]}) is a replica itself" "Follow its master: $(tool status) shows the roles."
  fi
}

# node_line NODE ID sets LINE: how NODE describes the node with that id; false if
# it does not know it.
node_line() {
  while IFS= read -r LINE; do
    LINE=${LINE%$'\r'}
    case $LINE in "$2 "*) return 0 ;; esac
  done <"$WORK/ans.$1"
  LINE=""
  return 1
}

# add_start NUMBER FOLLOWS SEED: from here on, ADDRS are the seed and the new node.
add_start() {
  local seed=${NUMS[$3]}
  step_begin
  node_pid "$1"
  if [[ -z $NODE_PID ]]; then
    node_addr "$1"
    if port_open 127.0.0.1 "$NODE_PORT"; then CONFLICTS=("127.0.0.1:$NODE_PORT: the client port of node $1"); else CONFLICTS=(); fi
    if port_open 127.0.0.1 "$RAFT_PORT"; then CONFLICTS+=("127.0.0.1:$RAFT_PORT: the Raft port of node $1"); fi
    die_conflicts "Stop what listens there: a node that is added takes the next port."
  fi
  if [[ -z $CONF_ADDING ]]; then
    node_erase "$1" # left by a "remove" that was interrupted
    CONF_NODES="${NUMS[*]} $1"
  fi
  CONF_ADDING=$1 CONF_FOLLOWS=$2
  without "$1" "$CONF_SPARES"
  CONF_SPARES=$LEFT
  if [[ -z $2 ]]; then CONF_SPARES="${LEFT:+$LEFT }$1"; fi
  conf_write
  only_nodes "$seed" "$1"
  KINDS=(aikv free) COUNT_AIKV=1
  if [[ -z $NODE_PID ]]; then
    mkdir -p "$DIR/data/node$1"
    node_start "$1"
    START_PIDS+=($!)
  fi
  wait_for_nodes
  step_done start "node $1 answers on ${ADDRS[1]}"
}

# add_join FOLLOWS-ID: the new node (1) joins the cluster of the seed (0).
add_join() {
  step_begin
  while :; do
    split_addr "${ADDRS[0]}"
    ask 1 meet "CLUSTER MEET $NODE_HOST $NODE_PORT"
    if [[ -n $1 ]]; then ask 1 replicate "CLUSTER REPLICATE $1"; fi
    if act; then return 0; fi
    ui_left
    if ((LEFT_S == 0)); then die "$EXIT_UNREACHABLE" "the node could not join in time" "$ACT_ERROR" "Run again: it goes on from there."; fi
    sleep 0.1
  done
}

# spare_heir NUMBER SEED sets heir: a node that was added as a master without slots
# and follows another one now, after a takeover, leaves it that place. LINE (of
# node_line) describes the node.
spare_heir() {
  local line=$LINE id flags master node
  case " $CONF_SPARES " in *" $1 "*) ;; *) return 0 ;; esac
  read -r id _ flags master _ <<<"$line"
  [[ $flags == *slave* ]] || return 0
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if [[ ${IDS[node]:-} == "$master" && -z $(nodes_awk json=slots "wanted=${ADDRS[node]}") ]]; then heir=${NUMS[node]}; fi
  done
  : "$id"
}

# last_replica NODE SEED ID warns, and sets LAST_REPLICA to true, if the node is the
# only replica that its master has.
last_replica() {
  local line id flags master victim others=0
  LAST_REPLICA=false
  node_line "$2" "$3" || return 0
  read -r id line flags victim line <<<"$LINE"
  [[ $flags == *slave* ]] || return 0
  while read -r id line flags master line; do
    if [[ $flags == *slave* && $master == "$victim" && $id != "$3" ]]; then others=$((others + 1)); fi
  done <"$WORK/ans.$2"
  if ((others > 0)) || ! node_line "$2" "$victim"; then return 0; fi
  read -r id line <<<"$LINE"
  line=${line%%@*}
  LAST_REPLICA=true
  warn "node $1 is the last replica of ${line%% *}: when that node fails, its slots are not served until it returns"
}

# verb_remove N: forget, stop, erase. What owns slots stays, or is drained first.
verb_remove() {
  verb_parse remove "$@"
  need_dir
  if ((${#WORDS[@]} > 1)); then usage_error "remove takes one node at a time"; fi
  node_words remove
  init_begin
  local number=${WORDS[0]} all=("${NUMS[@]}") slots node
  for node in "${all[@]}"; do if node_paused "$node"; then
    index_of_node "$node" && PAUSED[INDEX]=1
  fi; done
  probe
  index_of_node "$number"
  slots=$(nodes_awk json=slots "wanted=${ADDRS[INDEX]}")
  if [[ -n $slots ]] && ((OPT_DRAIN == 0)); then
    die "$EXIT_MISMATCH" "node $number (${ADDRS[INDEX]}) owns the slots $slots" "They, and their keys, have to move first: $(tool "remove $number --drain")"
  fi
  if ((OPT_DRY_RUN == 1)); then
    if [[ -n $slots ]]; then
      drain_weights "$number"
      moves_plan want=rebalance "weights=$WEIGHTS"
      moves_would
    fi
    would remove "node $number (${ADDRS[INDEX]}) is forgotten, stopped, and its data removed"
    dry_result
    return 0
  fi
  lock_take
  if [[ -n $slots ]]; then
    moves_begin
    drain "$number"
    conf_follow
  fi
  remove_node "$number"
  result_done ",\"node\":$number,\"last_replica\":$LAST_REPLICA,\"moved_slots\":$MOVED_SLOTS"
}

# drain NUMBER…: the slots of these of the nodes that are masters move to the others,
# evenly.
drain() {
  drain_weights "$@"
  MOVE_VERB=${MOVE_VERB:-"remove $1 --drain"}
  moves_run want=rebalance "weights=$WEIGHTS"
}

drain_weights() {
  local number
  WEIGHTS=""
  for number in "$@"; do if index_of_node "$number"; then weight_of "$INDEX" 0 || true; fi; done
}

# remove_node NUMBER: the cluster forgets it, it is stopped and its data removed.
remove_node() {
  local number=$1 all=("${NUMS[@]}") victim addr seed id heir=""
  index_of_node "$number"
  victim=$INDEX
  addr=${ADDRS[victim]}
  probe
  KINDS[victim]=victim
  need_running
  seed=$SEED
  id=$(nodes_awk json=id "wanted=$addr")
  step_begin
  if [[ -n $id ]] && node_line "$seed" "$id"; then
    spare_heir "$number" "$seed"
    last_replica "$number" "$seed" "$id"
    forget_node "$number" "$seed" "$id"
    step_begin
  fi
  halt_nodes "$number"
  interrupted_says "node $number is no member any more, and stopped" "remove $number"
  without "$number" "${all[*]}"
  CONF_NODES=$LEFT
  without "$number" "$CONF_SPARES"
  CONF_SPARES="$LEFT${heir:+${LEFT:+ }$heir}"
  case " $CONF_MASTERS " in *" $number "*) CONF_MASTERS="" ;; esac # the first ones, then
  if [[ $CONF_ADDING == "$number" ]]; then CONF_ADDING="" CONF_FOLLOWS=""; fi
  if original_nodes; then CONF_NODES=""; fi
  conf_write
  node_erase "$number"
  step_done remove "node $number ($addr) is stopped, its data removed"
}

# forget_node NUMBER SEED ID
forget_node() {
  index_of_node "$1"
  ask "$2" forget "CLUSTER FORGET $3"
  interrupted_says "node $1 may be no member any more; its data is kept" "remove $1"
  act || die "$EXIT_UNREACHABLE" "the cluster does not forget node $1" "$ACT_ERROR" "Nothing was stopped or removed."
  step_done forget "node $1 (${ADDRS[INDEX]}) is no member any more"
}
