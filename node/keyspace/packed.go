package keyspace

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// packed is an ordered map in one piece of memory: for each item, in the order of
// their keys, length (uvarint) and key, length and value.
type packed struct {
	items []byte
	// own: the memory is this map's alone, and may be changed.
	own bool
}

// packedItem is an item of a packed, or, if not ok, the end.
type packedItem struct {
	key, value []byte
	start, end int
	ok         bool
}

// checkPacked calls each for every item of a packed of unknown origin, and reports
// whether it is sound and each has accepted all.
func checkPacked(items []byte, each func(key, value []byte) bool) bool {
	var last []byte
	for first := true; len(items) > 0; first = false {
		key, rest, ok := takeBytes(items)
		if !ok || !first && bytes.Compare(last, key) >= 0 {
			return false
		}
		value, rest, ok := takeBytes(rest)
		if !ok || !each(key, value) {
			return false
		}
		last, items = key, rest
	}
	return true
}

// at returns the item that starts at an offset.
func (p *packed) at(start int) packedItem {
	if start >= len(p.items) {
		return packedItem{start: start, end: start}
	}
	from, size := takeSize(p.items, start)
	to := from + size
	valueFrom, valueSize := takeSize(p.items, to)
	end := valueFrom + valueSize
	return packedItem{p.items[from:to:to], p.items[valueFrom:end:end], start, end, true}
}

// find returns the first item whose key is not below key, and its position.
func (p *packed) find(key []byte) (item packedItem, position int64, exact bool) {
	for item = p.at(0); item.ok; item = p.at(item.end) {
		switch c := bytes.Compare(item.key, key); {
		case c == 0:
			return item, position, true
		case c > 0:
			return item, position, false
		}
		position++
	}
	return item, position, false
}

// len returns the number of items.
func (p *packed) len() (n int64) {
	for item := p.at(0); item.ok; item = p.at(item.end) {
		n++
	}
	return n
}

// offset returns where the item at a position starts, or the end.
func (p *packed) offset(position int64) int {
	item := p.at(0)
	for ; item.ok && position > 0; position-- {
		item = p.at(item.end)
	}
	return item.start
}

func (p *packed) ascend(from int64, fn func(key, value []byte) bool) {
	for item := p.at(p.offset(from)); item.ok && fn(item.key, item.value); item = p.at(item.end) {
	}
}

func (p *packed) descend(from int64, fn func(key, value []byte) bool) {
	var starts []int
	for item := p.at(0); item.ok && int64(len(starts)) <= from; item = p.at(item.end) {
		starts = append(starts, item.start)
	}
	for _, start := range slices.Backward(starts) {
		if item := p.at(start); !fn(item.key, item.value) {
			return
		}
	}
}

// put sets the value of a key.
func (p *packed) put(key, value []byte) {
	item, _, exact := p.find(key)
	end := item.start
	if exact {
		end = item.end
	}
	var head [2][binary.MaxVarintLen64]byte
	keySize := binary.AppendUvarint(head[0][:0], uint64(len(key)))
	valueSize := binary.AppendUvarint(head[1][:0], uint64(len(value)))
	size := len(keySize) + len(key) + len(valueSize) + len(value)
	p.resize(item.start, end, size)
	at := p.items[item.start : item.start : item.start+size]
	at = append(append(at, keySize...), key...)
	_ = append(append(at, valueSize...), value...)
}

// resize makes the bytes [from, to) so many.
func (p *packed) resize(from, to, size int) {
	length := len(p.items) - (to - from) + size
	if !p.own {
		const room = 256
		p.items, p.own = append(make([]byte, 0, length+room), p.items...), true
	}
	tail := len(p.items) - to
	p.items = slices.Grow(p.items, max(length-len(p.items), 0))
	all := p.items[:max(length, len(p.items))]
	copy(all[from+size:], p.items[to:to+tail])
	p.items = all[:length]
}

// deleteRange removes the items at the positions [from, to).
func (p *packed) deleteRange(from, to int64) {
	start := p.offset(from)
	end := start
	for range to - from {
		end = p.at(end).end
	}
	p.resize(start, end, 0)
}
