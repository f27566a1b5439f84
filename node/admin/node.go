package admin

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// Node is what Local handlers need of the node that they run on. All methods
// may be called concurrently.
//
// The methods that change the topology return nil once the change is done and
// visible in this node's View; an error carries the exact text for the client
// (see resp.Reply).
type Node interface {
	// View returns the topology after a bounded linearizable read: the local
	// state, with Quorum false, while MetaRaft has no quorum.
	View(ctx context.Context) *topology.View
	// Live is what the node knows of its peers now.
	Live() topology.Live

	// Meet joins this node's cluster with that of the node at host:port;
	// busPort is 0 if the client named none.
	Meet(ctx context.Context, host string, port, busPort int) error
	// Forget's warning says what was lost by force; empty otherwise.
	Forget(ctx context.Context, id topology.NodeID, force bool) (warning string, err error)
	// AddSlots gives unassigned slots to this node, DelSlots takes slots from
	// whoever owns them, FlushSlots takes all from this node.
	AddSlots(ctx context.Context, slots slot.Set) error
	DelSlots(ctx context.Context, slots slot.Set) error
	FlushSlots(ctx context.Context) error
	// SetSlot does with a slot what CLUSTER SETSLOT asks this node for, and returns when its
	// shard acts by it.
	SetSlot(ctx context.Context, slot uint16, action SlotAction, peer topology.NodeID) error
	// StartMigration begins migrations, all or none: of an import this node is the
	// destination, of an export the source. CancelMigration ends this node's migrations in
	// which its shard has that part ("": any), the one with that id or all (0), and says
	// in text why; ended is how many there were.
	StartMigration(ctx context.Context, face topology.Face, moves []SlotsMove) ([]topology.MigrationID, error)
	CancelMigration(ctx context.Context, id topology.MigrationID, part topology.Face, text string) (ended int, err error)
	Replicate(ctx context.Context, master topology.NodeID) error
	Reset(ctx context.Context, hard bool) error
	// Failover makes this node, a replica, the master of its shard: with the
	// master's consent or, with force, else by an election.
	Failover(ctx context.Context, force bool) error
	SetConfigEpoch(ctx context.Context, epoch uint64) error
	BumpEpoch(ctx context.Context) (epoch uint64, bumped bool, err error)
	SaveConfig(ctx context.Context) error

	// MetaAddLearner makes the node id, whose Raft listener is at addr, a
	// learner of MetaRaft. MetaPromote makes learners voters; warning, if not
	// empty, goes to the client with the OK.
	MetaAddLearner(ctx context.Context, id topology.NodeID, addr string) error
	MetaPromote(ctx context.Context, ids []topology.NodeID) (warning string, err error)
	// MetaStatus returns the state of MetaRaft, the leader's if it can be
	// reached within ctx.
	MetaStatus(ctx context.Context) MetaStatus
	// ShardStatuses returns the state of this node's replicas and arbiters.
	ShardStatuses() []ShardStatus
	// Migrating returns the state of slots that move to this node, and from it.
	Migrating() MigrationStatus

	// AwaitReplicas begins to wait until n replicas, and this node if local says so,
	// store everything that this node's shard had appended when it was called. changed is called, by any
	// goroutine, when the wait is over. nil: the node has no shard.
	AwaitReplicas(local bool, n int, changed func()) ReplicaWait

	// SlotKeys returns how many keys this node has in a slot, SlotBytes about how many
	// bytes they take: the first time it looks at each of them.
	SlotKeys(s uint16) int64
	SlotBytes(s uint16) (int64, error)

	// Save makes a checkpoint of the node's shard, SaveInBackground has one made: another
	// one, with schedule, if one is under way.
	Save() error
	SaveInBackground(schedule bool) Saving
	// Shutdown has the node stop; false if it does already.
	Shutdown(ctx context.Context, how Shutdown) bool

	// Faults reports whether tests may use Partition, which loses everything from
	// and to other nodes; nil for both ends that.
	Faults() bool
	Partition(from, to []topology.NodeID)

	// Latency remembers what took long.
	Latency() *command.LatencyMonitor

	Info() NodeInfo
	Config() *Config
	Sessions() command.Sessions
}

// ReplicaWait is a wait for replicas. Its methods may be called concurrently.
type ReplicaWait interface {
	// State returns how many replicas store everything, and whether the wait is
	// over: done if there are enough, lost if the node does not lead any more.
	State() (stored int, done, lost bool)
	// Own reports whether the node itself stores everything.
	Own() bool
	// Stop gives the wait up.
	Stop()
}

