package multiraft

import (
	"errors"
	"log/slog"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// refound does by hand what Host.Refound does.
func (n *labNode) refound(id GroupID, raftID, term uint64) error {
	r := n.replicas[id]
	next := &labReplica{spec: r.spec, machine: r.machine}
	next.spec.RaftID, next.spec.Bootstrap = raftID, false
	next.spec.Members = []Member{{RaftID: raftID, Node: n.id}}
	old := n.host.detach(id)
	for _, record := range []func(*wal.Batch) error{
		func(*wal.Batch) error { return nil },
		func(b *wal.Batch) error { return old.refounding(b, next.spec, term) },
	} {
		o := newOutcome()
		n.host.persist.add(appendTask{record: record, outcome: o})
		n.stepDisk()
		if <-o.done; o.err != nil {
			return o.err
		}
	}
	r.spec = next.spec
	n.open(r)
	return nil
}

// founded makes a group of three that has written, of which only a follower is left.
func founded(t *testing.T, seed int64) (*lab, *labNode) {
	t.Helper()
	l := newLab(t, 4, seed, nil)
	l.found(testGroup, false, 1, 2, 3)
	for v := range uint64(5) {
		l.finish(l.write(l.leader(testGroup), testGroup, v+1))
	}
	n := l.followers(testGroup, l.leader(testGroup))[0]
	for _, o := range l.nodes[:3] {
		if o != n {
			o.close()
		}
	}
	return l, n
}

// From a member whose fellows are gone for good the group goes on: what it has is
// there, others join, and those who return count for nothing.
func TestRefound(t *testing.T) {
	for seed := int64(1); seed <= 10; seed++ {
		l, n := founded(t, seed)
		before, term := n.replicas[testGroup].machine.applied, n.replicas[testGroup].group.log.hard.GetTerm()
		const above = 40
		if err := n.refound(testGroup, 900, above); err != nil {
			t.Fatal(err)
		}
		l.until("the replica to lead", func() bool { return l.leader(testGroup) == n })
		r := n.replicas[testGroup]
		if r.machine.applied < before {
			t.Fatalf("it has applied %d, before %d", r.machine.applied, before)
		}
		if st := r.group.status(); !slices.Equal(st.Voters, []uint64{900}) || len(st.Learners) > 0 || st.Term <= above || st.Term <= term {
			t.Fatalf("the group is %+v", st)
		}
		w := l.write(n, testGroup, 6)
		l.finish(w)
		expect(t, "write", w, nil)

		members := []Member{{RaftID: 900, Node: n.id}, {RaftID: 901, Node: 4}}
		l.node(4).create(Spec{ID: testGroup, RaftID: 901, Members: members}, true)
		l.wished = Wish{Version: 5, Voters: members}
		for _, o := range []*labNode{n, l.node(4)} {
			o.replicas[testGroup].group.SetWish(l.wished)
		}
		for _, o := range l.nodes[:3] {
			if !o.up {
				o.boot()
			}
		}
		l.until("another one to join", func() bool {
			st := r.group.status()
			return st.Settled && slices.Equal(st.Voters, []uint64{900, 901})
		})
		l.caughtUpWith(l.node(4))
	}
}

// A leader in the middle of a membership change is refounded as well.
func TestRefoundOutOfJoint(t *testing.T) {
	l := newLab(t, 4, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.node(4).create(Spec{ID: testGroup, RaftID: labRaftID(4), Members: labMembers(1, 2, 3, 4)}, true)
	joint := func() bool { return len(n.replicas[testGroup].group.members.conf.GetVotersOutgoing()) > 0 }
	l.pass = func(uint64, uint64, GroupID, *pb.Message) bool { return !joint() } // it stays in there
	l.wish(testGroup, Wish{Version: 2, Voters: append(labMembers(n.id), labMembers(4)...), Others: labMembers(1, 2, 3)})
	l.until("a joint configuration", joint)
	for _, o := range l.nodes {
		if o != n {
			o.crash()
		}
	}
	if err := n.refound(testGroup, 900, 0); err != nil {
		t.Fatal(err)
	}
	l.until("the replica to lead alone", func() bool {
		st := n.replicas[testGroup].group.status()
		return l.leader(testGroup) == n && slices.Equal(st.Voters, []uint64{900})
	})
}

// A crash at any call to the disk leaves the former member or the new one.
func TestCrashWhileRefounding(t *testing.T) {
	ids := make(map[uint64]int)
	for seed := range int64(30) {
		for calls := range 4 {
			l, n := founded(t, seed+1)
			left := calls
			n.disk.Fail(func(op crashfs.Op, _ string) error {
				if left--; op != crashfs.OpRead && left < 0 {
					return errors.New("the power is gone")
				}
				return nil
			})
			if err := n.refound(testGroup, 900, 0); err == nil && calls == 0 {
				t.Fatal("the disk did not fail")
			}
			n.crash()
			n.disk.Fail(nil)
			log, err := wal.Open(wal.Options{
				Dir: "wal", FS: n.disk, SegmentSize: 256 << 10, Preallocate: 8 << 10, Rand: l.rng, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			stored, err := StoredGroups(log)
			if err != nil || len(stored) != 1 {
				t.Fatalf("%+v, %v", stored, err)
			}
			ids[stored[0].RaftID]++
			voters, err := confAtEnd(log, testGroup)
			if err != nil {
				t.Fatal(err)
			}
			if renewed := stored[0].RaftID == 900; renewed != slices.Equal(voters, []uint64{900}) {
				t.Fatalf("replica %d with the voters %v", stored[0].RaftID, voters)
			}
			_ = log.Close()
		}
	}
	if ids[900] == 0 || len(ids) < 2 {
		t.Errorf("after the crashes the replicas were %v: the test proves little", ids)
	}
}

func confAtEnd(log *wal.Log, id GroupID) ([]uint64, error) {
	store := log.Storage(uint64(id))
	last, err := store.LastIndex()
	if err != nil {
		return nil, err
	}
	conf, err := confAt(store, last)
	return conf.GetVoters(), err
}
