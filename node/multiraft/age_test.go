package multiraft

import (
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A follower that hears its leader is young; one that is cut off ages, and so
// does one that hears it and does not get what is committed.
func TestAge(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	behind := l.followers(testGroup, leader)[0]
	g := behind.replicas[testGroup].group
	old := 4 * time.Duration(g.host.opts.HeartbeatTicks) * g.host.opts.Tick
	young := func() bool { age, ok := g.Age(); return ok && age < old }
	l.fill(testGroup, 10)
	l.until("a young follower", young)
	if age, ok := leader.replicas[testGroup].group.Age(); !ok || age != 0 {
		t.Errorf("the leader's age is %v, %v", age, ok)
	}

	// Heartbeats arrive, entries do not.
	heard := 0
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		if to != behind.id {
			return true
		}
		if m.GetType() == pb.MsgHeartbeat {
			heard++
		}
		return m.GetType() != pb.MsgApp && m.GetType() != pb.MsgSnap
	}
	l.fill(testGroup, 10)
	heard = 0
	l.until("many heartbeats", func() bool { return heard > 20 })
	if young() {
		t.Errorf("a follower that lacks entries is young; it hears of them in %d heartbeats", heard)
	}
	l.pass = nil
	l.until("a follower that has caught up", young)

	l.isolate(behind, true)
	for range 20 {
		l.ticks(1)
	}
	if young() {
		t.Error("a follower that is cut off is young")
	}
	l.isolate(behind, false)
	l.until("a follower that is back", young)
}

// A member that has yet to get its data has no age, however well it hears the
// leader.
func TestAgeOfNewMember(t *testing.T) {
	l := limited(t, 4, 20, 1<<30)
	l.found(testGroup, false, 1, 2, 3)
	l.fill(testGroup, 100)
	n := l.node(4)
	n.create(Spec{ID: testGroup, RaftID: labRaftID(4), Members: labMembers(1, 2, 3, 4)}, true)
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3, 4)})
	l.ticks(50)
	g := n.replicas[testGroup].group
	if _, known := g.Leader(); known == 0 {
		t.Fatal("the new member has heard nothing; the test proves nothing")
	}
	if age, ok := g.Age(); ok {
		t.Errorf("a member without data is %v old", age)
	}
	l.until("its data", func() bool {
		l.serveOffers()
		_, ok := n.replicas[testGroup].group.Age()
		return ok
	})
	if got, want := n.replicas[testGroup].group.Applied(), l.leader(testGroup).replicas[testGroup].group.Applied(); got+5 < want {
		t.Errorf("it has applied %d of %d", got, want)
	}
}

// A state that is built up from the log is not complete before it has what was
// committed, and the leader does not count it before. One that was there when the
// process started is, as soon as it has again what it had.
func TestComplete(t *testing.T) {
	l := limited(t, 3, 1000, 1<<30)
	members := dataAndArbiter(l)
	l.fill(testGroup, 30)
	arbiter, leader := l.node(3), l.node(1)
	// Its applier does not get anywhere, heartbeats come and go.
	arbiter.holdApply = true
	if err := arbiter.reopen(testGroup, &labMachine{chain: l.history(testGroup)}, nil); err != nil {
		t.Fatal(err)
	}
	members[2].Copy = true
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.ticks(30)
	counted := func() bool {
		r := leader.replicas[testGroup].group.Report()
		return r != nil && slices.Contains(r.Synced, members[2].RaftID)
	}
	if g := arbiter.replicas[testGroup].group; g.Applied() > 0 || g.Complete() || counted() {
		t.Errorf("applied %d, complete %v, counted %v", g.Applied(), g.Complete(), counted())
	}
	arbiter.holdApply = false
	l.until("the state", func() bool { return arbiter.replicas[testGroup].group.Complete() && counted() })

	data := l.node(2)
	data.close()
	l.isolate(data, true)
	data.boot()
	l.until("what it had before", func() bool { return data.replicas[testGroup].group.Complete() })
	if _, ok := data.replicas[testGroup].group.Age(); ok {
		t.Error("it has caught up with nobody")
	}
}
