#!/usr/bin/env bash
# Runs the suites named (lint, go, bats [FILE…]) and counts what passed. The last
# line is "N passed, N failed"; the exit status is 1 if anything failed.
#
# Where CI is set, a test that is skipped has failed: there every tool is installed.
# Only a reason that begins with "cannot here: " is good, for what no installation
# changes (no IPv6, no Docker engine); and short runs may skip what is long.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PASSED=0
FAILED=0
SKIPPED=0
# Packages whose point is concurrency run once more under the race detector, in
# short form: it makes them ten times slower.
RACE='/node/(blocking|frontend|multiraft|metaraft|rawio|transport|shard|replica|server)(/|$)'

heading() { printf '\n== %s\n' "$*"; }

# check NAME COMMAND…: one linter; what it prints is a finding.
check() {
  local name=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if ((status == 0)) && [[ -z $output ]]; then
    PASSED=$((PASSED + 1))
    printf 'ok      %s\n' "$name"
  else
    FAILED=$((FAILED + 1))
    printf 'FAILED  %s\n%s\n' "$name" "$output"
  fi
}

shell_files() {
  printf '%s\n' scripts/cluster_init.sh scripts/aikv-tool .ci/run
  find scripts testbed -name '*.sh' -o -name '*.bash' | sort
}

