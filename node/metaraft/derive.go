package metaraft

import (
	"cmp"
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// shardVoters is how many voters a shard has at least where the cluster allows.
const shardVoters = 3

// derive works out what nobody asks for by name: the arbiters of each shard, the
// voters of MetaRaft, and new version numbers of wishes that changed.
// Doing it once more changes nothing.
func (d *draft) derive() {
	d.deriveMarks()
	d.deriveArbiters()
	d.deriveVoters()
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		for j := range shard.Members {
			m := &shard.Members[j]
			m.Synced = m.Synced && m.HoldsState()
		}
		if shard.membersChanged {
			shard.membersChanged = false
			shard.Version++
		}
	}
}

func (d *draft) deriveArbiters() {
	owning := d.s.Slots.owners()
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		want := 0
		if len(d.s.Nodes) >= shardVoters &&
			(owning[shard.ID] || shard.data() > 1 || d.s.holdsResidue(shard.ID) || d.s.importsKeys(shard.ID) || d.s.expects(shard.ID)) {
			want = max(0, shardVoters-shard.data())
		}
		for have := len(shard.Members) - shard.data(); have > want; have-- {
			node := d.superfluousArbiter(shard)
			if m, _ := shard.member(node); d.s.lastCopy(shard, m) {
				break // until somebody else has the data
			}
			shard.remove(node)
		}
		for have := len(shard.Members) - shard.data(); have < want; have++ {
			node, ok := d.nextArbiter(shard)
			if !ok {
				break
			}
			shard.assume(d, node, topology.Arbiter)
		}
	}
}

// load is a node's rank for a duty: the lower, the better a choice it is.
type load struct {
	node              topology.NodeID
	failed, leaving   bool
	copy              bool // it keeps a copy of the shard in question
	arbiters, members int
	metaID            uint64
}

// loads returns every node's load, by node id.
func (d *draft) loads() []load {
	all := make([]load, len(d.s.Nodes))
	at := make(map[topology.NodeID]*load, len(all))
	for i, n := range d.s.Nodes {
		all[i] = load{node: n.ID, failed: n.Failed, metaID: n.MetaID}
		at[n.ID] = &all[i]
	}
	for _, shard := range d.s.Shards {
		for _, m := range shard.Members {
			l := at[m.Node]
			l.members++
			if m.Kind == topology.Arbiter {
				l.arbiters++
			}
		}
	}
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compareArbiters orders nodes for being an arbiter: those that keep a copy of the
// data, alive ones, then those that are not on their way out of the same group, then
// the least loaded.
func compareArbiters(a, b load) int {
	return cmp.Or(
		compareBool(b.copy, a.copy), compareBool(a.failed, b.failed), compareBool(a.leaving, b.leaving),
		cmp.Compare(a.arbiters, b.arbiters), cmp.Compare(a.members, b.members), cmp.Compare(a.node, b.node),
	)
}

// nextArbiter returns the node that becomes the shard's next arbiter.
func (d *draft) nextArbiter(shard *ShardRecord) (topology.NodeID, bool) {
	candidates := slices.DeleteFunc(d.loads(), func(l load) bool {
		_, ok := shard.member(l.node)
		return ok
	})
	if len(candidates) == 0 {
		return 0, false
	}
	for i := range candidates {
		candidates[i].leaving = slices.ContainsFunc(shard.Leaving, func(m topology.Member) bool {
			return m.Node == candidates[i].node
		})
	}
	return slices.MinFunc(candidates, compareArbiters).node, true
}

// superfluousArbiter returns the shard's arbiter that is the first to leave.
func (d *draft) superfluousArbiter(shard *ShardRecord) topology.NodeID {
	arbiters := slices.DeleteFunc(d.loads(), func(l load) bool {
		m, ok := shard.member(l.node)
		return !ok || m.Kind != topology.Arbiter
	})
	for i := range arbiters {
		m, _ := shard.member(arbiters[i].node)
		arbiters[i].copy = m.Copy
	}
	return slices.MaxFunc(arbiters, compareArbiters).node
}

// autoVoters is how many nodes vote in a MetaRaft of n members.
func autoVoters(n int) int {
	switch {
	case n < 3:
		return 1
	case n < 5:
		return 3
	}
	return 5
}

// deriveVoters keeps the number of MetaRaft's voters at autoVoters at least,
// and the number of those that were not promoted by hand at autoVoters at most.
func (d *draft) deriveVoters() {
	want := autoVoters(len(d.s.Nodes))
	// Alive before failed, then the least loaded, then who joined first.
	order := d.loads()
	slices.SortFunc(order, func(a, b load) int {
		return cmp.Or(compareBool(a.failed, b.failed), cmp.Compare(a.members, b.members), cmp.Compare(a.metaID, b.metaID))
	})
	total, automatic := d.s.voters(), 0
	for i := range d.s.Nodes {
		if d.s.Nodes[i].MetaVoter && !d.s.Nodes[i].Pinned {
			automatic++
		}
	}
	for _, l := range order {
		if node := d.s.Node(l.node); total < want && !node.MetaVoter {
			node.MetaVoter = true
			total++
		}
	}
	slices.Reverse(order)
	for _, l := range order {
		if node := d.s.Node(l.node); automatic > want && node.MetaVoter && !node.Pinned {
			node.MetaVoter = false
			automatic--
		}
	}
}
