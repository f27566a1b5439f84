#!/usr/bin/env bash
# Names deadlines of tests that are written down as a number: what must happen is
# waited for as long as testbed/limit (Go) or retry, gone and within (helpers.bash)
# say, which a slow machine can have more of. Simulated clocks are not meant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
seconds='([0-9]+ ?\* ?)?time\.(Second|Minute)\)'
if grep -rnE --include='*_test.go' "time\.(After|Now\(\)\.Add)\($seconds|(context\.WithTimeout\(.*|DialTimeout\(.*), ?$seconds" node testbed |
  grep -vE '^node/sched/|// deadline: '; then
  echo "  use testbed/limit; or say on that line why not: // deadline: …"
  status=1
fi
if grep -nE '(^|[^-a-z_])timeout [0-9]+ ' testbed/*.bats | grep -vE 'retry |^[^:]*:[0-9]+: *#|is [a-zA-Z"]+ timeout '; then
  echo "  use within (helpers.bash)"
  status=1
fi
exit "$status"
