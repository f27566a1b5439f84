package keyspace

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/keyspace/records"
)

// ErrOrder is the error of a transaction whose entries do not rise, or that
// changes a key before the first one.
var ErrOrder = errors.New("keyspace: entry is not newer than the last one applied")

// Tx is the write transaction. A Tx is used by one goroutine.
//
// View is its reading half, over its present state: a read that has its place
// between writes is given &tx.View, and sees every write before it.
//
// Errors of the store stick: after one, nothing is found or written, and Commit
// refuses.
type Tx struct{ View }

// writeState is what a transaction has changed, and what it needs to.
type writeState struct {
	index   uint64 // of the current entry
	time    int64  // the entry's, unix ms
	op      uint32 // number of the next change within it
	begun   bool   // an entry has begun
	dirty   bool   // there is something to commit
	recs    *records.Tx
	counts  map[uint16]slotCounts // of slots in which they have changed
	total   slotCounts
	expired int64 // keys deleted or replaced after they had expired
	hidden  int64 // of total.keys: those that are not shown
	flushed bool  // nothing stored counts any more
	// added and removed are the soonest times of expiry that have come and gone
	// (since the flush, if there was one), 0: none.
	added, removed int64
	// passed, if not 0, is a time before which nothing expires that is shown.
	passed  int64
	large   bool // a record was refused
	refused bool // a flush was
	// moves are what the state knows of slots that move, as of now, touched the
	// records that the entry has changed in slots that are watched.
	moves   *moves
	touched [][]byte
	shown   bool    // some of what was hidden is not any more
	dropped dropped // see dropSlot
	put     func(key []byte, t Type)
	gone    func(key []byte)
	scratch []byte // memory for bodies in the making
	// undo is what Undo needs to take back what was done since Save.
	undo []undone
}

// OnPut has put called for each key that the transaction gives a value, or changes the
// value of, with its type; also for what is undone later. It is not called for changes of
// a stream that bring nothing new to those who wait for entries.
func (tx *Tx) OnPut(put func(key []byte, t Type)) { tx.own.put = put }

// OnStreamGone has gone called for each key that is a stream no more, or with nil where that
// may be any key: who waits for entries of a group waits in vain then.
func (tx *Tx) OnStreamGone(gone func(key []byte)) { tx.own.gone = gone }

// StartEntry begins the next Raft entry: index must be larger than that of every
// entry before, now is its time in unix ms. The clock never goes back.
func (tx *Tx) StartEntry(index uint64, now int64) {
	if !tx.writable() {
		return
	}
	w := tx.own
	if index <= w.index {
		tx.err = fmt.Errorf("%w: %d after %d", ErrOrder, index, w.index)
		return
	}
	tx.logChanges()
	w.index, w.time, w.op, w.begun, w.dirty = index, now, 0, true, true
	tx.now = max(tx.now, now)
}

// Discard drops the write transaction. After Commit it does nothing.
func (tx *Tx) Discard() {
	if tx.closed {
		return
	}
	tx.closed = true
	tx.ks.keepUndo(tx.own.undo)
	tx.own.recs.Discard()
}

// writable reports whether the transaction can still write.
func (tx *Tx) writable() bool { return tx.Err() == nil && !tx.closed }

// begun reports whether the transaction can change keys: it is in an entry.
func (tx *Tx) begun() bool {
	if tx.writable() && !tx.own.begun {
		tx.err = fmt.Errorf("%w: a key is changed before StartEntry", ErrOrder)
	}
	return tx.writable()
}

// nextVersion returns the version of the change that is under way.
func (tx *Tx) nextVersion() Version {
	version := Version{Index: tx.own.index, Op: tx.own.op}
	tx.own.op++
	return version
}

// Lookup returns a live key; an expired one is deleted.
func (tx *Tx) Lookup(key []byte) (Meta, bool) {
	r := tx.ref(key)
	rec := tx.find(&r)
	if rec == nil {
		return Meta{}, false
	}
	return rec.meta, true
}

