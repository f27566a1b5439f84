package multiraft

import (
	"context"
	"errors"
	"math"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/genuineh/aikv/node/sched"
)

// Snapshots, in short. A leader that no longer has the entries that a member
// needs sends it an offer (raft's MsgSnap, which here carries no state). The
// offer does not reach the member's raft: the owner of the Group there sees it
// (Group.Offer), fetches the state, as it is by then, from a member that has it
// (Group.StartSending at the other end), and reopens its own Group over that
// state (Host.Reopen) while everything else goes on. An arbiter has no state: it
// goes on from the place that the offer names.
//
// The leader's raft sends no entries to the member meanwhile. It is told of the
// end, good or bad, and if nothing is heard of the member's attempt for a while
// it starts over: a lost offer, a member that died, a leader that changed, all
// end in another offer by whoever leads then.

// sender is what a leader knows of the snapshots that it has offered to members, and
// what this member knows of those that it sends. It belongs to the loop.
type sender struct {
	group     *Group
	snapshots map[uint64]*outSnapshot // by the member's Raft id
}

// outSnapshot is a snapshot on its way to a member: from the offer to the moment
// at which the member follows the log again.
type outSnapshot struct {
	waiting bool     // raft waits for it
	heard   int64    // tick of the last sign of the member's attempt
	begun   int64    // tick at which its stream began
	sending *Sending // nil if it is not being sent
	// pin is the last entry that the log may lose. That holds for some time after
	// the stream, in which the member catches up.
	pin   uint64
	until int64 // tick
}

func (t *outSnapshot) pins(ticks int64) bool { return t.sending != nil || ticks < t.until }

// patience is for how many ticks nothing need be heard of an offer.
func (h *Host) patience() int64 { return 2 * int64(h.opts.ElectionTicks) }

// offer sends a member raft's offer of a snapshot.
func (s *sender) offer(m *pb.Message) {
	g, to := s.group, m.GetTo()
	switch {
	case g.wished(to, Member.bare):
		// It fetches nothing, and is there at once: the next probe will tell.
		t := s.to(to)
		t.pin = m.GetSnapshot().GetMetadata().GetIndex()
		t.until = g.host.ticks + catchUpTicks
		g.rn.ReportSnapshot(to, raft.SnapshotFinish)
	case g.applier.machine == nil: // nothing to offer
		g.rn.ReportSnapshot(to, raft.SnapshotFailure)
		return
	default:
		s.to(to).heard = g.host.ticks
	}
	g.host.outbox.add(g, m)
}

// to returns the member's snapshot, a new one if there is none.
func (s *sender) to(raftID uint64) *outSnapshot {
	t := s.snapshots[raftID]
	if t == nil {
		t = &outSnapshot{}
		s.snapshots[raftID] = t
	}
	return t
}

// supervise ends attempts that nothing was heard of, and forgets the members that
// have caught up.
func (s *sender) supervise(ticks int64) {
	leading := s.group.leading()
	if len(s.snapshots) == 0 && !leading {
		return
	}
	for _, t := range s.snapshots {
		t.waiting = false
	}
	if leading {
		s.follow(ticks)
	}
	for id, t := range s.snapshots {
		if !t.waiting && !t.pins(ticks) {
			delete(s.snapshots, id)
		}
	}
}

// follow looks up how far the members are, and has raft start over with those that
// nothing was heard of.
func (s *sender) follow(ticks int64) {
	var silent []uint64
	rn := s.group.rn
	commit := rn.BasicStatus().GetCommit()
	rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		t := s.snapshots[id]
		if pr.State == tracker.StateSnapshot {
			if t == nil {
				t = s.to(id)
				t.heard = ticks
			}
			t.waiting = true
			if t.sending == nil && ticks-t.heard >= s.group.host.patience() {
				silent = append(silent, id)
			}
		}
		if t == nil {
			return
		}
		t.pin = max(t.pin, pr.Match)
		if caughtUp(&pr, commit) {
			t.until = 0
		}
	})
	for _, id := range silent {
		s.snapshots[id].heard = ticks
		rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
}

// pin returns the last entry that the log may lose for the sake of those members.
func (s *sender) pin(ticks int64) uint64 {
	pin := uint64(math.MaxUint64)
	for _, t := range s.snapshots {
		if t.pins(ticks) {
			pin = min(pin, t.pin)
		}
	}
	return pin
}

// wait returns once nobody sends the state any more; the group was shut.
func (s *sender) wait() {
	for _, t := range s.snapshots {
		if t.sending != nil {
			sched.Wait(s.group.host.opts.Sched, time.Time{}, t.sending.ended)
		}
	}
}

// Sending is a copy of this member's state on its way to another one.
type Sending struct {
	group *Group
	to    uint64
	ended chan struct{}
}

// What StartSending refuses with.
var (
	// ErrNoState: the member has no state machine.
	ErrNoState = errors.New("multiraft: no state here")
	// ErrSending: the member is being sent the state already.
	ErrSending = errors.New("multiraft: it is being sent already")
)

// StartSending prepares for copying this member's state to the one with that
// Raft id: from now on the log keeps what comes behind the state. The caller
// takes a view of the state, and calls End in any case, soon after Stopped is
// closed: the state machine is in use until then.
func (g *Group) StartSending(ctx context.Context, to uint64) (*Sending, error) {
	var s *Sending
	var refused error
	if err := g.host.control(ctx, func() { s, refused = g.sender.start(to) }); err != nil {
		return nil, err
	}
	return s, refused
}

func (s *sender) start(to uint64) (*Sending, error) {
	g := s.group
	if g.detached {
		return nil, ErrClosed
	}
	if g.applier.machine == nil {
		return nil, ErrNoState
	}
	t := s.to(to)
	if t.sending != nil {
		return nil, ErrSending
	}
	sending := &Sending{group: g, to: to, ended: make(chan struct{})}
	*t = outSnapshot{heard: g.host.ticks, begun: g.host.ticks, sending: sending, pin: g.Applied()}
	return sending, nil
}

// Stopped is closed when the member stops.
func (s *Sending) Stopped() <-chan struct{} { return s.group.gone }

// Point describes the state of a view that was taken after StartSending and has
// applied the entries up to index.
func (s *Sending) Point(index uint64) (Point, error) {
	p, err := pointAt(s.group.store, index)
	if err != nil {
		return Point{}, err
	}
	return *p, nil
}

// End says how it went: ok means that the member follows the log from the
// state's place on.
func (s *Sending) End(ok bool) {
	s.group.host.inbox.addControl(func() { s.group.sender.end(s.to, ok) })
	close(s.ended)
}

// catchUpTicks is for how long the log keeps at least what a member needs that
// has just got a snapshot.
const catchUpTicks = 200

// end takes in how the stream to a member went.
func (s *sender) end(to uint64, ok bool) {
	g := s.group
	if g.detached {
		return
	}
	t, ticks := s.to(to), g.host.ticks
	t.sending, t.heard = nil, ticks
	status := raft.SnapshotFailure
	if ok {
		status = raft.SnapshotFinish
		// What came in while the snapshot was sent may take as long again.
		t.until = ticks + max(catchUpTicks, 2*(ticks-t.begun))
	}
	g.rn.ReportSnapshot(to, status)
}
