package metaraft

import (
	"cmp"
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// State is the replicated topology with everything that is needed to change
// it. A State that Machine.State returned is immutable. All slices are sorted
// by their first field unless they say otherwise, so that equal states have
// equal bytes.
type State struct {
	ClusterID uint64 // 0 until Init was applied
	Index     uint64 // entry that last changed the state
	Clock     int64  // largest entry time seen, unix ms
	Feature   uint32
	// Epoch is Redis's currentEpoch. The other three count what was given out
	// last: slot epochs, Raft ids (of all groups of the cluster), intents.
	Epoch     uint64
	SlotEpoch uint64
	RaftID    uint64
	Intent    uint64

	// EndpointType is what all nodes name in what they tell clients; "": what the
	// node's own configuration says.
	EndpointType string `json:",omitempty"`

	Nodes  []NodeRecord
	Shards []ShardRecord
	// Slots is shared between states that agree on it.
	Slots   *SlotTable
	Residue []Residue
	// Migrations are the active ones, the oldest first, then the last endedMigrations,
	// in order of their end.
	Migrations []Migration
	Garbage    []Garbage // by group and epoch
	Marks      []Mark    // by group and slot
	Intents    []Intent
	Finished   []FinishedIntent // the last finishedIntents, in order of their end
	Tombstones []topology.NodeID
	Tokens     []Token // the last joinTokens, in order of arrival
	Frozen     *Freeze
	Dissolved  *Dissolve
	Origins    []OriginRecord
}

// NodeRecord is a member of the cluster.
type NodeRecord struct {
	ID          topology.NodeID
	Address     topology.Address
	ConfigEpoch uint64
	Failed      bool
	MetaID      uint64
	// Gave is the MetaRaft id that the node gave up when it last came back, 0 if it
	// never did: see ComeBack.
	Gave      uint64 `json:",omitempty"`
	MetaVoter bool
	Pinned    bool   // votes until it is forgotten
	Token     uint64 // with which it was admitted; 0 for the cluster's first node
	// Follows is the node whose replica this one was in a cluster that
	// dissolved; they are reunited as soon as both are members. 0: none.
	Follows topology.NodeID `json:",omitempty"`
	// Incarnation is the last start of the node that it has announced.
	Incarnation Incarnation `json:",omitzero"`
}

// ShardRecord is a shard without its slots, which SlotTable has.
type ShardRecord struct {
	ID         topology.GroupID
	Master     topology.NodeID
	MasterTerm uint64
	Version    uint64
	Members    []topology.Member // by node
	Leaving    []topology.Member // in order of leaving
	// Voters, Outgoing and Refound are as in topology.Shard. The first two and
	// Member.Synced are as of the report ReportSeq that the group's leader made in
	// ReportTerm; both are 0 before the first.
	Voters     []uint64 `json:",omitempty"`
	Outgoing   []uint64 `json:",omitempty"`
	Refound    uint64   `json:",omitempty"`
	ReportTerm uint64   `json:",omitempty"`
	ReportSeq  uint64   `json:",omitempty"`
	Unled      bool     `json:",omitempty"` // see topology.Shard

	// membersChanged is set while a change is being applied.
	membersChanged bool
}

// Intent is a pending change of slot ownership.
type Intent struct {
	ID      uint64
	Epoch   uint64
	Created int64 // State.Clock when it was made, unix ms
	Slots   Slots
	Pending []topology.GroupID // groups that have not reported their seal
	Residue []Residue          // reported so far
	Empty   bool               `json:",omitempty"` // see DelSlots
	// To is the group that is to have the slots, 0: none. Then there is one group in
	// Pending, their owner. Migration is the one that hands them over, 0: none; its owner
	// does not report. With Stay, the owner stays a master without slots.
	To        topology.GroupID     `json:",omitempty"`
	Migration topology.MigrationID `json:",omitempty"`
	Stay      bool                 `json:",omitempty"`
}

// FinishedIntent remembers how an intent ended; Error as in Outcome.
type FinishedIntent struct {
	ID    uint64
	Error string
}

// Residue are slots that a group does not own but holds keys of.
type Residue struct {
	Group topology.GroupID
	Slots Slots
}

// Token remembers how a join token ended.
type Token struct {
	Token  uint64
	Node   topology.NodeID // 0 if only burned
	Status string
	Text   string
}

// OriginRecord holds recent outcomes for one origin node.
type OriginRecord struct {
	Node     topology.NodeID
	Last     uint64          // index of its last proposal
	Sessions []OriginSession // the current one, then the one before
}

// OriginSession holds the outcomes of one boot of an origin node, by rising
// Seq. What is not there and not above Floor was forgotten.
type OriginSession struct {
	Nonce   uint64
	Floor   uint64
	Results []OriginResult
}

// OriginResult is a remembered outcome.
type OriginResult struct {
	Seq     uint64
	Outcome Outcome
}

// How much is remembered.
const (
	originResults   = 64  // outcomes per boot of a node
	originStrangers = 16  // origins that are no members
	finishedIntents = 64  // ends of intents
	joinTokens      = 256 // ends of join tokens
)

// Node returns the member with that id, or nil.
func (s *State) Node(id topology.NodeID) *NodeRecord {
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n NodeRecord, id topology.NodeID) int {
		return cmp.Compare(n.ID, id)
	})
	if !ok {
		return nil
	}
	return &s.Nodes[i]
}

