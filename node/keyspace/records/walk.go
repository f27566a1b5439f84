package records

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/storage"
)

// Walker goes over the records of one state in order: those of the store, those of
// the generations that may not be in the store, and above both an overlay of what
// the state has instead.
//
// The order of looking makes it exact. First it takes hold of the generations: all
// that was dirty is a key of these, for ever. Then of an iterator of the store: what
// was cleaned before is in it. Then it lays over what has been changed since the
// state. A key of a generation only says that there may be something: its value is
// looked up as any other.
type Walker struct {
	it      storage.Iterator // nil: the store has nothing
	ahead   bool             // it stands on a record that is not delivered yet
	prefix  int              // of the store's keys
	cursors [2]cursor
	overlay []overlaid // in order; what is left of it
	upper   []byte
	load    func(key []byte) Record
	err     *error // of the view or transaction
	check   func(key, value []byte) error

	key, value []byte
}

type overlaid struct {
	key []byte
	rec Record // nil: absent
}

// cursor goes over the keys of a generation, some at a time.
type cursor struct {
	g    *generation // nil: at the end
	from []byte
	buf  []Record
}

const cursorBatch = 64

// head returns the key that the cursor is at, nil at the end.
func (c *cursor) head(upper []byte) []byte {
	if len(c.buf) == 0 {
		if c.g == nil {
			return nil
		}
		c.buf = c.g.collect(c.buf[:0], c.from, upper, cursorBatch)
		if len(c.buf) < cursorBatch {
			c.g = nil // keys that come later are none of the state's
		} else {
			last := c.buf[cursorBatch-1].Key()
			c.from = append(append(make([]byte, 0, len(last)+1), last...), 0)
		}
		if len(c.buf) == 0 {
			return nil
		}
	}
	return c.buf[0].Key()
}

// begin takes hold of what the walk goes over.
func (w *Walker) begin(s *space, lower []byte) {
	w.check = s.m.opts.Check
	active := s.active.Load() // before frozen: it may become that in between
	frozen := s.frozen.Load()
	w.cursors[0] = cursor{g: active, from: lower}
	if frozen != active {
		w.cursors[1] = cursor{g: frozen, from: lower}
	}
	if s.stored.Load() {
		w.prefix = len(s.prefix)
		w.it = s.m.store.Iterate(s.storedKey(lower), s.storedKey(w.upper))
	}
}

// lay adds the changes within the range to the overlay.
func (w *Walker) lay(changes *changeSet, lower []byte, rec func(*change) Record) {
	if changes == nil {
		return
	}
	for i := range changes.list {
		c := &changes.list[i]
		if key := c.now.Key(); bytes.Compare(key, lower) >= 0 && bytes.Compare(key, w.upper) < 0 {
			w.overlay = append(w.overlay, overlaid{key, rec(c)})
		}
	}
}

// arrange sorts the overlay. Of several changes of a key the first one counts.
func (w *Walker) arrange() {
	byKey := func(a, b overlaid) int { return bytes.Compare(a.key, b.key) }
	slices.SortStableFunc(w.overlay, byKey)
	w.overlay = slices.CompactFunc(w.overlay, func(a, b overlaid) bool { return byKey(a, b) == 0 })
}

// Next moves to the next record, and reports whether there is one.
func (w *Walker) Next() bool {
	for w.err != nil && *w.err == nil {
		var least []byte
		lower := func(key []byte) {
			if key != nil && (least == nil || bytes.Compare(key, least) < 0) {
				least = key
			}
		}
		stored := w.stored()
		lower(stored)
		lower(w.cursors[0].head(w.upper))
		lower(w.cursors[1].head(w.upper))
		if len(w.overlay) > 0 {
			lower(w.overlay[0].key)
		}
		if least == nil {
			return false
		}
		if w.take(least, stored) {
			return true
		}
	}
	return false
}

// stored returns the key that the iterator is at, nil at the end.
func (w *Walker) stored() []byte {
	if w.it == nil {
		return nil
	}
	if !w.ahead {
		if w.ahead = w.it.Next(); !w.ahead {
			w.Release()
			return nil
		}
	}
	return w.it.Key()[w.prefix:]
}

// take moves everything that is at key behind it, makes its record the current one
// and reports whether there is one.
func (w *Walker) take(key, stored []byte) bool {
	found := false
	if stored != nil && bytes.Equal(stored, key) {
		w.ahead = false
		w.key, w.value, found = stored, w.it.Value(), true
	}
	dirty := false
	for i := range w.cursors {
		if c := &w.cursors[i]; len(c.buf) > 0 && bytes.Equal(c.buf[0].Key(), key) {
			c.buf, dirty = c.buf[1:], true
		}
	}
	if len(w.overlay) > 0 && bytes.Equal(w.overlay[0].key, key) {
		rec := w.overlay[0].rec
		w.overlay = w.overlay[1:]
		return w.set(rec)
	}
	if dirty {
		return w.set(w.load(key))
	}
	if found && w.check != nil {
		if err := w.check(w.key, w.value); err != nil {
			*w.err, found = err, false
		}
	}
	return found
}

func (w *Walker) set(rec Record) bool {
	if rec == nil {
		return false
	}
	w.key, w.value = rec.Key(), rec.Value()
	return true
}

// Key returns the key of the current record; it is valid until Next.
func (w *Walker) Key() []byte { return w.key }

// Value returns the value of the current record; it is valid until Next.
func (w *Walker) Value() []byte { return w.value }

// Release ends the walk. An error that ended it earlier sticks to the view or
// transaction. Releasing again does nothing.
func (w *Walker) Release() {
	if w.it == nil {
		return
	}
	if err := w.it.Err(); err != nil && *w.err == nil {
		*w.err = fmt.Errorf("records: %w", err)
	}
	w.it.Release()
	w.it, w.ahead = nil, false
}
