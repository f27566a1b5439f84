#!/usr/bin/env bats
# The data commands through a real redis-cli, with redirects, on six nodes.
load helpers

setup_file() {
  free_block 12
  cluster_up -q
}
teardown_file() { cluster_down; }
setup() { requires redis-cli; }

# within LOW HIGH COMMAND…: the command prints a number in that range.
within() {
  local low=$1 high=$2 got
  shift 2
  got=$("$@")
  if ((got < low || got > high)); then
    printf '%s\n  wanted: %d to %d\n  got:    %s\n' "$*" "$low" "$high" "$got" >&2
    return 1
  fi
}

@test "SET and GET through any node" {
  local node
  for node in 0 1 2 3 4 5; do is OK c "$node" SET "key$node" "value$node"; done
  for node in 0 1 2 3 4 5; do is "value$node" c $(((node + 3) % 6)) GET "key$node"; done
}

@test "SET's options" {
  is OK c 0 SET opt 1
  is "" c 1 SET opt 2 NX
  is OK c 2 SET opt 2 XX
  is 2 c 3 SET opt 3 GET
  is OK c 0 SET opt 4 EX 100
  within 50 100 c 1 TTL opt
  is OK c 0 SET opt 5 KEEPTTL
  within 50 100 c 1 TTL opt
  is OK c 0 SET opt 6
  is -1 c 0 TTL opt
  has "ERR syntax error" c 0 SET opt 7 NX XX
  has "ERR invalid expire time in 'set' command" c 0 SET opt 7 EX 0
}

@test "DEL, EXISTS, TYPE, INCR" {
  is OK c 0 SET num 41
  is 42 c 1 INCR num
  is string c 2 TYPE num
  is 1 c 3 EXISTS num
  is 1 c 4 DEL num
  is 0 c 5 EXISTS num
  is none c 0 TYPE num
  is OK c 0 SET word abc
  has "ERR value is not an integer or out of range" c 0 INCR word
}

@test "EXPIRE, PEXPIRE, TTL, PTTL, PERSIST: a key goes on every replica" {
  is OK c 0 SET gone 1
  is 1 c 0 EXPIRE gone 100
  within 50 100 c 1 TTL gone
  is 1 c 0 PERSIST gone
  is -1 c 2 PTTL gone
  is 1 c 0 PEXPIRE gone 100
  retry 5 is "" c 3 GET gone
  is -2 c 4 TTL gone
}

@test "MGET and MSET with one slot; several slots are CROSSSLOT" {
  is OK c 0 MSET '{t}a' 1 '{t}b' 2
  is $'1\n2' c 3 MGET '{t}a' '{t}b'
  has "CROSSSLOT Keys in request don't hash to the same slot" on 0 MGET a b
}

@test "redirects have the text that clients follow" {
  local slot
  slot=$(on 0 CLUSTER KEYSLOT foo)
  is 12182 echo "$slot"
  is "MOVED 12182 127.0.0.1:$((BASE + 2))" on 0 GET foo
  is "MOVED 12182 127.0.0.1:$((BASE + 2))" on 5 GET foo
}

@test "DBSIZE, KEYS, SCAN, FLUSHALL answer for the node" {
  local node total=0 i
  for node in 0 1 2; do is OK on "$node" FLUSHALL; done
  for i in 1 2 3 4 5 6 7 8 9 10; do is OK c 0 SET "k$i" "$i"; done
  for node in 0 1 2; do total=$((total + $(on "$node" DBSIZE))); done
  is 10 echo "$total"
  is 10 bash -c "for p in 0 1 2; do redis-cli -p \$(($BASE + p)) KEYS 'k*'; done | grep -c k"
  is 10 bash -c "for p in 0 1 2; do redis-cli -p \$(($BASE + p)) --scan; done | grep -c k"
  for node in 0 1 2; do is OK on "$node" FLUSHALL; done
  for node in 0 1 2; do is 0 on "$node" DBSIZE; done
}

@test "COUNTKEYSINSLOT and GETKEYSINSLOT" {
  is OK c 0 SET '{foo}1' a
  is 1 on 2 CLUSTER COUNTKEYSINSLOT 12182
  is '{foo}1' on 2 CLUSTER GETKEYSINSLOT 12182 10
  is 0 on 0 CLUSTER COUNTKEYSINSLOT 12182
  has "ERR Invalid slot" on 0 CLUSTER COUNTKEYSINSLOT 99999
}

@test "WAIT counts the replica" {
  is OK c 0 SET '{06S}w' 1
  is $'OK\n1' bash -c "printf 'SET {06S}w 2\nWAIT 1 5000\n' | redis-cli -p $BASE"
}

@test "a pipeline keeps its order" {
  is $'OK\n1\nOK\n2\n3' bash -c "printf 'SET {06S}p 1\nGET {06S}p\nSET {06S}p 2\nGET {06S}p\nINCR {06S}p\n' | redis-cli -p $BASE"
}

@test "a replica serves reads after READONLY" {
  is OK c 0 SET '{06S}r' yes
  retry 5 is $'OK\nyes' bash -c "printf 'READONLY\nGET {06S}r\n' | redis-cli -p $((BASE + 3))"
}

@test "a value of a megabyte" {
  head -c 1000000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/big"
  is OK c 0 -x SET big <"$BATS_TEST_TMPDIR/big"
  c 4 GET big | head -c 1000000 | cmp - "$BATS_TEST_TMPDIR/big"
}

