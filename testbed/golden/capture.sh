#!/usr/bin/env bash
# capture.sh CASE HOST:PORT…: keeps what these nodes answer as a case of
# golden.bats, with ports from 7000 on. Then: UPDATE=1 bats testbed/golden.bats,
# and read what was written to want.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=../../scripts/cluster_init.sh
. "$here/../../scripts/cluster_init.sh"

case_name=$1
shift
ADDRS=("$@")
WORK=$here/$case_name
mkdir -p "$WORK"
cli_find
collect 10
rm -f "$WORK"/*.err
# What no program reads is left out, and addresses are others.
address=()
for ((node = 0; node < ${#ADDRS[@]}; node++)); do
  split_addr "${ADDRS[node]}"
  address+=(-e "s/127\.0\.0\.1:$NODE_PORT@[0-9]*/127.0.0.1:$((7000 + node))@$((17000 + node))/")
done
for file in "$WORK"/ans.*; do
  awk '
    { sub(/\r$/, "") }
    /^@@/ { part = $0; print; next }
    part != "@@info" && NF > 0 { print }
    part == "@@info" && /^(aikv_version|server_time_usec|uptime_in_seconds|used_memory|used_memory_rss|metaraft|group_[0-9]+|db0):/ { print }
  ' "$file" | sed "${address[@]}" >"$WORK/new"
  mv "$WORK/new" "$file"
done
if [[ ! -f $WORK/shape ]]; then printf 'MASTERS=3\nREPLICAS=1\n' >"$WORK/shape"; fi
