package metaraft

import (
	"testing"

	"github.com/genuineh/aikv/node/topology"
)

// TestFarewell resets a member while the others are down: they learn of it when
// they are back, also after the node was restarted or has become another one.
func TestFarewell(t *testing.T) {
	for _, hard := range []bool{false, true} {
		w := newWorld(t, 7)
		nodes := w.bootCluster(3)
		a, others := nodes[0], nodes[1:]
		before := a.Identity()
		for _, n := range others {
			n.kill()
		}
		w.must(a.running().Reset(t.Context(), hard))
		if got := a.Identity(); len(got.Farewells) != 1 || got.Farewells[0].MetaID != before.MetaID {
			t.Fatalf("hard %v: identity %+v", hard, got)
		}
		w.must(a.running().Reset(t.Context(), true)) // keeps what it still has to say
		a.kill()
		a.start()
		for _, n := range others {
			n.start()
		}
		for _, n := range others {
			w.eventually("the others have dropped the node", func() bool { return n.running().Info().Nodes == 2 })
		}
		w.eventually("it has heard that they did", func() bool { n := a.running(); r, _ := n.current(); return len(n.unsaid(r)) == 0 })
		w.must(a.meet(others[0]))
		w.mustBeTogether(nodes)
	}
}

// TestFarewellOfNoMember: what a node says of its former membership, or a copy of a
// folder of the member's, removes nobody.
func TestFarewellOfNoMember(t *testing.T) {
	w := newWorld(t, 8)
	nodes := w.bootCluster(3)
	member := nodes[1].Identity()
	for _, f := range []Farewell{
		{Cluster: member.Cluster, Node: member.Node, MetaID: member.MetaID + 100},
		{Cluster: member.Cluster, Node: topology.NodeID(1 << 60), MetaID: member.MetaID},
	} {
		if reply := nodes[0].running().serveFarewell(t.Context(), f); !reply.Done {
			t.Errorf("%+v: %+v", f, reply)
		}
	}
	if reply := nodes[0].running().serveFarewell(t.Context(), Farewell{Cluster: 1 << 60}); !reply.Elsewhere || reply.Done {
		t.Errorf("another cluster's: %+v", reply)
	}
	w.mustBeTogether(nodes)
}

// TestFarewellOfACopy: the member goes on from its own folder, and a copy of that
// was reset.
func TestFarewellOfACopy(t *testing.T) {
	s := twoNodes(t)
	leave := &Leave{Node: 2, MetaID: s.Node(2).MetaID, Lineage: Lineage{{4, 40}, {5, 51}}, Gone: true}
	after, o := applyProposal(s, s.Index+1, 0, Proposal{Change: leave})
	if o.Error != "" || after.Node(2) == nil {
		t.Errorf("the copy removed the member: %+v", o)
	}
	leave.Lineage = Lineage{{5, 50}, {6, 60}}
	after, o = applyProposal(after, after.Index+1, 0, Proposal{Change: leave})
	if o.Error != "" || after.Node(2) != nil {
		t.Errorf("the member's own folder did not: %+v", o)
	}
}
