package multiraft

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// recorder collects the configurations that any member of a group goes through.
type recorder struct {
	l    *lab
	id   GroupID
	last map[uint64]string
	seen []*pb.ConfState
}

func record(l *lab, id GroupID) *recorder {
	return &recorder{l: l, id: id, last: make(map[uint64]string)}
}

// until is lab.until, with a look at the configurations after every step.
func (r *recorder) until(what string, cond func() bool) {
	r.l.t.Helper()
	r.l.until(what, func() bool { r.look(); return cond() })
	r.look()
}

// look reads the configurations out of the logs: there, none is missed.
func (r *recorder) look() {
	for _, n := range r.l.nodes {
		p := n.replicas[r.id]
		if p == nil || !n.up {
			continue
		}
		store := n.log.Storage(uint64(r.id))
		entries, err := store.ConfEntries(1, p.group.Applied()+1)
		if err != nil {
			r.l.t.Fatal(err)
		}
		for i := range entries {
			conf, err := foldChanges(&pb.ConfState{}, 0, entries[:i+1])
			if err != nil {
				r.l.t.Fatal(err)
			}
			r.add(conf)
		}
		r.add(p.group.members.conf)
	}
}

func (r *recorder) add(conf *pb.ConfState) {
	if !slices.ContainsFunc(r.seen, func(o *pb.ConfState) bool { return o.Equivalent(conf) == nil }) {
		r.seen = append(r.seen, conf)
	}
}

func sorted(ids []uint64) string { return fmt.Sprint(slices.Sorted(slices.Values(ids))) }

// {A} becomes {A,B,C} as one joint change, after B and C were learners.
func TestOneToThreeNeverPassesTwo(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		l := newLab(t, 3, seed, nil)
		l.found(testGroup, false, 1)
		for id := uint64(2); id <= 3; id++ {
			l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id)}, true)
		}
		r := record(l, testGroup)
		r.look()
		for v := range uint64(5) {
			l.write(l.node(1), testGroup, v+1)
		}
		l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3)})
		r.until("three voters", func() bool {
			st := l.node(1).replicas[testGroup].group.status()
			return st.Settled && st.WishVersion == 2
		})
		learners, joint := false, false
		for _, c := range r.seen {
			switch voters := sorted(c.GetVoters()); {
			case len(c.GetVoters()) == 0: // a member that has heard nothing yet
			case voters == "[101]":
				learners = learners || sorted(c.GetLearners()) == "[102 103]"
			case voters == "[101 102 103]":
				joint = joint || sorted(c.GetVotersOutgoing()) == "[101]"
			default:
				t.Fatalf("passed through %v", c)
			}
		}
		if !learners || !joint {
			t.Fatalf("learners first: %v, one joint change: %v; seen: %v", learners, joint, r.seen)
		}
	}
}

