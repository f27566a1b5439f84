package admin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// latest is the newest version of Redis whose commands a server has.
var latest = map[string]string{"redis-server": "7.0", "redis-server-8": "8.6", "valkey-server-9": "7.2"}

// newerThan reports whether a command is not one of a server's: those of AiKv alone are not.
func newerThan(row *command.Command, server string) bool {
	if name, _, _ := strings.Cut(row.FullName(), "|"); name == "commandlog" {
		return server != "valkey-server-9" // Redis has none
	}
	return row.Doc.Since == "aikv" || row.Doc.Since > latest[server]+".999"
}

// infoFields are the fields of COMMAND INFO that are compared, in its order.
var infoFields = []string{"name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys"}

// rowDifference says that a server describes commands otherwise than ours, which are
// Redis 7.2's. field is one of infoFields or of COMMAND DOCS.
type rowDifference struct {
	server, field string
	commands      string // separated by spaces; "*": any
	why           string
}

func rowDifferences() []rowDifference {
	return []rowDifference{
		{"redis-server", "arity", "cluster|forget", "ours takes FORCE"},
		{"redis-server-8", "arity", "cluster|forget", "ours takes FORCE"},
		{"valkey-server-9", "arity", "cluster|forget", "ours takes FORCE"},

		{"redis-server", "arity", "zrank zrevrank", "7.2 takes WITHSCORE"},
		{"redis-server", "arity", "command|getkeys command|getkeysandflags", "7.2 takes commands without arguments"},
		{"redis-server", "flags", "cluster|shards cluster|slots", "7.2 answers while it loads"},
		{"redis-server", "flags", "wait", "7.2 says that it blocks"},
		{"redis-server", "flags", "blmove blpop brpop brpoplpush bzpopmax bzpopmin", "7.2 runs them in scripts, where they do not block"},
		{"redis-server", "categories", "wait", "7.2 says that it blocks"},
		{"redis-server", "tips", "client|setname config|resetstat config|rewrite latency|reset msetnx randomkey scan", "7.2 says it so"},
		{"redis-server", "since", "client|pause", "7.2 says 3.0.0"},
		{"redis-server", "keys", "sinterstore", "7.2 says that it overwrites its destination"},
		{"redis-server", "deprecated_since", "psetex setex setnx quit", "7.2 advises against them"},
		{"redis-server", "replaced_by", "psetex setex setnx quit", "7.2 advises against them"},

		{
			"valkey-server-9", "flags", "client|caching client|getname client|getredir client|id client|no-evict client|reply client|setname " +
				"client|setinfo client|no-touch multi select watch", "Valkey runs them while a script is busy, and not in transactions",
		},
		{"valkey-server-9", "flags", "cluster|info cluster|myid cluster|myshardid cluster|nodes", "Valkey says that it answers while it loads"},
		{"valkey-server-9", "flags", "memory|malloc-stats memory|purge", "Valkey answers while it loads"},
		{"valkey-server-9", "flags", "exec", "Valkey calls the slow log otherwise"},
		{"valkey-server-9", "arity", "cluster|replicate", "Valkey's takes NO ONE"},
		{"valkey-server-9", "tips", "hpttl httl", "Valkey has none"},
		{"valkey-server-9", "keys", "georadius georadiusbymember hgetex hsetex", "Valkey describes them otherwise"},
		{
			"valkey-server-9", "since", "cluster|slot-stats hexpire hexpireat hexpiretime hgetdel hgetex hpersist hpexpire hpexpireat hpexpiretime hpttl hsetex httl " +
				"msetex", "Valkey has its own versions",
		},
		{"valkey-server-9", "deprecated_since", "*", "Valkey advises against fewer"},
		{"valkey-server-9", "replaced_by", "*", "Valkey advises against fewer"},
	}
}

