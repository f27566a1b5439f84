# shellcheck shell=bash
# "partition" and "heal": a group of nodes is cut off from all others, in both
# directions, and stays reachable for clients.
#
# Processes lose what the other side sends them by DEBUG PARTITION, containers are
# moved to a network of their own. What was cut is written to DIR/partition.PORT
# before it is done, so that heal finds it whatever has happened meanwhile:
#
#   nodes=2 5
#   how=debug | docker
#   home=CONTAINER NETWORK ALIAS…     docker: where each container was

CUT_NODES="" # the numbers of the group
CUT_HOW=""   # debug, docker or "": nobody is cut off
CUT_HOMES=() # docker: the lines of where each container was

cut_file() { printf '%s/partition.%d' "$DIR" "$BASE_PORT"; }

# cut_read loads what is cut off; false if nothing is.
cut_read() {
  local line file
  CUT_NODES="" CUT_HOW="" CUT_HOMES=()
  file=$(cut_file)
  if ((GIVEN == 1)) || [[ ! -f $file ]]; then return 1; fi
  while IFS= read -r line || [[ -n $line ]]; do
    cut_line "${line%%=*}" "${line#*=}" || bad_line "$file" "$line"
  done <"$file"
  [[ -n $CUT_HOW ]]
}

# cut_line KEY VALUE: one line of the file; false if it cannot be one.
cut_line() {
  case $1 in
    nodes) node_list "$2" && CUT_NODES=$NODE_LIST ;;
    how) [[ $2 == debug || $2 == docker ]] && CUT_HOW=$2 ;;
    home)
      case $2 in -* | *" -"* | *[!A-Za-z0-9_.\ -]*) return 1 ;; ?*" "?*) CUT_HOMES+=("$2") ;; *) return 1 ;; esac
      ;;
    *) return 1 ;;
  esac
}

cut_write() {
  local home text
  mkdir -p "$DIR" || die "$EXIT_INTERNAL" "cannot create $DIR" "Choose another place with --dir."
  text="nodes=$CUT_NODES"$'\n'"how=$CUT_HOW"
  for home in ${CUT_HOMES[@]+"${CUT_HOMES[@]}"}; do text="$text"$'\n'"home=$home"; done
  write_file "$(cut_file)" "$text" ||
    die "$EXIT_INTERNAL" "cannot write $(cut_file)" "Nothing was cut off, as heal would not find it. Is the disk full?"
}

cut_forget() {
  rm -f "$(cut_file)"
  LOCK_MADE=1 # the folder goes with the lock, if it was made for this file alone
  CUT_NODES="" CUT_HOW="" CUT_HOMES=()
}

# in_group NODE: it is one of CUT_NODES.
in_group() { case " $CUT_NODES " in *" $1 "*) return 0 ;; *) return 1 ;; esac }

# cut_text sets CUT_TEXT: "node 2 is cut off", "nodes 2 and 5 are cut off".
cut_text() {
  CUT_TEXT="node $CUT_NODES is cut off"
  case $CUT_NODES in *" "*) CUT_TEXT="nodes ${CUT_NODES// /, } are cut off" ;; esac
}

# verb_partition N[,M…]
verb_partition() {
  verb_parse partition "$@"
  group_words
  init_begin
  lock_take
  look || true
  all_ids
  partition_how
  local how=$HOW group=$GROUP
  step_begin
  if cut_read; then
    say "  ending an earlier partition"
    partition_end
  fi
  CUT_NODES=$group CUT_HOW=$how CUT_HOMES=()
  if [[ $how == docker ]]; then docker_cut; else debug_cut; fi
  cut_text
  many "$((${#NUMS[@]} - COUNT_GROUP))" "other node"
  step_done partition "$CUT_TEXT from $MANY"
  say "  it ends with: $(tool heal)"
  result_done ",\"nodes\":[${group// /,}],\"how\":\"$how\""
}

