package multiraft

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
)

// Group is this process's replica of one Raft group. Exported methods may be
// called concurrently; everything else belongs to the loop unless said
// otherwise.
type Group struct {
	id     GroupID
	raftID uint64
	prompt bool
	host   *Host
	rn     *raft.RawNode
	store  *wal.GroupLog

	applier *applier
	record  groupRecord // as the persister was last given it

	// lead, appliedTerm and appliedIndex are written by loop and applier and
	// read by everyone.
	lead         atomic.Pointer[leadership]
	appliedIndex atomic.Uint64
	appliedTerm  atomic.Uint64
	routes       atomic.Pointer[map[uint64]uint64] // Raft id → node

	// last is the last entry that raft has: of the log or on its way there.
	last uint64
	// What raft wants to be stored; queued is what the persister was given.
	hard                   *pb.HardState
	hardDirty              bool
	queuedTerm, queuedVote uint64

	clock groupClock
	// clockFloor is the Spec's Clock.
	clockFloor func() int64

	proposer proposer
	reader   reader
	members  membership
	opened   int64 // ticks

	storedWaits []*StoredWait // the loop's

	// unreached is the word of a leader that is not applied yet (the loop's);
	// youngAt is when, on Host.monotonic, a leader told what has been applied since.
	unreached word
	youngAt   atomic.Int64
	// complete is what Complete says; openCommit is what was committed when the
	// replica was opened.
	complete   atomic.Bool
	distrusted atomic.Bool // see Distrust
	openCommit uint64

	trimmer   trimmer
	sender    sender
	receiver  receiver
	report    atomic.Pointer[Report]
	reporting reporting
	// work is what runs beside the loop and uses the state machine; gone is closed
	// when it is to stop.
	work *sched.Group
	gone chan struct{}

	contact  map[uint64]time.Time // last message by Raft id
	quiet    int                  // ticks since a leader was heard
	silent   bool                 // see noteSilence
	spare    []uint64             // arbiters whose appends may wait: see noteSpare
	detached bool
	notified bool // Leads as it was when the owner was last notified
}

// leadership is one immutable picture of who leads.
type leadership struct {
	role   raft.StateType
	term   uint64
	leader uint64
}

// maxInflight is how many bytes of entries may be on their way to a member and not
// acknowledged. It also bounds what one turn of the loop reads of old parts of the
// log for one member. A larger entry travels alone.
const maxInflight = 8 << 20

func newGroup(h *Host, spec Spec) (*Group, error) {
	store := h.opts.Log.Storage(uint64(spec.ID))
	if store == nil {
		return nil, fmt.Errorf("the log holds no such group")
	}
	g := &Group{
		id: spec.ID, raftID: spec.RaftID, prompt: spec.Prompt, host: h, store: store,
		contact: make(map[uint64]time.Time),
		work:    sched.NewGroup(h.opts.Sched), gone: make(chan struct{}),
	}
	g.sender = sender{group: g, snapshots: make(map[uint64]*outSnapshot)}
	g.receiver.group, g.trimmer.group, g.members.group, g.proposer.group = g, g, g, g
	g.reader.group, g.reader.rounds = g, uint64(h.opts.Now().UnixNano())
	if h.opts.Lossy {
		if err := h.followState(spec, store); err != nil {
			return nil, err
		}
	}
	applied, conf, err := restorePoint(store, spec.Machine)
	if err != nil {
		return nil, err
	}
	start, err := newStartStorage(store, conf, applied)
	if err != nil {
		return nil, err
	}
	opts := &h.opts
	g.rn, err = raft.NewRawNode(&raft.Config{
		ID:                        spec.RaftID,
		ElectionTick:              opts.ElectionTicks,
		HeartbeatTick:             opts.HeartbeatTicks,
		Storage:                   start,
		Applied:                   applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  4 << 20,
		MaxUncommittedEntriesSize: 256 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          maxInflight,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLogger{opts.Logger.With("group", fmt.Sprintf("%016x", uint64(spec.ID)))},
	})
	if err != nil {
		return nil, err
	}
	if g.last, err = start.LastIndex(); err != nil {
		return nil, err
	}
	g.clockFloor = spec.Clock
	g.hard = start.hard
	g.queuedTerm, g.queuedVote = g.hard.GetTerm(), g.hard.GetVote()
	g.openCommit = g.hard.GetCommit()
	g.members.conf = conf
	g.members.confIndex = applied
	g.lead.Store(&leadership{})
	term, err := start.Term(applied)
	if err != nil {
		return nil, err
	}
	g.setApplied(applied, term)
	g.noteYoung()
	g.trimmer.cut = g.LogStart()
	routes := make(map[uint64]uint64)
	g.routes.Store(&routes)
	if err := g.recall(spec); err != nil {
		return nil, err
	}
	g.applier = newApplier(g, spec.Machine)
	return g, nil
}

