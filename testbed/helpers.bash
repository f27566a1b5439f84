# shellcheck shell=bash
# What the bats suites share. A file that wants a cluster of its own calls
# cluster_up in setup_file; one that wants bare nodes calls start_nodes.
#
# Ports: every file takes its own free block. Blocks lie between 17340 and 21760
# so that they and the Raft ports (+10000, as the scripts have it) lie below the
# range that the kernel hands out to outgoing connections.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export ROOT
export PATH="$ROOT/bin:$ROOT/scripts:$PATH"
export LC_ALL=C
# Nothing of the caller's environment may steer the nodes or the scripts.
unset CLUSTER_BASE_PORT CLUSTER_DIR REDISCLI_AUTH REDIS_CLI NO_COLOR AIKV_DEBUG_FAULTS AIKV_REQUIREPASS

# The binary of this run, whatever happens to the sources meanwhile.
export AIKV_BIN="$ROOT/bin/aikv"

RAFT_OFFSET=10000

# cannot_here REASON: skips a test for what no installation can change. In CI every
# other skip is a failure (run.sh).
cannot_here() { skip "cannot here: $1"; }

# requires PROGRAM…: skips the test where one is missing.
requires() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || skip "needs $program"
  done
}

port_is_open() { { : <>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; }

# free_block COUNT sets BASE: COUNT client ports in a row, free with their Raft ports.
free_block() {
  local try port
  for ((try = 0; try < 200; try++)); do
    BASE=$((17340 + (RANDOM % 110 * 2 + ${BATS_LANE:-0}) * 20))
    for ((port = BASE; port < BASE + $1; port++)); do
      if port_is_open "$port" || port_is_open $((port + RAFT_OFFSET)); then continue 2; fi
    done
    export BASE
    return 0
  done
  echo "no free ports" >&2
  return 1
}

# Every deadline of the suites is so many times what is written down, which is what
# a good machine may need: slow and loaded ones have to pass. TEST_PATIENCE
# multiplies it once more.
PATIENCE=$((5 * ${TEST_PATIENCE:-1}))

# retry SECONDS COMMAND…: until it succeeds; what it said last is shown if it never does.
retry() {
  local limit=$((SECONDS + $1 * PATIENCE)) output
  shift
  while ! output=$("$@" 2>&1); do
    if ((SECONDS >= limit)); then
      printf 'gave up on: %s\n%s\n' "$*" "$output" >&2
      return 1
    fi
    sleep 0.05
  done
}

# on PORT-INDEX COMMAND…: redis-cli to node 0, 1, …
on() {
  local node=$1
  shift
  redis-cli -p $((BASE + node)) "$@"
}

# c PORT-INDEX COMMAND…: the same, following redirects.
c() {
  local node=$1
  shift
  redis-cli -c -p $((BASE + node)) "$@"
}

id_of() { on "$1" CLUSTER MYID; }

# is TEXT COMMAND…: the command prints exactly that.
is() {
  local want=$1 got
  shift
  got=$("$@" 2>&1) || true
  got=${got//$'\r'/}
  if [[ $got != "$want" ]]; then
    printf '%s\n  wanted: %s\n  got:    %s\n' "$*" "$want" "$got" >&2
    return 1
  fi
}

# has TEXT COMMAND…: what the command prints contains it.
has() {
  local want=$1 got
  shift
  got=$("$@" 2>&1) || true
  if [[ $got != *"$want"* ]]; then
    printf '%s\n  wanted: …%s…\n  got:    %s\n' "$*" "$want" "$got" >&2
    return 1
  fi
}

# shows TEXT COMMAND…: has, for CLUSTER NODES, where a replica that is still being
# sent its data is one as well.
shows() {
  local want=$1 got
  shift
  got=$("$@" 2>&1) || true
  has "$want" printf '%s\n' "${got//slave,loading/slave}"
}

# exits CODE COMMAND…: run, with what the command said if the code is another.
exits() {
  local want=$1
  shift
  run "$@"
  # shellcheck disable=SC2154 # set by run
  if ((status != want)); then
    printf '%s\n  exit %d, wanted %d:\n%s\n' "$*" "$status" "$want" "$output" >&2
    return 1
  fi
}

# node_begin INDEX [FLAGS…]: a bare node, its data in $NODES/INDEX; its pid in
# $NODES/INDEX.pid.
node_begin() {
  local node=$1 port=$((BASE + $1))
  shift
  mkdir -p "$NODES/$node"
  env -u AIKV_BIN aikv serve -p "$port" --raft-port $((port + RAFT_OFFSET)) --data-dir "$NODES/$node" "$@" \
    </dev/null >>"$NODES/$node.log" 2>&1 3>&- &
  echo $! >"$NODES/$node.pid"
  disown $! # bash has nothing to say about its end
}

answers() { [[ $(redis-cli -p $((BASE + $1)) PING 2>/dev/null) == PONG ]]; }

# start_nodes COUNT: bare nodes 0..COUNT-1 on a free block.
start_nodes() {
  local node
  if [[ -z ${BASE:-} ]]; then free_block "$1"; fi
  NODES=${NODES:-$BATS_FILE_TMPDIR/nodes}
  export NODES
  mkdir -p "$NODES"
  for ((node = 0; node < $1; node++)); do node_begin "$node"; done
  for ((node = 0; node < $1; node++)); do retry 10 answers "$node"; done
}

node_pid_of() { cat "$NODES/$1.pid"; }

# stop_node INDEX [SIGNAL]: and waits until it is gone.
stop_node() {
  local pid
  pid=$(node_pid_of "$1") || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null || true
  gone 15 "$pid"
}

# within SECONDS COMMAND…: ends it if it takes longer.
within() {
  local limit=$(($1 * PATIENCE))
  shift
  timeout "$limit" "$@"
}

# gone SECONDS PID: waits until a process has ended, then kills it.
gone() {
  local limit=$((SECONDS + $1 * PATIENCE))
  while kill -0 "$2" 2>/dev/null; do
    if [[ $(ps -o stat= -p "$2" 2>/dev/null) == Z* ]]; then return 0; fi
    if ((SECONDS >= limit)); then
      kill -KILL "$2" 2>/dev/null || true
      return 1
    fi
    sleep 0.02
  done
}

# stop_nodes [SIGNAL]: every bare node of this file.
stop_nodes() {
  local file
  for file in "${NODES:-/nonexistent}"/*.pid; do
    if [[ -f $file ]]; then kill "-${1:-TERM}" "$(<"$file")" 2>/dev/null || true; fi
  done
  for file in "${NODES:-/nonexistent}"/*.pid; do
    if [[ -f $file ]]; then
      gone 15 "$(<"$file")" || true
      rm -f "$file"
    fi
  done
}

# wipe_nodes: kills this file's bare nodes and forgets data and ports.
wipe_nodes() {
  stop_nodes KILL
  rm -rf "${NODES:?}"
  unset BASE
}

# cluster_up [OPTIONS…]: six nodes by cluster_init.sh, in $DIR.
cluster_up() {
  if [[ -z ${BASE:-} ]]; then free_block 12; fi
  DIR=${DIR:-$BATS_FILE_TMPDIR/cluster}
  export DIR
  cluster_init.sh --base-port "$BASE" --dir "$DIR" "$@" 3>&-
}

# cluster_down: kills and removes the cluster of cluster_up.
cluster_down() {
  local pid
  for pid in $(cluster_pids); do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in $(cluster_pids); do gone 5 "$pid" || true; done
  if [[ -n ${DIR:-} ]]; then rm -rf "$DIR"; fi
}

cluster_pids() { cat "${DIR:-/nonexistent}"/pids/node*.pid 2>/dev/null || true; }

# same_everywhere COMMAND…: all of six nodes print the same.
same_everywhere() {
  local node first text
  first=$(on 0 "$@")
  for node in 1 2 3 4 5; do
    text=$(on "$node" "$@")
    if [[ $text != "$first" ]]; then
      printf 'node 0:\n%s\nnode %s:\n%s\n' "$first" "$node" "$text" >&2
      return 1
    fi
  done
}

# topology_of NODE: id, address, role, master and slots of each node, sorted;
# without what differs by design (myself, ping times).
topology_of() {
  on "$1" CLUSTER NODES | awk 'NF >= 8 {
    role = ($3 ~ /slave/) ? "slave" : "master"
    line = $1 " " $2 " " role " " $4
    for (i = 9; i <= NF; i++) line = line " " $i
    print line }' | sort
}

# topology_agrees COUNT: nodes 0..COUNT-1 show the same topology, and COUNT nodes.
topology_agrees() {
  local node first text
  first=$(topology_of 0)
  if (($(printf '%s\n' "$first" | wc -l) != $1)); then
    printf 'node 0 does not show %d nodes:\n%s\n' "$1" "$first" >&2
    return 1
  fi
  for ((node = 1; node < $1; node++)); do
    text=$(topology_of "$node")
    if [[ $text != "$first" ]]; then
      printf 'node 0:\n%s\nnode %s:\n%s\n' "$first" "$node" "$text" >&2
      return 1
    fi
  done
}

info_field() { on "$1" CLUSTER INFO | tr -d '\r' | awk -F: -v f="$2" '$1 == f { print $2 }'; }