// TestCommandInfoIsRedis: for every command of ours, COMMAND INFO says what the real
// servers say: arity, flags, key positions, categories, tips, key specs; and COMMAND
// DOCS the same facts. What differs is listed, and nothing is listed that does not.
func TestCommandInfoIsRedis(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		known := make(map[string]bool) // "command field" → met
		for _, d := range rowDifferences() {
			for name := range strings.FieldsSeq(d.commands) {
				if d.server == o.Name {
					known[name+" "+d.field] = false
				}
			}
		}
		checked := 0
		for _, row := range newBench(t).Table.Rows() {
			theirs := o.Ask("COMMAND", "INFO", row.FullName()).Elems[0]
			if theirs.Kind != resp.KindArray {
				if !newerThan(row, o.Name) {
					t.Errorf("the server does not know %s", row.FullName())
				}
				continue
			}
			checked++
			for field, values := range rowFacts(o, row, theirs) {
				if values.ours == values.theirs {
					continue
				}
				name := row.FullName() + " " + field
				if _, every := known["* "+field]; every {
					name = "* " + field
				}
				if _, listed := known[name]; listed {
					known[name] = true
					continue
				}
				t.Errorf("%s, %s:\n%q\nthe server says\n%q", row.FullName(), field, values.ours, values.theirs)
			}
		}
		for name, met := range known {
			if !met {
				t.Errorf("listed as a difference, and is none: %s", name)
			}
		}
		if checked < 100 {
			t.Errorf("only %d commands were compared", checked)
		}
	})
}

// rowFact is what is said of a command, by us and by a server.
type rowFact struct{ ours, theirs string }

// rowFacts returns what COMMAND INFO and DOCS say of a command; summaries are our own.
func rowFacts(o *commandtest.Oracle, row *command.Command, info resp.Value) map[string]rowFact {
	facts := make(map[string]rowFact)
	for i, name := range infoFields {
		facts[name] = rowFact{string(resp.Append(nil, row.Info().Elems[i], 3)), string(resp.Append(nil, info.Elems[i], 3))}
	}
	docs := o.Ask("COMMAND", "DOCS", row.FullName()).Elems[1]
	theirs := make(map[string]string)
	for i := 0; i+1 < len(docs.Elems); i += 2 {
		theirs[string(docs.Elems[i].Str)] = string(docs.Elems[i+1].Str)
	}
	for name, ours := range map[string]string{
		"since": row.Doc.Since, "group": row.Doc.Group,
		"deprecated_since": row.Doc.DeprecatedSince, "replaced_by": row.Doc.ReplacedBy,
	} {
		facts[name] = rowFact{ours, theirs[name]}
	}
	return facts
}

