# shellcheck shell=bash
# The verbs of "aikv-tool cluster" and their options: one row each. The help, the
# completions and the check of what is typed all come from these two tables.

# Verb | function | arguments | options besides the common ones | what it does | examples
# "@nodes" stands for the options that say which nodes, "@shape" for those of them that
# number them, "@init" for those of cluster_init.sh.
VERBS='
setup|verb_setup||@nodes @init|bring up and verify a cluster, as cluster_init.sh does|setup;setup --shards 1 --replicas-per-shard 2 --base-port 17000 --dir /tmp/small
start|verb_start|[N...]|--timeout --json|start the nodes that are stopped, and wait for them|start;start 2
stop|verb_stop|[N...]|--json|stop the nodes; data stays|stop;stop 2 5
restart|verb_restart|[N...]|--timeout --json|stop and start the nodes, so that a changed configuration acts|restart;restart 3
clean|verb_clean||--yes --json|stop the nodes and remove their data|clean;clean --yes --dir /tmp/small
status|verb_status||@nodes --watch --json|the cluster and its nodes, and what to type where something is wrong|status;status --watch;status --json
verify|verb_verify||@nodes --timeout --json|the checklist, each point on every node; with --timeout, until it holds|verify;verify --timeout 20;verify -m h1:6379,h2:6379 -r h3:6379,h4:6379
doctor|verb_doctor||@nodes --fix --yes --json|say what is wrong, why, and what to do; do it with --fix|doctor;doctor --fix
report|verb_report||@nodes --lines|everything that a bug report should contain|report >report.txt
logs|verb_logs|[N...]|--follow --lines|the last lines of the logs|logs;logs 1 -f;logs -n 100 2 3
call|verb_call|CMD [ARG...]|@nodes --timeout --json|send a command to every node; options stand before it|call DBSIZE;call --timeout 5 CONFIG SET loglevel debug
kill|verb_kill|N...|--json|end nodes by SIGKILL, as a crash would|kill 1
pause|verb_pause|N...|--json|stop the process of nodes by SIGSTOP: they hang|pause 2
resume|verb_resume|N...|--json|let paused nodes go on|resume 2
partition|verb_partition|N[,M...]|@shape --json|cut a group of nodes off from all others, until heal; processes or containers|partition 2;partition 2,5;partition 1 --base-port 7379
heal|verb_heal||@shape --json|end the partition|heal;heal --dir /tmp/small
add|verb_add||--replica-of --rebalance --dry-run --timeout --json|start one more node and let it join, as a master without slots or as a replica|add;add --rebalance;add --replica-of 1
remove|verb_remove|N|--drain --dry-run --timeout --json|let a node without slots leave, stop it and remove its data; with --drain, its slots move to the other masters first|remove 7;remove 3 --drain
rebalance|verb_rebalance||@nodes --weights --dry-run --timeout --json|move slots until each master has its share, while clients work|rebalance;rebalance --weights 1=2,4=0;rebalance --dry-run
move|verb_move|SLOTS FROM TO|@nodes --dry-run --timeout --json|move slots, with their keys, from one node to another, while clients work|move 0-99,200 1 2
env|verb_env||@nodes --json|export lines that describe the cluster, for eval|env;eval "$(aikv-tool cluster env)"
'

# Option | short form | its value | what it says
OPTIONS='
--dir||D|the folder of the cluster (.aikv in the project, or CLUSTER_DIR)
--quiet|-q||errors and the result only
--help|-h||this text
--json|||the result as one JSON object
--yes|-y||do not ask
--timeout||S|one deadline for everything (60)
--follow|-f||go on with what is written from now on
--lines|-n|N|so many lines of each log (20)
--watch|||show it again every second, until Ctrl-C
--fix|||do what helps, after asking
--replica-of||N|follow node N
--rebalance|||then move slots until each master, the new one too, has its share
--drain|||first move its slots to the other masters, evenly
--weights||N=W,...|how much node N gets, where others get 1; 0 empties it
--dry-run|||only say what would be done
--base-port||P|the first client port (6379)
--shards||N|the number of masters (3)
--replicas-per-shard||R|the replicas of each (1)
--masters|-m|HOST:PORT,...|nodes that run anywhere, instead of those of the folder
--replicas|-r|HOST:PORT,...|and their replicas
'
COMMON_OPTIONS="--dir --quiet --help"
SHAPE_OPTIONS="--base-port --shards --replicas-per-shard"
NODES_OPTIONS="$SHAPE_OPTIONS --masters --replicas"

