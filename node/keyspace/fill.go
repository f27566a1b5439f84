package keyspace

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// part is an element of a value that is filled: its number among those that were
// given, and the fingerprint of its name.
type part struct {
	number      int
	fingerprint uint32
}

// Fill makes n fields the hash's in place of those that it has: field returns the
// i-th of them, with its time of expiry in unix ms, 0 for none. No field comes twice;
// what has expired is left out. In the end the hash is what it were if they had been
// set in an empty one, which costs ten times as much.
func (h *Hash) Fill(n int, field func(i int) (field, value []byte, expireAt int64)) {
	if !h.tx.begun() {
		return
	}
	meta := h.meta()
	meta.Flags = 0
	parts, size, soonest := make([]part, 0, n), 0, int64(0)
	for i := range n {
		f, value, at := field(i)
		switch {
		case at != 0 && at <= h.tx.now:
			continue
		case !h.fits(len(f) + len(value)):
			return
		case len(f) > largeElement || len(value) > largeElement:
			meta.Flags |= flagLarge
		}
		if at != 0 {
			meta.Flags |= flagVolatile
		}
		parts = append(parts, part{i, fingerprint(f)})
		size, soonest = size+len(f)+len(value), sooner(soonest, at)
	}
	if len(parts) > largeHash {
		meta.Flags |= flagLarge
	}
	if size > h.tx.ks.inlineLimit || !h.fillInline(meta, parts, soonest, field) {
		h.fillPages(meta, parts, field)
	}
}

// fillInline is Fill in the record, if that holds the fields.
func (h *Hash) fillInline(meta Meta, parts []part, soonest int64, field func(int) ([]byte, []byte, int64)) bool {
	volatile := meta.Flags&flagVolatile != 0
	if volatile {
		const never = math.MaxInt64
		sortByTime(parts, func(p part) int64 {
			_, _, at := field(p.number)
			return cmp.Or(at, never)
		})
	}
	items := h.tx.own.scratch[:0]
	for _, p := range parts {
		f, value, at := field(p.number)
		items = appendField(items, volatile, f, value, at)
	}
	if h.tx.own.scratch = items; len(items) > h.tx.ks.inlineLimit {
		return false
	}
	h.store(meta, len(parts), soonest, items)
	return true
}

// fillPages is Fill in pages, which are written once.
func (h *Hash) fillPages(meta Meta, parts []part, field func(int) ([]byte, []byte, int64)) {
	name := func(p part) []byte {
		f, _, _ := field(p.number)
		return f
	}
	timeOf := func(p part) int64 {
		_, _, at := field(p.number)
		return at
	}
	w := h.tx.create(&h.r)
	c := &hashChange{pageWriter: w}
	sortByElementKey(parts, name)
	var key, item []byte
	c.fields = w.build(func(add func(key, value []byte)) {
		for _, p := range parts {
			f, value, at := field(p.number)
			key = elementKey(key[:0], f)
			item = append(binary.AppendUvarint(item[:0], uint64(at)), value...)
			add(key, item)
		}
	})
	expiring := slices.DeleteFunc(parts, func(p part) bool { return timeOf(p) == 0 })
	sortByTime(expiring, timeOf)
	c.expiry = w.build(func(add func(key, value []byte)) {
		for _, p := range expiring {
			key = elementKey(key[:0], name(p))
			item = timeKey(item[:0], timeOf(p), key)
			add(item, nil)
		}
	})
	h.finish(c, meta)
}

// sortByTime leaves those with the same time in their order.
func sortByTime(parts []part, time func(part) int64) {
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(time(a), time(b)) })
}

// sortByElementKey puts elements into the order of their elementKeys.
func sortByElementKey(parts []part, name func(part) []byte) {
	slices.SortFunc(parts, func(a, b part) int {
		if a.fingerprint != b.fingerprint {
			return cmp.Compare(a.fingerprint, b.fingerprint)
		}
		return bytes.Compare(name(a), name(b))
	})
	for i := 1; i < len(parts); i++ {
		if a, b := parts[i-1], parts[i]; a.fingerprint == b.fingerprint && bytes.Equal(name(a), name(b)) {
			panic("keyspace: an element comes twice")
		}
	}
}

