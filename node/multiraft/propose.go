package multiraft

import (
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// gather collects the calls that the next entry, or the next read round, will
// carry. Clients that were just answered tend to return at once, so a busy group
// waits until as many calls are there as were just answered or pending, for a
// bounded time: else two halves of the clients would take turns in entries of
// half the size. An idle group never waits.
type gather struct {
	calls []*Call
	// want and until are how many calls are worth waiting for, and how long.
	want  int
	until time.Time
	limit time.Duration
}

// answered notes that calls have just ended, and how many were active then:
// ended or pending.
func (q *gather) answered(active int, now time.Time) {
	if active > 1 {
		q.want, q.until = active, now.Add(q.limit)
	}
}

// ready reports whether the calls should be sent now; if not, when. That may be
// asked without any calls: those that come, but are not as many as are waited
// for, do not wake the loop (see hold), so the time must.
func (q *gather) ready(now time.Time) (bool, time.Time) {
	if len(q.calls) == 0 && q.missing(now) == 0 {
		return false, time.Time{}
	}
	if len(q.calls) >= q.want || !now.Before(q.until) {
		return true, time.Time{}
	}
	return false, q.until
}

// missing returns how many more calls are worth waiting for; 0 if none.
func (q *gather) missing(now time.Time) int {
	if !now.Before(q.until) {
		return 0
	}
	return max(q.want-len(q.calls), 0)
}

// take returns all calls and leaves none.
func (q *gather) take() []*Call {
	calls := q.calls
	q.calls = nil
	return calls
}

// proposal is one data entry that was proposed here, and the calls in it.
type proposal struct {
	index, term uint64
	calls       []*Call
	deadline    int64 // ticks
}

// end ends the calls that have not ended yet.
func (p *proposal) end(err error) {
	endAll(p.calls, err)
	p.calls = nil
}

// enqueue takes a call in.
func (g *Group) enqueue(s submission, ticks int64) {
	if g.detached {
		s.call.end(ErrClosed)
		return
	}
	if !g.leading() && (!s.barrier || !g.prompt) {
		s.call.end(ErrNotLeader)
		return
	}
	s.call.deadline = ticks + g.host.requestTicks()
	if s.barrier {
		g.reader.gather.calls = append(g.reader.gather.calls, s.call)
	} else {
		g.writes.calls = append(g.writes.calls, s.call)
	}
}

func (h *Host) requestTicks() int64 {
	return max(int64(h.opts.RequestTimeout/h.opts.Tick), 2)
}

// propose packs waiting writes into entries, as far as the limit of entries in
// flight and the gather allow. It returns when to try again.
func (g *Group) propose(now time.Time) time.Time {
	opts := &g.host.opts
	g.writes.limit = opts.Gather
	for g.flying < opts.InflightEntries && g.lead.Load().role == raft.StateLeader {
		ready, wake := g.writes.ready(now)
		if !ready {
			return wake
		}
		n := packable(g.writes.calls, opts.MaxEntryBytes)
		batch := g.writes.calls[:n:n]
		head := entryHead{time: g.stamp(now)}
		if opts.Header != nil {
			head.Header = opts.Header()
		}
		data := appendEntry(make([]byte, 0, entrySize(batch)), head, batch)
		p := &proposal{
			term: g.rn.BasicStatus().GetTerm(), calls: batch,
			deadline: g.host.ticks + g.host.requestTicks(),
		}
		if err := g.rn.Propose(data); err != nil {
			if !errors.Is(err, raft.ErrProposalDropped) {
				g.host.fail(err)
			}
			return time.Time{} // held until a transfer ends or leadership is lost
		}
		g.fresh = append(g.fresh, p)
		g.flying++
		if n == len(g.writes.calls) {
			g.writes.calls = nil
		} else {
			g.writes.calls = g.writes.calls[n:]
		}
		g.writes.want = 0
	}
	return time.Time{}
}

// held returns the group's hold for barriers or for writes; the inbox is locked.
func (g *Group) held(barrier bool) *hold {
	if barrier {
		return &g.heldReads
	}
	return &g.heldWrites
}

// wantWrites returns how many more writes the loop wants to be woken for.
func (g *Group) wantWrites() int {
	if g.flying >= g.host.opts.InflightEntries {
		return holdAll
	}
	return g.writes.missing(g.host.now)
}

// packable returns how many of the calls fit into one entry; at least one.
func packable(calls []*Call, limit int) int {
	size := 0
	for i, c := range calls {
		size += len(c.Payload) + 3
		if i > 0 && size > limit {
			return i
		}
	}
	return len(calls)
}

func entrySize(calls []*Call) int {
	size := entryHeader + 8 + 2*binary.MaxVarintLen64 + 5
	for _, c := range calls {
		size += len(c.Payload) + 5
	}
	return size
}

// noteProposed finds this turn's proposals among the entries that raft appends
// and remembers their places: a leader's data entries of its own term are its
// proposals, in order. It runs before the persister sees the entries, hence
// before any of them can be applied.
func (g *Group) noteProposed(entries []*pb.Entry) {
	if len(g.fresh) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range entries {
		if len(g.fresh) == 0 {
			return
		}
		p := g.fresh[0]
		if e.GetTerm() != p.term || e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		p.index = e.GetIndex()
		g.fresh = g.fresh[1:]
		g.waiting = append(g.waiting, p)
	}
}

// claim returns the proposal that is the entry at (index, term), if it was made
// here, and ends the calls of those that another leader's entry replaced. The applier calls it
// in log order. The list is short and need not be sorted: a leader of a later
// term may reuse the index of an entry that is still undecided.
func (g *Group) claim(index, term uint64) (own *proposal) {
	g.mu.Lock()
	var lost []*proposal
	kept := g.waiting[:0]
	for _, p := range g.waiting {
		switch {
		case p.index > index:
			kept = append(kept, p)
		case p.index == index && p.term == term:
			own = p
		default:
			lost = append(lost, p)
		}
	}
	clear(g.waiting[len(kept):])
	g.waiting = kept
	g.mu.Unlock()
	for _, p := range lost {
		p.end(ErrSuperseded)
	}
	return own
}

// expired returns how many of the calls, which are in the order of their deadlines,
// have none left.
func expired(calls []*Call, ticks int64) int {
	n := 0
	for n < len(calls) && calls[n].deadline <= ticks {
		n++
	}
	return n
}

// expire ends the calls whose time is over.
func (q *gather) expire(ticks int64) {
	n := expired(q.calls, ticks)
	endAll(q.calls[:n], ErrNoQuorum)
	q.calls = q.calls[n:]
}

// expire ends the calls whose time is over.
func (g *Group) expire(ticks int64) {
	g.writes.expire(ticks)
	g.reader.expire(ticks)
	g.mu.Lock()
	var undecided []*proposal
	for _, p := range g.waiting {
		if p.deadline <= ticks && p.calls != nil {
			undecided = append(undecided, &proposal{calls: p.calls})
			p.calls = nil
		}
	}
	g.mu.Unlock()
	for _, p := range undecided {
		p.end(ErrUncertain)
	}
}
