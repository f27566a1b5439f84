package tree

import (
	"bytes"
	"errors"
)

// DefaultPageSize is the page size for which nobody has a reason to choose
// another.
const DefaultPageSize = 1536

// MinPageSize and MaxPageSize bound the page size.
const (
	MinPageSize = 64
	MaxPageSize = 16384
)

// maxOpen is the number of changed pages above which an operation ends with a
// Flush.
const maxOpen = 24

var errFull = errors.New("tree: too many items")

// Writer is a Reader that takes changes. The bytes given to Put change afterwards
// only if Buffer has returned them again.
type Writer interface {
	Reader
	// Peek is Page for a reader that keeps nothing of the page; own says that Buffer
	// may return its memory, to be changed.
	Peek(n uint32) (page []byte, own bool, err error)
	// Buffer returns memory for a page that is to be changed, and then Put: it begins
	// with content, and has room for so many bytes more. Where content is what Peek
	// has returned of the page, it may be that memory itself.
	Buffer(n uint32, content []byte, room int) []byte
	Put(n uint32, page []byte)
	Delete(n uint32)
}

// Tree changes a tree. Changed pages stay open in it, where the next change
// finds them, until Flush gives them to the Writer; deletions reach it at once.
// The pages of the Writer are this tree's alone while it is in use.
//
// An error other than ErrPosition leaves the tree half changed: each later
// change, and Flush, return it too, and the owner gives up the transaction.
type Tree struct {
	pages   Writer
	numbers *Numbers
	size    int
	root    Root
	path    []step  // from the last seek, by level
	open    []*node // in the order in which they were opened
	spare   []*node
	hot     bool // the page read last may be changed in place
	err     error

	// Where path, open and spare begin, so that a command that changes one item
	// allocates little beside its pages.
	steps [5]step
	nodes [6]node
	lists [2][6]*node
}

// node is an open page: private, whole, to be changed in place.
type node struct {
	page
	number uint32
	fresh  bool // the Writer has no page of this number
}

// step is one page on the way to an item, and the cell that leads on.
type step struct {
	page   page // as seek met it
	own    bool // its memory may be changed
	node   *node
	number uint32
	index  int
}

// New is the tree with this root, to be changed. Its page numbers come from
// numbers, which it shares with the object's other trees. pageSize is what
// pages grow to (an item that is larger has a page of its own); it may differ
// from the one with which the tree was built.
func New(pages Writer, root Root, numbers *Numbers, pageSize int) *Tree {
	t := new(Tree)
	t.Init(pages, root, numbers, pageSize)
	return t
}

// Init is New in memory of the caller's.
func (t *Tree) Init(pages Writer, root Root, numbers *Numbers, pageSize int) {
	*t = Tree{pages: pages, numbers: numbers, root: root, size: clamp(pageSize)}
	t.path, t.open, t.spare = t.steps[:0], t.lists[0][:0], t.lists[1][:0]
	for i := range t.nodes {
		t.spare = append(t.spare, &t.nodes[i])
	}
}

func clamp(pageSize int) int { return min(max(pageSize, MinPageSize), MaxPageSize) }

// Root is the tree's state; after Flush, it is the root of what the Writer has.
func (t *Tree) Root() Root { return t.root }

// Len is the number of items.
func (t *Tree) Len() int64 { return t.root.Count }

// Flush gives the open pages to the Writer.
func (t *Tree) Flush() error {
	if t.err != nil {
		return t.err
	}
	for _, n := range t.open {
		t.pages.Put(n.number, trim(n.b))
		t.recycle(n)
	}
	t.open = t.open[:0]
	return nil
}

// trim gives back memory that a page does not need.
func trim(b []byte) []byte {
	if cap(b)-len(b) > 128+len(b)/2 {
		return bytes.Clone(b)
	}
	return b
}

// settle ends an operation.
func (t *Tree) settle(err error) error {
	if err != nil {
		t.err = err
	} else if len(t.open) > maxOpen {
		return t.Flush()
	}
	return err
}

// opened reads the pages as they are now, open ones among them.
type opened struct{ t *Tree }

func (o opened) Page(number uint32) ([]byte, error) {
	if n := o.t.find(number); n != nil {
		o.t.hot = true
		return n.b, nil
	}
	page, own, err := o.t.pages.Peek(number)
	o.t.hot = own
	return page, err
}

// peeked reads the pages that are not open.
type peeked struct{ t *Tree }

func (p peeked) Page(number uint32) ([]byte, error) {
	page, own, err := p.t.pages.Peek(number)
	p.t.hot = own
	return page, err
}

func (t *Tree) view() View { return View{pages: opened{t}, root: t.root} }

// lasting is a slice of the page read last that later changes leave alone.
func (t *Tree) lasting(b []byte) []byte {
	if t.hot && len(b) > 0 && len(b) <= t.size {
		return bytes.Clone(b)
	}
	return b
}

