package multiraft

import (
	"errors"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// limited makes a lab whose logs are cut early.
func limited(t *testing.T, nodes, entries int, bytes int64) *lab {
	return newLab(t, nodes, 1, func(o *Options) {
		o.LogEntries, o.LogBytes, o.MaxEntryBytes = entries, bytes, 1
	})
}

// fill writes count values to whoever leads, one an entry.
func (l *lab) fill(id GroupID, count int) {
	l.t.Helper()
	for range count {
		l.until("a leader", func() bool { return l.leader(id) != nil })
		l.values++
		w := l.write(l.leader(id), id, l.values)
		l.drain()
		if w.ended == 0 {
			l.finish(w)
		}
		if w.Err != nil {
			l.t.Fatalf("write %d: %v", l.values, w.Err)
		}
		if l.values%4 == 0 {
			l.tick()
		}
	}
	l.ticks(2 * trimEvery)
}

func (n *labNode) logStart() uint64 { return n.replicas[testGroup].group.LogStart() }

func TestLogIsCut(t *testing.T) {
	for name, limit := range map[string]struct {
		entries int
		bytes   int64
	}{"by count": {20, 1 << 30}, "by size": {1 << 20, 20 * 50}} {
		t.Run(name, func(t *testing.T) {
			l := limited(t, 3, limit.entries, limit.bytes)
			l.found(testGroup, false, 1, 2, 3)
			l.fill(testGroup, 300)
			for _, n := range l.nodes {
				g := n.replicas[testGroup].group
				entries, bytes := g.store.Size()
				// A write or two may have come since the last look.
				if entries > limit.entries+trimEvery || bytes > limit.bytes+trimEvery*50 || entries < 8 {
					t.Errorf("node %d: %d entries of %d bytes are left", n.id, entries, bytes)
				}
				if start := g.LogStart(); start > n.replicas[testGroup].machine.durable {
					t.Errorf("node %d: cut at %d, synced were %d", n.id, start, n.replicas[testGroup].machine.durable)
				}
			}
			for _, n := range l.nodes {
				n.crash()
				n.boot()
			}
			l.wish(testGroup, Wish{Version: 1, Voters: labMembers(1, 2, 3)})
			l.fill(testGroup, 20)
			if n := l.leader(testGroup); !n.replicas[testGroup].group.status().Settled {
				t.Error("the group does not settle after a restart of all")
			}
		})
	}
}

// A state that cannot be synced can be trusted no more.
func TestFailedSyncOfTheState(t *testing.T) {
	l := limited(t, 1, 20, 1<<30)
	l.found(testGroup, false, 1)
	n := l.node(1)
	l.fill(testGroup, 10)
	m := n.replicas[testGroup].machine
	m.syncErr = errors.New("the disk is broken")
	for v := uint64(1000); n.failure == nil && v < 1030; v++ {
		l.write(n, testGroup, v)
		l.ticks(1)
	}
	if !errors.Is(n.failure, m.syncErr) {
		t.Errorf("the host ended with %v", n.failure)
	}
	if n.logStart() != 0 {
		t.Error("the log was cut all the same")
	}
}

// dataAndArbiter makes a group of two members with data, of which node 1 leads,
// and an arbiter on node 3.
func dataAndArbiter(l *lab) []Member {
	members := labMembers(1, 2, 3)
	members[2].Arbiter = true
	for i, id := range []uint64{1, 2, 3} {
		l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Bootstrap: i == 0, Members: members}, id != 3)
	}
	l.wish(testGroup, Wish{Version: 1, Voters: members})
	l.until("the group to settle", func() bool {
		n := l.leader(testGroup)
		return n == l.node(1) && n.replicas[testGroup].group.status().Settled
	})
	return members
}