// find is View.find, and deletes the key if it has expired.
func (tx *Tx) find(r *ref) *record {
	rec := tx.load(r)
	if tx.live(rec) {
		tx.hits++
		return rec
	}
	tx.misses++
	if rec != nil && tx.writable() {
		tx.remove(r, rec)
	}
	return nil
}

// SetString makes key a string, whatever it was. A time of expiry that is not
// after Now deletes the key instead; 0 is none. Both slices are copied.
func (tx *Tx) SetString(key, value []byte, expireAt int64) {
	if !tx.begun() {
		return
	}
	r := tx.ref(key)
	old := tx.peek(&r)
	switch {
	case tx.Err() != nil:
	case expireAt == 0 || expireAt > tx.now:
		tx.replace(&r, old, Meta{Type: TypeString, ExpireAt: expireAt}, 0, value)
	case old != nil:
		tx.remove(&r, old)
	}
}

// Delete removes a key and reports whether it was there.
func (tx *Tx) Delete(key []byte) bool {
	if !tx.writable() {
		return false
	}
	r := tx.ref(key)
	rec := tx.load(&r)
	live := tx.live(rec)
	if rec != nil {
		tx.remove(&r, rec)
	}
	return live
}

// SetExpire gives a key a time of expiry in unix ms, 0 for none, and reports
// whether the key was there. A time that is not after Now deletes it.
func (tx *Tx) SetExpire(key []byte, at int64) bool {
	if !tx.begun() {
		return false
	}
	r := tx.ref(key)
	rec := tx.load(&r)
	switch {
	case rec == nil:
		return false
	case !tx.live(rec):
		tx.remove(&r, rec)
		return false
	case at != 0 && at <= tx.now:
		tx.remove(&r, rec)
	case at != 0 || rec.meta.ExpireAt != 0:
		meta := rec.meta
		meta.ExpireAt = at
		tx.replace(&r, rec, meta, rec.soonest, rec.body)
	}
	return true
}

// Rename gives the value of a live key, with its expiry, the name to, whatever
// that was, and reports whether the key was there. Within a slot it costs the
// same whatever the value. A key that is given its own name does not change.
func (tx *Tx) Rename(key, to []byte) bool {
	if !tx.begun() {
		return false
	}
	from := tx.ref(key)
	rec := tx.find(&from)
	if rec == nil || bytes.Equal(key, to) {
		return rec != nil
	}
	r := tx.ref(to)
	old := tx.load(&r)
	switch {
	case tx.Err() != nil:
	case r.stored.slot() != rec.stored.slot():
		if tx.put(to, rec) {
			tx.remove(&from, rec)
		}
	case tx.replace(&r, old, rec.meta, rec.soonest, rec.body) != nil:
		tx.set(&from, rec, nil) // what it stood for has a new name
	}
	return true
}

// Copy makes the key to what a live key is, its expiry included, whatever to
// was, and reports whether the key was there. The two are not the same key.
func (tx *Tx) Copy(key, to []byte) bool {
	if !tx.begun() {
		return false
	}
	from := tx.ref(key)
	rec := tx.find(&from)
	if rec != nil {
		tx.put(to, rec)
	}
	return rec != nil
}

// put makes key a copy of what rec stands for, and reports whether that fits.
func (tx *Tx) put(key []byte, rec *record) bool {
	r := tx.ref(key)
	old := tx.load(&r)
	body := rec.body
	if _, ok := rec.object(); ok {
		body = tx.copyObject(&r, rec)
	}
	return tx.Err() == nil && tx.replace(&r, old, rec.meta, rec.soonest, body) != nil
}

// remove removes a key, whose record load has returned.
func (tx *Tx) remove(r *ref, rec *record) {
	tx.abandon(rec, nil)
	tx.set(r, rec, nil)
}

