# shellcheck shell=bash
# What the nodes say about the cluster, and what that means. topology.awk reads
# every node's answers; plan.awk, check.awk, nodes.awk, diagnosis.awk and moves.awk, one
# of them at a time, print what follows from them.

MASTERS=3  # shards asked for
REPLICAS=1 # replicas per shard asked for
PAUSED=()  # of each node, not empty if there is no point in asking it

# collect SECONDS asks every node how it sees the cluster.
collect() {
  local node
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ -n ${PAUSED[node]:-} ]]; then continue; fi
    ask "$node" info "INFO server memory keyspace raft migration"
    ask "$node" cluster "CLUSTER INFO"
    ask "$node" nodes "CLUSTER NODES"
    ask "$node" moves "CLUSTER MIGRATION STATUS ALL"
  done
  ask_all 0 "$1"
}

# node_kind NODE sets KIND from the answers of collect: aikv, free (nothing
# listens), busy (starting or loading), closed (connections are accepted and
# ended), auth, silent or redis, other; foreign: an aikv, but not the one that
# belongs there (node_foreign).
node_kind() {
  local text
  if answered "$1"; then
    text=$(<"$WORK/ans.$1")
    case $text in
      *aikv_version:*) if node_foreign "$1"; then KIND=foreign; else KIND=aikv; fi ;;
      *NOAUTH*) KIND=auth ;;
      *LOADING*) KIND=busy ;;
      *redis_version:*) KIND=redis ;;
      *) KIND=other ;;
    esac
    return 0
  fi
  text="$(<"$WORK/ans.$1.err") $(<"$WORK/ans.$1")"
  case $text in
    *NOAUTH* | *WRONGPASS* | *"AUTH failed"*) KIND=auth ;;
    *[Rr]"efused"* | *"o such host"* | *"not known"* | *"resolution"* | *"nreachable"* | *"o route"*) KIND=free ;;
    *[Pp]"rotocol error"*) KIND=other ;;
    *"closed the connection"* | *"reset by peer"* | *EOF*) KIND=closed ;;
    *) KIND=silent ;;
  esac
}

# id_known NODE sets ID_KNOWN to the id that the folder remembers of it, or to "-".
id_known() {
  ID_KNOWN=-
  if [[ -z ${DIR:-} || -z ${NUMS[$1]:-} || ${CONF_BASE_PORT:-} != "$BASE_PORT" ]]; then return 0; fi
  read -r ID_KNOWN 2>/dev/null <"$DIR/pids/node${NUMS[$1]}.id" || ID_KNOWN=-
}

# state_run PROGRAM [VAR=VALUE]…: runs plan, check, nodes, diagnosis or moves over the answers.
state_run() {
  local program=$1 text node spares="" ids="" files=() vars=()
  shift
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    files+=("$WORK/ans.$node")
    id_known "$node"
    ids="$ids $ID_KNOWN"
    case " ${CONF_SPARES:-} " in *" ${NUMS[node]:--} "*) if ((LOOSE == 1)); then spares="$spares $node"; fi ;; esac
  done
  vars=(-v "n=${#ADDRS[@]}" -v "loose=$LOOSE" -v "spares=$spares" -v "masters=$MASTERS" -v "replicas=$REPLICAS" -v "addrs=${ADDRS[*]}" -v "ids=$ids")
  while (($# > 0)); do
    text=$1
    vars+=(-v "${text//\\/\\\\}") # awk reads escapes in it
    shift
  done
  awk "${vars[@]}" -f "$SCRIPTS/lib/topology.awk" -f "$SCRIPTS/lib/$program.awk" "${files[@]}"
}
