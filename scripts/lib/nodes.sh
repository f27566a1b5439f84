# shellcheck shell=bash
# The nodes of one folder: build the binary, start, find and stop processes.
#
#   DIR/data/nodeN      data of node N (1 is the first master)
#   DIR/logs/nodeN.log  what it wrote (node 1 also as logs/aikv.log)
#   DIR/pids/nodeN.pid  its process
#   DIR/pids/nodeN.id   its node id when it was last seen
#   DIR/raft-token      the secret that the nodes prove to each other (mode 0600)
#   DIR/cluster.conf    the shape: shards, replicas, base port; once "add" or
#                       "remove" has changed it, also which nodes there are
#   DIR/partition.PORT  who is cut off, see partition.sh

RAFT_OFFSET=43672 # Raft port = client port + this: 6379 -> 50051
DIR=""            # absolute, once dir_use has run
DIR_DEFAULT=0     # 1: DIR is the project's own .aikv
BASE_PORT=6379
AIKV=""
LOCKED=0
NUMS=() # the number, from 1, of each node in ADDRS; empty with -m
LOOSE=0 # 1: add or remove has changed the shape
NODES_TOTAL=1
STARTED=() # nodes (numbers) that this run has started

# raft_port CLIENT-PORT sets RAFT_PORT.
raft_port() {
  RAFT_PORT=$(($1 + RAFT_OFFSET))
  if ((RAFT_PORT > 65535)); then RAFT_PORT=$(($1 + 20000)); fi
}