// open starts the group's applier.
func (g *Group) open() {
	g.opened = g.host.ticks
	g.applier.start()
	g.campaignAlone()
}

// campaignAlone starts an election if the replica is its own quorum and nobody
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

// alone reports whether the replica is its group's only voter.
func (g *Group) alone() bool {
	conf := g.members.conf
	return len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == g.raftID && len(conf.GetVotersOutgoing()) == 0
}

// shut ends all calls and tells the applier to stop.
func (g *Group) shut() {
	g.detached = true
	g.lead.Store(&leadership{})
	g.reader.dropLease()
	g.failQueued(ErrClosed)
	g.loseWaits()
	close(g.gone)
	g.applier.stop()
	g.proposer.close()
	g.reader.close()
}

// wait returns once nothing uses the state machine any more; the group was shut.
func (g *Group) wait() {
	g.applier.wait()
	g.work.Wait()
	g.sender.wait()
}

// spawn runs fn beside the loop. What a manual host would have to do is left to
// its owner.
func (g *Group) spawn(name string, fn func()) {
	if g.host.opts.manual {
		g.host.errands = append(g.host.errands, fn)
		return
	}
	g.work.Go(name, fn)
}

// ID returns the group's id.
func (g *Group) ID() GroupID { return g.id }

// RaftID returns the replica's id in the group.
func (g *Group) RaftID() uint64 { return g.raftID }

// Leads reports whether the replica leads and has applied an entry of its own
// term: only then is its state known to hold all acknowledged writes.
func (g *Group) Leads() bool {
	l := g.lead.Load()
	return l.role == raft.StateLeader && g.appliedTerm.Load() == l.term
}

// Leader returns the Raft id of the leader that this replica follows, 0 if it
// knows none, and the term.
func (g *Group) Leader() (raftID, term uint64) {
	l := g.lead.Load()
	return l.leader, l.term
}

// LeaderNode returns the node that leads as far as this replica knows, or 0.
func (g *Group) LeaderNode() uint64 {
	leader, _ := g.Leader()
	if leader == 0 {
		return 0
	}
	return (*g.routes.Load())[leader]
}

// Applied returns the index of the last applied entry.
func (g *Group) Applied() uint64 { return g.appliedIndex.Load() }

// Submit queues writes in order. Each call ends once: see Call.
func (g *Group) Submit(calls ...*Call) {
	if g.applier.machine == nil || !g.leading() {
		endAll(calls, ErrNotLeader)
		return
	}
	from := 0 // of what may be proposed
	for i, c := range calls {
		if err := g.check(c.Payload); err != nil {
			g.hand(calls[from:i])
			c.end(err)
			from = i + 1
		}
	}
	g.hand(calls[from:])
}

// hand gives writes to the loop.
func (g *Group) hand(calls []*Call) {
	if len(calls) > 0 && !g.host.inbox.addCalls(g, false, calls...) {
		endAll(calls, ErrClosed)
	}
}

