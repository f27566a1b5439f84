# shellcheck shell=bash
# The processes of a folder's nodes: which they are, and how they are stopped.

DIAL_SECONDS=2  # a host that does not answer a connection in that time is silent
HAVE_DEV_TCP="" # 0: this bash cannot connect to a port
DIALED=()

# process_state PID sets STATE: R, S, T (stopped by a signal), Z (dead, and nobody
# has asked for its status) or another letter, as ps has it; "" if there is none.
process_state() {
  local text=""
  STATE=""
  if [[ -e /proc/self/stat ]]; then
    { IFS= read -r text <"/proc/$1/stat"; } 2>/dev/null || return 0
    text=${text##*) } # the name before it may have any characters
  else
    text=$(ps -o stat= -p "$1" 2>/dev/null) || text=""
  fi
  STATE=${text:0:1}
}

# process_began PID sets BEGAN: when the process began, in a form of its system;
# with the pid it names one process, although pids are used again.
process_began() {
  local text="" words=()
  BEGAN=""
  if [[ -e /proc/self/stat ]]; then
    { IFS= read -r text <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -r -a words <<<"${text##*) }"
    BEGAN=${words[19]:-}
  else
    read -r -a words <<<"$(ps -o lstart= -p "$1" 2>/dev/null)" || true
    BEGAN=${words[*]-}
  fi
}

# threads_left PID: it has more threads than the first, which is a zombie as soon as it
# has ended itself: the others may still hold the ports.
threads_left() {
  local tasks=("/proc/$1/task/"*)
  ((${#tasks[@]} > 1))
}

# process_is gone|paused|awake PID
process_is() {
  process_state "$2"
  case $1 in
    gone) [[ -z $STATE || $STATE == X ]] || { [[ $STATE == Z ]] && ! threads_left "$2"; } ;;
    paused) [[ $STATE == [Tt] ]] ;;
    awake) [[ -n $STATE && $STATE != [TtZX] ]] ;;
  esac
}

# node_pid NODE sets NODE_PID to the process that runs on the node's data, or to "".
# Our own file names it, and so does the lock that the process takes of its data:
# one of them may be lost, and both may name a process that has only got its number.
node_pid() {
  local file pid
  NODE_PID=""
  # With other ports than the folder's, the nodes that are meant are not its own.
  if [[ -n $CONF_BASE_PORT && $CONF_BASE_PORT != "$BASE_PORT" ]]; then return 0; fi
  for file in "$DIR/pids/node$1.pid" "$DIR/data/node$1/wal/LOCK"; do
    pid=""
    if [[ -f $file ]]; then read -r pid 2>/dev/null <"$file" || true; fi
    if whole "$pid" 2 4294967295 && runs_on "$NUMBER" "$1"; then
      NODE_PID=$NUMBER
      return 0
    fi
  done
}

# runs_on PID NODE: the process runs on the data folder of the node. It has its lock
# open or, while it is only starting, was told to use it.
runs_on() {
  local file lock="$DIR/data/node$2/wal/LOCK" command="" arg
  kill -0 "$1" 2>/dev/null || return 1
  if [[ -r /proc/$1/cmdline ]]; then
    while IFS= read -r -d '' arg; do command="$command $arg"; done 2>/dev/null <"/proc/$1/cmdline" || true
  else
    command=$(ps -ww -o command= -p "$1" 2>/dev/null) || return 1
  fi
  case "$command " in *aikv*" --data-dir $DIR/data/node$2 "*) return 0 ;; esac
  if [[ -d /proc/$1/fd ]]; then
    for file in "/proc/$1/fd"/*; do
      if [[ $file -ef $lock ]]; then return 0; fi
    done
  elif [[ -f $lock ]] && command -v lsof >/dev/null 2>&1; then
    case " $(lsof -t -- "$lock" 2>/dev/null | tr '\n' ' ') " in *" $1 "*) return 0 ;; esac
  fi
  return 1
}

# node_paused NODE: its process (node_pid has found it) is stopped by a signal.
node_paused() {
  node_pid "$1"
  [[ -n $NODE_PID ]] && process_is paused "$NODE_PID"
}

# any_process: a node of the folder has a process, paused or deaf as it may be.
any_process() {
  local number
  for number in ${NUMS[@]+"${NUMS[@]}"}; do
    node_pid "$number"
    if [[ -n $NODE_PID ]]; then return 0; fi
  done
  return 1
}

# dial HOST:PORT… sets DIALED, of each: open, closed, or silent if the connection was
# neither made nor refused. bash would wait for minutes, so another one does it.
dial() {
  local at=0 line
  DIALED=()
  while ((at < $#)); do
    while IFS= read -r -t "$DIAL_SECONDS" line; do
      DIALED[at]=$line
      at=$((at + 1))
    done < <(dial_each "${@:at+1}")
    if ((at < $#)); then
      if ((BASH_VERSINFO[0] > 4)); then kill "$!" 2>/dev/null || true; fi
      DIALED[at]=silent
      at=$((at + 1))
    fi
  done
}

dial_each() {
  local addr host
  exec 2>/dev/null 3>&-
  trap - INT TERM HUP EXIT
  for addr in "$@"; do
    host=${addr%:*}
    host=${host#\[}
    host=${host%\]}
    if { : <>"/dev/tcp/$host/${addr##*:}"; } 2>/dev/null; then echo open; else echo closed; fi
  done
}

# can_dial: this bash can connect to a port.
can_dial() {
  local err
  if [[ -z $HAVE_DEV_TCP ]]; then
    err=$( (: <>/dev/tcp/127.0.0.1/1) 2>&1) || true
    HAVE_DEV_TCP=1
    case $err in *"No such file"*) HAVE_DEV_TCP=0 ;; esac
  fi
  ((HAVE_DEV_TCP == 1))
}

# port_open HOST PORT: somebody accepts connections there. Where bash cannot tell,
# always true: the batch that follows finds out.
port_open() {
  can_dial || return 0
  dial "$1:$2"
  [[ ${DIALED[0]} == open ]]
}

# port_owner PORT [held] sets OWNER ("redis-server (process 12)", or "" where no tool
# tells), OWNER_PID and OWNER_HINT. With "held", it may also be a connection that
# has the port as its own end.
port_owner() {
  local line="" pid="" name="" listen=(-sTCP:LISTEN) flag=-l
  OWNER="" OWNER_PID="" OWNER_HINT=""
  if [[ $OSTYPE == darwin* ]] && (($1 == 5000 || $1 == 7000)); then
    OWNER="macOS's AirPlay Receiver, most likely"
    OWNER_HINT="turn it off in System Settings > General > AirDrop & Handoff"
    return 0
  fi
  if [[ -n ${2:-} ]]; then listen=() flag=-a; fi
  if command -v lsof >/dev/null 2>&1; then
    while IFS= read -r line; do
      case $line in
        p*) pid=${line#p} ;;
        c*) name=${line#c} ;;
        n*)
          line=${line%%->*}
          if [[ $line == *":$1" ]]; then
            OWNER_PID=$pid OWNER="$name (process $pid)"
            break
          fi
          ;;
      esac
    done < <(lsof -nP -iTCP:"$1" ${listen[@]+"${listen[@]}"} -Fpcn 2>/dev/null)
  elif command -v ss >/dev/null 2>&1; then
    line=$(ss -Htnp "$flag" "sport = :$1" 2>/dev/null) || line=""
    case $line in *'(("'*)
      line=${line#*'(("'}
      OWNER_PID=${line#*pid=}
      OWNER_PID=${OWNER_PID%%,*}
      OWNER="${line%%\"*} (process $OWNER_PID)"
      ;;
    esac
  fi
}

# nodes_stop SECONDS NODE…: asks with SIGTERM, all at once, and ends what has not
# gone by then. A paused node is woken, or it would not hear. Sets STOPPED and
# KILLED to how many.
nodes_stop() {
  local seconds=$1 node pids=()
  shift
  STOPPED=0 KILLED=0
  for node in "$@"; do
    node_pid "$node"
    # A node may be named twice, by the shape and by the folder.
    if [[ -n $NODE_PID && " ${pids[*]-} " != *" $NODE_PID "* ]]; then
      kill -TERM "$NODE_PID" 2>/dev/null || true
      kill -CONT "$NODE_PID" 2>/dev/null || true
      pids+=("$NODE_PID")
      STOPPED=$((STOPPED + 1))
    fi
  done
  if ! all_gone "$seconds" ${pids[@]+"${pids[@]}"}; then
    KILLED=${#LEFT_PIDS[@]}
    kill -KILL "${LEFT_PIDS[@]}" 2>/dev/null || true
    all_gone 10 "${LEFT_PIDS[@]}" || true # what is in the middle of a write ends after it
  fi
  for node in "$@"; do rm -f "$DIR/pids/node$node.pid"; done
}

# all_gone SECONDS PID…: waits until the processes have ended; false, and
# LEFT_PIDS has those that have not, if they take longer.
all_gone() {
  local limit pid
  ui_now
  limit=$((NOW_MS + $1 * 1000))
  shift
  while :; do
    LEFT_PIDS=()
    for pid in "$@"; do process_is gone "$pid" || LEFT_PIDS+=("$pid"); done
    if ((${#LEFT_PIDS[@]} == 0)); then return 0; fi
    ui_now
    if ((NOW_MS > limit)); then return 1; fi
    sleep 0.05
  done
}

# nodes_silent NODE…: dies if one of them still answers from its folder, whatever the
# files say of its process: it was not stopped, and its data must stay.
nodes_silent() {
  local node at=0 addrs=() line
  for node in "$@"; do
    node_addr "$node"
    addrs+=("$NODE_HOST:$NODE_PORT")
  done
  can_dial || return 0
  dial ${addrs[@]+"${addrs[@]}"}
  for node in "$@"; do
    if [[ ${DIALED[at]} != closed ]]; then
      split_addr "${addrs[at]}"
      port_owner "$NODE_PORT"
      if whole "$OWNER_PID" 2 4294967295 && runs_on "$NUMBER" "$node"; then
        not_stopped "$node" "process $NUMBER"
      fi
      line=$(says_it_is "${addrs[at]}")
      case $line in
        "process "*"|"*) if same_folder "${line#*|}" "$DIR/data/node$node"; then not_stopped "$node" "${line%%|*}, as it says"; fi ;;
        auth) die "$EXIT_UNREACHABLE" "${addrs[at]} answers still, and only says who it is with a password" "Set REDISCLI_AUTH and run again." ;;
      esac
    fi
    at=$((at + 1))
  done
}

not_stopped() {
  node_addr "$1"
  die "$EXIT_UNREACHABLE" "node $1 ($NODE_HOST:$NODE_PORT) answers still, with its data in $DIR/data/node$1: $2" \
    "Nothing in the folder names that process, so it was not stopped. Stop it, and run again."
}

# says_it_is HOST:PORT prints "process PID|DATA-FOLDER" as an aikv says it, or "auth".
says_it_is() {
  local ADDRS=("$1") CLI=() BATCH=() line pid=""
  cli_find
  if ((${#CLI[@]} == 0)); then aikv_find; fi
  if ((${#CLI[@]} == 0)) && [[ -z $AIKV ]]; then return 0; fi
  ask 0 info "INFO server"
  ask_all 0 2
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      process_id:*) pid=${line#process_id:} ;;
      data_dir:*) printf 'process %s|%s\n' "$pid" "${line#data_dir:}" ;;
      *NOAUTH* | *WRONGPASS*) echo auth ;;
    esac
  done <"$WORK/ans.0"
}
