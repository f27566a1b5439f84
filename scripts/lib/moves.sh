# shellcheck shell=bash
# Slots that move while clients work: "rebalance", "move", and what add, remove and
# cluster_init.sh have of it. moves.awk says which slots go where; the destination is
# told by CLUSTER MIGRATION IMPORT, and does the rest. A run that is interrupted leaves
# one such move under way, which ends by itself; the next run waits for it and plans
# anew from where the slots are then.

MOVES=()          # "FROM TO COUNT RANGES", as planned
MOVES_JSON=""     # those that are done
MOVED_SLOTS=0     # so many slots have moved
MOVE_ERROR=""     # why the last one did not
MOVE_ID=""        # the one under way, and where it goes to
MOVE_TO=0         #
MOVE_CHUNK=512    # slots a move: each is one hand-over, and one line of progress
MOVE_LIMIT_S=3600 # for all of them, unless --timeout says otherwise
MOVE_TRIES=5      # of moves in a row that failed
WEIGHTS=""        # see moves.awk

# node_name INDEX sets NAME: how a node is called in messages.
node_name() {
  NAME=${ADDRS[$1]:-a node that was not named}
  if [[ -n ${NUMS[$1]:-} ]]; then NAME="node ${NUMS[$1]}"; fi
}

# moves_awk VAR=VALUE…
moves_awk() { state_run moves "numbers=${NUMS[*]-}" "chunk=$MOVE_CHUNK" "$@"; }

# moves_plan VAR=VALUE… sets MOVES to what is left to do, by the answers of collect.
moves_plan() {
  local line
  MOVES=()
  moves_awk "$@" >"$WORK/moves"
  while IFS= read -r line; do
    case $line in
      "refuse "*)
        line=${line#refuse }
        die "$EXIT_MISMATCH" "no slots were moved: ${line%%|*}" "${line#*|}"
        ;;
      "move "*) MOVES+=("${line#move }") ;;
    esac
  done <"$WORK/moves"
}

# moves_would says what moves_plan has found.
moves_would() {
  local line from to count ranges text
  for line in ${MOVES[@]+"${MOVES[@]}"}; do
    read -r from to count ranges <<<"$line"
    many "$count" slot
    node_name "$from" && text="$MANY from $NAME to "
    node_name "$to"
    would move "$text$NAME: $ranges"
  done
}

