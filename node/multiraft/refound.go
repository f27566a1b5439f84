package multiraft

import (
	"context"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/genuineh/aikv/node/wal"
)

// Refound gives a group up that has lost its majority for good, and begins it again
// from this process's member: under the Raft id of spec, which the group has never
// seen, as its only voter, over its own state and log. Everything that the log holds
// counts as committed from then on, whether it was or not; the former members and
// their votes count for nothing. The new group's terms are above term and above any
// that the member knows.
//
// It is one step of the log, with the spec's Meta: after a crash the member is the
// former one or the new one. The spec's machine is the former member's own, which
// is not used meanwhile. Calls end as with Reopen. After an error the member does
// not run.
func (h *Host) Refound(ctx context.Context, spec Spec, term uint64) (*Group, error) {
	var old *Group
	if err := h.control(ctx, func() { old = h.detach(spec.ID) }); err != nil {
		return nil, err
	}
	if old == nil {
		return nil, fmt.Errorf("group %016x: there is no such member here", uint64(spec.ID))
	}
	old.wait()
	// What the member still had to append is read back from the log.
	if err := h.persist.write(func(*wal.Batch) error { return nil }); err != nil {
		return nil, err
	}
	if err := h.persist.write(func(b *wal.Batch) error { return old.refounding(b, spec, term) }); err != nil {
		return nil, err
	}
	return h.Open(ctx, spec)
}

// refounding adds to a batch what makes the stopped member the only one of its
// group: membership changes behind the end of its log, all of it committed.
func (g *Group) refounding(b *wal.Batch, spec Spec, term uint64) error {
	last, err := g.store.LastIndex()
	if err != nil {
		return err
	}
	conf, err := confAt(g.store, last)
	if err != nil {
		return err
	}
	var changes []*pb.ConfChangeV2
	if len(conf.GetVotersOutgoing()) > 0 {
		changes = append(changes, &pb.ConfChangeV2{}) // out of a joint configuration first
		if conf, err = foldChange(conf, last, changes[0]); err != nil {
			return err
		}
	}
	changes = append(changes, succession(conf, spec.RaftID), &pb.ConfChangeV2{})
	term = max(term, g.log.hard.GetTerm()) + 1
	var entries []*pb.Entry
	for _, change := range changes {
		data, err := proto.Marshal(change)
		if err != nil {
			return err
		}
		last++
		entries = append(entries, &pb.Entry{Type: pb.EntryConfChangeV2.Enum(), Term: new(term), Index: new(last), Data: data})
	}
	b.SetGroupMeta(uint64(g.id), recordOf(spec).encode())
	b.Append(uint64(g.id), &pb.HardState{Term: new(term), Vote: new(uint64(0)), Commit: new(last)}, entries)
	b.SetSync(true)
	return nil
}

// succession puts the member in the place of all others. The change is left by an
// entry of its own, not by raft: nobody leads yet who could propose that.
func succession(conf *pb.ConfState, raftID uint64) *pb.ConfChangeV2 {
	change := &pb.ConfChangeV2{
		Transition: pb.ConfChangeTransitionJointExplicit.Enum(),
		Changes:    []*pb.ConfChangeSingle{single(pb.ConfChangeAddNode, raftID)},
	}
	for _, ids := range [][]uint64{conf.GetVoters(), conf.GetLearners()} {
		for _, id := range ids {
			change.Changes = append(change.Changes, single(pb.ConfChangeRemoveNode, id))
		}
	}
	return change
}
