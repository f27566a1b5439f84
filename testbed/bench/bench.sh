#!/usr/bin/env bash
# Our six nodes against a six-node Redis cluster with appendfsync always, one
# after the other, alternating; or three of ours against a PEER. See README.md.
#
#   RUNS      how often each system is measured (3); medians are printed
#   DURATION  seconds a measurement lasts, roughly (5)
#   ONLY      which rows, e.g. "SET-P16 GET-P1" (all)
#   PEER      etcd, or "running" with PEER_ADDR and PEER_PIDS
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=systems.sh
. "$ROOT/testbed/bench/systems.sh"
# shellcheck source=peers.sh
. "$ROOT/testbed/bench/peers.sh"
# shellcheck source=rows.sh
. "$ROOT/testbed/bench/rows.sh"

RUNS=${RUNS:-3}
DURATION=${DURATION:-5}
PEER=${PEER:-}
AIKV_BASE=${AIKV_BASE_PORT:-17360}
REDIS_BASE=${REDIS_BASE_PORT:-17380}
unset AIKV_BASE_PORT REDIS_BASE_PORT
ROUNDS_TO_RETRY=3

WORK=$(mktemp -d "${TMPDIR:-/tmp}/aikv-bench.XXXXXX")
SYSTEM=""
cleanup() {
  if [[ -n $SYSTEM ]]; then "${SYSTEM}_stop" || true; fi
  rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [[ -z $PEER ]]; then
  THEIRS=redis ROWS=$CLUSTER_ROWS
  needed="redis-server redis-cli redis-benchmark awk"
else
  THEIRS=$PEER
  # shellcheck disable=SC2034 # read by systems.sh
  SHARDS=1 REPLICAS=2
  case $PEER in etcd | running) ;; *)
    echo "PEER is etcd, or running: not '$PEER'" >&2
    exit 2
    ;;
  esac
  "${PEER}_check"
  ROWS=$PEER_ROWS
  needed="redis-cli awk $PEER_NEEDS"
fi
for program in $needed; do
  command -v "$program" >/dev/null 2>&1 || {
    echo "bench needs $program: apt-get install redis-server redis-tools, for PEER=etcd also etcd-server jq curl" >&2
    exit 3
  }
done
if [[ -n ${ONLY:-} ]]; then ROWS=$(chosen_rows "$ROWS" "$ONLY"); fi
(cd "$ROOT" && go build -o "$WORK/load" ./testbed/bench/load)

# measured NAME COUNT: COUNT operations of a row, with their CPU. It sets RESULT to
# "rps p50 p99 µs-of-CPU-an-operation".
measured() {
  local before after hz
  hz=$(getconf CLK_TCK)
  before=$(cpu_of_all)
  RESULT=$(load "$1" "$2") || return 1
  after=$(cpu_of_all)
  RESULT=$(awk -v r="$RESULT" -v ticks=$((after - before)) -v hz="$hz" -v n="$2" \
    'BEGIN { split(r, f, " "); if (f[1] > 0) printf "%s %s %s %.2f %s %s", f[1], f[2], f[3], ticks / hz * 1e6 / n, f[4], f[5] }')
  [[ -n $RESULT ]]
}

# full_length NAME: a measurement of about DURATION seconds. A short one says how many
# operations that takes; redis-benchmark looks at its watch four times a second only, so
# what a first guess makes too short is measured again with more.
full_length() {
  local count=$((2500 * $(pipeline_of "$1"))) next
  while measured "$1" "$count"; do
    next=$(awk -v n="$count" -v rps="${RESULT%% *}" -v want="$DURATION" 'BEGIN {
      took = n / rps
      if (took >= 0.7 * want) exit
      printf "%d", n * (took < want / 20 ? 20 : want / took) + 1
    }')
    if [[ -z $next ]]; then return 0; fi
    count=$next
  done
  return 1
}

# measure NAME: one measurement of the running system into $WORK/NAME.SYSTEM; one
# during which a leader changed is thrown away.
measure() {
  local name=$1 before after count round
  if ! "${SYSTEM}_knows" "$(command_of "$name")"; then
    echo "  $SYSTEM $name: it has no $(command_of "$name")" >&2
    : >"$WORK/$name.$SYSTEM.missing"
    return 0
  fi
  prepare "$name"
  for ((round = 0; round < ROUNDS_TO_RETRY; round++)); do
    RESULT=""
    before=$("${SYSTEM}_leaders")
    full_length "$name" || RESULT=""
    after=$("${SYSTEM}_leaders")
    if [[ -n $RESULT && $before == "$after" ]]; then
      echo "$RESULT" >>"$WORK/$name.$SYSTEM"
      echo "  $SYSTEM $name: $RESULT (ops/s, p50 ms, p99 ms, CPU µs/op)" >&2
      return 0
    fi
    echo "  $SYSTEM $name: a leader changed or nothing was measured, thrown away" >&2
    head -n 3 "$WORK/stderr" >&2
  done
  echo "$SYSTEM $name: no quiet run in $ROUNDS_TO_RETRY" >&2
  return 1
}

