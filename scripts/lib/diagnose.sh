# shellcheck shell=bash
# What is wrong with a cluster, why, and what to do: the troubleshooting guide as
# a program. "status" prints it in short, "doctor" in full.
#
# A finding is a line "FIX|WHAT|WHY|DO". FIX says what "doctor --fix" can do about
# it: start, resume, heal, repair (what cluster_init.sh does), forget ID, wait (it may
# pass by itself), or nothing.

FINDINGS=()
FROM_HERE=0     # 1: what only concerns clients on this machine is a finding too
DISK_LOW_MB=128 # a node fills its log ahead; below this it may not get far

finding() { FINDINGS+=("$1|${2//|/;}|${3//|/;}|$4"); }

# tool VERB: the command to type, with the options that lead to this cluster.
tool() {
  local where=""
  if ((GIVEN == 1)); then
    where=" -m $OPT_MASTERS${OPT_REPLICAS:+ -r $OPT_REPLICAS}"
  else
    where="${OPT_DIR:+ --dir $OPT_DIR}"
    if ! conf_read; then
      where="$where${OPT_BASE_PORT:+ --base-port $OPT_BASE_PORT}${OPT_SHARDS:+ --shards $OPT_SHARDS}"
      where="$where${OPT_PER_SHARD:+ --replicas-per-shard $OPT_PER_SHARD}"
    fi
  fi
  printf 'aikv-tool cluster %s%s' "$1" "$where"
}

# diagnose sets FINDINGS from the answers of look.
diagnose() {
  local line
  FINDINGS=()
  diagnose_processes
  if cut_read; then
    cut_text
    finding heal "$CUT_TEXT" "by 'aikv-tool cluster partition ${CUT_NODES// /,}'" "$(tool heal)"
  fi
  diagnose_disk
  if ((COUNT_AIKV == 0)); then return 0; fi
  local client="redis-cli"
  if ! command -v redis-cli >/dev/null 2>&1; then client="aikv cli"; fi
  state_run "$STATE_DIAGNOSIS" "client=$client" "states=${STATES[*]}" \
    "setup=$(tool setup)" "start=$(tool start)" "down=${#FINDINGS[@]}" "cut=$CUT_HOW" >"$WORK/findings"
  while IFS= read -r line; do
    case $line in
      "announced "*) diagnose_announced "${line#announced }" ;;
      *) FINDINGS+=("$line") ;;
    esac
  done <"$WORK/findings"
  if ((${#FINDINGS[@]} == 0)) && ! check_once; then
    for line in "${CHECK_LINES[@]}"; do
      case $line in *" bad "*)
        finding wait "${line%% *}: ${line#* bad }" "a point of the checklist does not hold, perhaps only for a moment" "wait a moment, and look again: $(tool verify)"
        ;;
      esac
    done
  fi
}

# diagnose_processes: the nodes that do not answer.
diagnose_processes() {
  local node number text
  if ((COUNT_AIKV == 0 && GIVEN == 0)) && ! any_process && ! conf_read; then
    finding repair "there is no cluster" "nothing answers on ${ADDRS[*]}, and there is no $DIR" "$(tool setup)"
    diagnose_ports
    return 0
  fi
  diagnose_ports
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    number=${NUMS[node]:-}
    case ${STATES[node]} in
      down)
        if ((GIVEN == 1)) || ! conf_read; then
          finding "" "${ADDRS[node]} is down" "nothing listens there" "start it where it belongs"
        else
          why_down "$number"
          finding start "node $number (${ADDRS[node]}) is down" "$WHY" "$(tool "start $number")"
        fi
        ;;
      paused) finding resume "node $number (${ADDRS[node]}) is paused" "its process is stopped by a signal" "$(tool "resume $number")" ;;
      starting) finding wait "${ADDRS[node]} is starting" "it reads its log" "wait, and look again" ;;
      silent)
        text="something listens there and does not answer as aikv"
        if [[ -n $number ]]; then
          node_pid "$number"
          if [[ -n $NODE_PID ]]; then text="its process ($NODE_PID) runs and does not answer; its log may say why"; fi
        fi
        finding "" "${ADDRS[node]} does not answer" "$text" "${number:+$(tool "logs $number")}"
        ;;
    esac
  done
}

