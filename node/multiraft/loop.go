package multiraft

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// step is one turn of the loop: it takes all input, lets every group that has
// something to do propose and produce its Ready, and hands messages to the
// peers and appends to the persister. It returns when it wants to be called
// again even if nothing arrives, or the zero time.
func (h *Host) step(now time.Time, tick bool) time.Time {
	if h.failed.Load() {
		return time.Time{}
	}
	h.now = now
	in := h.inbox.take()
	if tick {
		h.tick()
	}
	h.receiveSome(in.frames, now)
	for _, s := range in.stored {
		for _, m := range s.responses {
			s.group.stepLocal(m)
		}
	}
	for _, a := range in.applied {
		a.group.noteApplied(a, now)
	}
	for _, fn := range in.controls {
		fn()
	}
	for _, s := range in.calls {
		s.group.enqueue(s, h.ticks)
	}
	in.reset()

	var next time.Time
	for _, g := range h.order {
		next = sooner(next, g.turn(now))
	}
	h.persist.wake()
	next = sooner(next, h.outbox.flush(now))
	h.inbox.setWanted(h.order)
	return next
}

// sooner returns the earlier of two times, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// tick advances raft's clock by one tick, whatever time has really passed.
func (h *Host) tick() {
	h.ticks++
	for _, g := range h.order {
		g.tick(h.ticks)
	}
}

// maxTurn is how many bytes of frames one turn handles, unless the first is larger.
const maxTurn = 8 << 20

// receiveSome handles frames in the order in which they came, those first that a
// turn before has left. It leaves some itself if they are many bytes: what is due
// to be sent, above all heartbeats, does not wait for them.
func (h *Host) receiveSome(frames []frameIn, now time.Time) {
	if len(h.backlog) > 0 {
		h.backlog = append(h.backlog, frames...)
		frames = h.backlog
	}
	size, n := 0, 0
	for ; n < len(frames) && (n == 0 || size+len(frames[n].frame) <= maxTurn); n++ {
		size += len(frames[n].frame)
		h.receive(frames[n], now)
	}
	h.inbox.handled(frames[:n])
	rest := slices.Clone(frames[n:])
	if h.backlog = rest; len(rest) > 0 {
		h.inbox.signal()
	}
}

// receive steps the messages of one frame.
func (h *Host) receive(f frameIn, now time.Time) {
	err := decodeFrame(f.frame, h.cluster.Load(), func(id GroupID, m *pb.Message) {
		g := h.groups[id]
		if g == nil || m.GetTo() != g.raftID {
			return // a group that left, or a membership that ended
		}
		g.receive(f.node, m, now)
	})
	if err != nil && !errors.Is(err, errForeign) {
		h.opts.Logger.Warn("dropped a frame", "node", f.node, "error", err)
	}
}

// complaintTicks is how long the log is silent after a complaint about a peer.
const complaintTicks = 200

// complain logs that a message was dropped, though not each of a flood.
func (h *Host) complain(node uint64, group GroupID, m *pb.Message, reason string) {
	if h.complained != 0 && h.ticks-h.complained < complaintTicks {
		return
	}
	h.complained = max(h.ticks, 1)
	h.opts.Logger.Error("dropped a message of a peer", "node", fmt.Sprintf("%016x", node), "group", fmt.Sprintf("%016x", uint64(group)),
		"type", m.GetType(), "term", m.GetTerm(), "index", m.GetIndex(), "commit", m.GetCommit(), "reason", reason)
}

// attach makes a group part of the loop.
func (h *Host) attach(g *Group) {
	h.groups[g.id] = g
	h.order = append(h.order, g)
	slices.SortStableFunc(h.order, func(a, b *Group) int {
		switch {
		case a.prompt == b.prompt:
			return 0
		case a.prompt:
			return -1
		default:
			return 1
		}
	})
	g.open()
}

// detach takes a group out of the loop and ends its calls.
func (h *Host) detach(id GroupID) *Group {
	g := h.groups[id]
	if g == nil {
		return nil
	}
	delete(h.groups, id)
	h.order = slices.DeleteFunc(h.order, func(o *Group) bool { return o == g })
	g.shut()
	return g
}

