#!/usr/bin/env bats
# The image and the compose files of docker/, on ports of their own: bring-up,
# clients on the host and in the network, nodes that are paused, killed and cut
# off under writes, other addresses after a restart. Skipped where no Docker
# engine answers. DOCKER_COMPOSE="docker compose" chooses another compose.
load helpers

# The suite runs on a copy of docker/ with an .env of its own. What the caller's
# shell has set would go before that.
unset COMPOSE_PROJECT_NAME COMPOSE_FILE AIKV_IMAGE AIKV_PORT AIKV_PORT_1 AIKV_PORT_2 AIKV_PORT_3 AIKV_PORT_4 \
  AIKV_PORT_5 AIKV_PORT_6 AIKV_PORT_7 AIKV_PORT_8 AIKV_REQUIREPASS AIKV_RAFT_TOKEN AIKV_CORES AIKV_LOG_LEVEL

setup_file() {
  export WHY_NOT=""
  find_docker || return 0
  free_block 10
  export PROJECT="aikvbats$$"
  export IMAGE="aikv:$PROJECT" NETWORK="${PROJECT}_default" DOCKER="$BATS_FILE_TMPDIR/docker"
  export ADDRS="127.0.0.1:$BASE,127.0.0.1:$((BASE + 1)),127.0.0.1:$((BASE + 2)),127.0.0.1:$((BASE + 3))"
  export ACKED="$BATS_FILE_TMPDIR/acked"
  CGO_ENABLED=0 GOOS=linux GOARCH=$(docker version --format '{{.Server.Arch}}') \
    go build -o "$ACKED-linux" "$ROOT/testbed/acked"
  go build -o "$ACKED" "$ROOT/testbed/acked"
  mkdir "$DOCKER"
  cp "$ROOT"/docker/*.yml "$DOCKER/"
  cp -R "$ROOT/docker/single" "$DOCKER/"
  sed -e "s/^COMPOSE_PROJECT_NAME=.*/COMPOSE_PROJECT_NAME=$PROJECT/" -e "s/^AIKV_IMAGE=.*/AIKV_IMAGE=$IMAGE/" \
    "$ROOT/docker/.env.example" >"$DOCKER/.env"
  sed -e "s/^COMPOSE_PROJECT_NAME=.*/COMPOSE_PROJECT_NAME=${PROJECT}b/" -e "s/^AIKV_IMAGE=.*/AIKV_IMAGE=$IMAGE/" \
    -e "s/^AIKV_PORT=.*/AIKV_PORT=$((BASE + 8))/" "$ROOT/docker/single/.env.example" >"$DOCKER/single/.env"
  local node
  for node in 1 2 3 4 5 6 7 8; do
    sed "s/^AIKV_PORT_$node=.*/AIKV_PORT_$node=$((BASE + node - 1))/" "$DOCKER/.env" >"$DOCKER/.env.new"
    mv "$DOCKER/.env.new" "$DOCKER/.env"
  done
  make -C "$ROOT" --no-print-directory image IMAGE="$IMAGE" 3>&-
}

teardown_file() {
  if [[ -n $WHY_NOT ]]; then return 0; fi
  stop_writer || true
  erase "$PROJECT"
  erase "${PROJECT}b"
  docker network rm "${PROJECT}-hold" "${NETWORK}_cut" >/dev/null 2>&1 || true
  docker rmi -f "$IMAGE" >/dev/null 2>&1 || true
}

setup() {
  if [[ -n $WHY_NOT ]]; then skip "$WHY_NOT"; fi
}

# What the nodes wrote is shown when a test fails.
teardown() {
  if [[ -z ${BATS_TEST_COMPLETED:-} && -z $WHY_NOT && -z ${BATS_TEST_SKIPPED:-} ]]; then
    stop_writer || true
    docker ps -a --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Names}} {{.Status}}' || true
    cluster logs --no-color --tail=8 2>&1 || true
  fi
}

# find_docker sets DOCKER_COMPOSE, or WHY_NOT there is nothing to test with.
find_docker() {
  local program
  for program in docker redis-cli go; do
    if ! command -v "$program" >/dev/null 2>&1; then WHY_NOT="needs $program"; fi
  done
  if ! command -v docker >/dev/null 2>&1; then WHY_NOT="cannot here: no Docker"; fi
  if [[ -n $WHY_NOT ]]; then return 1; fi
  if ! within 10 docker info >/dev/null 2>&1; then
    WHY_NOT="cannot here: no Docker engine answers"
  elif [[ -z ${DOCKER_COMPOSE:-} ]]; then
    if command -v docker-compose >/dev/null 2>&1; then
      DOCKER_COMPOSE=docker-compose
    elif docker compose version >/dev/null 2>&1; then
      DOCKER_COMPOSE="docker compose"
    else
      WHY_NOT="needs docker-compose, or docker with its compose plugin"
    fi
  fi
  export DOCKER_COMPOSE
  [[ -z $WHY_NOT ]]
}

