#!/usr/bin/env bats
# The newcomer's way: a fresh checkout on a machine with Go, without a binary and
# without redis-cli. One command makes a cluster, and what it says next works.
load helpers

setup_file() {
  free_block 12
  export PROJECT=$BATS_FILE_TMPDIR/project BIN=$BATS_FILE_TMPDIR/bin
  export DIR=$PROJECT/.aikv
  mkdir -p "$PROJECT" "$BIN"
  cp -Rp "$ROOT/node" "$ROOT/scripts" "$ROOT/config" "$ROOT/go.mod" "$ROOT/go.sum" "$ROOT/Makefile" "$PROJECT/"
  local tool
  for tool in bash sh env awk sed cat cp mkdir mktemp rm rmdir ln mv dirname basename readlink sleep tail tr find head nohup \
    setsid ps make go git grep df uname getconf date; do
    if command -v "$tool" >/dev/null; then ln -sf "$(command -v "$tool")" "$BIN/$tool"; fi
  done
}
teardown_file() { cluster_down; }
setup() { requires go make; }

# newcomer COMMAND…: in the checkout, with nothing else of this project around.
newcomer() { (cd "$PROJECT" && env -u AIKV_BIN PATH="$BIN" CLUSTER_BASE_PORT="$BASE" "$@" </dev/null 3>&-); }

@test "cluster_init.sh builds, starts and verifies; the command that it names answers" {
  exits 0 newcomer ./scripts/cluster_init.sh
  [[ $output == *"✓ build"*"✓ nodes"*"✓ write"*"The cluster is ready"* ]]
  local connect
  connect=$(sed -n 's/.*Connect: //p' <<<"$output")
  [[ $connect == *"/bin/aikv cli -c -h 127.0.0.1 -p $BASE PING" ]]
  is PONG newcomer bash -c "cd / && $connect"
}

@test "what is wrong is said and mended with what is there" {
  exits 0 newcomer ./scripts/aikv-tool cluster status
  newcomer ./bin/aikv cli -p "$BASE" CLUSTER DELSLOTS 7 >/dev/null
  exits 7 newcomer ./scripts/aikv-tool cluster doctor
  [[ $output == *"do:  $PROJECT/bin/aikv cli -h 127.0.0.1 -p $BASE CLUSTER ADDSLOTSRANGE 7 7"* ]]
  newcomer bash -c "$(sed -n 's/^ *do:  //p' <<<"$output")" >/dev/null
  exits 0 newcomer ./scripts/aikv-tool cluster verify --timeout $((20 * PATIENCE))
  newcomer ./bin/aikv cli -p "$BASE" SET '{06S}' 1 >/dev/null
}

@test "run again: nothing is built, nothing is changed; clean leaves nothing" {
  exits 0 newcomer ./scripts/cluster_init.sh
  [[ $output != *"✓ build"* && $output == *"nothing was changed"* ]]
  exits 0 newcomer ./scripts/aikv-tool cluster clean --yes
  [ ! -e "$DIR" ]
}
