#!/usr/bin/env bats
# Slots: assigned once, all or nothing, with Redis's texts, the same on every node.
load helpers

setup() { requires redis-cli; }
teardown() { wipe_nodes; }

three_nodes() {
  start_nodes 3
  is OK on 1 CLUSTER MEET 127.0.0.1 "$BASE"
  is OK on 2 CLUSTER MEET 127.0.0.1 "$BASE"
}

@test "ADDSLOTS and ADDSLOTSRANGE show on every node at once" {
  three_nodes
  is OK on 0 CLUSTER ADDSLOTS 0 1 2 5
  topology_agrees 3
  has " 0-2 5" on 2 CLUSTER NODES
  is OK on 1 CLUSTER ADDSLOTSRANGE 100 199 300 399
  topology_agrees 3
  is 204 info_field 2 cluster_slots_assigned
}

@test "a busy slot is refused, whoever asks, and nothing of the request happens" {
  three_nodes
  is OK on 0 CLUSTER ADDSLOTS 7
  has "ERR Slot 7 is already busy" on 0 CLUSTER ADDSLOTS 7
  has "ERR Slot 7 is already busy" on 1 CLUSTER ADDSLOTS 6 7 8
  is 1 info_field 2 cluster_slots_assigned
}

@test "the texts of wrong requests" {
  start_nodes 1
  has "ERR Invalid or out of range slot" on 0 CLUSTER ADDSLOTS 16384
  has "ERR Invalid or out of range slot" on 0 CLUSTER ADDSLOTS x
  has "ERR Slot 5 specified multiple times" on 0 CLUSTER ADDSLOTS 5 5
  has "ERR start slot number 9 is greater than end slot number 3" on 0 CLUSTER ADDSLOTSRANGE 9 3
  has "ERR Slot 5 is already unassigned" on 0 CLUSTER DELSLOTS 5
  is 0 info_field 0 cluster_slots_assigned
}

@test "DELSLOTS, DELSLOTSRANGE and FLUSHSLOTS" {
  three_nodes
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 99
  is OK on 0 CLUSTER DELSLOTS 50
  is 99 info_field 1 cluster_slots_assigned
  is OK on 0 CLUSTER DELSLOTSRANGE 90 99
  is 89 info_field 2 cluster_slots_assigned
  is OK on 0 CLUSTER FLUSHSLOTS
  is 0 info_field 1 cluster_slots_assigned
}

@test "two nodes ask for one slot at the same moment: one gets it, one hears busy" {
  three_nodes
  local slot
  for slot in 10 20 30 40 50 60 70 80; do
    on 1 CLUSTER ADDSLOTS "$slot" >"$BATS_TEST_TMPDIR/a" 3>&- &
    local a=$!
    on 2 CLUSTER ADDSLOTS "$slot" >"$BATS_TEST_TMPDIR/b" 3>&- &
    wait "$a" "$!"
    is "ERR Slot $slot is already busy,OK" bash -c "sort '$BATS_TEST_TMPDIR/a' '$BATS_TEST_TMPDIR/b' | grep . | paste -sd, -"
  done
  is 8 info_field 0 cluster_slots_assigned
  topology_agrees 3
}

@test "a storm of overlapping ranges from all nodes: no slot twice, equal maps" {
  three_nodes
  local node from pids=()
  for node in 0 1 2; do
    (for ((from = node * 7; from < 2000; from += 40)); do
      on "$node" CLUSTER ADDSLOTSRANGE "$from" $((from + 25))
    done) >"$BATS_TEST_TMPDIR/$node" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  topology_agrees 3
  local ok
  ok=$(cat "$BATS_TEST_TMPDIR"/[012] | grep -c '^OK')
  ((ok > 0))
  is $((ok * 26)) info_field 0 cluster_slots_assigned
}

@test "state is ok exactly when every slot is assigned" {
  three_nodes
  is OK on 0 CLUSTER ADDSLOTSRANGE 0 8000
  is OK on 1 CLUSTER ADDSLOTSRANGE 8001 16382
  is fail info_field 2 cluster_state
  has "CLUSTERDOWN" c 0 SET key value
  is OK on 2 CLUSTER ADDSLOTS 16383
  local node
  for node in 0 1 2; do retry 5 is ok info_field "$node" cluster_state; done
  retry 5 is OK c 0 SET key value
}
