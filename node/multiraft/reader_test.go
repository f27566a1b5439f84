package multiraft

import (
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A leader that is cut off may still believe in itself; it confirms no read.
func TestNoBarrierOnCutOffLeader(t *testing.T) {
	for _, oneWay := range []bool{false, true} {
		l := newLab(t, 3, 1, nil)
		l.found(testGroup, false, 1, 2, 3)
		old := l.leader(testGroup)
		for _, f := range l.followers(testGroup, old) {
			l.cut[[2]uint64{f.id, old.id}] = true
			l.cut[[2]uint64{old.id, f.id}] = !oneWay
		}
		b := l.barrier(old, testGroup)
		l.ticks(2)
		if !old.replicas[testGroup].group.Leads() {
			t.Fatal("the leader has stepped down already; the test proves nothing")
		}
		l.finish(b)
		if b.Err == nil {
			t.Error("a cut-off leader confirmed a read")
		}
	}
}

// The first barrier of a restarted one-voter group sees everything that was
// acknowledged before, though raft itself would answer with what it knows to be
// committed.
func TestOneVoterBarrierAfterRestart(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	for v := uint64(1); v <= 5; v++ {
		l.write(n, testGroup, v)
		l.drain() // without a tick, which would store the commit index
	}
	place := l.history(testGroup).place[5]
	n.crash()
	// State and commit index are those of long ago; the log has the rest.
	n.replicas[testGroup].machine.applied = 1
	n.boot()
	g := n.replicas[testGroup].group
	if g.log.hard.GetCommit() >= place {
		t.Fatal("the commit index was stored; the test proves nothing")
	}
	for i := 0; !g.leading(); i++ {
		n.stepLoop(i%20 == 19)
		if !g.leading() {
			n.stepDisk()
		}
	}
	b := l.barrier(n, testGroup) // its first entry is not committed yet
	n.stepLoop(false)
	if b.ended != 0 || g.Leads() {
		t.Fatalf("a barrier ended with %v and saw %d of %d; Leads says %v", b.Err, b.seen, place, g.Leads())
	}
	l.finish(b)
	expect(t, "barrier", b, nil)
	if b.seen < place {
		t.Errorf("the read saw %d, acknowledged was %d", b.seen, place)
	}
}

// The same for a member that asks the restarted voter.
func TestOneVoterAnswersOthersAfterRestart(t *testing.T) {
	l := newLab(t, 2, 1, nil)
	l.found(testGroup, true, 1)
	l.node(2).create(Spec{ID: testGroup, RaftID: labRaftID(2), Prompt: true, Members: labMembers(1)}, true)
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1), Learners: labMembers(2)})
	n, learner := l.node(1), l.node(2)
	l.until("the learner to settle", func() bool { return n.replicas[testGroup].group.status().Settled })
	l.isolate(learner, true)
	l.write(n, testGroup, 1)
	l.drain()
	place := l.history(testGroup).place[1]
	n.crash()
	m := n.replicas[testGroup].machine
	m.applied = place - 1
	n.boot()
	g := n.replicas[testGroup].group
	g.setMembers(labMembers(2))
	for i := 0; !g.leading(); i++ {
		n.stepLoop(i%20 == 19)
		if !g.leading() {
			n.stepDisk()
		}
	}
	if n.holdDisk = true; g.Leads() || g.rn.BasicStatus().GetCommit() >= place {
		t.Fatal("the replica has committed too much; the test proves nothing")
	}
	l.isolate(learner, false)
	l.ticks(3) // heartbeats tell the learner who leads
	b := l.barrier(learner, testGroup)
	l.ticks(10)
	if b.ended != 0 {
		t.Fatalf("a barrier ended with %v and saw %d of %d", b.Err, b.seen, place)
	}
	n.holdDisk = false
	l.finish(b)
	expect(t, "barrier", b, nil)
	if b.seen < place {
		t.Errorf("the read saw %d, acknowledged was %d", b.seen, place)
	}
}

