package keyspace

import (
	"bytes"
	"iter"
	"slices"
)

// ListView reads a list: elements in the order in which they were put there, the
// first one at the position 0. The zero value and one of an absent key are empty.
//
// Slices that are handed out are shared and must not be changed. They stay what
// they are, whatever becomes of the list.
type ListView struct{ valueView }

// List returns the list that key holds, and whether there is one; the error is
// ErrWrongType, of a key that holds something else.
func (v *View) List(key []byte) (ListView, bool, error) {
	value, err := v.typed(key, TypeList)
	return ListView{value}, value.rec != nil, err
}

// inline returns the elements, none if there is no list or they are in pages.
func (l ListView) inline() inlineList {
	if _, big := l.rec.object(); big || l.rec == nil {
		return inlineList{}
	}
	return parseInlineList(l.rec.body)
}

// Len returns the number of elements.
func (l ListView) Len() int64 {
	if _, big := l.rec.object(); big {
		return parsePagedList(l.rec.body).root.Count
	}
	in := l.inline()
	return int64(in.count)
}

// At returns the element at a position; there is none unless 0 ≤ n < Len.
func (l ListView) At(n int64) (element []byte, ok bool) { return l.at(n, false) }

// at is At; with peek, the element is good until the list changes.
func (l ListView) at(n int64, peek bool) (element []byte, ok bool) {
	for element := range l.from(n, false, peek) {
		return element, true
	}
	return nil, false
}

// From yields elements from a position on, upwards, or with reverse downwards.
// Nothing is at a position below 0 or from Len on. The list must not be changed
// meanwhile.
func (l ListView) From(position int64, reverse bool) iter.Seq[[]byte] {
	return l.from(position, reverse, false)
}

// from is From; with peek, what it yields is good until the list changes.
func (l ListView) from(position int64, reverse, peek bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b, big := l.pages(peek)
		in := l.inline()
		switch {
		case position < 0 || position >= int64(in.count)+b.Len():
		case big && reverse:
			l.view.fail(b.Descend(position, func(_, element []byte) bool { return yield(element) }))
		case big:
			l.view.fail(b.Ascend(position, func(_, element []byte) bool { return yield(element) }))
		case reverse:
			in.down(int(position), yield)
		default:
			in.up(int(position), yield)
		}
	}
}

// packed returns the size of the elements as a listpack, without its frame.
func (l ListView) packed() int64 {
	switch _, big := l.rec.object(); {
	case big:
		return parsePagedList(l.rec.body).packed
	default:
		in := l.inline()
		return in.packed
	}
}

// packedBetween is packed of the elements at the positions [from, to) alone.
func (l ListView) packedBetween(from, to int64) (size int64) {
	left := to - from
	if left <= 0 {
		return 0
	}
	for element := range l.from(from, false, true) {
		size += packedSize(element)
		if left--; left == 0 {
			break
		}
	}
	return size
}

// List changes the list of a key, which comes into being with its first element
// and goes with its last. Its methods for reading see the changes. It is good for
// as long as the key is not changed in another way.
type List struct {
	ListView
	value
}

// List returns the list that key holds, an empty one if the key is not there; the
// error is ErrWrongType, of a key that holds something else.
func (tx *Tx) List(key []byte) (*List, error) {
	view, value, err := tx.typed(key, TypeList)
	return &List{ListView{view}, value}, err
}

// At is ListView.At. It costs less to copy an element than to have a page shared.
func (l *List) At(n int64) (element []byte, ok bool) {
	if _, big := l.rec.object(); big {
		if element, ok = l.at(n, true); len(element) <= l.tx.ks.pageSize {
			return bytes.Clone(element), ok
		}
	}
	return l.ListView.At(n)
}

// PushFront puts elements before the first one, one after the other: the last of
// them becomes the first of the list.
func (l *List) PushFront(elements ...[]byte) {
	if len(elements) > 1 {
		elements = slices.Clone(elements)
		slices.Reverse(elements)
	}
	l.splice(0, 0, elements)
}

// PushBack puts elements behind the last one.
func (l *List) PushBack(elements ...[]byte) {
	length := l.Len()
	l.splice(length, length, elements)
}

// Insert puts an element before the one at a position, or, where that is Len,
// behind the last one. It reports whether 0 ≤ position ≤ Len.
func (l *List) Insert(position int64, element []byte) bool {
	if position < 0 || position > l.Len() {
		return false
	}
	l.splice(position, position, [][]byte{element})
	return true
}

// Set puts an element in the place of the one at a position, and reports whether
// there is one.
func (l *List) Set(position int64, element []byte) bool {
	if position < 0 || position >= l.Len() {
		return false
	}
	l.splice(position, position+1, [][]byte{element})
	return true
}

// DeleteRange removes the elements from the position from up to, and without, the
// position to, and returns how many. The key goes with its last element.
func (l *List) DeleteRange(from, to int64) (deleted int64) {
	from, to = max(from, 0), min(to, l.Len())
	if from >= to || !l.tx.begun() {
		return 0
	}
	l.splice(from, to, nil)
	return to - from
}

