package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/genuineh/aikv/node/storage"
)

// View reads one state of the keyspace: a committed one, or, as the reading half
// of a Tx, what is committed with the changes of the transaction so far. It
// changes nothing, and is used by one goroutine.
//
// Errors of the store stick: after one, reads find nothing and Err returns it.
type View struct {
	ks     *Keyspace // nil: nothing is there
	base   *commit
	now    int64 // the replicated clock
	err    error
	closed bool

	localNow int64
	behind   bool

	hits, misses int64 // of Lookup

	// own is what the transaction has changed whose reading half this is; nil
	// in a view of a committed state.
	own *writeState
}

// Err returns the first error of the view, or of its transaction.
func (v *View) Err() error { return v.err }

// Now returns the replicated clock in unix ms: the time of the entry, or of a
// later one applied before.
func (v *View) Now() int64 { return v.now }

// Behind reports whether an answer of this view depends on something that has
// expired by the local clock but not by the replicated one. It is reported as
// live; whoever answers a client first advances the clock and reads again, so
// that no replica with a slower clock brings it back. A transaction is never
// behind: in writes, the replicated clock alone decides.
func (v *View) Behind() bool { return v.behind }

// Close ends a view. Closing again does nothing, and so does closing the reading
// half of a transaction, which ends with that.
func (v *View) Close() {
	if v.closed || v.own != nil {
		return
	}
	v.closed = true
	v.ks.views.RUnlock()
}

func (v *View) ref(key []byte) ref {
	if v.ks == nil {
		return ref{key: key}
	}
	return ref{key: key, hash: maphash.Bytes(v.ks.seed, key)}
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
	rec := v.find(&r)
	if rec == nil {
		return Meta{}, false
	}
	return rec.meta, true
}

// Lookups returns how many look-ups have found a key, and how many none.
func (v *View) Lookups() (hits, misses int64) { return v.hits, v.misses }

// load returns the key's record in this state, nil if it has none.
func (v *View) load(r *ref) *record {
	if v.err != nil || v.ks == nil {
		return nil
	}
	if w := v.own; w != nil {
		if c := w.changes.find(r.hash, r.key); c != nil {
			return c.now
		}
		if w.flushed {
			return nil
		}
	}
	rec, err := v.ks.current(r)
	if err != nil {
		v.err = err
		return nil
	}
	if v.own == nil {
		// The first commit after base that changed the key knows what base had.
		for c := v.base.next.Load(); c != nil; c = c.next.Load() {
			if ch := c.changes.find(r.hash, r.key); ch != nil {
				return ch.old
			}
		}
	}
	return rec
}

// Meta returns the named record, nil if there is none; the caller owns it.
func (v *View) Meta(name string) ([]byte, error) {
	if v.err != nil || v.ks == nil {
		return nil, v.err
	}
	if v.own != nil {
		if value, ok := v.own.named[name]; ok {
			return bytes.Clone(value), nil
		}
	}
	value, err := v.ks.named(name)
	if err != nil {
		v.err = err
		return nil, err
	}
	if v.own == nil {
		for c := v.base.next.Load(); c != nil; c = c.next.Load() {
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
