package multiraft

import (
	"bytes"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A lease is a promise of a quorum: until its end none of those voters votes for
// another member, so nobody else leads and the leader's applied state is the
// newest there is. It follows from the rule by which raft, with CheckQuorum,
// refuses votes for an election timeout after hearing of a leader (Ongaro's
// thesis, section 6.4.1), with the gaps closed that etcd's ReadOnlyLeaseBased
// leaves:
//
//   - It begins when a read round was sent, not when it was answered, and is
//     measured on a clock that counts while the machine sleeps.
//   - It is shorter than the voters' promise by clockDrift; see VoteDelay.
//   - Rounds are told apart by their contexts, so a late answer to an earlier
//     one extends nothing; raft counts the answers over both halves of a joint
//     configuration, and a change of membership ends the lease.
//   - A transfer of leadership, which lets its target ignore the promise, ends it
//     before the transfer begins, and for the rest of the term: the message that
//     starts the target's campaign may arrive at any time.
//   - A member that promised its vote keeps the promise also against itself, when
//     it is told to stand for election: see Group.Campaign.
//   - Prompt groups have none: their followers answer reads too, perhaps of an
//     entry that the leader has committed and not applied yet.
//   - A voter that restarts has forgotten what it promised, so it votes for
//     nobody until its promise must have ended (see refuses).
type lease struct {
	term  uint64
	until time.Duration // on Options.Uptime
}

// clockDrift is the part of a lease that is given up to clocks whose rates
// differ: the fastest may gain a tenth of real time on the slowest.
const clockDrift = 10

// VoteDelay is for how long a node with these settings votes for nobody else
// after it has heard of a leader. The election timeout is counted in ticks, of
// which the first may come at once; one more is given up because a late tick is
// followed by one that is early.
func VoteDelay(tick time.Duration, electionTicks int) time.Duration {
	return max(time.Duration(electionTicks-2)*tick, 0)
}

// Lease returns a token for reading the applied state without a Barrier, or 0.
// Whoever got one reads, and then asks LeaseValid: if the token is still good, what
// was read had not been overtaken by anybody when it was read.
func (g *Group) Lease() uint64 {
	l := g.reader.lease.Load()
	if l == nil || g.lead.Load().term != l.term || !g.Leads() || l.until <= g.host.opts.Uptime() {
		return 0 // one that has ended would only have the state read for nothing
	}
	return l.term
}

// LeaseValid reports whether nobody else can have led between Lease, which returned
// the token, and now. It also has the lease renewed in time, so one that is in
// use does not end.
func (g *Group) LeaseValid(token uint64) bool {
	l := g.reader.lease.Load()
	if l == nil || l.term != token {
		return false
	}
	left := l.until - g.host.opts.Uptime()
	if left <= 0 {
		return false
	}
	if left < g.host.leaseTime()/2 && g.reader.renewing.CompareAndSwap(false, true) {
		g.host.inbox.addControl(g.reader.renew)
	}
	return true
}

// renew begins a round that no read waits for, unless one is under way anyway.
func (r *reader) renew() {
	if g := r.group; r.round == nil && !g.detached && g.leading() && r.mayAsk() {
		r.round = &round{}
		r.send()
		return
	}
	r.renewing.Store(false)
}

// leaseTime is how long a lease lasts if all nodes have this one's settings.
func (h *Host) leaseTime() time.Duration {
	return shorten(VoteDelay(h.opts.Tick, h.opts.ElectionTicks))
}

func shorten(d time.Duration) time.Duration { return d - d/clockDrift }

// takeLease turns a confirmed round of this term into a lease.
func (r *reader) takeLease(round *round) {
	g := r.group
	r.renewing.Store(false)
	opts := &g.host.opts
	l := g.lead.Load()
	if g.prompt || opts.Uptime == nil || l.role != raft.StateLeader || l.term != round.term || l.term == r.transferred || !g.Leads() {
		return
	}
	promise := VoteDelay(opts.Tick, opts.ElectionTicks)
	if opts.VoteDelay != nil {
		routes := *g.routes.Load()
		for _, list := range [][]uint64{g.members.conf.GetVoters(), g.members.conf.GetVotersOutgoing()} {
			for _, id := range list {
				if id != g.raftID {
					promise = min(promise, opts.VoteDelay(routes[id]))
				}
			}
		}
	}
	r.lease.Store(&lease{term: l.term, until: round.began + shorten(promise)})
}

// dropLease ends the lease; reads that have not asked LeaseValid yet begin anew.
func (r *reader) dropLease() { r.lease.Store(nil) }

// campaignTransfer is raft's mark on the vote requests of a member that was
// told by its leader to take over.
var campaignTransfer = []byte("CampaignTransfer")

// refuses reports whether a vote request comes too soon after the member was
// opened: before that it may have promised its vote to a leader that counts on
// it. A lone voter has promised nothing to anybody else, and who takes over with
// the leader's consent breaks no lease.
func (g *Group) refuses(m *pb.Message) bool {
	if t := m.GetType(); t != pb.MsgVote && t != pb.MsgPreVote {
		return false
	}
	return g.bound(0) && !bytes.Equal(m.GetContext(), campaignTransfer)
}

// bound reports whether the member may have promised its vote before it was opened, so
// that it must give it to nobody yet, less so many ticks.
func (g *Group) bound(less int) bool {
	opts := &g.host.opts
	promised := max(int64(opts.ElectionTicks), int64((opts.Promised+opts.Tick-1)/opts.Tick))
	return g.host.ticks-g.opened < promised-int64(less) && !g.alone()
}