# run_system NAME: bring-up, idle, all rows, down.
run_system() {
  local name
  SYSTEM=$1
  "${SYSTEM}_start"
  wait_until 30 "${SYSTEM}_ready" || {
    "${SYSTEM}_ready"
    exit 1
  }
  echo "$BRINGUP" >>"$WORK/bringup.$SYSTEM"
  idle 3
  echo "$IDLE" >>"$WORK/idle.$SYSTEM"
  for name in $ROWS; do measure "$name"; done
  wait_until 30 "${SYSTEM}_ready" # still whole after the load
  "${SYSTEM}_stop"
  SYSTEM=""
}

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# columns NAME SYSTEM prints the medians: ops/s, p50, p99, CPU; or "- - - -".
columns() {
  local column
  if [[ ! -s $WORK/$1.$2 ]]; then
    echo "- - - -"
    return
  fi
  for column in 1 2 3 4; do cut -d ' ' -f "$column" "$WORK/$1.$2" | median; done | tr '\n' ' '
}

report() {
  local name system
  printf '\n%-11s %11s %8s %8s %8s   %11s %8s %8s %8s   %7s %7s\n' "" \
    "aikv ops/s" "p50 ms" "p99 ms" "CPU µs" "$THEIRS ops/s" "p50 ms" "p99 ms" "CPU µs" "ops" "CPU"
  for name in $ROWS; do
    awk -v name="$name" -v a="$(columns "$name" aikv)" -v b="$(columns "$name" "$THEIRS")" '
      function show(f) {
        if (f[1] == "-") printf " %11s %8s %8s %8s  ", "-", "-", "-", "-"
        else printf " %11d %8.2f %8.2f %8.1f  ", f[1], f[2], f[3], f[4]
      }
      BEGIN {
        split(a, ours, " "); split(b, theirs, " ")
        printf "%-11s", name; show(ours); show(theirs)
        if (ours[1] == "-" || theirs[1] == "-") print "       -       -"
        else printf " %7.2f %7.2f\n", ours[1] / theirs[1], (theirs[4] > 0 ? ours[4] / theirs[4] : 0)
      }'
  done
  for name in $ROWS; do
    for system in aikv "$THEIRS"; do
      if [[ -e $WORK/$name.$system.missing ]]; then echo "$name: $system has no $(command_of "$name"), so nothing was measured"; fi
      case $name in MIX-*) mixed "$name" "$system" ;; esac
    done
  done
  for system in aikv "$THEIRS"; do
    printf '\n%s bring-up: %s\n' "$system" "$(sort -n "$WORK/bringup.$system" | awk '{ v[NR] = $0 } END { print v[int((NR + 1) / 2)] }')"
    printf '%s idle:     %s\n' "$system" "$(sort -n "$WORK/idle.$system" | awk '{ v[NR] = $0 } END { print v[int((NR + 1) / 2)] }')"
  done
  printf '\nmedians of %d runs of about %d s, %d clients, values of %d bytes; ops and CPU: ours divided by theirs; CPU is that of all\nprocesses of a system, user and system time; %s cores, %s\n' \
    "$RUNS" "$DURATION" "$CLIENTS" "$SIZE" "$(getconf _NPROCESSORS_ONLN)" "$("${THEIRS}_version")"
}

# mixed NAME SYSTEM: the p99 of pipelines without and with a SET.
mixed() {
  if [[ ! -s $WORK/$1.$2 ]]; then return; fi
  printf '%s %s: p99 %s ms of GETs alone, %s ms where a SET was among them\n' "$1" "$2" \
    "$(cut -d ' ' -f 5 "$WORK/$1.$2" | median)" "$(cut -d ' ' -f 6 "$WORK/$1.$2" | median)"
}

for ((RUN = 1; RUN <= RUNS; RUN++)); do
  echo "run $RUN of $RUNS" >&2
  run_system aikv
  run_system "$THEIRS"
done
report
