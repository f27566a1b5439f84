package keyspace

import "encoding/binary"

// HashView reads a hash: fields in an order that is a function of the hash
// alone, each with a value and, possibly, a time of expiry. Fields that have
// expired are not there, for no method. The zero value and one of an absent key
// are empty.
//
// Slices that are handed out are shared and must not be changed. They stay what
// they are, whatever becomes of the hash.
type HashView struct{ valueView }

// Hash returns the hash that key holds, and whether there is one; the error is
// ErrWrongType, of a key that holds something else.
func (v *View) Hash(key []byte) (HashView, bool, error) {
	value, err := v.typed(key, TypeHash)
	return HashView{value}, value.rec != nil, err
}

// inline returns the fields, empty ones if there is no hash.
func (h HashView) inline() inlineHash {
	if h.rec == nil {
		return inlineHash{}
	}
	return parseInlineHash(h.rec.meta.Flags, h.rec.body)
}

// Len returns the number of fields.
func (h HashView) Len() int64 {
	if b, ok := h.big(); ok {
		return b.length()
	}
	in := h.inline()
	if in.soonest == 0 || in.soonest > max(h.view.now, h.view.localNow) {
		return int64(in.count)
	}
	n := int64(0)
	for f := in.first(); f.ok; f = in.after(f) {
		if h.view.lasts(f.expireAt) {
			n++
		}
	}
	return n
}

// Get returns the value of a field and its time of expiry, 0 for none, and
// whether the field is there.
func (h HashView) Get(field []byte) (value []byte, expireAt int64, ok bool) {
	if b, ok := h.big(); ok {
		return b.get(field)
	}
	in := h.inline()
	f := in.find(field)
	if !f.ok || !h.view.lasts(f.expireAt) {
		return nil, 0, false
	}
	return f.value, f.expireAt, true
}

// Each calls fn for all fields, in order, until it returns false.
func (h HashView) Each(fn func(field, value []byte, expireAt int64) bool) {
	if b, ok := h.big(); ok {
		b.each(fn)
		return
	}
	in := h.inline()
	for f := in.first(); f.ok; f = in.after(f) {
		if h.view.lasts(f.expireAt) && !fn(f.field, f.value, f.expireAt) {
			return
		}
	}
}

// At returns the field at a position, 0 ≤ n < Len, of the order of Each; nil if
// there is none.
func (h HashView) At(n int64) (field, value []byte) {
	if b, ok := h.big(); ok {
		return b.at(n)
	}
	h.Each(func(f, v []byte, _ int64) bool {
		if n == 0 {
			field, value = f, v
		}
		n--
		return n >= 0
	})
	return field, value
}

// Scan calls fn for at least count fields from cursor on, or as many as there
// are, and returns the cursor to go on from. Cursor 0 is the beginning, and
// returned it is the end. Every field that is there from the first call to the
// last is shown, and none twice, unless a field that Scan stopped at among many of one
// fingerprint is deleted.
func (h HashView) Scan(cursor uint64, count int, fn func(field, value []byte, expireAt int64)) (next uint64) {
	if b, ok := h.big(); ok {
		return b.scan(cursor, count, fn)
	}
	if cursor != 0 {
		return 0 // a small hash is shown at once
	}
	h.Each(func(field, value []byte, expireAt int64) bool {
		fn(field, value, expireAt)
		return true
	})
	return 0
}

// Soonest returns the first time at which a field expires, 0 if none does.
func (h HashView) Soonest() (at int64) {
	if b, ok := h.big(); ok {
		return b.next()
	}
	h.Each(func(_, _ []byte, expireAt int64) bool {
		at = expireAt
		return false // fields that expire come first, in that order
	})
	return at
}

// Hash changes the hash of a key, which comes into being with its first field
// and goes with its last. Its methods for reading see the changes. It is good
// for as long as the key is not changed in another way.
type Hash struct {
	HashView
	value
}

// Hash returns the hash that key holds, an empty one if the key is not there;
// the error is ErrWrongType, of a key that holds something else. Fields that
// have expired are removed, or some of them, if they are many.
func (tx *Tx) Hash(key []byte) (*Hash, error) {
	view, value, err := tx.typed(key, TypeHash)
	h := &Hash{HashView{view}, value}
	if h.rec != nil && h.rec.soonest != 0 && h.rec.soonest <= tx.now {
		h.expire(expireAtOnce)
	}
	return h, err
}