# moves_run VAR=VALUE…: moves what has to move, one after the other. What was moved
# stays moved, whatever happens to the rest.
moves_run() {
  local done=0 total failed=0 begin
  moves_settle
  moves_plan "$@"
  total=${#MOVES[@]}
  ui_now
  begin=$NOW_MS
  while ((${#MOVES[@]} > 0)); do
    if move_one "${MOVES[0]}" "$((done + 1)) of $total"; then
      done=$((done + 1)) failed=0
      MOVES=(${MOVES[@]+"${MOVES[@]:1}"})
      if ((${#MOVES[@]} > 0)); then continue; fi
    else
      failed=$((failed + 1))
      if ((failed >= MOVE_TRIES)); then
        die "$EXIT_UNREACHABLE" "slots could not be moved" "$MOVE_ERROR" "What has moved stays where it is now. Run again: it goes on from there."
      fi
      say "  $MOVE_ERROR: trying again"
      sleep 0.5
    fi
    moves_settle
    moves_plan "$@"
    total=$((done + ${#MOVES[@]}))
  done
  ui_now
  UI_STEP_START=$begin
}

# moves_settle asks all nodes, and waits until no move is under way, whoever began it.
moves_settle() {
  local line word at id to count state ranges said=""
  while :; do
    probe
    line=$(moves_awk want=running | head -n 1)
    if [[ -z $line ]]; then return 0; fi
    read -r word at id to count state ranges <<<"$line"
    MOVE_ID=$id MOVE_TO=$((to < 0 ? at : to))
    if [[ $said != "$id" ]]; then
      many "$count" slot
      node_name "$MOVE_TO"
      say "  $MANY ($ranges) are under way to $NAME: waiting for that first"
      said=$id
    fi
    : "$word" "$state"
    ui_left
    if ((LEFT_S == 0)); then moves_late "a move that was under way has not ended"; fi
    sleep 0.2
  done
}

# moves_late WHAT: the deadline has come. What is under way is cancelled.
moves_late() {
  local cancelled="Nothing was under way."
  if [[ -n $MOVE_ID ]]; then
    ask "$MOVE_TO" cancel "CLUSTER MIGRATION CANCEL ID $MOVE_ID"
    ask_all 0 5
    cancelled="It was cancelled: its slots are where they were."
  fi
  die "$EXIT_UNREACHABLE" "slots could not be moved within $UI_TIMEOUT s" "$1. $cancelled" "What has moved stays where it is now. Run again, with a longer --timeout: it goes on from there."
}

# reply_of NODE LABEL sets REPLY_TEXT to the first line that the node answered to that.
reply_of() {
  local line label=""
  REPLY_TEXT=""
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      @@*) label=${line#@@} ;;
      *) if [[ $label == "$2" && -n $line && -z $REPLY_TEXT ]]; then REPLY_TEXT=${line#(error) }; fi ;;
    esac
  done <"$WORK/ans.$1"
}

# move_one "FROM TO COUNT RANGES" WHICH: false, and MOVE_ERROR, if it was refused or failed.
move_one() {
  local from to count ranges word pairs="" text begin next
  read -r from to count ranges <<<"$1"
  for word in $ranges; do pairs="$pairs ${word%-*} ${word#*-}"; done
  many "$count" slot
  node_name "$from" && text="$MANY from $NAME to "
  node_name "$to" && text="$text$NAME"
  step_begin
  begin=$UI_STEP_START
  next=$((begin + 5000))
  interrupted_says "$text are under way, and arrive without this run; what has moved before stays where it is" "${MOVE_VERB:-}"
  ask "$to" import "CLUSTER MIGRATION IMPORT$pairs"
  ui_left
  ask_all 0 "$((LEFT_S > 0 ? LEFT_S : 1))"
  reply_of "$to" import
  case $REPLY_TEXT in
    *[!0-9a-f]* | "") move_refused "$to" "$text" && return 1 ;;
  esac
  MOVE_ID=$REPLY_TEXT MOVE_TO=$to
  until move_ended; do
    ui_left
    if ((LEFT_S == 0)); then moves_late "$text: $MOVE_STATE"; fi
    if ((NOW_MS > next)); then
      next=$((NOW_MS + 5000))
      ui_seconds $((NOW_MS - begin))
      say "  $text: $MOVE_STATE, $SECONDS_TEXT$MOVE_FAR"
    fi
    sleep 0.1
  done
  MOVE_ID=""
  if [[ $MOVE_STATE != completed ]]; then
    MOVE_ERROR="$text: $MOVE_STATE${MOVE_WHY:+, $MOVE_WHY}"
    return 1
  fi
  move_done "$from" "$to" "$count" "$ranges" "$text, $2"
}

# move_refused TO TEXT sets MOVE_ERROR; dies where trying again does not help.
move_refused() {
  MOVE_ERROR="$2: ${REPLY_TEXT:-$(why_silent "$1")}"
  case $REPLY_TEXT in
    *nknown*ubcommand* | *"nknown command"*)
      die "$EXIT_MISMATCH" "${ADDRS[$1]} does not know CLUSTER MIGRATION" "It runs an older aikv." "Start it with this one: $(tool restart)"
      ;;
  esac
}

# move_ended sets MOVE_STATE and MOVE_WHY; true once the move has an end. The node that
# it goes to may have died: then any node that knows of it says.
move_ended() {
  local node
  ask "$MOVE_TO" status "CLUSTER MIGRATION STATUS ID $MOVE_ID"
  ask "$MOVE_TO" progress "INFO migration"
  ask_all 0 5
  move_read "$MOVE_TO"
  if [[ $MOVE_STATE == unknown ]]; then
    for ((node = 0; node < ${#ADDRS[@]}; node++)); do ask "$node" status "CLUSTER MIGRATION STATUS ID $MOVE_ID"; done
    ask_all 0 5
    for ((node = 0; node < ${#ADDRS[@]}; node++)); do
      if [[ $MOVE_STATE == unknown ]]; then move_read "$node"; fi
    done
  fi
  case $MOVE_STATE in completed | failed | canceled) return 0 ;; esac
  return 1
}

# move_read NODE sets MOVE_STATE and MOVE_WHY from the map that it has answered, and
# MOVE_FAR, how far the copy is, if it is made there.
move_read() {
  local line field="" keys bytes
  MOVE_STATE=unknown MOVE_WHY="" MOVE_FAR=""
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      state | last_error | retries) field=$line ;;
      migration_*"id=$MOVE_ID,"*)
        keys=${line#*,keys=} bytes=${line#*,bytes=}
        if whole "${bytes%%,*}" 0 9999999999; then MOVE_FAR=", ${keys%%,*} keys and $((NUMBER / 1000000)) MB are there"; fi
        ;;
      *)
        if [[ $field == state ]]; then MOVE_STATE=$line; fi
        if [[ $field == last_error ]]; then MOVE_WHY=$line; fi
        field=""
        ;;
    esac
  done <"$WORK/ans.$1"
}

# move_done FROM TO COUNT RANGES TEXT
move_done() {
  ui_now
  local ms=$((NOW_MS - UI_STEP_START))
  MOVED_SLOTS=$((MOVED_SLOTS + $3))
  step_done move "$5"
  MOVES_JSON="$MOVES_JSON${MOVES_JSON:+,}{\"from\":\"${ADDRS[$1]:-}\",\"to\":\"${ADDRS[$2]}\",\"slots\":$3,\"ranges\":\"$4\",\"ms\":$ms}"
}

# moves_begin: the one deadline of moves, unless --timeout has set it for everything;
# after moves_end, that of before begins anew.
moves_begin() {
  MOVE_BEFORE_S=$UI_TIMEOUT
  if ((OPT_WAIT == 0)); then ui_deadline "$MOVE_LIMIT_S"; fi
}

moves_end() {
  if ((OPT_WAIT == 0)); then ui_deadline "$MOVE_BEFORE_S"; fi
}

# moves_result NOTHING [FIELDS]: the result of a verb that moves; NOTHING is said if nothing moved.
moves_result() {
  many "$MOVED_SLOTS" slot
  if ((MOVED_SLOTS == 0)); then say "  $1"; else step_done moved "$MANY"; fi
  result_done ",\"moved_slots\":$MOVED_SLOTS,\"moves\":[$MOVES_JSON]${2:-}"
}

# dry_result prints what would has collected.
dry_result() {
  if ((UI_JSON == 1)); then printf '{"schema":1,"ok":true,"action":"dry-run","plan":[%s]}\n' "$DRY_STEPS"; fi
}

# node_place NODE sets INDEX: of the node with that number or, with -m, the one that
# was named at that place.
node_place() {
  if ((GIVEN == 0)); then
    index_of_node "$1" || die "$EXIT_MISMATCH" "there is no node $1 in $DIR" "Its nodes are: ${NUMS[*]}"
    return 0
  fi
  INDEX=$(($1 - 1))
  if ((INDEX >= ${#ADDRS[@]})); then usage_error "there is no node $1: ${#ADDRS[@]} were named"; fi
}

# members_of INDEX sets MEMBERS: the ids of the shard that this node is the master of;
# empty if it is none.
members_of() {
  MEMBERS=$(moves_awk want=members "node=$1")
  MEMBERS=${MEMBERS//$'\n'/ }
}

# weight_of INDEX WEIGHT adds to WEIGHTS; false if that node is not a master.
weight_of() {
  local id
  members_of "$1"
  for id in $MEMBERS; do WEIGHTS="${WEIGHTS:+$WEIGHTS }$id=$2"; done
  [[ -n $MEMBERS ]]
}

# need_master INDEX sets MEMBERS; dies unless the node is a master.
need_master() {
  members_of "$1"
  if [[ -n $MEMBERS ]]; then return 0; fi
  node_name "$1"
  die "$EXIT_MISMATCH" "$NAME (${ADDRS[$1]}) is a replica itself, or not a member" "Name its master: $(tool status) shows the roles."
}

# weight_words sets WEIGHED, "INDEX=WEIGHT …", from --weights N=W,….
weight_words() {
  local rest=$OPT_WEIGHTS, word number seen=" "
  WEIGHED=""
  if [[ -z $OPT_WEIGHTS ]]; then return 0; fi
  while [[ -n $rest ]]; do
    word=${rest%%,*}
    rest=${rest#*,}
    case $word in *=*) ;; *) usage_error "--weights wants N=W,…, not '$OPT_WEIGHTS'" ;; esac
    need_number "--weights: the node" "${word%%=*}" 1 100000 && number=$NUMBER
    need_number "--weights: the weight of node $number" "${word#*=}" 0 1000000
    case $seen in *" $number "*) usage_error "--weights names node $number twice" ;; esac
    seen="$seen$number "
    node_place "$number"
    WEIGHED="${WEIGHED:+$WEIGHED }$INDEX=$NUMBER"
  done
}

# verb_rebalance: as many slots for each master as its weight says, 1 by itself.
verb_rebalance() {
  local word
  verb_parse rebalance "$@"
  no_words
  weight_words
  init_begin
  probe
  need_running
  WEIGHTS=""
  for word in $WEIGHED; do weight_of "${word%=*}" "${word#*=}" || need_master "${word%=*}"; done
  moves_plan want=rebalance "weights=$WEIGHTS"
  if ((OPT_DRY_RUN == 1)); then
    moves_would
    dry_result
    return 0
  fi
  lock_take
  moves_begin
  MOVE_VERB="rebalance${OPT_WEIGHTS:+ --weights $OPT_WEIGHTS}"
  moves_run want=rebalance "weights=$WEIGHTS"
  conf_follow
  moves_result "every master has its share already: nothing was moved"
}

# slot_words TEXT sets RANGES: "0-99,200" as "0-99 200".
slot_words() {
  local rest=$1, word first
  RANGES=""
  while [[ -n $rest ]]; do
    word=${rest%%,*}
    rest=${rest#*,}
    need_number "move: a slot" "${word%%-*}" 0 16383 && first=$NUMBER
    need_number "move: a slot" "${word#*-}" 0 16383
    if ((first > NUMBER)); then usage_error "move: $word ends before it begins"; fi
    RANGES="${RANGES:+$RANGES }$first-$NUMBER"
  done
}

# verb_move SLOTS FROM TO
verb_move() {
  verb_parse move "$@"
  if ((${#WORDS[@]} != 3)); then usage_error "move: which slots, from which node, to which?" "As in: aikv-tool cluster move 0-99,200 1 2"; fi
  slot_words "${WORDS[0]}"
  local from to plan
  need_number "move: the node" "${WORDS[1]}" 1 100000
  node_place "$NUMBER" && from=$INDEX
  need_number "move: the node" "${WORDS[2]}" 1 100000
  node_place "$NUMBER" && to=$INDEX
  if ((from == to)); then usage_error "move: from node ${WORDS[1]} to itself?"; fi
  init_begin
  probe
  need_running
  members_of "$from" # none, if the last of its slots have gone
  plan=(want=move "ranges=$RANGES" "from=$MEMBERS")
  need_master "$to"
  plan+=("to=$MEMBERS")
  if ((OPT_DRY_RUN == 1)); then
    moves_plan "${plan[@]}"
    moves_would
    dry_result
    return 0
  fi
  lock_take
  moves_begin
  MOVE_VERB="move ${WORDS[*]}"
  moves_run "${plan[@]}"
  conf_follow
  moves_result "node ${WORDS[2]} has these slots already: nothing was moved"
}

# conf_follow: the folder knows which masters there are, now that they have other slots.
# A shard that was planned keeps its planned master, whoever leads it at the moment.
conf_follow() {
  local word index places place owners="" masters="" planned count=0 node spares="" others=""
  if ((GIVEN == 1)) || ! conf_read || [[ $CONF_BASE_PORT != "$BASE_PORT" ]]; then return 0; fi
  probe
  planned=${CONF_MASTERS:-}
  if [[ -z $planned ]]; then for ((node = 1; node <= CONF_SHARDS; node++)); do planned="$planned $node"; done; fi
  while read -r word index places; do
    node=${NUMS[index]}
    owners="$owners $node"
    for place in $index $places; do
      case " $planned " in *" ${NUMS[place]} "*)
        node=${NUMS[place]}
        break
        ;;
      esac
    done
    masters="${masters:+$masters }$node"
    count=$((count + 1))
  done < <(moves_awk want=owners)
  : "$word"
  for node in $CONF_SPARES; do
    case "$owners " in *" $node "*) others=1 ;; *) spares="${spares:+$spares }$node" ;; esac
  done
  if ((count == 0)) || [[ $count == "$CONF_SHARDS" && -z $others ]]; then return 0; fi
  conf_shape "$count" "$masters" "${CONF_NODES:-${NUMS[*]}}" "$spares"
}

# conf_shape SHARDS MASTERS NODES SPARES writes the shape down, as a list of nodes only
# where it is not the usual one of so many shards.
conf_shape() {
  local node usual=""
  for ((node = 1; node <= $1; node++)); do usual="${usual:+$usual }$node"; done
  CONF_SHARDS=$1 CONF_MASTERS=$2 CONF_NODES=$3 CONF_SPARES=$4
  if [[ $CONF_MASTERS == "$usual" ]]; then CONF_MASTERS=""; fi
  if original_nodes; then CONF_NODES=""; fi
  conf_write
  MASTERS=$CONF_SHARDS
}