// Raft's own proposal to leave a joint configuration is lost if leadership is
// being transferred when it makes it.
func TestJointConfigurationIsLeft(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2)
	l.node(3).create(Spec{ID: testGroup, RaftID: labRaftID(3)}, true)
	n := l.leader(testGroup)
	g := n.replicas[testGroup].group
	l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool { return m.GetType() != pb.MsgTimeoutNow }
	g.setMembers(labMembers(3))
	n.holdApply = true
	err := g.rn.ProposeConfChange(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{
		single(pb.ConfChangeAddNode, labRaftID(3)), single(pb.ConfChangeAddLearnerNode, labRaftID(3-n.id)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	n.stepLoop(false)
	l.ticks(1)
	g.transfer(labRaftID(3 - n.id))
	n.holdApply = false
	l.ticks(2)
	if len(g.members.conf.GetVotersOutgoing()) == 0 {
		t.Fatal("the group left at once; the test proves nothing")
	}
	l.until("the group to leave the joint configuration", func() bool {
		return l.leader(testGroup) != nil && len(l.leader(testGroup).replicas[testGroup].group.members.conf.GetVotersOutgoing()) == 0
	})
}

// A learner that cannot be reached holds up the change, and only that.
func TestUnreachableLearnerHoldsUpTheChange(t *testing.T) {
	l := newLab(t, 4, 1, nil)
	l.found(testGroup, false, 1, 2)
	for id := uint64(3); id <= 4; id++ {
		l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id)}, true)
	}
	l.isolate(l.node(4), true)
	r := record(l, testGroup)
	r.look()
	founding := len(r.seen)
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3, 4)})
	for v := range uint64(30) {
		w := l.write(l.leader(testGroup), testGroup, v+1)
		l.finish(w)
		expect(t, "write", w, nil)
		r.look()
	}
	l.ticks(100)
	r.look()
	for _, c := range r.seen[founding:] {
		if len(c.GetVoters()) > 2 {
			t.Fatalf("went on to %v without node 4", c)
		}
	}
	st := l.leader(testGroup).replicas[testGroup].group.status()
	if sorted(st.Learners) != "[103 104]" || st.Settled {
		t.Fatalf("learners %v, settled %v", st.Learners, st.Settled)
	}
	l.isolate(l.node(4), false)
	r.until("four voters", func() bool {
		n := l.leader(testGroup)
		return n != nil && len(n.replicas[testGroup].group.status().Voters) == 4
	})
}

// A learner that is far behind is not promoted, although it can be reached.
func TestLaggingLearnerIsNotPromoted(t *testing.T) {
	l := newLab(t, 2, 1, nil)
	l.found(testGroup, false, 1)
	l.node(2).create(Spec{ID: testGroup, RaftID: labRaftID(2)}, true)
	l.node(2).holdDisk = true // it answers, and stores nothing
	for v := range uint64(40) {
		l.finish(l.write(l.node(1), testGroup, v+1))
	}
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2)})
	l.ticks(100)
	if st := l.node(1).replicas[testGroup].group.status(); len(st.Voters) != 1 || len(st.Learners) != 1 {
		t.Fatalf("voters %v, learners %v", st.Voters, st.Learners)
	}
	l.node(2).holdDisk = false
	l.until("promotion", func() bool { return len(l.node(1).replicas[testGroup].group.status().Voters) == 2 })
}

// A leader that is not wished for hands over first; a voter that stays makes the
// change.
func TestLeaderLeaves(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	old := l.leader(testGroup)
	var rest []uint64
	for _, n := range l.followers(testGroup, old) {
		rest = append(rest, n.id)
	}
	_, term := old.replicas[testGroup].group.Leader()
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(rest...), Others: labMembers(old.id)})
	l.until("the rest to settle", func() bool {
		n := l.leader(testGroup)
		return n != nil && n != old && n.replicas[testGroup].group.status().Settled
	})
	st := l.leader(testGroup).replicas[testGroup].group.status()
	if len(st.Voters) != 2 || slices.Contains(st.Voters, labRaftID(old.id)) {
		t.Fatalf("voters %v", st.Voters)
	}
	if st.Term != term+1 {
		t.Errorf("it took the terms %d to %d: that was an election, no transfer", term, st.Term)
	}
}

// A leader that is its group's only voter leaves only after others have joined
// it: a leader that removed itself would take the knowledge of the change, and
// perhaps the longest log, with it.
func TestOnlyVoterLeaves(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		l := newLab(t, 2, seed, nil)
		l.found(testGroup, false, 1)
		l.node(2).create(Spec{ID: testGroup, RaftID: labRaftID(2)}, true)
		l.wish(testGroup, Wish{Version: 2, Voters: labMembers(2), Others: labMembers(1)})
		r := record(l, testGroup)
		value := uint64(0)
		r.until("node 2 to be the group", func() bool {
			if n := l.leader(testGroup); n != nil { // writes all the while
				value++
				l.write(n, testGroup, value)
			}
			st := l.node(2).replicas[testGroup].group.status()
			return st.Settled && sorted(st.Voters) == "[102]"
		})
		for _, c := range r.seen {
			if sorted(c.GetVoters()) == "[102]" && sorted(c.GetVotersOutgoing()) == "[101]" {
				t.Fatalf("the leader removed itself: %v", c)
			}
		}
		l.ticks(5) // the last member's calls end
		l.node(1).crash()
		w := l.write(l.node(2), testGroup, value+1)
		l.finish(w)
		expect(t, "write", w, nil)
	}
}

