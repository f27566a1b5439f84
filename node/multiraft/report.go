package multiraft

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Report is what a leader knows of its group's members that others have to know:
// who votes, who has the data, and whether the membership is as wished. It is
// immutable.
type Report struct {
	Term uint64
	// Voters vote in the present configuration, Outgoing in the one that a joint
	// configuration is leaving. Both are ascending, as are the other two.
	Voters, Outgoing []uint64
	// Synced are voters with a state machine whose state is complete and follows
	// the log. Behind are members that certainly lack something: they have no state
	// machine, need a snapshot, or have no log that connects to the leader's. What
	// was not heard of lately is in neither.
	Synced, Behind []uint64
	// Settled is Status.Settled for the wish of version WishVersion.
	Settled     bool
	WishVersion uint64
}

// reporting is what the loop needs to make reports.
type reporting struct {
	// complete is each member's word, since this one leads, on whether it has a
	// state machine that has caught up.
	complete map[uint64]bool
	// scratch is reused, so that a tick without news allocates nothing.
	scratch Report
}

// Report returns the leader's report as of its last tick or change of membership,
// nil on a member that does not lead. The host's notification tells of a new one.
func (g *Group) Report() *Report { return g.report.Load() }

// hasState adds to the answer to a heartbeat whether the sender has a state
// machine that has caught up; raft does not use that field of the answer.
func (g *Group) hasState(m *pb.Message) {
	if g.hasMachine() && g.Complete() {
		m.Index = new(uint64(1))
	}
}

// Distrust says that the member's state cannot be relied on any more, though it has a
// state machine. From then on it counts as one without: it says so, and hands
// leadership on to a member that has the state, if there is one. It keeps its vote and
// its log. Reopen ends that.
func (g *Group) Distrust() { g.distrusted.Store(true) }

// hasMachine reports whether the member has a state machine that can be relied on.
func (g *Group) hasMachine() bool { return g.applier.machine != nil && !g.distrusted.Load() }

// heardState takes such an answer in.
func (g *Group) heardState(m *pb.Message) {
	if !g.leading() {
		return
	}
	if g.reporting.complete == nil {
		g.reporting.complete = make(map[uint64]bool)
	}
	g.reporting.complete[m.GetFrom()] = m.GetIndex() == 1
}

// noteReport makes a new report if there is news.
func (g *Group) noteReport() {
	if g.detached {
		return
	}
	if !g.Leads() {
		if g.report.Load() != nil {
			g.report.Store(nil)
		}
		return
	}
	next := &g.reporting.scratch
	g.fillReport(next)
	if last := g.report.Load(); last != nil && last.equal(next) {
		return
	}
	g.report.Store(next.clone())
	g.host.notify(g.id)
}

func (g *Group) fillReport(r *Report) {
	m := &g.members
	r.Term, r.WishVersion = g.lead.Load().term, m.wish.Version
	r.Voters = append(r.Voters[:0], m.conf.GetVoters()...)
	r.Outgoing = append(r.Outgoing[:0], m.conf.GetVotersOutgoing()...)
	slices.Sort(r.Voters)
	slices.Sort(r.Outgoing)
	r.Synced, r.Behind = r.Synced[:0], r.Behind[:0]
	commit, start := g.rn.BasicStatus().GetCommit(), g.LogStart()
	lagging := false
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) { // by ascending id
		voter := typ != raft.ProgressTypeLearner
		lagging = lagging || voter && pr.Match+catchUpSlack < commit
		complete, heard := g.reporting.complete[id]
		switch {
		case id == g.raftID:
			if g.hasMachine() {
				r.Synced = append(r.Synced, id)
			}
		case heard && !complete, pr.State == tracker.StateSnapshot, pr.Match > 0 && pr.Match < start:
			r.Behind = append(r.Behind, id)
		case heard && voter && caughtUp(&pr, commit):
			r.Synced = append(r.Synced, id)
		}
	})
	r.Settled = m.settled(lagging)
}

// settled reports whether the membership is as wished, for good: Status.Settled.
func (m *membership) settled(lagging bool) bool {
	return m.group.Leads() && !lagging && !m.recalled && m.proven >= m.confIndex && len(m.conf.GetVotersOutgoing()) == 0 &&
		len(m.wish.Voters) > 0 && len(m.missing()) == 0 && len(m.difference(raft.None)) == 0
}

func (r *Report) equal(o *Report) bool {
	return r.Term == o.Term && r.Settled == o.Settled && r.WishVersion == o.WishVersion &&
		slices.Equal(r.Voters, o.Voters) && slices.Equal(r.Outgoing, o.Outgoing) &&
		slices.Equal(r.Synced, o.Synced) && slices.Equal(r.Behind, o.Behind)
}

func (r *Report) clone() *Report {
	c := *r
	c.Voters, c.Outgoing = slices.Clone(r.Voters), slices.Clone(r.Outgoing)
	c.Synced, c.Behind = slices.Clone(r.Synced), slices.Clone(r.Behind)
	return &c
}