# compose ARGS…: in the copy of docker/.
compose() {
  # shellcheck disable=SC2086 # it may be two words
  (cd "$DOCKER" && $DOCKER_COMPOSE "$@" 3>&-)
}
single() { (DOCKER="$DOCKER/single" && compose "$@"); }
cluster() { compose -f docker-compose.cluster.yml "$@"; }
with_apps() { compose -f docker-compose.cluster.yml -f docker-compose.apps.yml "$@"; }

# init ARGS…: cluster_init.sh on the nodes of the sandbox.
init() { cluster_init.sh --base-port "$BASE" --dir "$BATS_FILE_TMPDIR/none" --timeout $((120 * PATIENCE)) "$@" 3>&-; }

# erase PROJECT: everything of it, whatever state it is in.
erase() {
  local label="label=com.docker.compose.project=$1" ids
  ids=$(docker ps -aq --filter "$label")
  # shellcheck disable=SC2086 # a list of ids
  if [[ -n $ids ]]; then
    docker unpause $ids >/dev/null 2>&1 || true
    docker rm -f -v $ids >/dev/null 2>&1 || true
  fi
  ids=$(docker volume ls -q --filter "$label")
  # shellcheck disable=SC2086
  if [[ -n $ids ]]; then docker volume rm -f $ids >/dev/null 2>&1 || true; fi
  docker network rm "${1}_default" >/dev/null 2>&1 || true
}

# container NUMBER: the id of service aikv-NUMBER's container.
container() {
  docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=aikv-$1"
}

# each FORMAT: docker inspect of all six, in order.
each() {
  local node
  for node in 1 2 3 4 5 6; do docker inspect -f "$1" "$(container "$node")"; done
}

# steady: every node shows the same six nodes and state ok.
steady() {
  local node
  for node in 0 1 2 3 4 5; do
    is ok timeout 5 bash -c "redis-cli -p $((BASE + node)) CLUSTER INFO | tr -d '\r' | sed -n 's/^cluster_state://p'" || return 1
  done
  topology_agrees 6
}

# named: every node shows the service's name of all six. A node that starts before
# there is a quorum can only tell its new name later.
named() {
  local node
  for node in 0 1 2 3 4 5; do
    is 6 bash -c "redis-cli -p $((BASE + node)) CLUSTER NODES | cut -d ' ' -f 2 | grep -c ',aikv-[1-6]$'" || return 1
  done
}

# master_of_first: the number (1-6) of the master that serves slot 0.
master_of_first() {
  local port
  port=$(on 0 CLUSTER NODES | awk '/ 0-5460$/ { split($2, a, "[:@]"); print a[2] }')
  echo $((port - BASE + 1))
}

start_writer() {
  WRITER_FILE=$BATS_FILE_TMPDIR/keys.$BATS_TEST_NUMBER
  "$ACKED" write "$ADDRS" >"$WRITER_FILE" 2>"$WRITER_FILE.err" 3>&- &
  WRITER=$!
}

# stop_writer: false if it saw a stale read.
stop_writer() {
  local status=0
  if [[ -z ${WRITER:-} ]]; then return 0; fi
  kill -TERM "$WRITER" 2>/dev/null || true
  wait "$WRITER" || status=$?
  WRITER=""
  cat "$WRITER_FILE.err"
  return "$status"
}

grown() { (($(wc -l <"$1") >= $2)); }

writes_go_on() { retry 60 grown "$WRITER_FILE" $(($(wc -l <"$WRITER_FILE") + 20)); }

# all_there: every write that was acknowledged so far, in whichever test.
all_there() { cat "$BATS_FILE_TMPDIR"/keys.*[0-9] | "$ACKED" check "$ADDRS"; }

