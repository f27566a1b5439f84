package multiraft

import (
	"errors"
	"testing"
)

// An arbiter that gets a copy of the state stands for a dead member that had it:
// its log, and that of the leader, are cut again. When the member is back the copy
// is given up, but not before those that serve hold what its log has lost.
func TestCopyBoundsTheLog(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	members := dataAndArbiter(l)
	a, b, arbiter := l.node(1), l.node(2), l.node(3)
	l.fill(testGroup, 100)
	b.close()
	lost := b.replicas[testGroup].machine.applied
	l.fill(testGroup, 100)
	if start := arbiter.logStart(); start > lost {
		t.Fatalf("the arbiter cut at %d, the dead member has %d", start, lost)
	}

	members[2].Copy = true
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.drain()
	m, p, s := l.fetched(a, members[2].RaftID)
	if err := arbiter.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	s.End(true)
	l.caughtUpWith(arbiter)
	l.fill(testGroup, 200)
	if start := arbiter.logStart(); start <= lost+100 {
		t.Errorf("an arbiter with a copy has cut at %d of %d", start, l.history(testGroup).last)
	}
	if got := l.leader(testGroup); got != a {
		t.Fatalf("node %d leads", got.id)
	}

	members[2].Copy = false
	l.wish(testGroup, Wish{Version: 3, Voters: members})
	l.ticks(20)
	if err := arbiter.reopen(testGroup, nil, nil); !errors.Is(err, ErrNeeded) {
		t.Fatalf("the copy was given up while a member lacks what its log has lost: %v", err)
	}
	b.boot()
	l.wish(testGroup, Wish{Version: 3, Voters: members})
	l.until("the member to be back", func() bool {
		l.serveOffers()
		return b.replicas[testGroup].group.Applied() >= a.replicas[testGroup].group.Applied()
	})
	l.ticks(20)
	if err := arbiter.reopen(testGroup, nil, nil); err != nil {
		t.Fatal(err)
	}
	l.wish(testGroup, Wish{Version: 3, Voters: members})
	l.fill(testGroup, 50)
	if arbiter.replicas[testGroup].machine != nil {
		t.Error("the copy is still there")
	}
}

// With the only member dead that serves, the state is where the copy is: it leads,
// and whoever is to serve from then on gets the state from it and takes over.
func TestCopyIsWhatAnotherMemberStartsFrom(t *testing.T) {
	l := limited(t, 4, 20, 1<<30)
	members := labMembers(1, 2, 3)
	members[1].Arbiter, members[2].Arbiter, members[2].Copy = true, true, true
	for i, m := range members {
		l.node(m.Node).create(Spec{ID: testGroup, RaftID: m.RaftID, Bootstrap: i == 0, Members: members}, m.holds())
	}
	l.wish(testGroup, Wish{Version: 1, Voters: members})
	l.until("the group to settle", func() bool {
		n := l.leader(testGroup)
		return n == l.node(1) && n.replicas[testGroup].group.status().Settled
	})
	l.fill(testGroup, 100)
	if l.node(2).logStart() == 0 {
		t.Error("two hold the state, and the bare arbiter keeps its log whole")
	}
	want := l.history(testGroup).last
	l.node(1).close() // for good
	l.until("the arbiter with the copy to lead", func() bool { return l.leader(testGroup) == l.node(3) })

	successor := Member{RaftID: labRaftID(4), Node: 4}
	l.node(4).create(Spec{ID: testGroup, RaftID: successor.RaftID, Members: append(members, successor)}, true)
	l.wish(testGroup, Wish{Version: 2, Voters: []Member{members[0], successor, members[2]}, Others: members[1:2]})
	l.until("the new member to lead", func() bool {
		l.serveOffers()
		return l.leader(testGroup) == l.node(4)
	})
	if got := l.node(4).replicas[testGroup].machine.applied; got < want {
		t.Errorf("it has applied %d, acknowledged were %d", got, want)
	}
}
