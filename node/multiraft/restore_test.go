package multiraft

import (
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A member that restarts with any applied index gets the configuration that
// raft had when it had applied that entry.
func TestRestartAtEveryAppliedIndex(t *testing.T) {
	l := newLab(t, 5, 1, nil)
	l.found(testGroup, false, 1)
	for id := uint64(2); id <= 5; id++ {
		l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Members: labMembers(1, 2, 3, 4, 5)}, true)
	}
	// What raft says after each change, on the node that never restarts.
	g := l.node(1).replicas[testGroup].group
	want := map[uint64]*pb.ConfState{}
	value, version := uint64(0), uint64(1)
	for _, nodes := range [][]uint64{{1, 2, 3}, {1, 2, 3, 4, 5}, {1, 4, 5}, {1}, {1, 3}, {1, 2, 3}} {
		version++
		l.wish(testGroup, Wish{Version: version, Voters: labMembers(nodes...), Others: labMembers(1, 2, 3, 4, 5)})
		l.until("the wish", func() bool {
			if n := l.leader(testGroup); n == nil {
				return false
			} else if n.id != 1 {
				n.replicas[testGroup].group.transfer(labRaftID(1))
				n.wake = l.now
				return false
			}
			value++
			l.write(l.node(1), testGroup, value)
			st := g.status()
			return st.Settled && st.WishVersion == version
		})
	}
	store := l.node(1).log.Storage(uint64(testGroup))
	entries, err := store.Entries(1, g.Applied()+1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	// raft itself goes through the log once more: it is the judge.
	judge := l.judge(entries, want)
	changes := 0
	for applied := uint64(1); applied <= judge; applied++ {
		got, conf, err := restorePoint(store, &labMachine{applied: applied})
		if err != nil || got != applied {
			t.Fatalf("restored %d as %d, %v", applied, got, err)
		}
		if err := conf.Equivalent(want[applied]); err != nil {
			t.Fatalf("applied %d: %v", applied, err)
		}
		if len(conf.GetVotersOutgoing()) > 0 {
			changes++
		}
	}
	if changes < 5 {
		t.Errorf("only %d indexes inside a joint change; the test proves little", changes)
	}
	if st := g.members.conf; st.Equivalent(want[judge]) != nil {
		t.Errorf("the judge ends with %v, the replica with %v", want[judge], st)
	}
}

// judge lets a fresh member apply the entries one by one, as raft does, and
// notes the configuration after each.
func (l *lab) judge(entries []*pb.Entry, confs map[uint64]*pb.ConfState) (last uint64) {
	n := l.nodes[4]
	r := n.create(Spec{ID: 99, RaftID: 999}, false)
	conf := r.group.members.conf
	for _, e := range entries {
		if e.GetType() != pb.EntryNormal {
			change, err := decodeChange(e)
			if err != nil {
				l.t.Fatal(err)
			}
			conf = r.group.rn.ApplyConfChange(change)
		}
		last = e.GetIndex()
		confs[last] = conf
	}
	n.destroy(99)
	return last
}

// Members that crash at any moment of their group's changes come back with the
// configuration that they left with, or that of an entry they then apply again.
func TestCrashDuringChanges(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		l := newLab(t, 4, seed, nil)
		l.found(testGroup, false, 1)
		for id := uint64(2); id <= 4; id++ {
			l.node(id).create(Spec{ID: testGroup, RaftID: labRaftID(id), Members: labMembers(1, 2, 3, 4)}, true)
		}
		wish := Wish{Version: 2, Voters: labMembers(2, 3, 4), Others: labMembers(1)}
		for i := 0; ; i++ {
			n := l.nodes[l.rng.Intn(4)]
			n.crash()
			l.ticks(l.rng.Intn(3))
			n.boot()
			l.wish(testGroup, wish)
			l.ticks(20 + l.rng.Intn(20))
			if s := l.leader(testGroup); s != nil && s.replicas[testGroup].group.status().Settled {
				break
			}
			if i == 200 {
				t.Fatalf("seed %d: never settled", seed)
			}
		}
		st := l.leader(testGroup).replicas[testGroup].group.status()
		if slices.Sort(st.Voters); !slices.Equal(st.Voters, []uint64{102, 103, 104}) {
			t.Fatalf("seed %d: voters %v", seed, st.Voters)
		}
	}
}

// State that is ahead of the log is not of the same node, or one of the two lost
// what it had promised to keep.
func TestStateAheadOfTheLogIsRefused(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	l.finish(l.write(n, testGroup, 1))
	store := n.log.Storage(uint64(testGroup))
	last, err := store.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := restorePoint(store, &labMachine{applied: last}); err != nil {
		t.Errorf("state as far as the log: %v", err)
	}
	spec := n.replicas[testGroup].spec
	spec.Machine = &labMachine{applied: last + 1}
	if _, err := newGroup(n.host, spec); err == nil || !strings.Contains(err.Error(), "not of one node") {
		t.Errorf("state ahead of the log: %v", err)
	}
}

// The commit index is stored lazily and may be behind what was applied.
func TestAppliedBeyondStoredCommit(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	l.drain()
	w := l.write(n, testGroup, 1)
	l.drain()
	expect(t, "write", w, nil)
	m := n.replicas[testGroup].machine
	m.durable = m.applied // its state is on disk, the commit index is not
	n.crash()
	n.boot()
	if stored := n.log.Storage(uint64(testGroup)).HardState().GetCommit(); stored >= m.applied {
		t.Fatalf("commit %d was stored, applied is %d; the test proves nothing", stored, m.applied)
	}
	l.until("the replica to lead", func() bool { return l.leader(testGroup) != nil })
	w = l.write(n, testGroup, 3)
	l.finish(w)
	expect(t, "write", w, nil)
}

func TestStoredGroups(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	n := l.node(1)
	n.create(Spec{ID: 5, RaftID: 55, Meta: []byte("five")}, true)
	n.create(Spec{ID: 6, RaftID: 66}, false)
	n.crash()
	n.boot()
	stored, err := StoredGroups(n.log)
	if err != nil || len(stored) != 2 {
		t.Fatalf("%v, %v", stored, err)
	}
	if s := stored[0]; s.ID != 5 || s.RaftID != 55 || !s.Data || string(s.Meta) != "five" {
		t.Errorf("%+v", s)
	}
	if s := stored[1]; s.ID != 6 || s.RaftID != 66 || s.Data || len(s.Meta) != 0 {
		t.Errorf("%+v", s)
	}
}
