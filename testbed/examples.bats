#!/usr/bin/env bats
# The examples for other people's projects, run as they are where they would be:
# beside an installed AiKv. (examples/cluster_test.go runs with the Go tests.)
load helpers

setup_file() {
  free_block 12
  export PLACE=$BATS_FILE_TMPDIR/place
  mkdir -p "$PLACE/home" "$PLACE/temp"
  ln -s "$ROOT" "$PLACE/aikv"
  printf 'test:\n\taikv cli -c -p %d SET from make\n' "$BASE" >"$PLACE/Makefile"
}
teardown_file() {
  export DIR=$PLACE/temp/aikv
  cluster_down
}

# path prints PATH without this project's folders and those of bats' own parts.
path() { tr : '\n' <<<"$PATH" | grep -v -e "^$ROOT/" -e bats-core | tr '\n' :; }

# outside COMMAND…: without anything of this project but what is installed.
outside() {
  (cd "$PLACE" && env -i PATH="$PLACE/home/.local/bin:$(path)" HOME="$PLACE/home" TMPDIR="${TMPDIR:-/tmp}" \
    GOCACHE="$(go env GOCACHE)" GOMODCACHE="$(go env GOMODCACHE)" GOFLAGS="$(go env GOFLAGS)" \
    CLUSTER_BASE_PORT="$BASE" GITHUB_PATH="$PLACE/temp/path" RUNNER_TEMP="$PLACE/temp" "$@" 3>&-)
}

# step NAME: the commands of a step of the workflow.
step() {
  awk -v name="$1" '
    $1 == "-" { here = ($2 == "name:" && substr($0, index($0, "name:") + 6) == name); block = 0 }
    here && /^ +run: \|/ { block = 1; next }
    here && /^ +run: / { sub(/^ +run: /, ""); print }
    here && block { sub(/^ +/, ""); print }' "$ROOT/testbed/examples/github-actions.yml"
}

@test "GitHub Actions: every step but those of GitHub's own actions" {
  requires go make
  local name
  [ "$(grep -c ' run: ' "$ROOT/testbed/examples/github-actions.yml")" -eq 4 ]
  for name in "Install AiKv" "Start the cluster, and wait until it is ready" Test "Logs of the nodes"; do
    [ -n "$(step "$name")" ]
    exits 0 outside bash -e -o pipefail -c "$(step "$name")"
  done
  has "$PLACE/home/.local/bin" cat "$PLACE/temp/path"
  [[ $output == *"node is ready"* ]]
  is make c 3 GET from
  outside aikv-tool cluster clean -q -y --dir "$PLACE/temp/aikv"
}

@test "bats: a suite of one's own" {
  requires go make
  outside make -C aikv install PREFIX="$PLACE/home/.local" >/dev/null
  exits 0 outside bats "$ROOT/testbed/examples/cluster.bats"
  [[ $output == *"ok 1"* ]]
  run port_is_open "$BASE"
  [ "$status" -ne 0 ]
}
