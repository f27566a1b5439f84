#!/usr/bin/env bats
# Clients in several languages over six nodes, all at once, while a master is killed:
# see clients/README.md. They run in setup_file; each test looks at one of them.
load helpers

LANGUAGES="c go php python ruby"
# What the clients use: all families.
FAMILIES="strings hashes sortedsets lists streams sets geo hyperloglogs transactions blocking"

setup_file() {
  free_block 12
  cluster_up -q
  local language
  WORK=$BATS_FILE_TMPDIR/clients
  export WORK
  mkdir -p "$WORK"
  for language in $LANGUAGES; do
    if "$ROOT/testbed/clients/ready.sh" "$language" >"$WORK/$language.missing"; then begin "$language"; fi
  done
  for language in $LANGUAGES; do
    if [[ -f $WORK/$language.pid ]]; then retry 20 is_writing "$language"; fi
  done
  # The master that dies is that of the key that ends the clients: they go on until it
  # has a successor.
  has "MOVED 9529 127.0.0.1:$((BASE + 1))" on 0 GET clients:stop
  aikv-tool cluster kill 2 --dir "$DIR"
  retry 20 is OK c 0 SET clients:stop 1
  for language in $LANGUAGES; do
    if [[ -f $WORK/$language.pid ]]; then retry 30 has_ended "$language"; fi
  done
}
teardown_file() {
  local file
  for file in "$WORK"/*.pid; do
    if [[ -f $file ]]; then kill -KILL "$(<"$file")" 2>/dev/null || true; fi
  done
  cluster_down
}

# begin LANGUAGE: starts the client; what it says goes to LANGUAGE.log, its exit status
# to LANGUAGE.status.
begin() {
  local clients=$ROOT/testbed/clients command
  case $1 in
    c)
      cc -Wall -Wextra -Werror -O1 -o "$WORK/client" "$clients/client.c" -lhiredis
      command=("$WORK/client")
      ;;
    go)
      (cd "$ROOT" && go build -o "$WORK/goclient" ./testbed/clients/go)
      command=("$WORK/goclient")
      ;;
    php) command=(php "$clients/client.php") ;;
    python) command=(/usr/bin/python3 "$clients/client.py") ;;
    ruby) command=(ruby "$clients/client.rb") ;;
  esac
  # shellcheck disable=SC2086 # a word for each family
  (
    set +e
    "${command[@]}" "127.0.0.1:$BASE,127.0.0.1:$((BASE + 1)),127.0.0.1:$((BASE + 2))" $FAMILIES
    echo $? >"$WORK/$1.status"
  ) </dev/null >"$WORK/$1.log" 2>&1 3>&- &
  echo $! >"$WORK/$1.pid"
}

# is_writing LANGUAGE: the client has used every family once and goes on writing, or has
# ended, which its test will tell.
is_writing() { grep -q '^ready' "$WORK/$1.log" || [[ -f $WORK/$1.status ]]; }

has_ended() { [[ -f $WORK/$1.status ]]; }

# survived LANGUAGE: its client has ended well, and says so for every family.
survived() {
  local family missing
  missing=$(<"$WORK/$1.missing")
  if [[ -n $missing ]]; then skip "install $missing"; fi
  if [[ $(<"$WORK/$1.status") != 0 ]]; then
    cat "$WORK/$1.log" >&2
    return 1
  fi
  for family in $FAMILIES; do
    [[ $(<"$WORK/$1.log") =~ (^|$'\n')"$family: "[1-9][0-9]*" writes held" ]]
  done
}

@test "C, with hiredis and MOVED followed by hand" { survived c; }
@test "Go, with go-redis" { survived go; }
@test "PHP, with phpredis" { survived php; }
@test "Python, with redis-py" { survived python; }
@test "Ruby, with redis-rb" { survived ruby; }
