package metaraft

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// What a topology change answers when its outcome is not an Outcome. Clients
// retry CLUSTERDOWN and TRYAGAIN by themselves, so both are only said of a
// change that certainly has no effect.
const (
	errNoLeader = Error("CLUSTERDOWN MetaRaft has no leader")
	errMoving   = Error("TRYAGAIN the node is joining another cluster")
)

// Propose brings a change to the MetaRaft leader, wherever it is, and returns
// its outcome once this node has applied it. The change is applied at most
// once however often it has to be sent. The error is the outcome's refusal as
// an Error (then the Outcome is valid too), or one of errNoLeader, errMoving
// and Uncertain when there is no outcome by the deadline: ctx's, at most the
// command timeout.
func (n *Node) Propose(ctx context.Context, change Change) (Outcome, error) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return Outcome{}, errNoLeader
	}
	return n.proposeIn(ctx, a, change)
}

// ProposeIn is Propose for a change that makes sense in that cluster only: it
// fails with errMoving where the node is in another one.
func (n *Node) ProposeIn(ctx context.Context, cluster uint64, change Change) (Outcome, error) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	switch {
	case err != nil:
		return Outcome{}, errNoLeader
	case a.id.Cluster != cluster:
		return Outcome{}, errMoving
	}
	return n.proposeIn(ctx, a, change)
}

// proposeIn is Propose for a change that makes sense in a's cluster only.
func (n *Node) proposeIn(ctx context.Context, a *attachment, change Change) (Outcome, error) {
	outcome, err := n.submit(ctx, a, change)
	// The caller reads its own change here next. If this member lags, so be
	// it: the change is decided, and reads have a barrier of their own.
	_, _ = n.await(ctx, func(b *attachment) bool { return b != a || a.machine.Applied() >= outcome.Index })
	return outcome, err
}

// submit is proposeIn without waiting until the change is applied here.
func (n *Node) submit(ctx context.Context, a *attachment, change Change) (Outcome, error) {
	seq, err := n.sequence.begin(ctx)
	if err != nil {
		return Outcome{}, errNoLeader
	}
	defer n.sequence.end(seq)
	payload, err := EncodeProposal(Proposal{
		Origin: Origin{Node: a.id.Node, Nonce: n.nonce, Seq: seq},
		Time:   n.sched.Now().UnixMilli(), Change: change,
	})
	if err != nil {
		return Outcome{}, err
	}
	f := forward{n: n, a: a, payload: payload}
	outcome, err := f.run(ctx)
	if err != nil {
		n.log.Warn("MetaRaft change has no outcome", "change", change.Kind(), "error", err)
		return outcome, err
	}
	return outcome, outcome.Err()
}

// forward is one proposal on its way to the leader.
type forward struct {
	n       *Node
	a       *attachment
	payload []byte
	maybe   bool     // it may have been appended somewhere
	hint    string   // where the last answer said that the leader is
	round   []string // members still to be asked in this round
}

const (
	forwardRetryFirst = 2 * time.Millisecond
	forwardRetryLast  = 50 * time.Millisecond
	// forwardHops is how many attempts may follow each other at once: during an
	// election two members may each name the other as the leader.
	forwardHops = 4
)

// run sends the proposal, always with the same origin, to whoever leads until
// somebody knows the outcome.
func (f *forward) run(ctx context.Context) (Outcome, error) {
	retry := f.n.backoff(forwardRetryFirst, forwardRetryLast)
	for hops := 1; ; hops++ {
		hinted := f.hint
		outcome, err := f.once(ctx)
		if err == nil {
			return outcome, nil
		}
		if current, _ := f.n.current(); current != f.a {
			return Outcome{}, f.failure(errMoving)
		}
		if f.hint != "" && f.hint != hinted && hops%forwardHops != 0 {
			continue // somebody named another leader: no need to wait
		}
		if !retry.wait(ctx) {
			return Outcome{}, f.failure(errNoLeader)
		}
	}
}

// failure is certain unless some attempt may have been appended.
func (f *forward) failure(certain Error) error {
	if f.maybe {
		return Uncertain
	}
	return certain
}

