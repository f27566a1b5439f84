package metaraft

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// What Raft.Propose may fail with.
var (
	// ErrNotLeader: certainly not appended; this member does not lead.
	ErrNotLeader = errors.New("metaraft: not the leader")
	// ErrUncertain: appended, and undecided when ctx ended; or unknown whether
	// appended.
	ErrUncertain = errors.New("metaraft: the outcome is unknown")
)

// Raft is this node's member of the MetaRaft group. All methods may be called
// concurrently.
type Raft interface {
	// Propose appends payload if this member leads, and returns what applying
	// it here returned. Any error but ErrNotLeader counts as ErrUncertain.
	Propose(ctx context.Context, payload []byte) (result []byte, err error)
	// Barrier returns once this member has applied everything that was
	// committed when it was called. It works on every member.
	Barrier(ctx context.Context) error
	// Leader returns the Raft id of the leader as far as this member knows,
	// or 0, and whether it is this member.
	Leader() (metaID uint64, self bool)
	// Progress returns the members of the group's configuration (of both
	// halves while a joint one is in force); nil unless this member leads.
	Progress() []MemberProgress
}

// MemberProgress is what the MetaRaft leader knows of one member of the group.
type MemberProgress struct {
	MetaID  uint64
	Voter   bool
	Match   uint64
	Contact time.Time // when it last answered; zero: never
}

// Peers makes calls to nodes by Raft address. An error whose chain has a
// method NotSent() bool that returns true certainly never reached the node.
type Peers interface {
	Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error)
}

// Identity is what a node durably knows about its place. A crash at any moment
// leaves either the identity before or after a step of Home.
type Identity struct {
	Node topology.NodeID
	// Cluster is the cluster to which the node's MetaRaft member belongs.
	Cluster uint64
	// MetaID is the member's Raft id.
	MetaID uint64
	// Bootstrap are the cluster's Raft addresses as of the node's admission,
	// for as long as the node has no state of its own to look them up in.
	Bootstrap []string
	// Former is the cluster of one that the node's last Adopt ended, 0 if none:
	// nobody else can be in it.
	Former uint64
	// Beginning is what the node's last cluster of one began with.
	Beginning
}

// Beginning is what a node that becomes lone takes along of a cluster that
// dissolved, or that has not heard that it left; zero otherwise.
type Beginning struct {
	// PendingTarget is the Raft address of a node whose cluster this node is to
	// join.
	PendingTarget string          `json:",omitempty"`
	ConfigEpoch   uint64          `json:",omitempty"`
	Follows       topology.NodeID `json:",omitempty"` // see NodeRecord
	// Farewells are what clusters are still to be told that this node has left.
	Farewells []Farewell `json:",omitempty"`
}

// Home is what joins and resets change on this node, each as one atomic,
// durable step. Both methods call Node.Attach with the new member before they
// return, and Identity shows the new identity by then. They are never called
// concurrently. An error means that nothing changed.
type Home interface {
	Identity() Identity
	// Adopt drops the node's MetaRaft member and starts one as a learner of
	// the cluster that admitted it; the node's shard groups stay. It clears
	// Beginning but for Farewells, and sets Former.
	Adopt(ctx context.Context, admit AdmitOutcome) error
	// BecomeLone drops every group and all data and starts a new cluster of
	// one, with a new cluster id and, if newID is set, a new node id.
	BecomeLone(ctx context.Context, newID bool, with Beginning) error
}

// Shards is what topology operations need of this node's members of shards.
type Shards interface {
	// AwaitOwned returns once this node's member of group has applied the
	// ownership of the slots at epoch or a later one.
	AwaitOwned(ctx context.Context, group topology.GroupID, slots slot.Set, epoch uint64) error
	// Keys returns how many keys this node's own shard holds; linearizable if
	// the node leads the shard.
	Keys(ctx context.Context) (int64, error)
	// HandOff lets other members lead the groups that this node leads, as far
	// as there are any, until ctx ends.
	HandOff(ctx context.Context)
}

// ClientPort asks whoever listens on a client port for its Raft address: the
// last way of finding the node that a MEET names. Only the answer's
// Address.Raft is used.
type ClientPort interface {
	Identify(ctx context.Context, hostport string) (PeerInfo, error)
}

// Options are what a Node needs. Home, Peers, Shards, ClientPort, Random and
// Logger are required.
type Options struct {
	Home       Home
	Peers      Peers
	Shards     Shards
	ClientPort ClientPort
	// Contact returns when this node last heard from a peer; nil: never.
	Contact func(topology.NodeID) topology.Contact
	// Led returns when this node last knew of a data member that leads the
	// shard, which may be now; nil: always now.
	Led func(topology.GroupID) time.Time
	// Address is what this node announces. Seeds are Raft addresses at which a
	// MEET looks for the node that announces the client address it was given.
	Address topology.Address
	Seeds   []string
	// MastersStay tells whether a master that has given its last slot away stays one,
	// instead of becoming a replica of the new owner; nil: it does not.
	MastersStay func() bool
	// Feature is the feature level of a cluster that this node founds.
	Feature uint32

	CommandTimeout time.Duration // topology changes; 5 s
	MeetTimeout    time.Duration // how long a MEET waits for the join; 5 s
	NodeTimeout    time.Duration // without contact for so long: failed; 1 s
	RelieveAfter   time.Duration // failed for so long: others take over its duties; 30 s
	ReadTimeout    time.Duration // how long a read waits for a quorum; 1 s
	LeaveTimeout   time.Duration // how long a RESET tries to leave in order; 3 s
	CallTimeout    time.Duration // one call to a peer that only has to answer; 1 s
	OrphanAfter    time.Duration // without a leader for so long: ask around; 1 s

	Sched sched.Sched // sched.System
	// Random returns random numbers that no other node and no earlier boot of
	// this one returns. It may be called concurrently.
	Random func() uint64
	// Lineage returns that of the node's data folder; nil: none is kept. Recorded
	// is told when MetaRaft has recorded its present incarnation; it may block.
	Lineage  func() Lineage
	Recorded func(Incarnation)
	Logger   *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *time.Duration
		dflt  time.Duration
	}{
		{&o.CommandTimeout, 5 * time.Second},
		{&o.MeetTimeout, 5 * time.Second},
		{&o.NodeTimeout, time.Second},
		{&o.RelieveAfter, 30 * time.Second},
		{&o.ReadTimeout, time.Second},
		{&o.LeaveTimeout, 3 * time.Second},
		{&o.CallTimeout, time.Second},
		{&o.OrphanAfter, time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.dflt
		}
	}
	if o.Sched == nil {
		o.Sched = sched.System
	}
	if o.Lineage == nil {
		o.Lineage = func() Lineage { return nil }
	}
	if o.Recorded == nil {
		o.Recorded = func(Incarnation) {}
	}
	if o.MastersStay == nil {
		o.MastersStay = func() bool { return false }
	}
	if o.Contact == nil {
		o.Contact = func(topology.NodeID) topology.Contact { return topology.Contact{} }
	}
	if o.Led == nil {
		o.Led = func(topology.GroupID) time.Time { return o.Sched.Now() }
	}
	return o
}
