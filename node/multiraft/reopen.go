package multiraft

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal"
)

// ErrObsolete is what Reopen refuses with when the member cannot, or need not,
// go on from that state any more. Nothing has changed.
var ErrObsolete = errors.New("multiraft: not the state to go on from")

// ErrNeeded is what Reopen refuses with when a member is to lose its state
// machine, and it is not known yet that the members that serve hold all that its
// log has lost. Nothing has changed; it passes when they have caught up.
var ErrNeeded = errors.New("multiraft: others do not hold this state yet")

// Reopen stops a member and starts it again as spec says, under the same Raft
// id and, for the group's other members, without a gap. Two things can change:
//
//   - Whether the member has a state machine. One that it did not have applies
//     the log from its own applied index on, which must not be before the log's
//     start.
//   - With at, the place from which it goes on: that of a fetched state, which
//     the spec's machine holds durably, or for a member without a state machine
//     that of an offer. What the log has up to there is dropped, in one batch
//     with the spec's Meta: a crash leaves either the former state and log or
//     the new ones, and Meta tells which.
//
// Calls that wait end with ErrClosed or, if they were appended, ErrUncertain. The
// former state machine is the caller's again on return, unless the error is
// ErrObsolete or ErrNeeded: then the member goes on as it was. After any other error it does
// not run.
func (h *Host) Reopen(ctx context.Context, spec Spec, at *Point) (*Group, error) {
	var old *Group
	var refused error
	if err := h.control(ctx, func() {
		if refused = h.mayReopen(spec, at); refused == nil {
			old = h.detach(spec.ID)
		}
	}); err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	old.wait()
	// The write comes after everything that the member still had to append.
	if err := h.persist.write(func(b *wal.Batch) error { return old.reopening(b, spec, at) }); err != nil {
		return nil, err
	}
	return h.Open(ctx, spec)
}

// mayReopen runs in the loop.
func (h *Host) mayReopen(spec Spec, at *Point) error {
	g := h.groups[spec.ID]
	if g == nil || g.raftID != spec.RaftID {
		return fmt.Errorf("group %016x: %w: there is no such member here", uint64(spec.ID), ErrObsolete)
	}
	start := g.trimmer.cut // where the log will begin by then
	if spec.Machine == nil && g.hasMachine() && (start > g.trimmer.heldToServe || !g.led()) {
		return fmt.Errorf("group %016x: %w: others hold what is up to %d, the log begins behind %d", uint64(spec.ID), ErrNeeded, g.trimmer.heldToServe, start)
	}
	if at == nil {
		if spec.Machine != nil && spec.Machine.Applied() < start {
			return fmt.Errorf("group %016x: %w: it ends at %d, the log begins behind %d", uint64(spec.ID), ErrObsolete, spec.Machine.Applied(), start)
		}
		return nil
	}
	if spec.Machine != nil && spec.Machine.Applied() != at.Index {
		return fmt.Errorf("group %016x: a state as of %d was taken for one of %d", uint64(spec.ID), spec.Machine.Applied(), at.Index)
	}
	gains := g.applier.machine == nil && spec.Machine != nil
	switch {
	case at.Index < start, !gains && at.Index <= g.Applied():
		return fmt.Errorf("group %016x: %w: the member is beyond %d", uint64(spec.ID), ErrObsolete, at.Index)
	case g.leading():
		return fmt.Errorf("group %016x: %w: the member leads", uint64(spec.ID), ErrObsolete)
	}
	return nil
}

// led reports whether the member leads, or has just heard of who does.
func (g *Group) led() bool { return g.leading() || g.quiet <= 2*g.host.opts.HeartbeatTicks }

// reopening adds to a batch what changes in the log. The group has stopped, so
// that its state is whoever calls's to read.
func (g *Group) reopening(b *wal.Batch, spec Spec, at *Point) error {
	id := uint64(g.id)
	next := recordOf(spec)
	next.members = knownMembers(g.record.members, spec.Members)
	b.SetGroupMeta(id, next.encode())
	if at != nil {
		b.Truncate(id, at.Index, at.Term, at.Conf)
		// The state may be of a later term than this member has seen. In that
		// term it has not voted.
		hard := &pb.HardState{
			Term: new(max(g.log.hard.GetTerm(), at.Term)), Vote: new(g.log.hard.GetVote()), Commit: new(max(g.log.hard.GetCommit(), at.Index)),
		}
		if hard.GetTerm() != g.log.hard.GetTerm() {
			hard.Vote = new(uint64(0))
		}
		b.Append(id, hard, nil)
	}
	b.SetSync(true)
	return nil
}
