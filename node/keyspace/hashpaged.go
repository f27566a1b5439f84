package keyspace

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// pagedHash is a hash whose fields are in pages. The body of its metadata record
// is
//
//	object:20, soonest time of expiry of the fields, 0: none (uvarint),
//	root of the fields, root of the times of expiry, page numbers
//
// The first tree has an item for each field, whose key is elementKey, and whose
// value is the time of expiry (uvarint, 0: none) and then the field's value. The
// second one has an item for each field with a time of expiry: that (8 bytes, big
// endian), and the key in the first tree; it has no value.
type pagedHash struct {
	soonest        int64
	fields, expiry tree.Root
	numbers        []byte
}

// parsePagedHash reads a body that checkPagedHash has found sound.
func parsePagedHash(body []byte) (p pagedHash) {
	soonest, size := binary.Uvarint(body[objectSize:])
	p.soonest = int64(soonest)
	p.numbers, _ = takeRoots(body[objectSize+size:], &p.fields, &p.expiry)
	return p
}

// checkPagedHash returns the soonest time of expiry that a body of unknown origin
// tells, and whether the body is sound.
func checkPagedHash(body []byte) (soonest int64, ok bool) {
	if len(body) < objectSize {
		return 0, false
	}
	told, rest, ok := takeUvarint(body[objectSize:])
	var fields, expiry tree.Root
	return int64(told), ok && int64(told) >= 0 && checkRoots(rest, &fields, &expiry) &&
		fields.Count > 0 && expiry.Count <= fields.Count && (expiry.Count > 0) == (told != 0)
}

const timeSize = 8

// timeKey appends the key of a field in the tree of times.
func timeKey(dst []byte, at int64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(at)), key...)
}

// hashItem splits the value of an item of the first tree.
func hashItem(item []byte) (value []byte, expireAt int64) {
	at, size := binary.Uvarint(item)
	if size <= 0 {
		return nil, 0
	}
	return item[size:], int64(at)
}

// bigHash reads a pagedHash.
type bigHash struct {
	view           *View
	soonest        int64
	fields, expiry tree.View
}

// big returns the hash that is in pages, and whether it is.
func (h HashView) big() (b bigHash, ok bool) {
	id, ok := h.rec.object()
	if !ok {
		return b, false
	}
	p := parsePagedHash(h.rec.body)
	reader := h.view.pages(h.rec.stored.slot(), id)
	return bigHash{h.view, p.soonest, tree.NewView(reader, p.fields), tree.NewView(reader, p.expiry)}, true
}

// expired returns how many fields have expired by a time.
func (b *bigHash) expired(by int64) int64 {
	if b.soonest == 0 || b.soonest > by {
		return 0
	}
	n, _, err := b.expiry.Find(timeKey(nil, by+1, nil))
	b.view.fail(err)
	return n
}

// gone returns how many fields have expired for the view.
func (b *bigHash) gone() int64 {
	n := b.expired(b.view.now)
	if b.view.localNow > b.view.now && b.expired(b.view.localNow) != n {
		b.view.behind = true
	}
	return n
}

func (b *bigHash) length() int64 { return b.fields.Len() - b.gone() }

// any reports whether there is a field.
func (b *bigHash) any() bool {
	if b.fields.Len() != b.expiry.Len() || b.fields.Len() == 0 {
		return b.fields.Len() > 0
	}
	key, _, err := b.expiry.At(b.expiry.Len() - 1)
	if err != nil {
		b.view.fail(err)
		return false
	}
	return b.view.lasts(timeOf(key))
}

// next returns when a field expires that is there.
func (b *bigHash) next() int64 {
	n := b.gone()
	if n == b.expiry.Len() {
		return 0
	}
	key, _, err := b.expiry.At(n)
	b.view.fail(err)
	return timeOf(key)
}

func timeOf(key []byte) int64 {
	if len(key) < timeSize {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key))
}

func (b *bigHash) get(field []byte) (value []byte, expireAt int64, ok bool) {
	item, ok, err := b.fields.Get(elementKey(make([]byte, 0, 64), field))
	if err != nil || !ok {
		b.view.fail(err)
		return nil, 0, false
	}
	if value, expireAt = hashItem(item); !b.view.lasts(expireAt) {
		return nil, 0, false
	}
	return value, expireAt, true
}

func (b *bigHash) each(fn func(field, value []byte, expireAt int64) bool) {
	b.view.fail(b.fields.Ascend(0, func(key, item []byte) bool {
		value, at := hashItem(item)
		return !b.view.lasts(at) || fn(key[fingerprintSize:], value, at)
	}))
}

