package tree

import (
	"encoding/binary"
	"slices"
)

func emptyPage(level, capacity int) page {
	return newPage(make([]byte, 0, headerSize+capacity), level)
}

// newPage makes an empty page in memory that has room for it.
func newPage(b []byte, level int) page {
	p := page{b: append(b[:0], byte(level), 0, 0), level: level, slot: leafSlot, heap: headerSize}
	if level > 0 {
		p.slot = innerSlot
	}
	return p
}

func (p *page) setN(n int) {
	p.n = n
	p.heap = headerSize + n*p.slot
	binary.LittleEndian.PutUint16(p.b[1:], uint16(n))
}

// shift adds by to the offsets of the cells from i on.
func (p *page) shift(i, by int) {
	for at := headerSize + i*p.slot; at < p.heap; at += p.slot {
		slot := p.b[at : at+2]
		binary.LittleEndian.PutUint16(slot, uint16(int(binary.LittleEndian.Uint16(slot))+by))
	}
}

// insert makes room for a cell of size bytes before cell i, and returns it to
// be filled.
func (p *page) insert(i, size int) []byte {
	end, offset := len(p.b), p.offset(i)
	from, slot := p.heap+offset, headerSize+i*p.slot
	p.b = slices.Grow(p.b, p.slot+size)[:end+p.slot+size]
	copy(p.b[from+p.slot+size:], p.b[from:end])
	copy(p.b[slot+p.slot:], p.b[slot:from])
	clear(p.b[slot : slot+p.slot])
	p.setN(p.n + 1)
	p.shift(i+1, size)
	binary.LittleEndian.PutUint16(p.b[slot:], uint16(offset))
	return p.b[from+p.slot : from+p.slot+size]
}

// remove takes the cells from i to before j out.
func (p *page) remove(i, j int) {
	from, to := p.heap+p.offset(i), p.heap+p.offset(j)
	p.shift(j, from-to)
	slots := (j - i) * p.slot
	copy(p.b[headerSize+i*p.slot:], p.b[headerSize+j*p.slot:from])
	end := from - slots + copy(p.b[from-slots:], p.b[to:])
	p.b = p.b[:end]
	p.setN(p.n - (j - i))
}

// resize gives cell i another size, and returns it to be filled.
func (p *page) resize(i, size int) []byte {
	from, to, end := p.heap+p.offset(i), p.heap+p.offset(i+1), len(p.b)
	by := size - (to - from)
	if by > 0 {
		p.b = slices.Grow(p.b, by)[:end+by]
	}
	copy(p.b[from+size:], p.b[to:end])
	p.b = p.b[:end+by]
	if by != 0 {
		p.shift(i+1, by)
	}
	return p.b[from : from+size]
}

// take appends the cells of another page of its level, from i to before j.
func (p *page) take(source *page, i, j int) {
	end, slots := len(p.b), (j-i)*p.slot
	cells := source.b[source.heap+source.offset(i) : source.heap+source.offset(j)]
	by := end - p.heap - source.offset(i)
	p.b = slices.Grow(p.b, slots+len(cells))[:end+slots+len(cells)]
	copy(p.b[p.heap+slots:], p.b[p.heap:end])
	copy(p.b[p.heap:], source.b[headerSize+i*p.slot:headerSize+j*p.slot])
	copy(p.b[end+slots:], cells)
	first := p.n
	p.setN(p.n + j - i)
	p.shift(first, by)
}

// itemSize is the size of an item's cell.
func itemSize(key, value []byte) int {
	width := 1
	for n := len(key); n >= 0x80; n >>= 7 {
		width++
	}
	return width + len(key) + len(value)
}

func fillItem(cell, key, value []byte) {
	width := binary.PutUvarint(cell, uint64(len(key)))
	copy(cell[width:], key)
	copy(cell[width+len(key):], value)
}

// entry is what an inner page says of one child.
type entry struct {
	child     uint32
	count     int64
	separator []byte
	cut       bool
}

func (p *page) entry(i int) entry {
	return entry{child: p.child(i), count: p.count(i), separator: p.cell(i), cut: p.isCut(i)}
}

func (p *page) setWord(i int, count int64, cut bool) {
	word := uint64(count) & maxCount
	if cut {
		word |= cutBit
	}
	at := p.b[headerSize+i*innerSlot+6:]
	binary.LittleEndian.PutUint32(at, uint32(word))
	binary.LittleEndian.PutUint16(at[4:], uint16(word>>32))
}

func (p *page) addCount(i int, by int64) { p.setWord(i, p.count(i)+by, p.isCut(i)) }

func (p *page) insertChild(i int, e entry) {
	copy(p.insert(i, len(e.separator)), e.separator)
	binary.LittleEndian.PutUint32(p.b[headerSize+i*innerSlot+2:], e.child)
	p.setWord(i, e.count, e.cut)
}

func (p *page) setSeparator(i int, separator []byte, cut bool) {
	copy(p.resize(i, len(separator)), separator)
	p.setWord(i, p.count(i), cut)
}

// removeChildren keeps the first child's separator empty.
func (p *page) removeChildren(i, j int) {
	p.remove(i, j)
	if i == 0 && p.n > 0 {
		p.setSeparator(0, nil, false)
	}
}

// takeAll appends another page; its first child, which had no need of a
// separator, gets the given one.
func (p *page) takeAll(source *page, separator []byte, cut bool) {
	first := p.n
	p.take(source, 0, source.n)
	if p.level > 0 {
		p.setSeparator(first, separator, cut)
	}
}

// middle is the cell before which the page falls into halves of nearly equal
// size, each of at least least cells.
func (p *page) middle(least int) int {
	size := func(i int) int { return i*p.slot + p.offset(i) }
	best, difference := least, -1
	for i := least; i <= p.n-least; i++ {
		d := 2*size(i) - size(p.n)
		if d < 0 {
			d = -d
		}
		if difference >= 0 && d >= difference {
			break
		}
		best, difference = i, d
	}
	return best
}

// between is a short key above left and not above right, of at most limit
// bytes. Where that is not enough, it is the beginning of such a key: cut.
func between(left, right []byte, limit int) (separator []byte, cut bool) {
	n := 0
	for n < len(left) && n < len(right) && left[n] == right[n] {
		n++
	}
	n = min(n+1, len(right))
	return right[:min(n, limit)], n > limit
}
