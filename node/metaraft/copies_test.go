package metaraft

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// copiesState is a cluster of five: nodes 1 and 2 are to hold the data of shard 11,
// node 3 is its arbiter, and node 4 the arbiter of shard 22, which has no replica.
func copiesState() *State {
	return &State{
		Nodes: []NodeRecord{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}, {ID: 5}},
		Slots: &SlotTable{{Group: 11}, {Group: 22}},
		Shards: []ShardRecord{
			{ID: 11, Members: []topology.Member{
				{Node: 1, Kind: topology.Data, Synced: true}, {Node: 2, Kind: topology.Data, Synced: true}, {Node: 3, Kind: topology.Arbiter},
			}},
			{ID: 22, Members: []topology.Member{
				{Node: 3, Kind: topology.Arbiter, Copy: true, Synced: true}, {Node: 4, Kind: topology.Arbiter}, {Node: 5, Kind: topology.Data, Synced: true},
			}},
		},
	}
}

// Which arbiter gets a copy, and when one is not needed any more.
func TestCopyChange(t *testing.T) {
	for _, c := range []struct {
		name   string
		shard  int
		change func(s *State)
		want   string
	}{
		{"two members serve", 0, func(*State) {}, "[] 0"},
		{"the replica is dead", 0, func(s *State) { s.Nodes[1].Failed = true }, "[] 3"},
		{"the replica is not synced", 0, func(s *State) { s.Shards[0].Members[1].Synced = false }, "[] 3"},
		{"nobody has the data", 0, func(s *State) {
			s.Shards[0].Members[1].Synced = false
			s.Nodes[0].Failed = true
		}, "[] 0"},
		{"the arbiter is dead too", 0, func(s *State) { s.Nodes[1].Failed, s.Nodes[2].Failed = true, true }, "[] 0"},
		{"the replica is back", 0, func(s *State) { s.Shards[0].Members[2].Copy = true }, "[3] 0"},
		{"a copy is on its way", 0, func(s *State) {
			s.Nodes[1].Failed = true
			s.Shards[0].Members[2].Copy = true
		}, "[] 0"},
		{"no replica, one copy", 1, func(*State) {}, "[] 0"},
		{"no replica, no copy: the node without another one", 1, func(s *State) {
			s.Shards[0].Members[2].Copy = true
			s.Shards[1].Members[0].Copy = false
		}, "[] 4"},
		{"the copy is dead", 1, func(s *State) { s.Nodes[2].Failed = true }, "[] 4"},
		{"the master is dead: the copy is copied", 1, func(s *State) { s.Nodes[4].Failed = true }, "[] 4"},
	} {
		s := copiesState()
		c.change(s)
		superfluous, next := s.copyChange(&s.Shards[c.shard])
		if got := fmt.Sprintf("%d %d", superfluous, next); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A copy that is the only one left is not taken away by anything: not by a node that
// stays failed, nor by data members that have nothing yet.
func TestLastCopyStays(t *testing.T) {
	s := copiesState()
	s.ClusterID = 7
	s.Nodes[4].Failed = true // shard 22's master is gone
	s.Nodes[2].Failed = true // and for now the copy's node
	next, _ := applyProposal(s, 1, 0, Proposal{Change: &Relieve{Nodes: []topology.NodeID{3}}})
	if m, ok := next.Shard(22).member(3); !ok || !m.Copy {
		t.Errorf("the only copy left with its failed node: %+v", next.Shard(22).Members)
	}

	s.Nodes[2].Failed = false
	s.Shards = s.Shards[1:]
	d := newDraft(s, 1, 0)
	shard := d.s.Shard(22)
	for _, node := range []topology.NodeID{1, 2} {
		shard.assume(d, node, topology.Data)
	}
	d.derive()
	if m, ok := d.s.Shard(22).member(3); !ok || !m.Copy {
		t.Errorf("the only copy left for members without data: %+v", d.s.Shard(22).Members)
	}
	for i := range d.s.Shard(22).Members {
		if m := &d.s.Shard(22).Members[i]; m.Node == 1 {
			m.Synced = true
		}
	}
	d.derive()
	if m, ok := d.s.Shard(22).member(3); ok {
		t.Errorf("with three data members, one of them whole, there is still %+v", m)
	}
}

// The rule is followed after the grace time, and no sooner.
func TestCopiesAfterGrace(t *testing.T) {
	s := copiesState()
	s.ClusterID = 7
	s.Nodes[1].Failed = true
	v := vigil[topology.GroupID]{after: 10 * time.Second}
	begin := time.Unix(1000, 0)
	for at, want := range []string{0: "[]", 9: "[]", 10: "[" + topology.GroupID(11).String() + "]"} {
		if got := fmt.Sprint(uncopied(&v, begin.Add(time.Duration(at)*time.Second), s)); want != "" && got != want {
			t.Errorf("after %d s: %s, want %s", at, got, want)
		}
	}
	next, o := applyProposal(s, 1, 0, Proposal{Change: &AdjustCopies{Shards: []topology.GroupID{11, 22, 33}}})
	if o.Error != "" {
		t.Fatal(o.Error)
	}
	if got := next.Shard(11); !slices.Equal(got.copyNodes(), []topology.NodeID{3}) || got.Version != 1 {
		t.Errorf("shard 11 is %+v", got)
	}
	if got := next.Shard(22); got.Version != 0 {
		t.Errorf("shard 22 changed: %+v", got)
	}
	if again, _ := applyProposal(next, 2, 0, Proposal{Change: &AdjustCopies{Shards: []topology.GroupID{11}}}); again.Shard(11).Version != 1 {
		t.Errorf("once more: %+v", again.Shard(11))
	}
}
