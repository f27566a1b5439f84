# shellcheck shell=bash
# The rows of the benchmark. A row is COMMAND[-WHAT]-Pn: n operations of the
# command in a pipeline.

# shellcheck disable=SC2034 # read by bench.sh
CLUSTER_ROWS="SET-P1 SET-P16 GET-P1 GET-P16 HSET-P16 HGET-P1 HGET-P16 ZADD-P16 ZRANGE-P1 INCR-P16 MSET-P16 LPUSH-P16 LPOP-P16 LRANGE_100-P16 LRANGE_600-P16 SADD-P16 SPOP-P16 XADD-P16 MIX-P1 MIX-P16 SET-1M-P16"

# redis-benchmark takes one hash tag for each master and keeps to it: what it calls a
# key is one key of each master, and a random number makes so many of each.
CLIENTS=50
SIZE=64
KEYS=100000
MANY_KEYS=400000 # of each master, of which a million are there in all
FIELDS=10        # of a hash
MIX_KEYS=160000
MEMBERS=100  # of a sorted set
ELEMENTS=600 # of a list, at least
POPPED=2000000

pipeline_of() { echo "${1##*-P}"; }

command_of() { case $1 in MIX-*) echo GET ;; *) echo "${1%%[-_]*}" ;; esac }

# chosen_rows ALL ONLY prints those of ONLY, in the order of ALL.
chosen_rows() {
  local name chosen=""
  for name in $2; do
    case " $1 " in *" $name "*) ;; *)
      echo "there is no row $name: $1" >&2
      exit 2
      ;;
    esac
  done
  for name in $1; do
    case " $2 " in *" $name "*) chosen="$chosen $name" ;; esac
  done
  echo "$chosen"
}

# prepare NAME puts in place what the row works on.
prepare() {
  if [[ -n $PEER ]]; then
    once peer-keys fill_peer
    return
  fi
  case $1 in
    GET-*) once strings benchmark 16 "$KEYS" 2000000 -t set ;;
    HSET-* | HGET-*) once hashes benchmark 16 "$FIELDS" 1000 -t hset ;;
    ZADD-* | ZRANGE-*) once sets fill_sets ;;
    LRANGE*) once lists fill_lists ;;
    LPOP-*) once pushed benchmark 16 "$KEYS" "$POPPED" -t lpush ;;
    SPOP-*) once added benchmark 16 "$KEYS" "$POPPED" -t sadd ;;
    MIX-*) once mixed "$WORK/load" -addr "127.0.0.1:${PORTS[0]}" -keys "$MIX_KEYS" -d "$SIZE" -P 16 -populate ;;
    SET-1M-*) fill_strings 1000000 ;;
  esac >/dev/null
}

# once WHAT COMMAND… runs the command unless this start of the system has had it.
once() {
  local mark="$WORK/$1.$SYSTEM.$RUN"
  if [[ -e $mark ]]; then return; fi
  shift
  "$@" 2>"$WORK/stderr" || {
    cat "$WORK/stderr" >&2
    return 1
  }
  : >"$mark"
}

# fill_strings COUNT adds keys until there are so many.
fill_strings() {
  while (($(keys_of_masters) < $1)); do benchmark 16 "$MANY_KEYS" 500000 -t set; done
}

keys_of_masters() {
  local port keys=0 line
  for port in "${PORTS[@]}"; do
    line=$(redis-cli -p "$port" INFO replication | tr -d '\r' | grep '^role:')
    if [[ $line == role:master ]]; then keys=$((keys + $(redis-cli -p "$port" DBSIZE))); fi
  done
  echo "$keys"
}

# fill_sets gives each master a sorted set of MEMBERS members.
fill_sets() {
  local n pairs=()
  for ((n = 0; n < MEMBERS; n++)); do pairs+=("$n" "$(printf 'm:%012d' "$n")"); done
  benchmark 1 1 100 ZADD 'z:{tag}' "${pairs[@]}"
}

# fill_lists gives each master a list of at least ELEMENTS elements.
fill_lists() {
  local n elements=()
  for ((n = 0; n < ELEMENTS; n++)); do elements+=("$n"); done
  benchmark 1 1 100 RPUSH 'l:{tag}' "${elements[@]}"
}

# benchmark PIPELINE RANGE COUNT ARGUMENTS… prints what redis-benchmark says.
benchmark() {
  local pipeline=$1 range=$2 count=$3
  shift 3
  redis-benchmark --cluster -p "${PORTS[0]}" -P "$pipeline" -r "$range" -n "$count" -c "$CLIENTS" -d "$SIZE" --csv "$@" 2>"$WORK/stderr"
}

# load NAME COUNT prints "rps p50 p99" (ms) of the row, and for a mixed one the p99
# of GETs alone and of the rest.
load() {
  local pipeline first
  pipeline=$(pipeline_of "$1")
  if [[ -n $PEER || $1 == MIX-* ]]; then
    mixture "$1" "$2" "$pipeline"
    return
  fi
  case $1 in
    SET-1M-*) benchmark "$pipeline" "$MANY_KEYS" "$2" -t set ;;
    SET-*) benchmark "$pipeline" "$KEYS" "$2" -t set ;;
    GET-*) benchmark "$pipeline" "$KEYS" "$2" -t get ;;
    HSET-*) benchmark "$pipeline" "$FIELDS" "$2" -t hset ;;
    HGET-*) benchmark "$pipeline" "$FIELDS" "$2" HGET 'myhash:{tag}' 'element:__rand_int__' ;;
    ZADD-*) benchmark "$pipeline" "$MEMBERS" "$2" ZADD 'z:{tag}' __rand_int__ 'm:__rand_int__' ;;
    XADD-*) benchmark "$pipeline" 1 "$2" XADD 'x:{tag}' '*' field "$(printf "%0${SIZE}d" 0)" ;;
    INCR-* | MSET-* | LPUSH-* | LPOP-* | SADD-* | SPOP-*)
      benchmark "$pipeline" "$KEYS" "$2" -t "$(command_of "$1" | tr '[:upper:]' '[:lower:]')"
      ;;
    LRANGE_*)
      first=${1%%-*}
      benchmark "$pipeline" 1 "$2" LRANGE 'l:{tag}' 0 $((${first#LRANGE_} - 1))
      ;;
    ZRANGE-*) benchmark "$pipeline" "$MEMBERS" "$2" ZRANGE 'z:{tag}' 0 $((MEMBERS - 1)) ;;
  esac | awk -F '","' 'NF >= 7 && $2 ~ /^[0-9]/ { print $2, $5, $7; exit }'
}

# mixture NAME COUNT PIPELINE: GETs and SETs by our own generator.
mixture() {
  local gets=80
  case $1 in SET-*) gets=0 ;; GET-*) gets=100 ;; esac
  generator -n "$2" -P "$3" -gets "$gets" | awk '{ print $1, $2, $3, $5, $7 }'
}

# generator ARGUMENTS… runs it against the running system.
generator() {
  local target="-kind cluster -addr 127.0.0.1:${PORTS[0]}"
  if [[ $SYSTEM == "$PEER" ]]; then target=$("${PEER}_target"); fi
  # shellcheck disable=SC2086 # words
  "$WORK/load" $target -keys "$MIX_KEYS" -c "$CLIENTS" -d "$SIZE" "$@" 2>"$WORK/stderr"
}

fill_peer() { generator -P 16 -populate; }
