package admin

import (
	"bytes"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// newerThanRedis7 reports whether Redis 7.0 does not know a command.
func newerThanRedis7(row *command.Command) bool {
	return row.Doc.Since == "aikv" || row.Doc.Since > "7.1"
}

// takesMore reports whether a command has an option that Redis 7.0 does not know:
// FORCE, and WITHSCORE of Redis 7.2.
func takesMore(row *command.Command) bool {
	return slices.Contains([]string{"cluster|forget", "zrank", "zrevrank"}, row.FullName())
}

// TestCommandInfoIsRedis: for every command of ours, COMMAND INFO says what
// Redis says: arity, flags, key positions, categories, tips, key specs.
func TestCommandInfoIsRedis(t *testing.T) {
	c := commandtest.Redis(t)
	checked := 0
	var check func(rows []*command.Command)
	check = func(rows []*command.Command) {
		for _, row := range rows {
			check(row.Subcommands)
			theirs := c.Ask("COMMAND", "INFO", row.FullName()).Elems[0]
			if theirs.Kind != resp.KindArray {
				if !newerThanRedis7(row) {
					t.Errorf("Redis does not know %s", row.FullName())
				}
				continue
			}
			const arity, subcommands = 1, 9
			for i := range subcommands {
				if i == arity && takesMore(row) {
					continue
				}
				ours, wanted := resp.Append(nil, row.Info().Elems[i], 3), resp.Append(nil, theirs.Elems[i], 3)
				if !bytes.Equal(ours, wanted) {
					t.Errorf("%s, field %d:\n%q\nRedis says\n%q", row.FullName(), i, ours, wanted)
				}
			}
			checkDocs(t, c, row)
			checked++
		}
	}
	check(newBench(t).Table.Commands())
	if checked < 100 {
		t.Errorf("only %d commands were compared", checked)
	}
}

// checkDocs compares what COMMAND DOCS says of facts; summaries are our own.
func checkDocs(t *testing.T, c *commandtest.Oracle, row *command.Command) {
	t.Helper()
	docs := c.Ask("COMMAND", "DOCS", row.FullName()).Elems[1]
	ours := map[string]string{
		"since": row.Doc.Since, "group": row.Doc.Group,
		"deprecated_since": row.Doc.DeprecatedSince, "replaced_by": row.Doc.ReplacedBy,
	}
	theirs := make(map[string]string)
	for i := 0; i+1 < len(docs.Elems); i += 2 {
		theirs[string(docs.Elems[i].Str)] = string(docs.Elems[i+1].Str)
	}
	for name, value := range ours {
		if theirs[name] != value {
			t.Errorf("%s: %s is %q, Redis says %q", row.FullName(), name, value, theirs[name])
		}
	}
}

// TestConfigParamsAreRedis: we know every parameter that Redis knows, and no other.
func TestConfigParamsAreRedis(t *testing.T) {
	c := commandtest.Redis(t)
	pairs := c.Ask("CONFIG", "GET", "*").Elems
	theirs := make(map[string]bool)
	for i := 0; i+1 < len(pairs); i += 2 {
		theirs[string(pairs[i].Str)] = true
	}
	ours, _ := NewConfig(ConfigOptions{}).Get([]byte("*"))
	for _, name := range ours {
		if !theirs[name] && name != "cluster-announce-human-nodename" { // Redis 7.2 has it
			t.Errorf("Redis has no parameter %q", name)
		}
		delete(theirs, name)
	}
	for name := range theirs {
		t.Errorf("the parameter %q is missing", name)
	}
}

// TestErrorsAreRedis runs commands that answer from the connection or their
// arguments alone on both, and compares replies byte for byte.
func TestErrorsAreRedis(t *testing.T) {
	c := commandtest.Redis(t, "--cluster-enabled", "yes", "--cluster-port", commandtest.FreePort(t))
	b := newBench(t)
	b.Env.Session.SetProto(3)
	for _, line := range []string{
		"PING", "PING hi", "PING a b", "ECHO", "ECHO hi", "SELECT 0", "SELECT 1", "SELECT x", "SELECT -1",
		"FOO", "FOO a b", "GET", "SET k", "CLIENT", "CLIENT FOO", "CLIENT ID x", "CLIENT GETNAME",
		`CLIENT SETNAME "a b"`, "CLIENT SETNAME abc", "CLIENT GETNAME", `CLIENT SETNAME ""`, "CLIENT TRACKING off",
		"CLIENT TRACKING foo", "CLIENT TRACKINGINFO", "CLIENT GETREDIR", "CLIENT CACHING yes", "CLIENT NO-EVICT foo",
		"CLIENT REPLY foo", "CLIENT REPLY on", "CLIENT KILL 1.2.3.4:5", "CLIENT KILL ID 999", "CLIENT KILL ID x",
		"CLIENT KILL TYPE foo", "CLIENT KILL FOO bar", "CLIENT KILL USER foo", "CLIENT KILL SKIPME foo", "CLIENT UNPAUSE", "CLIENT UNBLOCK 1 FOO",
		"CLIENT UNBLOCK x", "CLIENT UNBLOCK x FOO", "CLIENT UNBLOCK 1 ERROR x", "CLIENT UNBLOCK 999 ERROR", "CLIENT UNBLOCK -1",
		"CLIENT PAUSE x", "CLIENT PAUSE 10 FOO", "CLIENT PAUSE -1", "CLIENT LIST TYPE foo", "CLIENT LIST TYPE pubsub",
		"CLIENT LIST ID x", "CLIENT LIST ID 999", "CLIENT LIST foo", "HELLO 4", "HELLO x", "HELLO 3 AUTH foo bar",
		`HELLO 3 SETNAME "a b"`, "HELLO 3 FOO", "HELLO 3 AUTH default", "AUTH foo", "AUTH foo bar", "AUTH a b c",
		`AUTH default ""`, "READONLY", "READWRITE", "ASKING",
		"CONFIG GET nosuch", "CONFIG GET maxmemory", "CONFIG SET foo bar", "CONFIG SET", "CONFIG SET maxmemory",
		"CONFIG SET maxmemory foo", "CONFIG SET maxmemory -5", "CONFIG SET proto-max-bulk-len 2048kb", "CONFIG GET proto-max-bulk-len",
		"CONFIG SET proto-max-bulk-len 2000K", "CONFIG GET proto-max-bulk-len", "CONFIG SET maxmemory 0", "CONFIG SET io-threads 4",
		"CONFIG SET dir /", "CONFIG SET maxclients foo", "CONFIG SET maxclients 0", "CONFIG SET maxmemory 5 bar 6",
		"CONFIG SET maxmemory 5 maxmemory 6", "CONFIG SET loglevel foo", "CONFIG SET activedefrag foo",
		"CONFIG SET activerehashing NO", "CONFIG GET activerehashing", "CONFIG SET loglevel NOTICE", "CONFIG GET loglevel",
		"CONFIG SET timeout -5", "CONFIG SET hz x", "CONFIG SET slave-priority 100", "CONFIG GET replica-priority",
		"CONFIG SET slave-read-only yes replica-read-only yes",
		`CONFIG SET latency-tracking-info-percentiles "50 99 99.9"`, "CONFIG SET latency-tracking-info-percentiles 101",
		"CONFIG SET latency-tracking-info-percentiles x", "CONFIG SET latency-tracking-info-percentiles -1",
		"CONFIG GET latency-tracking-info-percentiles", "CONFIG SET maxmemory-clients 101%", "CONFIG SET maxmemory-clients x",
		"CONFIG SET maxmemory-clients -5%", "CONFIG SET maxmemory-clients 0%", "CONFIG GET maxmemory-clients",
		`CONFIG SET shutdown-on-sigterm "nosave now"`, "CONFIG GET shutdown-on-sigterm", "CONFIG SET shutdown-on-sigterm x",
		`CONFIG SET shutdown-on-sigterm "save nosave"`, `CONFIG SET shutdown-on-sigterm ""`, `CONFIG SET shutdown-on-sigint "default NOW"`,
		"CONFIG GET shutdown-on-sigint", `CONFIG SET shutdown-on-sigterm "NOW nosave  force"`, "CONFIG SET save nope",
		`CONFIG SET save "1 2 3"`, `CONFIG SET save "0 5"`, `CONFIG SET save "5 -1"`, `CONFIG SET save ""`, "CONFIG GET save",
		"CONFIG SET notify-keyspace-events q", `CONFIG SET notify-keyspace-events ""`, "CONFIG SET oom-score-adj-values 1",
		`CONFIG SET oom-score-adj-values "1 2 x"`, `CONFIG SET oom-score-adj-values "0 2 2001"`,
		`CONFIG SET oom-score-adj-values "0 200 800"`, "CONFIG SET proc-title-template {bad", "CONFIG SET proc-title-template {bad}",
		`CONFIG SET proc-title-template ""`, "CONFIG SET io-threads 1", "CONFIG SET logfile x", "CONFIG SET dbfilename dump.rdb",
		"CONFIG SET bind 300.1.1.1", `CONFIG SET bind "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"`,
		"CONFIG SET cluster-announce-hostname bad_host!", "CONFIG SET cluster-announce-hostname a_b",
		"CONFIG SET cluster-announce-hostname a-b.c1", "CONFIG GET cluster-announce-hostname", "CONFIG SET cluster-announce-port 70000",
		"CONFIG SET watchdog-period 0", "CONFIG SET watchdog-period -1", "CONFIG GET watchdog-period", "CONFIG GET watchdog*",
		"CONFIG SET key-load-delay 0", "CONFIG GET key-load-delay", "CONFIG SET rdb-key-save-delay x", "CONFIG GET rdb-key-save-delay",
		"CONFIG SET loading-process-events-interval-bytes 0", "CONFIG SET cluster-node-timeout -1", "CONFIG SET port 70000",
		"CONFIG SET appendfsync foo", "CONFIG SET appendonly foo", "CONFIG SET maxmemory-policy foo", "CONFIG RESETSTAT", "CONFIG FOO",
		"COMMAND FOO", "COMMAND COUNT x", "COMMAND INFO nosuch", "COMMAND INFO get", "COMMAND GETKEYS set a b",
		"COMMAND GETKEYS nosuch a b", "COMMAND GETKEYS get", "COMMAND GETKEYS get a b", "COMMAND GETKEYS ping a",
		"COMMAND GETKEYS mset a 1 b 2", "COMMAND GETKEYSANDFLAGS set a b", "COMMAND GETKEYSANDFLAGS set a b GET",
		"COMMAND GETKEYSANDFLAGS del a b", "COMMAND GETKEYSANDFLAGS bitfield k GET u8 0", "COMMAND GETKEYSANDFLAGS bitfield k SET u8 0 1",
		"COMMAND GETKEYS bitop and d a b", "COMMAND GETKEYSANDFLAGS rename a b", "COMMAND LIST FILTERBY ACLCAT nosuch", "COMMAND LIST FILTERBY FOO nosuch",
		"COMMAND LIST FILTERBY MODULE nosuch", "COMMAND DOCS nosuch",
		"SWAPDB 0 1", "REPLICAOF no one", "SLAVEOF a b", "WAIT x 0", "WAIT 0 x", "WAIT 0 -1", "SLOWLOG GET x", "SLOWLOG GET -5",
		"SLOWLOG LEN", "SLOWLOG RESET", "SLOWLOG FOO", "LATENCY LATEST", "LATENCY RESET", "MODULE LIST", "FUNCTION LIST",
		"FUNCTION LIST WITHCODE", "FUNCTION LIST LIBRARYNAME x WITHCODE", "FUNCTION LIST FOO", "FUNCTION LIST LIBRARYNAME",
		"FUNCTION LIST WITHCODE WITHCODE", "FUNCTION FLUSH", "FUNCTION FLUSH ASYNC", "FUNCTION FLUSH sync", "FUNCTION FLUSH FOO",
		"FUNCTION FLUSH ASYNC x", "COMMAND INFO function|flush",
		`FOO "a\\rb\\nc" "\\x00d"`, `CONFIG SET "-\\r\\n" 1`, `CLIENT "-a\\nb"`, `HELLO 3 "a\\r"`,
		"FLUSHALL FOO", "FLUSHDB ASYNC x", "SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT x", "SCAN 0 FOO bar", "DBSIZE",
		"DBSIZE x", "KEYS", "CLUSTER", "CLUSTER FOO", "CLUSTER ADDSLOTS", "CLUSTER ADDSLOTS 16384", "CLUSTER ADDSLOTS x",
		"CLUSTER ADDSLOTS 1 2 1", "CLUSTER ADDSLOTSRANGE 0 10 10 30", "CLUSTER ADDSLOTSRANGE 10 9",
		"CLUSTER ADDSLOTSRANGE 0 10 20", "CLUSTER DELSLOTS 16384", "CLUSTER DELSLOTS x", "CLUSTER RESET foo",
		"CLUSTER RESET hard x", "CLUSTER SET-CONFIG-EPOCH -1", "CLUSTER SET-CONFIG-EPOCH x", "CLUSTER MEET 127.0.0.1 0",
		"CLUSTER MEET 127.0.0.1 7000 0", "CLUSTER MEET 127.0.0.1 7000 -1", "CLUSTER MEET 127.0.0.1 7000 65536",
		"CLUSTER MEET 127.0.0.1:7000 7000", "CLUSTER MEET 127.0.0.1 7000 17000 x", "CLUSTER MEET 127.0.0.1",
		"CLUSTER FAILOVER", "CLUSTER FAILOVER foo", "CLUSTER FAILOVER FORCE x", "CLUSTER SETSLOT x STABLE",
		"CLUSTER SETSLOT 1 FOO", "CLUSTER SETSLOT 1 STABLE x", "CLUSTER SETSLOT 1 IMPORTING x", "CLUSTER SETSLOT 1 NODE x",
		"CLUSTER REPLICAS x", "CLUSTER COUNT-FAILURE-REPORTS x", "CLUSTER COUNTKEYSINSLOT 16384",
		"CLUSTER COUNTKEYSINSLOT x", "CLUSTER COUNTKEYSINSLOT 5", "CLUSTER GETKEYSINSLOT 1 -1", "CLUSTER GETKEYSINSLOT x 1",
		"CLUSTER GETKEYSINSLOT 1 10", "CLUSTER FORGET x", "CLUSTER REPLICATE x", "CLUSTER KEYSLOT foo", "CLUSTER KEYSLOT",
		"EXEC", "DISCARD", "MULTI x", "COMMAND INFO multi", "COMMAND INFO exec", "COMMAND INFO discard",
		"RESET",
	} {
		var args []string
		for _, word := range words(t, line) {
			args = append(args, string(word))
		}
		ours := resp.Append(nil, b.do(words(t, line)), 3)
		theirs := resp.Append(nil, c.Ask(args...), 3)
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s:\n%q\nRedis says\n%q", line, ours, theirs)
		}
	}
}

func toArgs(texts []string) [][]byte {
	args := make([][]byte, len(texts))
	for i, text := range texts {
		args[i] = []byte(text)
	}
	return args
}