// expireAtOnce is how many expired fields a command removes of a hash that it
// changes. What is left is not there either; sweeps remove it.
const expireAtOnce = 64

// Set gives a field a value and a time of expiry in unix ms, 0 for none, and
// reports whether the field was not there before. A time that is not after Now
// removes the field instead.
func (h *Hash) Set(field, value []byte, expireAt int64) (added bool) {
	if !h.tx.begun() {
		return false
	}
	if expireAt != 0 && expireAt <= h.tx.now {
		h.Delete(field)
		return false
	}
	if !h.fits(len(field) + len(value)) {
		return false
	}
	meta := h.meta()
	if expireAt != 0 {
		meta.Flags |= flagVolatile
	}
	if len(field) > largeElement || len(value) > largeElement {
		meta.Flags |= flagLarge
	}
	if meta.Flags&flagPaged == 0 {
		if added, ok := h.setInline(meta, field, value, expireAt); ok {
			return added
		}
	}
	c := h.pagesToChange()
	had, before := c.set(field, value, expireAt)
	if c.fields.Len() > largeHash {
		meta.Flags |= flagLarge
	}
	h.finish(c, meta)
	return !had || before != 0 && before <= h.tx.now
}

// setInline sets a field in the record, if it fits.
func (h *Hash) setInline(meta Meta, field, value []byte, expireAt int64) (added, ok bool) {
	in := h.inline()
	if len(in.items)+len(field)+len(value) > h.tx.ks.inlineLimit {
		return false, false
	}
	old := in.find(field)
	if !old.ok {
		in.count++
	}
	if in.count > largeHash {
		meta.Flags |= flagLarge
	}
	items, soonest := in.set(h.tx.own.scratch[:0], meta.Flags, old, field, value, expireAt)
	h.store(meta, in.count, soonest, items)
	return !old.ok, true
}

// pagesToChange begins to change the hash in pages, where it may not be yet.
func (h *Hash) pagesToChange() *hashChange {
	if h.meta().Flags&flagPaged != 0 {
		return h.changePages()
	}
	return h.movePages()
}

// SetExpire gives a field a time of expiry in unix ms, 0 for none, and reports
// whether the field was there. A time that is not after Now removes it.
func (h *Hash) SetExpire(field []byte, at int64) bool {
	value, old, ok := h.Get(field)
	if ok && at != old {
		h.Set(field, value, at)
	}
	return ok
}

// Delete removes a field and reports whether it was there. The key goes with its
// last field.
func (h *Hash) Delete(field []byte) bool {
	_, expireAt, ok := h.Get(field)
	if !ok || !h.tx.begun() {
		return false
	}
	if h.meta().Flags&flagPaged != 0 {
		c := h.changePages()
		c.remove(field, expireAt)
		h.finish(c, h.meta())
		return true
	}
	in := h.inline()
	old := in.find(field)
	h.filter(in, func(f *hashField) bool { return f.start != old.start })
	return true
}

// expire removes fields that have expired, and returns how many: of a hash in
// pages, up to limit.
func (h *Hash) expire(limit int) (removed int) {
	if !h.tx.begun() {
		return 0
	}
	if h.meta().Flags&flagPaged != 0 {
		c := h.changePages()
		removed = c.expire(limit)
		h.finish(c, h.meta())
		return removed
	}
	in := h.inline()
	h.filter(in, func(f *hashField) bool {
		lasts := f.expireAt == 0 || f.expireAt > h.tx.now
		if !lasts {
			removed++
		}
		return lasts
	})
	return removed
}

// filter keeps the fields for which keep returns true.
func (h *Hash) filter(in inlineHash, keep func(*hashField) bool) {
	items, count, soonest := in.filter(h.tx.own.scratch[:0], keep)
	h.store(h.meta(), count, soonest, items)
}

// store makes items, which may lie in the transaction's scratch memory, the
// fields of the hash.
func (h *Hash) store(meta Meta, count int, soonest int64, items []byte) {
	h.tx.own.scratch = items
	if count == 0 {
		if h.rec != nil {
			h.tx.remove(&h.r, h.rec)
		}
		h.rec = nil
		return
	}
	var head [2 * binary.MaxVarintLen64]byte
	header := binary.AppendUvarint(head[:0], uint64(count))
	if meta.Flags&flagVolatile != 0 {
		header = binary.AppendUvarint(header, uint64(soonest))
	}
	if rec := h.tx.replace(&h.r, h.rec, meta, soonest, header, items); rec != nil {
		h.rec = rec
	}
}
