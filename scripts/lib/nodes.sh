# shellcheck shell=bash
# The nodes of one folder: build the binary, start them.
#
#   DIR/data/nodeN      data of node N (1 is the first master)
#   DIR/logs/nodeN.log  what it wrote (node 1 also as logs/aikv.log)
#   DIR/pids/nodeN.pid  its process
#   DIR/pids/nodeN.id   its node id when it was last seen
#   DIR/raft-token      the secret that the nodes prove to each other (mode 0600)
#   DIR/password        what clients have to give, if the nodes were started so (0600)
#   DIR/cluster.conf    the shape: shards, replicas, base port; once "add" or
#                       "remove" has changed it, also which nodes there are
#   DIR/partition.PORT  who is cut off, see partition.sh

BASE_PORT=6379
AIKV=""
NUMS=() # the number, from 1, of each node in ADDRS; empty with -m
LOOSE=0 # 1: add or remove has changed the shape
NODES_TOTAL=1
NODE_CORES="" # see share_cores
STARTED=()    # nodes (numbers) that this run has started

# raft_port CLIENT-PORT sets RAFT_PORT: the client port + 10000, as Redis has its
# bus. The guide names 50051 and the next ones, for 6379 and the next ones; all
# others lie outside the range from which Linux takes a port for an outgoing
# connection, or a connection of anybody could keep a node from starting.
raft_port() {
  local offset
  RAFT_PORT=$(($1 + 43672))
  if (($1 >= 6379 && $1 <= 6384)); then return 0; fi
  if [[ -n $CONF_SHARDS && -z $CONF_RAFT_OFFSET ]]; then
    # A folder from before that rule: its nodes know each other by these ports.
    if ((RAFT_PORT > 65535)); then RAFT_PORT=$(($1 + 20000)); fi
    return 0
  fi
  for offset in 10000 -10000 -20000 -40000; do
    RAFT_PORT=$(($1 + offset))
    if ((RAFT_PORT > 0 && RAFT_PORT < 32768 || RAFT_PORT > 60999 && RAFT_PORT <= 65535)); then return 0; fi
  done
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
  local node folders=("$DIR/logs" "$DIR/pids")
  for node in "${NUMS[@]}"; do folders+=("$DIR/data/node$node"); done
  mkdir -p "${folders[@]}" || die "$EXIT_INTERNAL" "cannot create the folders in $DIR" "Choose another place with --dir."
  if ! conf_read; then
    CONF_SHARDS=$MASTERS CONF_REPLICAS=$REPLICAS CONF_BASE_PORT=$BASE_PORT CONF_RAFT_OFFSET=10000
    conf_write
  fi
  link_log
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

# aikv_can_build sets AIKV; false if the binary is there and need not be built. Dies
# if it has to be and cannot.
aikv_can_build() {
  aikv_find
  aikv_stale || return 1
  if [[ ! -f "$ROOT/go.mod" ]]; then
    die "$EXIT_PREREQ" "there is no aikv binary" "Put aikv on PATH, or set AIKV_BIN."
  fi
  command -v go >/dev/null 2>&1 ||
    die "$EXIT_PREREQ" "there is no $ROOT/bin/aikv, and no Go to build it" \
      "Install Go (https://go.dev/dl), or set AIKV_BIN to a built aikv."
  command -v make >/dev/null 2>&1 ||
    die "$EXIT_PREREQ" "there is no $ROOT/bin/aikv, and no make to build it" "Install make, or set AIKV_BIN to a built aikv."
}

# aikv_build makes bin/aikv if it is missing or stale.
aikv_build() {
  aikv_can_build || return 0
  step_begin
  say "  building bin/aikv (a first build takes a minute or two)"
  local log="$WORK/build.log"
  set -m # a group of its own, which an interrupt ends as a whole
  (cd "$ROOT" && exec make --no-print-directory build) </dev/null >"$log" 2>&1 3>&- &
  BUILD_PID=$!
  set +m
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
  if [[ -n $NODE_CORES ]]; then return 0; fi
  cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cores=1
  whole "$cores" 1 100000 || NUMBER=1
  cores=$NUMBER
  NODE_CORES=$((cores / NODES_TOTAL))
  if ((NODE_CORES < 1)); then NODE_CORES=1; fi
  NODE_CORES=${GOMAXPROCS:-$NODE_CORES}
}

# serve_env COMMAND…: runs it, in this process's place where it is a job of its own,
# with the environment of a node. AIKV_BIN is ours; the node would take it for a
# setting of its own. "partition" needs faults to be allowed, which the
# configuration files do not. The nodes of a folder share its secret: the first of
# them makes it.
serve_env() {
  exec env -u AIKV_BIN GOMAXPROCS="$NODE_CORES" AIKV_DEBUG_FAULTS="${AIKV_DEBUG_FAULTS:-true}" \
    AIKV_RAFT_TOKEN_FILE="${AIKV_RAFT_TOKEN_FILE:-$DIR/raft-token}" "$@"
}

# node_start NODE starts it in a session of its own: Ctrl-C here does not reach it.
node_start() {
  need_programs nohup
  serve_command "$1"
  password_use
  local log="$DIR/logs/node$1.log" detach=()
  if command -v setsid >/dev/null 2>&1; then detach=(setsid); else set -m; fi
  share_cores
  serve_env nohup ${detach[@]+"${detach[@]}"} "${SERVE[@]}" </dev/null >>"$log" 2>&1 3>&- &
  local pid=$!
  if ((${#detach[@]} == 0)); then set +m; fi
  STARTED+=("$1")
  # On a full disk the node itself says why it cannot run.
  printf '%d\n' "$pid" 2>/dev/null >"$DIR/pids/node$1.pid" || true
}

# password_use: nodes that were started with AIKV_REQUIREPASS want that password also
# when another shell starts them, which does not have it. Who starts them may also
# ask them something.
password_use() {
  local file="$DIR/password" known=""
  if [[ -f $file ]]; then IFS= read -r known <"$file" || true; fi
  if [[ -z ${AIKV_REQUIREPASS+set} ]]; then
    if [[ -z $known ]]; then return 0; fi
    export AIKV_REQUIREPASS=$known
  elif [[ -z $AIKV_REQUIREPASS ]]; then
    rm -f "$file"
    return 0
  elif [[ $AIKV_REQUIREPASS != "$known" ]]; then
    case $AIKV_REQUIREPASS in *[[:cntrl:]]*) usage_error "AIKV_REQUIREPASS has control characters in it" ;; esac
    (umask 077 && write_file "$file" "$AIKV_REQUIREPASS") || die "$EXIT_INTERNAL" "cannot write $file" "Is the disk full?"
  fi
  export REDISCLI_AUTH=${REDISCLI_AUTH:-$AIKV_REQUIREPASS}
}

# node_foreign INDEX [ANSWERS]: what has answered (collect) at the address of a node of the
# folder is another node, of another folder or machine. Sets FOREIGN to who it is.
# Nothing may be done to it. The folder knows its nodes by where their data is and,
# in case they were started in another way, by their ids.
node_foreign() {
  local number=${NUMS[$1]:-} line home="" id=""
  FOREIGN=""
  if ((GIVEN == 1)) || [[ -z $number ]]; then return 1; fi
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      data_dir:*) home=${line#data_dir:} ;;
      *" myself,"* | *",myself"* | *" myself "*) id=${line%% *} ;;
    esac
  done <"${2:-$WORK/ans.$1}"
  if same_folder "$home" "$DIR/data/node$number"; then return 1; fi
  if [[ $CONF_BASE_PORT != "$BASE_PORT" || ! -d "$DIR/data/node$number" ]]; then
    # The folder knows nothing of its own there. A node is welcome, unless these
    # scripts have started it for the cluster of another folder.
    [[ $home == */data/node* && -f "${home%/data/node*}/cluster.conf" ]] || return 1
    FOREIGN="another node${id:+, $id}, of the cluster in ${home%/data/node*}"
    return 0
  fi
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

# nodes_in_dir sets DIR_NODES: the numbers of the nodes that the folder has data of.
nodes_in_dir() {
  local path number
  DIR_NODES=()
  for path in "$DIR"/data/node*; do
    number=${path##*/node}
    if [[ -d $path ]] && whole "$number" 1 100000; then DIR_NODES+=("$number"); fi
  done
}

# log_tail NODE [LINES]: the last line (or lines) of its log, for messages.
log_tail() {
  local line
  line=$(tail -n "${2:-1}" "$DIR/logs/node$1.log" 2>/dev/null) || line=""
  printf '%s' "${line:-(empty log)}"
}
