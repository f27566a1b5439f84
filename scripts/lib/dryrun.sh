# shellcheck shell=bash
# cluster_init.sh --dry-run: what would be done. It refuses what the real run
# refuses, and nothing is built, started or changed.

DRY_STEPS="" # JSON objects of the steps, comma separated

# would STEP TEXT
would() {
  if ((UI_JSON == 0)); then
    printf '%-7s %s\n' "$1" "$2"
    return 0
  fi
  json_string "$2"
  DRY_STEPS="$DRY_STEPS${DRY_STEPS:+,}{\"step\":\"$1\",\"detail\":$JSON_TEXT}"
}

init_dry_run() {
  local node fresh=1
  if ((GIVEN == 0)); then lock_free; fi
  reshape_confirmed
  if [[ $RESHAPE == grown ]]; then reshape_nodes; fi
  probe
  if ((GIVEN == 0 && COUNT_FREE > 0)); then raft_conflicts; fi
  die_conflicts
  if ((GIVEN == 0 && COUNT_FREE > 0)) && aikv_can_build; then would build "make build"; fi
  AIKV=${AIKV:-$ROOT/bin/aikv}
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} == aikv ]]; then
      would use "${ADDRS[node]}"
    elif [[ $RESHAPE != grown ]] && { ((GIVEN == 1)) || [[ ${KINDS[node]} != free ]] || ! is_ours "$node"; }; then
      would wait "${ADDRS[node]}"
    else
      need_programs nohup
      serve_command "${NUMS[node]}"
      would start "${SERVE[*]}"
      if [[ -e "$DIR/data/node${NUMS[node]}/wal" ]]; then fresh=0; fi
    fi
  done
  if ((OPT_RESET == 1)); then
    reset_asks
    would reset "FLUSHALL and CLUSTER RESET on ${#ADDRS[@]} nodes${RESET_LINE:+, after asking: $RESET_LINE}"
    dry_run_all
  elif [[ $RESHAPE == shrunk ]] && ((COUNT_AIKV > 0)); then
    dry_run_shrink
  elif ((COUNT_AIKV == ${#ADDRS[@]} || COUNT_AIKV == RESHAPE_FROM)); then
    dry_run_new
    make_plan
    dry_run_plan
  elif ((COUNT_AIKV == 0 && fresh == 1)); then
    dry_run_all
  else
    would finish "MEET, ADDSLOTSRANGE and REPLICATE where they are missing, which the nodes tell once all of them answer"
  fi
  would check "the checklist, on ${#ADDRS[@]} nodes"
  if ((UI_JSON == 1)); then printf '{"schema":1,"ok":true,"action":"dry-run","plan":[%s]}\n' "$DRY_STEPS"; fi
}

# dry_run_all: the plan for empty nodes.
dry_run_all() {
  local node
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    printf '@@nodes\nnode%d %s@0 myself,master - 0 0 0 connected\n' "$node" "${ADDRS[node]}" >"$WORK/ans.$node"
  done
  read_plan
  dry_run_plan
}

# dry_run_plan says what make_plan has found missing.
dry_run_plan() {
  local line verb a b c followers=""
  for line in ${PLAN[@]+"${PLAN[@]}"}; do
    read -r verb a b c <<<"$line"
    case $verb in
      meet) would meet "every node meets every other" ;;
      slots) would slots "${ADDRS[a]} CLUSTER ADDSLOTSRANGE $b $c" ;;
      replicate)
        would follow "${ADDRS[a]} CLUSTER REPLICATE ${ADDRS[b]}"
        followers="$followers $a"
        ;;
      spread)
        moves_plan want=rebalance "followers=$followers"
        moves_would
        ;;
    esac
  done
}

# dry_run_new: the nodes that would be added, as if they were there and empty.
dry_run_new() {
  local node
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} == aikv ]]; then continue; fi
    printf '@@nodes\nnode%d %s@0 myself,master - 0 0 0 connected\n@@end\n' "$node" "${ADDRS[node]}" >"$WORK/ans.$node"
  done
}

dry_run_shrink() {
  local number
  reshape_leaving
  # shellcheck disable=SC2086 # words
  drain_weights $CONF_LEAVING
  moves_plan want=rebalance "weights=$WEIGHTS"
  moves_would
  for number in $CONF_LEAVING; do
    index_of_node "$number"
    would remove "node $number (${ADDRS[INDEX]}) is forgotten, stopped, and its data removed"
  done
}