# dir_use PATH sets DIR; an empty PATH means the default.
dir_use() {
  local path=$1
  if [[ -z $path ]]; then
    path="$ROOT/.aikv"
    if [[ ! -f "$ROOT/go.mod" ]]; then path="$PWD/.aikv"; else DIR_DEFAULT=1; fi
  fi
  case $path in
    /*) DIR=$path ;;
    *) DIR=$PWD/$path ;;
  esac
  DIR=${DIR%/}
}

# conf_read loads DIR/cluster.conf; false if there is none. CONF_NODES is empty if
# the nodes are those of the shape; CONF_SPARES are those of them that are meant
# to be masters without slots; CONF_ADDING is the node that an interrupted "add"
# has left, CONF_FOLLOWS the one it was to follow.
conf_read() {
  CONF_SHARDS="" CONF_REPLICAS="" CONF_BASE_PORT="" CONF_NODES="" CONF_SPARES="" CONF_ADDING="" CONF_FOLLOWS=""
  [[ -f "$DIR/cluster.conf" ]] || return 1
  local key value
  while IFS='=' read -r key value; do
    case $key in
      shards) CONF_SHARDS=$value ;;
      replicas_per_shard) CONF_REPLICAS=$value ;;
      base_port) CONF_BASE_PORT=$value ;;
      nodes) CONF_NODES=$value ;;
      spares) CONF_SPARES=$value ;;
      adding) CONF_ADDING=$value ;;
      follows) CONF_FOLLOWS=$value ;;
    esac
  done <"$DIR/cluster.conf"
}

# conf_write replaces DIR/cluster.conf by what conf_read has loaded, as changed since.
conf_write() {
  {
    printf 'shards=%d\nreplicas_per_shard=%d\nbase_port=%d\n' "$CONF_SHARDS" "$CONF_REPLICAS" "$CONF_BASE_PORT"
    if [[ -n $CONF_NODES ]]; then printf 'nodes=%s\nspares=%s\n' "$CONF_NODES" "$CONF_SPARES"; fi
    if [[ -n $CONF_ADDING ]]; then printf 'adding=%s\nfollows=%s\n' "$CONF_ADDING" "$CONF_FOLLOWS"; fi
  } >"$DIR/cluster.conf.new" || die "$EXIT_INTERNAL" "cannot write $DIR/cluster.conf.new"
  mv "$DIR/cluster.conf.new" "$DIR/cluster.conf"
}

# node_addr NODE sets NODE_HOST, NODE_PORT and RAFT_PORT of a node of the folder.
node_addr() {
  NODE_HOST=127.0.0.1
  NODE_PORT=$((BASE_PORT + $1 - 1))
  raft_port "$NODE_PORT"
}

# index_of_node NODE sets INDEX to its place in ADDRS; false if it is not there.
index_of_node() {
  for ((INDEX = 0; INDEX < ${#NUMS[@]}; INDEX++)); do
    if [[ ${NUMS[INDEX]} == "$1" ]]; then return 0; fi
  done
  return 1
}

# dir_create makes all folders and writes the shape down before any node starts,
# so that an interrupted run is recognised and finished by the next one.
dir_create() {
  local node
  mkdir -p "$DIR/logs" "$DIR/pids" ||
    die "$EXIT_INTERNAL" "cannot create $DIR" "Choose another place with --dir."
  for node in "${NUMS[@]}"; do mkdir -p "$DIR/data/node$node"; done
  if ! conf_read; then
    CONF_SHARDS=$MASTERS CONF_REPLICAS=$REPLICAS CONF_BASE_PORT=$BASE_PORT
    conf_write
  fi
  link_log
}

# lock_take: one run at a time starts nodes in a folder. The lock is a link that
# names its owner's process; one whose owner has gone (kill -9) is taken over.
lock_take() {
  local pid
  mkdir -p "$DIR" || die "$EXIT_INTERNAL" "cannot create $DIR" "Choose another place with --dir."
  if ! ln -s "$$" "$DIR/lock" 2>/dev/null; then
    pid=$(readlink "$DIR/lock") || pid=""
    if [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null; then
      die "$EXIT_MISMATCH" "another run (process $pid) is starting nodes in $DIR" "Wait for it, or stop it."
    fi
    rm -rf "$DIR/lock"
    ln -s "$$" "$DIR/lock" || die "$EXIT_INTERNAL" "cannot write $DIR/lock"
  fi
  LOCKED=1
}

lock_release() {
  if ((LOCKED == 1)); then rm -f "$DIR/lock"; fi
  LOCKED=0
}

# link_log points logs/aikv.log at node 1's log: in the project for the default
# folder, else inside DIR.
link_log() {
  local place="$DIR/logs"
  if ((DIR_DEFAULT == 1)); then place="$ROOT/logs"; fi
  mkdir -p "$place"
  if [[ -L "$place/aikv.log" || ! -e "$place/aikv.log" ]]; then
    ln -sf "$DIR/logs/node1.log" "$place/aikv.log"
  else
    warn "$place/aikv.log is a file, not a link: node 1's log is $DIR/logs/node1.log"
  fi
}

# aikv_find sets AIKV to the binary that is there, or to "".
aikv_find() {
  AIKV=""
  if [[ -n "${AIKV_BIN:-}" ]]; then
    if [[ ! -x $AIKV_BIN ]]; then
      die "$EXIT_PREREQ" "AIKV_BIN=$AIKV_BIN is not a program" "Unset AIKV_BIN, or point it at the aikv binary."
    fi
    AIKV=$AIKV_BIN
  elif [[ -x "$ROOT/bin/aikv" ]]; then
    AIKV="$ROOT/bin/aikv"
  elif [[ ! -f "$ROOT/go.mod" ]]; then
    AIKV=$(command -v aikv || true)
  fi
}

# aikv_stale: the binary is missing or older than the sources next to it.
aikv_stale() {
  [[ -n $AIKV ]] || return 0
  if [[ -n "${AIKV_BIN:-}" || $AIKV != "$ROOT/bin/aikv" || ! -f "$ROOT/go.mod" ]]; then return 1; fi
  command -v go >/dev/null 2>&1 || return 1
  [[ -n $(find "$ROOT/node" "$ROOT/go.mod" "$ROOT/go.sum" -newer "$AIKV" \
    \( -name '*.go' -o -name go.mod -o -name go.sum \) ! -name '*_test.go' -print 2>/dev/null | head -n 1) ]]
}

# aikv_build makes bin/aikv if it is missing or stale.
aikv_build() {
  aikv_find
  aikv_stale || return 0
  if [[ ! -f "$ROOT/go.mod" ]]; then
    die "$EXIT_PREREQ" "there is no aikv binary" "Put aikv on PATH, or set AIKV_BIN."
  fi
  command -v go >/dev/null 2>&1 ||
    die "$EXIT_PREREQ" "there is no $ROOT/bin/aikv, and no Go to build it" \
      "Install Go (https://go.dev/dl), or set AIKV_BIN to a built aikv."
  step_begin
  say "  building bin/aikv (a first build takes a minute or two)"
  local log="$WORK/build.log"
  (cd "$ROOT" && make --no-print-directory build) >"$log" 2>&1 3>&- &
  BUILD_PID=$!
  if ! wait "$BUILD_PID"; then
    cat "$log" >&2
    die "$EXIT_INTERNAL" "the build failed" "See the lines above; 'make build' repeats it."
  fi
  BUILD_PID=""
  AIKV="$ROOT/bin/aikv"
  step_done build "bin/aikv built"
}

# serve_command NODE sets SERVE: how the node is started.
serve_command() {
  node_addr "$1"
  local config="$ROOT/config/aikv-cluster.toml"
  SERVE=("$AIKV" serve -c "$config" -H "$NODE_HOST" -p "$NODE_PORT" --raft-port "$RAFT_PORT"
    --data-dir "$DIR/data/node$1")
}

# share_cores sets NODE_CORES, on how many cores at once a node computes. The
# nodes share this machine: a node that believes that all cores are its own wakes
# idle threads of its own instead of letting another node go on, which halves
# the throughput where cores are few. A GOMAXPROCS of the caller wins.
share_cores() {
  local cores
  cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cores=1
  NODE_CORES=$((cores / NODES_TOTAL))
  if ((NODE_CORES < 1)); then NODE_CORES=1; fi
  NODE_CORES=${GOMAXPROCS:-$NODE_CORES}
}

# node_start NODE starts it in a session of its own: Ctrl-C here does not reach it.
node_start() {
  serve_command "$1"
  local log="$DIR/logs/node$1.log" detach=()
  if command -v setsid >/dev/null 2>&1; then detach=(setsid); else set -m; fi
  share_cores
  # AIKV_BIN is ours; the node would take it for a setting of its own. "partition"
  # needs faults to be allowed, which the configuration files do not. The nodes
  # of a folder share its secret: the first of them makes it.
  env -u AIKV_BIN GOMAXPROCS="$NODE_CORES" AIKV_DEBUG_FAULTS="${AIKV_DEBUG_FAULTS:-true}" \
    AIKV_RAFT_TOKEN_FILE="${AIKV_RAFT_TOKEN_FILE:-$DIR/raft-token}" nohup ${detach[@]+"${detach[@]}"} "${SERVE[@]}" </dev/null >>"$log" 2>&1 3>&- &
  local pid=$!
  if ((${#detach[@]} == 0)); then set +m; fi
  printf '%d\n' "$pid" >"$DIR/pids/node$1.pid"
  STARTED+=("$1")
}

# node_pid NODE sets NODE_PID to its running process, or to "". A pid file alone
# proves nothing: the process must have been given this node's data folder.
node_pid() {
  NODE_PID=""
  local pid="" command
  [[ -f "$DIR/pids/node$1.pid" ]] || return 0
  read -r pid <"$DIR/pids/node$1.pid" || true
  case $pid in '' | *[!0-9]*) return 0 ;; esac
  kill -0 "$pid" 2>/dev/null || return 0
  if [[ -r /proc/$pid/cmdline ]]; then
    command=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || return 0
  else
    command=$(ps -ww -o command= -p "$pid" 2>/dev/null) || return 0
  fi
  case "$command " in
    *aikv*" --data-dir $DIR/data/node$1 "*) NODE_PID=$pid ;;
  esac
}

# node_foreign INDEX: what has answered (collect) at the address of a node of the
# folder is another node, of another folder or machine. Sets FOREIGN to who it is.
# Nothing may be done to it. The folder knows its nodes by where their data is and,
# in case they were started in another way, by their ids.
node_foreign() {
  local number=${NUMS[$1]:-} line home="" id=""
  FOREIGN=""
  if ((GIVEN == 1)) || [[ -z $number || ${CONF_BASE_PORT:-} != "$BASE_PORT" || ! -d "$DIR/data/node$number" ]]; then return 1; fi
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      data_dir:*) home=${line#data_dir:} ;;
      *" myself,"* | *",myself"* | *" myself "*) id=${line%% *} ;;
    esac
  done <"$WORK/ans.$1"
  if same_folder "$home" "$DIR/data/node$number"; then return 1; fi
  id_known "$1"
  if [[ $id == "$ID_KNOWN" ]]; then return 1; fi
  FOREIGN="another node${id:+, $id}${home:+, with its data in $home}"
}

# same_folder A B: two paths of one folder.
same_folder() {
  local a b
  if [[ $1 == "$2" ]]; then return 0; fi
  a=$(cd "$1" 2>/dev/null && pwd -P) || return 1
  b=$(cd "$2" 2>/dev/null && pwd -P) || return 1
  [[ $a == "$b" ]]
}

# ids_keep writes down who the nodes are that collect has asked, if they are those
# of the folder.
ids_keep() {
  local node
  if ((GIVEN == 1)) || ! conf_read || [[ ! -d "$DIR/pids" ]]; then return 0; fi
  read_ids
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if [[ -n ${IDS[node]:-} && -d "$DIR/data/node${NUMS[node]}" ]]; then
      printf '%s\n' "${IDS[node]}" >"$DIR/pids/node${NUMS[node]}.id" || return 0
    fi
  done
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

# port_owner PORT sets OWNER ("redis-server (process 12)", or "" where no tool
# tells) and OWNER_HINT.
port_owner() {
  local line=""
  OWNER="" OWNER_HINT=""
  if [[ $(uname -s) == Darwin ]] && (($1 == 5000 || $1 == 7000)); then
    OWNER="macOS's AirPlay Receiver, most likely"
    OWNER_HINT="turn it off in System Settings > General > AirDrop & Handoff"
    return 0
  fi
  if command -v lsof >/dev/null 2>&1; then
    line=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fpc 2>/dev/null | tr '\n' ' ') || line=""
    case $line in p*" c"*)
      OWNER=${line#*" c"}
      OWNER="${OWNER%% *} (process ${line%%" c"*})"
      OWNER=${OWNER/process p/process }
      ;;
    esac
  elif command -v ss >/dev/null 2>&1; then
    line=$(ss -Hltnp "sport = :$1" 2>/dev/null) || line=""
    case $line in *'(("'*)
      line=${line#*'(("'}
      OWNER="${line%%\"*} (process ${line#*pid=}"
      OWNER="${OWNER%%,*})"
      ;;
    esac
  fi
}

# nodes_in_dir sets DIR_NODES: the numbers of the nodes that the folder has data of.
nodes_in_dir() {
  local path number
  DIR_NODES=()
  for path in "$DIR"/data/node*; do
    number=${path##*/node}
    case $number in '' | *[!0-9]*) continue ;; esac
    if [[ -d $path ]]; then DIR_NODES+=("$number"); fi
  done
}

