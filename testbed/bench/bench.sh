#!/usr/bin/env bash
# Our six nodes against a six-node Redis cluster with appendfsync always, one
# after the other, alternating. See README.md.
#
#   RUNS      how often each system is measured (3); medians are printed
#   DURATION  seconds a measurement lasts, roughly (5)
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=systems.sh
. "$ROOT/testbed/bench/systems.sh"

RUNS=${RUNS:-3}
DURATION=${DURATION:-5}
AIKV_BASE=${AIKV_BASE_PORT:-17360}
REDIS_BASE=${REDIS_BASE_PORT:-17380}
unset AIKV_BASE_PORT REDIS_BASE_PORT
CLIENTS=50
SIZE=64
KEYS=100000
HIT_KEYS=10 # redis-benchmark draws a tag for every slot: 16384 * 10 keys are populated
ROUNDS_TO_RETRY=3

# Each row: name, redis-benchmark test, pipeline, range of keys.
CASES="
SET-P1   set 1  $KEYS
SET-P16  set 16 $KEYS
GET-P1   get 1  $HIT_KEYS
GET-P16  get 16 $HIT_KEYS
"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/aikv-bench.XXXXXX")
SYSTEM=""
cleanup() {
  if [[ -n $SYSTEM ]]; then "${SYSTEM}_stop" || true; fi
  rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

for program in redis-server redis-cli redis-benchmark awk; do
  command -v "$program" >/dev/null 2>&1 || {
    echo "bench needs $program: apt-get install redis-server redis-tools" >&2
    exit 3
  }
done

# load TEST PIPELINE RANGE COUNT prints "rps p50 p99" (ms).
load() {
  redis-benchmark --cluster -p "${PORTS[0]}" -t "$1" -P "$2" -r "$3" -n "$4" -c "$CLIENTS" -d "$SIZE" --csv 2>"$WORK/stderr" |
    awk -F, '/^"(SET|GET)"/ { gsub(/"/, ""); print $2, $5, $7; exit }'
}

# measure NAME TEST PIPELINE RANGE: one measurement of the running system into
# $WORK/NAME.SYSTEM; one during which a leader changed is thrown away.
measure() {
  local name=$1 before after result count round
  result=$(load "$2" "$3" "$4" $((5000 * $3)))
  count=$(awk -v rps="${result%% *}" -v s="$DURATION" 'BEGIN { printf "%d", rps * s + 1 }')
  for ((round = 0; round < ROUNDS_TO_RETRY; round++)); do
    before=$("${SYSTEM}_leaders")
    result=$(load "$2" "$3" "$4" "$count")
    after=$("${SYSTEM}_leaders")
    if [[ -n $result && $before == "$after" ]]; then
      echo "$result" >>"$WORK/$name.$SYSTEM"
      echo "  $SYSTEM $name: $result (ops/s, p50 ms, p99 ms)" >&2
      return 0
    fi
    echo "  $SYSTEM $name: a leader changed or nothing was measured, thrown away" >&2
    head -n 3 "$WORK/stderr" >&2
  done
  echo "$SYSTEM $name: no quiet run in $ROUNDS_TO_RETRY" >&2
  return 1
}

# run_system NAME: bring-up, idle, all cases, down.
run_system() {
  local name test pipeline range
  SYSTEM=$1
  "${SYSTEM}_start"
  wait_until 30 "${SYSTEM}_ready" || {
    "${SYSTEM}_ready"
    exit 1
  }
  echo "$BRINGUP" >>"$WORK/bringup.$SYSTEM"
  idle 3
  echo "$IDLE" >>"$WORK/idle.$SYSTEM"
  while read -r name test pipeline range; do
    if [[ -z $name ]]; then continue; fi
    if [[ $name == GET-P1 ]]; then load set 16 "$HIT_KEYS" 800000 >/dev/null; fi # populate
    measure "$name" "$test" "$pipeline" "$range"
  done <<<"$CASES"
  wait_until 30 "${SYSTEM}_ready" # still whole after the load
  "${SYSTEM}_stop"
  SYSTEM=""
}

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

report() {
  local name rest system column
  printf '\n%-8s %12s %9s %9s   %12s %9s %9s   %6s\n' "" "aikv ops/s" "p50 ms" "p99 ms" "redis ops/s" "p50 ms" "p99 ms" "ratio"
  while read -r name rest; do
    if [[ -z $name ]]; then continue; fi
    : "$rest"
    local values=()
    for system in aikv redis; do
      for column in 1 2 3; do values+=("$(cut -d ' ' -f "$column" "$WORK/$name.$system" | median)"); done
    done
    awk -v name="$name" -v a="${values[0]}" -v ap="${values[1]}" -v aq="${values[2]}" \
      -v r="${values[3]}" -v rp="${values[4]}" -v rq="${values[5]}" 'BEGIN {
      printf "%-8s %12d %9.2f %9.2f   %12d %9.2f %9.2f   %6.2f\n", name, a, ap, aq, r, rp, rq, a / r }'
  done <<<"$CASES"
  for system in aikv redis; do
    printf '\n%s bring-up: %s\n' "$system" "$(sort -n "$WORK/bringup.$system" | awk '{ v[NR] = $0 } END { print v[int((NR + 1) / 2)] }')"
    printf '%s idle:     %s\n' "$system" "$(sort -n "$WORK/idle.$system" | awk '{ v[NR] = $0 } END { print v[int((NR + 1) / 2)] }')"
  done
  printf '\nmedians of %d runs of about %d s; -c %d -d %d, SET -r %d, GET -r %d over populated keys; %s cores, %s\n' \
    "$RUNS" "$DURATION" "$CLIENTS" "$SIZE" "$KEYS" "$HIT_KEYS" "$(getconf _NPROCESSORS_ONLN)" "$(redis-server --version | cut -d ' ' -f 3)"
}

for ((run = 1; run <= RUNS; run++)); do
  echo "run $run of $RUNS" >&2
  run_system aikv
  run_system redis
done
report
