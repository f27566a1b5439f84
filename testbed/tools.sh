#!/usr/bin/env bash
# Makes sure that the tools of the testbed are there: installs the missing ones
# with apt when it may, else says in one line what to install.
set -euo pipefail

# Each row: program, Debian package.
TOOLS='
bats            bats
shellcheck      shellcheck
shfmt           shfmt
redis-cli       redis-tools
redis-benchmark redis-tools
redis-server    redis-server
jq              jq
lsof            lsof
perl            perl
mawk            mawk
gawk            gawk
original-awk    original-awk
busybox         busybox
'

missing=()
while read -r program package; do
  if [[ -z $program ]] || command -v "$program" >/dev/null 2>&1; then continue; fi
  case " ${missing[*]-} " in *" $package "*) ;; *) missing+=("$package") ;; esac
done <<<"$TOOLS"
# What the clients of clients.bats need is left to who wants it, but for CI.
if [[ -n ${CI:-} ]]; then
  for language in c php python ruby; do
    packages=$("$(dirname "${BASH_SOURCE[0]}")/clients/ready.sh" "$language") && continue
    read -r -a packages <<<"$packages"
    missing+=("${packages[@]}")
  done
fi
if ((${#missing[@]} == 0)); then exit 0; fi

if ((EUID != 0)) || ! command -v apt-get >/dev/null 2>&1; then
  echo "missing tools, install: ${missing[*]}" >&2
  exit 3
fi

# Installing redis-server would start a service on port 6379: policy-rc.d denies
# that, and is put back afterwards.
policy=/usr/sbin/policy-rc.d
saved=""
restore() {
  rm -f "$policy"
  if [[ -n $saved ]]; then mv "$saved" "$policy"; fi
}
if [[ -e $policy ]]; then
  saved="$policy.aikv-saved"
  mv "$policy" "$saved"
fi
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
  apt-get update -q >/dev/null
  apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}
