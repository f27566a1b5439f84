# shellcheck shell=bash
# "aikv-tool cluster doctor" and "report".

# verb_doctor: what diagnose finds, in full; with --fix, it does what helps. 0 if
# nothing is wrong (any more), 7 if something is, 8 if nothing runs.
verb_doctor() {
  verb_parse doctor "$@"
  no_words
  FROM_HERE=1
  if ((OPT_FIX == 1 && OPT_YES == 0)) && [[ ! -t 0 ]]; then
    usage_error "--fix asks before it does something, and this is no terminal" "Add --yes if everything may be done."
  fi
  init_begin
  look || true
  diagnose
  if ((OPT_FIX == 1 && ${#FINDINGS[@]} > 0)); then
    findings_full >&2
    lock_take
    fix_all
    ui_deadline "$UI_TIMEOUT"
    settle
  fi
  findings_result
  if ((${#FINDINGS[@]} == 0)); then return 0; fi
  if ((COUNT_AIKV == 0)) && ! any_process; then exit "$EXIT_NOTHING"; fi
  exit "$EXIT_VERIFY"
}

findings_result() {
  if ((UI_JSON == 1)); then
    printf '{"schema":1,"ok":%s,"findings":[%s],"steps":[%s]}\n' \
      "$( ((${#FINDINGS[@]} == 0)) && echo true || echo false)" "$(findings_json)" "$UI_STEPS"
  elif ((${#FINDINGS[@]} == 0)); then
    printf '%s nothing is wrong\n  %s\n' "${O_OK}✓${O_END}" "$(nodes_awk json=line)"
  else
    findings_full
  fi
}

# findings_full: what, why, and what to do.
findings_full() {
  local line fix what why todo
  for line in "${FINDINGS[@]}"; do
    finding_read "$line"
    printf '%s %s\n    why: %s\n' "${O_BAD}✗${O_END}" "$what" "$why"
    todo_lines '    do:  ' '    or:  '
    case $what in "node "*" is down") log_lines "$what" ;; esac
  done
}

# log_lines "node N …": the end of its log.
log_lines() {
  local number=${1#node } text
  number=${number%% *}
  text=$(log_tail "$number" 3)
  printf '    log:\n'
  while IFS= read -r text; do printf '      %s\n' "$text"; done <<<"$text"
}

# settle looks until nothing is wrong any more, or the deadline has come: what was
# repaired may need a moment.
settle() {
  while :; do
    look || true
    diagnose
    if ((${#FINDINGS[@]} == 0)); then return 0; fi
    ui_left
    if ((LEFT_S == 0)) || only_unfixable; then return 0; fi
    sleep 0.2
  done
}

# only_unfixable: every finding is one that time does not cure.
only_unfixable() {
  local line
  for line in "${FINDINGS[@]}"; do
    case $line in
      "wait|"*) return 1 ;;
    esac
  done
  return 0
}

# fix_all does each kind of repair once, in the order in which they help.
fix_all() {
  local kind line numbers=() node
  for kind in resume start heal repair close cancel forget; do
    case " ${FINDINGS[*]}" in *" $kind|"* | *" $kind "*"|"*) ;; *) continue ;; esac
    case $kind in
      resume)
        for ((node = 0; node < ${#NUMS[@]}; node++)); do if [[ ${STATES[node]} == paused ]]; then numbers+=("${NUMS[node]}"); fi; done
        confirmed "resume the paused nodes ${numbers[*]}" && fix_resume "${numbers[@]}"
        ;;
      start) confirmed "start the nodes that are down" && fix_start ;;
      heal) confirmed "end the partition" && fix_heal ;;
      repair) confirmed "do what is missing: MEET, ADDSLOTS and REPLICATE" && fix_repair ;;
      close | cancel) fix_moves "$kind" ;;
      forget)
        for line in "${FINDINGS[@]}"; do
          case $line in "forget "*)
            line=${line%%|*}
            confirmed "forget the node ${line#forget }, which is gone" && fix_forget "${line#forget }"
            ;;
          esac
        done
        ;;
    esac
  done
  return 0
}

# confirmed WHAT: --yes, or a yes.
confirmed() { ((OPT_YES == 1)) || ui_confirm "Fix: $1?"; }

fix_resume() {
  WORDS=("$@")
  signal_nodes resume CONT awake
  many "${#WORDS[@]}" node
  step_done resume "$MANY resumed"
  PAUSED=()
}

fix_start() {
  ui_deadline "$UI_TIMEOUT"
  find_nodes
}

# fix_repair is what cluster_init.sh does, without its checklist.
fix_repair() {
  ui_deadline "$UI_TIMEOUT"
  find_nodes
  make_plan
  converge
  refresh
}

fix_forget() {
  step_begin
  need_running
  ask "$SEED" forget "CLUSTER FORGET $1"
  act || die "$EXIT_UNREACHABLE" "the cluster does not forget $1" "$ACT_ERROR"
  step_done forget "$1"
}

# verb_report prints what the guide asks those for who report a problem.
verb_report() {
  verb_parse report "$@"
  no_words
  FROM_HERE=1
  init_begin
  look || true
  diagnose
  local node number
  aikv_find
  report_part "aikv-tool cluster report, $(date -u '+%Y-%m-%d %H:%M:%S UTC')"
  printf 'aikv:   %s\n' "$("${AIKV:-aikv}" --version 2>/dev/null || echo 'no binary found here')"
  printf 'system: %s, bash %s\n' "$(uname -srm)" "$BASH_VERSION"
  report_part "status"
  nodes_awk "findings=${#FINDINGS[@]}"
  report_part "doctor"
  if ((${#FINDINGS[@]} > 0)); then findings_full; else echo "nothing is wrong"; fi
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    number=${NUMS[node]:-}
    report_part "${ADDRS[node]}${number:+ (node $number)}: ${STATES[node]}"
    report_node "$node"
  done
  if ((GIVEN == 1)); then return 0; fi
  for number in "${NUMS[@]}"; do
    report_part "the last $OPT_LINES lines of $DIR/logs/node$number.log"
    tail -n "$OPT_LINES" "$DIR/logs/node$number.log" 2>/dev/null || echo "there is no such log"
  done
}

report_part() { printf '\n== %s\n\n' "$1"; }

# report_node NODE: its version, CLUSTER INFO and CLUSTER NODES as it has answered.
report_node() {
  if ! answered "$1"; then
    why_silent "$1"
    echo
    return 0
  fi
  awk '
    { sub(/\r$/, "") }
    /^@@/ { part = substr($0, 3); if (part != "end" && part != "info") print (part == "cluster" ? "> CLUSTER INFO" : "> CLUSTER NODES"); next }
    part == "info" && /^(aikv_version|uptime_in_seconds|used_memory_rss_human|raft_addr|metaraft|group_[0-9]+):/ { print; next }
    part == "cluster" || part == "nodes" { if ($0 != "") print }
  ' "$WORK/ans.$1"
}
