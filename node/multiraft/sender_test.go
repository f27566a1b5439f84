package multiraft

import (
	"context"
	"errors"
	"math/rand"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal/crashfs"
)

// fetched returns a copy of a member's state for another member.
func (l *lab) fetched(from *labNode, to uint64) (*labMachine, Point, *Sending) {
	l.t.Helper()
	r := from.replicas[testGroup]
	s, err := r.group.sender.start(to)
	if err != nil {
		l.t.Fatal(err)
	}
	p, err := s.Point(r.machine.applied)
	if err != nil {
		l.t.Fatal(err)
	}
	return &labMachine{chain: l.history(testGroup), applied: p.Index, durable: p.Index}, p, s
}

// serveOffers does at once what the owners of members do about offers.
func (l *lab) serveOffers() {
	l.t.Helper()
	for _, n := range l.nodes {
		r := n.replicas[testGroup]
		if !n.up || r == nil {
			continue
		}
		o := r.group.Offer()
		if o == nil {
			continue
		}
		if r.machine == nil {
			if err := n.reopen(testGroup, nil, &o.Point); err != nil {
				l.t.Fatal(err)
			}
		} else {
			m, p, s := l.fetched(l.node(o.Node), r.spec.RaftID)
			err := n.reopen(testGroup, m, &p)
			s.End(err == nil)
			if err != nil {
				l.t.Fatal(err)
			}
		}
		r.group.SetWish(l.wished)
	}
	l.drain()
}

// behind makes a group of three whose node 3 is behind everybody's log, up and
// cut off, with its cluster's last values written.
func behind(t *testing.T, arbiter bool) *lab {
	l := limited(t, 3, 20, 1<<30)
	if arbiter {
		dataAndArbiter(l)
	} else {
		l.found(testGroup, false, 1, 2, 3)
	}
	l.isolate(l.node(3), true)
	l.fill(testGroup, 100)
	if last, _ := l.node(3).replicas[testGroup].group.store.LastIndex(); l.leader(testGroup).logStart() <= last {
		t.Fatalf("the log begins at %d and node 3 ends at %d: the test proves nothing", l.leader(testGroup).logStart(), last)
	}
	return l
}

// caughtUpWith waits until node 3 has applied what the leader has.
func (l *lab) caughtUpWith(n *labNode) {
	l.t.Helper()
	l.until("node 3 to catch up", func() bool {
		leader := l.leader(testGroup)
		return leader != nil && n.replicas[testGroup].group.Applied() == leader.replicas[testGroup].group.Applied()
	})
}

func TestMemberBehindTheLogGetsASnapshot(t *testing.T) {
	for name, arbiter := range map[string]bool{"data": false, "arbiter": true} {
		t.Run(name, func(t *testing.T) {
			l := behind(t, arbiter)
			n := l.node(3)
			l.isolate(n, false)
			l.until("an offer", func() bool { return n.replicas[testGroup].group.Offer() != nil })
			l.serveOffers()
			l.caughtUpWith(n)
			if n.replicas[testGroup].group.Offer() != nil {
				t.Error("there is still an offer")
			}
			leader := l.leader(testGroup)
			l.until("the leader to forget the snapshot", func() bool { return len(leader.replicas[testGroup].group.sender.snapshots) == 0 })
			// It counts as a voter like before, and survives a crash.
			l.isolate(l.followers(testGroup, leader)[0], true)
			l.fill(testGroup, 5)
			n.crash()
			n.boot()
			l.caughtUpWith(n)
		})
	}
}

// An offer that is lost, or that nothing comes of, is made again.
func TestOffersAreRepeated(t *testing.T) {
	l := behind(t, false)
	n, lost := l.node(3), 0
	l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool {
		if m.GetType() == pb.MsgSnap && lost < 3 {
			lost++
			return false
		}
		return true
	}
	l.isolate(n, false)
	l.until("an offer", func() bool { return n.replicas[testGroup].group.Offer() != nil })
	n.replicas[testGroup].group.Decline(n.replicas[testGroup].group.Offer())
	l.until("another offer", func() bool { return n.replicas[testGroup].group.Offer() != nil })

	// A stream that broke: the next offer comes at once, not after the wait.
	_, _, s := l.fetched(l.leader(testGroup), n.replicas[testGroup].spec.RaftID)
	n.replicas[testGroup].group.Decline(n.replicas[testGroup].group.Offer())
	l.ticks(3 * int(n.host.patience()))
	if n.replicas[testGroup].group.Offer() != nil {
		t.Error("an offer during the stream")
	}
	s.End(false)
	l.leader(testGroup).wake = l.now
	l.ticks(5)
	if n.replicas[testGroup].group.Offer() == nil {
		t.Error("no offer after the stream broke")
	}
	l.serveOffers()
	l.caughtUpWith(n)
}

