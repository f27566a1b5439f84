# shellcheck shell=bash
# The two systems that are compared. Each has NAME_start, NAME_stop, NAME_ready,
# NAME_leaders (changes when a leader does), NAME_knows COMMAND and NAME_version,
# and sets PIDS (its processes) and PORTS (its client ports).

PIDS=()
PORTS=()
SHARDS=3   # of ours
REPLICAS=1 # a shard

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

set_ports() { # FIRST COUNT
  local port
  PORTS=()
  for ((port = $1; port < $1 + $2; port++)); do PORTS+=("$port"); done
}

# has_command PORT NAME
has_command() { [[ -n $(redis-cli -p "$1" COMMAND INFO "$2" | head -n 1) ]]; }

stop_processes() {
  local pid
  kill "${PIDS[@]}" 2>/dev/null || true
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  PIDS=()
}

# --- aikv: by the script, SHARDS with REPLICAS each ----------------------------

aikv_start() {
  local begin node
  set_ports "$AIKV_BASE" $((SHARDS * (1 + REPLICAS)))
  ms_now
  begin=$MS
  "$ROOT/scripts/cluster_init.sh" --shards "$SHARDS" --replicas-per-shard "$REPLICAS" --base-port "$AIKV_BASE" --dir "$WORK/aikv" -q >/dev/null
  ms_now
  BRINGUP="$((MS - begin)) ms, checklist included"
  PIDS=()
  for ((node = 1; node <= ${#PORTS[@]}; node++)); do PIDS+=("$(<"$WORK/aikv/pids/node$node.pid")"); done
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
  if ((settled != SHARDS)); then
    printf 'refusing to measure: %d of %d shards have three caught-up voters\n' "$settled" "$SHARDS" >&2
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

aikv_knows() { has_command "${PORTS[0]}" "$1"; }

# --- redis: six nodes, appendfsync always -------------------------------------

redis_start() {
  local port begin addrs=()
  set_ports "$REDIS_BASE" 6
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
  stop_processes
  rm -rf "$WORK/redis"
}

redis_ready() {
  local port
  for port in "${PORTS[@]}"; do redis_field "$port" CLUSTER cluster_state:ok || return 1; done
}

redis_leaders() { redis-cli -p "${PORTS[0]}" CLUSTER NODES | awk '{ print $1, ($3 ~ /slave/) ? "slave" : "master", $7 }' | sort; }

redis_knows() { has_command "${PORTS[0]}" "$1"; }

redis_version() { redis-server --version | cut -d ' ' -f 3; }

# idle SECONDS sets IDLE: memory and CPU of the processes while nobody asks.
idle() {
  local pid rss=0 before after hz
  hz=$(getconf CLK_TCK)
  before=$(cpu_of_all)
  sleep "$1" # the length of the measurement
  after=$(cpu_of_all)
  for pid in "${PIDS[@]}"; do
    rss=$((rss + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
  done
  # shellcheck disable=SC2034 # read by bench.sh
  IDLE=$(awk -v rss="$rss" -v ticks=$((after - before)) -v hz="$hz" -v s="$1" -v n="${#PIDS[@]}" \
    'BEGIN { printf "%.1f MB RSS and %.2f %% of a core a node", rss / n / 1024, ticks / hz / s / n * 100 }')
}

# cpu_of_all prints the user + system time of PIDS, in ticks.
cpu_of_all() {
  local pid sum=0
  for pid in "${PIDS[@]}"; do sum=$((sum + $(cpu_ticks "$pid"))); done
  echo "$sum"
}

cpu_ticks() { # user + system time of a process
  local stat
  stat=$(<"/proc/$1/stat")
  # shellcheck disable=SC2086 # fields
  set -- ${stat##*) }
  echo $((${12} + ${13}))
}
