package multiraft

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

func TestReplicatesInOrder(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	const writers, each = 20, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if err := write(leader, uint64(w*1000+i)); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		}()
	}
	wg.Wait()
	want := leader.machine.values()
	if len(want) != writers*each {
		t.Fatalf("applied %d values, want %d", len(want), writers*each)
	}
	for _, n := range nodes {
		eventually(t, "replicas to apply everything", func() bool { return slices.Equal(n.machine.values(), want) })
	}
	if s := status(t, leader); s.Last >= writers*each {
		t.Errorf("the log has %d entries for %d writes: nothing was packed", s.Last, writers*each)
	}
}

func TestFollowerRefuses(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	for _, n := range nodes {
		if n == leader {
			continue
		}
		if err := write(n, 1); !errors.Is(err, ErrNotLeader) {
			t.Errorf("write to a follower: %v", err)
		}
		if err := barrier(n); !errors.Is(err, ErrNotLeader) {
			t.Errorf("barrier on a follower: %v", err)
		}
	}
}

func TestLeaderDiesAndReturns(t *testing.T) {
	nodes := newCluster(t, 3)
	old := leaderOf(nodes)
	for v := range uint64(10) {
		if err := write(old, v); err != nil {
			t.Fatal(err)
		}
	}
	old.stop()
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *testNode) bool { return n == old })
	eventually(t, "a new leader", func() bool { return leaderOf(rest) != nil })
	next := leaderOf(rest)
	if got := next.machine.values(); len(got) != 10 {
		t.Fatalf("the new leader has %d of 10 acknowledged writes", len(got))
	}
	if err := write(next, 10); err != nil {
		t.Fatal(err)
	}
	old.start()
	old.reopen([]Member{{RaftID: 101, Node: 1}, {RaftID: 102, Node: 2}, {RaftID: 103, Node: 3}})
	eventually(t, "the old leader to catch up", func() bool { return len(old.machine.values()) == 11 })
}

func TestRestartOfAll(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	for v := range uint64(20) {
		if err := write(leader, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.stop()
		n.machine = &sumMachine{} // everything that it knew comes from the log again
	}
	for _, n := range nodes {
		n.start()
		n.reopen(nil)
		n.group.SetWish(Wish{Version: 1, Voters: []Member{{RaftID: 101, Node: 1}, {RaftID: 102, Node: 2}, {RaftID: 103, Node: 3}}})
	}
	eventually(t, "a leader", func() bool { return leaderOf(nodes) != nil })
	leader = leaderOf(nodes)
	if err := barrier(leader); err != nil {
		t.Fatal(err)
	}
	if got := leader.machine.values(); len(got) != 20 {
		t.Fatalf("%d of 20 acknowledged writes are back", len(got))
	}
}

// A leader cut off from its followers ends a write that it appended as
// uncertain, later ones as not appended, and reads not at all.
func TestIsolatedLeader(t *testing.T) {
	nodes := newCluster(t, 3)
	old := leaderOf(nodes)
	old.net.isolate(old.id, true)
	outcome := make(chan error, 1)
	go func() { outcome <- write(old, 1) }()
	if err := barrier(old); err == nil {
		t.Error("a cut-off leader confirmed a read")
	}
	if err := <-outcome; !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrNotLeader) {
		t.Errorf("outcome of the write: %v", err)
	}
	eventually(t, "the old leader to step down", func() bool { return !old.group.Leads() })
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *testNode) bool { return n == old })
	eventually(t, "a new leader", func() bool { return leaderOf(rest) != nil })
	if err := write(leaderOf(rest), 2); err != nil {
		t.Fatal(err)
	}
	old.net.isolate(old.id, false)
	eventually(t, "the old leader to follow", func() bool {
		return slices.Equal(old.machine.values(), leaderOf(rest).machine.values())
	})
}

