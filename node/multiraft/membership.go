package multiraft

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// Member says who a voter or learner of a group is, and on which node it lives.
type Member struct {
	RaftID uint64
	Node   uint64
	// Arbiter members do not serve: one that becomes leader hands leadership to
	// a member that does.
	Arbiter bool
	// Copy is set for an arbiter that has a state machine all the same: what it
	// holds counts as held, and others may fetch the state from it.
	Copy bool
	// Addr is where the node can be reached, for whoever connects; the group keeps
	// it as long as it has the member.
	Addr string
}

func (m Member) isArbiter() bool { return m.Arbiter }

// serves reports whether the member is to serve clients.
func (m Member) serves() bool { return !m.Arbiter }

// holds reports whether the member is to have a state machine.
func (m Member) holds() bool { return !m.Arbiter || m.Copy }

// bare reports whether the member is to have nothing but the log.
func (m Member) bare() bool { return !m.holds() }

// Wish is the membership that a group should have.
type Wish struct {
	// Version identifies the wish; Status.Settled refers to it.
	Version  uint64
	Voters   []Member
	Learners []Member
	// Others are members that may still be in the group and need to be reached.
	Others []Member
}

// membership is what the loop knows of a group's members, and what it does on the
// leader to make them what is wished.
type membership struct {
	group *Group

	wish Wish
	// recalled says that the wish is what the log remembered of the last one: it
	// tells who is who and where, but may be out of date, so nothing is changed
	// on its account.
	recalled bool
	// conf is the configuration as of the applied entry confIndex.
	conf      *pb.ConfState
	confIndex uint64
	// pendingSince is the tick at which a change was proposed, or a joint
	// configuration was first seen; 0 if none is known to be pending.
	pendingSince int64
	caughtUp     map[uint64]bool // learners reported as caught up
	// proven is the confIndex that a quorum is known to have stored as committed;
	// proofIndex, on a leader, is the first index at which an entry proves that, and
	// proofAsked the tick at which one was made for that purpose. See prove.
	proven     uint64
	proofIndex uint64
	proofAsked int64

	known atomic.Pointer[[]Member] // see Members
}

// prove finds out whether a quorum has stored that the latest change is committed.
// Until then the death of this leader, or a power cut, would leave the others in the
// configuration before, which may need votes of members that are gone by then. The
// proof is an entry that this leader made after it had applied the change: whoever
// stores that has been told so by the same message, and stores both as one. An idle
// group gets an empty entry for it.
func (m *membership) prove(ticks int64) {
	g := m.group
	if m.proven >= m.confIndex || !g.Leads() {
		return
	}
	behind := false
	g.rn.WithProgress(func(_ uint64, typ raft.ProgressType, pr tracker.Progress) {
		behind = behind || typ != raft.ProgressTypeLearner && pr.Match < m.confIndex
	})
	switch {
	case behind:
	case g.rn.BasicStatus().GetCommit() >= m.proofIndex:
		m.proven = m.confIndex
		g.host.notify(g.id)
	case m.proofAsked == 0 || ticks-m.proofAsked >= int64(g.host.opts.ElectionTicks):
		if g.rn.Propose(nil) == nil {
			m.proofAsked = max(ticks, 1)
		}
	}
}

// expectProof says that an entry made from now on proves what prove looks for.
func (m *membership) expectProof() { m.proofIndex, m.proofAsked = m.group.log.last+1, 0 }

// SetWish says what the membership should be. The leader changes
// it step by step; the others keep the wish for when they lead.
func (g *Group) SetWish(w Wish) {
	g.host.inbox.addControl(func() {
		if g.detached {
			return
		}
		g.members.wish, g.members.recalled = w, false
		g.members.remember(slices.Concat(w.Voters, w.Learners, w.Others))
		g.members.step(g.host.ticks)
		g.noteReport()
	})
}

