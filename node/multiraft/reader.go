package multiraft

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
)

// reader answers a group's barriers by ReadIndex rounds, and has the lease that makes
// them unnecessary. It belongs to the loop, but for what is atomic or guarded.
type reader struct {
	group *Group
	// gather has the barriers that the next round will carry.
	gather gather
	round  *round // nil if none is under way
	// rounds is the last context given out. It starts at the wall clock's
	// nanoseconds, so that the answer to a round of this member before the
	// process restarted is not taken for one of this process's.
	rounds uint64

	mu        sync.Mutex
	confirmed []readWait // shared with the applier, which ends them

	// lease is nil without one; written by the loop, read by everyone.
	lease       atomic.Pointer[lease]
	renewing    atomic.Bool // a round that renews it is under way or asked for
	transferred uint64      // the last term in which a transfer of leadership was begun: it has no lease any more
}

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

// start begins a round for the waiting reads unless one is under way or
// more reads are about to come. It returns when to try again.
func (r *reader) start(now time.Time) time.Time {
	if r.round != nil || !r.mayAsk() {
		return time.Time{}
	}
	r.gather.limit = r.group.host.opts.Gather
	if ready, wake := r.gather.ready(now); !ready {
		return wake
	}
	r.gather.want = 0
	r.round = &round{calls: r.gather.take()}
	r.send()
	return time.Time{}
}

// wantMore returns how many more reads the loop wants to be woken for.
func (r *reader) wantMore() int {
	if r.round != nil {
		return wantNone
	}
	return r.gather.missing(r.group.host.now)
}

// mayAsk reports whether raft may be asked for a read index. A leader that has
// not applied an entry of its own term must not: raft would answer a one-voter
// group at once, even when it has just restarted and applied nothing.
func (r *reader) mayAsk() bool {
	l := r.group.lead.Load()
	return l.leader != raft.None && (l.role != raft.StateLeader || r.group.Leads())
}

// send asks raft under a context of its own: a late answer to an earlier
// attempt confirms nothing.
func (r *reader) send() {
	r.rounds++
	r.round.context = r.rounds
	r.round.sent = r.group.host.ticks
	if uptime := r.group.host.opts.Uptime; uptime != nil {
		r.round.began, r.round.term = uptime(), r.group.lead.Load().term
	}
	r.group.rn.ReadIndex(binary.LittleEndian.AppendUint64(nil, r.round.context))
}

// retry asks again when messages of the round may have been lost.
func (r *reader) retry(ticks int64) {
	if r.round == nil {
		return
	}
	if ticks-r.round.sent <= int64(2*r.group.host.opts.HeartbeatTicks) {
		return
	}
	switch {
	case len(r.round.calls) == 0:
		r.round = nil
		r.renewing.Store(false)
	case r.mayAsk():
		r.send()
	}
}

// confirm takes raft's confirmation of a round: its reads may be answered once
// the index is applied.
func (r *reader) confirm(rs raft.ReadState) {
	if r.round == nil || len(rs.RequestCtx) != 8 ||
		binary.LittleEndian.Uint64(rs.RequestCtx) != r.round.context {
		return
	}
	w := readWait{rs.Index, r.round.calls}
	r.takeLease(r.round)
	r.round = nil
	if len(w.calls) == 0 {
		return
	}
	r.gather.answered(len(w.calls)+r.group.host.inbox.pending(r.group, true), r.group.host.now)
	r.mu.Lock()
	ready := r.group.appliedIndex.Load() >= w.index
	if !ready {
		r.confirmed = append(r.confirmed, w)
	}
	r.mu.Unlock()
	if ready {
		w.end(nil)
	}
}

// release ends the confirmed reads whose index has been applied.
func (r *reader) release() {
	applied := r.group.appliedIndex.Load()
	r.mu.Lock()
	var ready []readWait
	kept := r.confirmed[:0]
	for _, w := range r.confirmed {
		if w.index <= applied {
			ready = append(ready, w)
		} else {
			kept = append(kept, w)
		}
	}
	r.confirmed = kept
	r.mu.Unlock()
	for _, w := range ready {
		w.end(nil)
	}
}

// expire ends the barriers whose time is over.
func (r *reader) expire(ticks int64) {
	r.gather.expire(ticks)
	if r.round != nil {
		n := expired(r.round.calls, ticks)
		endAll(r.round.calls[:n], ErrNoQuorum)
		r.round.calls = r.round.calls[n:]
	}
	r.mu.Lock()
	var late []*Call
	for i := range r.confirmed {
		w := &r.confirmed[i]
		n := expired(w.calls, ticks)
		late = append(late, w.calls[:n]...)
		w.calls = w.calls[n:]
	}
	r.confirmed = slices.DeleteFunc(r.confirmed, func(w readWait) bool { return len(w.calls) == 0 })
	r.mu.Unlock()
	endAll(late, ErrNoQuorum)
}

// fail ends the barriers that are not confirmed.
func (r *reader) fail(err error) {
	endAll(r.gather.take(), err)
	if r.round != nil {
		endAll(r.round.calls, err)
		r.round = nil
	}
}

// close ends the confirmed ones; the group was shut.
func (r *reader) close() {
	r.mu.Lock()
	confirmed := r.confirmed
	r.confirmed = nil
	r.mu.Unlock()
	for _, w := range confirmed {
		w.end(ErrClosed)
	}
}
