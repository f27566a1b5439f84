# shellcheck shell=bash
# Moves of slots that do not move on, and how "doctor --fix" ends them.

STUCK=()       # lines of moves.awk ("slot …", "job …") that stayed the same
STUCK_MS=3000  # for so long
CLOSE_KEYS=100 # keys that one MIGRATE takes

# open_lines prints what is open, and how far it is: of a slot, also how many keys it
# has here and there.
open_lines() {
  local line kind slot from to here
  moves_awk want=open >"$WORK/open"
  while read -r kind slot from to; do
    if [[ $kind != slot ]]; then continue; fi
    if ((from >= 0)); then ask "$from" "here$slot" "CLUSTER COUNTKEYSINSLOT $slot"; fi
    if ((to >= 0 && to != from)); then ask "$to" "there$slot" "CLUSTER COUNTKEYSINSLOT $slot"; fi
  done <"$WORK/open"
  ask_all 0 5
  while IFS= read -r line; do
    read -r kind slot from to <<<"$line"
    if [[ $kind == slot ]]; then
      here="" REPLY_TEXT=""
      if ((from >= 0)); then reply_of "$from" "here$slot" && here=$REPLY_TEXT; fi
      if ((to >= 0 && to != from)); then reply_of "$to" "there$slot"; else REPLY_TEXT=""; fi
      line="$line|${here:-0} ${REPLY_TEXT:-0}"
    fi
    printf '%s\n' "$line"
  done <"$WORK/open"
}

# find_stuck sets STUCK: what is open now, and does not change while it is looked at.
find_stuck() {
  local line now begin still
  STUCK=()
  while IFS= read -r line; do STUCK+=("$line"); done < <(open_lines)
  ui_now
  begin=$NOW_MS
  while ((${#STUCK[@]} > 0 && NOW_MS - begin < STUCK_MS)); do
    sleep 0.3
    probe
    now=$'\n'$(open_lines)$'\n' still=()
    for line in "${STUCK[@]}"; do
      case $now in *$'\n'"$line"$'\n'*) still+=("$line") ;; esac
    done
    STUCK=(${still[@]+"${still[@]}"})
    ui_now
  done
}

# diagnose_moves: a slot that was opened and left, a move that does not go on.
diagnose_moves() {
  local line kind a b c d rest text
  if ! moves_awk want=open | grep -q .; then return 0; fi
  find_stuck
  for line in ${STUCK[@]+"${STUCK[@]}"}; do
    read -r kind a b c d rest <<<"${line%%|*}"
    if [[ $kind == slot ]]; then
      text="slot $a is open"
      if ((b >= 0)); then node_name "$b" && text="$text, on $NAME"; fi
      if ((c >= 0)); then node_name "$c" && text="$text, on its way to $NAME"; fi
      finding "close $a $b $c" "$text" "SETSLOT has opened it, and nobody goes on moving it; keys here and there: ${line#*|}" "$(tool "doctor --fix")"
    else
      node_name "$b" && text="from $NAME"
      node_name "$c" && text="$text to $NAME"
      split_addr "${ADDRS[a]}"
      finding "cancel $d $a" "a move of $(many "${rest%% *}" slot && printf '%s' "$MANY") $text does not go on" "it is at: ${line#*|}" \
        "it goes on by itself once it can; to cancel it: $(client) -h $NODE_HOST -p $NODE_PORT CLUSTER MIGRATION CANCEL ID $d"
    fi
  done
}

# diagnose_leaving: a run that was to shrink the cluster was interrupted.
diagnose_leaving() {
  if ((GIVEN == 1)) || [[ -z ${CONF_LEAVING:-} ]]; then return 0; fi
  finding "" "the nodes $CONF_LEAVING were about to leave" "a run that was to make the cluster smaller was interrupted" \
    "to go on: $(tool setup) --yes|to keep them: $(tool setup) --shards $CONF_SHARDS"
}

# fix_moves close|cancel
fix_moves() {
  local line kind a b c
  for line in "${FINDINGS[@]}"; do
    read -r kind a b c <<<"${line%%|*}"
    if [[ $kind != "$1" ]]; then continue; fi
    if [[ $kind == close ]]; then
      confirmed "end the move of slot $a" && close_slot "$a" "$b" "$c"
    else
      confirmed "cancel the move $a, whose slots stay where they are" && fix_cancel "$a" "$b"
    fi
  done
  return 0
}

# fix_cancel ID AT
fix_cancel() {
  step_begin
  ask "$2" cancel "CLUSTER MIGRATION CANCEL ID $1"
  ask_all 0 5
  reply_of "$2" cancel
  case $REPLY_TEXT in
    *[!0-9]* | "") warn "the move $1 could not be cancelled: ${REPLY_TEXT:-$(why_silent "$2")}" ;;
    *) step_done cancel "the move $1" ;;
  esac
}

