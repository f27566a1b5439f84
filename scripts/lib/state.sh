# shellcheck shell=bash
# What the nodes say about the cluster, and what that means: one awk program
# reads every node's answers and prints facts, a plan or the checklist.

MASTERS=3  # shards asked for
REPLICAS=1 # replicas per shard asked for
PAUSED=()  # of each node, not empty if there is no point in asking it

# collect SECONDS asks every node how it sees the cluster.
collect() {
  local node
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ -n ${PAUSED[node]:-} ]]; then continue; fi
    ask "$node" info "INFO server memory keyspace raft"
    ask "$node" cluster "CLUSTER INFO"
    ask "$node" nodes "CLUSTER NODES"
  done
  ask_all 0 "$1"
}

# node_kind NODE sets KIND from the answers of collect: aikv, free (nothing
# listens), busy (starting or loading), closed (connections are accepted and
# ended), auth, silent or redis, other.
node_kind() {
  local text
  if answered "$1"; then
    text=$(<"$WORK/ans.$1")
    case $text in
      *aikv_version:*) KIND=aikv ;;
      *NOAUTH*) KIND=auth ;;
      *LOADING*) KIND=busy ;;
      *redis_version:*) KIND=redis ;;
      *) KIND=other ;;
    esac
    return 0
  fi
  text="$(<"$WORK/ans.$1.err") $(<"$WORK/ans.$1")"
  case $text in
    *NOAUTH* | *WRONGPASS*) KIND=auth ;;
    *[Rr]"efused"* | *"o such host"* | *"not known"* | *"resolution"* | *"nreachable"* | *"o route"*) KIND=free ;;
    *[Pp]"rotocol error"*) KIND=other ;;
    *"closed the connection"* | *"reset by peer"* | *EOF*) KIND=closed ;;
    *) KIND=silent ;;
  esac
}

# The reader. After it: n nodes 0..n-1; id[i]; raw[i,key]; for every node i and
# known id: view[i,id] = its role, vmaster[i,id], vflags[i,id], vlink[i,id],
# vaddr[i,id], vslots[i,id]; known[i], and list[i,1..known[i]] = the ids.
# shellcheck disable=SC2016 # awk's own dollars
STATE_READER='
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
}
function read_raft(i,   name, k, parts, kv, c) {
  name = $0; sub(/:.*/, "", name)
  c = ++groups[i]
  gname[i, c] = name
  $0 = substr($0, length(name) + 2)
  split($0, parts, ",")
  for (k in parts) { split(parts[k], kv, "="); g[i, c, kv[1]] = kv[2] }
}
FNR == 1 { i = FILENAME; sub(/.*\./, "", i); i += 0; if (i >= n) n = i + 1 }
{ trim_cr() }
/^@@/ { part = substr($0, 3); next }
/^$/ || /^#/ { next }
part == "nodes" && NF >= 8 { read_node(i); next }
part == "info" && /^(group_[0-9]+|metaraft):/ { read_raft(i); next }
part == "info" && /^db0:/ { keys[i] = $0; sub(/^db0:keys=/, "", keys[i]); sub(/,.*/, "", keys[i]); next }
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
function host(a,  h) { h = a; sub(/:[0-9]+$/, "", h); gsub(/[\[\]]/, "", h); return h }
function port(a,  p) { p = a; sub(/.*:/, "", p); return p }
# read_words spreads what bash gives as one text over the nodes.
function read_words(   k, t) {
  split(addrs, t, " "); for (k in t) addr[k - 1] = t[k]
  split(states, t, " "); for (k in t) state[k - 1] = t[k]
  split(plan, t, " "); for (k in t) planned[k - 1] = t[k]
  split(numbers, t, " "); for (k in t) number[k - 1] = t[k]
}
function is_target(who,   j) { for (j = 0; j < n; j++) if (id[j] == who) return 1; return 0 }
function index_of(who,   j) { for (j = 0; j < n; j++) if (id[j] == who) return j; return -1 }
function many(count, noun) { return count + 0 " " noun (count == 1 ? "" : "s") }
function first_slot(s) { return int(16384 * s / masters + 0.5) }
function range_of(slot,   s) { for (s = masters - 1; s > 0; s--) if (slot >= first_slot(s)) return s; return 0 }
'

