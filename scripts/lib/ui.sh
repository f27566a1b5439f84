# shellcheck shell=bash
# Output, time and exit: everything a script says goes through here.
# Progress and errors go to stderr, results to stdout.

# Exit codes, the same for every script.
readonly EXIT_INTERNAL=1 EXIT_USAGE=2 EXIT_PREREQ=3 EXIT_CONFLICT=4 EXIT_MISMATCH=5
readonly EXIT_UNREACHABLE=6 EXIT_VERIFY=7 EXIT_NOTHING=8 EXIT_INTERRUPTED=130
: "$EXIT_INTERNAL" "$EXIT_USAGE" "$EXIT_PREREQ" "$EXIT_CONFLICT" "$EXIT_MISMATCH"
: "$EXIT_UNREACHABLE" "$EXIT_VERIFY" "$EXIT_NOTHING" "$EXIT_INTERRUPTED"

UI_QUIET=0
UI_JSON=0
UI_STEPS=""      # JSON objects of the finished steps, comma separated
CHECKS=""        # and those of the checklist
UI_STEP_START=0  # ms
UI_DEADLINE_MS=0 # 0: none
UI_TIMEOUT=60    # seconds, for messages

# ui_now sets NOW_MS: milliseconds on a clock that only differences matter of.
# bash before 5 has whole seconds only.
ui_now() {
  if ((BASH_VERSINFO[0] >= 5)); then
    local seconds="${EPOCHREALTIME%[.,]*}" micros="${EPOCHREALTIME#*[.,]}"
    NOW_MS=$((seconds * 1000 + 10#${micros} / 1000))
  else
    NOW_MS=$((SECONDS * 1000))
  fi
}

ui_init() {
  C_OK="" C_BAD="" C_DIM="" C_END=""
  if [[ -t 2 && -z "${NO_COLOR:-}" && "${TERM:-dumb}" != dumb ]]; then
    C_OK=$'\033[32m' C_BAD=$'\033[31m' C_DIM=$'\033[2m' C_END=$'\033[0m'
  fi
  O_BAD="" O_OK="" O_END=""
  if [[ -t 1 && -z "${NO_COLOR:-}" && "${TERM:-dumb}" != dumb ]]; then
    O_OK=$'\033[32m' O_BAD=$'\033[31m' O_END=$'\033[0m'
  fi
  ui_now
  UI_START=$NOW_MS
}

# ui_deadline SECONDS starts the one deadline.
ui_deadline() {
  ui_now
  UI_TIMEOUT=$1
  UI_DEADLINE_MS=$((NOW_MS + $1 * 1000))
}

# ui_left sets LEFT_S: whole seconds to the deadline, rounded up; 0 when it has passed.
ui_left() {
  ui_now
  LEFT_S=$(((UI_DEADLINE_MS - NOW_MS + 999) / 1000))
  if ((LEFT_S < 0)); then LEFT_S=0; fi
}

# ui_seconds MS sets SECONDS_TEXT, such as "0.42 s".
ui_seconds() {
  printf -v SECONDS_TEXT '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10))
}

# many COUNT NOUN sets MANY: "1 node", "2 nodes".
many() {
  MANY="$1 $2"
  if (($1 != 1)); then MANY="${MANY}s"; fi
}

say() {
  if ((UI_QUIET == 0)); then printf '%s\n' "$*" >&2; fi
}

warn() { printf '%s\n' "${C_BAD}warning:${C_END} $*" >&2; }

json_string() { # sets JSON_TEXT
  local s=$1
  s=${s//\\/\\\\}
  s=${s//\"/\\\"}
  s=${s//$'\n'/\\n}
  s=${s//$'\t'/\\t}
  s=${s//$'\r'/}
  s=${s//[[:cntrl:]]/?}
  JSON_TEXT="\"$s\""
}

step_begin() {
  ui_now
  UI_STEP_START=$NOW_MS
}

# ui_line MARK NAME TEXT MS
ui_line() {
  local mark="${C_OK}✓${C_END}"
  if [[ $1 != ok ]]; then mark="${C_BAD}✗${C_END}"; fi
  ui_seconds "$4"
  local row
  printf -v row '%-9s %-48s' "$2" "$3"
  say "$mark $row ${C_DIM}${SECONDS_TEXT}${C_END}"
}

# step_done NAME TEXT: the tick line of a step that began with step_begin.
step_done() {
  ui_now
  local ms=$((NOW_MS - UI_STEP_START))
  ui_line ok "$1" "$2" "$ms"
  json_string "$2"
  UI_STEPS="$UI_STEPS${UI_STEPS:+,}{\"step\":\"$1\",\"detail\":$JSON_TEXT,\"ms\":$ms}"
}

# result_done [FIELDS]: the result of a verb that acts, with --json; FIELDS are more
# members of the object, each with a comma before it.
result_done() {
  if ((UI_JSON == 1)); then printf '{"schema":1,"ok":true%s,"steps":[%s]}\n' "${1:-}" "$UI_STEPS"; fi
}

# die CODE WHAT [WHY [WHAT-TO-DO]]: each further argument is a line of its own.
die() {
  local code=$1 what=$2
  shift 2
  printf '%s\n' "${C_BAD}error:${C_END} $what" >&2
  local line
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  if ((UI_JSON == 1)); then
    local error hint=""
    json_string "$what"
    error=$JSON_TEXT
    for line in "$@"; do hint="$hint${hint:+ }$line"; done
    json_string "$hint"
    printf '{"schema":1,"ok":false,"code":%d,"error":%s,"hint":%s,"steps":[%s]%s}\n' "$code" "$error" "$JSON_TEXT" "$UI_STEPS" \
      "${CHECKS:+,\"checks\":[$CHECKS]}"
  fi
  exit "$code"
}

# ui_confirm QUESTION: asks on the terminal; anything but y or yes is no.
ui_confirm() {
  local answer=""
  printf '%s [y/N] ' "$1" >&2
  IFS= read -r answer || true
  case $answer in
    y | Y | yes | YES | Yes) return 0 ;;
  esac
  return 1
}