// While the state is sent, and until the member has caught up, the leader's log
// keeps what comes behind it; it does not wait for ever.
func TestStreamPinsTheLog(t *testing.T) {
	l := behind(t, false)
	n := l.node(3)
	l.isolate(n, false)
	l.until("an offer", func() bool { return n.replicas[testGroup].group.Offer() != nil })
	leader := l.leader(testGroup)
	m, p, s := l.fetched(leader, n.replicas[testGroup].spec.RaftID)
	l.fill(testGroup, 20*trimSlack+100)
	if start := leader.logStart(); start > p.Index {
		t.Fatalf("cut at %d during a stream of %d", start, p.Index)
	}
	if err := n.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	s.End(true)
	l.caughtUpWith(n)
	if o := n.replicas[testGroup].group.Offer(); o != nil {
		t.Errorf("another offer of %d", o.Point.Index)
	}
}

// A member that vanishes after its stream, before it follows the log, is waited
// for, but not for ever.
func TestVanishedMemberPinsTheLogForAWhile(t *testing.T) {
	l := behind(t, false)
	leader := l.leader(testGroup)
	_, p, s := l.fetched(leader, l.node(3).replicas[testGroup].spec.RaftID)
	s.End(true)
	l.fill(testGroup, 50)
	if start := leader.logStart(); start > p.Index {
		t.Errorf("cut at %d, a member was just sent %d", start, p.Index)
	}
	l.ticks(3 * catchUpTicks)
	l.fill(testGroup, 50)
	if start := leader.logStart(); start <= p.Index {
		t.Error("the log is kept for a member that is gone")
	}
}

func TestSendingIsRefused(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	dataAndArbiter(l)
	g := l.node(1).replicas[testGroup].group
	_, _, s := l.fetched(l.node(1), 102)
	if _, err := g.sender.start(102); !errors.Is(err, ErrSending) {
		t.Errorf("a second stream to the same member: %v", err)
	}
	_, _, other := l.fetched(l.node(1), 103)
	other.End(false)
	s.End(false)
	l.drain()
	_, _, s = l.fetched(l.node(1), 102)
	s.End(true)
	if _, err := l.node(3).replicas[testGroup].group.sender.start(102); !errors.Is(err, ErrNoState) {
		t.Errorf("from an arbiter: %v", err)
	}
	l.node(1).host.detach(testGroup)
	select {
	case <-s.Stopped():
	default:
		t.Error("the stream is not told that the replica stops")
	}
	if _, err := g.sender.start(102); !errors.Is(err, ErrClosed) {
		t.Errorf("from a stopped replica: %v", err)
	}
}

// A state can be gone on from only if the log connects to it and it is a gain.
func TestObsoleteStates(t *testing.T) {
	l := behind(t, false)
	n, leader := l.node(3), l.leader(testGroup)
	m, p, s := l.fetched(leader, n.replicas[testGroup].spec.RaftID)
	s.End(false)
	refused := func(what string, n *labNode, machine *labMachine, at *Point) {
		t.Helper()
		before := n.replicas[testGroup].group
		if err := n.reopen(testGroup, machine, at); !errors.Is(err, ErrObsolete) {
			t.Errorf("%s: %v", what, err)
		}
		if n.host.groups[testGroup] != before {
			t.Errorf("%s: the replica stopped", what)
		}
	}
	if err := n.host.mayReopen(Spec{ID: 99, RaftID: 1}, nil); !errors.Is(err, ErrObsolete) {
		t.Errorf("no such group: %v", err)
	}
	refused("a leader", leader, m, &p)
	old := Point{Index: 3, Term: 1, Conf: &pb.ConfState{}}
	refused("an older state", n, &labMachine{chain: m.chain, applied: 3, durable: 3}, &old)
	// A member that is to have state, and whose log has lost the beginning.
	follower := l.followers(testGroup, leader)[0]
	refused("a state from before the log", follower, &labMachine{chain: m.chain, applied: 3, durable: 3}, nil)
	// The state of one place, the point of another.
	if err := n.host.mayReopen(Spec{ID: testGroup, RaftID: 103, Machine: m}, &old); err == nil || errors.Is(err, ErrObsolete) {
		t.Errorf("state and point differ: %v", err)
	}
	if err := n.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	refused("the state that it has", n, &labMachine{chain: m.chain, applied: p.Index, durable: p.Index}, &p)
}

// A member that was away for terms learns of them by the state only. It must
// not act in a term before that of its own log, nor vote twice.
func TestStateOfALaterTerm(t *testing.T) {
	l := behind(t, false)
	n := l.node(3)
	for range 3 {
		leader := l.leader(testGroup)
		g := leader.replicas[testGroup].group
		g.transfer(g.successor())
		leader.wake = l.now
		l.until("another leader", func() bool { o := l.leader(testGroup); return o != nil && o != leader })
		l.fill(testGroup, 5)
	}
	n.replicas[testGroup].group.log.hard = &pb.HardState{
		Term: new(n.replicas[testGroup].group.log.hard.GetTerm()), Vote: new(uint64(101)), Commit: n.replicas[testGroup].group.log.hard.Commit,
	}
	before := n.replicas[testGroup].group.log.hard.GetTerm()
	m, p, s := l.fetched(l.leader(testGroup), n.replicas[testGroup].spec.RaftID)
	s.End(true)
	if p.Term <= before {
		t.Fatalf("the state is of term %d, the replica in %d; the test proves nothing", p.Term, before)
	}
	if err := n.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	hard := n.log.Storage(uint64(testGroup)).HardState()
	if hard.GetTerm() != p.Term || hard.GetVote() != 0 || hard.GetCommit() != p.Index {
		t.Errorf("the log has %v, the state is of term %d", hard, p.Term)
	}
	l.isolate(n, false)
	l.caughtUpWith(n)
}