// Shard returns the shard with that id, or nil.
func (s *State) Shard(id topology.GroupID) *ShardRecord {
	i, ok := slices.BinarySearchFunc(s.Shards, id, func(r ShardRecord, id topology.GroupID) int {
		return cmp.Compare(r.ID, id)
	})
	if !ok {
		return nil
	}
	return &s.Shards[i]
}

// ShardOf returns the shard whose data the node is wished to hold, or nil.
func (s *State) ShardOf(node topology.NodeID) *ShardRecord {
	for i := range s.Shards {
		if m, ok := s.Shards[i].member(node); ok && m.Kind == topology.Data {
			return &s.Shards[i]
		}
	}
	return nil
}

// PendingIntent returns the pending intent with that id, or nil.
func (s *State) PendingIntent(id uint64) *Intent {
	for i := range s.Intents {
		if s.Intents[i].ID == id {
			return &s.Intents[i]
		}
	}
	return nil
}

// IntentResult returns how a finished intent ended: done is false while it is
// pending, or not known to this state yet; the error is nil if it was carried
// out, Uncertain if its end was forgotten.
func (s *State) IntentResult(id uint64) (done bool, err error) {
	if id > s.Intent || s.PendingIntent(id) != nil {
		return false, nil
	}
	for _, f := range s.Finished {
		if f.ID == id {
			return true, Outcome{Error: f.Error}.Err()
		}
	}
	return true, Uncertain
}

// Tombstone reports whether the node was a member once and was removed.
func (s *State) Tombstone(id topology.NodeID) bool {
	_, ok := slices.BinarySearch(s.Tombstones, id)
	return ok
}

// Lone reports whether the cluster has one node.
func (s *State) Lone() bool { return len(s.Nodes) == 1 }

// OwnsSlots reports whether any slot is assigned.
func (s *State) OwnsSlots() bool {
	for i := range s.Slots {
		if s.Slots[i].Group != 0 {
			return true
		}
	}
	return false
}

// empty reports whether the cluster owns no slots and no keys, as far as is known.
func (s *State) empty() bool {
	return !s.OwnsSlots() && !s.holdsStrays()
}

// holdsStrays reports whether a shard holds keys of slots that it does not own, or may.
func (s *State) holdsStrays() bool {
	return len(s.Residue) > 0 || slices.ContainsFunc(s.Marks, func(m Mark) bool { return m.Kind == topology.Importing })
}

// MetaMembers returns the wished members of the MetaRaft group, by node id.
func (s *State) MetaMembers() []MetaMember {
	members := make([]MetaMember, len(s.Nodes))
	for i, n := range s.Nodes {
		members[i] = MetaMember{Node: n.ID, MetaID: n.MetaID, RaftAddr: n.Address.Raft, Voter: n.MetaVoter}
	}
	return members
}

// member returns the wished membership of node.
func (r *ShardRecord) member(node topology.NodeID) (topology.Member, bool) {
	for _, m := range r.Members {
		if m.Node == node {
			return m, true
		}
	}
	return topology.Member{}, false
}

// data returns how many wished data members the shard has.
func (r *ShardRecord) data() int {
	n := 0
	for _, m := range r.Members {
		if m.Kind == topology.Data {
			n++
		}
	}
	return n
}

// clone returns a copy that shares nothing mutable with s. SlotTable and the
// records of origins are shared: they are replaced, never changed.
func (s *State) clone() *State {
	c := *s
	c.Nodes = slices.Clone(s.Nodes)
	c.Shards = slices.Clone(s.Shards)
	for i := range c.Shards {
		c.Shards[i].Members = slices.Clone(c.Shards[i].Members)
		c.Shards[i].Leaving = slices.Clone(c.Shards[i].Leaving)
		// Voters and Outgoing are replaced, never changed.
	}
	c.Residue = slices.Clone(s.Residue)
	c.Migrations = slices.Clone(s.Migrations)
	c.Garbage = slices.Clone(s.Garbage)
	c.Marks = slices.Clone(s.Marks)
	c.Intents = slices.Clone(s.Intents)
	for i := range c.Intents {
		c.Intents[i].Pending = slices.Clone(c.Intents[i].Pending)
		c.Intents[i].Residue = slices.Clone(c.Intents[i].Residue)
	}
	c.Finished = slices.Clone(s.Finished)
	c.Tombstones = slices.Clone(s.Tombstones)
	c.Tokens = slices.Clone(s.Tokens)
	c.Origins = slices.Clone(s.Origins)
	return &c
}
