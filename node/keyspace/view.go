package keyspace

import (
	"bytes"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/slot"
)

// View reads one state of the keyspace: a committed one, or, as the reading half
// of a Tx, what is committed with the changes of the transaction so far. It
// changes nothing, and is used by one goroutine.
//
// Errors of the store stick: after one, reads find nothing and Err returns it.
type View struct {
	ks     *Keyspace // nil: nothing is there
	recs   records.View
	now    int64 // the replicated clock
	err    error
	closed bool

	localNow int64
	behind   bool

	hits, misses int64 // of Lookup

	// own is what the transaction has changed whose reading half this is; nil
	// in a view of a committed state.
	own *writeState

	// arena is memory for stored keys, the first of which lie in first.
	arena []byte
	first [64]byte
	// looked is the record that peek returns.
	looked record
	slab   recordSlab
}

// recordSlab is memory for records that one command or read works with, which the next
// one uses again. The zero value is empty.
type recordSlab struct {
	first record
	more  []record
	used  int
}

// next returns a record to be filled in.
func (s *recordSlab) next() *record {
	const chunk = 8
	s.used++
	switch at := s.used - 2; {
	case at < 0:
		return &s.first
	case at < len(s.more):
		return &s.more[at]
	default:
		s.more, s.used = make([]record, chunk), 2
		return &s.more[0]
	}
}

// reset says that no record is needed any more.
func (s *recordSlab) reset() { s.used = 0 }

// Err returns the first error of the view, or of its transaction.
func (v *View) Err() error {
	switch {
	case v.err != nil || v.ks == nil:
		return v.err
	case v.own != nil:
		return v.own.recs.Err()
	default:
		return v.recs.Err()
	}
}

// Now returns the replicated clock in unix ms: the time of the entry, or of a
// later one applied before.
func (v *View) Now() int64 { return v.now }

// Behind reports whether an answer of this view depends on something that has
// expired by the local clock but not by the replicated one. It is reported as
// live; whoever answers a client first advances the clock and reads again, so
// that no replica with a slower clock brings it back. A transaction is never
// behind: in writes, the replicated clock alone decides.
func (v *View) Behind() bool { return v.behind }

// Restart makes the view ready for another read of the same state. What was read
// before must not be used any more, but for the bytes of keys and values.
func (v *View) Restart() {
	v.arena, v.behind = v.arena[:0], false
	v.slab.reset()
}

// Close ends a view. Closing again does nothing, and so does closing the reading
// half of a transaction, which ends with that.
func (v *View) Close() {
	if v.closed || v.own != nil {
		return
	}
	v.closed = true
	v.slab = recordSlab{}
	v.recs.Close()
}

// ref places a key. What it returns is good for as long as the key itself.
func (v *View) ref(key []byte) ref {
	n := len(v.arena)
	if size := keyHeader + len(key); cap(v.arena)-n < size {
		v.arena, n = make([]byte, 0, max(size, 512)), 0
	}
	v.arena = appendStoredKey(v.arena, slot.Of(key), fingerprint(key), key)
	return ref{key: key, stored: storedKey(v.arena[n:len(v.arena):len(v.arena)])}
}

// live reports whether a record counts as a key that is there. A hash is not
// without a field that is.
func (v *View) live(rec *record) bool {
	if rec == nil || !v.lasts(rec.meta.ExpireAt) {
		return false
	}
	return rec.soonest == 0 || rec.soonest > max(v.now, v.localNow) || v.anyFieldLasts(rec)
}

// lasts reports whether something that expires at the time at (0: never) is
// there.
func (v *View) lasts(at int64) bool {
	if at == 0 {
		return true
	}
	if at > v.now && at <= v.localNow {
		v.behind = true
	}
	return at > v.now
}

// find returns the record of a live key, nil if there is none, and counts the
// look-up.
func (v *View) find(r *ref) *record {
	rec := v.load(r)
	if !v.live(rec) {
		v.misses++
		return nil
	}
	v.hits++
	return rec
}

// Lookup returns a live key.
func (v *View) Lookup(key []byte) (Meta, bool) {
	r := v.ref(key)
	rec := v.peek(&r)
	if !v.live(rec) {
		v.misses++
		return Meta{}, false
	}
	v.hits++
	return rec.meta, true
}

// Exists reports whether a key is there. It counts as no look-up, and deletes nothing.
func (v *View) Exists(key []byte) bool {
	r := v.ref(key)
	return v.live(v.peek(&r))
}

// Lookups returns how many look-ups have found a key, and how many none.
func (v *View) Lookups() (hits, misses int64) { return v.hits, v.misses }

// load returns the key's record in this state, nil if it has none.
func (v *View) load(r *ref) *record {
	kept := v.kept(r)
	if kept == nil {
		return nil
	}
	rec := v.slab.next()
	if !v.decode(rec, kept) {
		return nil
	}
	return rec
}

// peek is load for a record that is needed until the next peek or Lookup alone.
func (v *View) peek(r *ref) *record {
	kept := v.kept(r)
	if kept == nil || !v.decode(&v.looked, kept) {
		return nil
	}
	return &v.looked
}

// kept returns what is kept under the key, nil for nothing.
func (v *View) kept(r *ref) records.Record {
	switch {
	case v.err != nil || v.ks == nil:
		return nil
	case v.own != nil:
		return v.own.recs.Find(r.stored)
	default:
		return v.recs.Find(r.stored)
	}
}

// decode reads what is kept into rec; false means that it is damaged.
func (v *View) decode(rec *record, kept records.Record) bool {
	if err := rec.readKept(kept); err != nil {
		v.err = err
		return false
	}
	return true
}

// Meta returns the named record, nil if there is none; the caller owns it.
func (v *View) Meta(name string) ([]byte, error) {
	if v.Err() != nil || v.ks == nil {
		return nil, v.Err()
	}
	var value []byte
	if v.own != nil {
		value, _ = v.own.recs.Get(namedKey(name))
	} else {
		value, _ = v.recs.Get(namedKey(name))
	}
	return bytes.Clone(value), v.Err()
}
