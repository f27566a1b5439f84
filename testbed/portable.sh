#!/usr/bin/env bash
# Names what bash 3.2 or the BSD tools (macOS has both) do not know in the files
# that users run. A lint: macOS itself is not exercised.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Pattern, then what is wrong with it.
RULES='
(declare|local) -[a-zA-Z]*A|associative arrays: bash 4
(declare|local) -[a-zA-Z]*n |name references: bash 4.3
(mapfile|readarray)\b|bash 4
\$\{[A-Za-z_][A-Za-z_0-9]*(\[[^]]*\])?(,|\^)|case conversion: bash 4
\$\{[A-Za-z_][A-Za-z_0-9]*@|transformations: bash 4.4
\[-[0-9]+\]|negative indices: bash 4.3
\bwait -n|bash 4.3
\bcoproc\b|bash 4
&>>|bash 4
\|&|bash 4
printf [^|]*%\(|times in printf: bash 4.2
\breadlink -[fem]|GNU
\brealpath\b|not on older macOS
\bsed -i|its argument differs
\bsed -[a-z]*r|GNU; -E is everywhere
\bgrep -[a-zA-Z]*P|GNU
\bdate (-d|--|\+[^ ]*%[0-9]*N)|GNU
\bstat -|its options differ
\b(find|xargs) [^|]*(-printf|-r )|GNU
\bhead -n -|GNU
(^ *|[;&|(] *)(tac|timeout|seq|nproc|shuf|flock) |not on macOS
\bsort -[a-zA-Z]*V|GNU
\bmktemp --|GNU
\bcp -[a-z]*a|GNU
\bps (-e|aux|--)|not asked for: name the process
\bdf -[a-zA-Z]*B|GNU
'
# An empty array in double quotes is an error of "set -u" before bash 4.4, which
# no pattern can tell: write ${a[@]+"${a[@]}"} where it may be empty.

status=0
while IFS= read -r rule; do
  if [[ -z $rule ]]; then continue; fi
  # The pattern may have a "|" of its own: the last one is ours.
  if found=$(grep -nE -e "${rule%|*}" scripts/cluster_init.sh scripts/aikv-tool scripts/lib/*.sh | grep -vE '^[^:]*:[0-9]+: *#'); then
    printf '%s\n  %s\n' "$found" "${rule##*|}"
    status=1
  fi
done <<<"$RULES"
exit "$status"
