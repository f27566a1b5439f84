package keyspace

import "github.com/genuineh/aikv/node/keyspace/records"

// MaxRecord bounds the bytes of a key and its value together. A record of that
// size fits into an entry of the log, a frame between nodes and a piece of a
// snapshot; a larger one could be made, but never copied to another replica.
const MaxRecord = 120<<20 - 1<<10

// TooLarge reports whether something was to be written since Save that is larger
// than MaxRecord. It was not; whoever ran the command undoes the rest of it.
func (tx *Tx) TooLarge() bool { return tx.own.large }

// Refused reports whether Flush was refused since Save.
func (tx *Tx) Refused() bool { return tx.own.refused }

// Save is what Undo goes back to.
type Save struct {
	recs    records.Save
	counts  map[uint16]slotCounts
	total   slotCounts
	expired int64
	flushed bool

	added, removed, passed, hidden int64

	moves   *moves
	touched [][]byte
	dropped dropped
}

// undone is one step back, of a slot's counts.
type undone struct {
	counts map[uint16]slotCounts
	slot   uint16
	had    slotCounts
	fresh  bool // the slot's counts were not in the map
}

func (u *undone) step() {
	if u.fresh {
		delete(u.counts, u.slot)
	} else {
		u.counts[u.slot] = u.had
	}
}

// keepUndo keeps the memory of a transaction's steps for the next one.
func (ks *Keyspace) keepUndo(undo []undone) {
	const keep = 256
	clear(undo[:cap(undo)])
	if ks.undo = undo[:0]; cap(undo) > keep {
		ks.undo = nil
	}
}

// Save returns the state of the write transaction as it is now, for Undo. One
// save is good at a time: the next one takes its place. It costs next to nothing. What
// was read before must not be used any more.
func (tx *Tx) Save() Save {
	w := tx.own
	w.undo, w.large, w.refused = w.undo[:0], false, false
	tx.slab.reset()
	return Save{
		w.recs.Save(), w.counts, w.total, w.expired, w.flushed,
		w.added, w.removed, w.passed, w.hidden, w.moves, w.touched, w.dropped,
	}
}

// Undo takes back every change of a key since the last Save, which returned s.
// Versions are not given again.
func (tx *Tx) Undo(s Save) {
	w := tx.own
	for i := len(w.undo) - 1; i >= 0; i-- {
		w.undo[i].step()
	}
	w.undo = w.undo[:0]
	w.recs.Undo(s.recs)
	w.counts, w.total, w.expired, w.flushed = s.counts, s.total, s.expired, s.flushed
	w.added, w.removed, w.passed, w.hidden = s.added, s.removed, s.passed, s.hidden
	w.moves, w.touched, w.dropped = s.moves, s.touched, s.dropped
	w.large, w.refused = false, false
}
