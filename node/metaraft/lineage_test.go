package metaraft

import (
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/topology"
)

func TestLineageContinues(t *testing.T) {
	i := func(start, mark uint64) Incarnation { return Incarnation{start, mark} }
	folder := Lineage{i(5, 50), i(6, 60), i(7, 70)}
	for _, test := range []struct {
		name    string
		lineage Lineage
		known   Incarnation
		want    bool
	}{
		{"nothing is known", folder, Incarnation{}, true},
		{"no lineage, nothing known", nil, Incarnation{}, true},
		{"no lineage where one was", nil, i(5, 50), false},
		{"the present one", folder, i(7, 70), true},
		{"one whose record nobody told it of", folder, i(6, 60), true},
		{"the last one known to be recorded", folder, i(5, 50), true},
		{"who knows is behind", folder, i(3, 31), true},
		{"a copy that was started as often", folder, i(7, 71), false},
		{"a copy that was started before", folder, i(6, 61), false},
		{"it went on elsewhere: an old backup", folder, i(8, 80), false},
	} {
		if got := test.lineage.Continues(test.known); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// twoNodes is a cluster of nodes 1 and 2, of which node 2 has announced its fifth
// start.
func twoNodes(t *testing.T) *State {
	t.Helper()
	s := &State{Slots: new(SlotTable)}
	for i, c := range []Change{
		&Init{ClusterID: 1, Node: 1, MetaID: 1},
		&Admit{Token: 1, Node: 2, Address: topology.Address{Raft: "two:1"}, Lineage: Lineage{{5, 50}}},
		&AddSlots{Node: 2, Slots: Slots{slotRange(0, 9)}, NewGroup: 7},
	} {
		var o Outcome
		if s, o = applyProposal(s, uint64(i+1), 0, Proposal{Change: c}); o.Error != "" {
			t.Fatal(o.Error)
		}
	}
	return s
}

// An address is taken from whoever continues the recorded incarnation, which is
// then the one before.
func TestAnnouncementsOfCopies(t *testing.T) {
	s := twoNodes(t)
	announce := func(raft string, lineage Lineage) string {
		after, o := applyProposal(s, s.Index+1, 0, Proposal{Change: &SetAddress{Node: 2, Address: topology.Address{Raft: raft}, Lineage: lineage}})
		if o.Error == "" {
			s = after
		}
		return o.Error
	}
	original, twin := Lineage{{5, 50}, {6, 60}}, Lineage{{5, 50}, {6, 61}}
	if text := announce("moved:1", original); text != "" {
		t.Fatal(text)
	}
	if text := announce("moved:1", original); text != "" {
		t.Errorf("said again: %s", text)
	}
	for name, lineage := range map[string]Lineage{"twin": twin, "old state": {{5, 50}}, "none": nil} {
		if text := announce("copy:1", lineage); !strings.Contains(text, "is a member at moved:1") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if n := s.Node(2); n.Address.Raft != "moved:1" || n.Incarnation != original.Now() {
		t.Errorf("recorded is %+v", n)
	}
}

// A lone node with a member's id replaces the member only if it is that member,
// which left alone.
func TestJoinersWithAMembersID(t *testing.T) {
	for _, test := range []struct {
		name    string
		lineage Lineage
		failed  bool
		ok      bool
	}{
		{"the process that left alone", Lineage{{5, 50}}, false, true},
		{"started since, while the member lives", Lineage{{5, 50}, {6, 60}}, false, false},
		{"started since, and nobody answers for the member", Lineage{{5, 50}, {6, 60}}, true, true},
		{"a twin", Lineage{{5, 51}}, true, false},
		{"an older state", Lineage{{4, 40}}, true, false},
		{"without a lineage", nil, true, false},
	} {
		s := twoNodes(t)
		if test.failed {
			s, _ = applyProposal(s, 10, 0, Proposal{Change: &Liveness{Failed: []topology.NodeID{2}}})
		}
		after, o := applyProposal(s, 11, 0, Proposal{Change: &Admit{Token: 2, Node: 2, Lineage: test.lineage}})
		if o.Admit == nil || (o.Admit.Status == Admitted) != test.ok {
			t.Errorf("%s: %+v", test.name, o.Admit)
		}
		if owns := after.Slots.Of(7); !test.ok && (after.Node(2).Token != 1 || owns.Empty()) {
			t.Errorf("%s: refused, and the member is %+v", test.name, after.Node(2))
		}
	}
}
