# shellcheck shell=bash
# cluster_init.sh --dry-run: what would be done.

# init_dry_run says what would be done; nothing is built, started or changed.
init_dry_run() {
  local node line verb a b c
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

# dry_run_all: the plan for empty nodes.
dry_run_all() {
  local s n=${#ADDRS[@]} first last
  echo "meet    every node meets every other"
  for ((s = 0; s < MASTERS; s++)); do
    first=$(((2 * 16384 * s + MASTERS) / (2 * MASTERS)))
    last=$(((2 * 16384 * (s + 1) + MASTERS) / (2 * MASTERS) - 1))
    echo "slots   ${ADDRS[s]} CLUSTER ADDSLOTSRANGE $first $last"
  done
  for ((s = MASTERS; s < n; s++)); do
    echo "follow  ${ADDRS[s]} CLUSTER REPLICATE ${ADDRS[(s - MASTERS) % MASTERS]}"
  done
  echo "check   the checklist, on $n nodes"
}
