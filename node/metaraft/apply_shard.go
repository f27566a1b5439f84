package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// Replicate makes Node a replica of Master. That a master Node holds no keys
// is for the proposer to check before. NewGroup is a random id, used if Master
// has no shard yet.
type Replicate struct {
	Node, Master topology.NodeID
	NewGroup     topology.GroupID
}

// Kind implements Change.
func (*Replicate) Kind() Kind { return "replicate" }

func (c *Replicate) apply(d *draft) Outcome {
	switch {
	case d.s.Node(c.Master) == nil:
		return unknownNode(c.Master)
	case d.s.Node(c.Node) == nil:
		return unknownNode(c.Node)
	case c.Node == c.Master:
		return refuse("Can't replicate myself")
	}
	target := d.s.ShardOf(c.Master)
	switch {
	case target != nil && target.Master != c.Master:
		return refuse("I can only replicate a master, not a replica.")
	case target == nil && !d.s.unusedShard(c.NewGroup):
		return refuse("shard id %d cannot be used", uint64(c.NewGroup))
	}
	old := d.s.ShardOf(c.Node)
	switch {
	case old == nil:
	case target != nil && old.ID == target.ID:
		return Outcome{} // it is a replica of that master already
	case old.Master != c.Node:
		if g := d.s.mayFollow(old, c.Node); g != nil {
			return g.outcome()
		}
		old.remove(c.Node)
	default:
		if d.s.bears(old) || d.s.expects(old.ID) {
			return refuse("To set a master the node must be empty and without assigned slots.")
		}
		// Without slots there is nothing to replicate: its replicas become
		// masters without slots.
		d.dropShard(old.ID)
	}
	target, refusal := d.ensureShard(c.Master, c.NewGroup)
	if refusal != nil {
		return *refusal
	}
	d.s.Node(c.Node).Follows = 0
	target.assume(d, c.Node, topology.Data)
	return Outcome{}
}

// Takeover records that Node, under RaftID, leads Shard's group in Raft term Term.
// Ignored unless that is a wished data member and the term rises.
type Takeover struct {
	Shard  topology.GroupID
	Node   topology.NodeID
	RaftID uint64 `json:",omitempty"` // 0: whichever it has
	Term   uint64
}

// Kind implements Change.
func (*Takeover) Kind() Kind { return "takeover" }

func (c *Takeover) apply(d *draft) Outcome {
	shard := d.s.Shard(c.Shard)
	if shard == nil || c.Term <= shard.MasterTerm || c.Term >= maxCounter {
		return Outcome{}
	}
	if m, ok := shard.member(c.Node); !ok || m.Kind != topology.Data || c.RaftID != 0 && c.RaftID != m.RaftID {
		return Outcome{}
	}
	shard.MasterTerm, shard.Unled = c.Term, false
	if shard.Master == c.Node {
		return Outcome{}
	}
	shard.Master = c.Node
	d.s.Epoch++
	d.s.Node(c.Node).ConfigEpoch = d.s.Epoch
	return Outcome{Epoch: d.s.Epoch}
}

// Report is the word of the leader of Shard's group, whose Raft id is Leader, on who
// votes there and who has the data: see topology.Shard and topology.Member. Synced
// and Behind name members of which that is known or known not to be so; the others
// stay what they were. Ignored if it is older than what is recorded: the term of
// the record or of the shard's master is higher, or in the same term Seq is not
// above the recorded one.
type Report struct {
	Shard            topology.GroupID
	Leader           uint64
	Term, Seq        uint64
	Voters, Outgoing []uint64 `json:",omitempty"`
	Synced, Behind   []uint64 `json:",omitempty"`
}

// Kind implements Change.
func (*Report) Kind() Kind { return "report" }

func (c *Report) apply(d *draft) Outcome {
	shard := d.s.Shard(c.Shard)
	if shard == nil || c.Term < shard.MasterTerm || c.Term < shard.ReportTerm ||
		c.Term == shard.ReportTerm && c.Seq <= shard.ReportSeq || !shard.knows(c.Leader) {
		return Outcome{}
	}
	shard.ReportTerm, shard.ReportSeq = c.Term, c.Seq
	shard.Voters, shard.Outgoing = c.Voters, c.Outgoing
	d.keepCopies(shard, c.Synced)
	for _, members := range [][]topology.Member{shard.Members, shard.Leaving} {
		for i := range members {
			m := &members[i]
			switch {
			case slices.Contains(c.Synced, m.RaftID):
				m.Synced = m.HoldsState()
			case slices.Contains(c.Behind, m.RaftID):
				m.Synced = false
			}
		}
	}
	return Outcome{}
}

// knows reports whether a membership with that Raft id is wished or leaving.
func (r *ShardRecord) knows(raftID uint64) bool {
	is := func(m topology.Member) bool { return m.RaftID == raftID }
	return slices.ContainsFunc(r.Members, is) || slices.ContainsFunc(r.Leaving, is)
}

// MembershipDone reports that the group contains exactly the members of that
// version of the wish.
type MembershipDone struct {
	Shard   topology.GroupID
	Version uint64
}

// Kind implements Change.
func (*MembershipDone) Kind() Kind { return "membership-done" }

func (c *MembershipDone) apply(d *draft) Outcome {
	if shard := d.s.Shard(c.Shard); shard != nil && shard.Version == c.Version {
		shard.Leaving = nil
	}
	return Outcome{}
}