# under_writes FAULT HEAL: while somebody writes, FAULT strikes the master of slot
# 0, another node takes its shard over, and HEAL brings it back. No write that was
# acknowledged is lost, and no read was stale.
under_writes() {
  local victim other
  retry 60 steady
  start_writer
  writes_go_on
  victim=$(master_of_first)
  other=$((BASE + victim % 6))
  "$1" "$victim"
  retry 60 is OK timeout 3 redis-cli -c -p "$other" SET '{06S}after' "$1"
  writes_go_on
  "$2" "$victim"
  retry 60 steady
  writes_go_on
  stop_writer
  all_there
}

pause_node() { docker pause "$(container "$1")"; }
unpause_node() { docker unpause "$(container "$1")"; }
kill_node() { docker kill "$(container "$1")"; }
start_node() { docker start "$(container "$1")"; }
# By hand, a node that is cut off is reachable for nobody, its published port included.
cut_node() { docker network disconnect "$NETWORK" "$(container "$1")"; }
# The name is compose's doing, not the network's.
join_node() { docker network connect --alias "aikv-$1" "$NETWORK" "$(container "$1")"; }

# By the tool, it can still be asked.
tool() { aikv-tool cluster "$@" --base-port "$BASE" --dir "$BATS_FILE_TMPDIR/none" 3>&-; }
partition_node() {
  exits 0 tool partition "$1"
  retry 30 has CLUSTERDOWN on $(($1 - 1)) GET '{06S}after'
  exits 7 tool status
  [[ $output == *"node $1 is cut off"*"aikv-tool cluster heal --dir $BATS_FILE_TMPDIR/none --base-port $BASE"* ]]
}
heal_node() {
  exits 0 tool heal
  is "" docker network ls -q --filter "name=${NETWORK}_cut"
  [ ! -e "$BATS_FILE_TMPDIR/none" ]
}

