package command

import "math"

// paramKind tells which values CONFIG SET takes for a parameter.
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

// What a command may have at most, whatever the configuration: it travels to the
// other nodes as one message.
const (
	MaxBulkLength  = 100 << 20 // bytes of one argument
	MaxQueryBuffer = 112 << 20 // bytes of all of it
)

// param is a configuration parameter of Redis 7.0.
type param struct {
	name      string
	value     string // at the start, unless the node gives another one
	kind      paramKind
	low, high int64
	words     string // of an enumParam, separated by ", "
}

// redisParams returns every parameter of Redis 7.0 with its default, except
// where AiKv has a truth of its own to tell: every acknowledged write is
// synced, the cluster is always on and has one database.
func redisParams() []param {
	return []param{
		{name: "acl-pubsub-default", value: "resetchannels", kind: enumParam, words: "allchannels, resetchannels"},
		{name: "aclfile", kind: immutableParam},
		{name: "acllog-max-len", value: "128", kind: integerParam, high: math.MaxInt64},
		{name: "active-defrag-cycle-max", value: "25", kind: integerParam, low: 1, high: 99},
		{name: "active-defrag-cycle-min", value: "1", kind: integerParam, low: 1, high: 99},
		{name: "active-defrag-ignore-bytes", value: "104857600", kind: memoryParam},
		{name: "active-defrag-max-scan-fields", value: "1000", kind: integerParam, low: 1, high: math.MaxInt64},
		{name: "active-defrag-threshold-lower", value: "10", kind: integerParam, high: 1000},
		{name: "active-defrag-threshold-upper", value: "100", kind: integerParam, high: 1000},
		{name: "active-expire-effort", value: "1", kind: integerParam, low: 1, high: 10},
		{name: "activedefrag", value: "no", kind: booleanParam},
		{name: "activerehashing", value: "yes", kind: booleanParam},
		{name: "always-show-logo", value: "no", kind: immutableParam},
		{name: "aof-disable-auto-gc", value: "no", kind: booleanParam},
		{name: "aof-load-truncated", value: "yes", kind: booleanParam},
		{name: "aof-rewrite-incremental-fsync", value: "yes", kind: booleanParam},
		{name: "aof-timestamp-enabled", value: "no", kind: booleanParam},
		{name: "aof-use-rdb-preamble", value: "yes", kind: booleanParam},
		{name: "aof_rewrite_cpulist", kind: immutableParam},
		{name: "appenddirname", value: "appendonlydir", kind: immutableParam},
		{name: "appendfilename", value: "appendonly.aof", kind: immutableParam},
		{name: "appendfsync", value: "always", kind: immutableParam},
		{name: "appendonly", value: "yes", kind: immutableParam},
		{name: "auto-aof-rewrite-min-size", value: "67108864", kind: memoryParam},
		{name: "auto-aof-rewrite-percentage", value: "100", kind: integerParam, high: math.MaxInt32},
		{name: "bgsave_cpulist", kind: immutableParam},
		{name: "bind", value: "127.0.0.1"},
		{name: "bind-source-addr"},
		{name: "bio_cpulist", kind: immutableParam},
		{name: "busy-reply-threshold", value: "5000", kind: integerParam, high: math.MaxInt64},
		{name: "client-output-buffer-limit", value: "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", kind: outputLimitParam},
		{name: "client-query-buffer-limit", value: "117440512", kind: memoryParam, low: 1 << 20, high: MaxQueryBuffer},
		{name: "cluster-allow-pubsubshard-when-down", value: "yes", kind: booleanParam},
		{name: "cluster-allow-reads-when-down", value: "no", kind: booleanParam},
		{name: "cluster-allow-replica-migration", value: "yes", kind: booleanParam},
		{name: "cluster-announce-bus-port", value: "0", kind: integerParam, high: math.MaxUint16},
		{name: "cluster-announce-hostname"},
		{name: "cluster-announce-ip"},
		{name: "cluster-announce-port", value: "0", kind: integerParam, high: math.MaxUint16},
		{name: "cluster-announce-tls-port", value: "0", kind: integerParam, high: math.MaxUint16},
		{name: "cluster-config-file", value: "nodes.conf", kind: immutableParam},
		{name: "cluster-enabled", value: "yes", kind: immutableParam},
		{name: "cluster-link-sendbuf-limit", value: "0", kind: memoryParam},
		{name: "cluster-migration-barrier", value: "1", kind: integerParam, high: math.MaxInt32},
		{name: "cluster-node-timeout", value: "15000", kind: integerParam, high: math.MaxInt64},
		{name: "cluster-port", value: "0", kind: immutableParam},
		{name: "cluster-preferred-endpoint-type", value: "ip", kind: enumParam, words: "ip, hostname, unknown-endpoint"},
		{name: "cluster-replica-no-failover", value: "no", kind: booleanParam},
		{name: "cluster-replica-validity-factor", value: "10", kind: integerParam, high: math.MaxInt32},
		{name: "cluster-require-full-coverage", value: "yes", kind: booleanParam},
		{name: "crash-log-enabled", value: "yes", kind: booleanParam},
		{name: "crash-memcheck-enabled", value: "yes", kind: booleanParam},
		{name: "daemonize", value: "no", kind: immutableParam},
		{name: "databases", value: "1", kind: immutableParam},
		{name: "dbfilename", value: "dump.rdb", kind: protectedParam},
		{name: "dir", kind: protectedParam},
		{name: "disable-thp", value: "yes", kind: immutableParam},
		{name: "dynamic-hz", value: "yes", kind: booleanParam},
		{name: "enable-debug-command", value: "no", kind: immutableParam},
		{name: "enable-module-command", value: "no", kind: immutableParam},
		{name: "enable-protected-configs", value: "no", kind: immutableParam},
		{name: "hash-max-listpack-entries", value: "512", kind: integerParam, high: math.MaxInt64},
		{name: "hash-max-listpack-value", value: "64", kind: memoryParam},
		{name: "hll-sparse-max-bytes", value: "3000", kind: memoryParam},
		{name: "hz", value: "10", kind: integerParam, high: math.MaxInt32},
		{name: "ignore-warnings"},
		{name: "io-threads", value: "1", kind: immutableParam},
		{name: "io-threads-do-reads", value: "no", kind: immutableParam},
		{name: "jemalloc-bg-thread", value: "yes", kind: booleanParam},
		{name: "latency-monitor-threshold", value: "0", kind: integerParam, high: math.MaxInt64},
		{name: "latency-tracking", value: "yes", kind: booleanParam},
		{name: "latency-tracking-info-percentiles", value: "50 99 99.9", kind: memoryParam},
		{name: "lazyfree-lazy-eviction", value: "no", kind: booleanParam},
		{name: "lazyfree-lazy-expire", value: "no", kind: booleanParam},
		{name: "lazyfree-lazy-server-del", value: "no", kind: booleanParam},
		{name: "lazyfree-lazy-user-del", value: "no", kind: booleanParam},
		{name: "lazyfree-lazy-user-flush", value: "no", kind: booleanParam},
		{name: "lfu-decay-time", value: "1", kind: integerParam, high: math.MaxInt32},
		{name: "lfu-log-factor", value: "10", kind: integerParam, high: math.MaxInt32},
		{name: "list-compress-depth", value: "0", kind: integerParam, high: math.MaxInt32},
		{name: "list-max-listpack-size", value: "-2", kind: integerParam, low: math.MinInt32, high: math.MaxInt32},
		{name: "logfile", kind: immutableParam},
		{name: "loglevel", value: "notice", kind: enumParam, words: "debug, verbose, notice, warning"},
		{name: "masterauth"},
		{name: "masteruser"},
		{name: "maxclients", value: "10000", kind: integerParam, low: 1, high: math.MaxUint32},
		{name: "maxmemory", value: "0", kind: memoryParam},
		{name: "maxmemory-clients", value: "0", kind: memoryParam},
		{name: "maxmemory-eviction-tenacity", value: "10", kind: integerParam, high: 100},
		{name: "maxmemory-policy", value: "noeviction", kind: enumParam, words: "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"},
		{name: "maxmemory-samples", value: "5", kind: integerParam, low: 1, high: math.MaxInt32},
		{name: "min-replicas-max-lag", value: "10", kind: integerParam, high: math.MaxInt32},
		{name: "min-replicas-to-write", value: "0", kind: integerParam, high: math.MaxInt32},
		{name: "no-appendfsync-on-rewrite", value: "no", kind: booleanParam},
		{name: "notify-keyspace-events"},
		{name: "oom-score-adj", value: "no", kind: enumParam, words: "no, yes, relative, absolute"},
		{name: "oom-score-adj-values", value: "0 200 800"},
		{name: "pidfile", kind: immutableParam},
		{name: "port", value: "6379", kind: immutableParam},
		{name: "proc-title-template", value: "{title} {listen-addr} {server-mode}"},
		{name: "propagation-error-behavior", value: "ignore", kind: enumParam, words: "ignore, panic, panic-on-replicas"},
		{name: "protected-mode", value: "no", kind: booleanParam},
		{name: "proto-max-bulk-len", value: "67108864", kind: memoryParam, low: 1 << 20, high: MaxBulkLength},
		{name: "rdb-del-sync-files", value: "no", kind: booleanParam},
		{name: "rdb-save-incremental-fsync", value: "yes", kind: booleanParam},
		{name: "rdbchecksum", value: "yes", kind: immutableParam},
		{name: "rdbcompression", value: "yes", kind: booleanParam},
		{name: "repl-backlog-size", value: "1048576", kind: memoryParam},
		{name: "repl-backlog-ttl", value: "3600", kind: integerParam, high: math.MaxInt64},
		{name: "repl-disable-tcp-nodelay", value: "no", kind: booleanParam},
		{name: "repl-diskless-load", value: "disabled", kind: enumParam, words: "disabled, on-empty-db, swapdb"},
		{name: "repl-diskless-sync", value: "yes", kind: booleanParam},
		{name: "repl-diskless-sync-delay", value: "5", kind: integerParam, high: math.MaxInt32},
		{name: "repl-diskless-sync-max-replicas", value: "0", kind: integerParam, high: math.MaxInt32},
		{name: "repl-ping-replica-period", value: "10", kind: integerParam, low: 1, high: math.MaxInt32},
		{name: "repl-timeout", value: "60", kind: integerParam, low: 1, high: math.MaxInt32},
		{name: "replica-announce-ip"},
		{name: "replica-announce-port", value: "0", kind: integerParam, high: math.MaxUint16},
		{name: "replica-announced", value: "yes", kind: booleanParam},
		{name: "replica-ignore-disk-write-errors", value: "no", kind: booleanParam},
		{name: "replica-ignore-maxmemory", value: "yes", kind: booleanParam},
		{name: "replica-lazy-flush", value: "no", kind: booleanParam},
		{name: "replica-priority", value: "100", kind: integerParam, high: math.MaxInt32},
		{name: "replica-read-only", value: "yes", kind: booleanParam},
		{name: "replica-serve-stale-data", value: "yes", kind: booleanParam},
		{name: "replicaof", kind: immutableParam},
		{name: "requirepass"},
		{name: "sanitize-dump-payload", value: "no", kind: enumParam, words: "no, yes, clients"},
		{name: "save"},
		{name: "server_cpulist", kind: immutableParam},
		{name: "set-max-intset-entries", value: "512", kind: integerParam, high: math.MaxInt64},
		{name: "set-proc-title", value: "yes", kind: immutableParam},
		{name: "shutdown-on-sigint", value: "default", kind: enumParam, words: "default, save, nosave, now, force"},
		{name: "shutdown-on-sigterm", value: "default", kind: enumParam, words: "default, save, nosave, now, force"},
		{name: "shutdown-timeout", value: "10", kind: integerParam, high: math.MaxInt32},
		{name: "slowlog-log-slower-than", value: "10000", kind: integerParam, low: -1, high: math.MaxInt64},
		{name: "slowlog-max-len", value: "128", kind: integerParam, high: math.MaxInt64},
		{name: "socket-mark-id", value: "0", kind: immutableParam},
		{name: "stop-writes-on-bgsave-error", value: "yes", kind: booleanParam},
		{name: "stream-node-max-bytes", value: "4096", kind: memoryParam},
		{name: "stream-node-max-entries", value: "100", kind: integerParam, high: math.MaxInt64},
		{name: "supervised", value: "no", kind: immutableParam},
		{name: "syslog-enabled", value: "no", kind: immutableParam},
		{name: "syslog-facility", value: "local0", kind: immutableParam},
		{name: "syslog-ident", value: "redis", kind: immutableParam},
		{name: "tcp-backlog", value: "511", kind: immutableParam},
		{name: "tcp-keepalive", value: "300", kind: integerParam, high: math.MaxInt32},
		{name: "timeout", value: "0", kind: integerParam, high: math.MaxInt32},
		{name: "tls-auth-clients", value: "yes", kind: enumParam, words: "no, yes, optional"},
		{name: "tls-ca-cert-dir"},
		{name: "tls-ca-cert-file"},
		{name: "tls-cert-file"},
		{name: "tls-ciphers"},
		{name: "tls-ciphersuites"},
		{name: "tls-client-cert-file"},
		{name: "tls-client-key-file"},
		{name: "tls-client-key-file-pass"},
		{name: "tls-cluster", value: "no", kind: booleanParam},
		{name: "tls-dh-params-file"},
		{name: "tls-key-file"},
		{name: "tls-key-file-pass"},
		{name: "tls-port", value: "0", kind: integerParam, high: math.MaxUint16},
		{name: "tls-prefer-server-ciphers", value: "no", kind: booleanParam},
		{name: "tls-protocols"},
		{name: "tls-replication", value: "no", kind: booleanParam},
		{name: "tls-session-cache-size", value: "20480", kind: integerParam, high: math.MaxInt32},
		{name: "tls-session-cache-timeout", value: "300", kind: integerParam, high: math.MaxInt32},
		{name: "tls-session-caching", value: "yes", kind: booleanParam},
		{name: "tracking-table-max-keys", value: "1000000", kind: integerParam, high: math.MaxInt64},
		{name: "unixsocket", kind: immutableParam},
		{name: "unixsocketperm", value: "0", kind: immutableParam},
		{name: "zset-max-listpack-entries", value: "128", kind: integerParam, high: math.MaxInt64},
		{name: "zset-max-listpack-value", value: "64", kind: memoryParam},
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