// set changes a key from before, which load has returned, to now.
func (tx *Tx) set(r *ref, before, now *record) {
	w := tx.own
	w.dirty = true
	if before != nil && before.meta.ExpireAt != 0 && before.meta.ExpireAt <= tx.now && !w.moves.hides(r.stored.slot()) {
		w.expired++
	}
	if now != nil {
		w.recs.PutRecord(now.kept)
		if w.put != nil {
			w.put(r.key, now.meta.Type)
		}
	} else {
		w.recs.Delete(r.stored)
	}
	if w.gone != nil && before != nil && before.meta.Type == TypeStream && (now == nil || now.meta.Type != TypeStream) {
		w.gone(r.key)
	}
	if w.moves != nil {
		tx.touch(r.stored)
	}
	had, has := before.deadline(), now.deadline()
	tx.schedule(r.stored, had, has)
	delta := slotCounts{}
	delta.add(before, had, -1)
	delta.add(now, has, 1)
	if delta != (slotCounts{}) {
		tx.count(r.stored.slot(), delta)
	}
}

// add counts a record n times.
func (c *slotCounts) add(rec *record, d deadline, n int64) {
	if rec == nil {
		return
	}
	c.keys += n
	if d.whole {
		c.expiring += n
	}
}

// schedule brings the expiry entry of a key from what it was to what it is.
func (tx *Tx) schedule(stored storedKey, had, has deadline) {
	if had == has {
		return
	}
	w := tx.own
	shown := w.moves == nil || !w.moves.hides(stored.slot())
	var key []byte
	if had.at != 0 {
		key = appendExpiryKey(nil, had.at, stored)
		if shown {
			w.removed = sooner(w.removed, had.at)
		}
	}
	switch {
	case had.at == 0:
		w.recs.Insert(appendExpiryKey(nil, has.at, stored), has.entry())
	case had.at == has.at:
		w.recs.Replace(key, had.entry(), has.entry())
	default:
		w.recs.Erase(key, had.entry())
		if has.at != 0 {
			w.recs.Insert(appendExpiryKey(key[:0], has.at, stored), has.entry())
		}
	}
	if shown {
		w.added = sooner(w.added, has.at)
	}
}

func (tx *Tx) count(s uint16, delta slotCounts) {
	w := tx.own
	if w.counts == nil {
		w.counts = make(map[uint16]slotCounts)
	}
	had, known := w.counts[s]
	w.undo = append(w.undo, undone{counts: w.counts, slot: s, had: had, fresh: !known})
	if !known && !w.flushed {
		had = tx.ks.counts[s].get()
	}
	w.counts[s] = slotCounts{had.keys + delta.keys, had.expiring + delta.expiring}
	w.total.keys += delta.keys
	w.total.expiring += delta.expiring
	if w.moves != nil && w.moves.hides(s) {
		w.hidden += delta.keys
	}
}

// Flush deletes every key; named records stay. It costs the same however many
// there are, and waits for nobody: views that have begun still see them. Imports that are
// under way have failed, and change logs are lost.
//
// While an import has everything and waits for its slots, it is refused: what has come
// is not of this keyspace yet, and may be so the next moment. See Refused.
func (tx *Tx) Flush() {
	w := tx.own
	switch {
	case !tx.writable():
		return
	case w.moves != nil && w.moves.settled:
		w.refused = true
		return
	}
	w.dirty, w.flushed = true, true
	w.recs.Flush()
	if w.gone != nil {
		w.gone(nil)
	}
	w.counts, w.total, w.hidden = nil, slotCounts{}, 0
	w.added, w.removed, w.passed = 0, 0, 0
	w.moves, w.touched, w.dropped = w.moves.flushed(), nil, dropped{}
}

// PutMeta sets the named record, or removes it if value is nil. It is stored
// with the data of the transaction.
func (tx *Tx) PutMeta(name string, value []byte) {
	if !tx.writable() {
		return
	}
	tx.own.dirty = true
	if value == nil {
		tx.own.recs.Delete(namedKey(name))
	} else {
		tx.own.recs.Put(namedKey(name), value)
	}
}
