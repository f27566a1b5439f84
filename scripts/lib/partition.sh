# shellcheck shell=bash
# "partition" and "heal": nodes that others cannot hear, though all of them run.
#
# Nodes of a folder lose frames themselves (DEBUG PARTITION), which nodes that
# these scripts start allow (debug.faults); DIR/partition remembers who is cut off.
# Containers are taken off their network: that is remembered by Docker.

# verb_partition N[,M...]: these nodes on one side, all others on the other.
verb_partition() {
  verb_parse partition "$@"
  split_words
  node_words partition
  if ((${#WORDS[@]} == ${#NUMS[@]})); then
    usage_error "partition: that is every node" "Name those of one side, as in: aikv-tool cluster partition 2"
  fi
  init_begin
  if conf_read; then partition_folder; else partition_containers; fi
  many "${#WORDS[@]}" node
  step_done partition "$MANY cut off: ${WORDS[*]}"
  result_done
}

# verb_heal ends every partition.
verb_heal() {
  verb_parse heal "$@"
  no_words
  init_begin
  if conf_read; then heal_folder; else heal_containers; fi
  result_done
}

# split_words makes "1,2 3" three words.
split_words() {
  local IFS=' ,' word words=()
  # shellcheck disable=SC2048 # to be split
  for word in ${WORDS[*]-}; do if [[ -n $word ]]; then words+=("$word"); fi; done
  WORDS=(${words[@]+"${words[@]}"})
}

# partition_folder tells every node that answers whom it cannot hear any more: then
# a node that is restarted is still cut off, by the others.
partition_folder() {
  local node near="" far="" id side
  step_begin
  look || die "$EXIT_NOTHING" "no node of the cluster answers" "Start it: $(tool start)"
  for node in "${WORDS[@]}"; do
    index_of_node "$node"
    if [[ ${STATES[INDEX]} != up ]]; then
      die "$EXIT_MISMATCH" "node $node (${ADDRS[INDEX]}) is ${STATES[INDEX]}" "See: $(tool status)"
    fi
  done
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    id=$(nodes_awk json=id "wanted=${ADDRS[node]}")
    if [[ -z $id ]]; then die "$EXIT_UNREACHABLE" "no node knows the id of ${ADDRS[node]}" "See: $(tool status)"; fi
    if cut_off "${NUMS[node]}"; then near="$near $id"; else far="$far $id"; fi
  done
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    if [[ ${STATES[node]} != up ]]; then continue; fi
    side=$near
    if cut_off "${NUMS[node]}"; then side=$far; fi
    ask "$node" partition "DEBUG PARTITION BOTH$side"
  done
  printf '%s\n' "${WORDS[*]}" >"$DIR/partition" || die "$EXIT_INTERNAL" "cannot write $DIR/partition"
  act || faults_failed
}

# cut_off NODE: it is one of WORDS.
cut_off() { [[ " ${WORDS[*]} " == *" $1 "* ]]; }

faults_failed() {
  case $ACT_ERROR in
    *"not allowed"*) die "$EXIT_MISMATCH" "a node does not let itself be cut off" "$ACT_ERROR" \
      "Nodes that aikv-tool starts do: $(tool restart)" ;;
  esac
  die "$EXIT_UNREACHABLE" "not every node did it" "$ACT_ERROR" "Run again, or: $(tool heal)"
}

heal_folder() {
  local node paused=""
  step_begin
  look || true
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    case ${STATES[node]} in
      up) ask "$node" heal "DEBUG HEAL" ;;
      down) ;; # it forgets with its process
      *) paused="$paused ${NUMS[node]}" ;;
    esac
  done
  if ((COUNT_AIKV > 0)); then act || faults_failed; fi
  if [[ -n $paused ]]; then
    die "$EXIT_UNREACHABLE" "these nodes do not answer, and are still cut off:$paused" "See: $(tool status); then heal again."
  fi
  rm -f "$DIR/partition"
  step_done heal "every node hears all others again"
}

# find_containers sets CONTAINER of each node: "ID PROJECT SERVICE NETWORKS", or "".
# A container that is off its network publishes nothing, but is still meant to.
find_containers() {
  local node port
  CONTAINER=()
  command -v docker >/dev/null 2>&1 ||
    die "$EXIT_MISMATCH" "there is no cluster in $DIR, and no docker to look for containers with" "Name its folder with --dir."
  # shellcheck disable=SC2016 # the template's own dollars
  docker ps -q --filter label=com.docker.compose.service | xargs docker inspect -f \
    '{{range $p, $b := .HostConfig.PortBindings}}{{range $b}}{{.HostPort}} {{end}}{{end}}|{{.Id}} {{index .Config.Labels "com.docker.compose.project"}} {{index .Config.Labels "com.docker.compose.service"}} {{range $n, $v := .NetworkSettings.Networks}}{{$n}} {{end}}' \
    >"$WORK/containers" 2>"$WORK/docker.err" || true
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    split_addr "${ADDRS[node]}"
    port=$NODE_PORT
    CONTAINER[node]=$(awk -F '|' -v port="$port" 'index(" " $1, " " port " ") { print $2; exit }' "$WORK/containers")
  done
}

# partition_containers takes each of the nodes off its network: alone, and for
# clients on this machine too.
partition_containers() {
  local node id project service networks network
  step_begin
  find_containers
  for node in "${WORDS[@]}"; do
    index_of_node "$node"
    if [[ -z ${CONTAINER[INDEX]} ]]; then
      die "$EXIT_MISMATCH" "there is no cluster in $DIR, and no container of compose publishes ${ADDRS[INDEX]}" \
        "$(<"$WORK/docker.err")" "Name the cluster's folder with --dir, or its ports with --base-port."
    fi
  done
  for node in "${WORDS[@]}"; do
    index_of_node "$node"
    read -r id project service networks <<<"${CONTAINER[INDEX]}"
    : "$project" "$service"
    for network in $networks; do
      docker network disconnect "$network" "$id" >/dev/null ||
        die "$EXIT_INTERNAL" "docker does not take node $node off the network $network" "Run again, or: $(tool heal)"
    done
  done
}

# heal_containers puts every container that is on no network on that of its
# project again. The name is what the others find it by.
heal_containers() {
  local node id project service networks count=0
  step_begin
  find_containers
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    read -r id project service networks <<<"${CONTAINER[node]}"
    if [[ -z $id || -n $networks ]]; then continue; fi
    docker network connect --alias "$service" "${project}_default" "$id" ||
      die "$EXIT_INTERNAL" "docker does not put $service on the network ${project}_default"
    count=$((count + 1))
  done
  many "$count" container
  step_done heal "$MANY back on the network"
}
