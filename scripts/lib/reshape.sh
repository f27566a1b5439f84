# shellcheck shell=bash
# Another number of shards for a cluster that is there: "--shards" grows it or shrinks
# it, and slots move while clients work. What is about to happen is written down before
# it begins, so the same command finishes an interrupted run.

RESHAPE=""      # grown or shrunk, if that is asked for
RESHAPE_FROM=-1 # how many nodes there were
RESHAPE_FROM_SHARDS=0
RESHAPE_OURS=1 # 0: no folder holds its nodes
RESHAPE_TO=0   # how many shards there are to be

# shape_wanted sets RESHAPE if the folder holds a cluster with another number of shards,
# and everything else is as asked for; refuses other differences.
shape_wanted() {
  conf_read || return 0
  if ((CONF_SHARDS == MASTERS || CONF_REPLICAS != REPLICAS || CONF_BASE_PORT != BASE_PORT || OPT_RESET == 1 || OPT_CHECK_ONLY == 1)); then
    if [[ -z $CONF_LEAVING || $OPT_SHARDS == "$CONF_SHARDS" ]] || ((OPT_RESET == 1 || OPT_CHECK_ONLY == 1)); then
      check_shape
      return 0
    fi
  fi
  RESHAPE_FROM_SHARDS=$CONF_SHARDS
  RESHAPE_TO=$MASTERS
  RESHAPE=grown
  if ((MASTERS < CONF_SHARDS)) || [[ -n $CONF_LEAVING ]]; then
    RESHAPE=shrunk
    MASTERS=$CONF_SHARDS # until it is done
  fi
  NUMS=()
  if [[ -n $CONF_NODES ]]; then read -r -a NUMS <<<"$CONF_NODES"; else
    local node
    for ((node = 1; node <= CONF_SHARDS * (1 + CONF_REPLICAS); node++)); do NUMS+=("$node"); done
  fi
  RESHAPE_FROM=${#NUMS[@]}
  only_nodes "${NUMS[@]}"
  NODES_TOTAL=${#ADDRS[@]}
  LOOSE=1
}

# reshape_confirmed: --yes, or a yes.
reshape_confirmed() {
  if [[ -z $RESHAPE || $OPT_YES == 1 ]]; then return 0; fi
  local text
  many "$RESHAPE_FROM_SHARDS" shard
  text="$DIR holds another cluster, of $MANY, not $RESHAPE_TO"
  if [[ $RESHAPE == grown ]]; then
    many "$((MASTERS * (1 + REPLICAS) - RESHAPE_FROM))" node
    text="$text. Growing it starts $MANY, and a share of all slots moves there, with the keys"
  elif [[ -n $CONF_LEAVING ]]; then
    text="$DIR holds another cluster, which was about to shrink: the nodes $CONF_LEAVING are to go, their slots to the others"
  else
    many "$((RESHAPE_FROM_SHARDS - RESHAPE_TO))" shard
    text="$text. Shrinking it moves the slots of $MANY to the others, with the keys; its nodes are stopped, and their data is removed"
  fi
  if [[ ! -t 0 ]]; then die "$EXIT_MISMATCH" "$text" "Add --yes if that is meant. Another cluster needs another --dir; this one goes with: $(tool clean)"; fi
  ui_confirm "$text. Go on?" || die "$EXIT_MISMATCH" "not changed: you said no"
}

# reshape_nodes adds the numbers of the nodes that are missing to the new shape.
reshape_nodes() {
  local last=${NUMS[${#NUMS[@]} - 1]}
  while ((${#NUMS[@]} < MASTERS * (1 + REPLICAS))); do
    last=$((last + 1))
    node_addr "$last"
    if ((NODE_PORT > 65535 || RAFT_PORT > 65535)); then
      die "$EXIT_MISMATCH" "there is no port for one more node" "It would be node $last, on port $NODE_PORT."
    fi
    NUMS+=("$last")
  done
  only_nodes "${NUMS[@]}"
  NODES_TOTAL=${#ADDRS[@]}
}

# reshape_begin writes down which nodes a cluster that grows has from now on.
reshape_begin() {
  if [[ $RESHAPE != grown ]]; then
    if [[ -n $CONF_LEAVING && $OPT_SHARDS == "$CONF_SHARDS" ]]; then # it is not to shrink after all
      CONF_LEAVING=""
      conf_write
    fi
    return 0
  fi
  local node masters=${CONF_MASTERS:-} count
  if [[ -z $masters ]]; then
    for ((node = 1; node <= CONF_SHARDS; node++)); do masters="${masters:+$masters }$node"; done
  fi
  reshape_nodes
  probe
  if ((COUNT_FREE > 0)); then raft_conflicts; fi
  die_conflicts
  aikv_build
  count=$CONF_SHARDS
  for node in $CONF_SPARES ${NUMS[@]:RESHAPE_FROM}; do
    if ((count < MASTERS)); then masters="$masters $node" count=$((count + 1)); fi
  done
  for node in "${NUMS[@]:RESHAPE_FROM}"; do
    node_erase "$node" # left by a "remove" that was interrupted
    mkdir -p "$DIR/data/node$node"
  done
  CONF_GROWING=1
  conf_shape "$MASTERS" "$masters" "${NUMS[*]}" ""
  init_nodes
}

# reshape_leaving sets CONF_LEAVING: the nodes of the shards that go, if that is not
# written down already.
reshape_leaving() {
  local word index
  if [[ -n $CONF_LEAVING ]]; then return 0; fi
  while read -r word index; do CONF_LEAVING="${CONF_LEAVING:+$CONF_LEAVING }${NUMS[index]}"; done < <(moves_awk want=leaving "left=$RESHAPE_TO")
  : "$word"
}

# reshape_shrink: the shards that go give their slots away, and their nodes leave.
reshape_shrink() {
  local number leaving masters="" node word index owners=0
  if [[ -z $RESHAPE ]]; then reshape_beyond; fi
  if [[ $RESHAPE != shrunk ]]; then return 0; fi
  if ((RESHAPE_OURS == 0)); then
    reshape_forget
    return 0
  fi
  reshape_leaving
  leaving=$CONF_LEAVING
  conf_write
  MOVE_VERB="setup --yes"
  interrupted_says "the slots of the nodes $leaving are about to move to the others" "setup --yes"
  moves_begin
  # shellcheck disable=SC2086 # words
  drain $leaving
  for number in $leaving; do
    remove_node "$number"
    without "$number" "${NUMS[*]}"
    # shellcheck disable=SC2086 # words
    only_nodes $LEFT
    without "$number" "$CONF_LEAVING"
    CONF_LEAVING=$LEFT
    conf_write
  done
  probe
  while read -r word index; do owners=$((owners + 1)); done < <(moves_awk want=owners)
  : "$word" "$index"
  if ((owners == 0)); then die "$EXIT_INTERNAL" "the nodes' answers could not be read" "Run again: it goes on from there."; fi
  masters=${CONF_MASTERS:-}
  if [[ -z $masters ]]; then for ((node = 1; node <= CONF_SHARDS; node++)); do masters="${masters:+$masters }$node"; done; fi
  for number in $leaving; do
    without "$number" "$masters"
    masters=$LEFT
  done
  conf_shape "$owners" "$masters" "${CONF_NODES:-${NUMS[*]}}" "$CONF_SPARES"
  moves_end
  init_nodes
  refresh
}

# reshape_beyond: a cluster whose nodes no folder holds, such as that of compose, has
# more nodes than "--shards" asks for, on the ports that come next: they are to go.
reshape_beyond() {
  local addr next=() node
  if ((GIVEN == 1 || OPT_RESET == 1)) || [[ -z $OPT_SHARDS ]] || conf_read; then return 0; fi
  while IFS= read -r addr; do next+=("${addr##*:}"); done < <(moves_awk want=beyond)
  if ((${#next[@]} == 0)); then return 0; fi
  node=${#ADDRS[@]}
  for addr in "${next[@]}"; do
    node=$((node + 1))
    node_addr "$node"
    case " ${next[*]} " in *" $NODE_PORT "*) ;; *) return 0 ;; esac # make_plan names it
  done
  for ((node = ${#ADDRS[@]} + 1; ${#next[@]} > 0 && node <= NODES_TOTAL + ${#next[@]}; node++)); do
    CONF_LEAVING="${CONF_LEAVING:+$CONF_LEAVING }$node"
  done
  # shellcheck disable=SC2206 # numbers
  NUMS+=($CONF_LEAVING)
  only_nodes "${NUMS[@]}"
  probe
  if ((COUNT_AIKV < ${#ADDRS[@]})); then die "$EXIT_UNREACHABLE" "a node that is to go does not answer" "Its slots could not be moved. Start it, and run again."; fi
  RESHAPE=shrunk RESHAPE_OURS=0
}

# reshape_forget is reshape_shrink for nodes that no folder holds: somebody else stops them.
reshape_forget() {
  local number leaving=$CONF_LEAVING text
  text="the cluster has more nodes than $MASTERS shards need: the slots of the nodes $leaving move to the others, with the keys, and the cluster forgets them"
  if ((OPT_YES == 0)); then
    if [[ ! -t 0 ]]; then die "$EXIT_MISMATCH" "$text" "Add --yes if that is meant."; fi
    ui_confirm "$text. Go on?" || die "$EXIT_MISMATCH" "not changed: you said no"
  fi
  MOVE_VERB="setup --yes"
  moves_begin
  # shellcheck disable=SC2086 # words
  drain $leaving
  moves_end
  for number in $leaving; do
    probe
    need_running
    step_begin
    index_of_node "$number"
    forget_node "$number" "$SEED" "${IDS[INDEX]}"
    without "$number" "${NUMS[*]}"
    # shellcheck disable=SC2086 # words
    only_nodes $LEFT
  done
  CONF_LEAVING=""
  say "  the nodes $leaving run on, as clusters of their own: stop them where they were started"
  refresh
}

# spread: masters that are to have slots, and have none, get their share.
spread() {
  local node
  make_plan
  plan_lines spread
  if ((${#LINES_OF[@]} == 0)) && [[ -z $CONF_GROWING ]]; then return 0; fi
  if ((OPT_YES == 0)) && [[ -z $RESHAPE$CONF_GROWING ]]; then
    local text="fewer masters have slots than the $MASTERS that are asked for: a share of all slots would move to the others, with the keys"
    if [[ ! -t 0 ]]; then die "$EXIT_MISMATCH" "$text" "Add --yes if that is meant."; fi
    ui_confirm "$text. Go on?" || die "$EXIT_MISMATCH" "not changed: you said no"
  fi
  WEIGHTS=""
  # Those that were added as masters without slots stay that.
  for node in $CONF_SPARES; do if index_of_node "$node"; then weight_of "$INDEX" 0 || true; fi; done
  moves_begin
  MOVE_VERB="setup --yes"
  moves_run want=rebalance "weights=$WEIGHTS"
  moves_end
  if [[ -n $CONF_GROWING ]]; then
    CONF_GROWING=""
    conf_write
  fi
  refresh
}
