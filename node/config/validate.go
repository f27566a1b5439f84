package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate returns the first thing that is wrong, as a *KeyError, or nil.
func (c *Config) Validate() error {
	for _, check := range []func(*Config) error{
		checkServer, checkRaft, checkStorage, checkCluster, checkLogging,
	} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func checkServer(c *Config) error {
	s := &c.Server
	return firstError(
		notEmpty("server.host", s.Host),
		between("server.port", s.Port, 1, 65535),
		ipAddress("server.announce_host", s.AnnounceHost),
		between("server.announce_port", s.AnnouncePort, 0, 65535),
		hostname("server.announce_hostname", s.AnnounceHostname),
		oneOf("server.preferred_endpoint_type", s.PreferredEndpointType, EndpointIP, EndpointHostname, EndpointUnknown),
		between("server.maxclients", s.MaxClients, 1, 1_000_000),
		between("server.read_memory", s.ReadMemory, 16<<20, 1<<40),
		between("server.proto_max_bulk_len", s.ProtoMaxBulkLen, 1<<20, 100<<20),
		between("server.client_query_buffer_limit", s.QueryBufferLimit, 1<<20, 112<<20),
		failIf(s.PreferredEndpointType == EndpointHostname && s.AnnounceHostname == "",
			"server.announce_hostname", `is needed with preferred_endpoint_type = "hostname"`),
	)
}

func checkRaft(c *Config) error {
	r := &c.Raft
	if r.Announce != "" {
		if err := hostPort("raft.announce", r.Announce); err != nil {
			return err
		}
	}
	for _, seed := range r.Seeds {
		if err := hostPort("raft.seeds", seed); err != nil {
			return err
		}
	}
	return firstError(
		secret("raft.token", r.Token),
		secret("raft.token_old", r.TokenOld),
		failIf(r.Token == "" && r.TokenOld != "", "raft.token", "is needed with token_old: nodes prove it first"),
		between("raft.port", r.Port, 1, 65535),
		failIf(r.Port == c.Server.Port && c.raftHost() == c.Server.Host, "raft.port", "is the client port; give it another one"),
		between("raft.tick", r.Tick, Duration(time.Millisecond), Duration(10*time.Second)),
		between("raft.heartbeat_ticks", r.HeartbeatTicks, 1, 1000),
		between("raft.election_ticks", r.ElectionTicks, 2*r.HeartbeatTicks, 10000),
		between("raft.gather", r.Gather, 0, Duration(time.Second)),
		between("raft.max_entry_bytes", r.MaxEntryBytes, 1<<10, 64<<20),
		between("raft.inflight_entries", r.InflightEntries, 1, 1024),
		between("raft.request_timeout", r.RequestTimeout, Duration(100*time.Millisecond), Duration(10*time.Minute)),
		between("raft.commit_delay", r.CommitDelay, 0, Duration(time.Second)),
		between("raft.snapshot_rate", r.SnapshotRate, 0, 1<<40),
	)
}

func checkStorage(c *Config) error {
	s, w := &c.Storage, &c.WAL
	return firstError(
		notEmpty("storage.data_dir", s.DataDir),
		between("storage.write_buffer", s.WriteBuffer, 64<<10, 1<<30),
		between("storage.block_cache", s.BlockCache, 0, 64<<30),
		between("storage.bloom_bits", s.BloomBits, 0, 64),
		between("storage.cache_size", s.CacheSize, 0, 64<<30),
		between("storage.dirty_size", s.DirtySize, 64<<10, 64<<30),
		between("storage.checkpoint_interval", s.CheckpointInterval, Duration(10*time.Millisecond), Duration(24*time.Hour)),
		between("storage.attic_keep", s.AtticKeep, 0, Duration(365*24*time.Hour)),
		between("storage.attic_free", s.AtticFree, 0, 1<<50),
		between("wal.segment_size", w.SegmentSize, 64<<10, 4<<30),
		between("wal.preallocate", w.Preallocate, 4<<10, w.SegmentSize),
		oneOf("wal.fsync", w.Fsync, FsyncAlways, FsyncInterval, FsyncNever),
		between("wal.fsync_interval", w.FsyncInterval, Duration(time.Millisecond), Duration(time.Minute)),
		between("wal.group_size", w.GroupSize, 16<<10, 1<<40),
		between("wal.group_entries", w.GroupEntries, 16, 100_000_000),
	)
}

func checkCluster(c *Config) error {
	cl := &c.Cluster
	heartbeat := c.Raft.Tick * Duration(c.Raft.HeartbeatTicks)
	return firstError(
		between("cluster.node_timeout", cl.NodeTimeout, 2*heartbeat, Duration(10*time.Minute)),
		between("cluster.command_timeout", cl.CommandTimeout, Duration(100*time.Millisecond), Duration(10*time.Minute)),
		between("cluster.meet_timeout", cl.MeetTimeout, Duration(100*time.Millisecond), Duration(10*time.Minute)),
		between("cluster.arbiter_grace", cl.ArbiterGrace, Duration(100*time.Millisecond), Duration(7*24*time.Hour)),
		between("cluster.replica_max_staleness", cl.ReplicaMaxStaleness, 0, Duration(7*24*time.Hour)),
		between("cluster.handoff_timeout", cl.HandoffTimeout, 0, Duration(time.Minute)),
		oneOf("cluster.reads", cl.Reads, ReadsLease, ReadsQuorum),
		between("migration.rate", c.Migration.Rate, 0, 1<<40),
	)
}

func checkLogging(c *Config) error {
	return firstError(
		oneOf("logging.level", c.Logging.Level, "debug", "info", "warn", "error"),
		oneOf("logging.format", c.Logging.Format, FormatText, FormatJSON),
	)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func failIf(wrong bool, key, reason string) error {
	if wrong {
		return &KeyError{Key: key, Reason: reason}
	}
	return nil
}

func notEmpty(key, value string) error {
	return failIf(strings.TrimSpace(value) == "", key, "must not be empty")
}

func between[T int | Size | Duration](key string, value, low, high T) error {
	return failIf(value < low || value > high, key, fmt.Sprintf("%v is not between %v and %v", value, low, high))
}

func oneOf(key, value string, allowed ...string) error {
	list := strings.Join(allowed, ", ")
	if i := strings.LastIndex(list, ", "); i >= 0 {
		list = list[:i] + " or " + list[i+2:]
	}
	return failIf(!slices.Contains(allowed, value), key, fmt.Sprintf("%q is not %s", value, list))
}

// CheckSecret returns what keeps a node from listening for other nodes: off
// loopback they have to know a secret.
func (c *Config) CheckSecret() error {
	return failIf(c.Raft.Token == "" && c.Raft.TokenFile == "" && !loopback(c.raftHost()), "raft.token",
		"is needed, or raft.token_file, where other machines can reach the Raft port ("+c.RaftListen()+"); or set raft.host to 127.0.0.1")
}

// MinToken is how many characters a secret has at least: whoever gets a node to
// connect to him can try short ones out.
const MinToken = 16

// secret allows an empty value.
func secret(key, value string) error {
	bad := strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f })
	return firstError(
		failIf(value != "" && len(value) < MinToken, key, fmt.Sprintf("needs at least %d characters, such as those of: openssl rand -hex 32", MinToken)),
		failIf(bad, key, "must not have spaces or control characters"),
	)
}

// ipAddress allows an empty value.
func ipAddress(key, value string) error {
	_, err := netip.ParseAddr(value)
	return failIf(value != "" && err != nil, key, fmt.Sprintf("%q is not an IP address", value))
}

// hostname allows an empty value. It stands in CLUSTER NODES, between commas
// and spaces.
func hostname(key, value string) error {
	bad := strings.ContainsFunc(value, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
	return failIf(bad || len(value) > 255, key, fmt.Sprintf("%q is not a host name", value))
}

func hostPort(key, value string) error {
	host, port, err := net.SplitHostPort(value)
	n, perr := strconv.Atoi(port)
	wrong := err != nil || host == "" || perr != nil || n < 1 || n > 65535 || strings.ContainsAny(value, " \t,")
	return failIf(wrong, key, fmt.Sprintf("%q is not host:port", value))
}
