package multiraft

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// How old what a follower answers may be is judged by its own clock alone: it
// notes when its leader told it what is committed, and when it had applied that,
// its state was no older than the telling. A replica that has yet to receive its
// data, or lags, does not become younger by hearing of its leader.
//
// Raft caps the commit index of a heartbeat by what the receiver is known to
// store, so the leader's own goes along, in a field that heartbeats do not use.

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

// hearCommitted takes in what a leader says is committed.
func (g *Group) hearCommitted(m *pb.Message) {
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
		g.young(now)
	case g.unreached.commit == 0:
		// A later word would never be reached while more is committed all the time.
		g.unreached = word{commit, now}
	}
}

// noteYoung follows what was applied.
func (g *Group) noteYoung() {
	applied := g.appliedIndex.Load()
	if g.unreached.commit != 0 && g.unreached.commit <= applied {
		g.young(g.unreached.at)
	}
	if applied >= g.openCommit && g.openCommit > 0 {
		g.complete.Store(true)
	}
}

func (g *Group) young(at time.Duration) {
	g.youngAt.Store(int64(max(at, 1)))
	g.unreached = word{}
	g.complete.Store(true)
}

// Complete reports whether the state machine has ever caught up since the replica
// was opened: with a leader, or with what the replica's own log said was committed.
// One that is built up from the log, or waits for its data, has not. Any goroutine
// may call it.
func (g *Group) Complete() bool { return g.complete.Load() || g.Leads() }

// Age returns how old the applied state may be: it holds everything that had been
// committed so long ago. ok is false if this replica has not caught up with a
// leader since it was opened. Any goroutine may call it.
func (g *Group) Age() (age time.Duration, ok bool) {
	if g.Leads() {
		return 0, true
	}
	at := g.youngAt.Load()
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
