# shellcheck shell=bash
# "aikv-tool cluster status": one line for the cluster, a row a node, and for
# everything that is wrong what to type next.

# look asks every node that can answer, and sets STATES; true if any aikv answers.
look() {
  local node
  PAUSED=() STATES=()
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if node_paused "${NUMS[node]}"; then PAUSED[node]=1; fi
  done
  probe
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    case ${KINDS[node]} in
      aikv) STATES[node]=up ;;
      busy) STATES[node]=starting ;;
      free) STATES[node]=down ;;
      redis | other | foreign) STATES[node]=alien ;;
      *) STATES[node]=silent ;;
    esac
    if [[ -n ${PAUSED[node]:-} ]]; then STATES[node]=paused; fi
  done
  ((COUNT_AIKV > 0))
}

# verb_status: 0 if the cluster is ok, 7 if anything is wrong, 8 if nothing runs.
verb_status() {
  verb_parse status "$@"
  no_words
  init_begin
  if ((OPT_WATCH == 0)); then
    status_once || exit "$?"
    return 0
  fi
  trap 'exit "$EXIT_INTERRUPTED"' INT TERM HUP # nothing was begun
  local clear=""
  if [[ -t 1 && "${TERM:-dumb}" != dumb ]]; then clear=$'\033[H\033[J'; fi
  while :; do
    ui_deadline "$UI_TIMEOUT"
    status_once >"$WORK/screen" 2>&1 || true
    printf '%s' "$clear"
    cat "$WORK/screen"
    if [[ -z $clear && $UI_JSON == 0 ]]; then echo; fi
    sleep 1
  done
}

status_once() {
  local text ok=false
  look || true
  diagnose
  if ((UI_JSON == 1)); then
    text=$(nodes_awk json=2 "findings=${#FINDINGS[@]}")
    if [[ $text == '"state":"ok"'* ]]; then ok=true; fi
    printf '{"schema":1,"ok":%s,%s,"nodes":[%s],"problems":[%s]}\n' "$ok" "$text" "$(nodes_json)" "$(findings_json)"
  else
    text=$(nodes_awk "findings=${#FINDINGS[@]}")
    if [[ $text == "cluster: ok,"* ]]; then ok=true; fi
    printf '%s\n' "$text"
    findings_short
  fi
  if ((COUNT_AIKV == 0)) && ! any_process; then return "$EXIT_NOTHING"; fi
  if [[ $ok == false ]]; then return "$EXIT_VERIFY"; fi
}
