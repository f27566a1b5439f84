package multiraft

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/genuineh/aikv/node/wal"
)

// trimmer cuts a group's log. It belongs to the loop. A log that is over a limit is
// cut to half of the limits, so that what is left serves members
// that lag, and the next cut is a while off. Each member cuts its own log, to
// where nobody needs it:
//
//   - One with a state machine keeps what a crash could take from its state: it
//     cuts up to the last synced applied index, and has the machine sync for that,
//     beside the loop, if what is to go is not synced yet.
//   - One without has nothing but the log. It keeps what the data members do
//     not hold yet, since theirs may be the copy that fails: see held.
//   - A leader keeps what members need that are catching up: see pinned.
type trimmer struct {
	group *Group

	busy bool  // a cut is being prepared
	next int64 // tick before which no other is
	// cut is the truncation point of the last record that the log was given;
	// it may not be written yet.
	cut uint64
	// keep counts those who want the log to stay as it is.
	keep int
	// held is the last entry that enough members with a state machine hold
	// durably, as far as this member was told, or as the leader finds out
	// itself. heldToServe is the same for those alone that serve: an arbiter may give
	// up its copy only if that covers what its log has lost.
	held, heldToServe uint64
}

const (
	// trimEvery is how many ticks pass between two cuts of a log.
	trimEvery = 4
	// trimWorth is the part of the log that a cut must free to be worth it.
	trimWorth = 8
	// trimSlack is how many times over its limits a log may be before members
	// that lag behind it are left to a snapshot.
	trimSlack = 8
)

// Point is a place in a group's log: an applied entry, and the configuration as
// of it.
type Point struct {
	Index, Term uint64
	Conf        *pb.ConfState
}

// step begins to cut the log if it is over its limits and that is worth it.
func (t *trimmer) step(ticks int64) {
	g, opts := t.group, &t.group.host.opts
	if t.busy || t.keep > 0 || ticks < t.next {
		return
	}
	entries, bytes := g.store.Size()
	if entries <= opts.LogEntries && bytes <= opts.LogBytes {
		return
	}
	bound := t.bound()
	if bound <= t.cut || bound-t.cut < uint64(entries/trimWorth) {
		return
	}
	t.busy = true
	g.spawn("truncation", func() {
		point, err := g.cutPoint(bound)
		g.host.inbox.addControl(func() { t.finish(point, err) })
	})
}

// bound returns the last entry that the log may lose, as far as the loop knows.
func (t *trimmer) bound() uint64 {
	bound := t.group.Applied()
	if t.group.applier.machine == nil {
		bound = min(bound, t.held)
	}
	return min(bound, t.pinned())
}

// cutPoint finds the place to cut at, not behind bound; nil if there is none. It
// runs beside the loop, since it syncs the state and may read old entries.
func (g *Group) cutPoint(bound uint64) (*Point, error) {
	opts := &g.host.opts
	cut, _, _ := g.store.Truncated()
	index := min(bound, g.store.Tail(opts.LogEntries/2, opts.LogBytes/2))
	if index > cut && g.applier.machine != nil {
		synced, err := g.applier.machine.Sync(index)
		if err != nil {
			return nil, err
		}
		index = min(index, synced)
	}
	if index <= cut {
		return nil, nil
	}
	return pointAt(g.store, index)
}

// finish hands a cut that was prepared to the persister. It needs no sync: an
// entry that comes back after a crash does no harm.
func (t *trimmer) finish(point *Point, err error) {
	g := t.group
	t.busy, t.next = false, g.host.ticks+trimEvery
	switch {
	case g.detached, errors.Is(err, ErrStalled):
	case err != nil:
		g.host.fail(fmt.Errorf("truncate the log of group %016x: %w", uint64(g.id), err))
	case point == nil || point.Index <= t.cut || t.keep > 0 || point.Index > t.pinned():
	default:
		// gofail: var trimCut struct{}
		t.cut = point.Index
		g.host.persist.add(appendTask{group: g, cut: point})
	}
}

// KeepLog makes the member keep its log as it is, or takes that back: whoever
// fetches state for it needs the log behind that state.
func (g *Group) KeepLog(keep bool) {
	g.host.inbox.addControl(func() {
		if keep {
			g.trimmer.keep++
		} else {
			g.trimmer.keep--
		}
	})
}

