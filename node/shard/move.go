package shard

import (
	"errors"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// What slots that move are made of: see package keyspace.
type (
	Position    = keyspace.Position
	Piece       = keyspace.Piece
	Pulled      = keyspace.Pulled
	WatchState  = keyspace.WatchState
	ImportState = keyspace.ImportState
)

// Errors of Pull.
var (
	ErrNotWatched = keyspace.ErrNotWatched
	ErrLost       = keyspace.ErrLost
	ErrBehind     = keyspace.ErrBehind
	ErrNoPosition = keyspace.ErrNoPosition
)

const (
	// ErrImportRefused answers AppendImport where the slots are not free for it.
	ErrImportRefused = resp.Error("ERR the slots are owned, marked, under import, or hold keys")
	// ErrHidden answers AppendOwn, which has left out slots whose keys have not all
	// come, or are still being dropped.
	ErrHidden = resp.Error("ERR keys of the slots are still on their way, or being dropped")
)

// applyRecord applies a payload of this package's own, and reports whether the table of
// slots or their marks have changed.
func (m *Machine) applyRecord(tx *command.Tx, r *record, reply *resp.Reply) (changed bool) {
	reply.OK()
	switch r.kind {
	case kindOwn:
		return m.applyOwn(tx, r, reply)
	case kindSeal:
		news := m.slots.change(&r.slots, false, r.number)
		return !news.Empty()
	case kindMark:
		return m.applyMark(r)
	case kindWatch:
		tx.BeginLog(r.number, &r.slots)
	case kindUnwatch:
		tx.EndLog(r.number)
	case kindImport:
		m.applyImport(tx, r, reply)
	case kindPiece:
		if err := tx.Take(r.number, r.from, r.to, &r.piece, r.slots); err != nil && tx.Err() == nil {
			reply.Fail(err)
		}
		m.held += len(r.piece.Records)
	case kindEndImport:
		tx.EndImport(r.number)
	case kindDrop:
		m.applyDrop(tx, r, reply)
	}
	return false
}

func (m *Machine) applyOwn(tx *command.Tx, r *record, reply *resp.Reply) (changed bool) {
	slots := m.slots.older(&r.slots, r.number)
	if refused := tx.Show(&slots, r.number); !refused.Empty() {
		slots.Subtract(&refused)
		reply.Fail(ErrHidden)
	}
	m.slots.change(&slots, true, r.number)
	return !slots.Empty()
}

func (m *Machine) applyMark(r *record) (changed bool) {
	next, news := m.marks.change(&r.slots, r.mark, r.number)
	for n := range news.All {
		m.slots[n] = m.slots[n].marked(r.mark)
	}
	m.marks = next
	return !news.Empty()
}

func (m *Machine) applyImport(tx *command.Tx, r *record, reply *resp.Reply) {
	for n := range r.slots.All {
		if m.slots[n].owned() || m.slots[n].mark() != MarkStable {
			reply.Fail(ErrImportRefused)
			return
		}
	}
	if err := tx.Import(r.number, &r.slots); err != nil && tx.Err() == nil {
		reply.Fail(ErrImportRefused)
	}
}

func (m *Machine) applyDrop(tx *command.Tx, r *record, reply *resp.Reply) {
	var slots slot.Set
	for n := range r.slots.All {
		if s := m.slots[n]; !s.owned() && s.epoch() <= r.number && s.mark() == MarkStable {
			slots.Add(n)
		}
	}
	reply.Restart()
	reply.Int(int64(tx.Drop(&slots, r.limit)))
}

// Pull returns what is to be copied of the slots that a job watches, from a position on:
// see keyspace.View.Pull. Any member answers alike that has applied as much.
func (m *Machine) Pull(job uint64, at Position, maxBytes int) (Pulled, error) {
	view := m.keys.View(0)
	defer view.Close()
	p, err := view.Pull(job, at, maxBytes)
	if err == nil {
		p.Epoch, p.Sealed, err = epochs(view, job)
	}
	if err != nil {
		if m.damage != nil && errors.Is(err, storage.ErrCorrupt) {
			m.damage(err)
		}
		return Pulled{}, err
	}
	if p.End {
		p.Complete = p.Sealed
	}
	return p, nil
}

// epochs returns the newest epoch of the slots that a job watches, and the epoch of the
// seal that covers all of them, 0 if there is none, in the state of a view. What readers
// are shown of slots may be ahead of that.
func epochs(view *keyspace.View, job uint64) (newest, sealed uint64, err error) {
	stored, err := view.Meta(slotsName)
	if err != nil || stored == nil {
		return 0, 0, err
	}
	table, err := decodeSlotTable(stored)
	if err != nil {
		return 0, 0, err
	}
	all := true
	for _, w := range view.Watched() {
		if w.Job != job {
			continue
		}
		for n := range w.Slots.All {
			all = all && !table[n].owned() && (newest == 0 || table[n].epoch() == newest)
			newest = max(newest, table[n].epoch())
		}
	}
	if all {
		sealed = newest
	}
	return newest, sealed, nil
}

// Watches returns the jobs whose slots' changes are logged, as of the last applied entry.
func (m *Machine) Watches() []WatchState {
	view := m.keys.View(0)
	defer view.Close()
	return view.Watched()
}

// Imports returns the jobs that import slots, as of the last applied entry.
func (m *Machine) Imports() []ImportState {
	view := m.keys.View(0)
	defer view.Close()
	return view.Imports()
}

// Garbage returns how many keys there are of slots, shown or hidden.
func (m *Machine) Garbage(slots *slot.Set) (keys int64) {
	for n := range slots.All {
		keys += m.keys.LenSlot(n)
	}
	return keys
}
