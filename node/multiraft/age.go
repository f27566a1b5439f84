package multiraft

import (
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// How old what a follower answers may be is judged by its own clock alone: it
// notes when its leader told it what is committed, and when it had applied that,
// its state was no older than the telling. A member that has yet to receive its
// data, or lags, does not become younger by hearing of its leader.
//
// Raft caps the commit index of a heartbeat by what the receiver is known to
// store, so the leader's own goes along, in a field that heartbeats do not use.

// freshness is what a follower knows of the age of its applied state.
type freshness struct {
	group *Group
	// unreached is the word of a leader that is not applied yet (the loop's);
	// youngAt is when, on Host.monotonic, a leader told what has been applied since.
	unreached word
	youngAt   atomic.Int64
	// complete is what Complete says; openCommit is what was committed when the
	// member was opened.
	complete   atomic.Bool
	openCommit uint64
}

// word is what a leader said to be committed.
type word struct {
	commit uint64 // 0: nothing
	at     time.Duration
}

// tellCommitted adds to a heartbeat what its sender knows to be committed.
func (g *Group) tellCommitted(m *pb.Message) {
	if commit := g.rn.BasicStatus().GetCommit(); commit > m.GetCommit() {
		m.Reject, m.RejectHint = new(true), new(commit) // the one travels with the other
	}
}

// hear takes in what a leader says is committed.
func (f *freshness) hear(m *pb.Message) {
	g := f.group
	if m.GetTerm() < g.lead.Load().term {
		return // raft will not follow it
	}
	commit := m.GetCommit()
	switch {
	case m.GetType() == pb.MsgHeartbeat && !hint(m):
		commit = max(commit, m.GetRejectHint())
	case m.GetType() != pb.MsgApp:
		return
	}
	switch now := g.host.monotonic(); {
	case commit <= g.appliedIndex.Load():
		f.young(now)
	case f.unreached.commit == 0:
		// A later word would never be reached while more is committed all the time.
		f.unreached = word{commit, now}
	}
}

// noteApplied follows what was applied.
func (f *freshness) noteApplied() {
	applied := f.group.appliedIndex.Load()
	if f.unreached.commit != 0 && f.unreached.commit <= applied {
		f.young(f.unreached.at)
	}
	if applied >= f.openCommit && f.openCommit > 0 {
		f.complete.Store(true)
	}
}

// young notes that the state is no older than what a leader told then.
func (f *freshness) young(at time.Duration) {
	f.youngAt.Store(int64(max(at, 1)))
	f.unreached = word{}
	f.complete.Store(true)
}

// Complete reports whether the state machine has ever caught up since the member
// was opened: with a leader, or with what the member's own log said was committed.
// One that is built up from the log, or waits for its data, has not. Any goroutine
// may call it.
func (g *Group) Complete() bool { return g.fresh.complete.Load() || g.Leads() }

// Age returns how old the applied state may be: it holds everything that had been
// committed so long ago. ok is false if this member has not caught up with a
// leader since it was opened. Any goroutine may call it.
func (g *Group) Age() (age time.Duration, ok bool) {
	if g.Leads() {
		return 0, true
	}
	at := g.fresh.youngAt.Load()
	return g.host.monotonic() - time.Duration(at), at != 0
}

// monotonic is a clock from any zero that does not jump; where it can, it counts
// while the machine sleeps.
func (h *Host) monotonic() time.Duration {
	if h.opts.Uptime != nil {
		return h.opts.Uptime()
	}
	return h.opts.Now().Sub(h.begun)
}
