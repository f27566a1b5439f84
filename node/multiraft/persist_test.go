package multiraft

import (
	"errors"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal/crashfs"
)

// What a member says of its own log and vote leaves it only when the persister
// has run: no acknowledgement, no vote, no commit by its own entry before.
func TestResponsesWaitForTheWrite(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	f := l.followers(testGroup, leader)[0]
	l.isolate(l.followers(testGroup, leader)[1], true)
	acks := 0
	l.pass = func(from, _ uint64, _ GroupID, m *pb.Message) bool {
		if from == f.id && m.GetType() == pb.MsgAppResp && !m.GetReject() && m.GetIndex() > 0 {
			acks++
		}
		return true
	}

	f.holdDisk = true
	w := l.write(leader, testGroup, 1)
	l.ticks(3)
	last, err := f.log.Storage(uint64(testGroup)).LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if acks != 0 || w.ended != 0 {
		t.Fatalf("%d acknowledgements, the write ended %d times, and the follower's log ends at %d", acks, w.ended, last)
	}
	f.holdDisk = false
	l.finish(w)
	expect(t, "write", w, nil)
	if acks == 0 {
		t.Error("the follower acknowledged nothing; the test proves nothing")
	}

	// The same with the leader's own log: f alone is no quorum of three.
	leader.holdDisk = true
	w = l.write(leader, testGroup, 2)
	l.ticks(3)
	if w.ended != 0 {
		t.Fatal("acknowledged without the leader's own write, by one of three")
	}
	leader.holdDisk = false
	l.finish(w)
	expect(t, "write", w, nil)
}

func TestVotesWaitForTheWrite(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	voters := l.followers(testGroup, leader)
	votes := 0
	l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool {
		if m.GetType() == pb.MsgVoteResp {
			votes++
		}
		return true
	}
	leader.crash()
	for _, n := range voters {
		n.holdDisk = true
	}
	l.ticks(50)
	if votes != 0 || l.leader(testGroup) != nil {
		t.Fatalf("%d votes were given before they were on disk", votes)
	}
	for _, n := range voters {
		n.holdDisk = false
	}
	l.until("a leader", func() bool { return l.leader(testGroup) != nil })
	if votes == 0 {
		t.Error("no votes were seen; the test proves nothing")
	}
}

// A write that has been acknowledged is on the disks of a quorum: it survives
// that all machines lose power at that very moment.
func TestAcknowledgedIsSynced(t *testing.T) {
	for seed := int64(1); seed <= 10; seed++ {
		l := newLab(t, 3, seed, nil)
		l.found(testGroup, false, 1, 2, 3)
		n := l.leader(testGroup)
		for v := uint64(1); v <= 5; v++ {
			w := l.write(n, testGroup, v)
			for w.ended == 0 {
				l.tick()
			}
			expect(t, "write", w, nil)
		}
		for _, n := range l.nodes {
			n.crash()
		}
		for _, n := range l.nodes {
			n.boot()
		}
		l.until("a leader", func() bool { return l.leader(testGroup) != nil })
		// The chain has the five writes; the machine checks that it is followed.
		if m := l.leader(testGroup).replicas[testGroup].machine; m.applied < l.history(testGroup).place[5] {
			t.Fatalf("seed %d: applied up to %d of %d", seed, m.applied, l.history(testGroup).place[5])
		}
	}
}

