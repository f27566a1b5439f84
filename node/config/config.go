// Package config holds the settings of a node: their defaults, where they are
// read from, and what is wrong with them.
//
// A setting is taken from, in rising order of precedence: the default, the
// configuration file, the environment, the command line. Every key of the file
// is a field of Config with its `toml` name and a one-line `doc`; the sample
// files, --print-config and the names of environment variables all follow from
// these fields, so a new key is one new field, its default, and its check in
// Validate.
package config

import "time"

// Config is all settings of a node. The values are those of the file; use the
// methods for what follows from several of them.
type Config struct {
	Server    Server    `toml:"server" doc:"Clients."`
	Raft      Raft      `toml:"raft" doc:"The other nodes, and Raft."`
	Storage   Storage   `toml:"storage" doc:"The key-value store of each shard replica."`
	WAL       WAL       `toml:"wal" doc:"The shared Raft log."`
	Cluster   Cluster   `toml:"cluster" doc:"Time limits and consistency."`
	Migration Migration `toml:"migration" doc:"Slots that move to another shard."`
	Logging   Logging   `toml:"logging" doc:"The log of the program, on stderr and in a file."`
	Debug     Debug     `toml:"debug" doc:"What only tests need."`

	// File is the path of the file that was read, empty if none was.
	File string
	// Version is that of the program, for INFO; whoever loads the settings sets it.
	Version string

	unknownEnv []string // variables that look like settings but name no key
	// overriding says where the environment or the command line has given a setting.
	overriding map[string]string
}

// Server is section [server].
type Server struct {
	Host                  string      `toml:"host" doc:"Address to listen on for clients; 0.0.0.0 or :: for all."`
	Port                  int         `toml:"port" doc:"Port for clients."`
	AnnounceHost          string      `toml:"announce_host" doc:"IP address that clients and other nodes are told; empty: found from host."`
	AnnouncePort          int         `toml:"announce_port" doc:"Client port that is told; 0: port."`
	AnnounceHostname      string      `toml:"announce_hostname" doc:"Host name that is told besides the IP address."`
	PreferredEndpointType string      `toml:"preferred_endpoint_type" doc:"What redirects name: ip, hostname or unknown-endpoint."`
	MaxClients            int         `toml:"maxclients" doc:"Clients at the same time; more are turned away."`
	Timeout               Duration    `toml:"timeout" doc:"Close a connection that was idle for so long; 0s: never."`
	ReadMemory            Size        `toml:"read_memory" doc:"What the reads of all clients hold together: what they build, and large replies until they are taken. Who needs more waits, then gets an error."`
	ProtoMaxBulkLen       Size        `toml:"proto_max_bulk_len" doc:"Largest argument of a command."`
	QueryBufferLimit      Size        `toml:"client_query_buffer_limit" doc:"Largest command as a whole; a client that sends a larger one is cut off."`
	OutputBufferLimit     OutputLimit `toml:"client_output_buffer_limit" doc:"Cut a client off whose untaken replies reach a size, or a second size for so long; 0b: no limit."`
	RequirePass           string      `toml:"requirepass" doc:"Password that clients must give with AUTH; empty: none."`
}

// Raft is section [raft].
type Raft struct {
	Host            string   `toml:"host" doc:"Address to listen on for other nodes; empty: server.host."`
	Port            int      `toml:"port" doc:"Port for other nodes (gRPC)."`
	Announce        string   `toml:"announce" doc:"host:port at which other nodes reach this one, a name is allowed; empty: found from host and port."`
	Seeds           []string `toml:"seeds" doc:"Raft addresses (host:port) of nodes to ask when CLUSTER MEET names one."`
	Token           string   `toml:"token" doc:"Secret that all nodes of a cluster share; empty: that of token_file."`
	TokenOld        string   `toml:"token_old" doc:"Another secret that is valid too, while token is being replaced."`
	TokenFile       string   `toml:"token_file" doc:"File with the secret, and on a second line perhaps token_old; a node that finds none makes one. Empty: none."`
	Tick            Duration `toml:"tick" doc:"Raft's unit of time."`
	ElectionTicks   int      `toml:"election_ticks" doc:"Ticks without a leader before an election."`
	HeartbeatTicks  int      `toml:"heartbeat_ticks" doc:"Ticks between a leader's heartbeats."`
	Gather          Duration `toml:"gather" doc:"Longest wait for more commands to share an entry; 0s: none."`
	MaxEntryBytes   Size     `toml:"max_entry_bytes" doc:"Commands are packed into one entry up to this size."`
	InflightEntries int      `toml:"inflight_entries" doc:"Data entries of a shard under way at a time; raise it where the network is slow."`
	RequestTimeout  Duration `toml:"request_timeout" doc:"After this time an undecided write is answered UNCERTAIN."`
	CommitDelay     Duration `toml:"commit_delay" doc:"Longest wait of a bare commit notice for the next message; 0s: none."`
	SnapshotRate    Size     `toml:"snapshot_rate" doc:"Bytes of snapshots that the node sends in a second, at most; 0b: no limit."`
}

// Storage is section [storage].
type Storage struct {
	DataDir            string   `toml:"data_dir" doc:"Folder of the node's data, relative to the working directory."`
	WriteBuffer        Size     `toml:"write_buffer" doc:"Memory table of each store."`
	BlockCache         Size     `toml:"block_cache" doc:"Cache of table blocks of each store."`
	BloomBits          int      `toml:"bloom_bits" doc:"Bits per key of the Bloom filters; 0: none."`
	CacheSize          Size     `toml:"cache_size" doc:"Memory of each store for keys and values that are in the store as well."`
	DirtySize          Size     `toml:"dirty_size" doc:"Memory of each store for changes that are not in the store yet. At half of it they begin to be written there; when it is used up, writes wait."`
	CheckpointInterval Duration `toml:"checkpoint_interval" doc:"Changes go to the store after this time at the latest."`
	AtticKeep          Duration `toml:"attic_keep" doc:"For how long the data of a shard that the node does not hold any more stays in the folder attic; 0s: it is deleted at once."`
	AtticFree          Size     `toml:"attic_free" doc:"When the disk has less left than this, the oldest data in the attic is deleted; 0b: only by age."`
}

