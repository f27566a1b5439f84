# shellcheck shell=bash
# cluster_init.sh --dry-run: what would be done.

# init_dry_run says what would be done; nothing is built, started or changed.
init_dry_run() {
  local node
  probe
  if ((GIVEN == 0 && COUNT_FREE > 0)); then raft_conflicts; fi
  die_conflicts
  aikv_find
  if ((GIVEN == 0 && COUNT_FREE > 0)) && aikv_stale; then echo "build   make build"; fi
  AIKV=${AIKV:-$ROOT/bin/aikv}
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${KINDS[node]} == aikv ]]; then
      echo "use     ${ADDRS[node]}"
    elif ((GIVEN == 1)); then
      echo "wait    ${ADDRS[node]}"
    else
      serve_command "${NUMS[node]}"
      echo "start   ${SERVE[*]}"
    fi
  done
  if ((OPT_RESET == 1)); then
    echo "reset   FLUSHALL and CLUSTER RESET on ${#ADDRS[@]} nodes"
  fi
  if ((COUNT_AIKV < ${#ADDRS[@]} || OPT_RESET == 1)); then
    dry_run_all
    return 0
  fi
  make_plan
  dry_run_plan
}

# dry_run_all: the plan for empty nodes, each alone.
dry_run_all() {
  local node
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    printf '@@nodes\nnode%d %s@0 myself,master - 0 0 0 connected\n' "$node" "${ADDRS[node]}" >"$WORK/ans.$node"
  done
  read_plan
  dry_run_plan
}

# dry_run_plan prints what make_plan has found missing.
dry_run_plan() {
  local line verb a b c
  for line in ${PLAN[@]+"${PLAN[@]}"}; do
    read -r verb a b c <<<"$line"
    case $verb in
      meet) echo "meet    every node meets every other" ;;
      slots) echo "slots   ${ADDRS[a]} CLUSTER ADDSLOTSRANGE $b $c" ;;
      replicate) echo "follow  ${ADDRS[a]} CLUSTER REPLICATE ${ADDRS[b]}" ;;
    esac
  done
  echo "check   the checklist, on ${#ADDRS[@]} nodes"
}