// An answer to an earlier attempt or to a round of the process before confirms
// nothing.
func TestLateAnswersConfirmNothing(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l := newLab(t, 3, 1, nil)
		l.found(testGroup, true, 1, 2, 3)
		leader := l.leader(testGroup)
		f := l.followers(testGroup, leader)[0]
		var kept []*pb.Message
		l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
			if to != f.id || m.GetType() != pb.MsgReadIndexResp {
				return true
			}
			kept = append(kept, m)
			return false
		}
		late := l.barrier(f, testGroup)
		l.until("an answer", func() bool { return len(kept) == 1 })
		late.lab.isolate(f, true) // it misses the write
		w := l.write(leader, testGroup, 1)
		l.finish(w)
		expect(t, "write", w, nil)
		if restart {
			f.kill()
			f.boot()
		} else {
			l.finish(late)
		}
		l.isolate(f, false)
		l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
			return to != f.id || m.GetType() != pb.MsgReadIndexResp && m.GetType() != pb.MsgApp
		}
		g := f.replicas[testGroup].group
		l.until("the follower to follow", func() bool { id, _ := g.Leader(); return id == labRaftID(leader.id) })
		b := l.barrier(f, testGroup)
		b.floor = l.history(testGroup).place[1]
		l.ticks(2)
		if g.reader.round == nil || b.ended != 0 {
			t.Fatalf("no round is under way: %v", b.Err)
		}
		late2 := appendMessage(appendFrameHeader(nil, testCluster), testGroup, kept[0])
		l.post(packet{from: leader.id, to: f.id, frame: late2})
		l.ticks(1)
		if b.ended != 0 || len(g.reader.confirmed) != 0 {
			t.Fatalf("restart %v: a late answer confirmed a barrier that saw %d, acknowledged was %d", restart, b.seen, b.floor)
		}
		l.pass = nil
		l.finish(b)
		if b.Err == nil && b.seen < b.floor {
			t.Errorf("the read saw %d, acknowledged was %d", b.seen, b.floor)
		}
	}
}

// Barriers of a prompt group work on followers, and wait for what was
// acknowledged elsewhere before they were asked.
func TestPromptBarrierOnFollower(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, true, 1, 2, 3)
	leader := l.leader(testGroup)
	for v := uint64(1); v <= 20; v++ {
		f := l.followers(testGroup, leader)[v%2]
		f.holdApply = v%3 == 0 // it lags
		w := l.write(leader, testGroup, v)
		for w.ended == 0 {
			l.tick()
		}
		b := l.barrier(f, testGroup)
		b.floor = l.history(testGroup).place[v]
		l.ticks(3)
		if f.holdApply && b.ended != 0 {
			t.Fatal("a barrier ended on a replica that lacks an acknowledged write")
		}
		f.holdApply = false
		l.finish(b)
		expect(t, "barrier", b, nil)
		if b.seen < b.floor {
			t.Fatalf("the read saw %d, acknowledged was %d", b.seen, b.floor)
		}
	}
}

// They survive the end of the leader that was asked.
func TestPromptBarrierSurvivesChangeOfLeader(t *testing.T) {
	l := newLab(t, 3, 1, func(o *Options) { o.RequestTimeout = 5 * time.Second })
	l.found(testGroup, true, 1, 2, 3)
	leader := l.leader(testGroup)
	w := l.write(leader, testGroup, 1)
	l.finish(w)
	f := l.followers(testGroup, leader)[0]
	l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool { return m.GetType() != pb.MsgReadIndex }
	b := l.barrier(f, testGroup)
	l.ticks(3)
	if b.ended != 0 {
		t.Fatalf("the barrier ended with %v though nobody was asked", b.Err)
	}
	leader.crash()
	l.pass = nil
	l.finish(b)
	expect(t, "barrier", b, nil)
	if b.seen < l.history(testGroup).place[1] {
		t.Error("the barrier missed an acknowledged write")
	}

	// And that of the one who asked as a leader itself.
	leader.boot()
	l.until("three to be one group again", func() bool { n := l.leader(testGroup); return n != nil && n != leader })
	old := l.leader(testGroup)
	l.isolate(old, true)
	b = l.barrier(old, testGroup)
	l.until("another leader", func() bool { n := l.leader(testGroup); return n != nil && n != old })
	w = l.write(l.leader(testGroup), testGroup, 2)
	l.finish(w)
	expect(t, "write", w, nil)
	if b.ended != 0 {
		t.Fatalf("the barrier ended with %v before the old leader was back", b.Err)
	}
	l.isolate(old, false)
	l.finish(b)
	expect(t, "barrier", b, nil)
	if b.seen < l.history(testGroup).place[2] {
		t.Error("the barrier missed a write that was acknowledged before it could be confirmed")
	}
}

