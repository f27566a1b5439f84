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
	m.ok = true
	var rest []byte
	m.member, rest, _ = takeBytes(in.items[start:])
	m.score = math.Float64frombits(binary.BigEndian.Uint64(rest))
	m.end = len(in.items) - len(rest) + scoreSize
	return m
}

func (in *inlineSortedSet) find(member []byte) setMember {
	m := in.first()
	for m.ok && !bytes.Equal(m.member, member) {
		m = in.after(m)
	}
	return m
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

// set appends the items to dst as they are with a member set, whose present state
// is old.
func (in *inlineSortedSet) set(dst []byte, old setMember, member []byte, score float64) []byte {
	placed := false
	for m := in.first(); m.ok; m = in.after(m) {
		if old.ok && m.start == old.start {
			continue
		}
		if !placed && !m.before(score, member) {
			dst, placed = appendMember(dst, member, score), true
		}
		dst = append(dst, in.items[m.start:m.end]...)
	}
	if !placed {
		dst = appendMember(dst, member, score)
	}
	return dst
}

func appendMember(dst, member []byte, score float64) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(member))), member...)
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(score))
}

// cut appends to dst all items but those at the positions [from, to).
func (in *inlineSortedSet) cut(dst []byte, from, to int) []byte {
	m := in.first()
	for m.position < from {
		m = in.after(m)
	}
	dst = append(dst, in.items[:m.start]...)
	for m.position < to {
		m = in.after(m)
	}
	return append(dst, in.items[m.start:]...)
}
