package multiraft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// ErrNotTaken is returned by Transfer when the other replica did not take
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
// returns when this replica does not lead any more. Meanwhile new writes are
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

// Campaign makes this replica a candidate without waiting for its election
// timeout, but not before it is free to: a replica that has heard of a leader
// within an election timeout has promised that one its own vote, too, and the
// leader's lease may stand on it. Until then Campaign does nothing; whoever means
// it calls again. A candidate wins only with votes of a quorum that has not heard
// of a leader for that time either, as in any election: leases hold.
func (g *Group) Campaign(ctx context.Context) error {
	var failure error
	err := g.host.control(ctx, func() { _, failure = g.campaign() })
	return errors.Join(err, failure)
}

// campaign does, unless the replica's vote is promised: then bound is true.
func (g *Group) campaign() (bound bool, err error) {
	switch {
	case g.detached || g.leading():
		return false, nil
	case !g.alone() && g.quiet < g.host.opts.ElectionTicks:
		return true, nil
	}
	return false, g.rn.Campaign()
}
