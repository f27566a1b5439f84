# shellcheck shell=bash
# Speaking to nodes: one client process a node carries a whole batch of
# commands, and all nodes are asked at the same time.
#
# A batch is built with ask NODE LABEL COMMAND… and sent with ask_all. Each
# answer file holds, per command, a line "@@LABEL" and the reply under it, and
# "@@end" last; a file without "@@end" belongs to a node that did not answer.

ADDRS=() # HOST:PORT of every node, masters first; index = node
CLI=()   # redis-cli and its options; empty: aikv cli
WORK=""  # scratch folder
BATCH=() # the commands of the batch being built, per node
ASKED=() # the nodes of the last batch
ASK_PIDS=()
NODE_HOST="" NODE_PORT=""

# cli_find chooses redis-cli (REDIS_CLI overrides) or aikv cli.
cli_find() {
  CLI=()
  if [[ -n "${REDIS_CLI:-}" ]]; then
    read -r -a CLI <<<"$REDIS_CLI"
    command -v "${CLI[0]}" >/dev/null 2>&1 ||
      die "$EXIT_PREREQ" "REDIS_CLI=$REDIS_CLI: no such program" "Unset REDIS_CLI, or point it at redis-cli."
  elif command -v redis-cli >/dev/null 2>&1; then
    CLI=(redis-cli)
  fi
}

# need_programs NAME…: dies unless all of them are there.
need_programs() {
  local name missing=""
  for name in "$@"; do command -v "$name" >/dev/null 2>&1 || missing="$missing $name"; done
  if [[ -n $missing ]]; then die "$EXIT_PREREQ" "this needs programs that are not there:$missing" "Install them, or correct PATH ($PATH)."; fi
}

work_open() {
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/aikv.XXXXXX") || die "$EXIT_INTERNAL" "mktemp failed in ${TMPDIR:-/tmp}"
}

work_close() {
  local pid
  for pid in ${ASK_PIDS[@]+"${ASK_PIDS[@]}"}; do kill "$pid" 2>/dev/null || true; done
  ASK_PIDS=()
  if [[ -n $WORK ]]; then rm -rf "$WORK"; fi
  WORK=""
}

# split_addr HOST:PORT sets NODE_HOST and NODE_PORT; IPv6 may be in brackets.
split_addr() {
  NODE_PORT=${1##*:}
  NODE_HOST=${1%:*}
  NODE_HOST=${NODE_HOST#\[}
  NODE_HOST=${NODE_HOST%\]}
}

ask() {
  local node=$1 label=$2
  shift 2
  BATCH[node]="${BATCH[node]:-}ECHO @@$label"$'\n'"$*"$'\n'
}

# ask_one NODE FOLLOW(0|1) OUT: runs the node's batch, read from stdin.
ask_one() {
  split_addr "${ADDRS[$1]}"
  local follow=()
  if (($2 == 1)); then follow=(-c); fi
  if ((${#CLI[@]} > 0)); then
    exec "${CLI[@]}" ${follow[@]+"${follow[@]}"} -h "$NODE_HOST" -p "$NODE_PORT" >"$3" 2>"$3.err"
  fi
  local line words auth=()
  if [[ -n "${REDISCLI_AUTH:-}" ]]; then auth=(-a "$REDISCLI_AUTH"); fi
  while IFS= read -r line; do
    case $line in
      "ECHO @@"*) printf '%s\n' "${line#ECHO }" ;;
      *)
        read -r -a words <<<"$line"
        "$AIKV" cli ${follow[@]+"${follow[@]}"} -h "$NODE_HOST" -p "$NODE_PORT" ${auth[@]+"${auth[@]}"} \
          "${words[@]}" </dev/null 2>"$3.err" || [[ ! -s "$3.err" ]] || break
        ;;
    esac
  done >"$3"
}

# ask_all FOLLOW SECONDS: sends every node its batch and waits for all answers,
# at most so long. The answers are in $WORK/ans.NODE. Afterwards the batch is empty.
ask_all() {
  local node pids=()
  ASKED=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    : >"$WORK/ans.$node"
    : >"$WORK/ans.$node.err"
    if [[ -z "${BATCH[node]:-}" ]]; then continue; fi
    (ask_one "$node" "$1" "$WORK/ans.$node") <<<"${BATCH[node]}ECHO @@end" 3>&- &
    pids+=($!)
    ASKED+=("$node")
  done
  BATCH=()
  if ((${#pids[@]} == 0)); then return 0; fi
  ASK_PIDS=("${pids[@]}")
  wait_jobs "$2" "${pids[@]}"
  ASK_PIDS=()
}

# wait_jobs SECONDS PID…: waits for background jobs and ends those that take longer.
wait_jobs() {
  local seconds=$1 pid timer
  shift
  (
    sleeper=""
    trap 'kill $sleeper 2>/dev/null; exit 0' TERM
    sleep "$seconds" &
    sleeper=$!
    wait "$sleeper"
    kill "$@" 2>/dev/null
  ) </dev/null >/dev/null 2>&1 3>&- &
  timer=$!
  ASK_PIDS+=("$timer")
  for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
  kill "$timer" 2>/dev/null || true
  wait "$timer" 2>/dev/null || true
}

# answered NODE: the node answered its whole batch.
answered() {
  local line last=""
  while IFS= read -r line; do last=$line; done <"$WORK/ans.$1"
  [[ ${last%$'\r'} == @@end ]]
}

# not_ok prints "NODE LABEL TEXT" for every answer of the last batch that is not OK.
not_ok() {
  local node files=()
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do files+=("$WORK/ans.$node"); done
  awk '
    FNR == 1 { n = FILENAME; sub(/.*\./, "", n) }
    { sub(/\r$/, "") }
    /^@@/ { label = substr($0, 3); next }
    /^$/ || /^->/ { next }
    $0 != "OK" { print n, label, $0 }
  ' "${files[@]}"
}

# why_silent NODE: one line on why the node did not answer.
why_silent() {
  local line="" first=""
  while IFS= read -r line; do
    if [[ -n $line && -z $first ]]; then first=${line%$'\r'}; fi
  done <"$WORK/ans.$1.err"
  printf '%s' "${first:-no answer}"
}
