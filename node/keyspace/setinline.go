package keyspace

import "encoding/binary"

// inlineSet is a set whose members are in the body of its metadata record: their
// number (uvarint), and then for each, in the order in which they came, length
// (uvarint) and member.
type inlineSet struct {
	count int
	items []byte
}

// parseInlineSet reads a body that checkInlineSet has found sound.
func parseInlineSet(body []byte) inlineSet {
	count, size := binary.Uvarint(body)
	return inlineSet{count: int(count), items: body[size:]}
}

// checkInlineSet reports whether a body of unknown origin is sound. That no two
// members are the same is not looked at.
func checkInlineSet(body []byte) bool {
	count, body, ok := takeUvarint(body)
	if !ok || count == 0 {
		return false
	}
	for ; count > 0 && len(body) > 0; count-- {
		if _, body, ok = takeBytes(body); !ok {
			return false
		}
	}
	return count == 0 && len(body) == 0
}

// inlineSetOf appends to dst the body of a set of members.
func inlineSetOf(dst []byte, members [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(members)))
	for _, member := range members {
		dst = appendElement(dst, member)
	}
	return dst
}

// of returns the set of the members of another one.
func (inlineSet) of(other smallSet) inlineSet {
	if in, ok := other.(inlineSet); ok {
		return in
	}
	in := inlineSet{count: other.len()}
	for member := range other.each {
		in.items = appendElement(in.items, member)
	}
	return in
}

func (in inlineSet) len() int { return in.count }

// find returns where a member's item begins and ends; both are the end of the items
// if it is no member. It looks at little else than lengths.
func (in inlineSet) find(member []byte) (start, end int) {
	for start < len(in.items) {
		at, size := takeSize(in.items, start)
		if end = at + size; size == len(member) && string(in.items[at:end]) == string(member) {
			return start, end
		}
		start = end
	}
	return start, start
}

func (in inlineSet) has(member []byte) bool {
	start, end := in.find(member)
	return start < end
}

func (in inlineSet) at(n int) []byte {
	start := 0
	for ; n > 0; n-- {
		at, size := takeSize(in.items, start)
		start = at + size
	}
	at, size := takeSize(in.items, start)
	return in.items[at : at+size : at+size]
}

func (in inlineSet) each(yield func([]byte) bool) {
	for start := 0; start < len(in.items); {
		at, size := takeSize(in.items, start)
		if start = at + size; !yield(in.items[at:start:start]) {
			return
		}
	}
}

func (in inlineSet) without(member []byte) [3][]byte {
	start, end := in.find(member)
	return [3][]byte{binary.AppendUvarint(nil, uint64(in.count-1)), in.items[:start], in.items[end:]}
}
