# Which slots have to move, from where to where. A shard is known by the ids of all nodes
# that it had when the run began: whichever of them is a master stands for it.
#
# want: rebalance (so that every shard has as many as its weight says), move (ranges, from
# the shard of some ids to that of others), leaving (which nodes go, for so many shards to
# be left), owners (the nodes that have slots), members (the ids of the shard that node is
# the master of), beyond (the addresses of members that were not named), running (which
# moves are under way), open (how far they are, and slots that SETSLOT has opened). weights: "ID=WEIGHT …", 1 for the others; followers: nodes that are
# not masters, whatever they say; chunk: how many slots one move takes at most.
#
# Prints "move FROM TO COUNT RANGES", "leave NODE", "owner NODE ITS-SHARD…", ids, addresses,
# "slot SLOT OWNER TO", "job AT FROM TO ID COUNT RANGES|HOW-FAR",
# "running AT ID TO COUNT STATE RANGES" or "refuse TEXT|HINT". A NODE is a place in ADDRS,
# -1 for one that was not named.

function refuse(text, hint) { print "refuse " text "|" hint; refused = 1 }
function shard_of(i) { return (best, id[i]) in view && view[best, id[i]] == "slave" ? vmaster[best, id[i]] : id[i] }
function label(who,   i) { i = index_of(who); return i < 0 ? vaddr[best, who] : (number[i] == "" ? addr[i] : "node " number[i] " (" addr[i] ")") }
function add_shard(who) { shard[++shards] = who; place[who] = shards; have[shards] = slots_in(vslots[best, who]); weight[shards] = 1 }
# Every master is a shard; so is a node that is to join as one.
function read_shards(   k, i, t, follows) {
  split(followers, t, " ")
  for (k in t) follows[id[t[k]]]
  for (k = 1; k <= known[best]; k++) if (view[best, list[best, k]] == "master" && !(list[best, k] in follows)) add_shard(list[best, k])
  for (i = 0; i < n; i++) if (id[i] != "" && !((best, id[i]) in view) && !(id[i] in follows) && !count[same[i]]) add_shard(id[i])
  for (k = 1; k <= shards; k++) for (i = 0; i < 16384; i++) if ((same[best], i) in own && own[same[best], i] == shard[k]) { owner[i] = k; total++ }
}
function read_weights(   t, ab, c, k) {
  c = split(weights, t, " ")
  for (k = 1; k <= c; k++) { split(t[k], ab, "="); if (ab[1] in place) weight[place[ab[1]]] = ab[2] + 0 }
}
function shard_among(ids,   t, c, k) { # 0: none of them is a master any more
  c = split(ids, t, " ")
  for (k = 1; k <= c; k++) if (t[k] in place) return place[t[k]]
  return 0
}
function print_members(i,   k) {
  if (shard_of(i) != id[i]) return
  print id[i]
  for (k = 1; k <= known[best]; k++) if (vmaster[best, list[best, k]] == id[i] && view[best, list[best, k]] == "slave") print list[best, k]
}
# How many slots each shard is to have: by its weight, and what does not divide goes to
# those that have most beyond their share, so that the fewest slots move.
function set_targets(   k, sum, left, most, extra) {
  for (k = 1; k <= shards; k++) sum += weight[k]
  if (!sum) { refuse("there is no other master to take the slots", "Add one: it needs a weight above 0."); return }
  left = total
  for (k = 1; k <= shards; k++) { target[k] = int(total * weight[k] / sum); left -= target[k] }
  for (; left > 0; left--) {
    most = 0
    for (k = 1; k <= shards; k++) if (weight[k] && !(k in extra) && (!most || have[k] - target[k] > have[most] - target[most])) most = k
    extra[most]
    target[most]++
  }
}
# What a shard has too much goes from the end of its slots. Whoever has the slots beside
# it gets it first, so that ranges stay few.
function choose_slots(   k, s, give) {
  for (k = 1; k <= shards; k++) give[k] = have[k] - target[k]
  for (s = 16383; s >= 0; s--) if (s in owner && give[owner[s]] > 0) { give[owner[s]]--; moving[s] }
  for (s = 0; s < 16384; s++) beside(s, s - 1)
  for (s = 16383; s >= 0; s--) beside(s, s + 1)
  k = 1
  for (s = 0; s < 16384; s++) {
    if (!(s in moving) || s in goes) continue
    while (k < shards && have[k] >= target[k]) k++
    give_to(s, k)
  }
}
function beside(s, other,   k) {
  if (!(s in moving) || s in goes || !(other in owner)) return
  if (other in moving && !(other in goes)) return
  k = other in goes ? goes[other] : owner[other]
  if (have[k] < target[k]) give_to(s, k)
}
function give_to(s, k) { goes[s] = k; have[k]++ }
function read_ranges(   t, ab, c, k, s, a, b) {
  a = shard_among(from); b = shard_among(to)
  c = split(ranges, t, " ")
  for (k = 1; k <= c; k++) {
    if (split(t[k], ab, "-") < 2) ab[2] = ab[1]
    for (s = ab[1] + 0; s <= ab[2] + 0; s++) {
      if (b && owner[s] == b) continue # it has arrived
      if (!b || !(s in owner) || owner[s] != a) { refuse("slot " s " is not there, but on " (s in owner ? label(shard[owner[s]]) : "no node"), "See who has which: status."); return }
      moving[s]; goes[s] = b
    }
  }
}
# One line for so many slots as one move takes, for each pair of shards.
function print_moves(   a, b, s, first, text, c) {
  for (a = 1; a <= shards; a++) for (b = 1; b <= shards; b++) {
    text = ""; c = 0; first = -1
    for (s = 0; s <= 16384; s++) {
      if (s < 16384 && s in goes && owner[s] == a && goes[s] == b && c < chunk) { if (first < 0) first = s; c++; continue }
      if (first >= 0) { text = text " " (first == s - 1 ? first : first "-" s - 1); first = -1 }
      if (c == chunk || (s == 16384 && c)) { print "move " index_of(shard[a]), index_of(shard[b]), c text; text = ""; c = 0; if (s < 16384) s-- }
    }
  }
}
# The shard with the highest number among its nodes goes first: it came last.
function print_leaving(left,   k, i, top, gone, owners) {
  for (k = 1; k <= shards; k++) if (have[k]) owners++
  for (; owners > left; owners--) {
    top = -1
    for (i = 0; i < n; i++) if (id[i] != "" && !(place[shard_of(i)] in gone) && have[place[shard_of(i)]] && (top < 0 || number[i] + 0 > number[top] + 0)) top = i
    gone[place[shard_of(top)]]
  }
  for (i = 0; i < n; i++) if (place[shard_of(i)] in gone) print "leave " i
}
function shard_places(i,   j, text) { # its nodes
  for (j = 0; j < n; j++) if (id[j] != "" && shard_of(j) == id[i]) text = text " " j
  return text
}
function applied(i,   c) { for (c = 1; c <= groups[i]; c++) if (g[i, c, "kind"] == "data") return g[i, c, "applied"]; return "-" }
function print_open(   c, k, i, e, t, from, to, seen) {
  c = under_way()
  for (k = 1; k <= c; k++) {
    to = index_of(move_says(k, "dest"))
    print "job", move_at[k], index_of(move_says(k, "source")), to, move_says(k, "id"), slots_in(move_says(k, "slots")), move_says(k, "slots") "|" move_says(k, "state"), move_says(k, "retries"), (to < 0 ? "-" : applied(to)), raw[move_at[k], "migration_progress"], move_says(k, "last_error")
  }
  for (i = 0; i < n; i++) for (e = 1; e <= opens[i]; e++) {
    split(open[i, e], t, " ")
    if (t[1] in seen) continue
    seen[t[1]]
    from = (same[best], t[1]) in own ? index_of(own[same[best], t[1]]) : -1
    to = t[2] == "<" ? i : index_of(t[3])
    if (id[i] != "" && view[best, id[i]] != "slave") print "slot", t[1], from, to
  }
}
END {
  read_words(); index_slots()
  best = best_view()
  if (best < 0) exit
  if (want == "running") {
    c = under_way()
    for (k = 1; k <= c; k++) print "running", move_at[k], move_says(k, "id"), index_of(move_says(k, "dest")), slots_in(move_says(k, "slots")), move_says(k, "state"), move_says(k, "slots")
    exit
  }
  if (want == "open") { print_open(); exit }
  if (want == "beyond") {
    for (k = 1; k <= known[best]; k++) if (!is_target(list[best, k])) print vaddr[best, list[best, k]]
    exit
  }
  read_shards()
  if (want == "members") { print_members(node); exit }
  if (want == "owners") { for (i = 0; i < n; i++) if (id[i] in place && have[place[id[i]]]) print "owner " i shard_places(i); exit }
  if (want == "leaving") { print_leaving(left); exit }
  for (k = 1; k <= shards && !refused; k++)
    if (index_of(shard[k]) < 0) refuse("the cluster has a master that was not named, " vaddr[best, shard[k]], "Name it with -m, or look: status.")
  if (refused) exit
  if (want == "move") read_ranges()
  else { read_weights(); set_targets(); if (!refused) choose_slots() }
  if (!refused) print_moves()
}