suite_lint() {
  heading lint
  local file files=()
  while IFS= read -r file; do files+=("$file"); done < <(shell_files | sort -u)
  check "gofumpt -l" go tool gofumpt -l node testbed
  check "go vet" go vet ./...
  check "staticcheck" go tool staticcheck ./...
  # The files in lib are parts of the two scripts, and checked as such.
  check "shellcheck scripts" shellcheck -x -P SCRIPTDIR scripts/cluster_init.sh scripts/aikv-tool
  check "shellcheck testbed" shellcheck -x -P SCRIPTDIR testbed/*.sh testbed/*/*.sh .ci/run
  # SC2030, SC2031: every @test is a subshell, and meant to be.
  check "shellcheck bats" shellcheck -x -P SCRIPTDIR -e SC2030,SC2031 testbed/helpers.bash testbed/*.bats testbed/examples/*.bats
  check "bash 3.2, BSD tools" testbed/portable.sh
  check "deadlines" testbed/deadlines.sh
  check "refusals are in the README" testbed/refusals.sh
  check "shfmt" shfmt -i 2 -ci -l "${files[@]}"
}

# go_test ARGS…: runs and counts top-level tests. A package that passes gets one
# line; of one that fails, everything is shown.
go_test() {
  local counts passed failed skipped status strict=0
  counts=$(mktemp)
  if [[ -n ${CI:-} && " $* " != *" -short "* ]]; then strict=1; fi
  { go test -v "$@" 2>&1 && echo 0 >"$counts.status" || echo "$?" >"$counts.status"; } | awk -v counts="$counts" -v strict="$strict" '
    /^ +[^ ]+_test\.go:[0-9]+: / { said = $0 }
    /^=== RUN/ { said = "" }
    /^--- PASS/ { passed++ }
    /^--- SKIP/ && strict && said !~ /_test\.go:[0-9]+: cannot here: / { failed++; print "FAILED  skipped: " $3 said; next }
    /^--- SKIP/ { skipped++ }
    /^--- FAIL/ { failed++; here++ }
    /^\?.*\[no test files\]/ { next }
    /^ok[ \t]/ { print; held = ""; here = 0; next }
    /^FAIL[ \t]+[^ ]/ { if (!here) failed++; printf "%s%s\n", held, $0; held = ""; here = 0; next }
    /^(FAIL|PASS|=== (RUN|PAUSE|CONT|NAME).*|testing: warning: no tests to run)$/ { next }
    { held = held $0 "\n" }
    END { if (held != "") printf "%s", held; print passed + 0, failed + 0, skipped + 0 >counts }
  '
  read -r passed failed skipped <"$counts"
  read -r status <"$counts.status"
  rm -f "$counts" "$counts.status"
  if ((status != 0 && failed == 0)); then
    echo "FAILED  go test ended with status $status, and named no test"
    failed=1
  fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
  SKIPPED=$((SKIPPED + skipped))
}

suite_go() {
  local race=() package
  heading "go test"
  # Tests that may run side by side mostly wait for processes, not for cores.
  go_test -timeout 40m -parallel 4 ./...
  if [[ $(go env CGO_ENABLED) != 1 ]] || ! command -v "$(go env CC)" >/dev/null 2>&1; then
    echo "no C compiler: the race detector is off"
    return
  fi
  for package in $(go list ./node/...); do
    if [[ $package =~ $RACE ]]; then race+=("$package"); fi
  done
  heading "go test -race -short"
  go_test -race -short -timeout 40m "${race[@]}"
}

# suite_bats [FILE…]: two files side by side, since most of their time is waiting;
# the largest first.
suite_bats() {
  heading bats
  make --no-print-directory build
  local work lane file passed failed skipped
  work=$(mktemp -d)
  if (($# == 0)); then
    # shellcheck disable=SC2012 # these names are ours
    while IFS= read -r file; do set -- "$@" "$file"; done < <(ls -S testbed/*.bats)
  fi
  for lane in 0 1; do bats_lane "$lane" "$work" "$@" & done
  wait
  for file in "$@"; do
    passed=0 failed=1 skipped=0
    if ! read -r passed failed skipped 2>/dev/null <"$work/$(basename "$file").counts"; then
      echo "FAILED  $file left no result"
    fi
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    SKIPPED=$((SKIPPED + skipped))
  done
  rm -rf "$work"
}

# bats_lane LANE WORK FILE…: runs those files that the other lane has not taken.
# free_block keeps the lanes' ports apart.
bats_lane() {
  local lane=$1 work=$2 file name begin
  shift 2
  for file in "$@"; do
    name=$work/$(basename "$file")
    mkdir "$name" 2>/dev/null || continue
    begin=$SECONDS
    BATS_LANE=$lane bats --formatter tap --jobs 1 "$file" </dev/null >"$name/log" 2>&1 3>&- || true
    count_tap "$file" "$name/log" $((SECONDS - begin)) "$name.counts" >"$name/report"
    cat "$name/report"
  done
}

# count_tap FILE LOG SECONDS COUNTS: a file that promises tests and reports fewer
# has failed.
count_tap() {
  local planned passed failed skipped strict=0
  if [[ -n ${CI:-} ]]; then strict=1; fi
  read -r planned passed failed skipped < <(awk -v strict="$strict" '
    /^1\.\.[0-9]+/ { split($0, p, "[.][.]"); planned = p[2] }
    /^ok .* # skip/ && strict && !/ # skip cannot here: / { failed++; next }
    /^ok .* # skip/ { skipped++; next }
    /^ok / { passed++ }
    /^not ok / { failed++ }
    END { print planned + 0, passed + 0, failed + 0, skipped + 0 }' "$2")
  if ((passed + failed + skipped < planned || planned == 0)); then failed=$((failed + 1)); fi
  printf '%-32s %3d passed, %d failed, %d skipped (%d s)\n' "$1" "$passed" "$failed" "$skipped" "$3"
  if ((failed > 0)); then grep -v '^ok ' "$2" || true; fi
  grep '^ok .* # skip' "$2" || true
  printf '%d %d %d\n' "$passed" "$failed" "$skipped" >"$4"
}

run_main() {
  local suite
  if ! testbed/tools.sh; then FAILED=$((FAILED + 1)); fi
  # First of all, so that no linter's output is the progress of a download.
  go mod download || FAILED=$((FAILED + 1))
  while (($# > 0)); do
    suite=$1
    shift
    case $suite in
      lint) suite_lint ;;
      go) suite_go ;;
      bats)
        suite_bats "$@"
        set --
        ;;
      *)
        echo "unknown suite '$suite': lint, go or bats" >&2
        exit 2
        ;;
    esac
  done

  echo
  if ((SKIPPED > 0)); then echo "$SKIPPED skipped"; fi
  echo "$PASSED passed, $FAILED failed"
  ((FAILED == 0))
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then run_main "$@"; fi