// An entry that another leader's entry replaced was certainly not applied.
func TestSuperseded(t *testing.T) {
	nodes := newCluster(t, 3)
	old := leaderOf(nodes)
	old.net.isolate(old.id, true)
	outcome := make(chan error, 1)
	go func() { outcome <- write(old, 99) }()
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *testNode) bool { return n == old })
	eventually(t, "a new leader", func() bool { return leaderOf(rest) != nil })
	next := leaderOf(rest)
	if err := write(next, 1); err != nil {
		t.Fatal(err)
	}
	old.net.isolate(old.id, false)
	if err := <-outcome; !errors.Is(err, ErrSuperseded) && !errors.Is(err, ErrNotLeader) {
		t.Errorf("outcome of the replaced write: %v", err)
	}
	if slices.Contains(next.machine.values(), 99) {
		t.Error("a replaced write was applied")
	}
}

func TestHandOff(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	ctx, cancel := limit.Context(t)
	defer cancel()
	leader.host.HandOff(ctx)
	if leader.group.Leads() {
		t.Error("the leader still leads")
	}
	eventually(t, "a successor", func() bool { l := leaderOf(nodes); return l != nil && l != leader })
}

func TestArbiterHandsOver(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	var wish Wish
	wish.Version = 2
	for _, n := range nodes {
		wish.Voters = append(wish.Voters, Member{RaftID: n.id + 100, Node: n.id, Arbiter: n == leader})
	}
	for _, n := range nodes {
		n.group.SetWish(wish)
	}
	eventually(t, "a member that serves to lead", func() bool {
		l := leaderOf(nodes)
		return l != nil && l != leader
	})
}

func TestMembershipShrinks(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	wish := Wish{Version: 2}
	for _, n := range nodes {
		if n != leader {
			wish.Voters = append(wish.Voters, Member{RaftID: n.id + 100, Node: n.id})
		}
	}
	for _, n := range nodes {
		n.group.SetWish(wish)
	}
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *testNode) bool { return n == leader })
	eventually(t, "the leader to leave", func() bool {
		l := leaderOf(rest)
		return l != nil && status(t, l).Settled
	})
	if err := write(leaderOf(rest), 5); err != nil {
		t.Fatal(err)
	}
}

// A loop that stalled, as a process does that was stopped for a while, does not
// make up for the ticks that it missed.
func TestMissedTicksAreNotReplayed(t *testing.T) {
	n := newCluster(t, 1)[0]
	tick := n.host.opts.Tick
	var before, after int64
	control := func(fn func()) {
		t.Helper()
		if err := n.host.control(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	control(func() {
		before = n.host.ticks
		for end := time.Now().Add(30 * tick); time.Now().Before(end); {
			time.Sleep(tick)
		}
	})
	released := time.Now()
	control(func() { after = n.host.ticks })
	for range 20 { // whatever was queued meanwhile
		control(func() { after = n.host.ticks })
	}
	if passed := int64(time.Since(released)/tick) + 2; after-before > passed {
		t.Errorf("%d ticks within the time of %d", after-before, passed)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	nodes := newCluster(t, 1)
	n := nodes[0]
	n.host.Close()
	if err := write(n, 1); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotLeader) {
		t.Errorf("write after Close: %v", err)
	}
}

// A member that only voted becomes one with data, and back, under the same
// Raft id and without a change of the group's membership.
func TestReopenConvertsReplica(t *testing.T) {
	nodes := newCluster(t, 3)
	leader := leaderOf(nodes)
	i := slices.IndexFunc(nodes, func(n *testNode) bool { return n != leader })
	n := nodes[i]
	members := []Member{{RaftID: 101, Node: 1}, {RaftID: 102, Node: 2}, {RaftID: 103, Node: 3}}
	reopen := func(m Machine) {
		t.Helper()
		spec := Spec{ID: testGroup, RaftID: n.id + 100, Machine: m, Members: members}
		g, err := n.host.Reopen(context.Background(), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.group = g
	}
	reopen(nil)
	for v := range uint64(30) {
		if err := write(leader, v); err != nil {
			t.Fatal(err)
		}
	}
	before := len(n.machine.values())
	n.machine = &sumMachine{}
	reopen(n.machine)
	want := leader.machine.values()
	eventually(t, "the data to be built up from the log", func() bool { return slices.Equal(n.machine.values(), want) })
	if before >= len(want) {
		t.Error("a replica without a machine applied something")
	}
	if s := status(t, leader); s.Role != "leader" || len(s.Voters) != 3 {
		t.Errorf("the group changed: %+v", s)
	}
	if err := write(leader, 30); err != nil {
		t.Fatal(err)
	}
}