// A member that does not serve hands leadership to one that does, to the one
// with the longest log; without such a member it leads on.
func TestArbiterHandsOverToLongestLog(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	arbiter := l.leader(testGroup)
	f := l.followers(testGroup, arbiter)
	members := labMembers(1, 2, 3)
	members[arbiter.id-1].Arbiter = true
	f[0].holdDisk = true // it lags behind the other
	for v := range uint64(5) {
		l.finish(l.write(arbiter, testGroup, v+1))
	}
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.until("a leader that serves", func() bool { n := l.leader(testGroup); return n != nil && n != arbiter })
	if got := l.leader(testGroup); got != f[1] {
		t.Errorf("node %d leads, node %d has the longest log", got.id, f[1].id)
	}
	f[0].holdDisk = false

	f[0].kill()
	f[1].kill()
	l.ticks(30)
	f[0].boot()
	f[0].replicas[testGroup].group.SetWish(Wish{Version: 2, Voters: members})
	l.until("node to lead that serves", func() bool { return l.leader(testGroup) == f[0] })
}

// Settled is true only once a quorum has learned that the change is committed:
// from then on the leader may die for good.
func TestSettledSurvivesTheLeader(t *testing.T) {
	for seed := int64(1); seed <= 40; seed++ {
		l := newLab(t, 3, seed, nil)
		l.found(testGroup, false, 1)
		for id := uint64(2); id <= 3; id++ {
			l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Members: labMembers(1, 2, 3)}, true)
		}
		l.fate = func(packet) []time.Duration { return lossy(l, 30) }
		l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3)})
		// Look after every step, not only after every tick. Another node may lead by then.
		var leader *labNode
		settled := func() bool {
			leader = l.leader(testGroup)
			if leader == nil {
				return false
			}
			st := leader.replicas[testGroup].group.status()
			return st.Settled && st.WishVersion == 2
		}
		for i := 0; !settled(); i++ {
			if i > 20000 {
				t.Fatalf("seed %d: never settled", seed)
			}
			l.jiggle(i)
		}
		index := leader.replicas[testGroup].group.members.confIndex
		know := 0
		for _, n := range l.nodes {
			if n.replicas[testGroup].group.rn.BasicStatus().GetCommit() >= index {
				know++
			}
		}
		if know < 2 {
			t.Fatalf("seed %d: settled, but only %d of 3 know that entry %d is committed", seed, know, index)
		}
		l.fate = nil
		leader.crash()
		l.until("the others to go on", func() bool { return l.leader(testGroup) != nil })
	}
}

// A voter that lags behind is no proof: its heartbeats cannot carry the commit.
func TestLaggingVoterIsNoProof(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1)
	for id := uint64(2); id <= 3; id++ {
		l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Members: labMembers(1, 2, 3)}, true)
	}
	g := l.node(1).replicas[testGroup].group
	// Node 3 stores nothing from the joint change on, and node 2 never hears of a
	// commit beyond it.
	var joint uint64
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		if c := g.members.conf; joint == 0 && len(c.GetVoters()) == 3 && len(c.GetVotersOutgoing()) > 0 {
			joint = g.members.confIndex
		}
		if joint == 0 {
			return true
		}
		switch m.GetType() {
		case pb.MsgApp:
			if to == 2 {
				m.Commit = new(min(m.GetCommit(), joint))
			}
			return to != 3
		case pb.MsgHeartbeat:
			return to != 2
		}
		return true
	}
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3)})
	l.ticks(60)
	if joint == 0 || len(g.members.conf.GetVotersOutgoing()) > 0 || len(g.members.conf.GetVoters()) != 3 {
		t.Fatalf("the change did not happen: %v", g.members.conf)
	}
	if g.status().Settled {
		t.Error("settled, though only the leader knows that the change is committed")
	}
	l.pass = nil
	l.until("the group to settle", func() bool { return g.status().Settled })
}

