# Reads what every node has answered to "collect" (state.sh). Before END of the
# programs that stand on this one: n nodes 0..n-1; id[i]; raw[i,key]; for every node i and
# known id: view[i,id] = its role, vmaster[i,id], vflags[i,id], vlink[i,id],
# vaddr[i,id], vslots[i,id]; known[i], and list[i,1..known[i]] = the ids; opens[i], and
# open[i,1..opens[i]] = "SLOT > ID" or "SLOT < ID", the slots that i has open by SETSLOT;
# nmoves[i], and mv[i,1..nmoves[i],field] = what i says of CLUSTER MIGRATION.

function trim_cr() { sub(/\r$/, "") }
# plain_addr drops "@cport,hostname" and puts an IPv6 address in brackets.
function plain_addr(a,   host) {
  sub(/@.*/, "", a)
  host = a
  sub(/:[0-9]+$/, "", host)
  return host ~ /:/ ? "[" host "]" substr(a, length(host) + 1) : a
}
function read_node(i,   who, k) {
  who = $1
  if ($3 ~ /myself/) id[i] = who
  known[i]++
  list[i, known[i]] = who
  vaddr[i, who] = plain_addr($2)
  vflags[i, who] = $3
  view[i, who] = ($3 ~ /slave/) ? "slave" : "master"
  vmaster[i, who] = $4
  vlink[i, who] = $8
  for (k = 9; k <= NF; k++)
    if ($k !~ /^\[/) vslots[i, who] = vslots[i, who] (vslots[i, who] == "" ? "" : " ") $k
    else if (id[i] == who) read_open(i, $k)
}
function read_open(i, token,   side) { # [93->-ID] or [93-<-ID]
  token = substr(token, 2, length(token) - 2)
  side = token ~ /->-/ ? " > " : " < "
  sub(/-[<>]-/, side, token)
  open[i, ++opens[i]] = token
}
# A map of CLUSTER MIGRATION STATUS, a name or a value a line; an empty value is none.
function read_move(i) {
  if (!(1 in mfield)) split("id slots source dest operation state last_error retries create_time start_time end_time write_pause_ms", mfield, " ")
  if ($0 == "id" && (!nmoves[i] || mat_field == 12)) { nmoves[i]++; mat_field = 1 }
  else if (!nmoves[i]) return
  else if (mat_field < 12 && $0 == mfield[mat_field + 1]) mat_field++
  else if (mv[i, nmoves[i], mfield[mat_field]] == "") mv[i, nmoves[i], mfield[mat_field]] = $0
}
function read_raft(i,   name, k, parts, kv, c) {
  name = $0; sub(/:.*/, "", name)
  c = ++groups[i]
  gname[i, c] = name
  $0 = substr($0, length(name) + 2)
  split($0, parts, ",")
  for (k in parts) { split(parts[k], kv, "="); g[i, c, kv[1]] = kv[2] }
}
FNR == 1 { i = FILENAME; sub(/.*\./, "", i); i += 0; if (i >= n) n = i + 1; mat_field = 0 }
{ trim_cr() }
/^@@/ { part = substr($0, 3); next }
/^$/ || /^#/ { next }
part == "nodes" && NF >= 8 { read_node(i); next }
part == "moves" { read_move(i); next }
part == "info" && /^(group_[0-9]+|metaraft):/ { read_raft(i); next }
part == "info" && /^db0:/ { keys[i] = $0; sub(/^db0:keys=/, "", keys[i]); sub(/,.*/, "", keys[i]); next }
part == "info" && /^migration_[0-9]+:/ { sub(/,age_ms=[0-9]*/, ""); raw[i, "migration_progress"] = raw[i, "migration_progress"] " " $0; next }
part == "info" || part == "cluster" { k = $0; sub(/:.*/, "", k); raw[i, k] = substr($0, length(k) + 2) }
# Slots are expanded once for each distinct map: same[i] is the first node whose
# map equals that of node i; own[same[i],slot], count and overlap belong to it.
function index_slots(   i, j, k, c, s, text, first, owners, seen) {
  for (i = 0; i < n; i++) for (k = 1; k <= known[i]; k++)
    if (vslots[i, list[i, k]] != "" && !(list[i, k] in seen)) { seen[list[i, k]]; owners++ }
  if (loose && owners > masters) masters = owners
  c = split(spares, s, " ")
  for (k = 1; k <= c; k++) spare[s[k]]
  for (i = 0; i < n; i++) {
    text = ""
    for (j = 0; j < n; j++) text = text id[j] "=" vslots[i, id[j]] ";"
    for (k = 1; k <= known[i]; k++)
      if (!is_target(list[i, k]) && vslots[i, list[i, k]] != "") text = text list[i, k] "=" vslots[i, list[i, k]] ";"
    if (text in first) { same[i] = first[text]; continue }
    first[text] = same[i] = i
    for (k = 1; k <= known[i]; k++) expand(i, list[i, k])
  }
}
function expand(i, who,   t, ab, c, k, s, last) {
  c = split(vslots[i, who], t, " ")
  for (k = 1; k <= c; k++) {
    last = split(t[k], ab, "-") == 2 ? ab[2] + 0 : t[k] + 0
    for (s = ab[1] + 0; s <= last; s++) {
      if ((i, s) in own) { if (overlap[i] == "") overlap[i] = s }
      else { own[i, s] = who; count[i]++ }
    }
  }
}
# best_view: the node whose view counts, the one that sees most of the cluster.
function best_view(   i, b) {
  b = -1
  for (i = 0; i < n; i++) if (id[i] != "" && (b < 0 || known[i] > known[b] || (known[i] == known[b] && count[same[i]] > count[same[b]]))) b = i
  return b
}
# under_way: how many moves of slots are; the k-th is shown by the node move_at[k], in its
# row move_row[k]: where it goes to, or else where it comes from.
function under_way(   i, m, who, c, place) {
  for (i = 0; i < n; i++) for (m = 1; m <= nmoves[i]; m++) {
    who = mv[i, m, "id"]
    if (who == "" || mv[i, m, "state"] ~ /^(completed|failed|canceled)$/) continue
    if (!(who in place)) { place[who] = ++c; move_at[c] = i; move_row[c] = m }
    else if (mv[i, m, "operation"] == "import" && id[i] == mv[i, m, "dest"]) { move_at[place[who]] = i; move_row[place[who]] = m }
  }
  return c + 0
}
function move_says(k, field) { return mv[move_at[k], move_row[k], field] }
# move_age: for how many seconds the k-th has run, by the clock of the node that shows it.
function move_age(k,   t) {
  t = move_says(k, "start_time") + 0 > 0 ? move_says(k, "start_time") : move_says(k, "create_time")
  return t + 0 > 0 && raw[move_at[k], "server_time_usec"] + 0 > 0 ? int((raw[move_at[k], "server_time_usec"] / 1000 - t) / 1000) : 0
}
function slots_in(ranges,   t, ab, c, k, sum) { # how many slots "0-5 7" has
  c = split(ranges, t, " ")
  for (k = 1; k <= c; k++) sum += split(t[k], ab, "-") == 2 ? ab[2] - ab[1] + 1 : 1
  return sum + 0
}
function host(a,  h) { h = a; sub(/:[0-9]+$/, "", h); gsub(/[\[\]]/, "", h); return h }
function port(a,  p) { p = a; sub(/.*:/, "", p); return p }
# read_words spreads what bash gives as one text over the nodes.
function read_words(   k, t) {
  split(addrs, t, " "); for (k in t) addr[k - 1] = t[k]
  split(states, t, " "); for (k in t) state[k - 1] = t[k]
  split(plan, t, " "); for (k in t) planned[k - 1] = t[k]
  split(numbers, t, " "); for (k in t) number[k - 1] = t[k]
  split(ids, t, " "); for (k in t) remembered[k - 1] = t[k] # "-": of this one nothing
}
# who_is: the id of a node, as it says itself; if it does not answer, as the folder
# remembers it, or as others show who is at its address.
function who_is(i,   j, k) {
  if (id[i] != "") return id[i]
  if (remembered[i] != "" && remembered[i] != "-") return remembered[i]
  for (j = 0; j < n; j++) for (k = 1; k <= known[j]; k++) if (vaddr[j, list[j, k]] == addr[i]) return list[j, k]
  return ""
}
function slotless(i, who) { return view[i, who] == "master" && vslots[i, who] == "" } # as i shows it
# How many other nodes may be masters without slots in the place of those that were
# added as such (spare), and are not any more: a takeover changes which one it is.
function spares_left(i,   j, left) { for (j in spare) if (!slotless(i, who_is(j))) left++; return left + 0 }
function is_target(who,   j) { for (j = 0; j < n; j++) if (id[j] == who) return 1; return 0 }
function index_of(who,   j) { for (j = 0; j < n; j++) if (id[j] == who) return j; return -1 }
# answering: how many voters of the group that i leads (its c-th) may answer: those that
# did, that are starting, and members that were not asked. A leader whose other voters
# have just died does not know it yet.
function answering(i, c,   k, j, e, who, good) {
  for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    for (j = 0; j < n; j++) if (who_is(j) == who) break
    if (j == n || (id[j] == "" && state[j] == "starting")) { good++; continue }
    for (e = 1; e <= groups[j]; e++)
      if (gname[i, c] == "metaraft" ? gname[j, e] == "metaraft" : g[j, e, "id"] == g[i, c, "id"]) { good += (g[j, e, "role"] != "learner"); break }
  }
  return good + 0
}
function minority(i, c) { return 2 * answering(i, c) <= g[i, c, "voters"] + 0 } # a leader that cannot commit
function many(count, noun) { return count + 0 " " noun (count == 1 ? "" : "s") }
function first_slot(s) { return int(16384 * s / masters + 0.5) }
function range_of(slot,   s) { for (s = masters - 1; s > 0; s--) if (slot >= first_slot(s)) return s; return 0 }
