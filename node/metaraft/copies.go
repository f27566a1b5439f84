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

// serving returns how many of the shard's data members live and are known to have
// the whole state.
func (s *State) serving(shard *ShardRecord) int {
	n := 0
	for _, m := range shard.Members {
		if m.Kind == topology.Data && m.Synced && s.alive(m.Node) {
			n++
		}
	}
	return n
}

// copyChange returns what SettleCopies would change about the shard: the members
// whose copies are not needed any more, or the arbiter that is to get one.
func (s *State) copyChange(shard *ShardRecord) (superfluous []topology.NodeID, next topology.NodeID) {
	serving := s.serving(shard)
	held, source := serving, serving > 0
	var bare []topology.NodeID
	for _, m := range shard.Members {
		switch {
		case m.Kind != topology.Arbiter:
		case m.Copy && serving >= shardCopies:
			superfluous = append(superfluous, m.Node)
		case !s.alive(m.Node):
		case m.Copy:
			held++ // or it is on its way
			source = source || m.Synced
		default:
			bare = append(bare, m.Node)
		}
	}
	if held >= shardCopies || !source || len(bare) == 0 {
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

// lastCopy reports whether the member's is the only copy of the shard's data that
// is left on a node that lives, or may be.
func (s *State) lastCopy(shard *ShardRecord, m topology.Member) bool {
	return m.Copy && !s.held(shard, m.Node)
}

// keepCopies makes arbiters that still have the whole state keep it as a copy, while
// nobody else has who lives: they were to give it up when that was not known yet.
func (d *draft) keepCopies(shard *ShardRecord, synced []uint64) {
	for i := range shard.Members {
		m := &shard.Members[i]
		if m.Kind == topology.Arbiter && !m.Copy && slices.Contains(synced, m.RaftID) && d.s.alive(m.Node) && !d.s.held(shard, m.Node) {
			m.Copy, shard.membersChanged = true, true
		}
	}
}

// held reports whether a member on another node lives and has the whole state.
func (s *State) held(shard *ShardRecord, except topology.NodeID) bool {
	return slices.ContainsFunc(shard.Members, func(o topology.Member) bool {
		return o.Node != except && o.HoldsState() && o.Synced && s.alive(o.Node)
	})
}

func (c *SettleCopies) apply(d *draft) Outcome {
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
