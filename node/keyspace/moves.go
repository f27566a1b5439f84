package keyspace

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// moves is what the state knows of slots that move. It never changes: a change makes
// another one. Nil is the same as one without anything.
type moves struct {
	watches  []watching
	imports  []importing
	dropping slot.Set // slots whose keys are being dropped

	// What follows is derived of the above.

	watched slot.Set // slots whose changes are logged
	hidden  slot.Set // slots whose keys are not shown: under import, or being dropped
	settled bool     // an import has everything, and waits for its slots
}

// watching is a job whose slots' changes are logged, see changes.go.
type watching struct {
	job   uint64
	slots slot.Set
	log   logID
	lost  bool // the keyspace was flushed: the log is gone
}

// importing is a job that brings slots here, see take.go.
type importing struct {
	job      uint64
	slots    slot.Set
	left     slot.Set // of slots: those that have not been shown yet
	paged    slot.Set // of slots: those that pages have come for
	at       Position
	complete uint64 // see Piece.Complete
	bytes    uint64 // of the pieces that were taken
	failed   bool   // the keyspace was flushed
}

// WatchState is a job whose slots' changes are logged.
type WatchState struct {
	Job   uint64
	Slots slot.Set
	// Since is the index of the entry from which on they are.
	Since uint64
	// Lost says that FLUSHALL has taken the log with it.
	Lost bool
}

// ImportState is a job that brings slots to this keyspace.
type ImportState struct {
	Job   uint64
	Slots slot.Set
	// Position is what the next piece has to begin from.
	Position Position
	// Failed says that FLUSHALL has taken what had come: no more will be taken.
	Failed bool
	// Complete is the epoch of the seal up to which everything has come, 0: not yet.
	Complete uint64
	// Keys are here of the slots; Bytes were in the pieces that brought them.
	Keys, Bytes int64
}

// movesName is the named record that holds the moves.
const movesName = "moves"

// hides reports whether the keys of a slot are not shown.
func (m *moves) hides(s uint16) bool { return m != nil && m.hidden.Has(s) }

// job returns the index of the job's import, -1 if there is none.
func (m *moves) importOf(job uint64) int {
	if m == nil {
		return -1
	}
	return slices.IndexFunc(m.imports, func(i importing) bool { return i.job == job })
}

func (m *moves) watchOf(job uint64) int {
	if m == nil {
		return -1
	}
	return slices.IndexFunc(m.watches, func(w watching) bool { return w.job == job })
}

// clone returns a copy to be changed, and then derived.
func (m *moves) clone() *moves {
	if m == nil {
		return new(moves)
	}
	return &moves{watches: slices.Clone(m.watches), imports: slices.Clone(m.imports), dropping: m.dropping}
}

// derive fills in what follows from the rest, and returns nil if there is nothing.
func (m *moves) derive() *moves {
	if len(m.watches) == 0 && len(m.imports) == 0 && m.dropping.Empty() {
		return nil
	}
	m.watched, m.hidden, m.settled = slot.Set{}, m.dropping, false
	for i := range m.imports {
		m.hidden.Union(&m.imports[i].left)
		m.settled = m.settled || m.imports[i].complete != 0 && !m.imports[i].left.Empty()
	}
	for i := range m.watches {
		if w := &m.watches[i]; !w.lost {
			m.watched.Union(&w.slots)
		}
	}
	m.watched.Subtract(&m.hidden)
	return m
}

// flushed returns what a flush makes of the moves.
func (m *moves) flushed() *moves {
	if m == nil {
		return nil
	}
	next := m.clone()
	for i := range next.watches {
		next.watches[i].lost = true
	}
	for i := range next.imports {
		if in := &next.imports[i]; !in.left.Empty() {
			in.failed, in.paged = true, slot.Set{}
		}
	}
	next.dropping = slot.Set{}
	return next.derive()
}

// Moves are encoded as a format byte and, behind a count each, the watches and the
// imports in the order of their jobs, and at last the slots that are being dropped.
const movesFormat = 1

