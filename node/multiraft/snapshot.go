package multiraft

import (
	"context"
	"errors"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Snapshots, in short. A leader that no longer has the entries that a member
// needs sends it an offer (raft's MsgSnap, which here carries no state). The
// offer does not reach the member's raft: the owner of the replica sees it
// (Group.Offer), fetches the state, as it is by then, from a replica that has it
// (Group.StartSending at the other end), and reopens its own replica over that
// state (Host.Reopen) while everything else goes on. An arbiter has no state: it
// goes on from the place that the offer names.
//
// The leader's raft sends no entries to the member meanwhile. It is told of the
// end, good or bad, and if nothing is heard of the member's attempt for a while
// it starts over: a lost offer, a member that died, a leader that changed, all
// end in another offer by whoever leads then.

// Offer is a leader's word that its log begins behind the end of this replica's.
type Offer struct {
	// Node is where the state can be had.
	Node uint64
	// Point is the leader's truncation point. The state to fetch is not older.
	Point Point
}

// transfer is a snapshot on its way to a member: from the offer to the moment
// at which the member follows the log again.
type transfer struct {
	waiting bool     // raft waits for it
	heard   int64    // tick of the last sign of the member's attempt
	begun   int64    // tick at which its stream began
	sending *Sending // nil if it is not being sent
	// pin is the last entry that the log may lose. That holds for some time after
	// the stream, in which the member catches up.
	pin   uint64
	until int64 // tick
}

func (t *transfer) pins(ticks int64) bool { return t.sending != nil || ticks < t.until }

// patience is for how many ticks nothing need be heard of an offer.
func (h *Host) patience() int64 { return 2 * int64(h.opts.ElectionTicks) }

// offer sends a member raft's offer of a snapshot.
func (g *Group) offer(m *pb.Message) {
	to := m.GetTo()
	switch {
	case g.wished(to, Member.bare):
		// It fetches nothing, and is there at once: the next probe will tell.
		t := g.transferTo(to)
		t.pin = m.GetSnapshot().GetMetadata().GetIndex()
		t.until = g.host.ticks + catchUpTicks
		g.rn.ReportSnapshot(to, raft.SnapshotFinish)
	case g.applier.machine == nil: // nothing to offer
		g.rn.ReportSnapshot(to, raft.SnapshotFailure)
		return
	default:
		g.transferTo(to).heard = g.host.ticks
	}
	g.host.outbox.add(g, m)
}

func (g *Group) transferTo(raftID uint64) *transfer {
	t := g.transfers[raftID]
	if t == nil {
		t = &transfer{}
		g.transfers[raftID] = t
	}
	return t
}

// superviseTransfers ends attempts that nothing was heard of, and forgets the
// members that have caught up.
func (g *Group) superviseTransfers(ticks int64) {
	if len(g.transfers) == 0 && !g.leading() {
		return
	}
	for _, t := range g.transfers {
		t.waiting = false
	}
	if g.leading() {
		g.followTransfers(ticks)
	}
	for id, t := range g.transfers {
		if !t.waiting && !t.pins(ticks) {
			delete(g.transfers, id)
		}
	}
}

func (g *Group) followTransfers(ticks int64) {
	var silent []uint64
	commit := g.rn.BasicStatus().GetCommit()
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		t := g.transfers[id]
		if pr.State == tracker.StateSnapshot {
			if t == nil {
				t = g.transferTo(id)
				t.heard = ticks
			}
			t.waiting = true
			if t.sending == nil && ticks-t.heard >= g.host.patience() {
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
		g.transfers[id].heard = ticks
		g.rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
}

// Sending is a copy of the replica's state on its way to a member.
type Sending struct {
	group *Group
	to    uint64
	ended chan struct{}
}

// What StartSending refuses with.
var (
	// ErrNoState: the replica has no state machine.
	ErrNoState = errors.New("multiraft: no state here")
	// ErrSending: the member is being sent the state already.
	ErrSending = errors.New("multiraft: it is being sent already")
)

// StartSending prepares for copying the replica's state to the member with that
// Raft id: from now on the log keeps what comes behind the state. The caller
// takes a view of the state, and calls End in any case, soon after Stopped is
// closed: the state machine is in use until then.
func (g *Group) StartSending(ctx context.Context, to uint64) (*Sending, error) {
	var s *Sending
	var refused error
	if err := g.host.control(ctx, func() { s, refused = g.startSending(to) }); err != nil {
		return nil, err
	}
	return s, refused
}

func (g *Group) startSending(to uint64) (*Sending, error) {
	if g.detached {
		return nil, ErrClosed
	}
	if g.applier.machine == nil {
		return nil, ErrNoState
	}
	t := g.transferTo(to)
	if t.sending != nil {
		return nil, ErrSending
	}
	s := &Sending{group: g, to: to, ended: make(chan struct{})}
	*t = transfer{heard: g.host.ticks, begun: g.host.ticks, sending: s, pin: g.Applied()}
	return s, nil
}

// Stopped is closed when the replica stops.
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
	s.group.host.inbox.addControl(func() { s.group.endSending(s.to, ok) })
	close(s.ended)
}

// catchUpTicks is for how long the log keeps at least what a member needs that
// has just got a snapshot.
const catchUpTicks = 200

func (g *Group) endSending(to uint64, ok bool) {
	if g.detached {
		return
	}
	t, ticks := g.transferTo(to), g.host.ticks
	t.sending, t.heard = nil, ticks
	status := raft.SnapshotFailure
	if ok {
		status = raft.SnapshotFinish
		// What came in while the snapshot was sent may take as long again.
		t.until = ticks + max(catchUpTicks, 2*(ticks-t.begun))
	}
	g.rn.ReportSnapshot(to, status)
}

// offered takes an offer in. One that this replica does not need is raft's to
// answer, so that the leader learns where it stands.
func (g *Group) offered(node uint64, m *pb.Message) {
	meta := m.GetSnapshot().GetMetadata()
	if meta.GetIndex() <= g.rn.BasicStatus().GetCommit() {
		_ = g.rn.Step(m)
		return
	}
	g.offers.Store(&Offer{
		Node:  node,
		Point: Point{Index: meta.GetIndex(), Term: meta.GetTerm(), Conf: pb.EnsureConfState(meta.GetConfState())},
	})
	g.host.notify(g.id)
}

// Offer returns the last offer, nil if there is none that the replica needs.
func (g *Group) Offer() *Offer { return g.offers.Load() }

// Decline forgets an offer that could not be taken: if it is still needed there
// will be another.
func (g *Group) Decline(o *Offer) { g.offers.CompareAndSwap(o, nil) }

// reviewOffer forgets an offer that the log has caught up with.
func (g *Group) reviewOffer() {
	if o := g.offers.Load(); o != nil && o.Point.Index <= g.rn.BasicStatus().GetCommit() {
		g.offers.Store(nil)
	}
}
