package tree

import "bytes"

// Builder builds a tree from items in order, page by page: each page is written
// once, and full.
type Builder struct {
	pages   Writer
	numbers *Numbers
	size    int
	levels  []growth
	root    Root
}

// growth is what a level still has in hand: the page that grows, and the one
// before it, which goes to the Writer once it is certain that the last page of
// the level needs none of its cells.
type growth struct {
	held, last *grown
}

// grown is a page and what the page above will say of it.
type grown struct {
	page
	says entry
}

// NewBuilder begins a tree in an object. Until Finish nothing else may take
// numbers.
func NewBuilder(pages Writer, numbers *Numbers, pageSize int) *Builder {
	return &Builder{pages: pages, numbers: numbers, size: clamp(pageSize)}
}

// Add appends an item. Keys ascend (ErrOrder), or all are empty.
func (b *Builder) Add(key, value []byte) error {
	size := itemSize(key, value)
	var last *grown
	if len(b.levels) > 0 {
		last = b.levels[0].last
	}
	var separator []byte
	cut := false
	if last != nil {
		before := last.key(last.n - 1)
		if c := bytes.Compare(before, key); c > 0 || c == 0 && len(key) > 0 {
			return ErrOrder
		}
		if len(last.b)+leafSlot+size > b.size {
			separator, cut = between(before, key, b.size/8)
			last = nil
		}
	}
	if last == nil {
		var err error
		if last, err = b.begin(0, max(b.size-headerSize, leafSlot+size), separator, cut); err != nil {
			return err
		}
	}
	fillItem(last.insert(last.n, size), key, value)
	last.says.count++
	b.root.Count++
	return nil
}

// begin begins a page of a level.
func (b *Builder) begin(level, room int, separator []byte, cut bool) (*grown, error) {
	if level == len(b.levels) {
		if level == maxHeight {
			return nil, errFull
		}
		b.levels = append(b.levels, growth{})
	}
	number, err := b.numbers.take()
	if err != nil {
		return nil, err
	}
	b.root.Pages++
	g := &grown{page: newPage(b.pages.Buffer(number, nil, headerSize+room), level)}
	g.says = entry{child: number, separator: bytes.Clone(separator), cut: cut}
	held := b.levels[level].held
	b.levels[level].held, b.levels[level].last = b.levels[level].last, g
	if held != nil {
		return g, b.emit(held)
	}
	return g, nil
}

// emit writes a page and enters it in the level above.
func (b *Builder) emit(g *grown) error {
	b.put(g)
	level := g.level + 1
	var above *grown
	if level < len(b.levels) {
		above = b.levels[level].last
	}
	e := g.says
	if above == nil || above.n >= 3 && len(above.b)+innerSlot+len(e.separator) > b.size {
		var err error
		if above, err = b.begin(level, b.size-headerSize, e.separator, e.cut); err != nil {
			return err
		}
		e.separator, e.cut = nil, false
	}
	above.insertChild(above.n, e)
	above.says.count += e.count
	return nil
}

func (b *Builder) put(g *grown) {
	b.pages.Put(g.says.child, trim(g.b))
}

// Finish writes what is left, and returns the root.
func (b *Builder) Finish() (Root, error) {
	for level := 0; level < len(b.levels); level++ {
		held, last := b.levels[level].held, b.levels[level].last
		if held == nil {
			b.put(last)
			b.root.Page, b.root.Height = last.says.child, uint8(level+1)
			break
		}
		if level > 0 && last.n < 2 {
			even(held, last)
		}
		if err := b.emit(held); err != nil {
			return Root{}, err
		}
		if err := b.emit(last); err != nil {
			return Root{}, err
		}
	}
	return b.root, nil
}

// even moves children from held to last, which has one only. (held has three at
// least, or it would have taken that one too.)
func even(held, last *grown) {
	whole := emptyPage(held.level, len(held.b)+len(last.b)+len(last.says.separator))
	whole.takeAll(&held.page, nil, false)
	whole.takeAll(&last.page, last.says.separator, last.says.cut)
	at := held.n - 1
	last.says.separator, last.says.cut = bytes.Clone(whole.cell(at)), whole.isCut(at)
	held.remove(at, held.n)
	last.page = emptyPage(held.level, len(whole.b))
	last.take(&whole, at, whole.n)
	last.setSeparator(0, nil, false)
	held.says.count, last.says.count = held.total(), last.total()
}