// apply follows one committed membership change.
func (m *membership) apply(e *pb.Entry) {
	g := m.group
	change, err := decodeChange(e)
	if err != nil {
		g.host.fail(fmt.Errorf("group %016x: membership change at %d: %w", uint64(g.id), e.GetIndex(), err))
		return
	}
	m.pendingSince = 0
	if _, err := foldChange(m.conf, e.GetIndex(), change); err != nil {
		// Every member passes over it, and so does whoever reads the log later.
		g.host.opts.Logger.Error("a membership change that cannot be is passed over", "group", g.id, "index", e.GetIndex(), "error", err)
		return
	}
	m.conf = g.rn.ApplyConfChange(change)
	m.confIndex = e.GetIndex()
	m.expectProof()
	m.publish()
	g.reader.dropLease()
	g.host.opts.Logger.Debug("membership changed", "group", g.id, "index", e.GetIndex(),
		"voters", m.conf.GetVoters(), "learners", m.conf.GetLearners())
	g.host.notify(g.id)
}

// errChange is returned for a membership change that raft cannot take.
var errChange = errors.New("multiraft: malformed membership change")

func decodeChange(e *pb.Entry) (pb.ConfChangeI, error) {
	var c pb.ConfChangeI
	var err error
	if e.GetType() == pb.EntryConfChange {
		v1 := new(pb.ConfChange)
		c, err = v1, proto.Unmarshal(e.GetData(), v1)
	} else {
		v2 := new(pb.ConfChangeV2)
		c, err = v2, proto.Unmarshal(e.GetData(), v2)
	}
	if err != nil {
		return nil, err
	}
	v2 := c.AsV2()
	if v2.GetTransition() > pb.ConfChangeTransitionJointExplicit || v2.GetTransition() < 0 {
		return nil, errChange
	}
	for _, change := range v2.GetChanges() {
		if id := change.GetNodeId(); id == raft.LocalAppendThread || id == raft.LocalApplyThread {
			return nil, errChange
		}
	}
	return c, nil
}

// step moves the membership one step towards the wish, if this member
// leads and no change is under way: missing members become learners; once all
// wished voters have caught up, one joint change does the rest.
func (m *membership) step(ticks int64) {
	g := m.group
	if g.lead.Load().role != raft.StateLeader || len(m.wish.Voters) == 0 {
		return
	}
	m.prove(ticks)
	m.noteCaughtUp()
	g.yield()
	if g.rn.BasicStatus().LeadTransferee != raft.None {
		return // proposals are held until the transfer has ended
	}
	if len(m.conf.GetVotersOutgoing()) > 0 {
		m.leaveJoint(ticks)
		return
	}
	if m.recalled || m.pendingSince != 0 && ticks-m.pendingSince < int64(m.group.host.opts.ElectionTicks) {
		return
	}
	if changes := m.missing(); len(changes) > 0 {
		m.propose(changes, ticks)
		return
	}
	if !m.votersCaughtUp() {
		return
	}
	stay := raft.None
	if !slices.ContainsFunc(m.wish.Voters, func(v Member) bool { return v.RaftID == g.raftID }) {
		// The leader is to leave. Whoever stays makes that change: a leader that
		// made it itself would be gone before it could tell the others that it
		// is committed, and they might need the vote of a member whose log is
		// longer than theirs. If nobody can take over, the others join first.
		if successor := g.successor(); successor != 0 {
			g.transfer(successor)
			return
		}
		stay = g.raftID
	}
	if changes := m.difference(stay); len(changes) > 0 {
		m.propose(changes, ticks)
	}
}

// leaveJoint sees to it that the group leaves a joint configuration. Raft does
// that by itself, but only once an entry: if its proposal falls into a transfer
// of leadership that fails, it tries again when the next entry is applied, and
// an idle group has none.
func (m *membership) leaveJoint(ticks int64) {
	switch since := m.pendingSince; {
	case since == 0:
		m.pendingSince = max(ticks, 1)
	case ticks-since >= int64(m.group.host.opts.ElectionTicks):
		m.propose(nil, ticks)
	}
}