// Reads asked while a round is under way do not share it: it began before them.
func TestBarrierNeverJoinsARound(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		return to != n.id || m.GetType() != pb.MsgHeartbeatResp
	}
	first := l.barrier(n, testGroup)
	l.drain()
	g := n.replicas[testGroup].group
	second := l.barrier(n, testGroup)
	n.stepLoop(false) // it may be woken for anything
	if g.reader.round == nil || len(g.reader.round.calls) != 1 || len(g.reader.gather.calls) != 1 {
		t.Fatalf("round %v, waiting %d", g.reader.round, len(g.reader.gather.calls))
	}
	l.pass = nil
	l.finish(first, second)
	expect(t, "first", first, nil)
	expect(t, "second", second, nil)
}

// A member without a state machine that leads a busy group gets its own
// barriers answered, on which Settled depends.
func TestArbiterBarriers(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	for i, id := range []uint64{1, 2, 3} {
		l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Bootstrap: i == 0, Members: labMembers(1, 2, 3)}, i != 0)
	}
	voters := labMembers(1, 2, 3)
	for i := range voters {
		voters[i].Arbiter = true // nobody whom it could hand over to
	}
	l.wish(testGroup, Wish{Version: 1, Voters: voters})
	l.until("the group to settle under an arbiter", func() bool {
		return l.leader(testGroup) == l.node(1) && l.node(1).replicas[testGroup].group.status().Settled
	})
	n, g := l.node(1), l.node(1).replicas[testGroup].group
	for v := uint64(1); v <= 20; v++ {
		n.holdDisk = true // what the others' acknowledgements commit is not applied yet
		if err := g.rn.Propose(appendEntry(nil, entryHead{time: 1}, []*Call{{Payload: payload(v)}})); err != nil {
			t.Fatal(err)
		}
		n.stepLoop(false)
		l.ticks(1)
		b := l.barrier(n, testGroup)
		l.ticks(2)
		if b.ended != 0 {
			t.Fatalf("barrier %d ended with %v; the test proves nothing", v, b.Err)
		}
		n.holdDisk = false
		l.ticks(3)
		expect(t, "barrier", b, nil)
	}
}

// Whoever has to know is told whenever a member begins to serve, also one that
// served before and has applied nothing since.
func TestServingIsMadeKnown(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	again := 0
	for round := 0; again < 3 && round < 100; round++ { // chance decides who leads
		n := l.leader(testGroup)
		told := false // that n serves, since it stopped
		n.host.opts.Notify = func(GroupID) { told = n.replicas[testGroup].group.Leads() }
		for _, o := range l.followers(testGroup, n) {
			o.kill()
		}
		l.until("the leader to step down", func() bool { return !n.replicas[testGroup].group.leading() })
		told = false
		for _, o := range l.followers(testGroup, n) {
			o.boot()
			o.replicas[testGroup].group.setMembers(labMembers(1, 2, 3))
		}
		l.until("a leader", func() bool { return l.leader(testGroup) != nil })
		if l.leader(testGroup) != n {
			continue
		}
		again++
		if !told {
			t.Fatal("the replica serves again, and nobody was told")
		}
	}
	if again == 0 {
		t.Error("no leader was elected again")
	}
}