// TestConfigParamsAreRedis: we know every parameter that Redis 7.2 knows, and no other.
func TestConfigParamsAreRedis(t *testing.T) {
	ours, _ := NewConfig(ConfigOptions{}).Get([]byte("*"))
	// What each server has that 7.2 has not, and has not that 7.2 has.
	newer := map[string]string{
		"redis-server-8": "aof-load-corrupt-tail-max-size cluster-compatibility-sample-ratio " +
			"hide-user-data-from-log key-memory-histograms lookahead " +
			"max-new-connections-per-cycle max-new-tls-connections-per-cycle replica-full-sync-buffer-limit stream-idmp-duration " +
			"stream-idmp-maxsize tls-auth-clients-user vset-force-single-threaded-execution",
		"valkey-server-9": "active-defrag-cycle-us availability-zone cluster-announce-client-ipv4 cluster-announce-client-ipv6 " +
			"cluster-announce-client-port cluster-announce-client-tls-port cluster-blacklist-ttl cluster-config-save-behavior " +
			"cluster-manual-failover-timeout " +
			"dual-channel-replication-enabled extended-redis-compatibility hash-seed hide-user-data-from-log import-mode log-format " +
			"log-timestamp-format max-new-connections-per-cycle max-new-tls-connections-per-cycle mptcp prefetch-batch-max-size " +
			"primaryauth primaryuser rdb-version-check rdma-bind rdma-completion-vector rdma-port rdma-rx-size repl-mptcp " +
			"tls-auth-clients-user tls-auto-reload-interval unixsocketgroup",
	}
	lacking := map[string]string{
		"redis-server": "cluster-slot-migration-handoff-max-lag-bytes cluster-slot-migration-write-pause-timeout cluster-slot-migration-log-max-len slot-migration-max-failover-repl-bytes cluster-databases " +
			"commandlog-execution-slower-than commandlog-large-reply-max-len commandlog-large-request-max-len commandlog-reply-larger-than " +
			"commandlog-request-larger-than commandlog-slow-execution-max-len aof-rewrite-cpulist bgsave-cpulist bio-cpulist cluster-announce-human-nodename cluster-slot-stats-enabled locale-collate server-cpulist " +
			"set-max-listpack-entries set-max-listpack-value",
		"redis-server-8": "commandlog-execution-slower-than commandlog-large-reply-max-len commandlog-large-request-max-len commandlog-reply-larger-than " +
			"commandlog-request-larger-than commandlog-slow-execution-max-len cluster-slot-migration-log-max-len slot-migration-max-failover-repl-bytes cluster-databases aof-disable-auto-gc io-threads-do-reads",
		"valkey-server-9": "cluster-slot-migration-handoff-max-lag-bytes cluster-slot-migration-write-pause-timeout aof-disable-auto-gc dynamic-hz io-threads-do-reads sanitize-dump-payload",
	}
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		wanted := make(map[string]bool)
		pairs := o.Ask("CONFIG", "GET", "*").Elems
		for i := 0; i+1 < len(pairs); i += 2 {
			wanted[string(pairs[i].Str)] = true
		}
		for name := range strings.FieldsSeq(newer[o.Name]) {
			if !wanted[name] {
				t.Errorf("listed as newer, and is not there: %q", name)
			}
			delete(wanted, name)
		}
		for name := range strings.FieldsSeq(lacking[o.Name]) {
			if wanted[name] {
				t.Errorf("listed as lacking, and is there: %q", name)
			}
			wanted[name] = true
		}
		for _, name := range ours {
			if !wanted[name] {
				t.Errorf("Redis has no parameter %q", name)
			}
			delete(wanted, name)
		}
		for name := range wanted {
			t.Errorf("the parameter %q is missing", name)
		}
	})
}

// TestErrorsAreRedis runs commands that answer from the connection or their
// arguments alone on both, and compares replies byte for byte.
func TestErrorsAreRedis(t *testing.T) {
	commandtest.ClusterOracles(t, func(t *testing.T, o *commandtest.Oracle) {
		b := newBench(t)
		b.Env.Session.SetProto(3)
		known := textDifferences()[o.Name]
		for _, line := range adminLines() {
			var args []string
			for _, word := range words(t, line) {
				args = append(args, string(word))
			}
			_, listed := known[line]
			row := b.Table.Named(words(t, line))
			if row == nil {
				row = b.Table.ByFullName([]byte(args[0])) // of an unknown subcommand
			}
			if row != nil && !listed && newerThan(row, o.Name) &&
				o.Ask("COMMAND", "INFO", row.FullName()).Elems[0].Kind != resp.KindArray {
				continue // it does not know it
			}
			ours := resp.Append(nil, b.do(words(t, line)), 3)
			theirs := resp.Append(nil, o.Ask(args...), 3)
			switch same := bytes.Equal(ours, theirs); {
			case !same && !listed:
				t.Errorf("%s:\n%q\nthe server says\n%q", line, ours, theirs)
			case same && listed:
				t.Errorf("listed as a difference, and is none: %s", line)
			}
			delete(known, line)
		}
		for line := range known {
			t.Errorf("listed as a difference, and not played: %s", line)
		}
	})
}

