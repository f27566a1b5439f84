package metaraft

import (
	"cmp"
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// shardCopies is on how many living nodes a shard's data is, where the cluster
// allows: with fewer data members than that, arbiters keep a copy. So the loss of
// one node's disk loses nothing, and an arbiter's log is cut though a data member
// is dead.
const shardCopies = 2

// whole reports whether the member has all of the shard's data, as its leader
// reported last, and lives.
func (s *State) whole(m *topology.Member) bool {
	return m.HoldsState() && m.Synced && s.alive(m.Node)
}

// heir returns the member of the shard that would go on with all of the data if
// except were gone: one that is whole, the master if it is one, then data members
// before arbiters; nil if there is none.
func (s *State) heir(shard *ShardRecord, except topology.NodeID) *topology.Member {
	var best *topology.Member
	for i := range shard.Members {
		m := &shard.Members[i]
		if m.Node == except || !s.whole(m) {
			continue
		}
		if best == nil || m.Node == shard.Master || best.Node != shard.Master && m.Kind < best.Kind {
			best = m
		}
	}
	return best
}

// serving returns how many of the shard's data members are whole.
func (s *State) serving(shard *ShardRecord) int {
	n := 0
	for i := range shard.Members {
		if m := &shard.Members[i]; m.Kind == topology.Data && s.whole(m) {
			n++
		}
	}
	return n
}

// copyChange returns what AdjustCopies would change about the shard: the members
// whose copies are not needed any more, or the arbiter that is to get one.
func (s *State) copyChange(shard *ShardRecord) (superfluous []topology.NodeID, next topology.NodeID) {
	serving := s.serving(shard)
	copies, source := serving, serving > 0
	var bare []topology.NodeID
	for _, m := range shard.Members {
		switch {
		case m.Kind != topology.Arbiter:
		case m.Copy && serving >= shardCopies:
			superfluous = append(superfluous, m.Node)
		case !s.alive(m.Node):
		case m.Copy:
			copies++ // or it is on its way
			source = source || m.Synced
		default:
			bare = append(bare, m.Node)
		}
	}
	if copies >= shardCopies || !source || len(bare) == 0 {
		return superfluous, 0
	}
	return nil, slices.MinFunc(bare, func(a, b topology.NodeID) int {
		return cmp.Or(cmp.Compare(s.copiesOn(a), s.copiesOn(b)), cmp.Compare(a, b))
	})
}

// copiesOn returns of how many shards an arbiter on that node keeps a copy.
func (s *State) copiesOn(node topology.NodeID) int {
	n := 0
	for i := range s.Shards {
		if m, ok := s.Shards[i].member(node); ok && m.Copy {
			n++
		}
	}
	return n
}

// copyNodes returns the nodes of the arbiters that keep a copy.
func (r *ShardRecord) copyNodes() (nodes []topology.NodeID) {
	for _, m := range r.Members {
		if m.Copy {
			nodes = append(nodes, m.Node)
		}
	}
	return nodes
}

// lastCopy reports whether the member is an arbiter with the copy that the shard
// would miss: no other member is whole.
func (s *State) lastCopy(shard *ShardRecord, m topology.Member) bool {
	return m.Copy && s.heir(shard, m.Node) == nil
}

// keepCopies makes arbiters that still have all of the data keep it as a copy, while
// no other member is whole: they were to give it up when that was not known yet.
func (d *draft) keepCopies(shard *ShardRecord, synced []uint64) {
	for i := range shard.Members {
		m := &shard.Members[i]
		bare := m.Kind == topology.Arbiter && !m.Copy && d.s.alive(m.Node)
		if bare && slices.Contains(synced, m.RaftID) && d.s.heir(shard, m.Node) == nil {
			m.Copy, shard.membersChanged = true, true
		}
	}
}

// AdjustCopies gives arbiters of these shards a copy of the data, or lets them give
// it up, if that is still called for: see shardCopies.
type AdjustCopies struct{ Shards []topology.GroupID }

// Kind implements Change.
func (*AdjustCopies) Kind() Kind { return "settle-copies" }

func (c *AdjustCopies) apply(d *draft) Outcome {
	for _, id := range c.Shards {
		shard := d.s.Shard(id)
		if shard == nil {
			continue
		}
		superfluous, next := d.s.copyChange(shard)
		for i := range shard.Members {
			m := &shard.Members[i]
			keep := m.Copy && !slices.Contains(superfluous, m.Node) || next != 0 && m.Node == next
			if keep != m.Copy {
				m.Copy, m.Synced = keep, false
				shard.membersChanged = true
			}
		}
	}
	return Outcome{}
}