# verb_row NAME sets VERB_FUNCTION, VERB_ARGS, VERB_OPTIONS, VERB_TEXT and
# VERB_EXAMPLES; false if there is no such verb.
verb_row() {
  local name
  while IFS='|' read -r name VERB_FUNCTION VERB_ARGS VERB_OPTIONS VERB_TEXT VERB_EXAMPLES; do
    if [[ -n $name && $name == "$1" ]]; then
      VERB_OPTIONS="$VERB_OPTIONS $COMMON_OPTIONS"
      VERB_OPTIONS=${VERB_OPTIONS//@nodes/$NODES_OPTIONS}
      VERB_OPTIONS=${VERB_OPTIONS//@shape/$SHAPE_OPTIONS}
      return 0
    fi
  done <<<"$VERBS"
  return 1
}

# option_row NAME sets OPTION, OPTION_VALUE and OPTION_TEXT, by its long or short
# name; false if there is none.
option_row() {
  local short
  while IFS='|' read -r OPTION short OPTION_VALUE OPTION_TEXT; do
    if [[ -n $OPTION ]] && [[ $OPTION == "$1" || $short == "$1" ]]; then return 0; fi
  done <<<"$OPTIONS"
  return 1
}

verb_names() {
  local name rest
  while IFS='|' read -r name rest; do
    : "$rest"
    if [[ -n $name ]]; then printf '%s\n' "$name"; fi
  done <<<"$VERBS"
}

# verb_usage NAME: its help.
verb_usage() {
  local example option short value text rest
  verb_row "$1"
  printf 'Usage: aikv-tool cluster %s%s [options]\n\n  %s\n\n' "$1" "${VERB_ARGS:+ $VERB_ARGS}" "$VERB_TEXT"
  printf 'Options:\n'
  while IFS='|' read -r option short value text; do
    case " $VERB_OPTIONS " in
      *" ${option:--} "*) printf '  %-3s %-32s %s\n' "${short:+$short,}" "$option${value:+ $value}" "$text" ;;
    esac
  done <<<"$OPTIONS"
  case $VERB_OPTIONS in *@init*) printf '      and the others of cluster_init.sh: see cluster_init.sh --help\n' ;; esac
  case $VERB_ARGS in *SLOTS*) printf '\nSLOTS are slots and ranges of them, 0-16383; FROM and TO the numbers of nodes, from 1, as\n"aikv-tool cluster status" shows them.\n' ;; *N*) printf '\nN is the number of a node, from 1, as "aikv-tool cluster status" shows it.\n' ;; esac
  printf '\nExamples:\n'
  rest="$VERB_EXAMPLES;"
  while [[ -n $rest ]]; do
    example=${rest%%;*}
    rest=${rest#*;}
    case $example in eval*) printf '  %s\n' "$example" ;; *) printf '  aikv-tool cluster %s\n' "$example" ;; esac
  done
}

tool_usage() {
  printf 'Usage: aikv-tool cluster VERB [options]\n       aikv-tool completion bash|zsh\n\n'
  local name function args options text examples
  while IFS='|' read -r name function args options text examples; do
    if [[ -n $name ]]; then printf '  %-9s %-13s %s\n' "$name" "$args" "$text"; fi
    : "$function" "$options" "$examples"
  done <<<"$VERBS"
  cat <<'USAGE'

"aikv-tool cluster VERB --help" shows its options and examples. Every verb takes
--dir D, the folder of the cluster (.aikv in the project, or CLUSTER_DIR).

Exit codes: 0 ok, 1 internal (call: an error reply), 2 usage, 3 prerequisite
missing, 4 port conflict, 5 exists or mismatch, 6 unreachable or timeout,
7 verification failed or degraded, 8 nothing runs, 130 interrupted.
USAGE
}

