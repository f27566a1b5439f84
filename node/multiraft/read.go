package multiraft

import (
	"encoding/binary"
	"time"

	"go.etcd.io/raft/v3"
)

// round is one ReadIndex round and the reads that share it. They were all asked
// for before it began, which is what makes them linearizable.
type round struct {
	context uint64
	calls   []*Call // none if it only renews the lease
	sent    int64   // ticks
	// For the lease: when it began, on Options.Uptime, and in which term.
	began time.Duration
	term  uint64
}

// readWait are confirmed reads that wait until their index is applied.
type readWait struct {
	index uint64
	calls []*Call
}

func (w readWait) end(err error) { endAll(w.calls, err) }

// startRound begins a round for the waiting reads unless one is under way or
// more reads are about to come. It returns when to try again.
func (g *Group) startRound(now time.Time) time.Time {
	if g.round != nil || !g.mayAsk() {
		return time.Time{}
	}
	g.reads.limit = g.host.opts.Gather
	if ready, wake := g.reads.ready(now); !ready {
		return wake
	}
	g.reads.want = 0
	g.round = &round{calls: g.reads.take()}
	g.sendRound()
	return time.Time{}
}

// wantReads returns how many more reads the loop wants to be woken for.
func (g *Group) wantReads() int {
	if g.round != nil {
		return holdAll
	}
	return g.reads.missing(g.host.now)
}

// mayAsk reports whether raft may be asked for a read index. A leader that has
// not applied an entry of its own term must not: raft would answer a one-voter
// group at once, even when it has just restarted and applied nothing.
func (g *Group) mayAsk() bool {
	l := g.lead.Load()
	return l.leader != raft.None && (l.role != raft.StateLeader || g.Leads())
}

// sendRound asks raft under a context of its own: a late answer to an earlier
// attempt confirms nothing.
func (g *Group) sendRound() {
	g.rounds++
	g.round.context = g.rounds
	g.round.sent = g.host.ticks
	if uptime := g.host.opts.Uptime; uptime != nil {
		g.round.began, g.round.term = uptime(), g.lead.Load().term
	}
	g.rn.ReadIndex(binary.LittleEndian.AppendUint64(nil, g.round.context))
}

// retryRound asks again when messages of the round may have been lost.
func (g *Group) retryRound(ticks int64) {
	if g.round == nil {
		return
	}
	if ticks-g.round.sent <= int64(2*g.host.opts.HeartbeatTicks) {
		return
	}
	switch {
	case len(g.round.calls) == 0:
		g.round = nil
		g.renewing.Store(false)
	case g.mayAsk():
		g.sendRound()
	}
}

// confirm takes raft's confirmation of a round: its reads may be answered once
// the index is applied.
func (g *Group) confirm(rs raft.ReadState) {
	if g.round == nil || len(rs.RequestCtx) != 8 ||
		binary.LittleEndian.Uint64(rs.RequestCtx) != g.round.context {
		return
	}
	w := readWait{rs.Index, g.round.calls}
	g.takeLease(g.round)
	g.round = nil
	if len(w.calls) == 0 {
		return
	}
	g.reads.answered(len(w.calls)+g.host.inbox.pending(g, true), g.host.now)
	g.mu.Lock()
	ready := g.appliedIndex.Load() >= w.index
	if !ready {
		g.barriers = append(g.barriers, w)
	}
	g.mu.Unlock()
	if ready {
		w.end(nil)
	}
}

// releaseReads ends the confirmed reads whose index has been applied.
func (g *Group) releaseReads() {
	applied := g.appliedIndex.Load()
	g.mu.Lock()
	var ready []readWait
	kept := g.barriers[:0]
	for _, w := range g.barriers {
		if w.index <= applied {
			ready = append(ready, w)
		} else {
			kept = append(kept, w)
		}
	}
	g.barriers = kept
	g.mu.Unlock()
	for _, w := range ready {
		w.end(nil)
	}
}