// missing returns the additions that bring every wished member in as a learner.
func (m *membership) missing() (changes []*pb.ConfChangeSingle) {
	for _, w := range slices.Concat(m.wish.Voters, m.wish.Learners) {
		if !slices.Contains(m.conf.GetVoters(), w.RaftID) && !slices.Contains(m.conf.GetLearners(), w.RaftID) {
			changes = append(changes, single(pb.ConfChangeAddLearnerNode, w.RaftID))
		}
	}
	return changes
}

// difference returns what turns the configuration, which holds every wished
// member, into the wish; the voter stay, if not 0, is left as it is.
func (m *membership) difference(stay uint64) (changes []*pb.ConfChangeSingle) {
	wanted := map[uint64]bool{stay: true}
	for _, w := range m.wish.Voters {
		wanted[w.RaftID] = true
		if !slices.Contains(m.conf.GetVoters(), w.RaftID) {
			changes = append(changes, single(pb.ConfChangeAddNode, w.RaftID))
		}
	}
	for _, w := range m.wish.Learners {
		wanted[w.RaftID] = true
		if w.RaftID != stay && !slices.Contains(m.conf.GetLearners(), w.RaftID) {
			changes = append(changes, single(pb.ConfChangeAddLearnerNode, w.RaftID))
		}
	}
	for _, id := range slices.Concat(m.conf.GetVoters(), m.conf.GetLearners()) {
		if !wanted[id] {
			changes = append(changes, single(pb.ConfChangeRemoveNode, id))
		}
	}
	return changes
}

func single(t pb.ConfChangeType, id uint64) *pb.ConfChangeSingle {
	return &pb.ConfChangeSingle{Type: t.Enum(), NodeId: new(id)}
}

// propose proposes one change. Raft makes it joint when it needs to be.
func (m *membership) propose(changes []*pb.ConfChangeSingle, ticks int64) {
	err := m.group.rn.ProposeConfChange(&pb.ConfChangeV2{Changes: changes})
	if err == nil {
		m.pendingSince = max(ticks, 1)
	}
}

// catchUpSlack is how many entries a voter may be behind the leader's log and
// still count as caught up: a busy group always has a few on their way.
const catchUpSlack = 16

// caughtUp reports whether a member follows the leader's log closely.
func caughtUp(pr *tracker.Progress, commit uint64) bool {
	return pr.State == tracker.StateReplicate && pr.Match > 0 && pr.Match+catchUpSlack >= commit
}

// votersCaughtUp reports whether every wished voter that is a learner so far
// follows closely.
func (m *membership) votersCaughtUp() bool {
	g := m.group
	commit := g.rn.BasicStatus().GetCommit()
	all := true
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		wished := slices.ContainsFunc(m.wish.Voters, func(v Member) bool { return v.RaftID == id })
		if wished && typ == raft.ProgressTypeLearner && !caughtUp(&pr, commit) {
			all = false
		}
	})
	return all
}

// noteCaughtUp logs each learner once when it has caught up.
func (m *membership) noteCaughtUp() {
	g := m.group
	// First without those that are learners no more: else one of them would
	// stand for a later one that has not been reported.
	maps.DeleteFunc(m.caughtUp, func(id uint64, _ bool) bool { return !slices.Contains(m.conf.GetLearners(), id) })
	if len(m.conf.GetLearners()) == len(m.caughtUp) {
		return // all of them have been reported
	}
	if m.caughtUp == nil {
		m.caughtUp = make(map[uint64]bool)
	}
	commit := g.rn.BasicStatus().GetCommit()
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		if typ != raft.ProgressTypeLearner || m.caughtUp[id] || !caughtUp(&pr, commit) {
			return
		}
		m.caughtUp[id] = true
		g.logCaughtUp(id, (*g.routes.Load())[id])
	})
}

// logCaughtUp tells of a learner that may now be promoted.
func (g *Group) logCaughtUp(raftID, node uint64) {
	if g.prompt {
		name := fmt.Sprint(node)
		if g.host.opts.NodeName != nil {
			name = g.host.opts.NodeName(node)
		}
		g.host.opts.Logger.Info("MetaRaft learner "+name+" caught up", "raft_id", raftID)
		return
	}
	g.host.opts.Logger.Debug("learner caught up", "group", g.id, "node", node, "raft_id", raftID)
}
