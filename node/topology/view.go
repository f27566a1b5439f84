// Package topology holds the immutable picture of a cluster that a node works
// with, and the text forms in which CLUSTER commands show it.
package topology

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// NodeID identifies a node for as long as its data folder lives, or until
// CLUSTER RESET HARD. Zero is no node.
type NodeID uint64

// String returns the id as Redis tools expect it: 40 hex digits, of which they
// show the first few. So the number comes first; the other digits follow from it,
// and make a mistyped id no id. Zero is all zeros.
func (id NodeID) String() string { return forty(uint64(id)) }

// numberDigits is how many of the forty digits are the number's.
const numberDigits = 16

func forty(n uint64) string {
	if n == 0 {
		return strings.Repeat("0", 40)
	}
	return fmt.Sprintf("%016x%016x%08x", n, mix(n), mix(mix(n))>>32)
}

// mix is the finalizer of SplitMix64: one bit changed in n changes half of the
// bits of the result.
func mix(n uint64) uint64 {
	n ^= n >> 30
	n *= 0xbf58476d1ce4e5b9
	n ^= n >> 27
	n *= 0x94d049bb133111eb
	return n ^ n>>31
}

// ErrBadNodeID is returned for a text that is no node id.
var ErrBadNodeID = errors.New("not a node id")

