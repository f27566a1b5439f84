package admin

import (
	"math"

	"github.com/genuineh/aikv/node/command"
)

// paramKind tells which values a parameter can have in Redis.
type paramKind uint8

const (
	textParam        paramKind = iota
	booleanParam               // yes, no
	integerParam               // low <= n <= high
	memoryParam                // bytes, with a unit such as 64mb, low <= n <= high unless that is 0
	enumParam                  // one of words
	outputLimitParam           // see OutputLimits
	immutableParam             // known, and not changed while the node runs
	protectedParam             // the same, with another text
)

// param is a configuration parameter of Redis. CONFIG SET of one either acts or is
// refused, unless the value says what the node does anyway: the one that it has, the
// one that it started with, or same ("*": any).
type param struct {
	name      string
	value     string // at the start, unless the node gives another one
	kind      paramKind
	low, high int64
	words     string // of an enumParam, separated by ", "
	// parse, if set, stands for kind: it returns the value as CONFIG GET shows it,
	// or why Redis refuses it.
	parse func(text string) (value, why string)

	acts   bool
	same   string
	why    string // what a client is told whose value asks for something else
	hidden bool   // CONFIG GET shows it by its full name alone
}

// allows reports whether the node does what value says without acting upon it.
func (p *param) allows(value, current, initial string) bool {
	return value == current || value == initial || p.same != "" && (p.same == "*" || value == p.same)
}

// Why values are refused, by what AiKv lacks or does otherwise.
const (
	whyEviction   = "AiKv has no memory limit and evicts nothing"
	whyLink       = "the queue to another node is bounded, and not by this"
	whyListen     = "set in the configuration, at the start"
	whyLog        = "AiKv has no append-only file: writes are in the Raft log, synced as wal.fsync of the configuration says"
	whyMemory     = "AiKv's memory is Go's, which needs no defragmenting or freeing by hand"
	whyMessages   = "AiKv has no pub/sub, keyspace events and client tracking yet"
	whyMonitoring = "AiKv has no slow log and no latency events yet"
	whyProcess    = "AiKv's process has nothing that this could change"
	whyRDB        = "AiKv writes and reads no RDB files: every acknowledged write is in the Raft log"
	whyReplicas   = "AiKv's replicas follow a Raft log: a write is acknowledged by a majority of its shard's voters"
	whyScripts    = "AiKv has no scripts yet"
	whyShards     = "AiKv's replicas stay with their shard, and whoever has its whole log can take over"
	whyShutdown   = "AiKv stops at once: everything acknowledged is in the Raft log"
	whyTLS        = "AiKv has no TLS yet"
	whyTypes      = "AiKv has no values of this type yet"
	whyUsers      = "AiKv has no users but the default one; nodes prove raft.token of the configuration to each other"
)

