package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/genuineh/aikv/node/storage"
)

var (
	// ErrReadOnly is the error of a view that was asked to write.
	ErrReadOnly = errors.New("keyspace: write in a read-only transaction")
	// ErrOrder is the error of a transaction whose entries do not rise, or that
	// sets a key before the first one.
	ErrOrder = errors.New("keyspace: entry is not newer than the last one applied")
	// ErrEnded is the error of committing a transaction that has ended.
	ErrEnded = errors.New("keyspace: transaction has ended")
)

// Tx reads one state of the keyspace (a view), or changes it (the write
// transaction, which sees its own changes). A Tx is used by one goroutine.
//
// Errors of the store stick: after one, reads find nothing, Err returns it and
// Commit refuses.
type Tx struct {
	ks     *Keyspace // nil: nothing is there
	base   *commit
	now    int64 // the replicated clock
	err    error
	closed bool

	localNow int64 // a view's
	behind   bool  // a view's

	hits, misses int64 // of Lookup

	write *writeState // nil in a view
}

// writeState is what the write transaction has beside a view.
type writeState struct {
	index   uint64 // of the current entry
	op      uint32 // number of the next write within it
	begun   bool   // an entry has begun
	dirty   bool   // there is something to commit
	changes *changeSet
	named   map[string][]byte // nil value: removed
	counts  map[uint16]int64  // of slots whose number of keys has changed
	total   int64
	expired int64 // keys deleted or replaced after they had expired
	flushed bool  // nothing stored counts any more
	// limit is what SetLimit said; large is set when a record was refused.
	limit int
	large bool
	// undo is what Undo needs to take back what was done since Save.
	undo []undone
}

// StartEntry begins the next Raft entry: index must be larger than that of every
// entry before, now is its time in unix ms. The clock never goes back.
func (tx *Tx) StartEntry(index uint64, now int64) {
	if !tx.writable() {
		return
	}
	w := tx.write
	if index <= w.index {
		tx.err = fmt.Errorf("%w: %d after %d", ErrOrder, index, w.index)
		return
	}
	w.index, w.op, w.begun, w.dirty = index, 0, true, true
	tx.now = max(tx.now, now)
}

// Err returns the first error of the transaction.
func (tx *Tx) Err() error { return tx.err }

// Now returns the replicated clock in unix ms: the time of the entry, or of a
// later one applied before.
func (tx *Tx) Now() int64 { return tx.now }

// Behind reports whether an answer of this view depends on a key that has
// expired by the local clock but not by the replicated one. Such a key is
// reported as live; whoever answers a client first advances the clock and reads
// again, so that no replica with a slower clock brings the key back.
func (tx *Tx) Behind() bool { return tx.behind }

// Close ends a view. Closing again does nothing.
func (tx *Tx) Close() {
	if tx.closed || tx.write != nil {
		return
	}
	tx.closed = true
	tx.ks.views.RUnlock()
}

// Discard drops the write transaction. After Commit it does nothing.
func (tx *Tx) Discard() {
	if tx.closed || tx.write == nil {
		return
	}
	tx.closed = true
	tx.ks.keepUndo(tx.write.undo)
	tx.ks.writer.Unlock()
}

// writable reports whether the transaction can still write; in a view that is
// an error.
func (tx *Tx) writable() bool {
	if tx.write == nil && tx.err == nil {
		tx.err = ErrReadOnly
	}
	return tx.err == nil && !tx.closed
}

func (tx *Tx) ref(key []byte) ref {
	if tx.ks == nil {
		return ref{key: key}
	}
	return ref{key: key, hash: maphash.Bytes(tx.ks.seed, key)}
}

// load returns the key's record in this transaction, nil if it has none.
func (tx *Tx) load(r *ref) *record {
	if tx.err != nil || tx.ks == nil {
		return nil
	}
	if w := tx.write; w != nil {
		if c := w.changes.find(r.hash, r.key); c != nil {
			return c.now
		}
		if w.flushed {
			return nil
		}
	}
	rec, err := tx.ks.current(r)
	if err != nil {
		tx.err = err
		return nil
	}
	if tx.write == nil {
		// The first commit after base that changed the key knows what base had.
		for c := tx.base.next.Load(); c != nil; c = c.next.Load() {
			if ch := c.changes.find(r.hash, r.key); ch != nil {
				return ch.old
			}
		}
	}
	return rec
}

// live reports whether a record counts as a key that is there.
func (tx *Tx) live(rec *record) bool {
	if rec == nil {
		return false
	}
	at := rec.meta.ExpireAt
	if at == 0 {
		return true
	}
	if at > tx.now && at <= tx.localNow {
		tx.behind = true
	}
	return at > tx.now
}

// Lookup returns a live key. In the write transaction, an expired one is
// deleted by it.
func (tx *Tx) Lookup(key []byte) (Meta, bool) {
	r := tx.ref(key)
	rec := tx.load(&r)
	if tx.live(rec) {
		tx.hits++
		return rec.meta, true
	}
	tx.misses++
	if rec != nil && tx.write != nil {
		tx.set(&r, rec, nil)
	}
	return Meta{}, false
}