# node_paused NODE: its process (node_pid has found it) is stopped by a signal.
node_paused() {
  node_pid "$1"
  [[ -n $NODE_PID && $(ps -o stat= -p "$NODE_PID" 2>/dev/null) == T* ]]
}

# nodes_stop SECONDS NODE…: asks with SIGTERM, all at once, and ends what has not
# gone by then. A paused node is woken, or it would not hear. Sets STOPPED and
# KILLED to how many.
nodes_stop() {
  local seconds=$1 node limit pids=() left pid
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
  ui_now
  limit=$((NOW_MS + seconds * 1000))
  while :; do
    left=()
    for pid in ${pids[@]+"${pids[@]}"}; do
      if kill -0 "$pid" 2>/dev/null; then left+=("$pid"); fi
    done
    if ((${#left[@]} == 0)); then break; fi
    ui_now
    if ((NOW_MS > limit)); then
      KILLED=${#left[@]}
      kill -KILL "${left[@]}" 2>/dev/null || true
      break
    fi
    sleep 0.05
  done
  for node in "$@"; do rm -f "$DIR/pids/node$node.pid"; done
}

# log_tail NODE [LINES]: the last line (or lines) of its log, for messages.
log_tail() {
  local line
  line=$(tail -n "${2:-1}" "$DIR/logs/node$1.log" 2>/dev/null) || line=""
  printf '%s' "${line:-(empty log)}"
}
