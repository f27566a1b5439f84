package multiraft

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// expect fails unless a call ended once and with err.
func expect(t *testing.T, what string, c *labCall, err error) {
	t.Helper()
	if c.ended != 1 || !errors.Is(c.Err, err) || (err == nil) != (c.Err == nil) {
		t.Errorf("%s: ended %d times with %v, want once with %v", what, c.ended, c.Err, err)
	}
}

func TestCallsEndOnSuccess(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	w, b := l.write(n, testGroup, 1), l.barrier(n, testGroup)
	l.finish(w, b)
	expect(t, "write", w, nil)
	expect(t, "barrier", b, nil)
}

func TestCallsOfFollowerEnd(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	for _, n := range l.followers(testGroup, l.leader(testGroup)) {
		expect(t, "write", l.write(n, testGroup, 1), ErrNotLeader)
		expect(t, "barrier", l.barrier(n, testGroup), ErrNotLeader)
	}
}

// A member that only votes cannot take writes, not even while it leads.
func TestCallsOfArbiterEnd(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.node(1).create(Spec{ID: testGroup, RaftID: 101, Bootstrap: true}, false)
	l.until("the arbiter to lead", func() bool { return l.leader(testGroup) != nil })
	expect(t, "write", l.write(l.node(1), testGroup, 1), ErrNotLeader)
	b := l.barrier(l.node(1), testGroup)
	l.finish(b)
	expect(t, "barrier", b, nil)
}

// Calls of every stage end when the process closes: appended ones are
// undecided, all others were certainly not appended.
func TestCallsEndOnClose(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.isolate(n, true)
	appended, asked := l.write(n, testGroup, 1), l.barrier(n, testGroup)
	l.drain()
	queued := l.write(n, testGroup, 2) // behind the one entry in flight
	waiting := l.barrier(n, testGroup)
	l.drain()
	inbox := l.write(n, testGroup, 3)
	group := n.replicas[testGroup].group
	n.close()
	expect(t, "appended write", appended, ErrUncertain)
	expect(t, "barrier under way", asked, ErrClosed)
	expect(t, "queued write", queued, ErrClosed)
	expect(t, "waiting barrier", waiting, ErrClosed)
	expect(t, "write in the inbox", inbox, ErrClosed)
	late := l.call(n, testGroup, 4)
	group.Submit(&late.Call)
	expect(t, "write afterwards", late, ErrNotLeader)
	late = l.call(n, testGroup, 0)
	group.Barrier(&late.Call)
	expect(t, "barrier afterwards", late, ErrNotLeader)
}

// The same for a group that is removed while the host goes on.
func TestCallsEndOnRemoval(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.isolate(n, true)
	appended := l.write(n, testGroup, 1)
	l.drain()
	queued, group := l.write(n, testGroup, 2), n.replicas[testGroup].group
	l.drain()
	inbox := l.write(n, testGroup, 3)
	n.destroy(testGroup)
	l.drain()
	expect(t, "appended write", appended, ErrUncertain)
	expect(t, "queued write", queued, ErrClosed)
	expect(t, "write in the inbox", inbox, ErrClosed)
	if n.log.Storage(uint64(testGroup)) != nil {
		t.Error("the log still holds the group")
	}
	if group.Leads() {
		t.Error("a removed replica leads")
	}
}

// quietLeader keeps a leader cut off from stepping down before its calls'
// deadlines: CheckQuorum needs longer than the requests have.
func quietLeader(o *Options) {
	o.ElectionTicks, o.RequestTimeout = 50, 20*o.Tick
}

func TestCallsEndAtTheirDeadline(t *testing.T) {
	l := newLab(t, 3, 1, quietLeader)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.write(n, testGroup, 100)
	l.drain()
	// Right after a check of the quorum, so that the next one is far.
	l.isolate(n, true)
	appended := l.write(n, testGroup, 1)
	l.drain()
	queued, read := l.write(n, testGroup, 2), l.barrier(n, testGroup)
	l.ticks(19)
	for _, c := range []*labCall{appended, queued, read} {
		if c.ended != 0 {
			t.Fatalf("ended before the deadline: %v", c.Err)
		}
	}
	l.ticks(3)
	expect(t, "appended write", appended, ErrUncertain)
	expect(t, "queued write", queued, ErrNoQuorum)
	expect(t, "barrier", read, ErrNoQuorum)
	l.isolate(n, false)
	l.until("the undecided entry to be applied", func() bool { return l.history(testGroup).place[1] != 0 })
	l.ticks(5)
	expect(t, "appended write, once decided", appended, ErrUncertain)
	if l.history(testGroup).place[2] != 0 {
		t.Error("a write that was certainly not appended was applied")
	}
}

// A confirmed barrier whose index never arrives ends at its deadline too.
func TestConfirmedBarrierEndsAtItsDeadline(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, true, 1, 2, 3)
	leader := l.leader(testGroup)
	f := l.followers(testGroup, leader)[0]
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		return to != f.id || m.GetType() != pb.MsgApp // f hears of rounds, not of entries
	}
	w := l.write(leader, testGroup, 1)
	l.finish(w)
	expect(t, "write", w, nil)
	b := l.barrier(f, testGroup)
	l.ticks(10)
	g := f.replicas[testGroup].group
	if len(g.reader.confirmed) != 1 || b.ended != 0 {
		t.Fatalf("%d confirmed barriers; ended %d times with %v", len(g.reader.confirmed), b.ended, b.Err)
	}
	l.finish(b)
	expect(t, "barrier", b, ErrNoQuorum)
	if len(g.reader.confirmed) != 0 {
		t.Error("the ended barrier is still kept")
	}
}