// After a failed write or sync the host says so, once, and neither answers its
// peers nor ends a call with success; the disk is not tried again.
func TestFailedDiskEndsTheHost(t *testing.T) {
	for _, op := range []crashfs.Op{crashfs.OpWrite, crashfs.OpSync} {
		t.Run(string(op), func(t *testing.T) {
			broken := errors.New("the disk is broken")
			l := newLab(t, 3, 1, nil)
			l.found(testGroup, false, 1, 2, 3)
			leader := l.leader(testGroup)
			l.isolate(l.followers(testGroup, leader)[1], true)
			f := l.followers(testGroup, leader)[0]
			tries, told := 0, 0
			fatal := f.host.opts.Fatal
			f.host.opts.Fatal = func(err error) { told++; fatal(err) }
			f.disk.Fail(func(o crashfs.Op, _ string) error {
				if o != op {
					return nil
				}
				tries++
				return broken
			})
			w := l.write(leader, testGroup, 1)
			l.ticks(1)
			if !errors.Is(f.failure, broken) {
				t.Fatalf("Fatal was told %v", f.failure)
			}
			// The lab leaves a failed host alone; drive it as its goroutines may.
			before := len(l.wire)
			f.failure = nil
			f.disk.Fail(func(o crashfs.Op, _ string) error {
				if o == crashfs.OpWrite || o == crashfs.OpSync {
					tries++
				}
				return nil
			})
			for range 30 {
				f.stepLoop(true)
				f.stepDisk()
				for _, g := range f.host.order {
					g.applier.step()
				}
			}
			if len(l.wire) != before || tries != 1 || told != 1 {
				t.Errorf("the failed host sent %d frames, tried the disk %d times, called Fatal %d times",
					len(l.wire)-before, tries, told)
			}
			f.up = false
			l.ticks(5)
			if w.ended != 0 && w.Err == nil {
				t.Error("a write was acknowledged that only one of three disks has")
			}
		})
	}
}

// A control write that fails tells its caller.
func TestFailedControlWrite(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	n := l.node(1)
	n.disk.Fail(func(op crashfs.Op, _ string) error {
		if op == crashfs.OpSync {
			return errors.New("the disk is broken")
		}
		return nil
	})
	c := Change{Identity: []byte("id")}
	for range 2 {
		o := newOutcome()
		n.host.persist.add(appendTask{record: c.record, outcome: o})
		n.host.persist.step()
		<-o.done
		if o.err == nil || n.failure == nil {
			t.Errorf("the outcome is %v, Fatal was told %v", o.err, n.failure)
		}
	}
	n.up = false
}

// A follower that only learns of a commit index syncs nothing; one that stores
// entries syncs once, whatever the number of groups.
func TestOnlyEntriesAndVotesAreSynced(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	groups := []GroupID{7, 8, 9}
	for _, id := range groups {
		l.found(id, false, 1, 2, 3)
	}
	for _, id := range groups {
		if n := l.leader(id); n != l.node(1) {
			n.replicas[id].group.transfer(labRaftID(1))
			n.wake = l.now
			l.until("node 1 to lead", func() bool { return l.leader(id) == l.node(1) })
		}
	}
	l.ticks(5)
	f := l.node(2)

	f.holdDisk = true
	var calls []*labCall
	for i, id := range groups {
		calls = append(calls, l.write(l.node(1), id, uint64(i+1)))
	}
	l.drain()
	before := f.log.Stats()
	f.holdDisk = false
	l.drain()
	if s := f.log.Stats(); s.Syncs-before.Syncs != 1 || s.Writes-before.Writes != 1 {
		t.Errorf("entries of three groups took %d writes and %d syncs", s.Writes-before.Writes, s.Syncs-before.Syncs)
	}
	before = f.log.Stats()
	l.finish(calls...)
	commit := func() uint64 { return f.log.Storage(7).HardState().GetCommit() }
	want := f.replicas[7].group.rn.BasicStatus().GetCommit()
	l.ticks(20)
	if got := commit(); got != want {
		t.Errorf("the log has commit %d, raft %d: it must follow, lazily", got, want)
	}
	if s := f.log.Stats(); s.Syncs != before.Syncs {
		t.Errorf("%d syncs for commit indexes alone", s.Syncs-before.Syncs)
	}
}

// Appends of a group that was removed in between are dropped, and do not harm
// what is in the same batch.
func TestAppendsOfRemovedGroup(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(7, false, 1)
	l.found(8, false, 1)
	n := l.node(1)
	n.holdDisk = true
	gone, kept := l.write(n, 7, 1), l.write(n, 8, 2)
	l.drain()
	tasks := slices.Clone(n.host.persist.queue.tasks)
	n.holdDisk = false
	n.destroy(7)
	for _, task := range tasks { // late, behind the removal
		n.host.persist.add(task)
	}
	n.holdApply = true
	l.drain()
	if n.failure != nil {
		t.Fatal(n.failure)
	}
	n.holdApply = false
	l.drain()
	expect(t, "write of the removed group", gone, ErrUncertain)
	expect(t, "write of the other group", kept, nil)
}