// notify tells the owner that a group's leadership or membership changed.
func (h *Host) notify(id GroupID) {
	if h.opts.Notify != nil {
		h.opts.Notify(id)
	}
}

// turn lets the group act on everything that it was given.
func (g *Group) turn(now time.Time) time.Time {
	if g.detached {
		return time.Time{}
	}
	defer g.reviewWaits()
	for {
		wake := sooner(g.proposer.step(now), g.reader.start(now))
		if !g.rn.HasReady() {
			return wake
		}
		for g.rn.HasReady() {
			g.handle(g.rn.Ready())
		}
		// What was handled may have made way for the next round, or begun a
		// gather whose end the loop must not miss.
	}
}

// handle distributes one Ready.
func (g *Group) handle(rd raft.Ready) {
	if rd.SoftState != nil || rd.HardState != nil {
		g.noteState()
	}
	for _, rs := range rd.ReadStates {
		g.reader.confirm(rs)
	}
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			g.append(m)
		case raft.LocalApplyThread:
			g.applyMessage(m)
		default:
			g.send(m)
		}
	}
}

// send passes a message of raft's on to a peer.
func (g *Group) send(m *pb.Message) {
	switch m.GetType() {
	case pb.MsgSnap:
		g.sender.offer(m)
		return
	case pb.MsgHeartbeat:
		g.trimmer.tell(m)
		g.tellCommitted(m)
	case pb.MsgHeartbeatResp:
		g.hasState(m)
	}
	g.host.outbox.add(g, m)
}

// append hands raft's entries and state to the persister. A message that only
// moves the commit index needs no write of its own: the index is derived again
// after a restart, so it travels with the next append.
func (g *Group) append(m *pb.Message) {
	g.proposer.noteProposed(m.GetEntries())
	g.log.note(m)
	if len(m.GetEntries()) == 0 && len(m.GetResponses()) == 0 && !g.log.voted() {
		return
	}
	task := appendTask{group: g, entries: m.GetEntries(), responses: m.GetResponses()}
	task.hard, task.sync = g.log.take()
	task.sync = task.sync || len(task.entries) > 0
	g.host.persist.add(task)
}

// logState is what raft wants the log to have of a group, and what the persister was
// given of that.
type logState struct {
	// last is the last entry that raft has: of the log or on its way there.
	last  uint64
	hard  *pb.HardState
	dirty bool // hard has changed since the persister was given it
	// queuedTerm and queuedVote are what the persister was last given.
	queuedTerm, queuedVote uint64
}

// note takes in what raft wants to be stored.
func (l *logState) note(m *pb.Message) {
	if n := len(m.GetEntries()); n > 0 {
		l.last = m.GetEntries()[n-1].GetIndex()
	}
	if m.Term != nil {
		l.hard = &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		l.dirty = true
	}
}

// voted reports whether the persister was given another term or vote.
func (l *logState) voted() bool {
	return l.hard.GetTerm() != l.queuedTerm || l.hard.GetVote() != l.queuedVote
}

// take returns the hard state if it has changed since it was last taken, and whether
// it has to be synced for the sake of its term or vote.
func (l *logState) take() (hard *pb.HardState, sync bool) {
	if !l.dirty {
		return nil, false
	}
	sync = l.voted()
	l.queuedTerm, l.queuedVote = l.hard.GetTerm(), l.hard.GetVote()
	l.dirty = false
	return l.hard, sync
}

// applyMessage hands committed entries to the applier. A member without a
// state machine has nothing to do but to follow membership changes.
func (g *Group) applyMessage(m *pb.Message) {
	if g.applier.machine != nil {
		g.applier.add(m)
		return
	}
	a := applied{group: g, response: m.GetResponses()[0]}
	for _, e := range m.GetEntries() {
		if e.GetType() != pb.EntryNormal {
			a.changes = append(a.changes, e)
		}
	}
	entries := m.GetEntries()
	last := entries[len(entries)-1]
	g.setApplied(last.GetIndex(), last.GetTerm())
	g.reader.release()
	g.noteApplied(a, time.Time{})
}
