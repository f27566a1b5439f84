package multiraft

import (
	"fmt"
	"math"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal"
)

// What is here works on the log of a process that does not run: a group that has
// lost its majority for good is given up, and another one, with an id of its own,
// begins from one member's state. Nobody of the former group can reach the new
// one, whoever of it comes back.

// Tail returns what the log of a stored member holds behind the entry applied, be
// it committed or not, and the log's last entry, with the membership as of it. What
// it returns has no Calls.
func Tail(log *wal.Log, id GroupID, applied uint64) (tail []Committed, last Point, err error) {
	store := log.Storage(uint64(id))
	if store == nil {
		return nil, last, fmt.Errorf("group %016x: the log holds no such group", uint64(id))
	}
	if last.Index, err = store.LastIndex(); err != nil {
		return nil, last, err
	}
	if last.Term, err = store.Term(last.Index); err != nil {
		return nil, last, err
	}
	if last.Conf, err = confAt(store, last.Index); err != nil {
		return nil, last, err
	}
	if start, _, _ := store.Truncated(); applied < start || applied > last.Index {
		return nil, last, fmt.Errorf("group %016x: the state has applied entry %d, the log goes from %d to %d: they are not of one node", uint64(id), applied, start, last.Index)
	}
	if applied == last.Index {
		return nil, last, nil
	}
	entries, err := store.Entries(applied+1, last.Index+1, math.MaxUint64)
	if err != nil {
		return nil, last, err
	}
	for _, e := range entries {
		c, err := committed(e)
		if err != nil {
			return nil, last, fmt.Errorf("group %016x, index %d: %w", uint64(id), e.GetIndex(), err)
		}
		tail = append(tail, c)
	}
	return tail, last, nil
}

// Succeed puts another group in the place of the stored group old, in one synced
// step of the log with the process's identity: after a crash the log has the one or
// the other. With at, the new group has its one voter here, and goes on behind the
// entry at from the state that spec's machine durably holds; without, the member
// waits to be added.
func Succeed(log *wal.Log, old GroupID, spec Spec, at *Point, identity []byte) error {
	var b wal.Batch
	if err := (Change{Remove: []GroupID{old}, Create: []Spec{spec}, Identity: identity}).record(&b); err != nil {
		return err
	}
	if at != nil {
		b.Truncate(uint64(spec.ID), at.Index, at.Term, &pb.ConfState{Voters: []uint64{spec.RaftID}})
		b.Append(uint64(spec.ID), &pb.HardState{Term: new(at.Term), Vote: new(uint64(0)), Commit: new(at.Index)}, nil)
	}
	return log.Write(&b)
}