# verb_parse VERB ARGS…: checks what was typed against the verb's row. What is no
# option is left in WORDS; the nodes that are meant, as init_targets sets them.
verb_parse() {
  local verb=$1 arg value keep=()
  shift
  verb_row "$verb"
  WORDS=() OPT_FOLLOW=0 OPT_LINES=20 OPT_WATCH=0 OPT_FIX=0 OPT_REPLICA_OF="" OPT_REBALANCE=0 OPT_DRAIN=0 OPT_WEIGHTS=""
  while (($# > 0)); do
    arg=$1
    shift
    case $arg in
      --*=*)
        set -- "${arg#*=}" ${@+"$@"}
        arg=${arg%%=*}
        if option_row "$arg" && [[ -z $OPTION_VALUE ]]; then usage_error "$arg takes no value"; fi
        ;;
      -?*) ;;
      *)
        WORDS+=("$arg")
        if [[ $VERB_ARGS == CMD* ]]; then
          WORDS+=(${@+"$@"}) # the rest is the command's
          break
        fi
        continue
        ;;
    esac
    option_row "$arg" || usage_error "unknown option '$arg'" "aikv-tool cluster $verb --help lists the options."
    case " $VERB_OPTIONS " in
      *" $OPTION "*) ;;
      *) usage_error "'$verb' has no option $arg" "aikv-tool cluster $verb --help lists the options." ;;
    esac
    value=""
    if [[ -n $OPTION_VALUE ]]; then
      if (($# == 0)); then usage_error "$arg wants a value"; fi
      value=$1
      shift
    fi
    case $OPTION in
      --help)
        verb_usage "$verb"
        exit 0
        ;;
      --follow) OPT_FOLLOW=1 ;;
      --watch) OPT_WATCH=1 ;;
      --fix) OPT_FIX=1 ;;
      --rebalance) OPT_REBALANCE=1 ;;
      --drain) OPT_DRAIN=1 ;;
      --weights)
        OPT_WEIGHTS=$value
        if [[ -z $value ]]; then usage_error "--weights wants N=W,…, not ''"; fi
        ;;
      --lines) need_number "$arg" "$value" 0 999999 && OPT_LINES=$NUMBER ;;
      --replica-of) need_number "$arg" "$value" 1 100000 && OPT_REPLICA_OF=$NUMBER ;;
      *)
        keep+=("$OPTION")
        if [[ -n $OPTION_VALUE ]]; then keep+=("$value"); fi
        ;;
    esac
  done
  ui_init
  init_parse ${keep[@]+"${keep[@]}"}
  init_targets
}

no_words() {
  if ((${#WORDS[@]} > 0)); then usage_error "unexpected argument '${WORDS[0]}'"; fi
}

# node_words VERB: the words are numbers of nodes of the folder, at least one; each
# is left in WORDS once.
node_words() {
  local word words=()
  if ((${#WORDS[@]} == 0)); then usage_error "$1: which node?" "Its number, as in: aikv-tool cluster $1 1"; fi
  for word in "${WORDS[@]}"; do
    need_number "$1" "$word" 1 100000
    index_of_node "$NUMBER" || die "$EXIT_MISMATCH" "there is no node $NUMBER in $DIR" "Its nodes are: ${NUMS[*]}"
    case " ${words[*]-} " in *" $NUMBER "*) ;; *) words+=("$NUMBER") ;; esac
  done
  WORDS=("${words[@]}")
}

# need_dir refuses where there is no cluster of ours.
need_dir() {
  conf_read || die "$EXIT_MISMATCH" "there is no cluster in $DIR" "Name its folder with --dir, or make one: $(tool setup)"
}

# tool_completion SHELL prints what eval or source needs there.
tool_completion() {
  local name words="" option short rest flags=""
  for name in $(verb_names); do words="$words $name"; done
  while IFS='|' read -r option short rest; do
    : "$short" "$rest"
    flags="$flags${option:+ $option}"
  done <<<"$OPTIONS"
  case ${1:-} in
    bash)
      printf '_aikv_tool_verbs="%s"\n' "${words# }"
      for name in $words; do
        verb_row "$name"
        printf '_aikv_tool_options_%s="%s"\n' "$name" "${VERB_OPTIONS//@init/--reset --check-only --dry-run --timeout --yes --json}"
      done
      cat <<'SCRIPT'
_aikv_tool() {
  local current=${COMP_WORDS[COMP_CWORD]} options
  COMPREPLY=()
  case $COMP_CWORD in
    1) options="cluster completion --help" ;;
    2) if [[ ${COMP_WORDS[1]} == completion ]]; then options="bash zsh"; else options="$_aikv_tool_verbs --help"; fi ;;
    *)
      options="_aikv_tool_options_${COMP_WORDS[2]}"
      options=${!options:-}
      ;;
  esac
  while IFS= read -r options; do COMPREPLY+=("$options"); done < <(compgen -W "$options" -- "$current")
}
complete -o default -F _aikv_tool aikv-tool
SCRIPT
      ;;
    zsh)
      printf 'typeset -gA _aikv_tool_options\n'
      for name in $words; do
        verb_row "$name"
        printf '_aikv_tool_options[%s]="%s"\n' "$name" "${VERB_OPTIONS//@init/--reset --check-only --dry-run --timeout --yes --json}"
      done
      cat <<'SCRIPT'
_aikv_tool() {
  case $CURRENT in
    2) compadd cluster completion -- --help ;;
    3) if [[ $words[2] == completion ]]; then compadd bash zsh; else compadd -- ${(k)_aikv_tool_options} --help; fi ;;
    *) compadd -- ${=_aikv_tool_options[$words[3]]} ;;
  esac
}
compdef _aikv_tool aikv-tool
SCRIPT
      ;;
    *) usage_error "completion for which shell?" "aikv-tool completion bash, or: aikv-tool completion zsh" ;;
  esac
}