# group_words sets GROUP and COUNT_GROUP from words such as "2,5" or "2 5".
group_words() {
  local word text=${WORDS[*]-}
  GROUP="" COUNT_GROUP=0
  read -r -a WORDS <<<"${text//,/ }"
  node_words partition
  for word in "${WORDS[@]}"; do
    case " $GROUP " in *" $word "*) continue ;; esac
    GROUP="${GROUP:+$GROUP }$word"
    COUNT_GROUP=$((COUNT_GROUP + 1))
  done
  if ((COUNT_GROUP == ${#NUMS[@]})); then
    usage_error "partition: these are all nodes, so there is nobody to cut them off from"
  fi
}

# partition_how sets HOW: docker if one of the nodes is a container, else debug.
partition_how() {
  local node
  HOW=debug
  if any_process; then return 0; fi
  if docker_there; then
    for node in $GROUP "${NUMS[@]}"; do
      if container_of "$node"; then
        HOW=docker
        return 0
      fi
    done
  fi
  if ((COUNT_AIKV == 0)); then
    die "$EXIT_NOTHING" "no node of the cluster answers" "Start it: $(tool start)" \
      "Containers are found by the ports that they publish."
  fi
}

# partition_end ends the partition of cut_read; on return nobody is cut off.
partition_end() { if [[ $CUT_HOW == docker ]]; then docker_heal; else debug_heal; fi; }

# verb_heal ends the partition, also one that was made by DEBUG PARTITION by hand.
verb_heal() {
  verb_parse heal "$@"
  no_words
  init_begin
  lock_take
  look || true
  step_begin
  local known=0 text="nobody was cut off"
  if cut_read; then
    known=1
    cut_text
    text="${CUT_TEXT/ cut off/ not cut off any more}"
  fi
  partition_end
  step_done heal "$text"
  result_done ",\"healed\":$( ((known == 1)) && echo true || echo false)"
}

# fix_heal is what "doctor --fix" does.
fix_heal() {
  ui_deadline "$UI_TIMEOUT"
  cut_read || return 0
  step_begin
  partition_end
  step_done heal "nobody is cut off any more"
}

# --- processes ---

# debug_cut tells every node that answers to which others it is cut off. Each side
# does so by itself: a node that cannot be told is cut off by the other side.
debug_cut() {
  cut_write
  debug_send && return 0
  local error=$ACT_ERROR
  debug_heal
  case $error in
    *"DEBUG command not allowed"*)
      die "$EXIT_MISMATCH" "a node does not let itself be cut off" "$error" \
        "Nodes that aikv-tool starts do: $(tool restart)" \
        "Start others with AIKV_DEBUG_FAULTS=true, or debug.faults = true in their configuration. Nothing was cut off."
      ;;
  esac
  die "$EXIT_UNREACHABLE" "the nodes could not be cut off" "$error" "Nothing was cut off. See: $(tool status)"
}

# all_ids sets IDS from the answers of look, also of nodes that only others know.
all_ids() {
  local node id
  IDS=()
  while read -r node id; do IDS[node]=$id; done < <(nodes_awk json=ids)
}

# debug_send sends DEBUG PARTITION to the nodes that answer (look has asked them);
# false if one of them did not agree, see ACT_ERROR.
debug_send() {
  local node other ids asked=0
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if [[ ${STATES[node]} != up ]]; then continue; fi
    ids=""
    for ((other = 0; other < ${#NUMS[@]}; other++)); do
      if [[ -n ${IDS[other]:-} ]] && other_side "${NUMS[node]}" "${NUMS[other]}"; then ids="$ids ${IDS[other]}"; fi
    done
    if [[ -n $ids ]]; then
      ask "$node" partition "DEBUG PARTITION BOTH$ids"
      asked=1
    fi
  done
  if ((asked == 1)); then act || return 1; fi
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if [[ ${STATES[node]} == alien ]]; then
      say "  another node answers in the place of node ${NUMS[node]}, and is left alone"
    elif [[ ${STATES[node]} != up ]]; then say "  node ${NUMS[node]} is ${STATES[node]}: the other side cuts it off"; fi
  done
}

# other_side NODE OTHER: the partition lies between them.
other_side() {
  if in_group "$1"; then ! in_group "$2"; else in_group "$2"; fi
}

# debug_heal ends the faults of every node. One that has ended has none any more,
# nor has one that does not allow them; one that hangs keeps them.
debug_heal() {
  local node keeps="" hint
  hint="Wait until it answers, then: $(tool heal)"
  for ((node = 0; node < ${#NUMS[@]}; node++)); do
    if [[ ${STATES[node]:-} == alien ]]; then continue; fi
    if node_paused "${NUMS[node]}"; then
      keeps="$keeps ${NUMS[node]}"
      hint="Let it go on, then heal: $(tool "resume ${NUMS[node]}")"
    else
      ask "$node" heal "DEBUG HEAL"
    fi
  done
  ask_all 0 5
  for node in ${ASKED[@]+"${ASKED[@]}"}; do
    node_kind "$node"
    case $KIND in
      auth) wrong_password "$node" ;;
      silent | closed) keeps="$keeps ${NUMS[node]}" ;;
    esac
  done
  if [[ -n $keeps ]]; then
    die "$EXIT_UNREACHABLE" "node$keeps does not answer, and stays cut off; the others are healed" "$hint"
  fi
  cut_forget
}

# partition_again tells nodes that were started or resumed: a partition lasts until
# it is healed, and a process does not remember it.
partition_again() {
  cut_read || return 0
  if [[ $CUT_HOW != debug ]]; then return 0; fi
  if [[ -z $WORK ]]; then init_begin; fi
  init_targets
  look || true
  all_ids
  cut_text
  debug_send || warn "$CUT_TEXT, but: $ACT_ERROR"
  say "  $CUT_TEXT still; it ends with: $(tool heal)"
}

# --- containers ---

docker_there() { command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; }

# container_of NODE sets CONTAINER to the one that publishes its port; false if none does.
container_of() {
  local id ports
  node_addr "$1"
  CONTAINER=""
  while read -r id ports; do
    case " $ports" in *":$NODE_PORT->"*) CONTAINER=$id ;; esac
  done < <(docker container ls --no-trunc --filter "publish=$NODE_PORT" --format '{{.ID}} {{.Ports}}')
  [[ -n $CONTAINER ]]
}

# homes_of CONTAINER adds its networks and the names that it has there to CUT_HOMES;
# the engine adds the container's id by itself.
homes_of() {
  local network names name line
  while read -r network names; do
    if [[ -z $network ]]; then continue; fi
    line="$1 $network"
    for name in $names; do
      case $1 in "$name"*) continue ;; esac
      line="$line $name"
    done
    CUT_HOMES+=("$line")
  done < <(docker inspect -f '{{range $net, $v := .NetworkSettings.Networks}}{{$net}}{{range $v.Aliases}} {{.}}{{end}}{{"\n"}}{{end}}' "$1")
}

# cut_network sets CUT_NETWORK: the network of those that are cut off.
cut_network() {
  local home=${CUT_HOMES[0]}
  home=${home#* }
  CUT_NETWORK="${home%% *}_cut"
}

# docker_cut moves the group to a network of its own. There they find each other by
# the same names, and their published ports work: a container without any network
# has none.
docker_cut() {
  local node home container network names
  for node in $CUT_NODES; do
    container_of "$node" || die "$EXIT_MISMATCH" "no running container publishes port $NODE_PORT, of node $node" "Start it with docker-compose up -d, or connect it to its network again."
    homes_of "$CONTAINER"
  done
  if ((${#CUT_HOMES[@]} == 0)); then die "$EXIT_MISMATCH" "the containers are in no network" "Connect them, or make them again: docker-compose down, then up -d."; fi
  cut_network
  cut_write
  if ! docker network inspect "$CUT_NETWORK" >/dev/null 2>&1; then
    docker_do network create "$CUT_NETWORK"
  fi
  for home in "${CUT_HOMES[@]}"; do
    read -r container network names <<<"$home"
    docker_do network disconnect "$network" "$container"
    attached "$container" "$CUT_NETWORK" || docker_connect "$CUT_NETWORK" "$container" "$names"
  done
}

# docker_heal brings the containers home, those that are still there.
docker_heal() {
  local home container network names
  for home in "${CUT_HOMES[@]}"; do
    read -r container network names <<<"$home"
    docker inspect "$container" >/dev/null 2>&1 || continue
    attached "$container" "$network" || docker_connect "$network" "$container" "$names"
  done
  cut_network
  for home in "${CUT_HOMES[@]}"; do
    container=${home%% *}
    if attached "$container" "$CUT_NETWORK"; then docker_do network disconnect "$CUT_NETWORK" "$container"; fi
  done
  if docker network inspect "$CUT_NETWORK" >/dev/null 2>&1; then docker_do network rm "$CUT_NETWORK"; fi
  cut_forget
}

# attached CONTAINER NETWORK
attached() {
  # shellcheck disable=SC2016 # docker expands it
  [[ " $(docker inspect -f '{{range $net, $v := .NetworkSettings.Networks}}{{$net}} {{end}}' "$1" 2>/dev/null)" == *" $2 "* ]]
}

# docker_connect NETWORK CONTAINER NAMES: Raft finds a node by these names.
docker_connect() {
  local name args=()
  for name in $3; do args+=(--alias "$name"); done
  docker_do network connect ${args[@]+"${args[@]}"} "$1" "$2"
}

# docker_do ARGS…: dies with what docker says, and what is done so far can be undone.
docker_do() {
  local text
  text=$(docker "$@" 2>&1 3>&-) || die "$EXIT_INTERNAL" "docker $1 $2 failed" "$text" "What has been done so far ends with: $(tool heal)"
}
