# shellcheck shell=bash
# What is wrong with a cluster, why, and what to do: the troubleshooting guide as
# a program. "status" prints it in short, "doctor" in full.
#
# A finding is a line "FIX|WHAT|WHY|DO…". DO is a command to paste, or ends in one
# after a colon; a further DO, after another bar, is an alternative. FIX says what "doctor --fix" can do about
# it: start, resume, heal, repair (what cluster_init.sh does), forget ID, close SLOT OWNER
# TO and cancel ID AT (stuck.sh), wait (it may pass by itself), or nothing.

FINDINGS=()
MOVED=()        # of each node that lives at another address, which
FROM_HERE=0     # 1: what only concerns clients on this machine is a finding too
DISK_LOW_MB=128 # a node fills its log ahead; below this it may not get far

finding() { FINDINGS+=("$1|${2//|/;}|${3//|/;}|$4"); }

# diagnose sets FINDINGS from the answers of look.
diagnose() {
  local line
  FINDINGS=()
  diagnose_processes
  if cut_read; then
    cut_text
    finding heal "$CUT_TEXT" "by 'partition ${CUT_NODES// /,}' of aikv-tool" "$(tool heal)"
  fi
  diagnose_disk
  if ((COUNT_AIKV == 0)); then return 0; fi
  state_run diagnosis "client=$(client)" "states=${STATES[*]}" \
    "setup=$(tool setup)" "start=$(if conf_read; then tool start; fi)" "recover=$(recover_command)" "down=${#FINDINGS[@]}" "cut=$CUT_HOW" >"$WORK/findings"
  while IFS= read -r line; do
    case $line in
      "announced "*) diagnose_announced "${line#announced }" ;;
      *) FINDINGS+=("$line") ;;
    esac
  done <"$WORK/findings"
  if ((FROM_HERE == 1)); then diagnose_moves; fi
  diagnose_leaving
  if ((${#FINDINGS[@]} == 0)) && ! check_once; then
    for line in "${CHECK_LINES[@]}"; do
      case $line in *" bad "*)
        finding wait "${line%% *}: ${line#* bad }" "a point of the checklist does not hold, perhaps only for a moment" "wait a moment, and look again: $(tool verify)"
        ;;
      esac
    done
  fi
}

# recover_command prints what says where MetaRaft stands in a node that is left, if its
# folder is ours; without --yes it changes nothing.
recover_command() {
  local node
  if ((GIVEN == 1)) || ! conf_read; then return 0; fi
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${STATES[node]} == up && -n ${NUMS[node]:-} ]]; then
      quoted "$DIR/data/node${NUMS[node]}"
      printf '%s recover --data-dir %s' "${AIKV:-aikv}" "$QUOTED"
      return 0
    fi
  done
}

# diagnose_processes: the nodes that do not answer.
diagnose_processes() {
  local node number text
  if ((COUNT_AIKV == 0 && GIVEN == 0)) && ! any_process && ! conf_read; then
    finding repair "there is no cluster" "nothing answers on ${ADDRS[*]}, and there is no $DIR" "$(tool setup)"
    diagnose_ports
    return 0
  fi
  diagnose_ports
  MOVED=()
  while read -r node text; do MOVED[node]=$text; done < <(nodes_awk json=moved)
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    number=${NUMS[node]:-}
    case ${STATES[node]} in
      down)
        if [[ -n ${MOVED[node]:-} ]]; then
          finding "" "node $number is not at ${ADDRS[node]}, but at ${MOVED[node]}" \
            "it was started with other ports than those of $DIR, or announces others" \
            "stop it there, then: $(tool "start $number")"
        elif ((GIVEN == 1)) || ! conf_read; then
          finding "" "${ADDRS[node]} is down" "nothing listens there" "start it where it belongs"
        else
          why_down "$number"
          finding start "node $number (${ADDRS[node]}) is down" "$WHY" "$(tool "start $number")"
        fi
        ;;
      paused) finding resume "node $number (${ADDRS[node]}) is paused" "its process is stopped by a signal" "$(tool "resume $number")" ;;
      starting) finding wait "${ADDRS[node]} is starting" "it reads its log" "wait, and look again" ;;
      silent)
        text="something listens there and does not answer as aikv"
        if [[ -n $number ]]; then
          node_pid "$number"
          if [[ -n $NODE_PID ]]; then text="its process ($NODE_PID) runs and does not answer; its log may say why"; fi
        fi
        finding "" "${ADDRS[node]} does not answer" "$text" "$(if conf_read; then tool "logs $number"; fi)"
        ;;
    esac
  done
}

# why_down NODE sets WHY from the end of its log.
why_down() {
  local last
  last=$(log_tail "$1")
  case $last in
    aikv:*) WHY=${last#aikv: } ;;
    *"node is stopping"*) WHY="it was stopped" ;;
    "(empty log)") WHY="it was never started" ;;
    *) WHY="its process has ended without a word: kill -9, or no memory left" ;;
  esac
}