// Fill makes n members the set's in place of those that it has: member returns the
// i-th of them and its score, which is a number. No member comes twice. In the end the
// set is what it were if they had been set in an empty one, which costs ten times as
// much.
func (z *SortedSet) Fill(n int, member func(i int) (member []byte, score float64)) {
	if !z.tx.begun() {
		return
	}
	meta := z.meta()
	meta.Flags = 0
	parts, size := make([]part, n), 0
	for i := range n {
		m, score := member(i)
		switch {
		case math.IsNaN(score):
			panic("keyspace: the score of a member is no number")
		case !z.fits(len(m)):
			return
		case len(m) > largeElement:
			meta.Flags |= flagLarge
		}
		parts[i] = part{i, fingerprint(m)}
		size += len(m) + scoreSize
	}
	if n > largeSortedSet {
		meta.Flags |= flagLarge
	}
	switch {
	case n == 0:
		z.DeleteRange(0, z.Len())
	case size > z.tx.ks.inlineLimit || !z.fillInline(meta, parts, member):
		z.fillPages(meta, parts, member)
	}
}

// sortByScore puts members into the order of the set.
func sortByScore(parts []part, member func(int) ([]byte, float64)) {
	slices.SortFunc(parts, func(a, b part) int {
		memberA, scoreA := member(a.number)
		memberB, scoreB := member(b.number)
		return cmp.Or(cmp.Compare(scoreA, scoreB), bytes.Compare(memberA, memberB))
	})
}

// fillInline is Fill in the record, if that holds the members.
func (z *SortedSet) fillInline(meta Meta, parts []part, member func(int) ([]byte, float64)) bool {
	sortByScore(parts, member)
	items := z.tx.own.scratch[:0]
	for _, p := range parts {
		m, score := member(p.number)
		items = appendMember(items, m, score+0) // 0 of -0
	}
	if z.tx.own.scratch = items; len(items) > z.tx.ks.inlineLimit {
		return false
	}
	z.store(meta, len(parts), items)
	return true
}

// fillPages is Fill in pages, which are written once.
func (z *SortedSet) fillPages(meta Meta, parts []part, member func(int) ([]byte, float64)) {
	w := z.tx.create(&z.r)
	c := &sortedSetChange{pageWriter: w}
	sortByElementKey(parts, func(p part) []byte {
		m, _ := member(p.number)
		return m
	})
	var key, item []byte
	c.members = w.build(func(add func(key, value []byte)) {
		for _, p := range parts {
			m, score := member(p.number)
			key = elementKey(key[:0], m)
			item = binary.BigEndian.AppendUint64(item[:0], math.Float64bits(score+0))
			add(key, item)
		}
	})
	sortByScore(parts, member)
	c.order = w.build(func(add func(key, value []byte)) {
		for _, p := range parts {
			m, score := member(p.number)
			key = orderKey(key[:0], score, m)
			add(key, nil)
		}
	})
	z.finish(c, meta)
}

// Fill makes elements the list's in place of those that it has. As in Redis, what
// becomes of the list depends on its size as a listpack alone.
func (l *List) Fill(elements [][]byte) {
	if !l.tx.begun() {
		return
	}
	meta, packed, size := l.meta(), int64(0), 0
	meta.Flags = 0
	for _, element := range elements {
		if !l.fits(len(element)) {
			return
		}
		packed += packedSize(element)
		size += len(element) + binary.MaxVarintLen16
	}
	if packed+listpackFrame > largeList {
		meta.Flags |= flagLarge
	}
	if len(elements) == 0 {
		l.DeleteRange(0, l.Len())
		return
	}
	if size > l.tx.ks.inlineList() {
		l.finish(l.build(slices.Values(elements)), meta, packed)
		return
	}
	items := l.tx.own.scratch[:0]
	for _, element := range elements {
		items = appendElement(items, element)
	}
	l.tx.own.scratch = items
	l.store(meta, packed, len(elements), items)
}