# close_slot SLOT OWNER TO: without keys at the other node, the slot stays where it is;
# else the move is seen through.
close_slot() {
  local slot=$1 from=$2 to=$3 keys=0 node
  step_begin
  probe
  read_ids
  if ((to >= 0 && to != from)); then
    ask "$to" count "CLUSTER COUNTKEYSINSLOT $slot"
    ask_all 0 5
    reply_of "$to" count
    keys=$REPLY_TEXT
  fi
  if [[ $keys == 0 ]] || ((from < 0)); then
    for node in "$from" "$to"; do if ((node >= 0)); then ask "$node" stable "CLUSTER SETSLOT $slot STABLE"; fi; done
    closed_or_warned "$slot" || return 0
    step_done close "slot $slot stays where it is"
    return 0
  fi
  if ((${#CLI[@]} == 0)); then
    warn "slot $slot has keys on both sides, and only redis-cli can name them: install it, and run again"
    return 0
  fi
  ask "$from" open "CLUSTER SETSLOT $slot MIGRATING ${IDS[to]}"
  ask "$to" open "CLUSTER SETSLOT $slot IMPORTING ${IDS[from]}"
  closed_or_warned "$slot" || return 0
  close_keys "$slot" "$from" "$to" || return 0
  for node in "$to" "$from"; do
    ask "$node" node "CLUSTER SETSLOT $slot NODE ${IDS[to]}"
    closed_or_warned "$slot" || return 0
  done
  node_name "$to"
  step_done close "slot $slot is on $NAME, with all of its keys"
}

# closed_or_warned SLOT sends what was asked; false, and says why, if a node refuses.
closed_or_warned() {
  if act; then return 0; fi
  warn "slot $1 could not be closed: $ACT_ERROR"
  return 1
}

# close_keys SLOT FROM TO moves what keys are left. One that is on both sides counts as
# FROM has it, which serves it.
close_keys() {
  local keys auth="" rounds=0
  if [[ -n "${REDISCLI_AUTH:-}" ]]; then auth="AUTH ${REDISCLI_AUTH} "; fi
  while :; do
    slot_keys "$1" "$2"
    if [[ -z $SLOT_KEYS ]]; then return 0; fi
    keys=$SLOT_KEYS
    split_addr "${ADDRS[$3]}"
    ask "$2" migrate "MIGRATE $NODE_HOST $NODE_PORT \"\" 0 10000 REPLACE ${auth}KEYS$keys"
    ask_all 0 30
    reply_of "$2" migrate
    case $REPLY_TEXT in
      OK | NOKEY) ;;
      *)
        warn "the keys of slot $1 could not be moved: ${REPLY_TEXT:-$(why_silent "$2")}"
        return 1
        ;;
    esac
    rounds=$((rounds + 1))
    ui_left
    if ((LEFT_S == 0)); then
      warn "slot $1 has keys left after $UI_TIMEOUT s: run again"
      return 1
    fi
  done
}

# slot_keys SLOT NODE sets SLOT_KEYS to some of its keys, as redis-cli reads them: each
# in quotes, with escapes.
slot_keys() {
  local line
  SLOT_KEYS=""
  split_addr "${ADDRS[$2]}"
  while IFS= read -r line; do
    case $line in *'"'*'"') SLOT_KEYS="$SLOT_KEYS \"${line#*\"}" ;; esac
  done < <("${CLI[@]}" --no-raw -h "$NODE_HOST" -p "$NODE_PORT" CLUSTER GETKEYSINSLOT "$1" "$CLOSE_KEYS" 2>/dev/null)
}
