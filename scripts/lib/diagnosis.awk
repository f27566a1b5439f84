# What is wrong with the topology. Prints findings, as diagnose.sh has them, and
# "announced NODE ADDRESS".

function find(fix, what, why, todo) { print fix "|" what "|" why "|" todo; found++ }
function cmd(i, words) { return client " -h " host(addr[i]) " -p " port(addr[i]) " " words }
function name(who,   j) { j = index_of(who); return j >= 0 ? addr[j] : who_addr(who) }
function who_addr(who,   j) { for (j = 0; j < n; j++) if ((j, who) in vaddr) return vaddr[j, who]; return who }
# Every slot that anybody says has an owner; twice: one with two.
function merge(   i, s) {
  for (i = 0; i < n; i++) {
    if (id[i] == "" || same[i] != i) continue
    for (s = 0; s < 16384; s++) {
      if (!((i, s) in own)) continue
      if (s in owner && owner[s] != own[i, s]) { if (!doubles++) twice = s; other = own[i, s] }
      else owner[s] = own[i, s]
    }
  }
}
function islands(   i, j, lone, slots, empty) { # guide: issues 1, 2 and 4
  for (i = 0; i < n; i++) if (id[i] != "") {
    up++
    if (known[i] == 1) { lone++; if (count[same[i]]) slots++; else if (keys[i] + 0 == 0) empty++ }
    for (j = 0; j < n; j++) if (id[j] != "" && !((i, id[j]) in view) && apart == "") { apart = addr[i]; from = i; to = j }
  }
  if (doubles && apart == "") {
    if (cut == "") find("wait", "slot " twice (doubles > 1 ? " and " doubles - 1 " others have" : " has") " another owner for some nodes than for others, " name(owner[twice]) " or " name(other), "some have not heard of the last change yet", "wait a moment, and look again")
    return 1
  }
  if (doubles) {
    find("", "slot " twice (doubles > 1 ? " and " doubles - 1 " others are" : " is") " on two masters, " name(owner[twice]) " and " name(other), "these are different clusters: within one, a slot has one owner", "keep one of them, or erase all: " setup " --reset")
    return 1
  }
  if (apart == "") return 0
  if (empty == n) find("repair", "the nodes run, and are not a cluster yet", "nobody has initialised them", setup)
  else if (slots > 0 && lone == up) find("repair", many(slots, "node") " with slots have not met the others", "redis-cli --cluster create was interrupted between ADDSLOTS and MEET, or it waits for them", setup)
  else find("repair", apart " does not know " addr[to], "CLUSTER MEET was not sent, or not answered with OK", cmd(from, "CLUSTER MEET " host(addr[to]) " " port(addr[to])) "   (or: " setup ")")
  return 1
}
function ranges_of(s,   slot, start, text, last) { # missing slots of planned master s, as ADDSLOTSRANGE takes them
  start = -1; last = first_slot(s + 1) - 1
  for (slot = first_slot(s); slot <= last + 1; slot++) {
    if (slot <= last && !(slot in owner)) { lacking++; if (start < 0) start = slot; continue }
    if (start >= 0) { text = text " " start " " slot - 1; start = -1 }
  }
  return text
}
function master_for(s,   j, slot) { # who takes them: the owner of its neighbours
  for (slot = first_slot(s); slot < first_slot(s + 1); slot++) if (slot in owner && (j = index_of(owner[slot])) >= 0 && id[j] != "") return j
  if (id[s] != "" && view[s, id[s]] == "master") return s
  for (j = 0; j < n; j++) if (id[j] != "" && view[j, id[j]] == "master") return j
  return 0
}
function missing_slots(   s, text, ranges) { # guide: issue 5
  for (s = 0; s < masters; s++) {
    ranges = ranges_of(s)
    if (ranges != "") text = text (text == "" ? "" : "; ") cmd(master_for(s), "CLUSTER ADDSLOTSRANGE" ranges)
  }
  if (lacking) find("repair", lacking " of 16384 slots are assigned to nobody", "the state stays fail until every slot has an owner", text)
}
function wrong_roles(   j, m, k, has, few) { # guide: issue 3
  if (lacking) return
  for (j = 0; j < n; j++) if (id[j] != "" && view[j, id[j]] == "slave") has[vmaster[j, id[j]]]++
  for (j = 0; j < n; j++) {
    if (id[j] == "" || view[j, id[j]] == "slave" || vslots[j, id[j]] != "" || j in spare) continue
    few = -1
    for (m = 0; m < n; m++) if (id[m] != "" && vslots[m, id[m]] != "" && (few < 0 || has[id[m]] + 0 < has[id[few]] + 0)) few = m
    if (few < 0) continue
    has[id[few]]++
    find("repair", addr[j] " is a master without slots, not a replica", "CLUSTER REPLICATE was not sent, or not answered with OK", cmd(j, "CLUSTER REPLICATE " id[few]))
  }
}
function strangers(   i, k, who, told) {
  for (i = 0; i < n; i++) for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (is_target(who) || who in told || is_addr(vaddr[i, who])) continue
    told[who]
    if (vflags[i, who] ~ /fail/) find("forget " who, "the cluster has a node that is gone, " vaddr[i, who], "it failed, or was removed without CLUSTER FORGET", cmd(i, "CLUSTER FORGET " who))
    else find("", "the cluster has a node that was not named, " vaddr[i, who], "somebody else has added it", "name it with -m or -r, or remove it: " cmd(i, "CLUSTER FORGET " who))
  }
}
function is_addr(a,   j) { for (j = 0; j < n; j++) if (addr[j] == a) return 1; return 0 } # a node of ours that does not answer
function passing() { return cut == "" && !down ? "wait" : "" }
function patience() { return cut != "" ? "end the partition" : down ? "bring the nodes named above back" : "wait a moment, and look again" }
function leaders(   i, c, j, k, who, b, meta, data, waits) {
  for (i = 0; i < n; i++) for (c = 1; c <= groups[i]; c++) {
    if (g[i, c, "role"] != "leader") continue
    if (gname[i, c] == "metaraft") meta = 1
    else data[g[i, c, "leader"]]
    if (g[i, c, "settled"] != 1 && waits == "") waits = (gname[i, c] == "metaraft" ? "MetaRaft" : "the shard of " addr[i]) " (leader " addr[i] ", " many(g[i, c, "voters"], "voter") ", " many(g[i, c, "learners"], "learner") ", lag " g[i, c, "lag"] + 0 ")"
  }
  if (!meta) find(passing(), "MetaRaft has no leader", "more than half of its voters do not answer, so the topology cannot change", patience())
  for (i = 0; i < n && b == ""; i++) if (id[i] != "") b = i
  for (k = 1; k <= known[b]; k++) {
    who = list[b, k]
    if (vslots[b, who] == "" || who in data) continue
    find(passing(), "nobody serves the slots " vslots[b, who] " of " vaddr[b, who], "two of the shard" q "s three voters do not answer, or it is electing a leader", patience())
  }
  if (waits != "" && !found && !down) find("wait", waits " waits for a member", "a member is catching up, or cannot", "wait, and look again; its log says more")
}
function cut_off(   i, j, by) {
  for (j = 0; j < n; j++) {
    if (id[j] == "") continue
    by = 0
    for (i = 0; i < n; i++) if (i != j && id[i] != "" && (i, id[j]) in view && (vflags[i, id[j]] ~ /fail/ || vlink[i, id[j]] != "connected")) by++
    if (by) find("wait", addr[j] " answers here, but " many(by, "node") (by == 1 ? " does" : " do") " not hear it", "its Raft port cannot be reached, or answers too slowly", "wait a moment, and look again; if it stays: see its log, and what is between the nodes")
  }
}
function others(   i, t, first, last, version, low, high, mixed) {
  for (i = 0; i < n; i++) {
    if (id[i] == "") continue
    if (vaddr[i, id[i]] != addr[i]) print "announced " i " " vaddr[i, id[i]]
    t = raw[i, "server_time_usec"] / 1000000
    if (t > 0 && (first == "" || t < first)) { first = t; low = i }
    if (t > last) { last = t; high = i }
    if (version == "") version = raw[i, "aikv_version"]
    else if (raw[i, "aikv_version"] != version && !mixed++) find("", addr[i] " runs aikv " raw[i, "aikv_version"] ", others " version, "the binary was replaced, and not every node restarted", "restart the nodes that run the older one")
  }
  # All were asked at the same time, and answered within seconds.
  if (last - first > 10) find("", "the clock of " addr[low] " is " int(last - first) " s behind that of " addr[high], "keys expire by these clocks", "let NTP set the clocks of all machines")
}
END {
  q = sprintf("%c", 39)
  read_words(); index_slots(); merge()
  if (!islands()) { missing_slots(); wrong_roles(); leaders() }
  strangers(); if (cut == "") cut_off(); others()
}
