# What is missing to the cluster that is asked for. Prints:
#   verdict fresh|partial|complete
#   keys NODE COUNT
#   refuse TEXT|HINT
#   unsettled TEXT (ask again: one of the nodes has not heard of a change yet)
# and, unless refused, the actions that are missing:
#   meet | slots NODE FIRST LAST | replicate NODE MASTER-NODE | spread (all slots have
#   owners, and fewer than there are to be)

function refuse(text, hint) { print "refuse " text "|" hint; refused = 1 }
function check_members(   i, k, who, hint) {
  for (i = 0; i < n; i++) {
    if (id[i] == "") { refuse(addr[i] " does not know itself: CLUSTER NODES has no myself line", "See its log."); return }
    for (k = 1; k <= known[i]; k++) {
      who = list[i, k]
      if (is_target(who) || vflags[i, who] ~ /handshake|noaddr/) continue
      hint = "Name every node of that cluster with -m and -r, choose other ports with --base-port, or erase it with --reset."
      if (vflags[i, who] ~ /fail/) hint = "If that node is gone for good: redis-cli -h " host(addr[i]) " -p " port(addr[i]) " CLUSTER FORGET " who "; then run again."
      refuse(addr[i] " belongs to a cluster with another node, " vaddr[i, who] " (" who ")", hint)
      return
    }
  }
}
# Two clusters that both own slots cannot be merged.
function check_islands(   i, j) {
  for (i = 0; i < n; i++) for (j = i + 1; j < n; j++)
    if (known[i] > 1 && known[j] > 1 && !((i, id[j]) in view) && count[same[i]] > 0 && count[same[j]] > 0) {
      refuse(addr[i] " and " addr[j] " belong to different clusters that both own slots", "Keep one, and erase the nodes of the other with CLUSTER RESET, or everything with --reset.")
      return
    }
}
# Members of one cluster learn of a change, a takeover say, one after the other.
function check_settled(   i, j, k, who) {
  for (i = 0; i < n; i++) for (j = i + 1; j < n; j++) {
    if (!((i, id[j]) in view) || !((j, id[i]) in view)) continue
    for (k = 1; k <= known[i]; k++) {
      who = list[i, k]
      if (!((j, who) in view)) continue
      if (vslots[i, who] == vslots[j, who] && view[i, who] == view[j, who] && vmaster[i, who] == vmaster[j, who]) continue
      print "unsettled " addr[i] " and " addr[j] " disagree about " vname(who)
      refused = 1
      return
    }
  }
}
# Every slot owner anybody reports, and a contradiction between two clusters.
function merge_slots(   i, s, k) {
  for (i = 0; i < n; i++) {
    if (same[i] != i || !count[i]) continue
    for (s = 0; s < 16384; s++) {
      if (!((i, s) in own)) continue
      if (s in owner && owner[s] != own[i, s]) {
        refuse("slot " s " belongs to two nodes: " vname(owner[s]) " and " vname(own[i, s]), "They are parts of different clusters. Keep one, and erase the other nodes with CLUSTER RESET, or everything with --reset.")
        return
      }
      owner[s] = own[i, s]
      if (!(own[i, s] in owns)) { owns[own[i, s]] = s; owners++ }
    }
  }
}
function vname(who,   j) { j = index_of(who); return j >= 0 ? addr[j] : who }
function slave_of(i) { return view[i, id[i]] == "slave" ? index_of(vmaster[i, id[i]]) : -1 }
function place(s, j) { mast[s] = j; is_mast[j] = 1 }
# Which node is the master of which planned range: owners of slots first, then
# the planned ones, then any that is free.
function choose_masters(   j, s, left, nleft) {
  if (owners > masters) { refuse(owners " nodes own slots, but " masters " shards are asked for", "Run with --shards " owners ", or erase the cluster with --reset."); return }
  for (j = 0; j < n; j++) {
    if (!(id[j] in owns)) continue
    s = range_of(owns[id[j]])
    if (s in mast) left[++nleft] = j; else place(s, j)
  }
  for (s = 0; s < masters; s++) if (!(s in mast) && !(s in is_mast) && !(s in spare) && !(id[s] in owns) && slave_of(s) < 0) place(s, s)
  for (s = 0; s < masters; s++) if (!(s in mast) && nleft > 0) place(s, left[nleft--])
  for (s = 0; s < masters; s++) {
    if (s in mast) continue
    for (j = 0; j < n; j++) if (!(j in is_mast) && !(j in spare) && slave_of(j) < 0) { place(s, j); break }
    if (!(s in mast)) { refuse("there is no node left to be master of shard " s + 1 ": the others follow a master", "The cluster has another shape than " masters " masters with " replicas " replicas each. Give its shape with --shards and --replicas-per-shard, or erase it with --reset."); return }
  }
}
function plan_slots(   s, slot, from, last) {
  for (s = 0; s < masters; s++) {
    from = -1; last = first_slot(s + 1) - 1
    for (slot = first_slot(s); slot <= last + 1; slot++) {
      if (slot <= last && !(slot in owner)) { if (from < 0) from = slot; continue }
      if (from >= 0) { act("slots " mast[s] " " from " " slot - 1); from = -1; lacking++ }
    }
  }
}
function plan_replicas(   j, s, m, has, left) {
  for (j = 0; j < n; j++) {
    m = slave_of(j)
    if (m >= 0 && (m in is_mast)) { has[m]++; done[j] = 1 }
    # Those of a shard that was added without slots stay what they are.
    else if (m >= 0 && loose) done[j] = done[m] = 1
  }
  if (loose) left = spares_left(0)
  for (j = 0; j < n && left > 0; j++) if (!(j in is_mast || j in done || j in spare) && slotless(j, id[j])) { done[j] = 1; left-- }
  for (s = 0; s < masters && !loose; s++) if (has[mast[s]] > replicas) { refuse(addr[mast[s]] " has " has[mast[s]] " replicas, but " replicas " are asked for", "Give the shape of the cluster with --replicas-per-shard, or erase it with --reset."); return }
  for (j = 0; j < n; j++) {
    if (j in is_mast || j in done || j in spare) continue
    s = (j - masters) % masters
    if (j < masters) s = j
    for (m = 0; m < masters; m++) if (loose && has[mast[m]] + 0 < has[mast[s]] + 0) s = m
    for (m = 0; has[mast[s]] >= replicas && m < masters && !loose; m++) s = (s + 1) % masters
    has[mast[s]]++
    act("replicate " j " " mast[s])
  }
}
function plan_meet(   i, j) {
  for (i = 0; i < n; i++) for (j = 0; j < n; j++) if (!((i, id[j]) in view)) { act("meet"); return }
}
function act(line) { actions[++nact] = line }
END {
  read_words()
  index_slots()
  fresh = 1
  for (i = 0; i < n; i++) {
    if (keys[i] + 0 > 0) { print "keys " i " " keys[i] + 0; total += keys[i] }
    if (known[i] > 1 || count[same[i]] > 0) fresh = 0
  }
  if (facts_only) exit
  check_members()
  for (i = 0; i < n && !refused; i++)
    if (known[i] == 1 && n > 1 && keys[i] + 0 > 0)
      refuse(addr[i] " holds " keys[i] + 0 " keys and is not part of this cluster", "Save what you need and run again with --reset --yes, which erases every node, or choose other nodes.")
  if (!refused) check_islands()
  if (!refused) check_settled()
  if (!refused) merge_slots()
  if (!refused) choose_masters()
  if (!refused) { plan_meet(); plan_slots(); plan_replicas(); if (!lacking && owners < masters) act("spread") }
  if (refused) exit
  print "verdict " (fresh ? "fresh" : nact > 0 ? "partial" : "complete")
  for (i = 1; i <= nact; i++) print actions[i]
}