# why_down NODE sets WHY from the end of its log.
why_down() {
  local last
  last=$(log_tail "$1")
  case $last in
    aikv:*) WHY=${last#aikv: } ;;
    *"node is stopping"*) WHY="it was stopped" ;;
    "(empty log)") WHY="it was never started" ;;
    *) WHY="its process has ended without a word: kill -9, or no memory left" ;;
  esac
}

# diagnose_ports: strangers on a port of ours, and who they are.
diagnose_ports() {
  local node port
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    split_addr "${ADDRS[node]}"
    if [[ ${STATES[node]} == alien ]]; then
      stranger "$NODE_PORT" "${ADDRS[node]}, the client port of node ${NUMS[node]:-$((node + 1))}"
    elif [[ ${STATES[node]} == down ]] && ((GIVEN == 0)); then
      raft_port "$NODE_PORT"
      port=$RAFT_PORT
      if port_open "$NODE_HOST" "$port" && ((HAVE_DEV_TCP == 1)); then
        stranger "$port" "$NODE_HOST:$port, the Raft port of node ${NUMS[node]}"
      fi
    fi
  done
}

# stranger PORT WHERE
stranger() {
  port_owner "$1"
  finding "" "$2, is taken by ${OWNER:-another program}" "a node cannot listen there" \
    "${OWNER_HINT:-stop that program}, or choose other ports: $(tool setup) --base-port P"
}

# diagnose_disk: little room where the nodes write.
diagnose_disk() {
  local free
  if ((GIVEN == 1)) || [[ ! -d $DIR ]]; then return 0; fi
  free=$(df -Pk "$DIR" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }') || free=""
  if [[ -n $free ]] && ((free < DISK_LOW_MB)); then
    finding "" "only $free MB are free for $DIR" "a node whose disk is full stops; nothing acknowledged is lost" \
      "make room there, then: $(tool start)"
  fi
}

# diagnose_announced "NODE HOST:PORT": a node tells clients another address than
# the one it was reached at; that has to be reachable too.
diagnose_announced() {
  local node=${1%% *} told=${1#* }
  if ((FROM_HERE == 0)); then return 0; fi
  split_addr "$told"
  if port_open "$NODE_HOST" "$NODE_PORT"; then return 0; fi
  finding "" "${ADDRS[node]} tells clients to go to $told, where nobody listens" \
    "server.announce_host or announce_port name an address that cannot be reached from here" \
    "correct them in its configuration, and restart it"
}

# The topology. Prints findings, and "announced NODE ADDRESS".
# shellcheck disable=SC2016 # awk's own dollars
STATE_DIAGNOSIS='
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
'

# findings_short: for "status", what is wrong and what to type.
findings_short() {
  local line fix what why todo
  for line in ${FINDINGS[@]+"${FINDINGS[@]}"}; do
    IFS='|' read -r fix what why todo <<<"$line"
    : "$fix" "$why"
    printf '%s %s\n' "${O_BAD}✗${O_END}" "$what"
    if [[ -n $todo ]]; then printf '  -> %s\n' "$todo"; fi
  done
}

# findings_json prints them as JSON objects.
findings_json() {
  local line fix what why todo comma=""
  for line in ${FINDINGS[@]+"${FINDINGS[@]}"}; do
    IFS='|' read -r fix what why todo <<<"$line"
    json_string "$what" && what=$JSON_TEXT
    json_string "$why" && why=$JSON_TEXT
    json_string "$todo" && todo=$JSON_TEXT
    printf '%s{"what":%s,"why":%s,"do":%s,"fixable":%s}' "$comma" "$what" "$why" "$todo" "$([[ -n $fix && $fix != wait ]] && echo true || echo false)"
    comma=,
  done
}