@test "RESP3 and INFO" {
  is OK c 0 -3 SET '{06S}x' yes
  is yes c 4 -3 GET '{06S}x'
  has "proto 3" on 0 -3 HELLO
  has "cluster_enabled:1" on 0 INFO cluster
  has "role:master" on 0 INFO replication
  has "role:slave" on 3 INFO replication
  has "aikv_version:" on 0 INFO server
}

@test "inline commands, as a person types them" {
  exec 4<>"/dev/tcp/127.0.0.1/$BASE"
  printf 'PING\r\nECHO "two words"\nGET\r\n' >&4
  local line
  for line in +PONG "\$9" 'two words' "-ERR wrong number of arguments for 'get' command"; do
    read -r -t 5 REPLY <&4
    is "$line" echo "$REPLY"
  done
  exec 4>&-
}

stat_of() { on 0 INFO stats | tr -d '\r' | awk -F: -v f="$1" '$1 == f { print $2 }'; }

@test "INFO counts hits, misses and expired keys; CONFIG RESETSTAT forgets them" {
  is OK c 0 SET '{06S}hit' 1
  is OK on 0 CONFIG RESETSTAT
  is $'1\n1' on 0 MGET '{06S}hit' '{06S}hit' '{06S}nosuch'
  is 2 stat_of keyspace_hits
  is 1 stat_of keyspace_misses
  is OK c 0 SET '{06S}soon' 1 PX 20
  retry 10 is 1 stat_of expired_keys
  is OK on 0 CONFIG RESETSTAT
  is 0 stat_of keyspace_hits
  is 0 stat_of expired_keys
}

# printed COMMAND…: redis-cli and aikv cli print the same, byte for byte.
printed() {
  redis-cli "${follow[@]}" -p "$BASE" "$@" >"$BATS_TEST_TMPDIR/redis" || true
  aikv cli "${follow[@]}" -p "$BASE" "$@" >"$BATS_TEST_TMPDIR/aikv" || true
  diff "$BATS_TEST_TMPDIR/redis" "$BATS_TEST_TMPDIR/aikv"
}

@test "aikv cli prints what redis-cli prints off a terminal, and exits 1 on an error reply" {
  local follow=()
  printed PING
  printed CLUSTER SLOTS
  printed CLUSTER SHARDS
  printed CLUSTER MYID
  printed CLUSTER HELP
  printed CONFIG GET '*'
  printed COMMAND INFO get nosuch
  printed INFO keyspace
  printed INFO modules
  printed GET
  printed GET foo
  follow=(-c)
  printed SET '{foo}1' 'two words'
  printed MGET '{foo}1' '{foo}none' '{foo}2'
  printed GET '{foo}none'
  printed GET '{foo}1'
  exits 1 aikv cli -p "$BASE" GET foo
  exits 0 aikv cli -c -p "$BASE" GET foo
}

@test "SELECT 0 is OK, other databases are not" {
  is OK on 0 SELECT 0
  has "ERR" on 0 SELECT 1
}

@test "unknown commands and wrong arity: Redis's texts" {
  has "ERR unknown command 'NONSENSE'" on 0 NONSENSE
  has "ERR wrong number of arguments for 'get' command" on 0 GET
  has "ERR unknown subcommand 'NONSENSE'. Try CLUSTER HELP." on 0 CLUSTER NONSENSE
}

@test "redis-cli --cluster info, check and call" {
  exits 0 redis-cli --cluster check "127.0.0.1:$BASE"
  [[ $output == *"All 16384 slots covered"* ]]
  exits 0 redis-cli --cluster info "127.0.0.1:$((BASE + 4))"
  run redis-cli --cluster call "127.0.0.1:$BASE" PING
  [ "$(grep -c PONG <<<"$output")" -eq 6 ]
}

# scan_step NODE: moves CURSOR on, and adds what was found to the file FOUND.
scan_step() {
  local answer
  answer=$(on "$1" SCAN "$CURSOR" COUNT 10 MATCH 'stay:*')
  CURSOR=${answer%%$'\n'*}
  [[ $CURSOR =~ ^[0-9]+$ ]] || return 1
  if [[ $answer == *$'\n'* ]]; then printf '%s\n' "${answer#*$'\n'}" >>"$FOUND"; fi
}

# Last, because another node serves the first shard afterwards.
@test "a SCAN that goes on at the new leader returns every key that stayed" {
  local i FOUND=$BATS_TEST_TMPDIR/found CURSOR=0
  for ((i = 1; i <= 900; i++)); do printf 'SET stay:%d %d\n' "$i" "$i"; done | redis-cli -c -p "$BASE" >/dev/null
  on 0 --scan --pattern 'stay:*' | sort >"$BATS_TEST_TMPDIR/there"
  (($(wc -l <"$BATS_TEST_TMPDIR/there") > 200))
  for ((i = 0; i < 10; i++)); do # keys come, go and change between the steps
    scan_step 0
    c 0 MSET "{06S}$i" new "{06S}x$i" new >/dev/null
    c 0 DEL "{06S}$((i - 1))" >/dev/null
    c 0 SET "stay:$((i + 1))" changed >/dev/null
  done
  [ "$CURSOR" != 0 ]
  kill -KILL "$(<"$DIR/pids/node1.pid")"
  retry 15 is OK on 3 SET "{06S}y" new # it leads, and serves
  for ((i = 0; i < 200; i++)); do
    c 3 SET "{06S}y$i" new >/dev/null
    scan_step 3
    if [[ $CURSOR == 0 ]]; then break; fi
  done
  is 0 echo "$CURSOR"
  is "$(<"$BATS_TEST_TMPDIR/there")" sort "$FOUND"
  aikv-tool cluster start -q --dir "$DIR" 3>&-
}
