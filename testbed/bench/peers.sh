# shellcheck shell=bash
# What one group of three of our nodes is compared with (make bench PEER=…). Each
# has NAME_check (sets PEER_NEEDS and PEER_ROWS), NAME_start, NAME_stop, NAME_ready, NAME_leaders, NAME_knows,
# NAME_target (flags of the load generator) and NAME_version.

# --- etcd: three members, as etcd-server of Debian has them ---------------------

ETCD_BASE=${ETCD_BASE_PORT:-17390}

# shellcheck disable=SC2034 # read by bench.sh
etcd_check() {
  PEER_NEEDS="etcd jq curl"
  PEER_ROWS="SET-P1 GET-P1 MIX-P1" # it has no pipelines
}

etcd_start() {
  local n begin members=""
  set_ports "$ETCD_BASE" 3
  for n in 0 1 2; do members="$members${members:+,}m$n=http://127.0.0.1:$((ETCD_BASE + 3 + n))"; done
  ms_now
  begin=$MS
  PIDS=()
  for n in 0 1 2; do
    etcd --name "m$n" --data-dir "$WORK/etcd/m$n" --initial-cluster "$members" --initial-cluster-state new \
      --listen-client-urls "http://127.0.0.1:${PORTS[n]}" --advertise-client-urls "http://127.0.0.1:${PORTS[n]}" \
      --listen-peer-urls "http://127.0.0.1:$((ETCD_BASE + 3 + n))" --initial-advertise-peer-urls "http://127.0.0.1:$((ETCD_BASE + 3 + n))" \
      >"$WORK/etcd.$n.log" 2>&1 </dev/null &
    PIDS+=($!)
  done
  wait_until 30 etcd_ready
  ms_now
  # shellcheck disable=SC2034 # read by bench.sh
  BRINGUP="$((MS - begin)) ms until all members know a leader"
}

etcd_stop() {
  stop_processes
  rm -rf "$WORK/etcd"
}

etcd_status() { curl -s -m 2 -X POST "http://127.0.0.1:$1/v3/maintenance/status" -d '{}'; }

etcd_ready() {
  local port
  for port in "${PORTS[@]}"; do
    etcd_status "$port" | jq -e '.leader != null and .leader != "0"' >/dev/null || return 1
  done
}

etcd_leaders() { etcd_status "${PORTS[0]}" | jq -r '.leader, .raftTerm'; }

etcd_knows() { [[ $1 == SET || $1 == GET ]]; }

etcd_target() {
  local port
  for port in "${PORTS[@]}"; do
    if etcd_status "$port" | jq -e '.leader == .header.member_id' >/dev/null; then echo "-kind etcd -addr 127.0.0.1:$port"; fi
  done
}

etcd_version() { etcd --version | head -n 1; }

# --- running: a system that the caller has started ------------------------------
#
# PEER_ADDR is the node that takes writes and speaks RESP, PEER_PIDS the processes
# whose CPU counts. It is started and stopped by the caller: RedisRaft, uhaha's
# example, anything that knows SET and GET.

# shellcheck disable=SC2034 # read by bench.sh
running_check() {
  : "${PEER_ADDR:?PEER=running needs PEER_ADDR=host:port}" "${PEER_PIDS:?PEER=running needs PEER_PIDS, its process ids}"
  PEER_NEEDS=""
  PEER_ROWS="SET-P1 SET-P16 GET-P1 GET-P16 MIX-P1 MIX-P16"
}

running_start() {
  # shellcheck disable=SC2034 # read by bench.sh
  BRINGUP="by its owner"
  # shellcheck disable=SC2206 # words
  PIDS=($PEER_PIDS)
}

running_stop() { PIDS=(); }

running_cli() { redis-cli -h "${PEER_ADDR%:*}" -p "${PEER_ADDR##*:}" "$@"; }

running_ready() { [[ $(running_cli SET key:ready 1) == OK ]]; }

running_leaders() { running_ready && echo "$PEER_ADDR"; }

running_knows() { return 0; }

running_target() { echo "-kind resp -addr $PEER_ADDR"; }

running_version() { echo "$PEER_ADDR, three processes by its owner"; }
