package keyspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// CursorEnd is above every position that Scan can be at: a cursor is a slot
// number, shifted left by 32 bits, and a fingerprint.
const CursorEnd = uint64(slot.Count) << 32

// Len returns the number of stored keys, expired ones that nothing has deleted
// yet included.
func (v *View) Len() int64 {
	if v.own != nil {
		return v.own.total
	}
	return v.base.total
}

// LenSlot returns the number of stored keys of a slot, counted as Len does.
func (v *View) LenSlot(s uint16) int64 {
	if v.ks == nil || s >= slot.Count {
		return 0
	}
	if w := v.own; w != nil {
		if n, ok := w.counts[s]; ok {
			return n
		}
		if w.flushed {
			return 0
		}
		return v.ks.counts[s].Load()
	}
	n := v.ks.counts[s].Load()
	for c := v.base.next.Load(); c != nil; c = c.next.Load() {
		for _, old := range c.counts {
			if old.slot == s {
				return old.keys
			}
		}
	}
	return n
}

// KeysInSlot returns up to limit live keys of a slot; the caller owns them.
func (v *View) KeysInSlot(s uint16, limit int) [][]byte {
	var keys [][]byte
	if limit <= 0 || s >= slot.Count {
		return nil
	}
	w := v.walk(appendKeyPrefix(nil, s, 0), slotEnd(s))
	defer w.release()
	for len(keys) < limit && w.next() {
		if v.live(w.rec) {
			keys = append(keys, bytes.Clone(w.rec.stored.key()))
		}
	}
	return keys
}

// A fingerprint is no secret: keys can be made that share one, as many as
// somebody likes. Where Scan has to stop among them, the cursor names the last key
// of the slot that was returned: a mark, the slot, and a part of a cryptographic
// hash of the key.
const (
	cursorWithin = uint64(1) << 62
	digestBits   = 48
	// crowd is how many keys of one fingerprint are returned beyond what was asked
	// for, before Scan stops among them.
	crowd = 64
)

// digest is the part of a key's hash that cursors hold.
func digest(key []byte) uint64 {
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:]) >> (64 - digestBits)
}

// Scan calls fn for the live keys of at least count stored keys from cursor on,
// and few more, in the order (slot, fingerprint, key), and returns the cursor to
// go on from. Cursor 0 is the beginning, and returned it is the end. Every key
// that is there from the first call to the last is returned, and none twice,
// unless a key that Scan stopped at among many of one fingerprint is deleted:
// then it begins the slot again. The key is the caller's; m.Value is valid during
// the call of fn, which must not write.
func (v *View) Scan(cursor uint64, count int, fn func(key []byte, m Meta)) (next uint64) {
	from := appendKeyPrefix(nil, uint16(cursor>>32), uint32(cursor))
	switch {
	case cursor&cursorWithin != 0 && cursor < 2*cursorWithin:
		s := uint16(cursor>>digestBits) & (slot.Count - 1)
		if from = v.afterDigest(s, cursor&(1<<digestBits-1)); from == nil {
			from = appendKeyPrefix(nil, s, 0)
		}
	case cursor >= CursorEnd:
		return 0
	}
	w := v.walk(from, []byte{classKey + 1})
	defer w.release()
	var last uint64
	var key []byte
	for seen := 0; w.next(); seen++ {
		at := w.rec.stored.cursor()
		switch {
		case seen < max(count, 1):
		case at != last:
			return at
		case seen >= max(count, 1)+crowd:
			return cursorWithin | uint64(w.rec.stored.slot())<<digestBits | digest(key)
		}
		last = at
		key = append(key[:0], w.rec.stored.key()...)
		if v.live(w.rec) {
			fn(bytes.Clone(key), w.rec.meta)
		}
	}
	return 0
}

// afterDigest returns where to go on behind the key of a slot with that digest, nil
// if there is no such key.
func (v *View) afterDigest(s uint16, want uint64) []byte {
	w := v.walk(appendKeyPrefix(nil, s, 0), slotEnd(s))
	defer w.release()
	for w.next() {
		if digest(w.rec.stored.key()) == want {
			return append(bytes.Clone(w.rec.stored), 0)
		}
	}
	return nil
}

