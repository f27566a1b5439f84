package multiraft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/genuineh/aikv/node/sched"
)

// ErrNotTaken is returned by Transfer when the other member did not take
// leadership over: the group goes on under this leader.
var ErrNotTaken = errors.New("multiraft: leadership was not taken over")

// transferPoll is how often a transfer under way is looked at.
const transferPoll = 2 * time.Millisecond

// transfer hands leadership over. There is no lease from here to the end of the
// term.
func (g *Group) transfer(to uint64) {
	g.reader.transferred = g.lead.Load().term
	g.reader.dropLease()
	g.rn.TransferLeader(to)
}

// Transfer hands this leader's group to the voter with the Raft id to, and
// returns when this member does not lead any more. Meanwhile new writes are
// held; then they end with ErrNotLeader. Errors are ErrNotLeader, ErrNotTaken,
// and those of ctx, after which the transfer may still come about.
func (g *Group) Transfer(ctx context.Context, to uint64) error {
	begun := false
	for {
		var done bool
		var failure error
		err := g.host.control(ctx, func() {
			switch {
			case g.detached || !g.leading():
				if done = begun; !begun {
					failure = ErrNotLeader
				}
			case !slices.Contains(g.members.conf.GetVoters(), to):
				failure = fmt.Errorf("%w: %d is no voter", ErrNotTaken, to)
			case !begun:
				g.transfer(to)
				begun = true
			case g.rn.BasicStatus().LeadTransferee != to:
				failure = ErrNotTaken // raft gives up after an election timeout
			}
		})
		if err := errors.Join(err, failure); err != nil || done {
			return err
		}
		if !sched.Sleep(ctx, g.host.opts.Sched, transferPoll) {
			return ctx.Err()
		}
	}
}

// Campaign makes this member a candidate without waiting for its election
// timeout, but not before it is free to: a member that has heard of a leader
// within an election timeout has promised that one its own vote, too, and the
// leader's lease may stand on it. Until then Campaign does nothing; whoever means
// it calls again. A candidate wins only with votes of a quorum that has not heard
// of a leader for that time either, as in any election: leases hold.
func (g *Group) Campaign(ctx context.Context) error {
	var failure error
	err := g.host.control(ctx, func() { _, failure = g.campaign() })
	return errors.Join(err, failure)
}

// campaign does, unless the member's vote is promised: then bound is true.
func (g *Group) campaign() (bound bool, err error) {
	switch {
	case g.detached || g.leading():
		return false, nil
	case !g.alone() && g.quiet < g.host.opts.ElectionTicks, g.bound(0):
		return true, nil
	}
	return false, g.rn.Campaign()
}

// yield hands leadership on when an arbiter holds it, or a member that is to
// hold data and has none yet. If need be to an arbiter with a copy, or to one that
// is to leave: they have what a new member has to be sent.
func (g *Group) yield() {
	w := &g.members.wish
	serves := g.hasMachine() && !g.wished(g.raftID, Member.isArbiter)
	if g.rn.BasicStatus().LeadTransferee != raft.None || serves {
		return
	}
	successor := g.successor()
	if successor == 0 && !g.hasMachine() {
		successor = cmp.Or(g.longest(w.Voters, Member.holds), g.longest(w.Others, Member.holds))
	}
	if successor != 0 {
		g.transfer(successor)
	}
}

// successor returns the voter that should lead next, 0 if there is none.
func (g *Group) successor() uint64 { return g.longest(g.members.wish.Voters, Member.serves) }

// longest returns of those members that are as asked for the voter that was
// recently heard of with the longest log, then the lowest id; 0 if there is none. One
// that is to have a state and says that it has none would only hand leadership back.
func (g *Group) longest(members []Member, is func(Member) bool) uint64 {
	var best, match uint64
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		complete, heard := g.reporting.complete[id]
		if typ == raft.ProgressTypeLearner || id == g.raftID || !pr.RecentActive || heard && !complete || !among(members, id, is) {
			return
		}
		if best == 0 || pr.Match > match || pr.Match == match && id < best {
			best, match = id, pr.Match
		}
	})
	return best
}

// HandOff gives every leadership of the process to another member, as far as
// there is one, and returns when that is done or ctx ends.
func (h *Host) HandOff(ctx context.Context) {
	for {
		led := 0
		if err := h.control(ctx, func() {
			for _, g := range h.order {
				if g.lead.Load().role != raft.StateLeader {
					continue
				}
				if successor := g.successor(); successor != 0 {
					led++
					g.transfer(successor)
				}
			}
		}); err != nil || led == 0 || !sched.Sleep(ctx, h.opts.Sched, 5*time.Millisecond) {
			return
		}
	}
}
