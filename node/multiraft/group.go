package multiraft

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
)

// Group is this process's member of one Raft group: a voter or a learner with its
// log and, unless it is a bare arbiter, a state machine. Exported methods may be
// called concurrently; everything else belongs to the loop unless said otherwise.
// What a group does is spread over its parts, each of which owns its fields and
// says in its file what it is for.
type Group struct {
	id     GroupID
	raftID uint64
	prompt bool
	host   *Host
	rn     *raft.RawNode
	store  *wal.GroupLog
	log    logState
	record groupRecord // as the persister was last given it

	// The way of a write: proposer, log, applier. reader answers barriers.
	proposer proposer
	reader   reader
	applier  *applier
	clock    groupClock
	// clockFloor is the Spec's Clock.
	clockFloor func() int64

	// Who is in the group, and what the others are told.
	members   membership
	trimmer   trimmer
	sender    sender
	receiver  receiver
	report    atomic.Pointer[Report]
	reporting reporting

	// lead, appliedTerm and appliedIndex are written by loop and applier and
	// read by everyone.
	lead         atomic.Pointer[leadership]
	appliedIndex atomic.Uint64
	appliedTerm  atomic.Uint64
	fresh        freshness
	distrusted   atomic.Bool                       // see Distrust
	routes       atomic.Pointer[map[uint64]uint64] // Raft id → node

	// What the loop has heard of the others.
	contact map[uint64]time.Time // last message by Raft id
	quiet   int                  // ticks since a leader was heard
	silent  bool                 // see noteSilence
	// leaderless is since when the group has lost its leader; zero: it has one, or never had.
	leaderless time.Time
	spare      []uint64 // arbiters whose appends may wait: see noteSpare

	storedWaits []*StoredWait // the loop's

	// work is what runs beside the loop and uses the state machine; gone is closed
	// when it is to stop.
	work     *sched.Group
	gone     chan struct{}
	opened   int64 // ticks
	detached bool
	notified bool // Leads as it was when the owner was last notified
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
	g.receiver.group, g.trimmer.group, g.members.group, g.proposer.group, g.fresh.group = g, g, g, g, g
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
	g.rn, err = raft.NewRawNode(h.raftConfig(spec, start, applied))
	if err != nil {
		return nil, err
	}
	if g.log.last, err = start.LastIndex(); err != nil {
		return nil, err
	}
	g.clockFloor = spec.Clock
	g.log.hard = start.hard
	g.log.queuedTerm, g.log.queuedVote = start.hard.GetTerm(), start.hard.GetVote()
	g.fresh.openCommit = start.hard.GetCommit()
	g.members.conf = conf
	g.members.confIndex = applied
	g.lead.Store(&leadership{})
	term, err := start.Term(applied)
	if err != nil {
		return nil, err
	}
	g.setApplied(applied, term)
	g.fresh.noteApplied()
	g.trimmer.cut = g.LogStart()
	routes := make(map[uint64]uint64)
	g.routes.Store(&routes)
	if err := g.recall(spec); err != nil {
		return nil, err
	}
	g.applier = newApplier(g, spec.Machine)
	return g, nil
}

// raftConfig returns how raft is set up for the member.
func (h *Host) raftConfig(spec Spec, start *startStorage, applied uint64) *raft.Config {
	opts := &h.opts
	return &raft.Config{
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
	}
}

// open starts the group's applier.
func (g *Group) open() {
	g.opened = g.host.ticks
	g.applier.start()
	g.campaignAlone()
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

// RaftID returns the member's id in the group.
func (g *Group) RaftID() uint64 { return g.raftID }

// Applied returns the index of the last applied entry.
func (g *Group) Applied() uint64 { return g.appliedIndex.Load() }

// AppliedTerm returns the term of the last applied entry, or of one before it.
func (g *Group) AppliedTerm() uint64 { return g.appliedTerm.Load() }

// setApplied publishes how far the member has applied. Terms never fall, so
// readers that see the index see at least its term.
func (g *Group) setApplied(index, term uint64) {
	g.appliedTerm.Store(term)
	g.appliedIndex.Store(index)
}

// tick advances raft's clock and whatever else is counted in ticks.
func (g *Group) tick(ticks int64) {
	if g.leading() || !g.bound(g.host.opts.ElectionTicks) {
		g.rn.Tick() // else it could stand for election while its vote is promised
	}
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
	if hard, _ := g.log.take(); hard != nil {
		g.host.persist.add(appendTask{group: g, hard: hard})
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
	g.fresh.noteApplied()
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
