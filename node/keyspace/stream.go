package keyspace

import (
	"encoding/binary"
	"iter"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// StreamHead is what a stream remembers beside its entries.
type StreamHead struct {
	// Last is the largest id that the stream has given; the next is larger.
	Last StreamID
	// Deleted is the largest id that was removed by itself: what is trimmed does not
	// count.
	Deleted StreamID
	// Added is how many entries there have been.
	Added uint64
}

// StreamView reads a stream: entries in the order of their ids, and groups that read
// them, in the order of their names. Unlike other values, a stream may be empty and
// there. The zero value and one of an absent key are empty.
//
// Slices that are handed out are shared and must not be changed. They stay what they
// are, whatever becomes of the stream; those of a Stream only until it changes.
type StreamView struct {
	valueView
	head StreamHead
	// numbers is the largest number that a group or a consumer was given.
	numbers uint64
	// entries, and the nodes that Redis would keep them in: see streamNode.
	entries, nodes shelf
	// groups has all that there is about groups: see streamgroup.go.
	groups shelf
}

// Stream returns the stream that key holds, and whether there is one; the error is
// ErrWrongType, of a key that holds something else.
func (v *View) Stream(key []byte) (*StreamView, bool, error) {
	value, err := v.typed(key, TypeStream)
	s := &StreamView{valueView: value}
	s.parse()
	return s, value.rec != nil, err
}

// parse reads the record.
func (s *StreamView) parse() {
	for _, shelf := range []*shelf{&s.entries, &s.nodes, &s.groups} {
		shelf.view, shelf.paged, shelf.tree, shelf.packed = s.view, false, nil, packed{}
	}
	if s.rec == nil {
		return
	}
	id, big := s.rec.object()
	if !big {
		in := parseInlineStream(s.rec.body)
		s.head, s.numbers = in.head, in.numbers
		s.entries.packed.items, s.nodes.packed.items, s.groups.packed.items = in.entries, in.nodes, in.groups
		return
	}
	p := parsePagedStream(s.rec.body)
	s.head, s.numbers = p.head, p.last
	pages := s.view.pages(s.rec.stored.slot(), id)
	s.entries.paged, s.nodes.paged, s.groups.paged = true, true, true
	s.entries.pages = tree.NewView(pages, p.entries)
	s.nodes.pages = tree.NewView(pages, p.nodes)
	s.groups.pages = tree.NewView(pages, p.groups)
}

// Head returns what the stream remembers.
func (s *StreamView) Head() StreamHead { return s.head }

// Exists reports whether there is a stream, be it an empty one.
func (s *StreamView) Exists() bool { return s.rec != nil }

// Len returns the number of entries.
func (s *StreamView) Len() int64 { return s.entries.len() }

// First returns the id of the first entry, and whether there is one.
func (s *StreamView) First() (id StreamID, ok bool) {
	key, _, ok := s.entries.at(0)
	return streamIDOf(key), ok
}

// Top returns the id of the last entry that is there, and whether there is one.
func (s *StreamView) Top() (id StreamID, ok bool) {
	key, _, ok := s.entries.at(s.entries.len() - 1)
	return streamIDOf(key), ok
}

// Has reports whether there is an entry.
func (s *StreamView) Has(id StreamID) bool {
	_, ok := s.entries.get(id.appendKey(make([]byte, 0, streamIDSize)))
	return ok
}

// Entry returns an entry, and whether it is there.
func (s *StreamView) Entry(id StreamID) (e StreamEntry, ok bool) {
	value, ok := s.entries.get(id.appendKey(make([]byte, 0, streamIDSize)))
	if !ok {
		return e, false
	}
	return s.entry(id, value)
}

// CountFrom returns how many entries there are from an id on.
func (s *StreamView) CountFrom(id StreamID) int64 {
	position, _ := s.entries.find(id.appendKey(make([]byte, 0, streamIDSize)))
	return s.entries.len() - position
}

// Entries yields the entries from one id up to another, both included, or with reverse
// from the latter down. The stream must not be changed meanwhile.
func (s *StreamView) Entries(from, to StreamID, reverse bool) iter.Seq[StreamEntry] {
	return func(yield func(StreamEntry) bool) {
		show := func(key, value []byte) bool {
			id := streamIDOf(key)
			if id.Compare(to) > 0 || id.Compare(from) < 0 {
				return false
			}
			e, ok := s.entry(id, value)
			return ok && yield(e)
		}
		if !reverse {
			position, _ := s.entries.find(from.appendKey(make([]byte, 0, streamIDSize)))
			s.entries.ascend(position, show)
			return
		}
		position, exact := s.entries.find(to.appendKey(make([]byte, 0, streamIDSize)))
		if !exact {
			position--
		}
		s.entries.descend(position, show)
	}
}

// Stream changes the stream of a key, which comes into being with the first change.
// Its methods for reading see the changes. End makes them the key's: whoever has
// begun to change a stream ends that, before the key is changed in another way or read
// through something else.
type Stream struct {
	StreamView
	value
	writer *pageWriter
	// changed since End, and whether clients that wait for entries want to know.
	changed, noticed bool
}

// Stream returns the stream that key holds, an empty one if the key is not there; the
// error is ErrWrongType, of a key that holds something else.
func (tx *Tx) Stream(key []byte) (*Stream, error) {
	view, value, err := tx.typed(key, TypeStream)
	s := &Stream{StreamView: StreamView{valueView: view}, value: value}
	s.parse()
	return s, err
}

// change begins to change the stream, and reports whether that is possible.
func (s *Stream) change() bool {
	if !s.tx.begun() {
		return false
	}
	if s.changed {
		if s.writer == nil && s.packed() > 2*s.tx.ks.inlineList() {
			s.movePages() // a change of many is not to cost their square
		}
		return true
	}
	s.changed = true
	if _, big := s.rec.object(); big {
		p := parsePagedStream(s.rec.body)
		s.writer = s.tx.change(s.rec, p.pages)
		s.entries.tree, s.nodes.tree, s.groups.tree = s.writer.tree(p.entries), s.writer.tree(p.nodes), s.writer.tree(p.groups)
	}
	return true
}

// Touch makes a change of nothing: a stream that is not there comes into being.
func (s *Stream) Touch() { s.change() }

// SetHead changes what the stream remembers.
func (s *Stream) SetHead(head StreamHead) {
	if s.change() {
		s.head = head
	}
}

// End makes the changes the key's, if there were any. The stream may be changed again.
func (s *Stream) End() {
	if !s.changed {
		return
	}
	s.changed = false
	own := s.tx.own
	if put := own.put; !s.noticed {
		own.put = nil // who waits for entries has no reason to look
		defer func() { own.put = put }()
	}
	s.noticed = false
	if s.writer == nil && s.packed() > s.tx.ks.inlineList() {
		s.movePages()
	}
	meta, head := s.meta(), appendStreamHead(nil, s.head, s.numbers)
	var rec *record
	if s.writer == nil {
		rec = s.store(meta, head)
	} else if body := s.writer.flush(head, s.entries.tree, s.nodes.tree, s.groups.tree); body != nil {
		meta.Flags |= flagPaged
		rec = s.tx.replace(&s.r, s.rec, meta, 0, body)
	}
	if s.writer = nil; rec != nil {
		s.rec = rec
	}
	s.parse()
}

// packed returns how many bytes are packed of a stream that is.
func (s *Stream) packed() int {
	return len(s.entries.packed.items) + len(s.nodes.packed.items) + len(s.groups.packed.items)
}

// store writes the record of a stream that is packed.
func (s *Stream) store(meta Meta, head []byte) *record {
	var sizes [3][binary.MaxVarintLen64]byte
	parts := [7][]byte{head}
	for i, shelf := range []*shelf{&s.entries, &s.nodes, &s.groups} {
		parts[1+2*i] = binary.AppendUvarint(sizes[i][:0], uint64(len(shelf.packed.items)))
		parts[2+2*i] = shelf.packed.items
	}
	return s.tx.replace(&s.r, s.rec, meta, 0, parts[:]...)
}

// movePages brings what is packed into pages.
func (s *Stream) movePages() {
	s.writer = s.tx.create(&s.r)
	for _, shelf := range []*shelf{&s.entries, &s.nodes, &s.groups} {
		shelf.tree = s.writer.build(func(add func(key, value []byte)) {
			shelf.packed.ascend(0, func(key, value []byte) bool {
				add(key, value)
				return true
			})
		})
	}
}
