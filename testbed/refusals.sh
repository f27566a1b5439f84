#!/usr/bin/env bash
# Names what the scripts refuse with and scripts/README.md, section Troubleshooting,
# does not list. Usage errors (exit 2) say all there is to say; of each other one, its
# longest piece without a variable has to stand there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

awk '
  FILENAME ~ /README/ { if (/^## /) inside = /Troubleshooting/; if (inside) told = told "\n" $0; next }
  {
    line = $0
    if (FILENAME ~ /plan.awk/ && match(line, /refuse\(/)) { # its first argument: strings, and what is put between them
      line = substr(line, RSTART + RLENGTH)
      if (line !~ /"/) next
      sub(/, "(Keep|They|Run|Give|Save|See|The).*/, "", line)
      n = split(line, piece, /"/)
      best = ""
      for (i = 2; i <= n; i += 2) { gsub(/^[ :,()]+|[ :,()]+$/, "", piece[i]); if (length(piece[i]) > length(best)) best = piece[i] }
      if (length(best) > 3 && !index(told, best)) { print FILENAME ":" FNR ": " best; bad = 1 }
      next
    }
    if (!match(line, /die "\$EXIT_[A-Z]+" "/)) next
    if (line ~ /EXIT_USAGE/) next
    line = substr(line, RSTART + RLENGTH)
    gsub(/\\"/, "\001", line)
    sub(/".*/, "", line) # but for a string within $( )
    n = split(line, piece, /\$\{[^}]*\}|\$\([^)]*\)?|\$[A-Za-z_0-9]+/)
    best = ""
    for (i = 1; i <= n; i++) {
      gsub(/^[ :,()'"'"']+|[ :,()'"'"']+$/, "", piece[i])
      if (length(piece[i]) > length(best)) best = piece[i]
    }
    if (length(best) > 3 && !index(told, best)) { print FILENAME ":" FNR ": " best; bad = 1 }
  }
  END { exit bad }
' scripts/README.md scripts/lib/*.sh scripts/lib/plan.awk || {
  echo "  say in scripts/README.md, Troubleshooting, why it comes and what to do"
  exit 1
}
