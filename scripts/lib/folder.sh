# shellcheck shell=bash
# The folder of a cluster: its one name, the files in it, and who may change it.
#
# Whatever is read from a file is checked before it is used: bash evaluates what
# reaches an arithmetic expression, and would run a command that stands there.

DIR=""        # absolute and without symbolic links, once dir_use has run
DIR_DEFAULT=0 # 1: DIR is the project's own .aikv
LOCKED=0      # 1: this run has the lock of DIR
LOCK_MADE=0   # 1: it has made DIR for that
NUMBER=0
CONF_SHARDS="" CONF_REPLICAS="" CONF_BASE_PORT="" CONF_RAFT_OFFSET="" CONF_NODES="" CONF_SPARES="" CONF_ADDING="" CONF_FOLLOWS="" CONF_MASTERS="" CONF_LEAVING="" CONF_GROWING=""

# whole VALUE MIN MAX sets NUMBER, in decimal and without leading zeros; false if
# VALUE is no whole number, or another one.
whole() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  NUMBER=$1
  while [[ $NUMBER == 0?* ]]; do NUMBER=${NUMBER#0}; done
  ((${#NUMBER} <= 10 && NUMBER >= $2 && NUMBER <= $3))
}

# dir_use PATH sets DIR; an empty PATH means the default. A folder has one name,
# however it is called: processes and locks are found by it.
dir_use() {
  local path=$1 rest="" real
  if [[ -z $path ]]; then
    path="$ROOT/.aikv"
    if [[ ! -f "$ROOT/go.mod" ]]; then path="$PWD/.aikv"; fi
  fi
  case $path in
    *[[:cntrl:]]*) usage_error "the name of a folder has no control characters in it" ;;
    /*) ;;
    *) path=$PWD/$path ;;
  esac
  # What does not exist yet is named from what does.
  while ! real=$(cd "$path" 2>/dev/null && pwd -P); do
    while [[ $path == */ ]]; do path=${path%/}; done
    if [[ -e $path || -L $path ]]; then
      if real=$(cd "$path" 2>/dev/null && pwd -P); then break; fi # another run has made it just now
      usage_error "$path is not a folder that can be entered"
    fi
    case ${path##*/} in
      .) ;;
      ..) usage_error "$path/$rest: there is no such folder" ;;
      *) rest="${path##*/}${rest:+/$rest}" ;;
    esac
    path=${path%/*}/
  done
  DIR="${real%/}${rest:+/$rest}"
  if [[ -z $DIR ]]; then usage_error "the folder of a cluster is not /"; fi
  DIR_DEFAULT=0
  if [[ $DIR == "$ROOT/.aikv" && -f "$ROOT/go.mod" ]]; then DIR_DEFAULT=1; fi
}

# write_file PATH TEXT replaces the file as a whole, or not at all; false if it
# cannot, and then the old one is still there.
write_file() {
  if printf '%s\n' "$2" 2>/dev/null >"$1.new" && mv "$1.new" "$1" 2>/dev/null; then return 0; fi
  rm -f "$1.new" 2>/dev/null || true
  return 1
}

# bad_line FILE LINE
bad_line() {
  die "$EXIT_MISMATCH" "$1 cannot be used: it has the line '$2'" "Correct the line. aikv-tool wrote it otherwise."
}

# conf_read loads DIR/cluster.conf; false if there is none. CONF_NODES is empty if
# the nodes are those of the shape; CONF_SPARES are those of them that are meant
# to be masters without slots; CONF_ADDING is the node that an interrupted "add"
# has left, CONF_FOLLOWS the one it was to follow. CONF_MASTERS is which nodes are the
# planned masters, if not the first of them; CONF_LEAVING is those that an interrupted
# "--shards" with fewer shards was about to remove; CONF_GROWING is 1 until one with more
# has spread the slots.
conf_read() {
  local line file="$DIR/cluster.conf"
  CONF_SHARDS="" CONF_REPLICAS="" CONF_BASE_PORT="" CONF_RAFT_OFFSET="" CONF_NODES="" CONF_SPARES="" CONF_ADDING="" CONF_FOLLOWS="" CONF_MASTERS="" CONF_LEAVING="" CONF_GROWING=""
  [[ -f $file ]] || return 1
  while IFS= read -r line || [[ -n $line ]]; do
    conf_line "${line%%=*}" "${line#*=}" || bad_line "$file" "$line"
  done <"$file"
  if [[ -z $CONF_SHARDS || -z $CONF_REPLICAS || -z $CONF_BASE_PORT ]]; then
    die "$EXIT_MISMATCH" "$file is not whole: it does not say how many shards and replicas there are, or from which port on" \
      "Write them there: shards=3, replicas_per_shard=1 and base_port=6379, a line each."
  fi
}

# conf_line KEY VALUE: one line of cluster.conf; false if it cannot be one.
conf_line() {
  case $1 in
    shards) whole "$2" 1 1000 && CONF_SHARDS=$NUMBER ;;
    replicas_per_shard) whole "$2" 0 10 && CONF_REPLICAS=$NUMBER ;;
    base_port) whole "$2" 1 65535 && CONF_BASE_PORT=$NUMBER ;;
    raft_offset) whole "$2" 10000 10000 && CONF_RAFT_OFFSET=$NUMBER ;; # see raft_port
    nodes) node_list "$2" && CONF_NODES=$NODE_LIST ;;
    spares) node_list "$2" && CONF_SPARES=$NODE_LIST ;;
    masters) node_list "$2" && CONF_MASTERS=$NODE_LIST ;;
    growing) whole "$2" 1 1 && CONF_GROWING=1 ;;
    leaving) node_list "$2" && CONF_LEAVING=$NODE_LIST ;;
    adding) whole "$2" 1 100000 && CONF_ADDING=$NUMBER ;;
    follows) [[ -z $2 ]] || { whole "$2" 1 100000 && CONF_FOLLOWS=$NUMBER; } ;;
    *) return 1 ;;
  esac
}

# node_list TEXT sets NODE_LIST: numbers of nodes, each once; false if TEXT is
# something else.
node_list() {
  local word words=()
  NODE_LIST=""
  read -r -a words <<<"$1"
  for word in ${words[@]+"${words[@]}"}; do
    whole "$word" 1 100000 || return 1
    case " $NODE_LIST " in *" $NUMBER "*) return 1 ;; esac
    NODE_LIST="${NODE_LIST:+$NODE_LIST }$NUMBER"
  done
}

# conf_write replaces DIR/cluster.conf by what conf_read has loaded, as changed since.
conf_write() {
  local text
  printf -v text 'shards=%d\nreplicas_per_shard=%d\nbase_port=%d' "$CONF_SHARDS" "$CONF_REPLICAS" "$CONF_BASE_PORT"
  if [[ -n $CONF_RAFT_OFFSET ]]; then text="$text"$'\n'"raft_offset=$CONF_RAFT_OFFSET"; fi
  if [[ -n $CONF_NODES ]]; then text="$text"$'\n'"nodes=$CONF_NODES"$'\n'"spares=$CONF_SPARES"; fi
  if [[ -n $CONF_MASTERS ]]; then text="$text"$'\n'"masters=$CONF_MASTERS"; fi
  if [[ -n $CONF_GROWING ]]; then text="$text"$'\n'"growing=1"; fi
  if [[ -n $CONF_LEAVING ]]; then text="$text"$'\n'"leaving=$CONF_LEAVING"; fi
  if [[ -n $CONF_ADDING ]]; then text="$text"$'\n'"adding=$CONF_ADDING"$'\n'"follows=$CONF_FOLLOWS"; fi
  write_file "$DIR/cluster.conf" "$text" ||
    die "$EXIT_INTERNAL" "cannot write $DIR/cluster.conf" "Is the disk full, or the folder not yours?"
}

# lock_take: one run at a time changes what is in a folder, or the processes that
# run on it. The lock is a link that names its owner, a process and when that
# began; one whose owner has gone (kill -9, power loss) is taken over.
lock_take() {
  local known="$CONF_SHARDS $CONF_REPLICAS $CONF_BASE_PORT $CONF_NODES+$CONF_ADDING"
  if ((LOCKED == 1 || GIVEN == 1)); then return 0; fi
  if [[ ! -d $DIR ]]; then
    mkdir -p "$DIR" || die "$EXIT_INTERNAL" "cannot create $DIR" "Choose another place with --dir."
    LOCK_MADE=1
  fi
  lock_free
  process_began "$$"
  ln -sn "$$ $BEGAN" "$DIR/lock" 2>/dev/null ||
    die "$EXIT_MISMATCH" "cannot take the lock $DIR/lock" "Another run has it, or the folder cannot be written."
  LOCKED=1
  conf_read || true
  if [[ $known != "$CONF_SHARDS $CONF_REPLICAS $CONF_BASE_PORT $CONF_NODES+$CONF_ADDING" ]]; then
    die "$EXIT_MISMATCH" "another run has just changed the cluster in $DIR" "Run again."
  fi
}

# lock_free dies if somebody has the lock; removes that of one who has gone.
lock_free() {
  local owner
  if [[ -d $DIR/lock && ! -L $DIR/lock ]]; then
    die "$EXIT_MISMATCH" "$DIR/lock is a folder, so this run cannot take the lock" "Remove it."
  fi
  if [[ ! -L $DIR/lock && ! -e $DIR/lock ]]; then return 0; fi
  owner=$(readlink "$DIR/lock" 2>/dev/null) || owner=""
  if lock_alive "$owner"; then
    die "$EXIT_MISMATCH" "another run (process ${owner%% *}) is changing the cluster in $DIR" \
      "Wait for it, or stop it. Its lock is $DIR/lock."
  fi
  if ((OPT_DRY_RUN == 0)); then rm -f "$DIR/lock"; fi
}

# lock_alive "PID BEGAN": the owner of a lock is still that process.
lock_alive() {
  local pid=${1%% *}
  if ! whole "$pid" 1 4294967295 || ! kill -0 "$pid" 2>/dev/null; then return 1; fi
  process_began "$pid"
  [[ $1 == "$pid $BEGAN" ]]
}

lock_release() {
  if ((LOCKED == 1)); then rm -f "$DIR/lock"; fi
  if ((LOCK_MADE == 1)); then rmdir "$DIR" 2>/dev/null || true; fi
  LOCKED=0 LOCK_MADE=0
}