// textDifferences lists the lines that a server answers otherwise than Redis 7.2, and why.
func textDifferences() map[string]map[string]string {
	const (
		module    = "it has a module of its own"
		newWords  = "it has more values"
		keySpecs  = "its lists of no key specs are arrays"
		ports     = "Valkey 8 tells what is wrong with ports in other words"
		databases = "Valkey 9 has databases in a cluster"
		many      = "Valkey 9 takes several of them"
	)
	return map[string]map[string]string{
		"redis-server": {
			"COMMAND GETKEYS get":           "7.2 takes commands without arguments",
			"CLIENT KILL MAXAGE x":          "7.4 has MAXAGE",
			"CLIENT KILL MAXAGE 0":          "7.4 has MAXAGE",
			"CLIENT KILL MAXAGE 999999999":  "7.4 has MAXAGE",
			"CLIENT NO-TOUCH ON":            "7.2 has it",
			"CLIENT NO-TOUCH":               "7.2 has it",
			"CLIENT SETINFO lib-name":       "7.2 has it",
			"CLIENT NO-TOUCH foo":           "7.2 has it",
			"CLIENT SETINFO lib-name abc":   "7.2 has it",
			`CLIENT SETINFO lib-name "a b"`: "7.2 has it",
			"CLIENT SETINFO LIB-VER 1.2":    "7.2 has it",
			"CLIENT SETINFO foo bar":        "7.2 has it",
			"COMMAND GETKEYS ping":          "7.2 takes commands without arguments",
		},
		"redis-server-8": {
			"FOO":                             "8 speaks of no arguments where there are none",
			"CONFIG SET loglevel foo":         newWords,
			"CONFIG SET maxmemory-policy foo": newWords,
			"MODULE LIST":                     module,
		},
		"valkey-server-9": {
			"SELECT 1":                                           databases,
			"SELECT -1":                                          databases,
			"CLIENT KILL ID x":                                   many,
			"CLIENT LIST ID x":                                   many,
			"CLIENT UNBLOCK 1 ERROR x":                           "Valkey 9 overlooks what follows",
			"CLUSTER SETSLOT 1 STABLE x":                         "Valkey 9 overlooks what follows",
			"CLUSTER FAILOVER FORCE x":                           "Valkey 9 says that in other words",
			"CONFIG SET io-threads 4":                            "Valkey 9 changes it while it runs",
			"CONFIG SET io-threads 1":                            "Valkey 9 changes it while it runs",
			"CONFIG SET loglevel foo":                            newWords,
			"CONFIG SET shutdown-on-sigterm x":                   newWords,
			`CONFIG SET shutdown-on-sigterm ""`:                  newWords,
			`CONFIG SET shutdown-on-sigterm "NOW nosave  force"`: newWords,
			"COMMAND INFO get":                                   "it has a note",
			"COMMAND INFO function|flush":                        keySpecs,
			"COMMAND INFO multi":                                 keySpecs,
			"COMMAND INFO exec":                                  keySpecs,
			"COMMAND INFO discard":                               keySpecs,
			"MODULE LIST":                                        module,
			"CLUSTER MEET 127.0.0.1 0":                           ports,
			"CLUSTER MEET 127.0.0.1 7000 0":                      ports,
			"CLUSTER MEET 127.0.0.1 7000 -1":                     ports,
			"CLUSTER MEET 127.0.0.1 7000 65536":                  ports,
		},
	}
}

