package multiraft

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3"
)

// loopUntil steps a one-voter node, in no time, until the calls have ended.
func (n *labNode) loopUntil(calls ...*labCall) {
	n.lab.t.Helper()
	for range 100 {
		open := 0
		for _, c := range calls {
			open += 1 - c.ended
		}
		if open == 0 {
			return
		}
		n.lab.drain()
	}
	n.lab.t.Fatal("the calls do not end without time passing")
}

// A lone client pays no gather: each of its writes goes through without time
// passing, also right after the one before.
func TestIdleGroupNeverWaits(t *testing.T) {
	l := newLab(t, 1, 1, func(o *Options) { o.Gather = time.Hour })
	l.found(testGroup, false, 1)
	for v := uint64(1); v <= 20; v++ {
		w := l.write(l.node(1), testGroup, v)
		l.node(1).loopUntil(w)
		expect(t, "write", w, nil)
	}
}

// writesAtOnce submits count writes as clients do which were just answered.
func (l *lab) writesAtOnce(count int, value *uint64) (calls []*labCall) {
	for range count {
		*value++
		calls = append(calls, l.write(l.node(1), testGroup, *value))
	}
	return calls
}

// Clients that return together share an entry, though they come back one after
// the other.
func TestBusyGroupPacks(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	const clients, turns = 20, 30
	value := uint64(0)
	calls := l.writesAtOnce(clients, &value)
	n.loopUntil(calls...)
	first, err := n.log.Storage(uint64(testGroup)).LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for range turns {
		calls = calls[:0]
		for range clients {
			calls = append(calls, l.writesAtOnce(1, &value)...)
			l.now = l.now.Add(10 * time.Microsecond)
			l.drain() // the loop sees one at a time
		}
		n.loopUntil(calls...)
	}
	last, err := n.log.Storage(uint64(testGroup)).LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if entries := last - first; entries > turns+turns/10 {
		t.Errorf("%d writes took %d entries, want about %d", clients*turns, entries, turns)
	}
	// When they do not come back, the gather ends after its time, and those that
	// came are not left to the next tick.
	l.drain()
	calls = l.writesAtOnce(2, &value)
	l.drain()
	for _, c := range calls {
		if c.ended != 0 {
			t.Fatal("did not wait for the others at all; the test proves nothing")
		}
	}
	if wake := n.wake; wake.IsZero() || wake.Sub(l.now) > time.Millisecond {
		t.Fatalf("the loop wants to wake at %v, now is %v", wake, l.now)
	}
	l.now = l.now.Add(time.Millisecond)
	l.drain()
	for _, c := range calls {
		expect(t, "write after the gather", c, nil)
	}
}

// Entries stay within MaxEntryBytes, unless a single command is larger: it goes
// alone.
func TestEntriesAreBounded(t *testing.T) {
	const limit = 1000
	l := newLab(t, 1, 1, func(o *Options) { o.MaxEntryBytes = limit })
	l.found(testGroup, false, 1)
	n := l.node(1)
	var calls []*labCall
	for v := uint64(1); v <= 60; v++ {
		size := int(v) * 5
		if v%20 == 0 {
			size = 3 * limit
		}
		c := l.call(n, testGroup, v)
		c.Payload = append(c.Payload, make([]byte, size)...)
		c.replica.group.Submit(&c.Call)
		calls = append(calls, c)
	}
	l.finish(calls...)
	for _, c := range calls {
		expect(t, "write", c, nil)
	}
	store := n.log.Storage(uint64(testGroup))
	last, err := store.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.Entries(1, last+1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	large, packed := 0, 0
	for _, e := range entries[1:] {
		if len(e.GetData()) == 0 {
			continue
		}
		_, payloads, err := decodeEntry(e.GetData())
		if err != nil {
			t.Fatal(err)
		}
		packed = max(packed, len(payloads))
		if len(e.GetData()) > limit+entryHeader+8+2+5 {
			large++
			if len(payloads) != 1 {
				t.Errorf("entry %d has %d bytes and %d payloads", e.GetIndex(), len(e.GetData()), len(payloads))
			}
		}
	}
	if large != 3 || packed < 2 {
		t.Errorf("%d large entries, at most %d writes in one", large, packed)
	}
}

// No more than InflightEntries are proposed and not yet applied.
func TestInflightEntriesAreBounded(t *testing.T) {
	for _, limit := range []int{1, 3} {
		l := newLab(t, 1, 1, func(o *Options) { o.InflightEntries, o.Gather = limit, 0 })
		l.found(testGroup, false, 1)
		n := l.node(1)
		g := n.replicas[testGroup].group
		n.holdApply = true
		var value uint64
		var calls []*labCall
		for range 10 {
			calls = append(calls, l.writesAtOnce(1, &value)...)
			l.drain()
		}
		if len(g.proposer.undecided) != limit {
			t.Errorf("%d entries in flight, want %d", len(g.proposer.undecided), limit)
		}
		n.holdApply = false
		l.finish(calls...)
	}
}

// Entries in flight of an earlier leadership do not count in a later one.
func TestInflightIsForgottenWithTheTerm(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.isolate(n, true)
	lost := l.write(n, testGroup, 1)
	l.until("step-down", func() bool { return !n.replicas[testGroup].group.leading() })
	l.isolate(n, false)
	l.until("a leader", func() bool { return l.leader(testGroup) != nil })
	if o := l.leader(testGroup); o != n {
		o.replicas[testGroup].group.transfer(labRaftID(n.id))
		o.wake = l.now
	}
	l.until("the first to lead again", func() bool { return l.leader(testGroup) == n })
	if g := n.replicas[testGroup].group; g.proposer.flying != 0 || g.rn.BasicStatus().RaftState != raft.StateLeader {
		t.Errorf("%d entries count as in flight", g.proposer.flying)
	}
	w := l.write(n, testGroup, 2)
	l.finish(w, lost)
	expect(t, "write", w, nil)
}

// Reads are gathered alike: those that return alone are not left to the next
// tick.
func TestReadGatherEnds(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	g := n.replicas[testGroup].group
	var calls []*labCall
	for range 5 {
		c := l.call(n, testGroup, 0)
		calls = append(calls, c)
		n.host.inbox.addCalls(g, true, &c.Call)
	}
	n.loopUntil(calls...)
	l.drain()
	b := l.barrier(n, testGroup)
	l.drain()
	if b.ended != 0 {
		t.Fatal("did not wait for the others; the test proves nothing")
	}
	l.now = l.now.Add(time.Millisecond)
	l.drain()
	expect(t, "barrier after the gather", b, nil)
}