// at returns the field at a position of those that are there.
func (b *bigHash) at(n int64) (field, value []byte) {
	for _, position := range b.expiredPositions() {
		if position > n {
			break
		}
		n++
	}
	if n < 0 || n >= b.fields.Len() {
		return nil, nil
	}
	key, item, err := b.fields.At(n)
	if err != nil {
		b.view.fail(err)
		return nil, nil
	}
	value, _ = hashItem(item)
	return key[fingerprintSize:], value
}

// expiredPositions returns the positions of the fields that have expired, in
// order. There are few: sweeps remove them.
func (b *bigHash) expiredPositions() []int64 {
	gone := b.gone()
	if gone == 0 {
		return nil
	}
	positions := make([]int64, 0, gone)
	b.view.fail(b.expiry.Ascend(0, func(key, _ []byte) bool {
		position, _, err := b.fields.Find(key[timeSize:])
		b.view.fail(err)
		positions = append(positions, position)
		return err == nil && int64(len(positions)) < gone
	}))
	slices.Sort(positions)
	return positions
}

func (b *bigHash) scan(cursor uint64, count int, fn func(field, value []byte, expireAt int64)) (next uint64) {
	return b.view.scanTree(b.fields, cursor, count, func(field, item []byte) {
		if value, at := hashItem(item); b.view.lasts(at) {
			fn(field, value, at)
		}
	})
}

// hashChange changes a pagedHash. An error is the transaction's, and ends it.
type hashChange struct {
	*pageWriter
	fields, expiry *tree.Tree
}

// changePages begins to change a hash that is in pages.
func (h *Hash) changePages() *hashChange {
	p := parsePagedHash(h.rec.body)
	w := h.tx.change(h.rec, p.numbers)
	return &hashChange{w, w.tree(p.fields), w.tree(p.expiry)}
}

// movePages brings the fields from the record into pages.
func (h *Hash) movePages() *hashChange {
	w := h.tx.create(&h.r)
	c := &hashChange{w, w.tree(tree.Root{}), w.tree(tree.Root{})}
	in := h.inline()
	for f := in.first(); f.ok; f = in.after(f) {
		c.set(f.field, f.value, f.expireAt)
	}
	return c
}

// set sets a field, and returns its former time of expiry, if it was there.
func (c *hashChange) set(field, value []byte, expireAt int64) (had bool, before int64) {
	key := elementKey(make([]byte, 0, 64), field)
	old, had, err := c.fields.Get(key)
	c.tx.fail(err)
	_, before = hashItem(old)
	item := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(value)), uint64(expireAt))
	_, err = c.fields.Put(key, append(item, value...))
	c.tx.fail(err)
	if before == expireAt {
		return had, before
	}
	if before != 0 {
		_, err = c.expiry.Delete(timeKey(nil, before, key))
		c.tx.fail(err)
	}
	if expireAt != 0 {
		_, err = c.expiry.Put(timeKey(nil, expireAt, key), nil)
		c.tx.fail(err)
	}
	return had, before
}

// remove removes a field.
func (c *hashChange) remove(field []byte, expireAt int64) {
	key := elementKey(make([]byte, 0, 64), field)
	_, err := c.fields.Delete(key)
	c.tx.fail(err)
	if expireAt != 0 {
		_, err = c.expiry.Delete(timeKey(nil, expireAt, key))
		c.tx.fail(err)
	}
}

// expire removes up to limit fields that have expired, the first ones first.
func (c *hashChange) expire(limit int) (removed int) {
	var keys [][]byte
	c.tx.fail(c.expiry.Ascend(0, func(key, _ []byte) bool {
		if len(keys) == limit || timeOf(key) > c.tx.now {
			return false
		}
		keys = append(keys, bytes.Clone(key[timeSize:]))
		return true
	}))
	for _, key := range keys {
		_, err := c.fields.Delete(key)
		c.tx.fail(err)
	}
	c.tx.fail(c.expiry.DeleteRange(0, int64(len(keys))))
	return len(keys)
}

// finish ends the change. A hash without a field that is there goes.
func (h *Hash) finish(c *hashChange, meta Meta) {
	soonest := int64(0)
	if h.tx.Err() == nil && c.expiry.Len() > 0 {
		key, _, err := c.expiry.At(0)
		h.tx.fail(err)
		soonest = timeOf(key)
	}
	body := c.flush(binary.AppendUvarint(nil, uint64(soonest)), c.fields, c.expiry)
	if body == nil {
		return
	}
	meta.Flags |= flagPaged
	if rec := h.tx.replace(&h.r, h.rec, meta, soonest, body); rec != nil {
		h.rec = rec
	}
	if b, _ := h.big(); !b.any() {
		h.tx.remove(&h.r, h.rec)
		h.rec = nil
	}
}
