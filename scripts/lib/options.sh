# shellcheck shell=bash
# The options of cluster_init.sh, and which nodes they mean.

OPT_MASTERS="" OPT_REPLICAS="" # -m, -r
OPT_SHARDS="" OPT_PER_SHARD="" OPT_BASE_PORT="" OPT_DIR=""
OPT_RESET=0 OPT_YES=0 OPT_CHECK_ONLY=0 OPT_DRY_RUN=0
OPT_WAIT=0 # 1: the checklist alone waits too, as long as --timeout says
GIVEN=0    # 1: the nodes were named with -m/-r and are never started here

init_usage() {
  cat <<'USAGE'
Usage: cluster_init.sh [options]

Brings up and verifies an AiKv cluster: 3 masters and 3 replicas on ports
6379-6384, unless told otherwise. Nodes that answer are initialised; nodes that
are missing are built and started under .aikv/. Running it again is safe.

Which nodes:
  -m, --masters HOST:PORT,…    initialise these running nodes as masters
  -r, --replicas HOST:PORT,…   and these as their replicas (IPv6 in brackets)
      --shards N               number of masters (3); another one than the cluster has grows or
                               shrinks it, while clients work
      --replicas-per-shard R   replicas of each (1)
      --base-port P            first client port (6379); a Raft port is the client port + 10000
      --dir D                  folder for data, logs and pids (.aikv in the project)
What to do:
      --reset                  FLUSHALL and CLUSTER RESET on every node first
  -y, --yes                    do not ask before --reset erases keys, or slots move
      --check-only             only run the checklist: once, or with --timeout until it holds
      --dry-run                only say what would be done
      --timeout S              one deadline for everything after the build (60)
Output:
  -q, --quiet                  errors and the result only
      --json                   the result as one JSON object
  -h, --help                   this text

Environment: REDIS_CLI (client to use; default redis-cli if installed, else
"aikv cli"), REDISCLI_AUTH (password), AIKV_BIN (binary to start),
CLUSTER_BASE_PORT and CLUSTER_DIR (defaults of --base-port and --dir), NO_COLOR.

Exit codes: 0 ok, 1 internal, 2 usage, 3 prerequisite missing, 4 port conflict,
5 exists or mismatch, 6 unreachable or timeout, 7 verification failed,
130 interrupted (what this run started is stopped again).
USAGE
}

usage_error() { die "$EXIT_USAGE" "$1" "${2:-Run with --help for the options.}"; }

# need_number OPTION VALUE MIN MAX sets NUMBER.
need_number() {
  case $2 in '' | *[!0-9]*) usage_error "$1 wants a number, not '$2'" ;; esac
  whole "$2" "$3" "$4" || usage_error "$1 wants a number from $3 to $4, not $2"
}

init_parse() {
  local arg value
  while (($# > 0)); do
    arg=$1
    shift
    case $arg in
      --*=*)
        value=${arg#*=}
        arg=${arg%%=*}
        case $arg in
          --masters | --replicas | --shards | --replicas-per-shard | --base-port | --dir | --timeout) ;;
          *) usage_error "unknown option $arg, or it takes no value" ;;
        esac
        set -- "$value" ${@+"$@"}
        ;;
    esac
    case $arg in
      -m | --masters | -r | --replicas | --shards | --replicas-per-shard | --base-port | --dir | --timeout)
        if (($# == 0)); then usage_error "$arg wants a value"; fi
        init_option "$arg" "$1"
        shift
        ;;
      --reset) OPT_RESET=1 ;;
      -y | --yes) OPT_YES=1 ;;
      --check-only) OPT_CHECK_ONLY=1 ;;
      --dry-run) OPT_DRY_RUN=1 ;;
      -q | --quiet) UI_QUIET=1 ;;
      --json) UI_JSON=1 ;;
      -h | --help)
        init_usage
        exit 0
        ;;
      *) usage_error "unknown argument '$arg'" ;;
    esac
  done
}

init_option() {
  if [[ -z $2 ]]; then usage_error "$1 wants a value, not ''"; fi
  case $1 in
    -m | --masters) OPT_MASTERS=$2 ;;
    -r | --replicas) OPT_REPLICAS=$2 ;;
    --shards) need_number "$1" "$2" 1 1000 && OPT_SHARDS=$NUMBER ;;
    --replicas-per-shard) need_number "$1" "$2" 0 10 && OPT_PER_SHARD=$NUMBER ;;
    --base-port) need_number "$1" "$2" 1 65535 && OPT_BASE_PORT=$NUMBER ;;
    --dir) OPT_DIR=$2 ;;
    --timeout) need_number "$1" "$2" 1 86400 && UI_TIMEOUT=$NUMBER OPT_WAIT=1 ;;
  esac
}