// Lookups returns how many calls of Lookup have found a key, and how many none.
func (tx *Tx) Lookups() (hits, misses int64) { return tx.hits, tx.misses }

// SetString makes key a string, whatever it was. A time of expiry that is not
// after Now deletes the key instead; 0 is none. Both slices are copied.
func (tx *Tx) SetString(key, value []byte, expireAt int64) {
	if !tx.writable() {
		return
	}
	if !tx.write.begun {
		tx.err = fmt.Errorf("%w: a key is set before StartEntry", ErrOrder)
		return
	}
	version := Version{Index: tx.write.index, Op: tx.write.op}
	tx.write.op++
	r := tx.ref(key)
	old := tx.load(&r)
	switch {
	case tx.err != nil:
	case len(key)+len(value) > MaxRecord:
		tx.write.large = true
	case expireAt == 0 || expireAt > tx.now:
		at := r.stored
		if at == nil && old != nil {
			at = old.stored
		}
		if at == nil {
			at = r.place()
		}
		tx.set(&r, old, newString(at, value, expireAt, version))
	case old != nil:
		tx.set(&r, old, nil)
	}
}

// Delete removes a key and reports whether it was there.
func (tx *Tx) Delete(key []byte) bool {
	if !tx.writable() {
		return false
	}
	r := tx.ref(key)
	rec := tx.load(&r)
	if rec != nil {
		tx.set(&r, rec, nil)
	}
	return tx.live(rec)
}

// SetExpire gives a key a time of expiry in unix ms, 0 for none, and reports
// whether the key was there. A time that is not after Now deletes it.
func (tx *Tx) SetExpire(key []byte, at int64) bool {
	if !tx.writable() {
		return false
	}
	r := tx.ref(key)
	rec := tx.load(&r)
	switch {
	case rec == nil:
		return false
	case !tx.live(rec):
		tx.set(&r, rec, nil)
		return false
	case at != 0 && at <= tx.now:
		tx.set(&r, rec, nil)
	case at != rec.meta.ExpireAt:
		tx.set(&r, rec, rec.withExpiry(at))
	}
	return true
}

// set changes a key from before, which load has returned, to now.
func (tx *Tx) set(r *ref, before, now *record) {
	w := tx.write
	w.dirty = true
	if before != nil && !tx.live(before) {
		w.expired++
	}
	var stored storedKey
	if now != nil {
		stored = now.stored
	} else {
		stored = before.stored
	}
	if i := w.changes.index(r.hash, r.key); i >= 0 {
		c := &w.changes.list[i]
		w.undo = append(w.undo, undone{set: w.changes, index: i, stored: c.stored, now: c.now})
		c.now, c.stored = now, stored
	} else {
		w.changes.add(change{hash: r.hash, stored: stored, old: before, now: now})
	}
	switch {
	case before == nil && now != nil:
		tx.count(stored.slot(), 1)
	case before != nil && now == nil:
		tx.count(stored.slot(), -1)
	}
}

func (tx *Tx) count(s uint16, delta int64) {
	w := tx.write
	if w.counts == nil {
		w.counts = make(map[uint16]int64)
	}
	had, known := w.counts[s]
	w.undo = append(w.undo, undone{counts: w.counts, slot: s, keys: had, fresh: !known})
	w.counts[s] = tx.LenSlot(s) + delta
	w.total += delta
}

// Flush deletes every key; named records stay.
func (tx *Tx) Flush() {
	if !tx.writable() {
		return
	}
	w := tx.write
	w.dirty, w.flushed = true, true
	w.changes, w.counts, w.total = &changeSet{}, nil, 0
}

// Meta returns the named record, nil if there is none; the caller owns it.
func (tx *Tx) Meta(name string) ([]byte, error) {
	if tx.err != nil || tx.ks == nil {
		return nil, tx.err
	}
	if tx.write != nil {
		if value, ok := tx.write.named[name]; ok {
			return bytes.Clone(value), nil
		}
	}
	value, err := tx.ks.named(name)
	if err != nil {
		tx.err = err
		return nil, err
	}
	if tx.write == nil {
		for c := tx.base.next.Load(); c != nil; c = c.next.Load() {
			if old, ok := c.named[name]; ok {
				return bytes.Clone(old), nil
			}
		}
	}
	return value, nil
}

// named returns the named record that is stored, nil if there is none.
func (ks *Keyspace) named(name string) ([]byte, error) {
	value, err := ks.store.Get(namedKey(name))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("keyspace: %w", err)
	}
	return value, nil
}

// PutMeta sets the named record, or removes it if value is nil. It is stored
// with the data of the transaction.
func (tx *Tx) PutMeta(name string, value []byte) {
	if !tx.writable() {
		return
	}
	w := tx.write
	if w.named == nil {
		w.named = make(map[string][]byte)
	}
	w.dirty = true
	w.named[name] = bytes.Clone(value)
}