// The Raft roles of a node in a group.
const (
	RoleLeader    = "leader"
	RoleFollower  = "follower"
	RoleCandidate = "candidate"
	RoleLearner   = "learner"
)

// MetaStatus is the state of the MetaRaft group.
type MetaStatus struct {
	// Role is this node's: leader, follower, candidate or learner.
	Role                  string
	Leader                topology.NodeID // 0: none known
	Term, Commit, Applied uint64
	Members               []MetaMember // by ascending node id
	// Settled is as in ShardStatus.
	Settled bool
}

// MetaMember is one member of the MetaRaft group.
type MetaMember struct {
	Node   topology.NodeID
	RaftID uint64
	Addr   string // of its Raft listener
	Name   string // cluster-announce-human-nodename, may be empty
	Voter  bool
	Leader bool
	// Match is the last log index that the member is known to store; 0 if the
	// leader did not tell.
	Match uint64
	// LastContact is how long ago this node, or the leader, last heard from
	// the member; negative means never or unknown.
	LastContact time.Duration
}

// ShardStatus is the state of one replica or arbiter of this node.
type ShardStatus struct {
	Group                 topology.GroupID
	Kind                  topology.Kind
	Copy                  bool            // an arbiter that keeps a copy of the data
	Role                  string          // leader, follower, candidate or learner
	Leader                topology.NodeID // 0: none known
	Term, Commit, Applied uint64
	LogStart              uint64 // the last entry that this node's log has lost; 0: none
	// Voters and Learners count the members of the group's configuration.
	Voters, Learners int
	// Members says how far each member's log reaches; empty if not the leader.
	Members []ShardMember
	// Lag is by how many entries the slowest voter is behind the leader's log,
	// Settled whether the membership is what the topology wishes, known to a
	// quorum, and all voters have caught up. Only the leader knows.
	Lag     uint64
	Settled bool
	// ClockOff is how far this node's clock is off from the group's.
	ClockOff time.Duration
}

// ShardMember is a member of a shard's group as its leader sees it.
type ShardMember struct {
	Node  topology.NodeID
	Kind  topology.Kind
	Match uint64
	Voter bool
	// LastContact is how long ago the leader heard from it; negative: never.
	LastContact time.Duration
}

// NodeInfo is what INFO and HELLO show beside the topology. Counters count
// since the start or the last CONFIG RESETSTAT.
type NodeInfo struct {
	Version    string // AiKv's
	RunID      string // 40 hex digits, new at each start
	Started    time.Time
	Port       int // where the node listens for clients
	RaftAddr   string
	ConfigFile string
	DataDir    string

	ConnectedClients, BlockedClients          int64
	BlockingKeys                              int64
	WatchingClients, WatchedKeys              int64
	TotalConnections, RejectedConnections     int64
	TotalCommands, OpsPerSec                  int64
	NetInputBytes, NetOutputBytes             int64
	InputKbps, OutputKbps                     float64
	KeyspaceHits, KeyspaceMisses, ExpiredKeys int64
	// InternalErrors counts commands whose handlers have panicked.
	InternalErrors    int64
	TotalErrorReplies int64
	// OutputBacklog is how many bytes of replies the clients have yet to take;
	// the others count clients that were closed for breaking a limit.
	OutputBacklog                                       int64
	QueryLimitDisconnections, OutputLimitDisconnections int64
	RaftMessagesSent, RaftMessagesReceived              int64
	Fsyncs                                              int64
	Keys, Expires                                       int64 // of this node's own shard
	// Unsynced is how many entries of its log were applied since its last
	// checkpoint; the log alone holds them for good.
	Unsynced int64
	Store    StoreInfo
	Loading  bool
}

// StoreInfo tells how a shard's state in memory and its store stand to each other.
type StoreInfo struct {
	// Dirty are the bytes of what is newer than the store, Clean those of what is in
	// memory beside that.
	Dirty, Clean int64
	// Checkpoints were made since the start, the last one at Last, the zero time if
	// there was none.
	Checkpoints int64
	Last        time.Time
	// Writing says that one is under way.
	Writing bool
	// Stalls counts how often writes have waited for a checkpoint, and Stalled for
	// how long; Waiting says that they do now.
	Stalls  int64
	Stalled time.Duration
	Waiting bool
}
