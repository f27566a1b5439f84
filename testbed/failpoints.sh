#!/usr/bin/env bash
# Builds bin/aikv-failpoints: aikv with its failpoints. They are comments in the
# sources ("gofail:"), so the released binary has nothing of them; a copy of the
# sources is rewritten here. What is armed comes from GOFAIL_FAILPOINTS or, while
# the node runs, over GOFAIL_HTTP: see https://github.com/etcd-io/gofail.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R go.mod go.sum node "$copy"
mkdir -p bin
folders=()
while IFS= read -r folder; do folders+=("$folder"); done < <(
  cd "$copy" && grep -rl --include='*.go' '// gofail: var ' node | xargs -n 1 dirname | sort -u
)
output=$PWD/bin/aikv-failpoints
gofail=$(go tool -n gofail)
(cd "$copy" && "$gofail" enable "${folders[@]}" && CGO_ENABLED=0 go build -trimpath -o "$output" ./node)