// What only one member's state and the arbiter's log hold, the arbiter keeps.
func TestArbiterKeepsWhatDataMembersLack(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	members := dataAndArbiter(l)
	a, b, arbiter := l.node(1), l.node(2), l.node(3)
	l.fill(testGroup, 100)
	if arbiter.logStart() == 0 {
		t.Fatal("the arbiter never cuts its log")
	}
	b.close()
	last := b.replicas[testGroup].machine.applied
	l.fill(testGroup, 100)
	if a.logStart() <= last {
		t.Fatalf("the leader cut at %d; the test proves nothing", a.logStart())
	}
	if arbiter.logStart() > last {
		t.Errorf("the arbiter cut at %d, the other member has %d", arbiter.logStart(), last)
	}
	// The only copy fails. The other member gets everything from the arbiter.
	want := l.history(testGroup).last
	a.close()
	b.boot()
	l.wish(testGroup, Wish{Version: 1, Voters: members})
	l.until("the other member to lead", func() bool { return l.leader(testGroup) == b })
	if got := b.replicas[testGroup].machine.applied; got < want {
		t.Errorf("it has applied %d, acknowledged were %d", got, want)
	}
	// It is the only one now, as far as is known: nothing more is cut.
	start := arbiter.logStart()
	l.fill(testGroup, 100)
	if arbiter.logStart() > max(start, want) {
		t.Errorf("the arbiter cut at %d, though one member has only %d", arbiter.logStart(), want)
	}
	// Only one is to hold data: it is enough that it does.
	l.wish(testGroup, Wish{Version: 2, Voters: []Member{members[1], members[2]}, Others: members[:1]})
	l.fill(testGroup, 100)
	if arbiter.logStart() < want+50 {
		t.Errorf("the arbiter still keeps what is behind %d of %d", arbiter.logStart(), l.history(testGroup).last)
	}
}

// A leader keeps what a member lacks that follows, but not for any price.
func TestSlowFollowerPinsTheLog(t *testing.T) {
	l := limited(t, 3, 20, 1<<30)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	slow := l.followers(testGroup, leader)[0]
	l.fill(testGroup, 50)
	// It hears and answers heartbeats, and gets no entries.
	match := slow.replicas[testGroup].group.Applied()
	held := true
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		return !held || to != slow.id || m.GetType() != pb.MsgApp
	}
	l.fill(testGroup, 30)
	if start := leader.logStart(); start > match {
		t.Fatalf("cut at %d, a member that follows has %d", start, match)
	}
	l.fill(testGroup, 20*trimSlack)
	if start := leader.logStart(); start <= match {
		t.Errorf("the log grows without end: it begins behind %d", start)
	}
}

func TestKeptLogIsNotCut(t *testing.T) {
	l := limited(t, 1, 20, 1<<30)
	l.found(testGroup, false, 1)
	g := l.node(1).replicas[testGroup].group
	g.KeepLog(true)
	l.fill(testGroup, 100)
	if start := g.LogStart(); start != 0 {
		t.Errorf("cut at %d", start)
	}
	g.KeepLog(false)
	l.fill(testGroup, 10)
	if g.LogStart() == 0 {
		t.Error("never cut")
	}
}

// The configuration at the place of a cut is the one that was in force there,
// also if it has changed since.
func TestCutDuringChanges(t *testing.T) {
	l := limited(t, 4, 10, 1<<30)
	l.found(testGroup, false, 1, 2, 3)
	l.node(4).create(Spec{ID: testGroup, RaftID: labRaftID(4), Members: labMembers(1, 2, 3, 4)}, true)
	for version, nodes := range [][]uint64{{1, 2, 3}, {1, 2, 4}, {1, 3, 4}, {1, 2, 3}, {2, 3, 4}, {1, 2, 3}, {1, 3, 4}} {
		l.wish(testGroup, Wish{Version: uint64(version + 2), Voters: labMembers(nodes...), Others: labMembers(1, 2, 3, 4)})
		for range 60 {
			l.fill(testGroup, 1)
			l.serveOffers()
		}
		for _, n := range l.nodes {
			l.checkConf(n)
		}
	}
	for _, n := range l.nodes {
		if n.logStart() < 100 {
			t.Errorf("node %d has cut at %d only; the test proves little", n.id, n.logStart())
		}
	}
}

// checkConf compares a member's configuration with what its log alone gives.
func (l *lab) checkConf(n *labNode) {
	l.t.Helper()
	g := n.replicas[testGroup].group
	conf, err := confAt(g.store, g.members.confIndex)
	if err != nil || conf.Equivalent(g.members.conf) != nil {
		if g.members.confIndex < g.LogStart() { // the change itself was cut off
			conf, err = confAt(g.store, g.LogStart())
		}
		if err != nil || conf.Equivalent(g.members.conf) != nil {
			l.t.Errorf("node %d: the log says %v, %v; the replica has %v", n.id, conf, err, g.members.conf)
		}
	}
}