# diagnose_ports: strangers on a port of ours, and who they are.
diagnose_ports() {
  local node port
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    split_addr "${ADDRS[node]}"
    if [[ ${STATES[node]} == alien ]]; then
      stranger "$node" "$NODE_PORT" "${ADDRS[node]}, the client port of node ${NUMS[node]:-$((node + 1))}" "${FOREIGNERS[node]:-}"
    elif [[ ${STATES[node]} == down ]] && ((GIVEN == 0)); then
      raft_port "$NODE_PORT"
      port=$RAFT_PORT
      if port_open "$NODE_HOST" "$port" && ((HAVE_DEV_TCP == 1)); then
        stranger "$node" "$port" "$NODE_HOST:$port, the Raft port of node ${NUMS[node]}"
      fi
    fi
  done
}

# stranger NODE PORT WHERE [WHO]
stranger() {
  local todo
  port_owner "$2"
  todo=${OWNER_HINT:-stop that program}
  if ((GIVEN == 1)); then
    todo="$todo, or name the node that is meant"
  elif conf_read; then
    todo="$todo, then: $(tool "start ${NUMS[$1]}")"
  elif free_base; then
    todo="$todo, or choose other ports: $(BASE_PORT=$FREE_BASE && tool setup)"
  fi
  finding "" "$3, is taken by ${4:-${OWNER:-another program}}" "a node cannot listen there${4:+; nothing is done to a node that is not ours}" "$todo"
}

# free_base sets FREE_BASE to a first port from which on all nodes find theirs free;
# false if there is none nearby, or no telling.
free_base() {
  local node try
  for ((try = 1; try <= 9; try++)); do
    FREE_BASE=$((7000 + try * 100))
    for ((node = 0; node < ${#ADDRS[@]}; node++)); do
      raft_port $((FREE_BASE + node))
      if port_open 127.0.0.1 $((FREE_BASE + node)) || port_open 127.0.0.1 "$RAFT_PORT"; then continue 2; fi
    done
    return 0
  done
  return 1
}

# diagnose_disk: little room where the nodes write.
diagnose_disk() {
  local free
  if ((GIVEN == 1)) || [[ ! -d $DIR ]]; then return 0; fi
  free=$(df -Pk "$DIR" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }') || free=""
  if [[ -n $free ]] && ((free < DISK_LOW_MB)); then
    finding "" "only $free MB are free for $DIR" "a node whose disk is full stops; nothing acknowledged is lost" \
      "make room there, then: $(tool start)"
  fi
}

# diagnose_announced "NODE HOST:PORT": a node tells clients another address than
# the one it was reached at; that has to be reachable too.
diagnose_announced() {
  local node=${1%% *} told=${1#* }
  if ((FROM_HERE == 0)); then return 0; fi
  split_addr "$told"
  if port_open "$NODE_HOST" "$NODE_PORT"; then return 0; fi
  finding "" "${ADDRS[node]} tells clients to go to $told, where nobody listens" \
    "server.announce_host or announce_port name an address that cannot be reached from here" \
    "correct them in its configuration, and restart it"
}

# findings_short: for "status", what is wrong and what to type.
findings_short() {
  local line fix what why todo
  for line in ${FINDINGS[@]+"${FINDINGS[@]}"}; do
    finding_read "$line"
    printf '%s %s\n' "${O_BAD}✗${O_END}" "$what"
    todo_lines '  -> ' '  or '
  done
}

# finding_read LINE sets the caller's what, why, todo (the alternatives, a bar
# between them) and fix.
finding_read() {
  # shellcheck disable=SC2034 # its callers' own
  IFS='|' read -r fix what why todo <<<"$1"
}

# todo_lines FIRST OTHER prints the caller's todo, a line an alternative.
todo_lines() {
  local mark=$1 rest=$todo
  while [[ -n $rest ]]; do
    printf '%s%s\n' "$mark" "${rest%%|*}"
    mark=$2
    case $rest in *"|"*) rest=${rest#*|} ;; *) rest="" ;; esac
  done
}

# findings_json prints them as JSON objects.
findings_json() {
  local line fix what why todo comma="" others
  for line in ${FINDINGS[@]+"${FINDINGS[@]}"}; do
    finding_read "$line"
    others=""
    while IFS= read -r line; do
      json_string "$line" && others="$others${others:+,}$JSON_TEXT"
    done < <(todo_lines "" "")
    json_string "$what" && what=$JSON_TEXT
    json_string "$why" && why=$JSON_TEXT
    json_string "${todo%%|*}" && todo=$JSON_TEXT
    printf '%s{"what":%s,"why":%s,"do":%s,"alternatives":[%s],"fixable":%s}' "$comma" "$what" "$why" "$todo" "$others" \
      "$([[ -n $fix && $fix != wait ]] && echo true || echo false)"
    comma=,
  done
}
