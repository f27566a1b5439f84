package tree

import (
	"bytes"
	"cmp"
	"encoding/binary"
)

const (
	headerSize = 3
	leafSlot   = 2
	innerSlot  = 12
	maxHeight  = 32
	maxCount   = 1<<47 - 1
	cutBit     = 1 << 47
	// longest bounds a page of several cells, so that offsets fit 16 bits.
	longest = 40000
)

// page is a page's bytes with its header taken apart. The methods that read it
// check what they touch: where the bytes make no sense they set bad and return
// nothing, and whoever called them looks at bad once he is done. The methods
// that change it (edit.go) need a page that is private and whole (see check).
type page struct {
	b     []byte
	level int
	n     int
	slot  int
	heap  int // where the cells begin
	bad   bool
}

func parse(b []byte, level int) (page, error) {
	if len(b) < headerSize || int(b[0]) != level {
		return page{}, ErrCorrupt
	}
	p := page{b: b, level: level, n: int(binary.LittleEndian.Uint16(b[1:])), slot: leafSlot}
	if level > 0 {
		p.slot = innerSlot
	}
	p.heap = headerSize + p.n*p.slot
	if p.n == 0 || p.heap > len(b) {
		return page{}, ErrCorrupt
	}
	return p, nil
}

// check reports whether every cell is where it should be.
func (p *page) check() bool {
	if p.n > 1 && len(p.b) > longest || p.offset(0) != 0 {
		return false
	}
	from := p.heap
	for i := range p.n {
		to := p.heap + p.offset(i+1)
		if from > to || to > len(p.b) {
			return false
		}
		if p.level > 0 {
			if p.child(i) == 0 || p.count(i) == 0 {
				return false
			}
		} else if from == to || int(p.b[from]) >= to-from || p.b[from] >= 0x80 {
			if p.item(i); p.bad {
				return false
			}
		}
		from = to
	}
	return true
}

// offset is where cell i begins, counted from heap; offset(n) is where the
// last one ends.
func (p *page) offset(i int) int {
	if i == p.n {
		return len(p.b) - p.heap
	}
	return int(binary.LittleEndian.Uint16(p.b[headerSize+i*p.slot:]))
}

func (p *page) cell(i int) []byte {
	from, to := p.heap+p.offset(i), p.heap+p.offset(i+1)
	if from > to || to > len(p.b) {
		p.bad = true
		return nil
	}
	return p.b[from:to:to]
}

// item is what cell i of a leaf holds.
func (p *page) item(i int) (key, value []byte) {
	cell := p.cell(i)
	if len(cell) == 0 {
		p.bad = true
		return nil, nil
	}
	length, width := uint64(cell[0]), 1
	if length >= 0x80 {
		length, width = binary.Uvarint(cell)
	}
	if width <= 0 || length > uint64(len(cell)-width) {
		p.bad = true
		return nil, nil
	}
	end := width + int(length)
	return cell[width:end:end], cell[end:]
}

func (p *page) key(i int) []byte {
	key, _ := p.item(i)
	return key
}

// search finds the first item of a leaf whose key is not below key. Most keys are told
// apart by their first eight bytes.
func (p *page) search(key []byte) (i int, exact bool) {
	var prefix uint64
	if len(key) >= 8 {
		prefix = binary.BigEndian.Uint64(key)
	}
	low, high := 0, p.n
	for low < high {
		middle := int(uint(low+high) >> 1)
		other := p.keyAt(middle)
		c := 0
		if len(key) >= 8 && len(other) >= 8 {
			c = cmp.Compare(binary.BigEndian.Uint64(other), prefix)
		}
		if c == 0 {
			c = bytes.Compare(other, key)
		}
		switch {
		case c < 0:
			low = middle + 1
		case c > 0:
			high = middle
		default:
			return middle, true
		}
	}
	return low, false
}

// keyAt is key for a search, which does not look where the cell ends.
func (p *page) keyAt(i int) []byte {
	at := p.heap + int(binary.LittleEndian.Uint16(p.b[headerSize+i*leafSlot:]))
	if at < len(p.b) && p.b[at] < 0x80 {
		if from, to := at+1, at+1+int(p.b[at]); to <= len(p.b) {
			return p.b[from:to]
		}
	}
	return p.key(i)
}

func (p *page) child(i int) uint32 {
	return binary.LittleEndian.Uint32(p.b[headerSize+i*innerSlot+2:])
}

// word is the count of child i and the bit that says its separator is cut.
func (p *page) word(i int) uint64 {
	return binary.LittleEndian.Uint64(p.b[headerSize+i*innerSlot+4:]) >> 16
}

func (p *page) count(i int) int64 { return int64(p.word(i) & maxCount) }

func (p *page) isCut(i int) bool { return p.word(i)&cutBit != 0 }

// total is the number of items in and below the page.
func (p *page) total() int64 {
	if p.level == 0 {
		return int64(p.n)
	}
	var sum int64
	for i := range p.n {
		sum += p.count(i)
	}
	return sum
}

// locate finds the child that has the item at a position, and the position
// within it; i is n where the page has no such item.
func (p *page) locate(position int64) (i int, rest int64) {
	for i = range p.n {
		count := p.count(i)
		if position < count {
			return i, position
		}
		position -= count
	}
	return p.n, position
}

// before is the number of items below the children left of child i.
func (p *page) before(i int) int64 {
	var sum int64
	slots := p.b[headerSize : headerSize+i*innerSlot]
	for ; len(slots) >= innerSlot; slots = slots[innerSlot:] {
		sum += int64(binary.LittleEndian.Uint64(slots[4:]) >> 16 & maxCount)
	}
	return sum
}
