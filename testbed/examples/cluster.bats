#!/usr/bin/env bats
# An example to copy: a bats suite of your own that wants a cluster. It needs
# aikv and aikv-tool on the PATH ("make install" in this project).

setup_file() {
  export CLUSTER_BASE_PORT=${CLUSTER_BASE_PORT:-7000} # six client ports from here
  export CLUSTER_DIR=$BATS_FILE_TMPDIR/aikv           # data and logs, removed by bats
  # Returns when every node says cluster_state:ok, all show the same, and writes
  # go through. 3>&-: bats waits for everybody who holds its descriptor 3.
  aikv-tool cluster setup -q 3>&-
}

# Also runs if setup_file failed.
teardown_file() { aikv-tool cluster clean -q -y; }

@test "what one node is told, another one knows" {
  run aikv cli -c -p "$CLUSTER_BASE_PORT" SET greeting hello
  [ "$output" = OK ]
  run aikv cli -c -p $((CLUSTER_BASE_PORT + 5)) GET greeting
  [ "$output" = hello ]
}
