package keyspace

import (
	"bytes"
	"encoding/binary"
	"math"
)

// inlineSortedSet is a sorted set whose members are in the body of its metadata
// record: their number (uvarint), and then for each, in the order of the set,
// length (uvarint), member, and score (8 bytes, big endian).
type inlineSortedSet struct {
	count int
	items []byte
}

const scoreSize = 8

// setMember is a member of an inlineSortedSet, or, if not ok, the end.
type setMember struct {
	member     []byte
	score      float64
	position   int
	start, end int // its place in the items
	ok         bool
}

// parseInlineSortedSet reads a body that checkInlineSortedSet has found sound.
func parseInlineSortedSet(body []byte) inlineSortedSet {
	count, size := binary.Uvarint(body)
	return inlineSortedSet{count: int(count), items: body[size:]}
}

// checkInlineSortedSet reports whether a body of unknown origin is sound.
func checkInlineSortedSet(body []byte) bool {
	count, body, ok := takeUvarint(body)
	if !ok || count == 0 {
		return false
	}
	var last setMember
	for ; count > 0 && len(body) > 0; count-- {
		m := setMember{ok: true}
		if m.member, body, ok = takeBytes(body); !ok || len(body) < scoreSize {
			return false
		}
		m.score = math.Float64frombits(binary.BigEndian.Uint64(body))
		body = body[scoreSize:]
		if math.IsNaN(m.score) || last.ok && !last.before(m.score, m.member) {
			return false
		}
		last = m
	}
	return count == 0 && len(body) == 0
}

// before reports whether the member's place is before that of another one.
func (m *setMember) before(score float64, member []byte) bool {
	return m.score < score || m.score == score && bytes.Compare(m.member, member) < 0
}

func (in *inlineSortedSet) first() setMember { return in.at(0, 0) }

func (in *inlineSortedSet) after(m setMember) setMember { return in.at(m.end, m.position+1) }

// at returns the member at a position, which starts at an offset of the items.
func (in *inlineSortedSet) at(start, position int) setMember {
	m := setMember{position: position, start: start, end: start}
	if start >= len(in.items) {
		return m
	}
	from, size := takeSize(in.items, start)
	to := from + size
	m.member, m.score, m.end, m.ok = in.items[from:to:to], scoreAt(in.items, to), to+scoreSize, true
	return m
}

// find returns a member; if it is none, the end. It looks at little else than
// lengths, as it is what most commands on small sets spend their time on.
func (in *inlineSortedSet) find(member []byte) setMember {
	items := in.items
	start := 0
	for position := 0; start < len(items); position++ {
		at, size := takeSize(items, start)
		end := at + size + scoreSize
		if size == len(member) && string(items[at:at+size]) == string(member) {
			return setMember{items[at : at+size : at+size], scoreAt(items, at+size), position, start, end, true}
		}
		start = end
	}
	return setMember{position: in.count, start: start, end: start}
}

// place returns the offset at which a member belongs: that of the first item, but
// for the member's own, old, that is not before it.
func (in *inlineSortedSet) place(old setMember, score float64, member []byte) (start int) {
	items := in.items
	if old.ok && old.before(score, member) {
		start = old.end
	}
	for start < len(items) && (!old.ok || start != old.start) {
		at, size := takeSize(items, start)
		s := scoreAt(items, at+size)
		if s > score || s == score && bytes.Compare(items[at:at+size], member) >= 0 {
			break
		}
		start = at + size + scoreSize
	}
	return start
}

func scoreAt(items []byte, at int) float64 {
	return math.Float64frombits(binary.BigEndian.Uint64(items[at:]))
}

// down yields members from a position on downwards.
func (in *inlineSortedSet) down(position int, yield func([]byte, float64) bool) {
	starts := make([]int, 0, position+1)
	for m := in.first(); m.ok && m.position <= position; m = in.after(m) {
		starts = append(starts, m.start)
	}
	for ; position >= 0; position-- {
		if m := in.at(starts[position], position); !yield(m.member, m.score) {
			return
		}
	}
}

// set returns the items as they are with a member set, in parts. old is the
// member's present state, item its new one.
func (in *inlineSortedSet) set(old setMember, score float64, member, item []byte) [4][]byte {
	items, at := in.items, in.place(old, score, member)
	switch {
	case !old.ok:
		return [4][]byte{items[:at], item, items[at:]}
	case at <= old.start:
		return [4][]byte{items[:at], item, items[at:old.start], items[old.end:]}
	default:
		return [4][]byte{items[:old.start], items[old.end:at], item, items[at:]}
	}
}

func appendMember(dst, member []byte, score float64) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(member))), member...)
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(score))
}

// cut returns all items but those at the positions [from, to), in two parts.
func (in *inlineSortedSet) cut(from, to int) (before, behind []byte) {
	m := in.first()
	for m.position < from {
		m = in.after(m)
	}
	before = in.items[:m.start]
	for m.position < to {
		m = in.after(m)
	}
	return before, in.items[m.start:]
}
