package multiraft

import (
	"slices"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// StoredWait waits until data members of a group store what its leader had in
// its log when the wait began. Nobody polls: the loop looks after each turn in
// which there are such waits. Its methods may be called by any goroutine.
type StoredWait struct {
	group *Group
	local bool // this member is waited for as well
	want  int
	ended func()
	index uint64 // what they are to store; the loop's

	stored          atomic.Int64
	own, done, lost atomic.Bool
}

// AwaitStored begins to wait until so many data members besides this one, and this one
// if local says so, store everything up to now. ended is called once, by the group, when they do or
// when this member does not lead any more; it must not block. Whoever waits
// calls Stop in the end.
func (g *Group) AwaitStored(local bool, want int, ended func()) *StoredWait {
	w := &StoredWait{group: g, local: local, want: want, ended: ended}
	if !g.host.inbox.addControl(func() { g.beginWait(w) }) {
		w.end(true)
	}
	return w
}

// State returns how many members store everything, and whether the wait is over:
// done if there are enough, lost if this member does not lead any more.
func (w *StoredWait) State() (stored int, done, lost bool) {
	return int(w.stored.Load()), w.done.Load(), w.lost.Load()
}

// Own reports whether this member itself stores everything.
func (w *StoredWait) Own() bool { return w.own.Load() }

// Stop ends the wait.
func (w *StoredWait) Stop() {
	if w.done.Load() || w.lost.Load() {
		return
	}
	g := w.group
	g.host.inbox.addControl(func() {
		g.storedWaits = slices.DeleteFunc(g.storedWaits, func(o *StoredWait) bool { return o == w })
	})
}

// end makes the wait's outcome known.
func (w *StoredWait) end(lost bool) {
	if lost {
		w.lost.Store(true)
	} else {
		w.done.Store(true)
	}
	w.ended()
}

// beginWait takes a wait into the loop.
func (g *Group) beginWait(w *StoredWait) {
	if g.detached || !g.leading() {
		w.end(true)
		return
	}
	w.index = g.rn.BasicStatus().GetCommit()
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if id == g.raftID {
			w.index = max(w.index, pr.Match)
		}
	})
	g.storedWaits = append(g.storedWaits, w)
}

// reviewWaits ends the waits whose members have caught up.
func (g *Group) reviewWaits() {
	if len(g.storedWaits) == 0 {
		return
	}
	var matches []uint64
	own := uint64(0)
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		switch {
		case id == g.raftID:
			own = pr.Match
		case g.members.wish.serves(id):
			matches = append(matches, pr.Match)
		}
	})
	g.storedWaits = slices.DeleteFunc(g.storedWaits, func(w *StoredWait) bool {
		stored := 0
		for _, match := range matches {
			if match >= w.index {
				stored++
			}
		}
		w.stored.Store(int64(stored))
		w.own.Store(own >= w.index)
		if stored < w.want || w.local && own < w.index {
			return false
		}
		w.end(false)
		return true
	})
}

// loseWaits ends all waits of a member that does not lead any more.
func (g *Group) loseWaits() {
	for _, w := range g.storedWaits {
		w.end(true)
	}
	g.storedWaits = nil
}

// serves reports whether it is wished to be a data member.
func (w Wish) serves(raftID uint64) bool {
	return slices.ContainsFunc(w.Voters, func(m Member) bool { return m.RaftID == raftID && !m.Arbiter })
}
