package multiraft

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal"
)

// The tail of a stored log has what the state lacks, committed or not; then a group
// of another id stands in the former one's place, with one voter that goes on behind
// that, or with none.
func TestSucceed(t *testing.T) {
	log, err := wal.Open(wal.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	const old, next = GroupID(7), GroupID(8)
	founded := Change{Create: []Spec{{ID: old, RaftID: 1, Machine: &counted{}, Bootstrap: true}}, Identity: []byte("before")}
	var b wal.Batch
	if err := founded.record(&b); err != nil {
		t.Fatal(err)
	}
	var entries []*pb.Entry
	for i := uint64(2); i <= 4; i++ {
		entries = append(entries, &pb.Entry{Type: pb.EntryNormal.Enum(), Term: new(uint64(3)), Index: new(i)})
	}
	b.Append(uint64(old), &pb.HardState{Term: new(uint64(3)), Commit: new(uint64(2))}, entries)
	if err := log.Write(&b); err != nil {
		t.Fatal(err)
	}

	tail, last, err := Tail(log, old, 1)
	if err != nil || len(tail) != 3 || tail[0].Index != 2 || tail[2].Index != 4 || last.Index != 4 || last.Term != 3 ||
		len(last.Conf.GetVoters()) != 1 {
		t.Fatalf("%v, %v, %v", tail, last, err)
	}
	if tail, _, err := Tail(log, old, 4); err != nil || len(tail) != 0 {
		t.Errorf("nothing is missing: %v, %v", tail, err)
	}
	for id, applied := range map[GroupID]uint64{old: 5, next: 0} {
		if _, _, err := Tail(log, id, applied); err == nil {
			t.Errorf("group %d behind %d: no error", id, applied)
		}
	}

	machine := &counted{applied: 5}
	if err := Succeed(log, old, Spec{ID: next, RaftID: 9, Machine: machine}, &Point{Index: 5, Term: 4}, []byte("after")); err != nil {
		t.Fatal(err)
	}
	stored, err := StoredGroups(log)
	if err != nil || len(stored) != 1 || stored[0].ID != next || stored[0].RaftID != 9 || !stored[0].Data || !stored[0].Alone || string(log.Identity()) != "after" {
		t.Fatalf("%+v, %q, %v", stored, log.Identity(), err)
	}
	applied, conf, err := restorePoint(log.Storage(uint64(next)), machine)
	if err != nil || applied != 5 || len(conf.GetVoters()) != 1 || conf.GetVoters()[0] != 9 {
		t.Errorf("goes on at %d with %v, %v", applied, conf, err)
	}

	if err := Succeed(log, next, Spec{ID: old, RaftID: 9, Machine: &counted{}}, nil, []byte("elsewhere")); err != nil {
		t.Fatal(err)
	}
	stored, err = StoredGroups(log)
	if err != nil || len(stored) != 1 || stored[0].ID != old || stored[0].Alone {
		t.Errorf("%+v, %v", stored, err)
	}
}

// counted is a Machine that only says how far it is.
type counted struct {
	Machine
	applied uint64
}

func (c *counted) Applied() uint64 { return c.applied }