// The frames of a replaced member, and to it, are dropped: the node has another
// Raft id now.
func TestReplacedReplicaIsNotHeard(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	if n := l.leader(testGroup); n == l.node(3) {
		n.replicas[testGroup].group.transfer(labRaftID(1))
		n.wake = l.now
		l.until("another leader", func() bool { n := l.leader(testGroup); return n != nil && n.id != 3 })
	}
	var toOld [][]byte
	l.pass = func(from, to uint64, id GroupID, m *pb.Message) bool {
		if to == 3 && m.GetType() == pb.MsgApp && len(m.GetEntries()) > 0 {
			toOld = append(toOld, frameOf(testCluster, id, m))
		}
		return true
	}
	l.finish(l.write(l.leader(testGroup), testGroup, 1))
	l.pass = nil
	if len(toOld) == 0 {
		t.Fatal("nothing was sent to the replica")
	}
	l.node(3).destroy(testGroup)
	fresh := l.node(3).create(Spec{ID: testGroup, RaftID: 203, Members: labMembers(1, 2)}, true)
	members := append(labMembers(1, 2), Member{RaftID: 203, Node: 3})
	for _, frame := range toOld {
		l.node(3).host.Receive(1, frame)
	}
	l.ticks(2)
	if st := fresh.group.rn.BasicStatus(); st.GetTerm() != 0 || st.RaftState != raft.StateFollower {
		t.Fatalf("the new replica took what was meant for the old one: %+v", st)
	}
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.until("the new replica to be a voter", func() bool {
		n := l.leader(testGroup)
		return n != nil && n.replicas[testGroup].group.status().Settled
	})
	if st := l.leader(testGroup).replicas[testGroup].group.status(); sorted(st.Voters) != "[101 102 203]" {
		t.Errorf("voters %v", st.Voters)
	}
	l.until("the new replica to catch up", func() bool {
		return fresh.machine.applied >= l.history(testGroup).place[1]
	})
}

// MsgReadIndex is passed on by followers under the name of the one who asked:
// it says nothing of where that one lives.
func TestForwardedMessagesTeachNoRoutes(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, true, 1, 2, 3)
	g := l.node(1).replicas[testGroup].group
	l.node(1).host.Receive(2, frameOf(testCluster, testGroup, &pb.Message{
		Type: pb.MsgReadIndex.Enum(), To: new(labRaftID(1)), From: new(labRaftID(3)),
		Entries: []*pb.Entry{{Data: []byte("12345678")}},
	}))
	l.node(1).stepLoop(false)
	if node := (*g.routes.Load())[labRaftID(3)]; node != 3 {
		t.Errorf("Raft id %d is on node %d now", labRaftID(3), node)
	}
}

// A learner that missed its own removal does not name the leader of before for ever:
// its owner would never ask around.
func TestRemovedLearnerLosesItsLeader(t *testing.T) {
	l := newLab(t, 4, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	members := labMembers(1, 2, 3, 4)
	l.node(4).create(Spec{ID: testGroup, RaftID: members[3].RaftID, Members: members}, true)
	l.wish(testGroup, Wish{Version: 2, Voters: members[:3], Learners: members[3:]})
	learner := l.node(4).replicas[testGroup].group
	l.until("the learner to know the leader", func() bool { return learner.LeaderNode() != 0 })
	l.isolate(l.node(4), true)
	l.wish(testGroup, Wish{Version: 3, Voters: members[:3]})
	l.until("the learner to be removed", func() bool {
		n := l.leader(testGroup)
		return n != nil && len(n.replicas[testGroup].group.members.conf.GetLearners()) == 0
	})
	l.isolate(l.node(4), false)
	l.until("the learner to give up its leader", func() bool { return learner.LeaderNode() == 0 })
}
