#!/usr/bin/env bats
# Disks that are full or fail: the node says so in one line and ends, the cluster
# loses nothing that it acknowledged, and the node comes back whole.
load helpers

setup() { requires redis-cli; }
teardown() {
  stop_nodes KILL
  if [[ -n ${DISK:-} ]]; then umount "$DISK" 2>/dev/null || umount -l "$DISK" 2>/dev/null || true; fi
  rm -rf "${NODES:?}"
  unset BASE
}

# run_node INDEX BINARY: a bare node whose exit status goes to $NODES/INDEX.exit.
run_node() {
  local node=$1 binary=$2 port=$((BASE + $1))
  rm -f "$NODES/$node.exit"
  mkdir -p "$NODES/$node"
  (
    env -u AIKV_BIN GOFAIL_HTTP="127.0.0.1:$((BASE + 6 + node))" "$binary" serve -p "$port" \
      --raft-port $((port + RAFT_OFFSET)) --data-dir "$NODES/$node" </dev/null >>"$NODES/$node.log" 2>&1 &
    pid=$!
    echo "$pid" >"$NODES/$node.pid"
    status=0
    wait "$pid" || status=$?
    echo "$status" >"$NODES/$node.exit"
  ) 2>/dev/null 3>&- & # which would be told how the node was killed
  disown $!
}

# three_nodes BINARY: node 1 runs BINARY and is the master of {foo}, with node 2 as
# its replica; node 0 has the other half of the slots.
three_nodes() {
  local node
  for node in 0 1 2; do
    if ((node == 1)); then run_node 1 "$1"; else run_node "$node" "$ROOT/bin/aikv"; fi
  done
  for node in 0 1 2; do retry 20 answers "$node"; done
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 8191
  is OK on 1 CLUSTER ADDSLOTSRANGE 8192 16383
  is OK on 2 CLUSTER REPLICATE "$(id_of 1)"
  retry 20 all_vote
}

# all_vote: node 1 leads a shard with three voters that have caught up.
all_vote() {
  on 1 INFO raft | tr -d '\r' | grep -q 'kind=data,role=leader,.*voters=3,learners=0,lag=0,settled=1'
}

# big FILE: a value of 100 KB.
big() { head -c 100000 /dev/zero | tr '\0' v >"$1"; }

# write_big FIRST LAST: values of 100 KB; the numbers of those that were
# acknowledged go to $ACKED. Stops early when node 1 has ended.
write_big() {
  local i
  for ((i = $1; i <= $2; i++)); do
    if [[ $(redis-cli -c -p "$BASE" -x SET "{foo}$i" <"$VALUE" 2>/dev/null) == OK ]]; then echo "$i" >>"$ACKED"; fi
    if [[ -e $NODES/1.exit && ${3:-} != on ]]; then return 0; fi
  done
}

# ended_with TEXT: node 1 has ended with an error, and says why in one line.
ended_with() {
  [[ -s $NODES/1.exit ]] || return 1
  local lines
  lines=$(grep -c '^aikv: ' "$NODES/1.log") || true
  if [[ $(<"$NODES/1.exit") == 1 && $lines == 1 ]] && grep '^aikv: ' "$NODES/1.log" | grep -q "$1" &&
    ! grep -q '^panic\|^goroutine ' "$NODES/1.log"; then
    return 0
  fi
  tail -n 20 "$NODES/1.log" >&2
  echo "exit $(<"$NODES/1.exit"), $lines last words" >&2
  return 1
}

# has_all PORT-INDEX: the node, as master or replica, has every acknowledged value.
has_all() {
  local i commands=$BATS_TEST_TMPDIR/commands
  echo READONLY >"$commands"
  while read -r i; do echo "STRLEN {foo}$i"; done <"$ACKED" >>"$commands"
  local found
  found=$(redis-cli -p $((BASE + $1)) <"$commands" | grep -c '^100000$') || true
  if ((found != $(wc -l <"$ACKED"))); then
    echo "node $1 has $found of $(wc -l <"$ACKED") acknowledged values" >&2
    return 1
  fi
}

# goes_on: the shard serves without node 1.
goes_on() { is OK c 0 SET '{foo}on' 1; }

# prepare: the folder of the test and what it writes.
prepare() {
  free_block 12
  NODES=$BATS_TEST_TMPDIR/nodes
  VALUE=$BATS_TEST_TMPDIR/value
  ACKED=$BATS_TEST_TMPDIR/acked
  mkdir -p "$NODES"
  : >"$ACKED"
  big "$VALUE"
}

@test "a full disk: the node ends with a clear line, nothing is lost, and it comes back whole" {
  prepare
  mkdir -p "$NODES/1"
  mount -t tmpfs -o size=24m none "$NODES/1" 2>/dev/null || cannot_here "no right to mount a tmpfs"
  DISK=$NODES/1
  three_nodes "$ROOT/bin/aikv"
  write_big 1 600
  retry 20 ended_with "no space left on device"
  (($(wc -l <"$ACKED") >= 20))
  retry 20 goes_on
  write_big 601 620 on
  has_all 2

  mount -o remount,size=300m "$DISK"
  run_node 1 "$ROOT/bin/aikv"
  retry 30 answers 1
  retry 30 has_all 1
  retry 20 is OK c 1 SET '{foo}after' 1
  topology_agrees 3
}

# fill_disk: a file takes all that is left on node 1's disk.
fill_disk() {
  dd if=/dev/zero of="$DISK/filler" bs=64k 2>/dev/null || true
  dd if=/dev/zero of="$DISK/filler2" bs=1k 2>/dev/null || true
}

@test "a node whose disk is still full starts all the same, says so, and goes on" {
  prepare
  mkdir -p "$NODES/1"
  mount -t tmpfs -o size=64m none "$NODES/1" 2>/dev/null || cannot_here "no right to mount a tmpfs"
  DISK=$NODES/1
  three_nodes "$ROOT/bin/aikv"
  write_big 1 30
  [ -s "$DISK/RESERVE" ]
  fill_disk
  write_big 31 300
  retry 20 ended_with "no space left on device"
  run_node 1 "$ROOT/bin/aikv"
  retry 30 answers 1
  grep -q 'the disk is full: the node starts with a reserve' "$NODES/1.log"
  retry 30 has_all 1
  retry 20 is OK c 1 SET '{foo}after' 1
  topology_agrees 3
}

# armed NAME TEXT: from now on the failpoint of node 1 returns TEXT.
armed() {
  exec 8<>"/dev/tcp/127.0.0.1/$((BASE + 7))"
  local body="return(\"$2\")"
  printf 'PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
    "$1" "${#body}" "$body" >&8
  local answer
  read -r answer <&8
  exec 8>&-
  [[ $answer == *" 204 "* || $answer == *" 200 "* ]]
}

# failing_sync FAILPOINT: the node ends when it cannot sync, and comes back.
failing_sync() {
  prepare
  make --no-print-directory -C "$ROOT" failpoints
  three_nodes "$ROOT/bin/aikv-failpoints"
  write_big 1 10
  armed "$1" "the disk is broken"
  write_big 11 300
  retry 20 ended_with "the disk is broken"
  retry 20 goes_on
  write_big 301 310 on
  has_all 2
  run_node 1 "$ROOT/bin/aikv"
  retry 30 answers 1
  retry 30 has_all 1
  topology_agrees 3
}

@test "an fsync of the log fails: the node ends at once, and comes back whole" {
  failing_sync walSync
}

@test "an fsync of a store fails: the node ends at once, and comes back whole" {
  failing_sync storageSync
}
