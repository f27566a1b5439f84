# shellcheck shell=bash
# The checklist of the troubleshooting guide, each point on every node.

NODES_JSON="" # the nodes as JSON objects, comma separated

# sent_nowhere: redis-cli was redirected to a name that only the network of the
# nodes knows, as with docker-compose.apps.yml.
sent_nowhere() {
  if ((${#CLI[@]} == 0)); then return 1; fi
  grep -q -e 'not known' -e 'resol' "$WORK"/ans.*.err
}

# write_read: a write through every node, read through the next one, removed.
write_read() {
  local node next n=${#ADDRS[@]} key label text got=0
  WRITE_ERROR=""
  CHECK_KEYS=()
  for ((node = 0; node < n; node++)); do
    key="aikv:check:$$:$RANDOM$RANDOM:$node"
    CHECK_KEYS[node]=$key
    ask "$node" set "SET $key value-$node EX 60"
  done
  ui_left
  ask_all 1 "$LEFT_S"
  if sent_nowhere; then # aikv cli takes the IP address instead
    aikv_build
    CLI=()
    write_read
    return
  fi
  while read -r node label text; do
    if [[ $label != end && -z $WRITE_ERROR ]]; then WRITE_ERROR="SET through ${ADDRS[node]}: $text"; fi
  done < <(not_ok)
  for ((node = 0; node < n; node++)); do
    next=$(((node + 1) % n))
    ask "$next" "get$node" "GET ${CHECK_KEYS[node]}"
    ask "$next" del "DEL ${CHECK_KEYS[node]}"
  done
  ui_left
  ask_all 1 "$LEFT_S"
  while read -r node label text; do
    case $label in
      get*) if [[ $text == "value-${label#get}" ]]; then got=$((got + 1)); elif [[ -z $WRITE_ERROR ]]; then
        WRITE_ERROR="GET through ${ADDRS[node]}: $text"
      fi ;;
    esac
  done < <(not_ok)
  if [[ -z $WRITE_ERROR ]] && ((got < n)); then WRITE_ERROR="only $got of $n keys were read back"; fi
  WRITE_TEXT="$n keys, each written through one node, read through another"
  [[ -z $WRITE_ERROR ]]
}

# check_once runs the checklist but for the write; sets CHECK_LINES; true if all is well.
check_once() {
  local line
  CHECK_LINES=()
  CHECK_BAD=0
  state_run check >"$WORK/check"
  while IFS= read -r line; do
    CHECK_LINES+=("$line")
    case $line in *" bad "*) CHECK_BAD=$((CHECK_BAD + 1)) ;; esac
  done <"$WORK/check"
  ((CHECK_BAD == 0 && ${#CHECK_LINES[@]} > 0))
}

# checklist polls until every point holds, or (once=1) looks just once.
checklist() {
  local once=$1 line name verdict text failed=0
  step_begin
  while ! check_once; do
    ui_left
    if ((once == 1 || LEFT_S == 0)); then break; fi
    sleep 0.03
    refresh
  done
  for line in "${CHECK_LINES[@]}"; do
    read -r name verdict text <<<"$line"
    if [[ $verdict != ok ]]; then failed=$((failed + 1)); fi
    check_line "$name" "$verdict" "$text"
    step_begin
  done
  if ((UI_JSON == 1)); then NODES_JSON=$(nodes_json); fi
  if ((failed == 0)); then
    until write_read; do
      ui_left
      if ((once == 1 || LEFT_S == 0)); then break; fi
      sleep 0.1 # a shard may be electing its leader again
    done
    if [[ -z $WRITE_ERROR ]]; then check_line write ok "$WRITE_TEXT"; else
      failed=1
      check_line write bad "$WRITE_ERROR"
    fi
  fi
  ((failed == 0))
}

check_line() {
  ui_now
  ui_line "$2" "$1" "$3" $((NOW_MS - UI_STEP_START))
  json_string "$3"
  CHECKS="$CHECKS${CHECKS:+,}{\"check\":\"$1\",\"ok\":$([[ $2 == ok ]] && printf true || printf false),\"detail\":$JSON_TEXT}"
}

init_failed_checks() {
  local line failed=()
  for line in "${CHECK_LINES[@]}"; do
    case $line in *" bad "*) failed+=("${line%% *}: ${line#* bad }") ;; esac
  done
  if [[ -n ${WRITE_ERROR:-} ]]; then failed+=("write: $WRITE_ERROR"); fi
  die "$EXIT_VERIFY" "the checklist failed" ${failed[@]+"${failed[@]}"} \
    "To repair what is missing: $(tool setup)" "To see each node: $(tool status)"
}
