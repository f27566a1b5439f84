package keyspace

// MaxRecord bounds the bytes of a key and its value together. A record of that
// size fits into an entry of the log, a frame between nodes and a piece of a
// snapshot; a larger one could be made, but never copied to another replica.
const MaxRecord = 120 << 20

// SetLimit sets what Limit returns.
func (tx *Tx) SetLimit(n int) { tx.own.limit = n }

// Limit returns how long a string may become by the command that runs, in bytes.
// It comes with the entry: all replicas keep to the same.
func (tx *Tx) Limit() int { return tx.own.limit }

// TooLarge reports whether something was to be written since Save that is larger
// than MaxRecord. It was not; whoever ran the command undoes the rest of it.
func (tx *Tx) TooLarge() bool { return tx.own.large }

// Save is what Undo goes back to.
type Save struct {
	changes *changeSet
	length  int // of changes.list
	counts  map[uint16]int64
	total   int64
	expired int64
	flushed bool
}

// undone is one step back: of a change that was there at Save, or of a slot's
// number of keys.
type undone struct {
	set    *changeSet // nil: it is of counts
	index  int        // of the change in its list
	stored storedKey
	now    *record

	counts map[uint16]int64
	slot   uint16
	keys   int64
	fresh  bool // the slot's number was not in counts
}

func (u *undone) step() {
	switch {
	case u.set != nil:
		c := &u.set.list[u.index]
		c.now, c.stored = u.now, u.stored
	case u.fresh:
		delete(u.counts, u.slot)
	default:
		u.counts[u.slot] = u.keys
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
// save is good at a time: the next one takes its place. It costs next to nothing.
func (tx *Tx) Save() Save {
	w := tx.own
	w.undo, w.large = w.undo[:0], false
	return Save{w.changes, len(w.changes.list), w.counts, w.total, w.expired, w.flushed}
}

// Undo takes back every change of a key since the last Save, which returned s.
// Versions are not given again.
func (tx *Tx) Undo(s Save) {
	w := tx.own
	for i := len(w.undo) - 1; i >= 0; i-- {
		w.undo[i].step()
	}
	w.undo = w.undo[:0]
	w.changes, w.counts, w.total, w.expired, w.flushed = s.changes, s.counts, s.total, s.expired, s.flushed
	w.changes.cut(s.length)
	w.large = false
}
