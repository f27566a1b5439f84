# What is wrong with the topology. Prints findings, as diagnose.sh has them, and
# "announced NODE ADDRESS".
#
# client: the program to type commands to; setup: the command that does what is
# missing; start: the one that brings back what is down; recover: the one that says
# where MetaRaft stands in a node that is left, "" if it cannot be told; down: how many
# findings there are already; cut: how nodes are cut off, if they are.

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
      if (s in owner && owner[s] != own[i, s]) { if (!doubles++) { twice = s; other = own[i, s] } }
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
  else find("repair", apart " does not know " addr[to], "CLUSTER MEET was not sent, or not answered with OK", cmd(from, "CLUSTER MEET " host(addr[to]) " " port(addr[to])) "|" setup)
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
# concentrated: slots that were given to other masters, for good.
function concentrated(   s, seen, owners) {
  for (s in owner) if (!(owner[s] in seen)) { seen[owner[s]]; owners++ }
  if (lacking || loose || owners >= masters) return
  find("", many(owners, "master") (owners == 1 ? " has" : " have") " all slots, not " masters, "those of a master that is gone were given to another one", "clients miss nothing; to spread them again, with their keys: " setup " --yes")
}
function wrong_roles(   j, m, has, few, left) { # guide: issue 3
  if (lacking) return
  for (j = 0; j < n; j++) if (id[j] != "" && view[j, id[j]] == "slave") has[vmaster[j, id[j]]]++
  for (j = 0; j < n && left == ""; j++) if (id[j] != "") left = spares_left(j)
  for (j = 0; j < n; j++) {
    # One that others follow is a shard that was added: whoever of it leads is its master.
    if (id[j] == "" || !slotless(j, id[j]) || j in spare || id[j] in has || left-- > 0) continue
    few = -1
    for (m = 0; m < n; m++) if (id[m] != "" && vslots[m, id[m]] != "" && (few < 0 || has[id[m]] + 0 < has[id[few]] + 0)) few = m
    if (few < 0) continue
    has[id[few]]++
    find("repair", addr[j] " is a master without slots, not a replica", "CLUSTER REPLICATE was not sent, or not answered with OK", cmd(j, "CLUSTER REPLICATE " id[few]))
  }
}
# Members that are none of the nodes that were asked. A node that does not answer
# cannot say its id: as long as one of ours is not known to be another member, this
# may be it, under another name.
function strangers(   i, k, j, who, told, unknown) {
  for (j = 0; j < n; j++) if (id[j] == "" && who_is(j) == "") unknown = unknown (unknown == "" ? "" : ", ") addr[j]
  for (i = 0; i < n; i++) for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (is_ours(who) || who in told) continue
    told[who]
    if (unknown != "") find("", "the cluster has a node at an address that was not named, " vaddr[i, who], "it may be the one that does not answer as " unknown, "start what does not answer, and look again|if it is gone for good: " cmd(i, "CLUSTER FORGET " who))
    else if (vflags[i, who] ~ /fail/) find("forget " who, "the cluster has a node that is gone, " vaddr[i, who], "it failed, or was removed without CLUSTER FORGET", cmd(i, "CLUSTER FORGET " who))
    else find("", "the cluster has a node that was not named, " vaddr[i, who], "somebody else has added it", "name it with -m or -r, or remove it: " cmd(i, "CLUSTER FORGET " who))
  }
}
function is_ours(who,   j) { for (j = 0; j < n; j++) if (who_is(j) == who) return 1; return 0 }
function passing() { return cut == "" && !down ? "wait" : "" }
function patience() { return cut != "" ? "end the partition" : down ? "bring the nodes named above back" (start == "" ? "" : ": " start) : "wait a moment, and look again" }
# led[who]: that node leads its shard, as it says itself or, if it was not asked,
# as those of its shard say.
function leaders(   i, c, k, who, b, meta, led, waits) {
  for (i = 0; i < n; i++) for (c = 1; c <= groups[i]; c++) {
    if (gname[i, c] != "metaraft" && g[i, c, "leader"] != "" && !is_target(g[i, c, "leader"])) led[g[i, c, "leader"]]
    if (g[i, c, "role"] != "leader") continue
    if (minority(i, c)) continue
    if (gname[i, c] == "metaraft") meta = 1
    else led[g[i, c, "leader"]]
    if (g[i, c, "settled"] != 1 && waits == "") waits = (gname[i, c] == "metaraft" ? "MetaRaft" : "the shard of " addr[i]) " (leader " addr[i] ", " many(g[i, c, "voters"], "voter") ", " many(g[i, c, "learners"], "learner") ", lag " g[i, c, "lag"] + 0 ")"
  }
  if (!meta) find(passing(), "MetaRaft has no leader that a majority hears", "more than half of its voters do not answer, so the topology cannot change", patience() (recover == "" || cut != "" || !down ? "" : "|only if they are gone for good (changes that no node left has received are lost; the nodes are stopped for it, see Recovery in node/README.md), to see where a node that is left stands: " recover))
  for (i = 0; i < n && b == ""; i++) if (id[i] != "") b = i
  for (k = 1; k <= known[b]; k++) {
    who = list[b, k]
    if (vslots[b, who] != "" && !(who in led && (is_target(who) || vflags[b, who] !~ /fail/))) unserved(b, who, meta)
  }
  if (waits != "" && !found && !down) find("wait", waits " waits for a member", "a member is catching up, or cannot", "wait, and look again; its log says more")
}
# unserved: as b sees it, nobody serves the slots of who. meta: the topology can change.
function unserved(b, who, meta,   k, c, copies, dead, keeper, why, todo) {
  for (k = 1; k <= known[b]; k++) if (view[b, list[b, k]] == "slave" && vmaster[b, list[b, k]] == who) {
    if (is_target(list[b, k])) copies++
    else dead = dead cmd(b, "CLUSTER FORGET " list[b, k] " FORCE") " && "
  }
  todo = patience()
  if (is_target(who)) why = "its shard has no leader: too few of its voters answer, or they are electing one"
  else if (copies) why = "it does not answer, and no replica leads in its place: too few of the shard" q "s voters answer, or they are electing a leader"
  else {
    why = "no node that is to serve its data answers"
    for (k = 0; k < n; k++) for (c = 1; c <= groups[k]; c++) if (g[k, c, "kind"] == "arbiter" && g[k, c, "copy"] == 1 && g[k, c, "role"] == "leader") keeper = addr[k]
    if (keeper != "") { # an arbiter leads: it has the data, and does not serve
      why = why "; " keeper " keeps a copy as an arbiter, which another node can have"
      k = heir(who)
      todo = (start == "" ? "bring it back" : "bring it back: " start) "|let a node without slots take its place: " (slotless(k, id[k]) ? cmd(k, "CLUSTER REPLICATE " who) : "add one, and send it CLUSTER REPLICATE " who)
    }
    else if (meta && cut == "" && vflags[b, who] ~ /fail/) todo = (start == "" ? "bring " (dead == "" ? "it" : "it, or its replica,") " back" : "bring it back: " start) "|to go on without it, and lose its keys: " dead cmd(b, "CLUSTER FORGET " who " FORCE") " && " cmd(heir(who), "CLUSTER ADDSLOTSRANGE" as_pairs(vslots[b, who]))
  }
  find(passing(), "nobody serves the slots " vslots[b, who] " of " vaddr[b, who], why, todo)
}
# heir: who takes the slots of a node that is given up: a master without slots, or any.
function heir(who,   j, m) {
  m = -1
  for (j = 0; j < n; j++) if (id[j] != "" && id[j] != who && view[j, id[j]] == "master" && (m < 0 || vslots[j, id[j]] == "")) m = j
  return m < 0 ? 0 : m
}
function as_pairs(ranges,   t, ab, c, k, text) { # "0-5 7" as ADDSLOTSRANGE takes it
  c = split(ranges, t, " ")
  for (k = 1; k <= c; k++) text = text " " (split(t[k], ab, "-") == 2 ? ab[1] " " ab[2] : t[k] " " t[k])
  return text
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
  q = "'"
  read_words(); index_slots(); merge()
  if (!islands()) { missing_slots(); concentrated(); wrong_roles(); leaders() }
  strangers(); if (cut == "") cut_off(); others()
}