// redisParams returns every parameter of Redis 7.0 with its default, except
// where AiKv has a truth of its own to tell: every acknowledged write is
// synced, the cluster is always on and has one database.
func redisParams() []param {
	return []param{
		{name: "acl-pubsub-default", value: "resetchannels", kind: enumParam, words: "allchannels, resetchannels", why: whyUsers},
		{name: "aclfile", kind: immutableParam},
		{name: "acllog-max-len", value: "128", kind: integerParam, high: math.MaxInt64, why: whyUsers},
		{name: "active-defrag-cycle-max", value: "25", kind: integerParam, low: 1, high: 99, why: whyMemory},
		{name: "active-defrag-cycle-min", value: "1", kind: integerParam, low: 1, high: 99, why: whyMemory},
		{name: "active-defrag-ignore-bytes", value: "104857600", kind: memoryParam, why: whyMemory},
		{name: "active-defrag-max-scan-fields", value: "1000", kind: integerParam, low: 1, high: math.MaxInt64, why: whyMemory},
		{name: "active-defrag-threshold-lower", value: "10", kind: integerParam, high: 1000, why: whyMemory},
		{name: "active-defrag-threshold-upper", value: "100", kind: integerParam, high: 1000, why: whyMemory},
		{name: "active-expire-effort", value: "1", kind: integerParam, low: 1, high: 10, why: whyProcess},
		{name: "activedefrag", value: "no", kind: booleanParam, why: whyMemory},
		{name: "activerehashing", value: "yes", kind: booleanParam, same: "no", why: whyProcess},
		{name: "always-show-logo", value: "no", kind: immutableParam},
		{name: "aof-disable-auto-gc", value: "no", kind: booleanParam, why: whyLog},
		{name: "aof-load-truncated", value: "yes", kind: booleanParam, why: whyLog},
		{name: "aof-rewrite-incremental-fsync", value: "yes", kind: booleanParam, why: whyLog},
		{name: "aof-timestamp-enabled", value: "no", kind: booleanParam, why: whyLog},
		{name: "aof-use-rdb-preamble", value: "yes", kind: booleanParam, why: whyLog},
		{name: "aof_rewrite_cpulist", kind: immutableParam},
		{name: "appenddirname", value: "appendonlydir", kind: immutableParam},
		{name: "appendfilename", value: "appendonly.aof", kind: immutableParam},
		{name: "appendfsync", value: "always", kind: enumParam, words: "everysec, always, no", why: whyLog},
		{name: "appendonly", value: "yes", kind: booleanParam, why: whyLog},
		{name: "auto-aof-rewrite-min-size", value: "67108864", kind: memoryParam, why: whyLog},
		{name: "auto-aof-rewrite-percentage", value: "100", kind: integerParam, high: math.MaxInt32, same: "0", why: whyLog},
		{name: "bgsave_cpulist", kind: immutableParam},
		{name: "bind", value: "127.0.0.1", parse: parseBind, why: whyListen},
		{name: "bind-source-addr", why: whyListen},
		{name: "bio_cpulist", kind: immutableParam},
		{name: "busy-reply-threshold", value: "5000", kind: integerParam, high: math.MaxInt64, same: "0", why: whyScripts},
		{name: "client-output-buffer-limit", value: "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", kind: outputLimitParam, acts: true},
		{name: "client-query-buffer-limit", value: "117440512", kind: memoryParam, low: 1 << 20, high: command.MaxQueryBuffer, acts: true},
		{name: "cluster-allow-pubsubshard-when-down", value: "yes", kind: booleanParam, why: whyMessages},
		{name: "cluster-allow-reads-when-down", value: "no", kind: booleanParam, acts: true},
		{name: "cluster-allow-replica-migration", value: "yes", kind: booleanParam, same: "no", why: whyShards},
		{name: "cluster-announce-bus-port", value: "0", kind: integerParam, high: math.MaxUint16, acts: true},
		{name: "cluster-announce-hostname", parse: parseHostname, acts: true},
		{name: "cluster-announce-human-nodename", parse: parseNodename, acts: true},
		{name: "cluster-announce-ip", parse: parseAnnouncedIP, acts: true},
		{name: "cluster-announce-port", value: "0", kind: integerParam, high: math.MaxUint16, acts: true},
		{name: "cluster-announce-tls-port", value: "0", kind: integerParam, high: math.MaxUint16, why: whyTLS},
		{name: "cluster-config-file", value: "nodes.conf", kind: immutableParam},
		{name: "cluster-enabled", value: "yes", kind: immutableParam},
		{name: "cluster-link-sendbuf-limit", value: "0", kind: memoryParam, why: whyLink},
		{name: "cluster-migration-barrier", value: "1", kind: integerParam, high: math.MaxInt32, why: whyShards},
		{name: "cluster-node-timeout", value: "15000", kind: integerParam, high: math.MaxInt64, acts: true},
		{name: "cluster-port", value: "0", kind: immutableParam},
		{name: "cluster-preferred-endpoint-type", value: "ip", kind: enumParam, words: "ip, hostname, unknown-endpoint", acts: true},
		{name: "cluster-replica-no-failover", value: "no", kind: booleanParam, why: whyShards},
		{name: "cluster-replica-validity-factor", value: "10", kind: integerParam, high: math.MaxInt32, same: "0", why: whyShards},
		{name: "cluster-require-full-coverage", value: "yes", kind: booleanParam, acts: true},
		{name: "crash-log-enabled", value: "yes", kind: booleanParam, same: "no", why: whyProcess},
		{name: "crash-memcheck-enabled", value: "yes", kind: booleanParam, same: "no", why: whyProcess},
		{name: "daemonize", value: "no", kind: immutableParam},
		{name: "databases", value: "1", kind: immutableParam},
		{name: "dbfilename", value: "dump.rdb", kind: protectedParam},
		{name: "dir", kind: protectedParam},
		{name: "disable-thp", value: "yes", kind: immutableParam},
		{name: "dynamic-hz", value: "yes", kind: booleanParam, same: "no", why: whyProcess},
		{name: "enable-debug-command", value: "no", kind: immutableParam},
		{name: "enable-module-command", value: "no", kind: immutableParam},
		{name: "enable-protected-configs", value: "no", kind: immutableParam},
		{name: "hash-max-listpack-entries", value: "512", kind: integerParam, high: math.MaxInt64, why: whyTypes},
		{name: "hash-max-listpack-value", value: "64", kind: memoryParam, why: whyTypes},
		{name: "hll-sparse-max-bytes", value: "3000", kind: memoryParam, why: whyTypes},
		{name: "hz", value: "10", kind: integerParam, high: math.MaxInt32, why: whyProcess},
		{name: "ignore-warnings", why: whyProcess},
		{name: "io-threads", value: "1", kind: immutableParam},
		{name: "io-threads-do-reads", value: "no", kind: immutableParam},
		{name: "jemalloc-bg-thread", value: "yes", kind: booleanParam, same: "no", why: whyProcess},
		{name: "key-load-delay", value: "0", kind: integerParam, low: math.MinInt32, high: math.MaxInt32, hidden: true, why: whyProcess},
		{name: "latency-monitor-threshold", value: "0", kind: integerParam, high: math.MaxInt64, why: whyMonitoring},
		{name: "latency-tracking", value: "yes", kind: booleanParam, acts: true},
		{name: "latency-tracking-info-percentiles", value: "50 99 99.9", parse: parsePercentiles, acts: true},
		{name: "lazyfree-lazy-eviction", value: "no", kind: booleanParam, same: "yes", why: whyMemory},
		{name: "lazyfree-lazy-expire", value: "no", kind: booleanParam, same: "yes", why: whyMemory},
		{name: "lazyfree-lazy-server-del", value: "no", kind: booleanParam, same: "yes", why: whyMemory},
		{name: "lazyfree-lazy-user-del", value: "no", kind: booleanParam, same: "yes", why: whyMemory},
		{name: "lazyfree-lazy-user-flush", value: "no", kind: booleanParam, same: "yes", why: whyMemory},
		{name: "lfu-decay-time", value: "1", kind: integerParam, high: math.MaxInt32, why: whyEviction},
		{name: "lfu-log-factor", value: "10", kind: integerParam, high: math.MaxInt32, why: whyEviction},
		{name: "list-compress-depth", value: "0", kind: integerParam, high: math.MaxInt32, why: whyTypes},
		{name: "list-max-listpack-size", value: "-2", kind: integerParam, low: math.MinInt32, high: math.MaxInt32, why: whyTypes},
		{name: "loading-process-events-interval-bytes", value: "2097152", kind: integerParam, low: 1024, high: math.MaxInt32, hidden: true, why: whyProcess},
		{name: "logfile", kind: immutableParam},
		{name: "loglevel", value: "notice", kind: enumParam, words: "debug, verbose, notice, warning", acts: true},
		{name: "masterauth", why: whyUsers},
		{name: "masteruser", why: whyUsers},
		{name: "maxclients", value: "10000", kind: integerParam, low: 1, high: math.MaxUint32, acts: true},
		{name: "maxmemory", value: "0", kind: memoryParam, why: whyEviction},
		{name: "maxmemory-clients", value: "0", parse: parseClientMemory, why: whyEviction},
		{name: "maxmemory-eviction-tenacity", value: "10", kind: integerParam, high: 100, why: whyEviction},
		{name: "maxmemory-policy", value: "noeviction", kind: enumParam, words: "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction", why: whyEviction},
		{name: "maxmemory-samples", value: "5", kind: integerParam, low: 1, high: math.MaxInt32, why: whyEviction},
		{name: "min-replicas-max-lag", value: "10", kind: integerParam, high: math.MaxInt32, why: whyReplicas},
		{name: "min-replicas-to-write", value: "0", kind: integerParam, high: math.MaxInt32, why: whyReplicas},
		{name: "no-appendfsync-on-rewrite", value: "no", kind: booleanParam, why: whyLog},
		{name: "notify-keyspace-events", parse: parseEvents, why: whyMessages},
		{name: "oom-score-adj", value: "no", kind: enumParam, words: "no, yes, relative, absolute", why: whyProcess},
		{name: "oom-score-adj-values", value: "0 200 800", parse: parseOOMScores, why: whyProcess},
		{name: "pidfile", kind: immutableParam},
		{name: "port", value: "6379", kind: integerParam, high: math.MaxUint16, why: whyListen},
		{name: "proc-title-template", value: "{title} {listen-addr} {server-mode}", parse: parseTitle, why: whyProcess},
		{name: "propagation-error-behavior", value: "ignore", kind: enumParam, words: "ignore, panic, panic-on-replicas", why: whyReplicas},
		{name: "protected-mode", value: "no", kind: booleanParam, why: whyListen},
		{name: "proto-max-bulk-len", value: "67108864", kind: memoryParam, low: 1 << 20, high: command.MaxBulkLength, acts: true},
		{name: "rdb-del-sync-files", value: "no", kind: booleanParam, why: whyRDB},
		{name: "rdb-key-save-delay", value: "0", kind: integerParam, low: math.MinInt32, high: math.MaxInt32, hidden: true, why: whyRDB},
		{name: "rdb-save-incremental-fsync", value: "yes", kind: booleanParam, why: whyRDB},
		{name: "rdbchecksum", value: "yes", kind: immutableParam},
		{name: "rdbcompression", value: "yes", kind: booleanParam, why: whyRDB},
		{name: "repl-backlog-size", value: "1048576", kind: memoryParam, why: whyReplicas},
		{name: "repl-backlog-ttl", value: "3600", kind: integerParam, high: math.MaxInt64, why: whyReplicas},
		{name: "repl-disable-tcp-nodelay", value: "no", kind: booleanParam, why: whyReplicas},
		{name: "repl-diskless-load", value: "disabled", kind: enumParam, words: "disabled, on-empty-db, swapdb", why: whyReplicas},
		{name: "repl-diskless-sync", value: "yes", kind: booleanParam, why: whyReplicas},
		{name: "repl-diskless-sync-delay", value: "5", kind: integerParam, high: math.MaxInt32, why: whyReplicas},
		{name: "repl-diskless-sync-max-replicas", value: "0", kind: integerParam, high: math.MaxInt32, why: whyReplicas},
		{name: "repl-ping-replica-period", value: "10", kind: integerParam, low: 1, high: math.MaxInt32, why: whyReplicas},
		{name: "repl-timeout", value: "60", kind: integerParam, low: 1, high: math.MaxInt32, why: whyReplicas},
		{name: "replica-announce-ip", why: whyReplicas},
		{name: "replica-announce-port", value: "0", kind: integerParam, high: math.MaxUint16, why: whyReplicas},
		{name: "replica-announced", value: "yes", kind: booleanParam, why: whyReplicas},
		{name: "replica-ignore-disk-write-errors", value: "no", kind: booleanParam, why: whyReplicas},
		{name: "replica-ignore-maxmemory", value: "yes", kind: booleanParam, why: whyReplicas},
		{name: "replica-lazy-flush", value: "no", kind: booleanParam, same: "yes", why: whyReplicas},
		{name: "replica-priority", value: "100", kind: integerParam, high: math.MaxInt32, why: whyReplicas},
		{name: "replica-read-only", value: "yes", kind: booleanParam, why: whyReplicas},
		{name: "replica-serve-stale-data", value: "yes", kind: booleanParam, why: whyReplicas},
		{name: "replicaof", kind: immutableParam},
		{name: "requirepass", acts: true},
		{name: "sanitize-dump-payload", value: "no", kind: enumParam, words: "no, yes, clients", why: whyRDB},
		{name: "save", parse: parseSave, why: whyRDB},
		{name: "server_cpulist", kind: immutableParam},
		{name: "set-max-intset-entries", value: "512", kind: integerParam, high: math.MaxInt64, why: whyTypes},
		{name: "set-proc-title", value: "yes", kind: immutableParam},
		{name: "shutdown-on-sigint", value: "default", parse: parseShutdown, same: "*", why: whyShutdown},
		{name: "shutdown-on-sigterm", value: "default", parse: parseShutdown, same: "*", why: whyShutdown},
		{name: "shutdown-timeout", value: "10", kind: integerParam, high: math.MaxInt32, same: "0", why: whyShutdown},
		{name: "slowlog-log-slower-than", value: "10000", kind: integerParam, low: -1, high: math.MaxInt64, same: "-1", why: whyMonitoring},
		{name: "slowlog-max-len", value: "128", kind: integerParam, high: math.MaxInt64, same: "0", why: whyMonitoring},
		{name: "socket-mark-id", value: "0", kind: immutableParam},
		{name: "stop-writes-on-bgsave-error", value: "yes", kind: booleanParam, same: "no", why: whyRDB},
		{name: "stream-node-max-bytes", value: "4096", kind: memoryParam, why: whyTypes},
		{name: "stream-node-max-entries", value: "100", kind: integerParam, high: math.MaxInt64, why: whyTypes},
		{name: "supervised", value: "no", kind: immutableParam},
		{name: "syslog-enabled", value: "no", kind: immutableParam},
		{name: "syslog-facility", value: "local0", kind: immutableParam},
		{name: "syslog-ident", value: "redis", kind: immutableParam},
		{name: "tcp-backlog", value: "511", kind: immutableParam},
		{name: "tcp-keepalive", value: "300", kind: integerParam, high: math.MaxInt32, why: whyListen},
		{name: "timeout", value: "0", kind: integerParam, high: math.MaxInt32, acts: true},
		{name: "tls-auth-clients", value: "yes", kind: enumParam, words: "no, yes, optional", why: whyTLS},
		{name: "tls-ca-cert-dir", why: whyTLS},
		{name: "tls-ca-cert-file", why: whyTLS},
		{name: "tls-cert-file", why: whyTLS},
		{name: "tls-ciphers", why: whyTLS},
		{name: "tls-ciphersuites", why: whyTLS},
		{name: "tls-client-cert-file", why: whyTLS},
		{name: "tls-client-key-file", why: whyTLS},
		{name: "tls-client-key-file-pass", why: whyTLS},
		{name: "tls-cluster", value: "no", kind: booleanParam, why: whyTLS},
		{name: "tls-dh-params-file", why: whyTLS},
		{name: "tls-key-file", why: whyTLS},
		{name: "tls-key-file-pass", why: whyTLS},
		{name: "tls-port", value: "0", kind: integerParam, high: math.MaxUint16, why: whyTLS},
		{name: "tls-prefer-server-ciphers", value: "no", kind: booleanParam, why: whyTLS},
		{name: "tls-protocols", why: whyTLS},
		{name: "tls-replication", value: "no", kind: booleanParam, why: whyTLS},
		{name: "tls-session-cache-size", value: "20480", kind: integerParam, high: math.MaxInt32, why: whyTLS},
		{name: "tls-session-cache-timeout", value: "300", kind: integerParam, high: math.MaxInt32, why: whyTLS},
		{name: "tls-session-caching", value: "yes", kind: booleanParam, why: whyTLS},
		{name: "tracking-table-max-keys", value: "1000000", kind: integerParam, high: math.MaxInt64, why: whyMessages},
		{name: "unixsocket", kind: immutableParam},
		{name: "unixsocketperm", value: "0", kind: immutableParam},
		{name: "watchdog-period", value: "0", kind: integerParam, high: math.MaxInt32, hidden: true, why: whyProcess},
		{name: "zset-max-listpack-entries", value: "128", kind: integerParam, high: math.MaxInt64, why: whyTypes},
		{name: "zset-max-listpack-value", value: "64", kind: memoryParam, why: whyTypes},
	}
}

