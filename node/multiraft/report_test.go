package multiraft

import (
	"slices"
	"testing"
)

// A member counts as having the data only while its state is complete and its log
// connects to the leader's: not one that the log was cut past, and not an arbiter
// that is to hold data and has none yet, however long its log is.
func TestReportTellsWhoHasTheData(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	members := dataAndArbiter(l)
	a, b, arbiter := l.node(1), l.node(2), l.node(3)
	report := func() *Report { return a.replicas[testGroup].group.Report() }
	one, two, three := members[0].RaftID, members[1].RaftID, members[2].RaftID
	l.until("both data members to be synced", func() bool {
		r := report()
		return r != nil && slices.Equal(r.Synced, []uint64{one, two}) && slices.Equal(r.Behind, []uint64{three})
	})
	if r := report(); !slices.Equal(r.Voters, []uint64{one, two, three}) || len(r.Outgoing) > 0 || !r.Settled || r.WishVersion != 1 {
		t.Errorf("report %+v", r)
	}
	for _, n := range []*labNode{b, arbiter} {
		if r := n.replicas[testGroup].group.Report(); r != nil {
			t.Errorf("node %d does not lead and reports %+v", n.id, r)
		}
	}

	// The arbiter is to hold data now. Its log has lost the beginning.
	l.fill(testGroup, 100)
	members[2].Arbiter = false
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.ticks(20)
	if r := report(); slices.Contains(r.Synced, three) || !slices.Contains(r.Behind, three) {
		t.Errorf("a member without state: %+v", r)
	}
	m, p, s := l.fetched(a, three)
	if err := arbiter.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	s.End(true)
	l.until("the former arbiter to be synced", func() bool { return slices.Contains(report().Synced, three) })

	// A member that is away stays what it was until the log is cut past it.
	l.isolate(b, true)
	l.ticks(20)
	if r := report(); slices.Contains(r.Behind, two) {
		t.Errorf("a member that is only away: %+v", r)
	}
	l.fill(testGroup, 400)
	l.until("the member to be behind", func() bool {
		l.fill(testGroup, 50)
		return slices.Contains(report().Behind, two)
	})
	l.isolate(b, false)
	l.until("it to be synced again", func() bool {
		l.serveOffers()
		r := l.leader(testGroup)
		if r == nil {
			return false
		}
		last := r.replicas[testGroup].group.Report()
		return last != nil && slices.Contains(last.Synced, two)
	})
}

// While a membership is on its way the report names both halves of a joint one, and
// is settled only when the wish has been reached.
func TestReportFollowsTheMembership(t *testing.T) {
	l := newLab(t, 4, 1, nil)
	members := labMembers(1, 2, 3, 4)
	for i, m := range members[:3] {
		l.node(m.Node).create(Spec{ID: testGroup, RaftID: m.RaftID, Bootstrap: i == 0, Members: members[:3]}, true)
	}
	l.wish(testGroup, Wish{Version: 1, Voters: members[:3]})
	report := func() *Report {
		if n := l.leader(testGroup); n != nil {
			return n.replicas[testGroup].group.Report()
		}
		return nil
	}
	settled := func(version uint64) func() bool {
		return func() bool { r := report(); return r != nil && r.Settled && r.WishVersion == version }
	}
	l.until("the first wish to be settled", settled(1))
	l.wish(testGroup, Wish{Version: 2, Voters: []Member{members[0], members[1], members[3]}, Others: members[2:3]})
	l.ticks(20)
	if r := report(); r.Settled || slices.Contains(r.Voters, members[3].RaftID) {
		t.Errorf("the new member is not there: %+v", r)
	}
	l.node(4).create(Spec{ID: testGroup, RaftID: members[3].RaftID, Members: members}, true)
	l.until("the second wish to be settled", settled(2))
	want := []uint64{members[0].RaftID, members[1].RaftID, members[3].RaftID}
	if r := report(); !slices.Equal(r.Voters, want) || len(r.Outgoing) > 0 {
		t.Errorf("report %+v, want the voters %d", r, want)
	}
}