// once makes one attempt, here or at one peer.
func (f *forward) once(ctx context.Context) (Outcome, error) {
	// An attempt that hangs (the leader is cut off) must leave time for others.
	ctx, cancel := f.n.within(ctx, max(f.n.opts.CallTimeout, f.n.opts.CommandTimeout/4))
	defer cancel()
	leader, self := f.a.raft.Leader()
	if self {
		result, err := f.a.raft.Propose(ctx, f.payload)
		if err == nil {
			return DecodeOutcome(result)
		}
		f.maybe = f.maybe || !errors.Is(err, ErrNotLeader)
		return Outcome{}, err
	}
	addr := f.target(leader)
	if addr == "" {
		return Outcome{}, ErrNotLeader
	}
	reply, err := ask[proposeReply](ctx, f.n.opts.Peers, addr, MethodPropose,
		proposeRequest{Cluster: f.a.id.Cluster, Payload: f.payload})
	if err != nil {
		f.maybe = f.maybe || !notSent(err)
		f.hint = ""
		return Outcome{}, err
	}
	switch reply.Status {
	case forwardDone:
		return DecodeOutcome(reply.Result)
	case forwardNotLeader, forwardElsewhere, forwardRefused:
		f.hint = reply.Leader
		if f.hint == f.n.opts.Address.Raft {
			f.hint = "" // this member will know when it leads
		}
		return Outcome{}, ErrNotLeader
	}
	f.maybe = true
	return Outcome{}, ErrUncertain
}

// target returns where to try next: the leader that the last answer named, the
// one that this member knows, or else all members in turn, since one of them
// may know more.
func (f *forward) target(leader uint64) string {
	if f.hint != "" {
		return f.hint
	}
	if addr := leaderAddress(f.a, leader); addr != "" && len(f.round) == 0 {
		f.round = append(f.n.others(), addr) // taken from the end
	} else if len(f.round) == 0 {
		f.round = f.n.others()
	}
	if len(f.round) == 0 {
		return ""
	}
	addr := f.round[len(f.round)-1]
	f.round = f.round[:len(f.round)-1]
	return addr
}

// leaderAddress returns the Raft address of the member with that Raft id, or
// "" if this member does not know it.
func leaderAddress(a *attachment, metaID uint64) string {
	for _, node := range a.view().Nodes {
		if metaID != 0 && node.MetaID == metaID && node.ID != a.id.Node {
			return node.Address.Raft
		}
	}
	return ""
}

// servePropose appends a forwarded proposal if this node leads.
func (n *Node) servePropose(ctx context.Context, request proposeRequest) proposeReply {
	a, _ := n.current()
	if a == nil || a.id.Cluster != request.Cluster {
		return proposeReply{Status: forwardElsewhere}
	}
	leader, self := a.raft.Leader()
	if !self {
		return proposeReply{Status: forwardNotLeader, Leader: leaderAddress(a, leader)}
	}
	if _, err := DecodeProposal(request.Payload); err != nil {
		// Committed, it would stop every member.
		n.log.Error("MetaRaft was sent a proposal that it does not understand", "error", err)
		return proposeReply{Status: forwardRefused}
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	result, err := a.raft.Propose(ctx, request.Payload)
	switch {
	case err == nil:
		return proposeReply{Status: forwardDone, Result: result}
	case errors.Is(err, ErrNotLeader):
		return proposeReply{Status: forwardNotLeader}
	}
	return proposeReply{Status: forwardUncertain}
}

// sequence numbers a node's proposals. It keeps the numbers in flight close
// together, so that MetaRaft, which remembers the last 64 outcomes of a node,
// never has to forget one that is still being retried.
type sequence struct {
	sched  sched.Sched
	mu     sync.Mutex
	last   uint64
	open   map[uint64]struct{}
	window uint64
	freed  chan struct{} // closed and replaced when a number ends
}

func newSequence(s sched.Sched) *sequence {
	return &sequence{sched: s, open: make(map[uint64]struct{}), window: originResults / 2, freed: make(chan struct{})}
}

// begin returns the next number; it waits while an old one is still open.
func (s *sequence) begin(ctx context.Context) (uint64, error) {
	for {
		s.mu.Lock()
		oldest := s.last + 1
		for seq := range s.open {
			oldest = min(oldest, seq)
		}
		if s.last+1-oldest < s.window {
			s.last++
			seq := s.last
			s.open[seq] = struct{}{}
			s.mu.Unlock()
			return seq, nil
		}
		freed := s.freed
		s.mu.Unlock()
		if sched.Wait(s.sched, time.Time{}, freed, ctx.Done()) == 1 {
			return 0, ctx.Err()
		}
	}
}

// end gives a number of begin back.
func (s *sequence) end(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, seq)
	close(s.freed)
	s.freed = make(chan struct{})
}

// self returns the node's own id.
func (n *Node) self() topology.NodeID { return n.Current().Self }
