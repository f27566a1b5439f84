package multiraft

import (
	"time"

	"go.etcd.io/raft/v3"
)

// leadership is one immutable picture of who leads.
type leadership struct {
	role   raft.StateType
	term   uint64
	leader uint64
}

// Leads reports whether the member leads and has applied an entry of its own
// term: only then is its state known to hold all acknowledged writes.
func (g *Group) Leads() bool {
	l := g.lead.Load()
	return l.role == raft.StateLeader && g.appliedTerm.Load() == l.term
}

func (g *Group) leading() bool { return g.lead.Load().role == raft.StateLeader }

// Leader returns the Raft id of the leader that this member follows, 0 if it
// knows none, and the term.
func (g *Group) Leader() (raftID, term uint64) {
	l := g.lead.Load()
	return l.leader, l.term
}

// LeaderNode returns the node that leads as far as this member knows, or 0.
func (g *Group) LeaderNode() uint64 {
	leader, _ := g.Leader()
	if leader == 0 {
		return 0
	}
	return (*g.routes.Load())[leader]
}

// noteState publishes raft's role after a change and ends what a member that
// does not lead cannot finish.
func (g *Group) noteState() {
	st := g.rn.BasicStatus()
	next := leadership{role: st.RaftState, term: st.GetTerm(), leader: st.Lead}
	if g.silent {
		next.leader = raft.None
	}
	was := g.lead.Load()
	if *was == next {
		return
	}
	g.noteElection(was.leader, next.leader)
	g.lead.Store(&next)
	g.trimmer.heldToServe = 0 // what a leader says counts while it leads
	g.reader.dropLease()
	g.proposer.flying = 0
	g.members.pendingSince = 0
	clear(g.reporting.complete)
	g.report.Store(nil)
	if next.role != raft.StateLeader {
		g.failQueued(ErrNotLeader)
		g.loseWaits()
	}
	g.members.expectProof()
	g.notified = g.Leads()
	g.host.notify(g.id)
}

// noteElection tells how long there was no leader.
func (g *Group) noteElection(was, next uint64) {
	now := g.host.opts.Now()
	switch {
	case next == raft.None && was != raft.None:
		g.leaderless = now
	case next != raft.None && !g.leaderless.IsZero():
		if told := g.host.opts.Elected; told != nil {
			told(now.Sub(g.leaderless))
		}
		g.leaderless = time.Time{}
	}
}

// noteSilence finds out whether the leader that raft names has fallen silent. A
// voter does so by itself and stands for election; a learner would name for ever
// the leader of a group that has removed it.
func (g *Group) noteSilence() {
	st := g.rn.BasicStatus()
	g.quiet++
	silent := st.RaftState == raft.StateFollower && st.Lead != raft.None && g.quiet > 2*g.host.opts.ElectionTicks
	if silent != g.silent {
		g.silent = silent
		g.noteState()
	}
}

// failQueued ends the calls that were certainly not appended. Barriers of a
// prompt group survive: they are asked again of the next leader.
func (g *Group) failQueued(err error) {
	endAll(g.proposer.gather.take(), err)
	if g.prompt && !g.detached {
		return
	}
	g.reader.fail(err)
}

// campaignAlone starts an election if the member is its own quorum and nobody
// leads: nobody else could win it, so there is nothing to wait for.
func (g *Group) campaignAlone() {
	if l := g.lead.Load(); l.leader != raft.None {
		return
	}
	if g.alone() {
		if err := g.rn.Campaign(); err != nil {
			g.host.opts.Logger.Warn("cannot campaign", "group", g.id, "error", err)
		}
	}
}

// alone reports whether the member is its group's only voter.
func (g *Group) alone() bool {
	conf := g.members.conf
	return len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == g.raftID && len(conf.GetVotersOutgoing()) == 0
}