# ports: HOST:OUTSIDE:INSIDE of every published port in compose's own reading of
# the files, which versions 1 and 2 print differently.
ports() {
  awk '
    /^ +- "?[0-9.]+:[0-9]+:[0-9]+\/tcp/ { gsub(/[ "-]|\/tcp/, ""); print }
    /host_ip:/ { ip = $2 }
    /target: [0-9]/ { inside = $2 }
    /published:/ { gsub(/"/, "", $2); print ip ":" $2 ":" inside }'
}

@test "the image: the binary and nothing else, for a user without rights" {
  is 65532:65532 docker image inspect -f '{{.Config.User}}' "$IMAGE"
  is '["/aikv"]' docker image inspect -f '{{json .Config.Entrypoint}}' "$IMAGE"
  is '["CMD","/aikv","ping"]' docker image inspect -f '{{json .Config.Healthcheck.Test}}' "$IMAGE"
  is '{"/data":{}}' docker image inspect -f '{{json .Config.Volumes}}' "$IMAGE"
  local label
  for label in title description source licenses version revision created; do
    [[ -n $(docker image inspect -f "{{index .Config.Labels \"org.opencontainers.image.$label\"}}" "$IMAGE") ]]
  done
  (($(docker image inspect -f '{{.Size}}' "$IMAGE") <= 20000000))
  has "aikv $(docker image inspect -f '{{index .Config.Labels "org.opencontainers.image.version"}}' "$IMAGE") " \
    docker run --rm "$IMAGE" --version
}

@test "the files as they come: default ports on 127.0.0.1, the same inside and out, no Raft port" {
  run grep -nE '^(version|name):|start_interval|container_name|subnet' "$ROOT"/docker/*.yml "$ROOT"/docker/single/*.yml
  [ -z "$output" ]
  local DOCKER=$BATS_TEST_TMPDIR want=""
  cp "$ROOT"/docker/*.yml "$DOCKER/"
  cp -R "$ROOT/docker/single" "$DOCKER/"
  single -p x config >"$DOCKER/one"
  is 127.0.0.1:6379:6379 ports <"$DOCKER/one"
  cluster -p x config >"$DOCKER/six"
  want=$(for want in 6379 6380 6381 6382 6383 6384; do echo "127.0.0.1:$want:$want"; done)
  is "$want" ports <"$DOCKER/six"
  with_apps -p x config >"$DOCKER/apps"
  is "$want" ports <"$DOCKER/apps"
  [ "$(grep -c '^    restart:' "$DOCKER/six")" -eq 6 ]
  # .env.example changes nothing but the project's name.
  cp "$ROOT/docker/.env.example" "$DOCKER/.env"
  cp "$DOCKER/single/.env.example" "$DOCKER/single/.env"
  is "" diff "$DOCKER/six" <(cluster -p x config)
  is "" diff "$DOCKER/one" <(single -p x config)
}

@test "up -d, then cluster_init.sh: it waits, initialises and verifies" {
  cluster up -d
  exits 0 init
  [[ $output == *"✓ write"*"The cluster is ready"* ]]
  topology_agrees 6
  exits 0 init
  [[ $output == *"nothing was changed"* ]]
  exits 0 aikv-tool cluster status --base-port "$BASE" --dir "$BATS_FILE_TMPDIR/none"
}

@test "clients on the host follow redirects to every node" {
  local i
  for i in 1 2 3 4 5 6 7 8; do
    is OK c $((i % 6)) SET "host:$i" "v$i"
    is "v$i" c $(((i + 3) % 6)) GET "host:$i"
  done
}

@test "no rights, a root that cannot be written, no Raft port outside" {
  is $'true\ntrue\ntrue\ntrue\ntrue\ntrue' each '{{.HostConfig.ReadonlyRootfs}}'
  is $'[ALL]\n[ALL]\n[ALL]\n[ALL]\n[ALL]\n[ALL]' each '{{.HostConfig.CapDrop}}'
  is $'unless-stopped\nunless-stopped\nunless-stopped\nunless-stopped\nunless-stopped\nunless-stopped' \
    each '{{.HostConfig.RestartPolicy.Name}}'
  is 65532 bash -c "docker top '$(container 1)' -eo pid,uid | awk 'END { print \$2 }'"
  echo x >"$BATS_TEST_TMPDIR/x"
  run docker cp "$BATS_TEST_TMPDIR/x" "$(container 1):/x"
  [ "$status" -ne 0 ]
  is "$BASE/tcp -> 127.0.0.1:$BASE" docker port "$(container 1)"
}

@test "health checks turn healthy" {
  retry 60 is $'healthy\nhealthy\nhealthy\nhealthy\nhealthy\nhealthy' each '{{.State.Health.Status}}'
}

@test "the guide's command for the logs" {
  cluster logs -f >"$BATS_TEST_TMPDIR/log" 2>&1 &
  local logs=$!
  retry 20 grep -q 'aikv-6.*node is ready' "$BATS_TEST_TMPDIR/log"
  kill "$logs"
  wait "$logs" || true
  grep -q MetaRaft "$BATS_TEST_TMPDIR/log"
}

@test "the checker of writes can fail" {
  run "$ACKED" check "$ADDRS" <<<"never:written"
  [ "$status" -eq 1 ]
  [[ $output == *"lost never:written"* ]]
}

@test "a paused master: its replica takes over, nothing is lost" { under_writes pause_node unpause_node; }

@test "a killed master: its replica takes over, nothing is lost" { under_writes kill_node start_node; }

@test "a master that is cut off: its replica takes over, nothing is lost" { under_writes partition_node heal_node; }

@test "the same by docker network disconnect" { under_writes cut_node join_node; }

@test "a group that is cut off keeps itself company; a second partition ends the first" {
  local ids
  exits 0 tool partition 1,2
  ids=$(docker network inspect -f '{{range $id, $v := .Containers}}{{$id}} {{end}}' "${NETWORK}_cut")
  [[ $ids == *"$(container 1)"* && $ids == *"$(container 2)"* && $(wc -w <<<"$ids") -eq 2 ]]
  exits 0 tool partition 3 --json
  [[ $output == *'"nodes":[3],"how":"docker"'* ]]
  # The engine may start a container again meanwhile.
  docker restart "$(container 3)" >/dev/null
  exits 0 tool heal
  retry 60 steady
  all_there
}

@test "a node that crashes is started again by the engine" {
  local id
  id=$(container 2)
  # Not by "docker kill": that counts as stopped by hand.
  kill -KILL "$(docker inspect -f '{{.State.Pid}}' "$id")" || cannot_here "the processes of containers cannot be signalled"
  retry 60 is 1 docker inspect -f '{{.RestartCount}}' "$id"
  retry 60 steady
}

@test "SIGTERM ends a node at once, with exit 0" {
  local begin=$SECONDS
  docker stop -t 30 "$(container 3)"
  is 0 docker inspect -f '{{.State.ExitCode}}' "$(container 3)"
  ((SECONDS - begin < 30)) # else it would have been killed
  start_node 3
  retry 60 steady
}

@test "restart: no init, nothing is lost" {
  cluster restart
  retry 60 steady
  all_there
}

# in_network ARGS…: a container beside the nodes.
in_network() { docker run --rm --network "$NETWORK" --label "com.docker.compose.project=$PROJECT" "$@"; }

@test "down and up -d: other addresses, and names for applications; no init, nothing is lost" {
  local before node ids
  ids=$(on 0 CLUSTER NODES | cut -d ' ' -f 1 | sort)
  before=$(each '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
  cluster down
  docker network create "$PROJECT-hold" >/dev/null # so that the old addresses are taken, or not the next ones
  with_apps up -d
  docker network rm "$PROJECT-hold" >/dev/null
  for node in $(each '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'); do
    [[ $'\n'$before$'\n' != *$'\n'$node$'\n'* ]]
  done
  retry 60 steady
  is "$ids" bash -c "redis-cli -p $BASE CLUSTER NODES | cut -d ' ' -f 1 | sort"

  retry 60 named

  # A container with the binary's own client, and one with a client library.
  local inside="aikv-1:$BASE,aikv-5:$((BASE + 4))" app logs i
  for i in 1 4; do is "v$i" in_network "$IMAGE" cli -c -h "aikv-$i" -p $((BASE + i - 1)) GET "host:$i"; done
  app=$(in_network -d --read-only -v "$ACKED-linux:/acked:ro" --entrypoint /acked "$IMAGE" write "$inside")
  docker logs -f "$app" >"$BATS_FILE_TMPDIR/keys.app.0" 3>&- &
  logs=$!
  retry 60 grown "$BATS_FILE_TMPDIR/keys.app.0" 50
  docker stop "$app" >/dev/null
  wait "$logs"
  cat "$BATS_FILE_TMPDIR"/keys.*[0-9] >"$BATS_TEST_TMPDIR/all"
  exits 0 in_network -i -v "$ACKED-linux:/acked:ro" --entrypoint /acked "$IMAGE" check "$inside" <"$BATS_TEST_TMPDIR/all"

  # From the host, redirects lead nowhere but for aikv cli; so the checklist uses it.
  exits 0 init --check-only
  is v1 aikv cli -c -p $((BASE + 5)) GET host:1
}

@test "down -v erases everything; redis-cli --cluster create works from the host" {
  with_apps down -v
  cluster up -d
  local node
  for node in 0 1 2 3 4 5; do retry 60 answers "$node"; done
  is 1 info_field 0 cluster_known_nodes
  exits 0 within 120 redis-cli --cluster create "127.0.0.1:$BASE" "127.0.0.1:$((BASE + 1))" "127.0.0.1:$((BASE + 2))" \
    "127.0.0.1:$((BASE + 3))" "127.0.0.1:$((BASE + 4))" "127.0.0.1:$((BASE + 5))" --cluster-replicas 1 --cluster-yes
  [[ $output == *"All 16384 slots covered"* ]]
  exits 0 init --check-only
}

@test "one node beside the six: no word of orphans, and its end is not theirs" {
  cluster up -d
  single up -d >"$BATS_TEST_TMPDIR/out" 2>&1
  run ! grep -i orphan "$BATS_TEST_TMPDIR/out"
  is 6 bash -c "docker ps -q --filter label=com.docker.compose.project=$PROJECT | wc -l | tr -d ' '"
  local BASE=$((BASE + 6))
  exits 0 init --shards 1 --replicas-per-shard 0
  is OK on 0 SET alone here
  single down --remove-orphans
  is 6 bash -c "docker ps -q --filter label=com.docker.compose.project=$PROJECT | wc -l | tr -d ' '"
  single up -d
  retry 60 is here on 0 GET alone
  # By default the two have names of their own as well.
  run grep -h ^COMPOSE_PROJECT_NAME "$ROOT/docker/.env.example" "$ROOT/docker/single/.env.example"
  [ "${lines[0]}" != "${lines[1]}" ]
}

@test "another port inside than outside: clients are told the one outside" {
  local port=$((BASE + 7))
  docker run -d --rm --label "com.docker.compose.project=${PROJECT}b" -p "127.0.0.1:$port:6379" \
    -e AIKV_ANNOUNCE_HOST=127.0.0.1 -e AIKV_ANNOUNCE_PORT="$port" "$IMAGE" >/dev/null
  retry 60 redis-cli -p "$port" PING
  exits 0 cluster_init.sh -m "127.0.0.1:$port" --timeout $((60 * PATIENCE))
  has "127.0.0.1:$port@" redis-cli -p "$port" CLUSTER NODES
  exits 0 aikv-tool cluster doctor -m "127.0.0.1:$port"
}
