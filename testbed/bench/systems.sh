# shellcheck shell=bash
# The two systems that are compared. Each has NAME_start, NAME_stop, and sets
# PIDS (its processes) and PORTS (its client ports).

PIDS=()
PORTS=()

ms_now() { # sets MS
  local seconds="${EPOCHREALTIME%[.,]*}" micros="${EPOCHREALTIME#*[.,]}"
  MS=$((seconds * 1000 + 10#${micros} / 1000))
}

wait_until() { # SECONDS COMMAND…
  local limit=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > limit)); then
      echo "gave up on: $*" >&2
      return 1
    fi
    sleep 0.02
  done
}

set_ports() {
  local port
  PORTS=()
  for ((port = $1; port < $1 + 6; port++)); do PORTS+=("$port"); done
}

# --- aikv: six nodes by the script --------------------------------------------

aikv_start() {
  local begin node
  set_ports "$AIKV_BASE"
  ms_now
  begin=$MS
  "$ROOT/scripts/cluster_init.sh" --base-port "$AIKV_BASE" --dir "$WORK/aikv" -q >/dev/null
  ms_now
  BRINGUP="$((MS - begin)) ms, checklist included"
  PIDS=()
  for node in 1 2 3 4 5 6; do PIDS+=("$(<"$WORK/aikv/pids/node$node.pid")"); done
}

aikv_stop() {
  "$ROOT/scripts/aikv-tool" cluster clean -q -y --dir "$WORK/aikv"
  PIDS=()
}

# aikv_ready refuses unless every shard has three voters that are caught up.
aikv_ready() {
  local status settled
  status=$("$ROOT/scripts/aikv-tool" cluster status --base-port "$AIKV_BASE" --dir "$WORK/aikv") || {
    printf 'refusing to measure, the cluster is not whole:\n%s\n' "$status" >&2
    return 1
  }
  settled=$(raft_lines | awk -F'[:,]' '
    /role=leader/ && /kind=data/ {
      v = 0; s = 0
      for (i = 1; i <= NF; i++) { if ($i ~ /^voters=/) v = substr($i, 8); if ($i == "settled=1") s = 1 }
      if (v >= 3 && s) n++
    } END { print n + 0 }')
  if ((settled != 3)); then
    printf 'refusing to measure: %d of 3 shards have three caught-up voters\n' "$settled" >&2
    return 1
  fi
}

raft_lines() {
  local port
  for port in "${PORTS[@]}"; do redis-cli -p "$port" INFO raft | tr -d '\r' | grep -E '^(group_[0-9]+|metaraft):'; done
}

# aikv_leaders: group and term of every leader; changes when a leader does.
aikv_leaders() {
  raft_lines | awk -F'[:,]' '/role=leader/ {
    for (i = 1; i <= NF; i++) if ($i ~ /^(id|term|leader)=/) printf "%s ", $i
    print "" }' | sort
}

# --- redis: six nodes, appendfsync always -------------------------------------

redis_start() {
  local port begin addrs=()
  set_ports "$REDIS_BASE"
  ms_now
  begin=$MS
  PIDS=()
  for port in "${PORTS[@]}"; do
    mkdir -p "$WORK/redis/$port"
    redis-server --port "$port" --cluster-enabled yes --dir "$WORK/redis/$port" --save '' \
      --appendonly yes --appendfsync always --bind 127.0.0.1 >"$WORK/redis/$port/log" 2>&1 </dev/null &
    PIDS+=($!)
    addrs+=("127.0.0.1:$port")
  done
  for port in "${PORTS[@]}"; do wait_until 10 redis-cli -p "$port" PING; done
  redis-cli --cluster create "${addrs[@]}" --cluster-replicas 1 --cluster-yes >/dev/null
  for port in "${PORTS[@]}"; do wait_until 30 redis_field "$port" CLUSTER cluster_state:ok; done
  ms_now
  BRINGUP="$((MS - begin)) ms until state ok"
  for port in "${PORTS[@]}"; do
    if redis_field "$port" INFO role:slave; then wait_until 60 redis_field "$port" INFO master_link_status:up; fi
  done
  ms_now
  BRINGUP="$BRINGUP, $((MS - begin)) ms until replicas are linked"
}

redis_field() { # PORT CLUSTER|INFO TEXT
  if [[ $2 == CLUSTER ]]; then redis-cli -p "$1" CLUSTER INFO | grep -q "$3"; else redis-cli -p "$1" INFO replication | grep -q "$3"; fi
}

redis_stop() {
  local pid
  kill "${PIDS[@]}" 2>/dev/null || true
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  PIDS=()
  rm -rf "$WORK/redis"
}

redis_ready() {
  local port
  for port in "${PORTS[@]}"; do redis_field "$port" CLUSTER cluster_state:ok || return 1; done
}

redis_leaders() { redis-cli -p "${PORTS[0]}" CLUSTER NODES | awk '{ print $1, ($3 ~ /slave/) ? "slave" : "master", $7 }' | sort; }

# idle SECONDS sets IDLE: memory and CPU of the processes while nobody asks.
idle() {
  local pid rss=0 before=0 after=0 hz
  hz=$(getconf CLK_TCK)
  for pid in "${PIDS[@]}"; do before=$((before + $(cpu_ticks "$pid"))); done
  sleep "$1" # the length of the measurement
  for pid in "${PIDS[@]}"; do
    after=$((after + $(cpu_ticks "$pid")))
    rss=$((rss + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
  done
  # shellcheck disable=SC2034 # read by bench.sh
  IDLE=$(awk -v rss="$rss" -v ticks=$((after - before)) -v hz="$hz" -v s="$1" \
    'BEGIN { printf "%.1f MB RSS and %.2f %% of a core a node", rss / 6 / 1024, ticks / hz / s / 6 * 100 }')
}

cpu_ticks() { # user + system time of a process
  local stat
  stat=$(<"/proc/$1/stat")
  # shellcheck disable=SC2086 # fields
  set -- ${stat##*) }
  echo $((${12} + ${13}))
}
