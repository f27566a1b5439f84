package multiraft

import (
	"encoding/binary"
	"errors"
	"sync"
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

	count callCount // the inbox's
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
// for, do not wake the loop (see callCount), so the time must.
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

// proposer makes entries of a group's writes, and knows them again when they are
// committed. It belongs to the loop, but for what is guarded.
type proposer struct {
	group  *Group
	gather gather      // the writes that the next entry will carry
	fresh  []*proposal // proposed in this turn, index unknown yet
	flying int         // data entries of this term in flight

	mu        sync.Mutex
	undecided []*proposal // appended, not applied; shared with the applier
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
		g.proposer.gather.calls = append(g.proposer.gather.calls, s.call)
	}
}

func (h *Host) requestTicks() int64 {
	return max(int64(h.opts.RequestTimeout/h.opts.Tick), 2)
}

// step packs waiting writes into entries, as far as the limit of entries in
// flight and the gather allow. It returns when to try again.
func (p *proposer) step(now time.Time) time.Time {
	g, opts := p.group, &p.group.host.opts
	p.gather.limit = opts.Gather
	for p.flying < opts.InflightEntries && g.lead.Load().role == raft.StateLeader {
		ready, wake := p.gather.ready(now)
		if !ready {
			return wake
		}
		n := packable(p.gather.calls, opts.MaxEntryBytes)
		batch := p.gather.calls[:n:n]
		head := entryHead{time: g.stamp(now)}
		if opts.Header != nil {
			head.Header = opts.Header()
		}
		data := appendEntry(make([]byte, 0, entrySize(batch)), head, batch)
		next := &proposal{
			term: g.rn.BasicStatus().GetTerm(), calls: batch,
			deadline: g.host.ticks + g.host.requestTicks(),
		}
		if err := g.rn.Propose(data); err != nil {
			if !errors.Is(err, raft.ErrProposalDropped) {
				g.host.fail(err)
			}
			return time.Time{} // the writes wait until a transfer ends or leadership is lost
		}
		p.fresh = append(p.fresh, next)
		p.flying++
		if n == len(p.gather.calls) {
			p.gather.calls = nil
		} else {
			p.gather.calls = p.gather.calls[n:]
		}
		p.gather.want = 0
	}
	return time.Time{}
}

// gather returns the group's gather for barriers or for writes.
func (g *Group) gather(barrier bool) *gather {
	if barrier {
		return &g.reader.gather
	}
	return &g.proposer.gather
}

// wantMore returns how many more writes the loop wants to be woken for.
func (p *proposer) wantMore() int {
	if p.flying >= p.group.host.opts.InflightEntries {
		return wantNone
	}
	return p.gather.missing(p.group.host.now)
}

// maxEntryWeight bounds what applying one entry may make in memory, by what its
// commands weigh; a single one may weigh more.
const maxEntryWeight = 64 << 20

// packable returns how many of the calls fit into one entry; at least one.
func packable(calls []*Call, limit int) int {
	size, weight := 0, 0
	for i, c := range calls {
		size += len(c.Payload) + 3
		weight += c.weight
		if i > 0 && (size > limit || weight > maxEntryWeight) {
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
func (p *proposer) noteProposed(entries []*pb.Entry) {
	if len(p.fresh) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if len(p.fresh) == 0 {
			return
		}
		first := p.fresh[0]
		if e.GetTerm() != first.term || e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		first.index = e.GetIndex()
		p.fresh = p.fresh[1:]
		p.undecided = append(p.undecided, first)
	}
}

// claim returns the proposal that is the entry at (index, term), if it was made
// here, and ends the calls of those that another leader's entry replaced. The
// applier calls it in log order. The list is short and need not be sorted: a leader of a later
// term may reuse the index of an entry that is still undecided.
func (p *proposer) claim(index, term uint64) (own *proposal) {
	p.mu.Lock()
	var lost []*proposal
	kept := p.undecided[:0]
	for _, o := range p.undecided {
		switch {
		case o.index > index:
			kept = append(kept, o)
		case o.index == index && o.term == term:
			own = o
		default:
			lost = append(lost, o)
		}
	}
	clear(p.undecided[len(kept):])
	p.undecided = kept
	p.mu.Unlock()
	for _, o := range lost {
		o.end(ErrSuperseded)
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

// expire ends the writes whose time is over.
func (p *proposer) expire(ticks int64) {
	p.gather.expire(ticks)
	p.mu.Lock()
	var late []*proposal
	for _, o := range p.undecided {
		if o.deadline <= ticks && o.calls != nil {
			late = append(late, &proposal{calls: o.calls})
			o.calls = nil
		}
	}
	p.mu.Unlock()
	for _, o := range late {
		o.end(ErrUncertain)
	}
}

// applied notes that entries of this term which were proposed here are applied, and
// that so many of their calls were active then.
func (p *proposer) applied(entries, active int, now time.Time) {
	p.flying = max(p.flying-entries, 0)
	p.gather.answered(active, now)
}

// close ends the writes that are undecided; the group was shut.
func (p *proposer) close() {
	p.mu.Lock()
	undecided := p.undecided
	p.undecided = nil
	p.mu.Unlock()
	for _, o := range undecided {
		o.end(ErrUncertain)
	}
}