const (
	moveLost   = 1 << 0
	moveFailed = 1 << 0
)

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// encode returns nil if there is nothing.
func (m *moves) encode() []byte {
	if m == nil {
		return nil
	}
	b := binary.AppendUvarint([]byte{movesFormat}, uint64(len(m.watches)))
	for i := range m.watches {
		w := &m.watches[i]
		b = binary.BigEndian.AppendUint64(b, w.job)
		b = append(append(b, flag(w.lost, moveLost)), w.log[:]...)
		b = slot.Append(b, &w.slots)
	}
	b = binary.AppendUvarint(b, uint64(len(m.imports)))
	for i := range m.imports {
		in := &m.imports[i]
		b = binary.BigEndian.AppendUint64(b, in.job)
		b = append(b, flag(in.failed, moveFailed))
		b = binary.AppendUvarint(b, in.complete)
		b = binary.AppendUvarint(b, in.bytes)
		b = in.at.Append(b)
		for _, set := range []*slot.Set{&in.slots, &in.left, &in.paged} {
			b = slot.Append(b, set)
		}
	}
	return slot.Append(b, &m.dropping)
}

// decodeMoves reads what encode has made; nil is nothing.
func decodeMoves(b []byte) (*moves, error) {
	switch {
	case b == nil:
		return nil, nil
	case len(b) == 0:
		return nil, fmt.Errorf("keyspace: %w: the record of moves is empty", storage.ErrCorrupt)
	case b[0] > movesFormat:
		return nil, fmt.Errorf("keyspace: %w: moves of format %d, this program reads up to %d", storage.ErrNewerFormat, b[0], movesFormat)
	}
	m, r := new(moves), decoder{rest: b[1:]}
	for range r.count() {
		w := watching{job: r.uint64()}
		w.lost = r.byte() == moveLost
		copy(w.log[:], r.bytes(len(w.log)))
		w.slots = r.slots()
		m.watches = append(m.watches, w)
	}
	for range r.count() {
		in := importing{job: r.uint64()}
		in.failed = r.byte() == moveFailed
		in.complete, in.bytes = r.uvarint(), r.uvarint()
		in.at = r.position()
		in.slots, in.left, in.paged = r.slots(), r.slots(), r.slots()
		m.imports = append(m.imports, in)
	}
	if m.dropping = r.slots(); r.failed || len(r.rest) != 0 {
		return nil, fmt.Errorf("keyspace: %w: the record of moves", storage.ErrCorrupt)
	}
	return m.derive(), nil
}

// moves returns those of the view's state.
func (v *View) moves() *moves {
	switch {
	case v.own != nil:
		return v.own.moves
	case v.ks == nil:
		return nil
	default:
		m, _ := v.recs.Mark().Note.(*moves)
		return m
	}
}

// Watched returns the jobs whose slots' changes are logged, by job.
func (v *View) Watched() []WatchState {
	m := v.moves()
	if m == nil {
		return nil
	}
	states := make([]WatchState, len(m.watches))
	for i := range m.watches {
		w := &m.watches[i]
		states[i] = WatchState{Job: w.job, Slots: w.slots, Since: w.log.index(), Lost: w.lost}
	}
	return states
}

// Imports returns the jobs that bring slots here, by job.
func (v *View) Imports() []ImportState {
	m := v.moves()
	if m == nil {
		return nil
	}
	states := make([]ImportState, len(m.imports))
	for i := range m.imports {
		in := &m.imports[i]
		states[i] = ImportState{
			Job: in.job, Slots: in.slots, Position: in.at, Failed: in.failed,
			Complete: in.complete, Bytes: int64(in.bytes),
		}
		for s := range in.slots.All {
			states[i].Keys += v.stored(s).keys
		}
	}
	return states
}

// Hidden returns the slots whose keys are not shown.
func (v *View) Hidden() (hidden slot.Set) {
	if m := v.moves(); m != nil {
		hidden = m.hidden
	}
	return hidden
}

// byJob puts watches and imports into the order in which they are stored.
func (m *moves) sort() {
	slices.SortFunc(m.watches, func(a, b watching) int { return cmp.Compare(a.job, b.job) })
	slices.SortFunc(m.imports, func(a, b importing) int { return cmp.Compare(a.job, b.job) })
}
