package keyspace

import "encoding/binary"

// inlineList is a list whose elements are in the body of its metadata record:
// their size as a listpack (see packedSize), their number (uvarints), and then
// for each length (uvarint) and element.
type inlineList struct {
	packed int64
	count  int
	items  []byte
}

// parseInlineList reads a body that checkInlineList has found sound.
func parseInlineList(body []byte) inlineList {
	packed, body, _ := takeUvarint(body)
	count, body, _ := takeUvarint(body)
	return inlineList{packed: int64(packed), count: int(count), items: body}
}

// checkInlineList reports whether a body of unknown origin is sound.
func checkInlineList(body []byte) bool {
	packed, body, ok := takeUvarint(body)
	if !ok {
		return false
	}
	count, body, ok := takeUvarint(body)
	if !ok || count == 0 {
		return false
	}
	sum := int64(0)
	for ; count > 0 && len(body) > 0; count-- {
		var element []byte
		if element, body, ok = takeBytes(body); !ok {
			return false
		}
		sum += packedSize(element)
	}
	return count == 0 && len(body) == 0 && sum == int64(packed)
}

func appendElement(dst, element []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(element))), element...)
}

// offset returns where in the items the element at a position begins, or, at
// count, where the last one ends.
func (in *inlineList) offset(position int) int {
	if position == in.count {
		return len(in.items)
	}
	at := 0
	for range position {
		at = in.skip(at)
	}
	return at
}

// skip returns where the element ends that begins at an offset.
func (in *inlineList) skip(at int) int {
	if length := in.items[at]; length < 0x80 {
		return at + 1 + int(length)
	}
	length, size := binary.Uvarint(in.items[at:])
	return at + size + int(length)
}

// gap is the place in the items of some elements, and their size as a listpack.
type gap struct {
	start, end int
	packed     int64
}

// gap returns that of the elements at the positions [from, to).
func (in *inlineList) gap(from, to int) (g gap) {
	g.start = in.offset(from)
	g.end = g.start
	for range to - from {
		next := in.skip(g.end)
		element, _, _ := takeBytes(in.items[g.end:next])
		g.packed += packedSize(element)
		g.end = next
	}
	return g
}

// up yields elements from a position on.
func (in *inlineList) up(position int, yield func([]byte) bool) {
	for rest := in.items[in.offset(position):]; len(rest) > 0; {
		var element []byte
		if element, rest, _ = takeBytes(rest); !yield(element) {
			return
		}
	}
}

// down yields elements from a position on downwards.
func (in *inlineList) down(position int, yield func([]byte) bool) {
	starts := make([]int, position+1)
	at := 0
	for i := range starts {
		starts[i] = at
		at = in.skip(at)
	}
	for ; position >= 0; position-- {
		if element, _, _ := takeBytes(in.items[starts[position]:]); !yield(element) {
			return
		}
	}
}

// store makes items, given in parts, the elements of the list.
func (l *List) store(meta Meta, packed int64, count int, items ...[]byte) {
	var memory [2 * binary.MaxVarintLen64]byte
	head := binary.AppendUvarint(memory[:0], uint64(packed))
	head = binary.AppendUvarint(head, uint64(count))
	var parts [4][]byte
	if rec := l.tx.replace(&l.r, l.rec, meta, 0, append(append(parts[:0], head), items...)...); rec != nil {
		l.rec = rec
	}
}
