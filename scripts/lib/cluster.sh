# shellcheck shell=bash
# The verbs of "aikv-tool cluster" that act on the processes of a folder, or ask
# nodes something. Each is one function; verbs.sh has the table of them.

# verb_setup: the same bring-up as cluster_init.sh, with the same options.
verb_setup() {
  case ${1:-} in -h | --help)
    verb_usage setup
    exit 0
    ;;
  esac
  init_main "$@"
}

# all_or_words VERB sets WORDS to all nodes of the folder if none was named.
all_or_words() {
  if ((${#WORDS[@]} == 0)); then WORDS=("${NUMS[@]}"); else node_words "$1"; fi
}

# verb_start starts what is stopped and waits until every node answers.
verb_start() {
  verb_parse start "$@"
  need_dir
  all_or_words start
  only_nodes "${WORDS[@]}"
  init_begin
  lock_take
  find_nodes
  partition_again
  result_done
}

verb_stop() {
  verb_parse stop "$@"
  need_dir
  if ((${#WORDS[@]} > 0)); then node_words stop; else stop_everything; fi
  act_begin
  step_begin
  halt_nodes "${WORDS[@]}"
  many "$STOPPED" node
  step_done stop "$MANY stopped, data kept in $DIR"
  result_done
}

# stop_everything sets WORDS to every node that the folder has data or a process of.
stop_everything() {
  local number
  nodes_in_dir
  WORDS=("${NUMS[@]}")
  for number in ${DIR_NODES[@]+"${DIR_NODES[@]}"}; do
    case " ${WORDS[*]} " in *" $number "*) ;; *) WORDS+=("$number") ;; esac
  done
}

# halt_nodes NODE…: when it returns, none of them runs.
halt_nodes() {
  local list="$*"
  interrupted_says "nodes $list are stopped, or about to; their data is kept" "start $list"
  nodes_stop 15 "$@"
  if ((KILLED > 0)); then
    many "$KILLED" node
    warn "$MANY did not stop within 15 s and were killed; nothing acknowledged is lost"
  fi
  nodes_silent "$@"
}

# verb_restart [N…]
verb_restart() {
  verb_parse restart "$@"
  need_dir
  all_or_words restart
  only_nodes "${WORDS[@]}"
  init_begin
  lock_take
  aikv_build
  check_config
  step_begin
  halt_nodes "${WORDS[@]}"
  many "$STOPPED" node
  step_done stop "$MANY stopped"
  find_nodes
  partition_again
  result_done
}

# check_config refuses, before anything is stopped, what would not start again.
check_config() {
  local node text
  share_cores
  for node in "${WORDS[@]}"; do
    serve_command "$node"
    text=$(serve_env "${SERVE[@]}" --print-config 2>&1 >/dev/null) ||
      die "$EXIT_MISMATCH" "node $node would not start again" "${text#aikv: }" "Nothing was stopped. Correct it, and run again."
  done
}

# verb_clean stops the nodes and removes what this tool has made in the folder,
# nothing else.
verb_clean() {
  verb_parse clean "$@"
  no_words
  if ! conf_read; then
    say "nothing to remove in $DIR"
    result_done
    return 0
  fi
  if ((OPT_YES == 0)); then
    if [[ ! -t 0 ]]; then
      die "$EXIT_MISMATCH" "clean removes all data of the cluster in $DIR" "Add --yes if that is meant."
    fi
    ui_confirm "Stop the cluster in $DIR and remove its data?" || die "$EXIT_MISMATCH" "not removed: you said no"
  fi
  act_begin
  step_begin
  stop_everything
  halt_nodes "${WORDS[@]}"
  interrupted_says "the nodes in $DIR are stopped, and part of their data is removed" "clean --yes"
  local node
  for node in "${WORDS[@]}"; do node_erase "$node"; done
  if [[ -L "$DIR/logs/aikv.log" ]]; then rm -f "$DIR/logs/aikv.log"; fi
  if ((DIR_DEFAULT == 1)) && [[ -L "$ROOT/logs/aikv.log" ]]; then
    rm -f "$ROOT/logs/aikv.log"
    rmdir "$ROOT/logs" 2>/dev/null || true
  fi
  rm -f "$DIR/cluster.conf" "$DIR/raft-token" "$DIR/password" "$(cut_file)"
  rmdir "$DIR/data" "$DIR/logs" "$DIR/pids" 2>/dev/null || true
  LOCK_MADE=1 # the folder itself goes with the lock
  many "${#NUMS[@]}" node
  step_done clean "$MANY removed from $DIR"
  result_done
}

# node_erase NODE removes the data of a stopped node, its log and its pid file.
node_erase() {
  rm -rf "$DIR/data/node$1"
  rm -f "$DIR/logs/node$1.log" "$DIR/pids/node$1.pid" "$DIR/pids/node$1.id"
}

# verb_logs [N…]: the last lines of the nodes' logs; -f goes on, -n says how many.
verb_logs() {
  verb_parse logs "$@"
  need_dir
  all_or_words logs
  local node files=() args=(-n "$OPT_LINES")
  for node in "${WORDS[@]}"; do
    if [[ ! -f "$DIR/logs/node$node.log" ]]; then die "$EXIT_MISMATCH" "$DIR has no log of node $node"; fi
    files+=("$DIR/logs/node$node.log")
  done
  if ((OPT_FOLLOW == 1)); then args+=(-f); fi
  exec tail "${args[@]}" "${files[@]}"
}

# signal_nodes VERB SIGNAL WANTED: sends it to the nodes in WORDS, all of which
# must have a process, and waits until each is as WANTED: gone, paused or awake.
signal_nodes() {
  local node pids=() pid limit
  node_words "$1"
  if [[ -z $WORK ]]; then act_begin; fi
  for node in "${WORDS[@]}"; do
    node_pid "$node"
    if [[ -z $NODE_PID ]]; then
      if [[ $3 == gone ]]; then nodes_silent "$node"; fi
      die "$EXIT_MISMATCH" "node $node does not run" "Start it: $(tool "start $node")"
    fi
    pids+=("$NODE_PID")
  done
  step_begin
  kill "-$2" "${pids[@]}"
  ui_now
  limit=$((NOW_MS + 10000))
  for pid in "${pids[@]}"; do
    until process_is "$3" "$pid"; do
      ui_now
      if ((NOW_MS > limit)); then die "$EXIT_INTERNAL" "process $pid did not heed SIG$2"; fi
      sleep 0.02
    done
  done
  if [[ $3 == gone ]]; then
    for node in "${WORDS[@]}"; do rm -f "$DIR/pids/node$node.pid"; done
  fi
}

verb_kill() {
  verb_parse kill "$@"
  need_dir
  signal_nodes kill KILL gone
  many "${#WORDS[@]}" node
  step_done kill "$MANY killed, data kept in $DIR"
  result_done
}

verb_pause() {
  verb_parse pause "$@"
  need_dir
  signal_nodes pause STOP paused
  many "${#WORDS[@]}" node
  step_done pause "$MANY paused"
  result_done
}

verb_resume() {
  verb_parse resume "$@"
  need_dir
  signal_nodes resume CONT awake
  many "${#WORDS[@]}" node
  step_done resume "$MANY resumed"
  partition_again
  result_done
}

# verb_verify: only the checklist.
verb_verify() {
  verb_parse verify "$@"
  no_words
  init_begin
  init_check_only
}

# verb_call CMD ARG…: each line of each answer, after the node's address.
verb_call() {
  verb_parse call "$@"
  if ((${#WORDS[@]} == 0)); then usage_error "call: which command?" "As in: aikv-tool cluster call DBSIZE"; fi
  init_begin
  local node pids=() errors=0 silent=0 comma="" reply
  call_options
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    (call_one "$node" && : >"$WORK/called.$node") >"$WORK/ans.$node" 2>"$WORK/ans.$node.err" </dev/null 3>&- &
    pids+=($!)
  done
  ASK_PIDS=("${pids[@]}")
  ui_left
  wait_jobs "$LEFT_S" "${pids[@]}"
  if ((UI_JSON == 1)); then printf '{"schema":1,"replies":['; fi
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ! -e $WORK/called.$node ]]; then # it was ended at the deadline
      printf 'no answer within %d s\n' "$UI_TIMEOUT" >"$WORK/ans.$node.err"
    fi
    case $(<"$WORK/ans.$node.err") in
      error) errors=$((errors + 1)) ;;
      ?*)
        silent=$((silent + 1))
        printf '%s: %s\n' "${ADDRS[node]}" "$(why_silent "$node")" >&2
        ;;
    esac
    if ((UI_JSON == 1)); then
      reply=$(<"$WORK/ans.$node")
      json_string "$reply"
      printf '%s{"address":"%s","ok":%s,"reply":%s}' "$comma" "${ADDRS[node]}" \
        "$([[ -s $WORK/ans.$node.err ]] && echo false || echo true)" "$JSON_TEXT"
      comma=,
    else
      awk -v addr="${ADDRS[node]}" '{ sub(/\r$/, ""); print addr ": " $0 }' "$WORK/ans.$node"
    fi
  done
  if ((UI_JSON == 1)); then printf '],"ok":%s}\n' "$( ((errors + silent == 0)) && echo true || echo false)"; fi
  if ((silent > 0)); then exit "$EXIT_UNREACHABLE"; fi
  if ((errors > 0)); then exit "$EXIT_INTERNAL"; fi
}

# call_options sets CALL_FLAG: how redis-cli is told to fail on an error reply
# (from version 7 on).
call_options() {
  CALL_FLAG=()
  if ((${#CLI[@]} > 0)) && "${CLI[@]}" -e --version >/dev/null 2>&1; then CALL_FLAG=(-e); fi
}

# call_one NODE: the answer on stdout; on stderr "error" if it is one, or why
# there is none.
call_one() {
  local command=() status=0 client
  split_addr "${ADDRS[$1]}"
  if ((${#CLI[@]} > 0)); then
    command=("${CLI[@]}" ${CALL_FLAG[@]+"${CALL_FLAG[@]}"})
  else
    command=("$AIKV" cli)
    if [[ -n "${REDISCLI_AUTH:-}" ]]; then command+=(-a "$REDISCLI_AUTH"); fi
  fi
  "${command[@]}" -h "$NODE_HOST" -p "$NODE_PORT" "${WORDS[@]}" 2>"$WORK/call.$1" &
  client=$!
  trap 'kill "$client" 2>/dev/null; exit 1' TERM # the deadline
  wait "$client" || status=$?
  if ((status == 0)); then return 0; fi
  case $(<"$WORK/call.$1") in
    *[Cc]"ould not connect"* | *"cannot connect"* | *"losed"* | *"AUTH failed"*) cat "$WORK/call.$1" >&2 ;;
    *)
      cat "$WORK/call.$1" # where redis-cli -e prints an error reply
      printf error >&2
      ;;
  esac
}

# verb_env prints what a shell needs: eval "$(aikv-tool cluster env)".
verb_env() {
  verb_parse env "$@"
  no_words
  if ((GIVEN == 0)); then need_dir; fi
  local nodes="${ADDRS[*]}" url="redis://${ADDRS[0]}"
  nodes=${nodes// /,}
  if ((UI_JSON == 1)); then
    json_string "$DIR"
    printf '{"schema":1,"ok":true,"AIKV_NODES":"%s","REDIS_URL":"%s","CLUSTER_DIR":%s}\n' "$nodes" "$url" \
      "$( ((GIVEN == 1)) && echo null || printf '%s' "$JSON_TEXT")"
    return 0
  fi
  printf "export AIKV_NODES='%s'\nexport REDIS_URL='%s'\n" "$nodes" "$url"
  if ((GIVEN == 0)); then printf "export CLUSTER_DIR='%s'\n" "${DIR//\'/\'\\\'\'}"; fi
}