// check returns why a payload must not get into the log: what stands there has
// to fit wherever entries go, and is read by everybody who applies it.
func (g *Group) check(payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("%w: %w", ErrRefused, ErrTooLarge)
	}
	if err := g.applier.machine.Check(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// Barrier ends the call once this replica has applied everything that was
// acknowledged before. On a replica that does not lead that works in prompt
// groups only.
func (g *Group) Barrier(call *Call) {
	if !g.prompt && !g.leading() {
		call.end(ErrNotLeader)
		return
	}
	if !g.host.inbox.addCalls(g, true, call) {
		call.end(ErrClosed)
	}
}

// AppliedTerm returns the term of the last applied entry, or of one before it.
func (g *Group) AppliedTerm() uint64 { return g.appliedTerm.Load() }

func (g *Group) leading() bool { return g.lead.Load().role == raft.StateLeader }

func endAll(calls []*Call, err error) {
	for _, c := range calls {
		c.end(err)
	}
}

// setApplied publishes how far the replica has applied. Terms never fall, so
// readers that see the index see at least its term.
func (g *Group) setApplied(index, term uint64) {
	g.appliedTerm.Store(term)
	g.appliedIndex.Store(index)
}

// noteState publishes raft's role after a change and ends what a replica that
// does not lead cannot finish.
func (g *Group) noteState() {
	st := g.rn.BasicStatus()
	next := leadership{role: st.RaftState, term: st.GetTerm(), leader: st.Lead}
	if g.silent {
		next.leader = raft.None
	}
	if *g.lead.Load() == next {
		return
	}
	g.lead.Store(&next)
	g.trimmer.heldToServe = 0 // what a leader says counts while it leads
	g.reader.dropLease()
	g.proposer.flying = 0
	g.members.pendingSince = 0
	clear(g.reporting.holds)
	g.report.Store(nil)
	if next.role != raft.StateLeader {
		g.failQueued(ErrNotLeader)
		g.loseWaits()
	}
	g.members.expectProof()
	g.notified = g.Leads()
	g.host.notify(g.id)
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

// receive steps one message of a peer.
func (g *Group) receive(node uint64, m *pb.Message, now time.Time) {
	if reason := g.implausible(m); reason != "" {
		g.host.complain(node, g.id, m, reason)
		return
	}
	if g.refuses(m) || !g.knows(m.GetFrom()) {
		return
	}
	if m.GetType() == pb.MsgReadIndex {
		// It was perhaps passed on, under the name of the replica that asked.
		if g.alone() && !g.Leads() {
			return // see mayAsk; the other replica asks again
		}
	} else {
		g.contact[m.GetFrom()] = now
		switch {
		case m.GetTerm() < g.lead.Load().term:
		case m.GetType() == pb.MsgApp:
			g.quiet = 0
			g.noteTime(m, now)
		case m.GetType() == pb.MsgHeartbeat:
			g.quiet = 0
			g.trimmer.hear(m)
		case m.GetType() == pb.MsgHeartbeatResp:
			g.heardState(m)
		}
		g.hearCommitted(m)
		if routes := *g.routes.Load(); routes[m.GetFrom()] != node {
			g.route(m.GetFrom(), node)
		}
	}
	switch {
	case hint(m):
		g.learnCommit(m)
		return
	case m.GetType() == pb.MsgPreVote:
		g.tellCommit(m)
	case m.GetType() == pb.MsgSnap:
		g.receiver.offered(node, m)
		return
	}
	if err := g.rn.Step(m); err != nil && m.GetType() != pb.MsgReadIndex {
		g.host.opts.Logger.Debug("raft refused a message", "group", g.id, "type", m.GetType(), "error", err)
	}
}

// stepLocal steps an answer of the process's own storage.
func (g *Group) stepLocal(m *pb.Message) {
	if g.detached {
		return
	}
	if err := g.rn.Step(m); err != nil {
		g.host.opts.Logger.Debug("raft refused a storage answer", "group", g.id, "type", m.GetType(), "error", err)
	}
}

// route remembers the node of a Raft id.
func (g *Group) route(raftID, node uint64) {
	routes := maps.Clone(*g.routes.Load())
	routes[raftID] = node
	g.routes.Store(&routes)
}

// setMembers makes the nodes of Raft ids known.
func (g *Group) setMembers(members []Member) {
	routes := maps.Clone(*g.routes.Load())
	for _, m := range members {
		routes[m.RaftID] = m.Node
	}
	g.routes.Store(&routes)
}

// tick advances raft's clock and whatever else is counted in ticks.
func (g *Group) tick(ticks int64) {
	g.rn.Tick()
	g.proposer.expire(ticks)
	g.reader.expire(ticks)
	g.reader.retry(ticks)
	g.noteSpare(g.host.now)
	g.trimmer.noteHeld()
	g.noteSilence()
	g.showClock(g.host.now)
	g.receiver.review()
	g.sender.supervise(ticks)
	g.trimmer.step(ticks)
	g.members.step(ticks)
	g.noteReport()
	if g.hardDirty {
		g.host.persist.add(appendTask{group: g, hard: g.hard})
		g.queuedTerm, g.queuedVote = g.hard.GetTerm(), g.hard.GetVote()
		g.hardDirty = false
	}
}

// noteApplied follows the membership changes that the applier passed and lets
// raft know that the entries are applied.
func (g *Group) noteApplied(a applied, now time.Time) {
	if g.detached {
		return
	}
	for _, e := range a.changes {
		g.members.apply(e)
	}
	g.noteYoung()
	g.stepLocal(a.response)
	if len(a.changes) > 0 {
		g.campaignAlone()
	}
	if a.entries > 0 && a.term == g.lead.Load().term {
		g.proposer.applied(a.entries, a.active, now)
	}
	if len(a.changes) > 0 {
		g.members.step(g.host.ticks)
		g.noteReport()
	}
	if leads := g.Leads(); leads != g.notified {
		g.notified = leads
		g.host.notify(g.id)
	}
}