// At returns the item at a position, 0 ≤ position < Len. Changes of the tree
// leave the slices as they are.
func (t *Tree) At(position int64) (key, value []byte, err error) {
	key, value, err = t.view().At(position)
	return t.lasting(key), t.lasting(value), err
}

// Get returns the value of a key. Changes of the tree leave it as it is.
func (t *Tree) Get(key []byte) (value []byte, ok bool, err error) {
	value, ok, err = t.view().Get(key)
	return t.lasting(value), ok, err
}

// Find returns the position of a key, or, where there is none such, of the
// first key above it: Len if all are below.
func (t *Tree) Find(key []byte) (position int64, exact bool, err error) {
	return t.view().Find(key)
}

// Ascend is View's, after a Flush.
func (t *Tree) Ascend(from int64, fn func(key, value []byte) bool) error {
	if err := t.Flush(); err != nil {
		return err
	}
	return NewView(t.pages, t.root).Ascend(from, fn)
}

// Descend is View's, after a Flush.
func (t *Tree) Descend(from int64, fn func(key, value []byte) bool) error {
	if err := t.Flush(); err != nil {
		return err
	}
	return NewView(t.pages, t.root).Descend(from, fn)
}

// Put sets the value of a key, and says whether the key is new.
func (t *Tree) Put(key, value []byte) (added bool, err error) {
	if t.err != nil {
		return false, t.err
	}
	if t.root.Count == 0 {
		return true, t.settle(t.plant(key, value))
	}
	i, exact, err := t.seek(key)
	switch {
	case err != nil:
	case exact:
		err = t.replace(i, key, value)
	default:
		err = t.insert(i, key, value)
	}
	return !exact && err == nil, t.settle(err)
}

// Delete removes a key, and says whether it was there.
func (t *Tree) Delete(key []byte) (ok bool, err error) {
	if t.err != nil {
		return false, t.err
	}
	if t.root.Count == 0 {
		return false, nil
	}
	i, exact, err := t.seek(key)
	if err == nil && exact {
		err = t.remove(i, i+1)
	}
	return exact && err == nil, t.settle(err)
}

// InsertAt inserts a value without a key before the item at a position,
// 0 ≤ position ≤ Len. A tree has items with keys or without, not both.
func (t *Tree) InsertAt(position int64, value []byte) error {
	if t.err != nil {
		return t.err
	}
	if position < 0 || position > t.root.Count {
		return ErrPosition
	}
	if t.root.Count == 0 {
		return t.settle(t.plant(nil, value))
	}
	i, err := t.seekPosition(position, true)
	if err == nil {
		err = t.insert(i, nil, value)
	}
	return t.settle(err)
}

// SetAt sets the value of the item at a position, 0 ≤ position < Len, and
// leaves its key.
func (t *Tree) SetAt(position int64, value []byte) error {
	if t.err != nil {
		return t.err
	}
	if position < 0 || position >= t.root.Count {
		return ErrPosition
	}
	i, err := t.seekPosition(position, false)
	if err == nil {
		leaf := t.leaf()
		key, _ := leaf.item(i)
		if leaf.bad {
			return t.settle(damaged(t.path[0].number))
		}
		err = t.replace(i, bytes.Clone(key), value)
	}
	return t.settle(err)
}

// DeleteAt removes the item at a position, 0 ≤ position < Len.
func (t *Tree) DeleteAt(position int64) error {
	return t.DeleteRange(position, position+1)
}

// DeleteRange removes the items from a position to before another,
// 0 ≤ from ≤ to ≤ Len. Pages wholly within are removed unread.
func (t *Tree) DeleteRange(from, to int64) error {
	if t.err != nil {
		return t.err
	}
	if from < 0 || to > t.root.Count || from > to {
		return ErrPosition
	}
	if from == 0 && to == t.root.Count {
		return t.Clear()
	}
	var err error
	for count := to - from; count > 0 && err == nil; {
		var removed int64
		removed, err = t.removeSome(from, count)
		count -= removed
	}
	return t.settle(err)
}

// Clear removes all items. (Where the object goes as a whole, its owner can do
// without: the pages are those below its id.)
func (t *Tree) Clear() error {
	if t.err != nil {
		return t.err
	}
	if t.root.Count == 0 {
		return nil
	}
	left := t.root.Pages
	err := t.discard(t.root.Page, int(t.root.Height)-1, &left)
	if err == nil {
		t.root = Root{}
	}
	return t.settle(err)
}

// discard drops a page and what is below it, leaves unread.
func (t *Tree) discard(number uint32, level int, left *uint32) error {
	if *left == 0 {
		return damaged(number)
	}
	*left--
	if level > 0 {
		p, err := t.fetch(number, level)
		if err != nil {
			return err
		}
		for i := range p.n {
			if err := t.discard(p.child(i), level-1, left); err != nil {
				return err
			}
		}
	}
	t.drop(number)
	return nil
}
