package keyspace

import (
	"encoding/binary"
	"iter"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// pagedList is a list whose elements are in pages. The body of its metadata record
// is
//
//	object:20, size of the elements as a listpack (uvarint), root, page numbers
//
// The tree has an item without a key for each element.
type pagedList struct {
	packed  int64
	root    tree.Root
	numbers []byte
}

// parsePagedList reads a body that checkPagedList has found sound.
func parsePagedList(body []byte) (p pagedList) {
	packed, body, _ := takeUvarint(body[objectSize:])
	p.packed = int64(packed)
	p.numbers, _ = takeRoots(body, &p.root)
	return p
}

// checkPagedList reports whether a body of unknown origin is sound.
func checkPagedList(body []byte) bool {
	if len(body) < objectSize {
		return false
	}
	_, body, ok := takeUvarint(body[objectSize:])
	var root tree.Root
	return ok && checkRoots(body, &root) && root.Count > 0
}

// pages returns the tree of a list that is in pages, an empty one otherwise, and
// whether it is; with peek, what is read is good until the list changes.
func (l ListView) pages(peek bool) (b tree.View, big bool) {
	id, big := l.rec.object()
	if !big {
		return b, false
	}
	pages := l.view.pages(l.rec.stored.slot(), id)
	pages.peeks = peek
	return tree.NewView(pages, parsePagedList(l.rec.body).root), true
}

// listChange changes a pagedList. An error is the transaction's, and ends it.
type listChange struct {
	*pageWriter
	list *tree.Tree
}

// pagesToChange begins to change the list in pages, where it may not be yet.
func (l *List) pagesToChange() *listChange {
	if _, big := l.rec.object(); big {
		return l.changePages()
	}
	return l.build(l.from(0, false, true))
}

// changePages begins to change a list that is in pages.
func (l *List) changePages() *listChange {
	p := parsePagedList(l.rec.body)
	w := l.tx.change(l.rec, p.numbers)
	return &listChange{w, w.tree(p.root)}
}

// build begins with a new object, which has these elements.
func (l *List) build(elements iter.Seq[[]byte]) *listChange {
	w := l.tx.create(&l.r)
	return &listChange{w, w.build(func(add func(key, value []byte)) {
		for element := range elements {
			add(nil, element)
		}
	})}
}

// splice puts elements in the place of those at the positions [from, to).
func (c *listChange) splice(from, to int64, elements [][]byte) {
	if to-from == 1 && len(elements) == 1 {
		c.tx.fail(c.list.SetAt(from, elements[0]))
		return
	}
	c.deleteRange(from, to)
	for i, element := range elements {
		c.tx.fail(c.list.InsertAt(from+int64(i), element))
	}
}

// deleteRange removes the elements at the positions [from, to).
func (c *listChange) deleteRange(from, to int64) { c.tx.fail(c.list.DeleteRange(from, to)) }

// finish ends the change; packed is the size of the elements as a listpack.
func (l *List) finish(c *listChange, meta Meta, packed int64) {
	body := c.flush(binary.AppendUvarint(nil, uint64(packed)), c.list)
	if body == nil {
		return
	}
	meta.Flags |= flagPaged
	if rec := l.tx.replace(&l.r, l.rec, meta, 0, body); rec != nil {
		l.rec = rec
	}
}
