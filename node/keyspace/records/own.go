package records

// A big value is changed page by page, often many times in one transaction. So a
// transaction may change a record in place that it has made itself, as long as it has
// shown it to nobody: what was handed out stays what it is.

// PutOwn is PutRecord for a record that nobody else knows and that is not the
// caller's any more, but for Own. fresh says that the key is certainly absent: nobody
// is asked.
func (tx *Tx) PutOwn(rec Record, fresh bool) {
	hash := tx.m.hash(rec.Key())
	_, changes := tx.home(rec.Key())
	index := changes.index(hash, rec.Key())
	var old Record
	if index < 0 && !fresh {
		old, index = tx.load(hash, rec.Key())
	}
	tx.set(hash, index, old, rec)
	if tx.err != nil || tx.ended {
		return
	}
	if index < 0 {
		index = len(changes.list) - 1
	}
	changes.list[index].own = true
}

// Own returns the record of a key to be changed in place, and grown within its memory,
// if it came from PutOwn and nobody has been shown it since; nil if not. It has to be
// given to PutOwn again before anything else is done with the key. Undo takes back what
// was done to it.
func (tx *Tx) Own(key []byte) Record {
	_, changes := tx.home(key)
	index := changes.index(tx.m.hash(key), key)
	if index < 0 || tx.ended {
		return nil
	}
	c := &changes.list[index]
	if !c.own || c.now.absent() {
		return nil
	}
	if c.saved != tx.saves {
		from := len(tx.before)
		tx.before = append(tx.before, c.now...)
		was := Record(tx.before[from:len(tx.before):len(tx.before)])
		tx.undo = append(tx.undo, undone{changes: changes, index: index, now: was, copied: true})
		c.saved = tx.saves
	}
	return c.now
}

// Peek is Get for a caller that keeps nothing of the value; own says that it may be
// changed in place, later.
func (tx *Tx) Peek(key []byte) (value []byte, own, ok bool) {
	rec, index := tx.load(tx.m.hash(key), key)
	if rec == nil {
		return nil, false, false
	}
	if index >= 0 {
		_, changes := tx.home(key)
		own = changes.list[index].own
	}
	return rec.Value(), own, true
}
