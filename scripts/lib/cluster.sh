# shellcheck shell=bash
# The verbs of "aikv-tool cluster". Each is one function; the table of verbs is
# in aikv-tool.

# verb_setup: the same bring-up as cluster_init.sh, with the same options.
verb_setup() { init_main "$@"; }

# cluster_options ARGS…: the options that the other verbs share. Words that are
# not options are left in WORDS.
cluster_options() {
  WORDS=() OPT_FOLLOW=0 OPT_LINES=20
  local keep=()
  while (($# > 0)); do
    case $1 in
      -f | --follow) OPT_FOLLOW=1 ;;
      -n | --lines)
        if (($# < 2)); then usage_error "$1 wants a value"; fi
        need_number "$1" "$2" 0 999999
        OPT_LINES=$2
        shift
        ;;
      -h | --help)
        tool_usage
        exit 0
        ;;
      --dir | --base-port | --shards | --replicas-per-shard | --timeout | -m | --masters | -r | --replicas)
        if (($# < 2)); then usage_error "$1 wants a value"; fi
        keep+=("$1" "$2")
        shift
        ;;
      --dir=* | --base-port=* | --shards=* | --replicas-per-shard=* | --timeout=* | -y | --yes | -q | --quiet | --json)
        keep+=("$1")
        ;;
      -*) usage_error "unknown option '$1'" ;;
      *) WORDS+=("$1") ;;
    esac
    shift
  done
  ui_init
  init_parse ${keep[@]+"${keep[@]}"}
  init_targets
}

no_words() {
  if ((${#WORDS[@]} > 0)); then usage_error "unexpected argument '${WORDS[0]}'"; fi
}

# need_dir refuses where there is no cluster of ours.
need_dir() {
  conf_read || die "$EXIT_MISMATCH" "there is no cluster in $DIR" "Make one with 'aikv-tool cluster setup', or name its folder with --dir."
}

# verb_status: 0 if every point of the checklist but the write holds, 7 if not,
# 6 if no node answers.
verb_status() {
  cluster_options "$@"
  no_words
  init_begin
  probe
  if ((COUNT_AIKV == 0)); then
    die "$EXIT_UNREACHABLE" "no aikv answers on ${ADDRS[*]}" "Start the cluster with 'aikv-tool cluster start' or 'aikv-tool cluster setup'."
  fi
  local healthy=true line problems=""
  if ! check_once; then healthy=false; fi
  if ((UI_JSON == 1)); then
    for line in "${CHECK_LINES[@]}"; do
      case $line in *" bad "*)
        json_string "${line%% *}: ${line#* bad }"
        problems="$problems${problems:+,}$JSON_TEXT"
        ;;
      esac
    done
    printf '{"ok":%s,"nodes":[%s],"metaraft":%s,"problems":[%s]}\n' "$healthy" \
      "$(state_run "$STATE_NODES" json=1)" "$(state_run "$STATE_NODES" json=2)" "$problems"
  else
    state_run "$STATE_NODES"
    for line in "${CHECK_LINES[@]}"; do
      case $line in *" bad "*) printf '%s %s: %s\n' "${C_BAD}✗${C_END}" "${line%% *}" "${line#* bad }" ;; esac
    done
  fi
  if [[ $healthy == false ]]; then exit "$EXIT_VERIFY"; fi
}

verb_stop() {
  cluster_options "$@"
  no_words
  need_dir
  step_begin
  stop_all
  step_done stop "$STOPPED of ${#ADDRS[@]} nodes stopped, data kept in $DIR"
}

# stop_all stops every node that the folder has a process of.
stop_all() {
  local node all=()
  nodes_count
  for ((node = 1; node <= NODES_IN_DIR; node++)); do all+=("$node"); done
  STOPPED=0 KILLED=0
  if ((${#all[@]} > 0)); then nodes_stop 15 "${all[@]}"; fi
  if ((KILLED > 0)); then warn "$KILLED nodes did not stop within 15 s and were killed; nothing acknowledged is lost"; fi
}

# verb_start starts what is stopped and waits until every node answers.
verb_start() {
  cluster_options "$@"
  no_words
  need_dir
  init_begin
  find_nodes
}

# verb_clean stops the nodes and removes what this tool has made in the folder,
# nothing else.
verb_clean() {
  cluster_options "$@"
  no_words
  if ! conf_read; then
    say "nothing to remove in $DIR"
    return 0
  fi
  if [[ -t 0 ]] && ((OPT_YES == 0)); then
    ui_confirm "Stop the cluster in $DIR and remove its data?" || die "$EXIT_MISMATCH" "not removed: you said no"
  fi
  step_begin
  stop_all
  local node
  for ((node = 1; node <= NODES_IN_DIR; node++)); do
    rm -rf "$DIR/data/node$node"
    rm -f "$DIR/logs/node$node.log" "$DIR/pids/node$node.pid"
  done
  if [[ -L "$DIR/logs/aikv.log" ]]; then rm -f "$DIR/logs/aikv.log"; fi
  if ((DIR_DEFAULT == 1)) && [[ -L "$ROOT/logs/aikv.log" ]]; then
    rm -f "$ROOT/logs/aikv.log"
    rmdir "$ROOT/logs" 2>/dev/null || true
  fi
  rm -f "$DIR/cluster.conf" "$DIR/lock"
  rmdir "$DIR/data" "$DIR/logs" "$DIR/pids" "$DIR" 2>/dev/null || true
  step_done clean "$NODES_IN_DIR nodes removed from $DIR"
}

# verb_logs [NODE…]: the last lines of the nodes' logs; -f goes on, -n says how many.
verb_logs() {
  cluster_options "$@"
  need_dir
  local node files=() args=(-n "$OPT_LINES")
  if ((${#WORDS[@]} == 0)); then
    nodes_count
    for ((node = 1; node <= NODES_IN_DIR; node++)); do WORDS+=("$node"); done
  fi
  for node in ${WORDS[@]+"${WORDS[@]}"}; do
    need_number "the node" "$node" 1 100000
    if [[ ! -f "$DIR/logs/node$node.log" ]]; then die "$EXIT_MISMATCH" "$DIR has no log of node $node"; fi
    files+=("$DIR/logs/node$node.log")
  done
  if ((OPT_FOLLOW == 1)); then args+=(-f); fi
  if ((${#files[@]} == 0)); then return 0; fi
  exec tail "${args[@]}" "${files[@]}"
}