// paramAliases returns the second names that Redis gives to parameters.
func paramAliases() map[string]string {
	return map[string]string{
		"cluster-slave-no-failover":     "cluster-replica-no-failover",
		"cluster-slave-validity-factor": "cluster-replica-validity-factor",
		"hash-max-ziplist-entries":      "hash-max-listpack-entries",
		"hash-max-ziplist-value":        "hash-max-listpack-value",
		"list-max-ziplist-size":         "list-max-listpack-size",
		"lua-time-limit":                "busy-reply-threshold",
		"min-slaves-max-lag":            "min-replicas-max-lag",
		"min-slaves-to-write":           "min-replicas-to-write",
		"repl-ping-slave-period":        "repl-ping-replica-period",
		"slave-announce-ip":             "replica-announce-ip",
		"slave-announce-port":           "replica-announce-port",
		"slave-ignore-maxmemory":        "replica-ignore-maxmemory",
		"slave-lazy-flush":              "replica-lazy-flush",
		"slave-priority":                "replica-priority",
		"slave-read-only":               "replica-read-only",
		"slave-serve-stale-data":        "replica-serve-stale-data",
		"slaveof":                       "replicaof",
		"zset-max-ziplist-entries":      "zset-max-listpack-entries",
		"zset-max-ziplist-value":        "zset-max-listpack-value",
	}
}
