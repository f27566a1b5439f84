package keyspace

import (
	"bytes"
	"slices"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// pagedSet is a set whose members are in pages. The body of its metadata record is
//
//	object:20, root of the members, page numbers
//
// The tree has an item for each member, whose key is elementKey; it has no value.
type pagedSet struct {
	members tree.Root
	numbers []byte
}

// parsePagedSet reads a body that checkSet has found sound.
func parsePagedSet(body []byte) (p pagedSet) {
	p.numbers, _ = takeRoots(body[objectSize:], &p.members)
	return p
}

// checkSet reports whether a body of unknown origin is sound.
func checkSet(flags Flags, body []byte) bool {
	switch flags &^ flagLarge {
	case 0:
		return checkInlineSet(body)
	case flagIntegers:
		return flags&flagLarge == 0 && checkIntegerSet(body)
	case flagPaged:
		var members tree.Root
		return len(body) >= objectSize && checkRoots(body[objectSize:], &members) && members.Count > 0
	default:
		return false
	}
}

// bigSet reads a pagedSet.
type bigSet struct {
	view    *View
	members tree.View
}

// big returns the set that is in pages, and whether it is.
func (s SetView) big() (b bigSet, ok bool) {
	id, ok := s.rec.object()
	if !ok {
		return b, false
	}
	reader := s.view.pages(s.rec.stored.slot(), id)
	return bigSet{s.view, tree.NewView(reader, parsePagedSet(s.rec.body).members)}, true
}

func (b bigSet) has(member []byte) bool {
	_, ok, err := b.members.Get(elementKey(make([]byte, 0, 64), member))
	b.view.fail(err)
	return ok && err == nil
}

func (b bigSet) at(n int64) []byte {
	if n < 0 || n >= b.members.Len() {
		return nil
	}
	key, _, err := b.members.At(n)
	if err != nil {
		b.view.fail(err)
		return nil
	}
	return key[fingerprintSize:]
}

func (b bigSet) each(yield func([]byte) bool) {
	b.view.fail(b.members.Ascend(0, func(key, _ []byte) bool { return yield(key[fingerprintSize:]) }))
}

// setChange changes a pagedSet. An error is the transaction's, and ends it.
type setChange struct {
	*pageWriter
	members *tree.Tree
}

// changePages begins to change a set that is in pages.
func (s *Set) changePages() *setChange {
	p := parsePagedSet(s.rec.body)
	w := s.tx.change(s.rec, p.numbers)
	return &setChange{w, w.tree(p.members)}
}

// buildPages begins to change a set of members in new pages.
func (s *Set) buildPages(members [][]byte) *setChange {
	keys := make([][]byte, len(members))
	for i, member := range members {
		keys[i] = elementKey(make([]byte, 0, fingerprintSize+len(member)), member)
	}
	slices.SortFunc(keys, bytes.Compare)
	w := s.tx.create(&s.r)
	return &setChange{w, w.build(func(add func(key, value []byte)) {
		for _, key := range keys {
			add(key, nil)
		}
	})}
}

func (c *setChange) add(member []byte) (added bool) {
	key := elementKey(make([]byte, 0, 64), member)
	_, had, err := c.members.Get(key)
	if err == nil && !had {
		added, err = c.members.Put(key, nil)
	}
	c.tx.fail(err)
	return added
}

func (c *setChange) remove(member []byte) (removed bool) {
	removed, err := c.members.Delete(elementKey(make([]byte, 0, 64), member))
	c.tx.fail(err)
	return removed
}

// finish ends the change.
func (s *Set) finish(c *setChange, meta Meta) {
	if body := c.flush(nil, c.members); body != nil {
		meta.Flags |= flagPaged
		if rec := s.tx.replace(&s.r, s.rec, meta, 0, body); rec != nil {
			s.rec = rec
		}
	}
}