// WAL is section [wal].
type WAL struct {
	SegmentSize   Size     `toml:"segment_size" doc:"Size of a file of the log."`
	Preallocate   Size     `toml:"preallocate" doc:"Files are filled with zeros ahead in steps of this size."`
	Fsync         string   `toml:"fsync" doc:"always: before a write is acknowledged; interval and never can lose acknowledged writes."`
	FsyncInterval Duration `toml:"fsync_interval" doc:"Time between syncs with fsync = \"interval\"."`
	GroupSize     Size     `toml:"group_size" doc:"A shard's part of the log is cut to half when it is larger than this,"`
	GroupEntries  int      `toml:"group_entries" doc:"or has more entries than this."`
}

// Cluster is section [cluster].
type Cluster struct {
	NodeTimeout         Duration `toml:"node_timeout" doc:"A node that was not heard of for so long is suspected to have failed."`
	ArbiterGrace        Duration `toml:"arbiter_grace" doc:"A node that has been failed for so long is relieved of what others can do: its places as arbiter, its vote in MetaRaft. And a shard whose data has been on one living node only for so long gets a copy on an arbiter's."`
	CommandTimeout      Duration `toml:"command_timeout" doc:"Longest time for a CLUSTER command that changes something."`
	MeetTimeout         Duration `toml:"meet_timeout" doc:"Longest time for CLUSTER MEET to wait; the join itself goes on."`
	ReplicaMaxStaleness Duration `toml:"replica_max_staleness" doc:"A replica that has not kept up with its leader for so long sends clients that read from it (READONLY) to the leader; 0s: never."`
	RequireFullCoverage bool     `toml:"require_full_coverage" doc:"While a slot is unassigned, serve none."`
	AllowReadsWhenDown  bool     `toml:"allow_reads_when_down" doc:"Serve reads while a slot is unassigned, and old data where a master has lost its majority."`
	HandoffTimeout      Duration `toml:"handoff_timeout" doc:"Longest time for handing leadership off at a shutdown."`
	Reads               string   `toml:"reads" doc:"How reads are made linearizable: lease or quorum."`
}

// Debug is section [debug].
type Debug struct {
	Faults bool `toml:"faults" doc:"Allow DEBUG PARTITION and DEBUG HEAL, which cut the node off from others; for tests."`
}

// Migration is section [migration].
type Migration struct {
	Rate Size `toml:"rate" doc:"Bytes of slots that move to this node in a second, at most; 0b: no limit."`
}

// Logging is section [logging].
type Logging struct {
	Level  string `toml:"level" doc:"debug, info, warn or error."`
	File   string `toml:"file" doc:"File to append the log to, besides stderr; empty: none."`
	Format string `toml:"format" doc:"text or json."`
}

// Default returns the settings of a node that nobody configured.
func Default() Config {
	return Config{
		Server: Server{
			Host:                  "127.0.0.1",
			Port:                  6379,
			PreferredEndpointType: EndpointIP,
			MaxClients:            10000,
			ReadMemory:            512 << 20,
			ProtoMaxBulkLen:       64 << 20,
			QueryBufferLimit:      112 << 20,
		},
		Raft: Raft{
			Port:            50051,
			Seeds:           []string{},
			Tick:            Duration(50 * time.Millisecond),
			ElectionTicks:   8,
			HeartbeatTicks:  2,
			Gather:          Duration(time.Millisecond),
			MaxEntryBytes:   256 << 10,
			InflightEntries: 1,
			RequestTimeout:  Duration(5 * time.Second),
			CommitDelay:     Duration(5 * time.Millisecond),
			SnapshotRate:    16 << 20,
		},
		Storage: Storage{
			DataDir:            "data",
			WriteBuffer:        4 << 20,
			BlockCache:         8 << 20,
			BloomBits:          10,
			CacheSize:          128 << 20,
			DirtySize:          64 << 20,
			CheckpointInterval: Duration(time.Minute),
			AtticKeep:          Duration(24 * time.Hour),
			AtticFree:          1 << 30,
		},
		WAL: WAL{
			SegmentSize:   64 << 20,
			Preallocate:   1 << 20,
			Fsync:         FsyncAlways,
			FsyncInterval: Duration(time.Second),
			GroupSize:     32 << 20,
			GroupEntries:  200_000,
		},
		Cluster: Cluster{
			NodeTimeout:         Duration(time.Second),
			RequireFullCoverage: true,
			CommandTimeout:      Duration(5 * time.Second),
			MeetTimeout:         Duration(5 * time.Second),
			ArbiterGrace:        Duration(30 * time.Second),
			ReplicaMaxStaleness: Duration(10 * time.Second),
			HandoffTimeout:      Duration(200 * time.Millisecond),
			Reads:               ReadsLease,
		},
		Migration: Migration{
			Rate: 32 << 20,
		},
		Logging: Logging{
			Level:  "info",
			Format: FormatText,
		},
	}
}

// The values of keys that are one of a few words.
const (
	EndpointIP       = "ip"
	EndpointHostname = "hostname"
	EndpointUnknown  = "unknown-endpoint"

	FsyncAlways   = "always"
	FsyncInterval = "interval"
	FsyncNever    = "never"

	ReadsLease  = "lease"
	ReadsQuorum = "quorum"

	FormatText = "text"
	FormatJSON = "json"
)
