package keyspace

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// pagedSortedSet is a sorted set whose members are in pages. The body of its
// metadata record is
//
//	object:20, root of the members, root of their order, page numbers
//
// Both trees have an item for each member. In the first one its key is
// elementKey, its value the score (8 bytes, big endian); in the second one its key
// is the score so that it sorts (8 bytes), and the member, and it has no value.
type pagedSortedSet struct {
	members, order tree.Root
	numbers        []byte
}

// parsePagedSortedSet reads a body that checkPagedSortedSet has found sound.
func parsePagedSortedSet(body []byte) (p pagedSortedSet) {
	p.numbers, _ = takeRoots(body[objectSize:], &p.members, &p.order)
	return p
}

// checkPagedSortedSet reports whether a body of unknown origin is sound.
func checkPagedSortedSet(body []byte) bool {
	var members, order tree.Root
	return len(body) >= objectSize && checkRoots(body[objectSize:], &members, &order) &&
		members.Count > 0 && members.Count == order.Count
}

// sortable returns a number that sorts as the score does.
func sortable(score float64) uint64 {
	if score == 0 {
		score = 0 // there is one zero
	}
	bits := math.Float64bits(score)
	if bits>>63 == 0 {
		return bits | 1<<63
	}
	return ^bits
}

// scoreOf returns the score that a key of the second tree begins with.
func scoreOf(key []byte) float64 {
	if len(key) < scoreSize {
		return math.NaN()
	}
	n := binary.BigEndian.Uint64(key)
	if n>>63 == 1 {
		return math.Float64frombits(n &^ (1 << 63))
	}
	return math.Float64frombits(^n)
}

// orderKey appends the key of a member in the second tree.
func orderKey(dst []byte, score float64, member []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, sortable(score)), member...)
}

// bigSortedSet reads a pagedSortedSet.
type bigSortedSet struct {
	view           *View
	pages          *pages
	members, order tree.View
}

// big returns the set that is in pages, and whether it is.
func (z SortedSetView) big() (b bigSortedSet, ok bool) {
	id, ok := z.rec.object()
	if !ok {
		return b, false
	}
	p := parsePagedSortedSet(z.rec.body)
	reader := z.view.pages(z.rec.stored.slot(), id)
	return bigSortedSet{z.view, reader, tree.NewView(reader, p.members), tree.NewView(reader, p.order)}, true
}

func (b *bigSortedSet) score(member []byte) (score float64, ok bool) {
	b.pages.peeks = true
	item, ok, err := b.members.Get(elementKey(make([]byte, 0, 64), member))
	if err != nil || !ok || len(item) != scoreSize {
		b.view.fail(err)
		return 0, false
	}
	return math.Float64frombits(binary.BigEndian.Uint64(item)), true
}

func (b *bigSortedSet) rank(member []byte) (position int64, ok bool) {
	score, ok := b.score(member)
	if !ok {
		return 0, false
	}
	position, ok, err := b.order.Find(orderKey(make([]byte, 0, 64), score, member))
	b.view.fail(err)
	return position, ok && err == nil
}

func (b *bigSortedSet) from(position int64, reverse bool, yield func([]byte, float64) bool) {
	if position < 0 || position >= b.order.Len() {
		return
	}
	walk := b.order.Ascend
	if reverse {
		walk = b.order.Descend
	}
	b.view.fail(walk(position, func(key, _ []byte) bool { return yield(key[scoreSize:], scoreOf(key)) }))
}

func (b *bigSortedSet) firstByScore(score float64, exclusive bool) int64 {
	b.pages.peeks = true
	bound := sortable(score)
	if exclusive {
		bound++ // the largest score is far from the largest number
	}
	position, _, err := b.order.Find(binary.BigEndian.AppendUint64(nil, bound))
	b.view.fail(err)
	return position
}

func (b *bigSortedSet) firstByMember(member []byte, exclusive bool) int64 {
	b.pages.peeks = true
	first, _, err := b.order.At(0)
	if err != nil {
		b.view.fail(err)
		return 0
	}
	position, exact, err := b.order.Find(append(bytes.Clone(first[:scoreSize]), member...))
	b.view.fail(err)
	if exact && exclusive {
		position++
	}
	return position
}

func (b *bigSortedSet) scan(cursor uint64, count int, fn func(member []byte, score float64)) (next uint64) {
	return b.view.scanTree(b.members, cursor, count, func(member, item []byte) {
		if len(item) == scoreSize {
			fn(member, math.Float64frombits(binary.BigEndian.Uint64(item)))
		}
	})
}

// sortedSetChange changes a pagedSortedSet. An error is the transaction's, and
// ends it.
type sortedSetChange struct {
	*pageWriter
	members, order *tree.Tree
}

// changePages begins to change a set that is in pages.
func (z *SortedSet) changePages() *sortedSetChange {
	p := parsePagedSortedSet(z.rec.body)
	w := z.tx.change(z.rec, p.numbers)
	return &sortedSetChange{w, w.tree(p.members), w.tree(p.order)}
}

// movePages brings the members from the record into pages.
func (z *SortedSet) movePages() *sortedSetChange {
	w := z.tx.create(&z.r)
	c := &sortedSetChange{w, w.tree(tree.Root{}), w.tree(tree.Root{})}
	in := z.inline()
	for m := in.first(); m.ok; m = in.after(m) {
		c.set(m.member, m.score, false, 0)
	}
	return c
}

// set gives a member a score; had and before say which one it has.
func (c *sortedSetChange) set(member []byte, score float64, had bool, before float64) {
	item := binary.BigEndian.AppendUint64(make([]byte, 0, scoreSize), math.Float64bits(score))
	_, err := c.members.Put(elementKey(make([]byte, 0, 64), member), item)
	c.tx.fail(err)
	if had {
		_, err = c.order.Delete(orderKey(make([]byte, 0, 64), before, member))
		c.tx.fail(err)
	}
	_, err = c.order.Put(orderKey(make([]byte, 0, 64), score, member), nil)
	c.tx.fail(err)
}

// deleteRange removes the members at the positions [from, to).
func (c *sortedSetChange) deleteRange(from, to int64) {
	var keys [][]byte
	c.tx.fail(c.order.Ascend(from, func(key, _ []byte) bool {
		keys = append(keys, elementKey(nil, key[scoreSize:]))
		return int64(len(keys)) < to-from
	}))
	for _, key := range keys {
		_, err := c.members.Delete(key)
		c.tx.fail(err)
	}
	c.tx.fail(c.order.DeleteRange(from, to))
}

// finish ends the change.
func (z *SortedSet) finish(c *sortedSetChange, meta Meta) {
	if body := c.flush(nil, c.members, c.order); body != nil {
		meta.Flags |= flagPaged
		if rec := z.tx.replace(&z.r, z.rec, meta, 0, body); rec != nil {
			z.rec = rec
		}
	}
}