// ParseNodeID reads the 40 hex digits of NodeID.String, in lower case, or those of
// former versions: 24 zeros, then the number. No text is both.
func ParseNodeID(s string) (NodeID, error) {
	if len(s) != 40 {
		return 0, ErrBadNodeID
	}
	digits, former := strings.CutPrefix(s, strings.Repeat("0", 40-numberDigits))
	if !former {
		digits = s[:numberDigits]
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || n == 0 || !former && NodeID(n).String() != s {
		return 0, ErrBadNodeID
	}
	return NodeID(n), nil
}

// GroupID identifies a Raft group; every shard has one of its own.
type GroupID uint64

// String returns the id as 40 hex digits, as CLUSTER MYSHARDID prints it; see
// NodeID.String.
func (id GroupID) String() string { return forty(uint64(id)) }

// Address is where clients, and where peers, reach a node.
type Address struct {
	Host     string // announced IP (or name), without brackets
	Port     uint16 // announced client port
	BusPort  uint16 // shown after @; nothing listens there
	Hostname string // announced host name, may be empty
	Nodename string `json:",omitempty"` // for people: in logs and lists
	Raft     string // host:port of the Raft gRPC listener; a name is resolved at each dial
}

// Node is one member of the cluster.
type Node struct {
	ID          NodeID
	Address     Address
	ConfigEpoch uint64
	// Failed is the liveness that MetaRaft committed (the flag "fail").
	Failed bool
	// Shard is the shard whose data the node holds, nil if none.
	Shard *Shard
	// MetaID is the node's Raft id in the MetaRaft group, MetaVoter whether
	// the topology wants it to vote there.
	MetaID    uint64
	MetaVoter bool
}

// Replica reports whether the node follows another one. A node without a shard
// is a master without slots, as in Redis.
func (n *Node) Replica() bool { return n.Shard != nil && n.Shard.Master != n.ID }

// Synced reports whether the node has the whole data of its shard: see
// Member.Synced. A node without a shard has nothing to have.
func (n *Node) Synced() bool {
	if n.Shard == nil {
		return true
	}
	m, _, _ := n.Shard.Member(n.ID)
	return m.Synced
}

// Kind tells what a member of a shard's group is there for.
type Kind uint8

const (
	// Data members hold the shard's data: its master and its replicas.
	Data Kind = iota
	// Arbiter members vote and store the log, but do not serve.
	Arbiter
)

func (k Kind) String() string {
	if k == Arbiter {
		return "arbiter"
	}
	return "data"
}

// Member is one membership of a node in a shard's Raft group.
type Member struct {
	Node   NodeID
	RaftID uint64
	Kind   Kind
	// Copy is set for an arbiter that keeps a full copy of the data, since too few
	// data members do. It does not serve all the same.
	Copy bool `json:",omitempty"`
	// Synced is the group's leader's last word on whether the member has the data:
	// it votes, its state is complete and follows the group's log. A member that is
	// to have the data and is not synced is being sent it, or waits for that; one
	// that is dead stays what it was. Never set for an arbiter without a copy.
	Synced bool `json:",omitempty"`
}

// HoldsState reports whether the member is to have the shard's state, be it as a
// data member or as an arbiter with a copy.
func (m Member) HoldsState() bool { return m.Kind == Data || m.Copy }

// Shard is one Raft group and the slots that it owns.
type Shard struct {
	ID GroupID
	// Master is the data member that last led the group, as of MasterTerm.
	Master     NodeID
	MasterTerm uint64
	// Version numbers the wished membership; it rises with every change.
	Version uint64
	// Members are the wished members, Leaving those that the group may still
	// contain and that keep their part in it until its leader reports them gone.
	Members []Member
	Leaving []Member
	// Voters are the Raft ids that vote in the group, as its leader last reported,
	// Outgoing those of the configuration that it is leaving, if it is in between.
	// They follow the wish. Both are ascending. ReportTerm is the report's term, 0
	// before the first.
	Voters, Outgoing []uint64
	ReportTerm       uint64
	// Refound, if not 0, is the Raft id of the member that the group goes on from
	// after it had lost its majority for good (FORGET … FORCE). The group that was
	// before is given up as a whole: it has no Leaving, and every member has a Raft
	// id that the group has never seen. The node of the member Refound still has
	// the member of an older Raft id: whatever that has applied or has in its
	// log is the state of the new group, which it founds as its only voter, in a
	// term above MasterTerm and above any that it knows. A node that
	// has a member with the Raft id Refound has done so. The others drop theirs
	// and join as new members do. Refound stays until the next time.
	Refound uint64
	// Unled says that MetaRaft's leader has not heard for a node timeout of a data
	// member that leads the group. A takeover ends it at once.
	Unled bool
	// Slots are the slots that the shard owns.
	Slots slot.Set
}

// Member returns the wished or leaving membership of node in the shard.
func (s *Shard) Member(node NodeID) (m Member, leaving, ok bool) {
	for _, m := range s.Members {
		if m.Node == node {
			return m, false, true
		}
	}
	for _, m := range s.Leaving {
		if m.Node == node {
			return m, true, true
		}
	}
	return Member{}, false, false
}

// Intent is a change of slot ownership that waits until the groups that own
// the slots have sealed them.
type Intent struct {
	ID    uint64
	Epoch uint64
	Slots slot.Set
	// Pending are the groups that have not reported their seal.
	Pending []GroupID
	// To is the shard that is to have the slots, 0: none. Migration is the one that
	// hands them over, 0: none; its groups have nothing to report, and CompleteMigration
	// ends the intent.
	To        GroupID
	Migration MigrationID
}

// View is the topology as one node has applied it. It is immutable: share it
// freely, change nothing in it.
type View struct {
	Self      NodeID
	ClusterID uint64
	// Index is the MetaRaft index that the view reflects; it rises.
	Index uint64
	// Quorum says whether MetaRaft confirmed the view when it was asked for; a
	// view without quorum is what the node last applied.
	Quorum bool
	// Epoch is the cluster's current epoch.
	Epoch   uint64
	Feature uint32 // the cluster's feature level
	// EndpointType is what all nodes name in what they tell clients, as
	// cluster-preferred-endpoint-type has it; "": each as it is configured.
	EndpointType string
	// Joining is the Raft address of the node whose cluster this one, which is alone, is
	// about to join; empty: none. Until that is settled it changes nothing.
	Joining string
	Nodes   []*Node  // by ascending id
	Shards  []*Shard // by ascending id
	Intents []*Intent
	// Owner and SlotEpoch give each slot's shard (nil: unassigned) and the
	// epoch of its last change of hands.
	Owner     [slot.Count]*Shard
	SlotEpoch [slot.Count]uint64
	// Residue are slots that a shard does not own but still holds keys of.
	Residue map[GroupID]slot.Set
	// LastSlotEpoch is the highest slot epoch that was given out: no mark or change of
	// hands that the view shows, or that it shows to be over, has a higher one.
	LastSlotEpoch uint64
	// Migrations are the active ones, the oldest first, then those that have ended, the
	// latest first.
	Migrations []*Migration
	Garbage    []*Garbage // by group and epoch
	Marks      []Mark     // by group and slot
}

// Node returns the node with that id, or nil.
func (v *View) Node(id NodeID) *Node {
	for _, n := range v.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// Me returns the node itself; never nil in a view that a running node uses.
func (v *View) Me() *Node { return v.Node(v.Self) }

// Shard returns the shard with that id, or nil.
func (v *View) Shard(id GroupID) *Shard {
	for _, s := range v.Shards {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Assigned returns how many slots have an owner.
func (v *View) Assigned() int {
	n := 0
	for _, s := range &v.Owner { // the array itself would be copied, onto the stack
		if s != nil {
			n++
		}
	}
	return n
}

// Served reports whether a data member is there that leads the shard, by what
// MetaRaft has committed: nodes with the same view say the same. A node timeout
// may pass until a leader that died is noticed.
func (v *View) Served(s *Shard) bool {
	if s.Unled || v.Master(s) == nil {
		return false
	}
	for _, m := range s.Members {
		if n := v.Node(m.Node); m.Kind == Data && n != nil && !n.Failed {
			return true
		}
	}
	return false
}

// Live is what a node knows of its peers at this moment, beside the replicated
// topology. Its methods may be called concurrently.
type Live interface {
	// Contact returns when the node last heard from peer and whether a stream
	// to it is open; the zero time means never.
	Contact(peer NodeID) Contact
	// Leader returns the node that leads the group at this moment as far as
	// this node knows, or 0.
	Leader(group GroupID) NodeID
}

// Contact is the state of the link to a peer.
type Contact struct {
	Connected bool
	// Suspect is the local suspicion (the flag "fail?").
	Suspect bool
	// Ping and Pong are when something was last sent to and received from the
	// peer; zero means never.
	Ping, Pong time.Time
	// Since is when the link was opened; SendBuffer the bytes queued on it.
	Since      time.Time
	SendBuffer int
	// From is when the peer's own link to us was opened; zero: it has none.
	From time.Time
	// Offset is the last entry of its own shard's log that the peer said it has
	// applied; 0 if it said nothing.
	Offset uint64
}