func TestCallsOfADeposedLeader(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	old := l.leader(testGroup)
	l.isolate(old, true)
	appended := l.write(old, testGroup, 1)
	l.drain()
	queued, read := l.write(old, testGroup, 2), l.barrier(old, testGroup)
	l.until("another leader", func() bool { n := l.leader(testGroup); return n != nil && n != old })
	l.until("the old leader to step down", func() bool { return !old.replicas[testGroup].group.leading() })
	expect(t, "queued write at step-down", queued, ErrNotLeader)
	expect(t, "barrier at step-down", read, ErrNotLeader)
	if appended.ended != 0 {
		t.Fatalf("the appended write ended with %v at step-down", appended.Err)
	}
	w := l.write(l.leader(testGroup), testGroup, 3)
	l.finish(w)
	l.isolate(old, false)
	l.finish(appended)
	expect(t, "replaced write", appended, ErrSuperseded)
	if l.history(testGroup).place[1] != 0 {
		t.Error("a superseded write was applied")
	}
}

// A write that reached a follower survives its leader's step-down and is
// acknowledged by the process that proposed it.
func TestAppendedWriteSurvivesStepDown(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	old := l.leader(testGroup)
	// Nobody's answer reaches the leader: it cannot commit.
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		return to != old.id || m.GetType() != pb.MsgAppResp
	}
	w := l.write(old, testGroup, 1)
	l.ticks(2)
	l.isolate(old, true)
	l.until("another leader", func() bool { n := l.leader(testGroup); return n != nil && n != old })
	l.pass = nil
	l.isolate(old, false)
	l.finish(w)
	expect(t, "write", w, nil)
}

// During a transfer writes are held: they go out if it fails and end as not
// appended if it succeeds.
func TestCallsDuringTransfer(t *testing.T) {
	for _, failed := range []bool{false, true} {
		l := newLab(t, 3, 1, nil)
		l.found(testGroup, false, 1, 2, 3)
		n := l.leader(testGroup)
		to := l.followers(testGroup, n)[0]
		l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool { return m.GetType() != pb.MsgTimeoutNow }
		g := n.replicas[testGroup].group
		g.transfer(labRaftID(to.id))
		n.stepLoop(false)
		held := l.write(n, testGroup, 1)
		l.ticks(3)
		if held.ended != 0 || l.history(testGroup).place[1] != 0 {
			t.Fatalf("the write was not held: ended %d times with %v", held.ended, held.Err)
		}
		l.pass = nil
		if failed {
			l.until("the transfer to fail", func() bool { return g.rn.BasicStatus().LeadTransferee == raft.None })
			l.finish(held)
			expect(t, "write after a failed transfer", held, nil)
			continue
		}
		m := &pb.Message{
			Type: pb.MsgTimeoutNow.Enum(), To: new(labRaftID(to.id)), From: new(labRaftID(n.id)), Term: new(g.lead.Load().term),
		}
		l.post(packet{from: n.id, to: to.id, frame: appendMessage(appendFrameHeader(nil, testCluster), testGroup, m)})
		l.finish(held)
		expect(t, "write after a transfer", held, ErrNotLeader)
		if l.history(testGroup).place[1] != 0 {
			t.Error("a refused write was applied")
		}
	}
}

// A call that fails in the state machine ends the host, and is not
// acknowledged.
func TestCallsEndWhenApplyFails(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	n.replicas[testGroup].machine.err = errors.New("no space")
	w := l.write(n, testGroup, 1)
	l.drain()
	if n.failure == nil || !errors.Is(n.failure, n.replicas[testGroup].machine.err) {
		t.Errorf("Fatal was told %v", n.failure)
	}
	expect(t, "write", w, ErrUncertain)
	after := l.write(n, testGroup, 2)
	n.stepLoop(true)
	n.host.stop()
	expect(t, "write afterwards", after, ErrClosed)
	expect(t, "first write, once closed", w, ErrUncertain)
}

// What a caller gave up never runs later: it would act on what the caller has
// dropped.
func TestGivenUpControlNeverRuns(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	if err := l.node(1).host.control(ctx, func() { ran = true }); !errors.Is(err, context.Canceled) {
		t.Errorf("control: %v", err)
	}
	l.node(1).stepLoop(false)
	if ran {
		t.Error("it ran after its caller had been told that it did not")
	}
}

// Close waits for the appliers: the caller closes the state machines next.
func TestCloseWaitsForAppliers(t *testing.T) {
	nodes := newCluster(t, 1)
	n := nodes[0]
	entered, leave, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	n.machine.mu.Lock()
	n.machine.gate = func() { entered <- struct{}{}; <-leave }
	n.machine.mu.Unlock()
	outcome := make(chan error, 1)
	go func() { outcome <- write(n, 1) }()
	<-entered
	go func() { n.host.Close(); close(closed) }()
	<-n.host.done
	select {
	case <-closed:
		t.Error("Close returned while an entry was being applied")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	<-closed
	if err := <-outcome; err != nil {
		t.Errorf("the write that was being applied ended with %v", err)
	}
}