// Each calls fn for every live key until it returns false. The key is the
// caller's; m.Value is valid during the call of fn, which must not
// write.
func (v *View) Each(fn func(key []byte, m Meta) bool) {
	w := v.walk([]byte{classKey}, []byte{classKey + 1})
	defer w.release()
	for w.next() {
		if v.live(w.rec) && !fn(bytes.Clone(w.rec.stored.key()), w.rec.meta) {
			return
		}
	}
}

// slotEnd is above every stored key of a slot and of those before it.
func slotEnd(s uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{classKey}, s+1)
}

// walker goes over the metadata records of a view's state in order: those
// of the store, with an overlay of records that the state has instead.
type walker struct {
	view    *View
	it      storage.Iterator // nil: nothing in the store counts
	ahead   bool             // it stands on a record that is not delivered yet
	overlay []overlaid       // in order; what is left of it
	rec     *record          // the current one; valid until next
	scratch record
}

type overlaid struct {
	stored storedKey
	rec    *record // nil: absent
}

// walk returns a walker over the records stored in [lower, upper).
func (v *View) walk(lower, upper []byte) *walker {
	w := &walker{view: v}
	if v.ks == nil || v.err != nil {
		return w
	}
	within := func(k storedKey) bool {
		return bytes.Compare(k, lower) >= 0 && bytes.Compare(k, upper) < 0
	}
	if v.own != nil {
		if !v.own.flushed {
			w.it = v.ks.store.Iterate(lower, upper)
		}
		for _, c := range v.own.changes.list {
			if within(c.stored) {
				w.overlay = append(w.overlay, overlaid{c.stored, c.now})
			}
		}
	} else {
		// The iterator may know commits after base, but none that is not linked
		// by now. The first one after base that changed a key says what base had,
		// so later ones are sorted behind and dropped.
		w.it = v.ks.store.Iterate(lower, upper)
		for c := v.base.next.Load(); c != nil; c = c.next.Load() {
			if c.changes == nil {
				continue
			}
			for _, ch := range c.changes.list {
				if within(ch.stored) {
					w.overlay = append(w.overlay, overlaid{ch.stored, ch.old})
				}
			}
		}
	}
	byKey := func(a, b overlaid) int { return bytes.Compare(a.stored, b.stored) }
	slices.SortStableFunc(w.overlay, byKey)
	w.overlay = slices.CompactFunc(w.overlay, func(a, b overlaid) bool { return byKey(a, b) == 0 })
	return w
}

// next moves to the next record, and reports whether there is one.
func (w *walker) next() bool {
	for w.view.err == nil {
		if w.it != nil && !w.ahead {
			w.ahead = w.it.Next()
			if !w.ahead {
				w.release()
				continue
			}
		}
		order := -1 // store first
		switch {
		case w.it == nil && len(w.overlay) == 0:
			return false
		case w.it == nil:
			order = 1
		case len(w.overlay) > 0:
			order = bytes.Compare(w.it.Key(), w.overlay[0].stored)
		}
		if order <= 0 {
			w.ahead = false
		}
		if order < 0 {
			return w.decode()
		}
		first := w.overlay[0]
		w.overlay = w.overlay[1:]
		if first.rec != nil {
			w.rec = first.rec
			return true
		}
	}
	return false
}

// decode makes the store's record the current one.
func (w *walker) decode() bool {
	w.scratch = record{stored: w.it.Key()}
	if err := w.scratch.decode(w.it.Value()); err != nil || len(w.it.Key()) < keyHeader {
		w.view.err = fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, w.it.Key(), errBadRecord)
		return false
	}
	w.rec = &w.scratch
	return true
}

// release ends the walk over the store. An error that ended it sticks to the
// view.
func (w *walker) release() {
	if w.it == nil {
		return
	}
	if err := w.it.Err(); err != nil && w.view.err == nil {
		w.view.err = fmt.Errorf("keyspace: %w", err)
	}
	w.it.Release()
	w.it, w.ahead = nil, false
}