# add_addrs OPTION LIST: checks each HOST:PORT and appends it to ADDRS.
add_addrs() {
  local rest=$2, addr have
  while [[ -n $rest ]]; do
    addr=${rest%%,*}
    rest=${rest#*,}
    if [[ -z $addr ]]; then continue; fi
    case $addr in
      \[*\]:*) ;;
      *:*:*) usage_error "$1: write the IPv6 address in brackets: [${addr%:*}]:${addr##*:}" ;;
      ?*:*) ;;
      *) usage_error "$1: '$addr' is not HOST:PORT" ;;
    esac
    case ${addr%:*} in -* | *[!A-Za-z0-9._%:\[\]-]*) usage_error "$1: '$addr' is not HOST:PORT" ;; esac
    need_number "$1: the port of $addr" "${addr##*:}" 1 65535
    addr="${addr%:*}:$NUMBER"
    for have in ${ADDRS[@]+"${ADDRS[@]}"}; do
      if [[ $have == "$addr" ]]; then usage_error "$addr is named twice"; fi
    done
    ADDRS+=("$addr")
  done
}

# init_targets sets ADDRS, MASTERS, REPLICAS and BASE_PORT from the options and,
# for what they leave open, from the folder's cluster.conf.
init_targets() {
  ADDRS=()
  dir_use "${OPT_DIR:-${CLUSTER_DIR:-}}"
  if [[ -n $OPT_MASTERS || -n $OPT_REPLICAS ]]; then
    init_targets_given
    return 0
  fi
  conf_read || true
  MASTERS=${OPT_SHARDS:-${CONF_SHARDS:-3}}
  REPLICAS=${OPT_PER_SHARD:-${CONF_REPLICAS:-1}}
  if [[ -z $OPT_BASE_PORT && -z $CONF_BASE_PORT && -n "${CLUSTER_BASE_PORT:-}" ]]; then
    need_number CLUSTER_BASE_PORT "$CLUSTER_BASE_PORT" 1 65535
    OPT_BASE_PORT=$NUMBER
  fi
  BASE_PORT=${OPT_BASE_PORT:-${CONF_BASE_PORT:-6379}}
  init_nodes
}

# init_nodes sets NUMS and ADDRS: the nodes of the shape or, once "add" or "remove"
# has changed it, those that the folder's cluster.conf names.
init_nodes() {
  local node
  NUMS=() ADDRS=() LOOSE=0
  if [[ -n $CONF_NODES && "$CONF_SHARDS $CONF_REPLICAS $CONF_BASE_PORT" == "$MASTERS $REPLICAS $BASE_PORT" ]]; then
    LOOSE=1
    read -r -a NUMS <<<"$CONF_NODES"
  else
    for ((node = 1; node <= MASTERS * (1 + REPLICAS); node++)); do NUMS+=("$node"); done
  fi
  for node in "${NUMS[@]}"; do
    node_addr "$node"
    if ((NODE_PORT > 65535 || RAFT_PORT > 65535)); then usage_error "port $((NODE_PORT > 65535 ? NODE_PORT : RAFT_PORT)) is out of range" "Choose a lower --base-port."; fi
    ADDRS+=("$NODE_HOST:$NODE_PORT")
  done
  NODES_TOTAL=${#ADDRS[@]}
}

# only_nodes NODE…: from now on, ADDRS are these nodes of the folder alone.
only_nodes() {
  local node
  NUMS=("$@") ADDRS=()
  for node in "$@"; do
    node_addr "$node"
    ADDRS+=("$NODE_HOST:$NODE_PORT")
  done
}

init_targets_given() {
  GIVEN=1
  [[ -n $OPT_MASTERS ]] || usage_error "-r needs -m: name the masters too"
  if [[ -n $OPT_SHARDS$OPT_PER_SHARD$OPT_BASE_PORT$OPT_DIR ]]; then
    usage_error "-m and -r name running nodes: --shards, --replicas-per-shard, --base-port and --dir do not apply"
  fi
  add_addrs -m "$OPT_MASTERS"
  MASTERS=${#ADDRS[@]}
  if ((MASTERS == 0)); then usage_error "-m names no node"; fi
  add_addrs -r "$OPT_REPLICAS"
  local replicas=$((${#ADDRS[@]} - MASTERS))
  if ((replicas % MASTERS != 0)); then
    usage_error "$replicas replicas cannot be shared equally by $MASTERS masters"
  fi
  REPLICAS=$((replicas / MASTERS))
}
