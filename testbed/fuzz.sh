#!/usr/bin/env bash
# Runs every fuzz target of the Go packages, one after the other, each for
# FUZZTIME (default 30s). FUZZ narrows it down to targets whose names match, such
# as FUZZ='Recover|Journal'. An input that fails is kept by Go in the package's
# testdata/fuzz, where every later "go test" tries it: fix, and commit it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${FUZZTIME:-30s}
wanted=${FUZZ:-.}
passed=0
failed=0
while IFS=: read -r file _ line; do
  target=${line#func }
  target=${target%%(*}
  if [[ ! $target =~ $wanted ]]; then continue; fi
  # Go minimizes each interesting input for up to a minute: a few tries will do.
  if go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x >&2; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED  $(dirname "$file") $target"
  fi
done < <(grep -rn --include='*_test.go' '^func Fuzz' node | sort)
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
