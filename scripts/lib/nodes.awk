# The cluster and its nodes in one view.
#
# json=1: the nodes as JSON objects; json=2: the cluster as fields of one;
# json=moved: who is alive elsewhere than where it was asked; json=line: only the line of the cluster; json=slots, json=id: of the node at
# wanted; else the table.

function data_group(i,   c) { for (c = 1; c <= groups[i]; c++) if (g[i, c, "kind"] == "data") return c; return 0 }
function meta_group(i,   c) { for (c = 1; c <= groups[i]; c++) if (gname[i, c] == "metaraft") return c; return 0 }
function short(gid) { return substr(gid, length(gid) - 7) }
function arbiters(i,   c, text) {
  for (c = 1; c <= groups[i]; c++) if (g[i, c, "kind"] == "arbiter") text = text (text == "" ? "" : " ") short(g[i, c, "id"])
  return text
}
function dash(x) { return x == "" ? "-" : x }
function seen_by(who,   j) { # a node that knows it, best of all itself
  if (who == "") return -1
  for (j = 0; j < n; j++) if (id[j] == who) return j
  if (best >= 0 && (best, who) in view) return best
  for (j = 0; j < n; j++) if ((j, who) in view) return j
  return -1
}
# moved: where a node that does not answer at its address is alive, as others show it.
function moved(i,   j, who) {
  who = who_is(i)
  if (id[i] != "" || who == "") return ""
  for (j = 0; j < n; j++) if ((j, who) in view && vflags[j, who] !~ /fail|noaddr/ && vlink[j, who] == "connected" && vaddr[j, who] != addr[i]) return vaddr[j, who]
  return ""
}
function leads(who,   i, c) {
  i = index_of(who)
  if (i < 0) return 0
  c = data_group(i)
  return c && g[i, c, "role"] == "leader" && !minority(i, c)
}
# leads_elsewhere: it was not asked, and those of its shard say that it leads.
function leads_elsewhere(who,   i, c) {
  if (is_target(who) || vflags[best, who] ~ /fail/) return 0
  for (i = 0; i < n; i++) for (c = 1; c <= groups[i]; c++) if (gname[i, c] != "metaraft" && g[i, c, "leader"] == who) return 1
  return 0
}
function cluster_health(   k, who) {
  if (best < 0 || count[same[best]] + 0 < 16384 || leader == "" || few != "") return "fail"
  for (k = 1; k <= known[best]; k++) { who = list[best, k]; if (vslots[best, who] != "" && !leads(who) && !leads_elsewhere(who)) return "fail" }
  return findings > 0 ? "degraded" : "ok"
}
function read_meta(   i, c) {
  for (i = 0; i < n; i++) {
    c = meta_group(i)
    if (!c || g[i, c, "role"] != "leader" || (leader != "" && i != best)) continue
    leader = addr[i]; voters = g[i, c, "voters"] + 0; learners = g[i, c, "learners"] + 0; term = g[i, c, "term"] + 0
    few = minority(i, c) ? answering(i, c) : ""
  }
}
function read_commits(   i, c) {
  for (i = 0; i < n; i++) for (c = 1; c <= groups[i]; c++)
    if (g[i, c, "role"] == "leader" && gname[i, c] != "metaraft") commit[g[i, c, "id"]] = g[i, c, "commit"]
}
# Sets the fields of a row: role, was, slots, gid, raft, applied, lag, master.
function row(i,   c, j, who) {
  who = who_is(i); j = seen_by(who)
  role = j < 0 ? "-" : view[j, who] == "slave" ? "replica" : "master"
  slots = j < 0 ? "" : vslots[j, who]
  master = role == "replica" ? vmaster[j, who] : ""
  was = ""
  if (role != "-" && planned[i] != "" && planned[i] != role) was = planned[i]
  c = data_group(i)
  gid = c ? g[i, c, "id"] : ""
  raft = c ? g[i, c, "role"] : ""
  applied = c ? g[i, c, "applied"] : ""
  lag = ""
  if (c && gid in commit) { lag = commit[gid] - applied; if (lag < 0) lag = 0 }
}
# The slots of a node as anybody shows them, itself or others.
function all_slots(i,   j, who) {
  who = who_is(i)
  if (who == "") return ""
  for (j = 0; j < n; j++) if (vslots[j, who] != "") return vslots[j, who]
  return ""
}
function age(s) {
  if (s == "") return ""
  s += 0
  if (s < 120) return s "s"
  if (s < 7200) return int(s / 60) "m"
  if (s < 172800) return int(s / 3600) "h"
  return int(s / 86400) "d"
}
function memory(i) { return raw[i, "used_memory_rss"] + 0 > 0 ? raw[i, "used_memory_rss"] : raw[i, "used_memory"] }
function mb(bytes) { return bytes == "" ? "" : sprintf("%.0f MB", bytes / 1000000) }
function node_json(i) {
  return sprintf("{\"node\":%s,\"address\":\"%s\",\"id\":\"%s\",\"role\":\"%s\",\"planned_role\":\"%s\",\"state\":\"%s\",\"master\":\"%s\",\"slots\":\"%s\",\"group\":\"%s\",\"raft_role\":\"%s\",\"arbiter_of\":%s,\"applied\":%d,\"lag\":%d,\"uptime_seconds\":%d,\"memory_bytes\":%.0f}",
    number[i] == "" ? "null" : number[i], addr[i], who_is(i), role, planned[i], state[i], master, slots, gid, raft, json_list(arbiters(i)), applied, lag, raw[i, "uptime_in_seconds"], memory(i) + 0)
}
function json_list(text,   t, c, k, out) {
  c = split(text, t, " ")
  for (k = 1; k <= c; k++) out = out (k > 1 ? "," : "") "\"" t[k] "\""
  return "[" out "]"
}
function cluster_line() {
  if (best < 0) return "cluster: fail, no node answers"
  return sprintf("cluster: %s, %d of 16384 slots, epoch %d, MetaRaft %s", cluster_health(), count[same[best]] + 0, raw[best, "cluster_current_epoch"],
    leader == "" ? "without a leader" : sprintf("leader %s, term %d, %s, %s", leader, term, many(voters, "voter") (few == "" ? "" : " of which " few " answer" (few == 1 ? "s" : "")), many(learners, "learner")))
}
function print_table(   i) {
  print cluster_line()
  printf "%-4s %-21s %-21s %-8s %-14s %-9s %-9s %-18s %8s %5s %7s %7s\n", "NODE", "ADDRESS", "ROLE", "STATE", "SLOTS", "GROUP", "RAFT", "ARBITER OF", "APPLIED", "LAG", "UPTIME", "MEMORY"
  for (i = 0; i < n; i++) {
    row(i)
    printf "%-4s %-21s %-21s %-8s %-14s %-9s %-9s %-18s %8s %5s %7s %7s\n", dash(number[i]), addr[i], role (was == "" ? "" : " (was " was ")"),
      state[i], dash(slots), dash(short(gid)), dash(raft), dash(arbiters(i)), dash(applied), dash(lag), dash(age(raw[i, "uptime_in_seconds"])), dash(mb(memory(i)))
  }
  print_under_way()
}
# What moves, below the table: nothing is wrong with that.
function print_under_way(   c, k, i, e, t) {
  c = under_way()
  for (k = 1; k <= c; k++) print "→ " many(slots_in(move_says(k, "slots")), "slot") " (" move_says(k, "slots") ") on the way from " place_of(move_says(k, "source")) " to " place_of(move_says(k, "dest")) ": " move_says(k, "state") ", " move_age(k) " s" (move_says(k, "last_error") == "" ? "" : ", " move_says(k, "last_error"))
  for (i = 0; i < n; i++) for (e = 1; e <= opens[i]; e++) {
    split(open[i, e], t, " ")
    if (view[i, id[i]] != "slave") print "→ slot " t[1] " is open on " place_of(id[i]) ": it " (t[2] == "<" ? "comes from " : "goes to ") place_of(t[3])
  }
}
function place_of(who,   i) { i = index_of(who); return i < 0 ? who_at(who) : number[i] == "" ? addr[i] : "node " number[i] }
function who_at(who) { return best >= 0 && (best, who) in view ? vaddr[best, who] : who }
function moves_json(   c, k, out) {
  c = under_way()
  for (k = 1; k <= c; k++) out = out (k > 1 ? "," : "") sprintf("{\"id\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"slots\":%d,\"ranges\":\"%s\",\"state\":\"%s\",\"seconds\":%d}", move_says(k, "id"), who_at(move_says(k, "source")), who_at(move_says(k, "dest")), slots_in(move_says(k, "slots")), move_says(k, "slots"), move_says(k, "state"), move_age(k))
  return "[" out "]"
}
function open_json(   i, e, t, out) {
  for (i = 0; i < n; i++) for (e = 1; e <= opens[i]; e++) {
    split(open[i, e], t, " ")
    if (view[i, id[i]] != "slave") out = out (out == "" ? "" : ",") sprintf("{\"slot\":%d,\"on\":\"%s\",\"%s\":\"%s\"}", t[1], addr[i], t[2] == "<" ? "from" : "to", who_at(t[3]))
  }
  return "[" out "]"
}
function print_json(   i) {
  if (json == 1) {
    for (i = 0; i < n; i++) { row(i); printf "%s%s", i ? "," : "", node_json(i) }
    return
  }
  printf "\"state\":\"%s\",\"slots_assigned\":%d,\"epoch\":%d,\"metaraft\":{\"leader\":\"%s\",\"term\":%d,\"voters\":%d,\"learners\":%d},\"moves\":%s,\"open_slots\":%s",
    cluster_health(), (best < 0 ? 0 : count[same[best]]), (best < 0 ? 0 : raw[best, "cluster_current_epoch"]), leader, term, voters, learners, moves_json(), open_json()
}
END {
  read_words()
  index_slots()
  best = best_view(); read_meta(); read_commits()
  if (json == "line") print cluster_line()
  else if (json == "moved") { for (i = 0; i < n; i++) if ((a = moved(i)) != "") print i, a }
  else if (json == "ids") { for (i = 0; i < n; i++) print i, who_is(i) }
  else if (json == "slots" || json == "id") { for (i = 0; i < n; i++) if (addr[i] == wanted) { row(i); print (json == "id" ? who_is(i) : all_slots(i)) } }
  else if (json != "") print_json()
  else print_table()
}