// adminLines are what TestErrorsAreRedis plays.
func adminLines() []string {
	return []string{
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
		"CONFIG SET slowlog-log-slower-than -1", "SLOWLOG RESET", "SLOWLOG LEN", "SLOWLOG FOO", "SLOWLOG GET 1 2", "SLOWLOG GET 0", "CONFIG SET slowlog-log-slower-than -2",
		"CONFIG SET slowlog-max-len -1", "CONFIG SET slowlog-max-len 128", "COMMANDLOG GET", "COMMANDLOG GET 1 foo", "COMMANDLOG GET x slow",
		"COMMANDLOG GET -2 slow", "COMMANDLOG LEN foo", "COMMANDLOG LEN large-reply", "COMMANDLOG RESET large-request", "COMMANDLOG RESET foo",
		"COMMANDLOG GET 0 large-request", "COMMANDLOG FOO", "COMMANDLOG", "BGSAVE foo", "BGSAVE SCHEDULE x", "SAVE x", "SHUTDOWN foo", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT", "SHUTDOWN ABORT NOW",
		"MEMORY PURGE", "MEMORY PURGE x", "MEMORY FOO", "MEMORY MALLOC-STATS x", "LATENCY LATEST", "LATENCY RESET", "MODULE LIST", "FUNCTION LIST",
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
		"CLUSTER SLOT-STATS", "CLUSTER SLOT-STATS foo 1", "CLUSTER SLOT-STATS SLOTSRANGE 0", "CLUSTER SLOT-STATS SLOTSRANGE 5 1",
		"CLUSTER SLOT-STATS SLOTSRANGE 0 16384", "CLUSTER SLOT-STATS SLOTSRANGE a b", "CLUSTER SLOT-STATS SLOTSRANGE 0 1 2",
		"CLUSTER SLOT-STATS SLOTSRANGE 0 x", "CLUSTER SLOT-STATS ORDERBY foo", "CLUSTER SLOT-STATS ORDERBY cpu-usec",
		"CLUSTER SLOT-STATS ORDERBY key-count LIMIT 0", "CLUSTER SLOT-STATS ORDERBY key-count LIMIT x",
		"CLUSTER SLOT-STATS ORDERBY key-count LIMIT 16385", "CLUSTER SLOT-STATS ORDERBY key-count LIMIT",
		"CLUSTER SLOT-STATS ORDERBY key-count ASC DESC", "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 1 LIMIT 2",
		"CLUSTER SLOT-STATS ORDERBY key-count foo", "CLUSTER SLOT-STATS ORDERBY", "CLUSTER SLOT-STATS ORDERBY key-count DESC DESC",
		"CLUSTER REPLICAS x", "CLUSTER COUNT-FAILURE-REPORTS x", "CLUSTER COUNTKEYSINSLOT 16384",
		"CLUSTER COUNTKEYSINSLOT x", "CLUSTER COUNTKEYSINSLOT 5", "CLUSTER GETKEYSINSLOT 1 -1", "CLUSTER GETKEYSINSLOT x 1",
		"CLUSTER GETKEYSINSLOT 1 10", "CLUSTER FORGET x", "CLUSTER REPLICATE x", "CLUSTER KEYSLOT foo", "CLUSTER KEYSLOT",
		"CLIENT KILL MAXAGE x", "CLIENT KILL MAXAGE 0", "CLIENT KILL MAXAGE 999999999", "CLIENT KILL ID 999 ADDR 1.2.3.4:5",
		"CLIENT KILL ADDR 1.2.3.4:5 SKIPME", "CLIENT KILL TYPE pubsub USER default LADDR x SKIPME yes", "CLIENT NO-TOUCH ON",
		"CLIENT NO-TOUCH foo", "CLIENT NO-TOUCH", "CLIENT SETINFO lib-name abc", `CLIENT SETINFO lib-name "a b"`,
		"CLIENT SETINFO LIB-VER 1.2", "CLIENT SETINFO foo bar", "CLIENT SETINFO lib-name", "COMMAND GETKEYS ping", "COMMAND GETKEYS",
		"COMMAND GETKEYSANDFLAGS", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY PATTERN", "COMMAND LIST FILTERBY PATTERN ge?", "COMMAND LIST FOO",
		"LATENCY", "LATENCY FOO", "LATENCY HISTORY", "LATENCY HISTORY nosuch", "LATENCY GRAPH nosuch", "LATENCY GRAPH", "LATENCY DOCTOR x",
		"LATENCY HISTOGRAM nosuch", "LATENCY HISTOGRAM unlink", "LATENCY RESET nosuch", "CONFIG SET latency-monitor-threshold x",
		"CONFIG SET latency-monitor-threshold -1", "CONFIG SET latency-monitor-threshold 100000", "CONFIG GET latency-monitor-threshold",
		"MULTI x", "COMMAND INFO multi", "COMMAND INFO exec", "COMMAND INFO discard", "UNWATCH", "WATCH",
		"RESET",
	}
}

func toArgs(texts []string) [][]byte {
	args := make([][]byte, len(texts))
	for i, text := range texts {
		args[i] = []byte(text)
	}
	return args
}
