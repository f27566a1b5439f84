package keyspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// CursorEnd is above every position that Scan can be at: a cursor is a slot
// number, shifted left by 32 bits, and a fingerprint.
const CursorEnd = uint64(slot.Count) << 32

// Len returns the number of stored keys that are shown, expired ones that nothing has
// deleted yet included.
func (v *View) Len() int64 {
	switch {
	case v.ks == nil:
		return 0
	case v.own != nil:
		return v.own.total.keys - v.own.hidden
	default:
		sums := v.recs.Mark().Sums
		return sums[0] - sums[2]
	}
}

// LenSlot returns the number of keys of a slot, counted as Len does.
func (v *View) LenSlot(s uint16) int64 {
	if v.moves().hides(s) {
		return 0
	}
	return v.stored(s).keys
}

// stored returns the counts of a slot, whether its keys are shown or not.
func (v *View) stored(s uint16) slotCounts {
	if v.ks == nil || s >= slot.Count {
		return slotCounts{}
	}
	if w := v.own; w != nil {
		if n, ok := w.counts[s]; ok {
			return n
		}
		if w.flushed {
			return slotCounts{}
		}
		return v.ks.counts[s].get()
	}
	value, _ := v.recs.Get(countKey(s))
	n, _ := decodeCounts(value)
	return n
}

// KeysInSlot returns up to limit live keys of a slot; the caller owns them.
func (v *View) KeysInSlot(s uint16, limit int) [][]byte {
	var keys [][]byte
	if limit <= 0 || s >= slot.Count || v.moves().hides(s) {
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
	return v.ScanBelow(slot.Count, cursor, count, fn)
}

// ScanBelow is Scan for the keys of the slots below one.
func (v *View) ScanBelow(end uint16, cursor uint64, count int, fn func(key []byte, m Meta)) (next uint64) {
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
	w := v.walk(from, slotEnd(end-1))
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

// CursorSlot returns the slot of the place that a cursor of Scan, which is neither the
// beginning nor the end, stands for; ok is false if no scan has returned it.
func CursorSlot(cursor uint64) (s uint16, ok bool) {
	if cursor&cursorWithin != 0 && cursor < 2*cursorWithin {
		return uint16(cursor>>digestBits) & (slot.Count - 1), true
	}
	return uint16(cursor >> 32), cursor < CursorEnd
}

// SlotCursor returns the cursor at which a slot begins.
func SlotCursor(s uint16) uint64 { return uint64(s) << 32 }

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

// walker goes over the metadata records of a view's state in order.
type walker struct {
	view   *View
	recs   *records.Walker // nil: there is nothing
	rec    *record         // the current one; valid until next
	now    record
	upper  []byte
	hidden *slot.Set // slots that are passed over; nil: none
}

// walk returns a walker over the records stored in [lower, upper) that are shown.
func (v *View) walk(lower, upper []byte) *walker {
	w := &walker{view: v, upper: upper}
	if m := v.moves(); m != nil {
		w.hidden = &m.hidden
	}
	w.begin(lower)
	return w
}

// begin begins from lower.
func (w *walker) begin(lower []byte) {
	w.recs = nil
	if v := w.view; v.ks != nil && v.Err() == nil {
		w.recs = v.walkRecords(lower, w.upper)
	}
}

// walkRecords returns a walk over records as they are, whatever they are.
func (v *View) walkRecords(lower, upper []byte) *records.Walker {
	if v.own != nil {
		return v.own.recs.Walk(lower, upper)
	}
	return v.recs.Walk(lower, upper)
}

// step moves the walk below to the next record that is shown.
func (w *walker) step() bool {
	for w.recs != nil && w.recs.Next() {
		if w.hidden == nil || !w.hidden.Has(storedKey(w.recs.Key()).slot()) {
			return true
		}
		// None of the slot's keys need be looked at, nor those of the next ones.
		s := storedKey(w.recs.Key()).slot()
		for s < slot.Count-1 && w.hidden.Has(s+1) {
			s++
		}
		w.release()
		if bytes.Compare(slotEnd(s), w.upper) >= 0 {
			w.recs = nil
			return false
		}
		w.begin(slotEnd(s))
	}
	return false
}

// next moves to the next record, and reports whether there is one.
func (w *walker) next() bool {
	if w.view.err != nil || !w.step() {
		return false
	}
	w.now = record{stored: w.recs.Key()}
	if err := w.now.read(w.recs.Value()); err != nil {
		w.view.err = fmt.Errorf("%w: key %q: %w", storage.ErrCorrupt, w.recs.Key(), err)
		return false
	}
	w.rec = &w.now
	return true
}

// release ends the walk. An error that ended it sticks to the view.
func (w *walker) release() {
	if w.recs != nil {
		w.recs.Release()
	}
}