// LogStart returns the index of the last entry that the log has lost, 0 if it is
// whole.
func (g *Group) LogStart() uint64 {
	index, _, _ := g.store.Truncated()
	return index
}

// noteHeld finds out, on the leader, which entries enough members hold: two of
// them, or the only one. What is in a member's log is durable there, and what its
// log has lost is so in its state. A member that is to hold data counts from the
// beginning: so the logs of bare arbiters stay whole until it does.
func (t *trimmer) noteHeld() {
	g := t.group
	if !g.leading() || g.members.recalled || !slices.ContainsFunc(g.members.wish.Voters, Member.isArbiter) {
		return // nobody to tell, or not known whom
	}
	t.held = max(t.held, g.heldBy(Member.holds))
	t.heldToServe = max(t.heldToServe, g.heldBy(Member.serves))
}

// heldBy returns the last committed entry that two of the wished voters that are
// as asked for hold, or the only one. Only a committed entry: another one may yet
// be replaced.
func (g *Group) heldBy(is func(Member) bool) uint64 {
	var matches []uint64
	for _, v := range g.members.wish.Voters {
		if is(v) {
			matches = append(matches, 0)
		}
	}
	if len(matches) == 0 {
		return 0
	}
	n := 0
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if n < len(matches) && among(g.members.wish.Voters, id, is) {
			matches[n] = pr.Match
			n++
		}
	})
	slices.Sort(matches)
	return min(matches[max(len(matches)-2, 0)], g.rn.BasicStatus().GetCommit())
}

// among reports whether one of members has that Raft id and is as asked for.
func among(members []Member, raftID uint64, is func(Member) bool) bool {
	return slices.ContainsFunc(members, func(m Member) bool { return m.RaftID == raftID && is(m) })
}

// wished reports whether a member is wished to be a voter as asked for.
func (g *Group) wished(raftID uint64, is func(Member) bool) bool {
	return among(g.members.wish.Voters, raftID, is)
}

// tell adds to a heartbeat what the sender knows to be held: held as its index,
// heldToServe as its vote. Raft does not use these fields of a heartbeat. It is as
// true later and under another leader.
func (t *trimmer) tell(m *pb.Message) {
	if t.held > 0 {
		m.Index, m.Vote = new(t.held), new(t.heldToServe)
	}
}

// hear takes it in. The index of a hint means something else.
func (t *trimmer) hear(m *pb.Message) {
	if !hint(m) {
		t.held, t.heldToServe = max(t.held, m.GetIndex()), max(t.heldToServe, m.GetVote())
	}
}

// pinned returns the last entry that a leader's log may lose without leaving
// behind a member that is catching up: one that a snapshot is on its way to, and
// those that follow, unless the log has become much too long because of them.
func (t *trimmer) pinned() uint64 {
	g := t.group
	pin := g.sender.pin(g.host.ticks)
	opts := &g.host.opts
	entries, bytes := g.store.Size()
	if !g.leading() || entries > trimSlack*opts.LogEntries || bytes > trimSlack*opts.LogBytes {
		return pin
	}
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if id != g.raftID && pr.RecentActive && pr.State == tracker.StateReplicate {
			pin = min(pin, pr.Match)
		}
	})
	return pin
}

// pointAt describes a place in the log.
func pointAt(store *wal.GroupLog, index uint64) (*Point, error) {
	term, err := store.Term(index)
	if err != nil {
		return nil, err
	}
	conf, err := confAt(store, index)
	if err != nil {
		return nil, err
	}
	return &Point{Index: index, Term: term, Conf: conf}, nil
}

// confAt returns the configuration as of an entry: the one at the log's
// truncation point and the changes since. They are read from the log itself, so
// there is no second record of the membership that could disagree with it.
func confAt(store *wal.GroupLog, index uint64) (*pb.ConfState, error) {
	for {
		cut, _, conf := store.Truncated()
		conf = pb.EnsureConfState(conf)
		if index == cut {
			return conf, nil
		}
		entries, err := store.ConfEntries(cut+1, index+1)
		if errors.Is(err, raft.ErrCompacted) && index > cut && moved(store, cut) {
			continue // it was cut in between
		}
		if err != nil {
			return nil, err
		}
		return foldChanges(conf, cut, entries)
	}
}

func moved(store *wal.GroupLog, cut uint64) bool {
	now, _, _ := store.Truncated()
	return now != cut
}
