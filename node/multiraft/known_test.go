package multiraft

import (
	"slices"
	"testing"
	"time"
)

// forgetful makes the nodes' members open as they do after a restart of a whole
// node: nobody tells them of their peers.
func forgetful(l *lab) {
	for _, n := range l.nodes {
		for _, r := range n.replicas {
			r.spec.Members = nil
		}
	}
}

// A group needs only its own voters: after a restart they find each other, though
// nobody says again what is wished.
func TestVotersFindEachOther(t *testing.T) {
	l := newLab(t, 4, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	l.finish(l.write(l.leader(testGroup), testGroup, 1))
	// A fourth member came later: it was in no spec of the first three.
	l.node(4).create(Spec{ID: testGroup, RaftID: labRaftID(4), Members: labMembers(1, 2, 3, 4)}, true)
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(2, 3, 4)})
	l.until("the fourth to vote", func() bool {
		n := l.leader(testGroup)
		return n != nil && n.id != 1 && n.replicas[testGroup].group.status().Settled
	})
	for v := range uint64(3) { // with which it is stored what is committed
		l.finish(l.write(l.leader(testGroup), testGroup, 2+v))
	}
	forgetful(l)
	for _, n := range l.nodes {
		n.kill()
	}
	for _, id := range []uint64{2, 4} {
		l.node(id).boot()
	}
	l.until("two of three voters to elect a leader", func() bool { return l.leader(testGroup) != nil })
	leader := l.leader(testGroup)
	w := l.write(leader, testGroup, 9)
	l.finish(w)
	expect(t, "write", w, nil)

	// What the log remembers changes no membership.
	group := leader.replicas[testGroup].group
	if s := group.status(); s.WishVersion != 0 || s.Settled {
		t.Errorf("the leader acts on a wish that nobody made: %+v", s)
	}
	l.ticks(100)
	if got := group.members.conf.GetVoters(); !slices.Equal(got, []uint64{102, 103, 104}) {
		t.Errorf("voters %v", got)
	}
}

// An arbiter that is elected after a restart knows whom to hand over to.
func TestArbiterRemembersWhoServes(t *testing.T) {
	members := labMembers(1, 2, 3)
	members[2].Arbiter = true
	l := newLab(t, 3, 1, nil)
	l.node(1).create(Spec{ID: testGroup, RaftID: labRaftID(1), Bootstrap: true, Members: members}, true)
	l.node(2).create(Spec{ID: testGroup, RaftID: labRaftID(2), Members: members}, true)
	l.node(3).create(Spec{ID: testGroup, RaftID: labRaftID(3), Members: members}, false)
	l.wish(testGroup, Wish{Version: 1, Voters: members})
	l.until("the group to settle", func() bool {
		n := l.leader(testGroup)
		return n == l.node(1) && n.replicas[testGroup].group.status().Settled
	})
	// Only the arbiter has the last entry, so only it can win.
	l.isolate(l.node(2), true)
	w := l.write(l.node(1), testGroup, 1)
	l.finish(w)
	expect(t, "write", w, nil)
	forgetful(l)
	for _, n := range l.nodes {
		n.crash()
	}
	l.isolate(l.node(2), false)
	l.node(2).boot()
	l.node(3).boot()
	l.until("a member that serves to lead", func() bool { return l.leader(testGroup) == l.node(2) })
}

func TestRecord(t *testing.T) {
	r := groupRecord{raftID: 7, data: true, members: []Member{{RaftID: 1, Node: 2}, {RaftID: 3, Node: 4, Arbiter: true, Copy: true, Addr: "host:1"}}, blob: []byte("blob")}
	got, err := decodeRecord(r.encode())
	if err != nil || got.raftID != 7 || !got.data || !slices.Equal(got.members, r.members) || string(got.blob) != "blob" {
		t.Errorf("%+v, %v", got, err)
	}
	// The format before had no members.
	got, err = decodeRecord([]byte("\x01\x07\x00\x00\x00\x00\x00\x00\x00\x01blob"))
	if err != nil || got.raftID != 7 || !got.data || got.members != nil || string(got.blob) != "blob" {
		t.Errorf("%+v, %v", got, err)
	}
	whole := groupRecord{raftID: 7, members: r.members}.encode()
	for n := range whole {
		if _, err := decodeRecord(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken for a record", n, len(whole))
		}
	}
}

// Once a change is settled, those who left it may be gone for good, and a power cut
// may take back what was not synced: who is left still knows that it is committed.
func TestSettledSurvivesAPowerCut(t *testing.T) {
	for seed := int64(1); seed <= 40; seed++ {
		l := newLab(t, 3, seed, nil)
		l.found(testGroup, false, 1, 2, 3)
		l.fate = func(packet) []time.Duration { return lossy(l, 20) }
		stay := labMembers(1, 2, 3)[:1+seed%2]
		l.wish(testGroup, Wish{Version: 2, Voters: stay, Others: labMembers(1, 2, 3)[len(stay):]})
		settled := func() *labNode {
			n := l.leader(testGroup)
			if n != nil {
				if st := n.replicas[testGroup].group.status(); st.Settled && st.WishVersion == 2 {
					return n
				}
			}
			return nil
		}
		for i := 0; settled() == nil; i++ {
			if i > 50000 {
				t.Fatalf("seed %d: never settled", seed)
			}
			l.jiggle(i)
		}
		l.fate = nil
		for _, n := range l.nodes {
			n.crash()
		}
		forgetful(l)
		for _, m := range stay {
			l.node(m.Node).boot()
		}
		l.until("those who stay to go on", func() bool { return l.leader(testGroup) != nil })
	}
}