// Trim removes all elements but those from the position from up to, and without,
// the position to, and returns how many it has removed.
func (l *List) Trim(from, to int64) (deleted int64) {
	length := l.Len()
	from, to = max(from, 0), min(to, length)
	switch {
	case from >= to:
		return l.DeleteRange(0, length)
	case to-from == length || !l.tx.begun():
		return 0
	}
	packed := int64(0)
	if kept := to - from; kept < length-kept {
		packed = l.packedBetween(from, to)
	} else {
		packed = l.packed() - l.packedBetween(0, from) - l.packedBetween(to, length)
	}
	meta := l.shrunk(packed)
	if _, big := l.rec.object(); big {
		c := l.changePages()
		c.deleteRange(to, length)
		c.deleteRange(0, from)
		l.finish(c, meta, packed)
		return length - (to - from)
	}
	in := l.inline()
	kept := in.gap(int(from), int(to))
	l.store(meta, packed, int(to-from), in.items[kept.start:kept.end])
	return length - (to - from)
}

// Delete removes the elements at some positions, which ascend and exist. The key
// goes with its last element.
func (l *List) Delete(positions ...int64) {
	length := l.Len()
	switch n := int64(len(positions)); {
	case n == 0 || !l.tx.begun():
		return
	case n == length:
		l.DeleteRange(0, length)
		return
	}
	if _, big := l.rec.object(); big && int64(len(positions)) <= length/manyDeleted {
		l.deleteRuns(runs(positions))
		return
	}
	packed := int64(0)
	for element := range l.without(positions) {
		packed += packedSize(element)
	}
	if _, big := l.rec.object(); big {
		l.finish(l.build(l.without(positions)), l.shrunk(packed), packed)
		return
	}
	items := l.tx.own.scratch[:0]
	for element := range l.without(positions) {
		items = appendElement(items, element)
	}
	l.tx.own.scratch = items
	l.store(l.shrunk(packed), packed, int(length)-len(positions), items)
}

// deleteRuns removes elements of a list that is in pages.
func (l *List) deleteRuns(runs []run) {
	packed := l.packed()
	for _, run := range runs {
		packed -= l.packedBetween(run.from, run.to)
	}
	c := l.changePages()
	for _, run := range slices.Backward(runs) {
		c.deleteRange(run.from, run.to)
	}
	l.finish(c, l.shrunk(packed), packed)
}

// manyDeleted: where more than one of so many elements is removed, the others are
// written anew, which takes less than looking for each.
const manyDeleted = 16

// run is the positions [from, to).
type run struct{ from, to int64 }

// runs puts positions that ascend together where they follow each other.
func runs(positions []int64) (found []run) {
	for _, p := range positions {
		if n := len(found); n > 0 && found[n-1].to == p {
			found[n-1].to++
		} else {
			found = append(found, run{p, p + 1})
		}
	}
	return found
}

// without yields the elements but those at some positions, which ascend. What it
// yields is good until the list changes.
func (l ListView) without(positions []int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		position, next := int64(0), 0
		for element := range l.from(0, false, true) {
			if next < len(positions) && positions[next] == position {
				next++
			} else if !yield(element) {
				return
			}
			position++
		}
	}
}

// splice puts elements in the place of those at the positions [from, to), which
// exist. Where none is left, the key goes.
func (l *List) splice(from, to int64, elements [][]byte) {
	if from == to && len(elements) == 0 || !l.tx.begun() {
		return
	}
	if len(elements) == 0 && to-from == l.Len() {
		l.tx.remove(&l.r, l.rec)
		l.rec = nil
		return
	}
	added, size := int64(0), 0
	for _, element := range elements {
		if !l.fits(len(element)) {
			return
		}
		size += len(element)
		added += packedSize(element)
	}
	meta, packed := l.meta(), l.packed()
	if len(elements) > 0 && packed+listpackFrame+int64(size) > largeList {
		meta.Flags |= flagLarge
	}
	in, cut := l.inline(), gap{}
	if meta.Flags&flagPaged == 0 {
		cut = in.gap(int(from), int(to))
	} else {
		cut.packed = l.packedBetween(from, to)
	}
	packed += added - cut.packed
	if from < to {
		meta = shrunk(meta, packed)
	}
	if meta.Flags&flagPaged == 0 && len(in.items)-(cut.end-cut.start)+len(elements)+size <= l.tx.ks.inlineList() {
		l.spliceInline(meta, packed, in.count+len(elements)-int(to-from), in.items[:cut.start], elements, in.items[cut.end:])
		return
	}
	c := l.pagesToChange()
	c.splice(from, to, elements)
	l.finish(c, meta, packed)
}

// spliceInline is splice in the record, which will have count elements: those
// before, the new ones, and those behind.
func (l *List) spliceInline(meta Meta, packed int64, count int, before []byte, elements [][]byte, behind []byte) {
	added := l.tx.own.scratch[:0]
	for _, element := range elements {
		added = appendElement(added, element)
	}
	l.tx.own.scratch = added
	l.store(meta, packed, count, before, added, behind)
}

// shrunk is meta after elements have been removed, with which packed is left.
func (l *List) shrunk(packed int64) Meta { return shrunk(l.meta(), packed) }

func shrunk(meta Meta, packed int64) Meta {
	if packed+listpackFrame <= largeList/2 {
		meta.Flags &^= flagLarge
	}
	return meta
}