# The plan. Prints one of:
#   verdict fresh|partial|complete
#   keys NODE COUNT
#   refuse TEXT|HINT
#   unsettled TEXT (ask again: one of the nodes has not heard of a change yet)
# and, unless refused, the actions that are missing:
#   meet | slots NODE FIRST LAST | replicate NODE MASTER-NODE
# shellcheck disable=SC2016
STATE_PLAN='
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
  for (s = 0; s < masters; s++) if (!(s in mast) && !(s in is_mast) && !(s in spare) && slave_of(s) < 0) place(s, s)
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
      if (from >= 0) { act("slots " mast[s] " " from " " slot - 1); from = -1 }
    }
  }
}
function plan_replicas(   j, s, m, has) {
  for (j = 0; j < n; j++) {
    m = slave_of(j)
    if (m >= 0 && (m in is_mast)) { has[m]++; done[j] = 1 }
  }
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
  if (!refused) { plan_meet(); plan_slots(); plan_replicas() }
  if (refused) exit
  print "verdict " (fresh ? "fresh" : nact > 0 ? "partial" : "complete")
  for (i = 1; i <= nact; i++) print actions[i]
}
'

# The checklist without the write. Prints, per point, "NAME ok|bad DETAIL".
# shellcheck disable=SC2016
STATE_CHECK='
function point(name, good, text) { print name, good == n ? "ok" : "bad", good == n ? text : good + 0 " of " n " nodes: " why }
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
function roles_seen(i,   j, k, who, m, has, owners) { # "" or a fault
  for (k = 1; k <= known[i]; k++) {
    who = list[i, k]
    if (vslots[i, who] != "") { owners++; if (view[i, who] != "master") return addr[i] " shows slots on a replica, " vaddr[i, who] }
    if (view[i, who] == "slave") has[vmaster[i, who]]++
    else if (vslots[i, who] == "" && !(index_of(who) in spare)) return addr[i] " shows a master without slots, " vaddr[i, who]
    if (view[i, who] != view[0, who] || vmaster[i, who] != vmaster[0, who]) return addr[i] " and " addr[0] " disagree on the role of " vaddr[i, who]
  }
  if (owners != masters) return addr[i] " shows " owners + 0 " masters with slots, not " masters
  for (m in has) if (vslots[i, m] == "") return addr[i] " shows a replica of a node without slots"
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
      if (g[i, c, "voters"] + 0 < need) { bad = gname_of(gid) " has " g[i, c, "voters"] " voters, not " need; continue }
      settled++
      if (gid == "metaraft") meta = g[i, c, "voters"]; else { voters += g[i, c, "voters"]; data++ }
    }
  }
  for (gid in seen) if (led[gid] != 1) bad = gname_of(gid) " has " led[gid] + 0 " leaders"
  if (bad == "" && (meta == "" || data != masters)) bad = data + 0 " shard groups are led, not " masters
  if (bad != "") print "voters bad " bad
  else print "voters ok " many(data, "shard") " with " many(voters, "voter") ", MetaRaft with " meta ", all caught up"
}
function gname_of(gid) { return gid == "metaraft" ? "MetaRaft" : "group " substr(gid, length(gid) - 7) }
END {
  read_words()
  index_slots()
  check_see(); check_slots(); check_state(); check_roles(); check_voters()
}
'

# state_run PROGRAM [VAR=VALUE]…: runs one of the programs above over the answers.
state_run() {
  local program=$1 node spares="" files=() vars=()
  shift
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    files+=("$WORK/ans.$node")
    case " ${CONF_SPARES:-} " in *" ${NUMS[node]:--} "*) if ((LOOSE == 1)); then spares="$spares $node"; fi ;; esac
  done
  vars=(-v "n=${#ADDRS[@]}" -v "loose=$LOOSE" -v "spares=$spares" -v "masters=$MASTERS" -v "replicas=$REPLICAS" -v "addrs=${ADDRS[*]}")
  while (($# > 0)); do
    vars+=(-v "$1")
    shift
  done
  awk "${vars[@]}" "$STATE_READER$program" "${files[@]}"
}