// A member that only voted becomes one with data though its log has lost the
// beginning: by fetched state, behind which it still has its log.
func TestArbiterWithCutLogGetsData(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	members := dataAndArbiter(l)
	n := l.node(3)
	l.fill(testGroup, 100)
	g := n.replicas[testGroup].group
	g.KeepLog(true)
	members[2].Arbiter = false
	l.wish(testGroup, Wish{Version: 2, Voters: members})
	l.drain()
	m, p, s := l.fetched(l.node(1), 103)
	start := n.logStart()
	l.fill(testGroup, 100)
	if n.logStart() != start {
		t.Fatal("the log was cut")
	}
	if err := n.reopen(testGroup, m, &p); err != nil {
		t.Fatal(err)
	}
	s.End(true)
	l.caughtUpWith(n)
	if m.applied != l.node(1).replicas[testGroup].machine.applied {
		t.Errorf("applied %d", m.applied)
	}
	if st := l.node(1).replicas[testGroup].group.status(); st.Role != "leader" || len(st.Voters) != 3 {
		t.Errorf("the group changed: %+v", st)
	}
}

// A crash at any call to the disk leaves the former state or the new one, and
// the log that goes with it.
func TestCrashWhileInstalling(t *testing.T) {
	outcomes := make(map[bool]int)
	for seed := range int64(30) {
		for calls := range 4 {
			l := behind(t, false)
			n := l.node(3)
			r := n.replicas[testGroup]
			m, p, s := l.fetched(l.leader(testGroup), r.spec.RaftID)
			old := r.machine.applied
			left := calls
			n.disk.Fail(func(op crashfs.Op, _ string) error {
				if left--; op != crashfs.OpRead && left < 0 {
					return errors.New("the power is gone")
				}
				return nil
			})
			err := n.reopen(testGroup, m, &p)
			s.End(err == nil)
			n.disk.Fail(nil)
			l.rng = rand.New(rand.NewSource(seed))
			n.crash()
			n.boot()
			applied := n.replicas[testGroup].machine.applied
			switch {
			case applied == p.Index:
			case applied <= old && err != nil:
			default:
				t.Fatalf("seed %d, %d calls: reopened with %v, came back at %d; the states are of %d and %d", seed, calls, err, applied, old, p.Index)
			}
			outcomes[applied == p.Index]++
			l.isolate(n, false)
			l.until("node 3 to catch up", func() bool {
				l.serveOffers()
				return n.replicas[testGroup].group.Applied() == l.leader(testGroup).replicas[testGroup].group.Applied()
			})
		}
	}
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("new state or not: %v; the test proves little", outcomes)
	}
}

// The caller closes state machines after Close, Apply and Reopen: these wait for
// the streams that read from them.
func TestStreamsHoldUpTheEnd(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	members := []Member{{RaftID: 101, Node: 1}, {RaftID: 102, Node: 2}, {RaftID: 103, Node: 3}}
	spec := Spec{ID: testGroup, RaftID: leader.id + 100, Members: members}
	ends := map[string]func() error{
		"Reopen": func() error {
			g, err := leader.host.Reopen(context.Background(), spec, nil)
			leader.group = g
			return err
		},
		"Close": func() error { leader.host.Close(); return nil },
	}
	for _, name := range []string{"Reopen", "Close"} {
		to := uint64(101) + leader.id%3
		s, err := leader.group.StartSending(context.Background(), to)
		if err != nil {
			t.Fatal(err)
		}
		var streamed atomic.Bool
		go func() {
			<-s.Stopped()
			time.Sleep(10 * time.Millisecond) // a view is released
			streamed.Store(true)
			s.End(false)
		}()
		if err := ends[name](); err != nil {
			t.Fatal(err)
		}
		if !streamed.Load() {
			t.Errorf("%s returned while the state was being sent", name)
		}
		if name == "Reopen" {
			leader.machine = &sumMachine{}
			spec.Machine = leader.machine
			if leader.group, err = leader.host.Reopen(context.Background(), spec, nil); err != nil {
				t.Fatal(err)
			}
			for _, n := range nodes {
				n.group.SetWish(Wish{Version: 2, Voters: members})
			}
			eventually(t, "a leader", func() bool { return leaderOf(nodes) != nil })
			leader = leaderOf(nodes)
			spec.RaftID = leader.id + 100
		}
	}
}
