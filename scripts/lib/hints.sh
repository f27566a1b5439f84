# shellcheck shell=bash
# What is proposed to be typed: command lines that work when they are pasted into
# the shell that the tool was called from.

# quoted WORD sets QUOTED: the word as a shell takes it, in quotes where it needs them.
quoted() {
  local rest=$1 quote="'\\''"
  case $1 in
    "" | *[!A-Za-z0-9_./:,@%+=-]*) ;;
    *)
      QUOTED=$1
      return 0
      ;;
  esac
  QUOTED="'"
  while [[ $rest == *\'* ]]; do
    QUOTED="$QUOTED${rest%%\'*}$quote"
    rest=${rest#*\'}
  done
  QUOTED="$QUOTED$rest'"
}

# program NAME prints how a script beside this one, or a binary, is called.
program() {
  if [[ $(command -v "${1##*/}" 2>/dev/null) -ef $1 ]]; then
    printf '%s' "${1##*/}"
  else
    quoted "$1"
    printf '%s' "$QUOTED"
  fi
}

# tool VERB [N…] prints the command to type, with the options that lead to this cluster.
tool() {
  program "$SCRIPTS/aikv-tool"
  printf ' cluster %s' "$1"
  if ((GIVEN == 1)); then
    quoted "$OPT_MASTERS"
    printf ' -m %s' "$QUOTED"
    if [[ -n $OPT_REPLICAS ]]; then
      quoted "$OPT_REPLICAS"
      printf ' -r %s' "$QUOTED"
    fi
    return 0
  fi
  if ((DIR_DEFAULT == 0)); then
    quoted "$DIR"
    printf ' --dir %s' "$QUOTED"
  fi
  case ${1%% *} in setup | status | verify | doctor | report | env | partition | heal) ;; *) return 0 ;; esac
  conf_read || true
  if [[ $BASE_PORT != "${CONF_BASE_PORT:-6379}" ]]; then printf ' --base-port %s' "$BASE_PORT"; fi
  if [[ $MASTERS != "${CONF_SHARDS:-3}" ]]; then printf ' --shards %s' "$MASTERS"; fi
  if [[ $REPLICAS != "${CONF_REPLICAS:-1}" ]]; then printf ' --replicas-per-shard %s' "$REPLICAS"; fi
}

# client prints the program, with its options, that a command of Redis is typed to.
client() {
  if ((${#CLI[@]} > 0)); then
    printf '%s' "${CLI[*]}"
  elif [[ -n $AIKV ]]; then
    printf '%s cli' "$(program "$AIKV")"
  else
    printf 'aikv cli'
  fi
}
