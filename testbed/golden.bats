#!/usr/bin/env bats
# The awk programs of scripts/lib over answers of nodes that are kept in files:
# testbed/golden/CASE holds ans.N, what node N answered to "collect", shape, and
# want, what each program makes of it. Every awk that is installed has to agree.
# golden/capture.sh adds a case; UPDATE=1 writes what comes out to want.
load helpers

setup() { AWKS=$BATS_TEST_TMPDIR/awks; }

# awks sets FOUND to a folder an awk: each holds that one, as "awk".
awks() {
  local name
  FOUND=()
  for name in mawk gawk original-awk busybox; do
    command -v "$name" >/dev/null || continue
    mkdir -p "$AWKS/$name"
    FOUND+=("$AWKS/$name")
    if [[ $name == busybox ]]; then
      printf '#!/bin/sh\nexec busybox awk "$@"\n' >"$AWKS/$name/awk"
      chmod +x "$AWKS/$name/awk"
    else
      ln -sf "$(command -v "$name")" "$AWKS/$name/awk"
    fi
  done
  ((${#FOUND[@]} > 0))
}

# judged CASE: what the programs make of it. shape holds MASTERS, REPLICAS, LOOSE,
# STATES (up if empty), HOST if the nodes were named otherwise, and NUMS, BASE_PORT,
# CONF_SPARES and CONF_MASTERS for a cluster that add or remove has changed.
judged() {
  # shellcheck disable=SC2034 # the scripts read them
  local SCRIPTS=$ROOT/scripts WORK=$ROOT/testbed/golden/$1 ADDRS=() STATES=() NUMS=() LOOSE=0 HOST=127.0.0.1 file program want CONF_SPARES="" CONF_MASTERS=""
  # shellcheck source=../scripts/lib/state.sh
  source "$ROOT/scripts/lib/state.sh"
  # shellcheck source=../scripts/lib/table.sh
  source "$ROOT/scripts/lib/table.sh"
  # shellcheck disable=SC1091 # MASTERS, REPLICAS and the others
  source "$WORK/shape"
  for file in "$WORK"/ans.*; do ADDRS+=("$HOST:$((7000 + ${file##*.}))"); done
  for program in plan check diagnosis nodes json moves; do
    printf '== %s\n' "$program"
    case $program in
      nodes) nodes_awk ;;
      json) printf '{%s}\n%s\n' "$(nodes_awk json=2)" "$(nodes_json | sed 's/},{.*/}/')" ;;
      moves) for want in rebalance open owners "leaving left=1"; do
        # shellcheck disable=SC2086 # words
        state_run moves want=$want "numbers=${NUMS[*]-}" chunk=4096
      done ;;
      diagnosis) state_run diagnosis "client=redis-cli" "states=${STATES[*]-}" 'setup=aikv-tool cluster setup' 'start=aikv-tool cluster start' "down=$(printf '%s\n' "${STATES[@]-}" | grep -c -e down)" ;;
      *) state_run "$program" ;;
    esac
  done
}

@test "what the programs make of kept answers, with every awk that is here" {
  local folder case path wrong=0
  awks
  for folder in "${FOUND[@]}"; do
    for path in "$ROOT"/testbed/golden/*/; do
      case=$(basename "$path")
      PATH=$folder:$PATH judged "$case" >"$BATS_TEST_TMPDIR/got" 2>&1 || echo "exit $?" >>"$BATS_TEST_TMPDIR/got"
      if [[ -n ${UPDATE:-} ]]; then cp "$BATS_TEST_TMPDIR/got" "$path/want"; fi
      if ! diff -u "$path/want" "$BATS_TEST_TMPDIR/got"; then
        echo "$case, with ${folder##*/}" >&2
        wrong=1
      fi
    done
  done
  ((wrong == 0))
}
