# "Ready", each point on every node: the checklist of scripts/README.md but for its
# write, which needs the nodes. Prints, per point, "NAME ok|bad DETAIL".

function point(name, good, text) { print name, (good == n ? "ok" : "bad"), (good == n ? text : good + 0 " of " n " nodes: " why) }
function fault(text) { if (why == "") why = text }
function check_see(   i, j, ok, good, who) {
  why = ""
  for (i = 0; i < n; i++) {
    ok = (known[i] == n)
    if (!ok) fault(addr[i] " sees " known[i] + 0 " nodes, not " n)
    for (j = 0; j < n; j++) {
      who = id[j]
      if (!((i, who) in view)) { ok = 0; fault(addr[i] " does not see " addr[j]) }
      else if (vflags[i, who] ~ /fail|handshake|noaddr/ || vlink[i, who] != "connected") {
        ok = 0; fault(addr[i] " sees " addr[j] " as " vflags[i, who] " " vlink[i, who])
      }
    }
    good += ok
  }
  point("see", good, many(n, "node") ", seen by " n " of " n)
}
function check_slots(   i, k, ok, good) {
  why = ""
  for (i = 0; i < n; i++) {
    ok = 1
    k = same[i]
    if (count[k] != 16384) { ok = 0; fault(addr[i] " shows " count[k] + 0 " of 16384 slots, missing " missing(k)) }
    else if (raw[i, "cluster_slots_assigned"] != 16384) { ok = 0; fault(addr[i] " counts " raw[i, "cluster_slots_assigned"]) }
    else if (overlap[k] != "") { ok = 0; fault(addr[i] " shows slot " overlap[k] " twice") }
    else if (k != same[0]) { ok = 0; fault(addr[i] " shows other owners than " addr[0]) }
    good += ok
  }
  point("slots", good, "16384, none twice, the same on " n " of " n)
}
function missing(i,   s, from, text) {
  from = -1
  for (s = 0; s <= 16384; s++) {
    if (s < 16384 && !((i, s) in own)) { if (from < 0) from = s; continue }
    if (from >= 0) { text = text (text == "" ? "" : " ") (from == s - 1 ? from : from "-" s - 1); from = -1 }
  }
  return text
}
function check_state(   i, ok, good) {
  why = ""
  for (i = 0; i < n; i++) {
    ok = (raw[i, "cluster_state"] == "ok")
    if (!ok) fault(addr[i] " says " (raw[i, "cluster_state"] == "" ? "nothing" : raw[i, "cluster_state"]))
    good += ok
  }
  point("state", good, "ok on " n " of " n)
}
function roles_seen(i,   j, k, who, m, has, owners, left) { # "" or a fault
  for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (vslots[i, who] != "") { owners++; if (view[i, who] != "master") return addr[i] " shows slots on a replica, " vaddr[i, who] }
    if (view[i, who] == "slave") has[vmaster[i, who]]++
    if (view[i, who] != view[0, who] || vmaster[i, who] != vmaster[0, who]) return addr[i] " and " addr[0] " disagree on the role of " vaddr[i, who]
  }
  left = spares_left(i)
  for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (slotless(i, who) && !(index_of(who) in spare) && !(who in has) && left-- <= 0) return addr[i] " shows a master without slots, " vaddr[i, who]
  }
  if (owners != masters) return addr[i] " shows " owners + 0 " masters with slots, not " masters
  for (m in has) if (vslots[i, m] == "" && !loose) return addr[i] " shows a replica of a node without slots"
  for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (vslots[i, who] != "" && has[who] + 0 != replicas && !loose) return addr[i] " shows " has[who] + 0 " replicas of " vaddr[i, who] ", not " replicas
  }
  return ""
}
function check_roles(   i, f, good) {
  why = ""
  for (i = 0; i < n; i++) { f = roles_seen(i); if (f != "") fault(f); else good++ }
  if (loose) point("replicas", good, "every role the same on " n " of " n)
  else point("replicas", good, many(masters, "master") " with " many(replicas, "replica") " each, on " n " of " n)
}
# Only a leader knows its voters: every group must have one, which says that the
# membership is the wished one and every voter has all of the log.
function check_voters(   i, c, need, led, settled, voters, data, meta, gid, seen, bad) {
  need = n < 3 ? 1 : 3
  for (i = 0; i < n; i++) {
    if (groups[i] == 0) { print "voters bad " addr[i] " reports no Raft groups"; return }
    for (c = 1; c <= groups[i]; c++) {
      gid = gname[i, c] == "metaraft" ? "metaraft" : g[i, c, "id"]
      if (!(gid in seen)) { seen[gid] = i; ngroups++ }
      if (g[i, c, "role"] != "leader") continue
      led[gid]++
      if (g[i, c, "settled"] != 1) { bad = "the leader of " gname_of(gid) ", " addr[i] ", waits for its members (voters " g[i, c, "voters"] ", learners " g[i, c, "learners"] ", lag " g[i, c, "lag"] ")"; continue }
      if (g[i, c, "voters"] + 0 < need && !(g[i, c, "kind"] == "data" && idle(i))) { bad = gname_of(gid) " has " g[i, c, "voters"] " voters, not " need; continue }
      settled++
      if (gid == "metaraft") meta = g[i, c, "voters"]; else { voters += g[i, c, "voters"]; data++ }
    }
  }
  for (gid in seen) if (led[gid] != 1) bad = gname_of(gid) " has " led[gid] + 0 " leaders"
  if (bad == "" && (meta == "" || data < masters || data > masters + added())) bad = data + 0 " shard groups are led, not " masters
  if (bad != "") print "voters bad " bad
  else print "voters ok " many(data, "shard") " with " many(voters, "voter") ", MetaRaft with " meta ", all caught up"
}
# idle: a master without slots that nobody follows. Its shard needs nobody else.
function idle(i,   k) {
  for (k = 1; k <= known[i]; k++) if (vmaster[i, list[i, k]] == id[i]) return 0
  return slotless(i, id[i])
}
# added: how many shards there may be beside those with slots.
function added(   k, c) {
  if (!loose) return 0
  for (k = 1; k <= known[0]; k++) if (slotless(0, list[0, k])) c++
  return c + 0
}
function gname_of(gid) { return gid == "metaraft" ? "MetaRaft" : "group " substr(gid, length(gid) - 7) }
END {
  read_words()
  index_slots()
  check_see(); check_slots(); check_state(); check_roles(); check_voters()
}
