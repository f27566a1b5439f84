#!/usr/bin/env bats
# run.sh: what does not pass is counted as failed. bats and go are stubs here.
load helpers

setup() {
  export BIN=$BATS_TEST_TMPDIR/bin
  mkdir "$BIN"
  unset CI
}

# stub PROGRAM: the rest of stdin is what it does.
stub() {
  { echo '#!/usr/bin/env bash' && cat; } >"$BIN/$1"
  chmod +x "$BIN/$1"
}

# counted "PASSED FAILED SKIPPED" COMMAND…: what a function of run.sh counts.
counted() {
  local want=$1
  shift
  # shellcheck disable=SC2016 # the inner bash expands it
  is "$want" env PATH="$BIN:$PATH" bash -c '. "$0/testbed/run.sh"; set +e; "$@" >"$BIN/out" 2>&1; echo "$PASSED $FAILED $SKIPPED"' "$ROOT" "$@"
}

@test "go test that fails without naming a test has failed" {
  stub go <<<'echo "--- PASS: TestOne (0.00s)"; echo "ok  	example.org/one	0.1s"; echo "go: cannot find it" >&2; exit 1'
  counted "1 1 0" go_test ./...
  stub go <<<'echo "--- PASS: TestOne (0.00s)"; echo "ok  	example.org/one	0.1s"'
  counted "1 0 0" go_test ./...
}

@test "a bats file that leaves no counts has failed" {
  stub bats <<'BATS'
kill -KILL "$PPID"
BATS
  stub make <<<'exit 0'
  counted "0 2 0" suite_bats testbed/one.bats testbed/two.bats
  stub bats <<<'printf "1..2\nok 1 a\nok 2 b\n"'
  counted "4 0 0" suite_bats testbed/one.bats testbed/two.bats
  stub bats <<<'printf "1..2\nok 1 a\n"'
  counted "1 1 0" suite_bats testbed/one.bats
}

@test "in CI, a skip is a failure unless nothing can be done about it" {
  stub make <<<'exit 0'
  stub bats <<<'printf "1..3\nok 1 a\nok 2 b # skip needs jq\nok 3 c # skip cannot here: no IPv6\n"'
  stub go <<'GO'
printf '=== RUN   TestOne\n    one_test.go:12: redis-server is not installed\n--- SKIP: TestOne (0.00s)\n'
printf '=== RUN   TestTwo\n    two_test.go:12: cannot here: no IPv6\n--- SKIP: TestTwo (0.00s)\nok  \texample.org/one\t0.1s\n'
GO
  counted "1 0 2" suite_bats testbed/one.bats
  CI=1 counted "1 1 1" suite_bats testbed/one.bats
  counted "0 0 2" go_test ./...
  CI=1 counted "0 1 1" go_test ./...
  CI=1 counted "0 0 2" go_test -short ./...
}
