#!/usr/bin/env bash
# Brings up and verifies an AiKv cluster. See --help and README.md.
set -euo pipefail
export LC_ALL=C
unset CDPATH # or "cd" goes elsewhere, and says where

# The folder of this file, through symbolic links.
self=${BASH_SOURCE[0]}
case $self in */*) ;; *) self=./$self ;; esac
while [[ -L $self ]]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=${self%/*}/$link ;;
  esac
done
SCRIPTS=$(cd "${self%/*}" && pwd -P)
ROOT=${SCRIPTS%/*}
# shellcheck source=lib/ui.sh
. "$SCRIPTS/lib/ui.sh"
# shellcheck source=lib/cli.sh
. "$SCRIPTS/lib/cli.sh"
# shellcheck source=lib/state.sh
. "$SCRIPTS/lib/state.sh"
# shellcheck source=lib/folder.sh
. "$SCRIPTS/lib/folder.sh"
# shellcheck source=lib/processes.sh
. "$SCRIPTS/lib/processes.sh"
# shellcheck source=lib/nodes.sh
. "$SCRIPTS/lib/nodes.sh"
# shellcheck source=lib/options.sh
. "$SCRIPTS/lib/options.sh"
# shellcheck source=lib/hints.sh
. "$SCRIPTS/lib/hints.sh"
# shellcheck source=lib/table.sh
. "$SCRIPTS/lib/table.sh"
# shellcheck source=lib/checklist.sh
. "$SCRIPTS/lib/checklist.sh"
# shellcheck source=lib/dryrun.sh
. "$SCRIPTS/lib/dryrun.sh"
# shellcheck source=lib/cluster.sh
. "$SCRIPTS/lib/cluster.sh"
# shellcheck source=lib/members.sh
. "$SCRIPTS/lib/members.sh"
# shellcheck source=lib/moves.sh
. "$SCRIPTS/lib/moves.sh"
# shellcheck source=lib/reshape.sh
. "$SCRIPTS/lib/reshape.sh"
# shellcheck source=lib/init.sh
. "$SCRIPTS/lib/init.sh"

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then init_main "$@"; fi
