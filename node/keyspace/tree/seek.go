package tree

// find returns the open page of a number.
func (t *Tree) find(number uint32) *node {
	for _, n := range t.open {
		if n.number == number {
			return n
		}
	}
	return nil
}

// start prepares the path.
func (t *Tree) start() {
	height := int(t.root.Height)
	if cap(t.path) < height {
		t.path = make([]step, height, height+2)
	}
	t.path = t.path[:height]
}

// step loads a page of the path.
func (t *Tree) step(number uint32, level int) (*step, error) {
	s := &t.path[level]
	*s = step{number: number, node: t.find(number)}
	if s.node != nil {
		if s.page = s.node.page; s.page.level != level {
			return nil, damaged(number)
		}
		return s, nil
	}
	var err error
	s.page, err = View{pages: peeked{t}}.load(number, level)
	s.own = t.hot
	return s, err
}

// seek makes the path to the leaf where a key is or belongs, and returns its
// position there.
func (t *Tree) seek(key []byte) (i int, exact bool, err error) {
	t.start()
	number := t.root.Page
	for level := int(t.root.Height) - 1; ; level-- {
		s, err := t.step(number, level)
		if err != nil {
			return 0, false, err
		}
		if level == 0 {
			i, exact = s.page.search(key)
			if s.page.bad {
				return 0, false, damaged(number)
			}
			return i, exact, nil
		}
		if s.index, err = t.view().route(&s.page, number, key); err != nil {
			return 0, false, err
		}
		number = s.page.child(s.index)
	}
}

// seekPosition makes the path to the leaf that has the item at a position, or,
// for a gap, in which an item may be put before it, and returns the position
// there.
func (t *Tree) seekPosition(position int64, gap bool) (int, error) {
	t.start()
	number := t.root.Page
	for level := int(t.root.Height) - 1; ; level-- {
		s, err := t.step(number, level)
		if err != nil {
			return 0, err
		}
		past := gap && position > 0
		if past {
			position--
		}
		if level == 0 {
			if position >= int64(s.page.n) {
				return 0, damaged(number)
			}
			if past {
				position++
			}
			return int(position), nil
		}
		if s.index, position = s.page.locate(position); s.index == s.page.n {
			return 0, damaged(number)
		}
		if past {
			position++
		}
		number = s.page.child(s.index)
	}
}

// position is that of item i of the leaf that was sought.
func (t *Tree) position(i int) int64 {
	position := int64(i)
	for level := 1; level < len(t.path); level++ {
		position += t.at(level).before(t.path[level].index)
	}
	return position
}

// at is a page of the path as it is now.
func (t *Tree) at(level int) *page {
	s := &t.path[level]
	if s.node != nil {
		return &s.node.page
	}
	return &s.page
}

func (t *Tree) leaf() *page { return t.at(0) }

// edit opens a page of the path, with room for some bytes more.
func (t *Tree) edit(level, room int) (*node, error) {
	s := &t.path[level]
	if s.node != nil {
		return s.node, nil
	}
	if !s.own && !s.page.check() { // one that is our own was checked before
		return nil, damaged(s.number)
	}
	s.node = t.openCopy(s.number, s.page, room)
	return s.node, nil
}

// blank opens the leaf of the path without its items.
func (t *Tree) blank(room int) *node {
	s := &t.path[0]
	if s.node == nil {
		s.node = t.openNode(s.number)
	}
	s.node.page = t.blankPage(s.number, 0, room)
	return s.node
}

// fetch reads a page to take its cells.
func (t *Tree) fetch(number uint32, level int) (page, error) {
	if n := t.find(number); n != nil {
		if n.level != level {
			return page{}, damaged(number)
		}
		return n.page, nil
	}
	p, err := View{pages: peeked{t}}.load(number, level)
	if err == nil && !p.check() {
		err = damaged(number)
	}
	return p, err
}

// openNode enters a page among the open ones.
func (t *Tree) openNode(number uint32) *node {
	var n *node
	if k := len(t.spare); k > 0 {
		n, t.spare = t.spare[k-1], t.spare[:k-1]
	} else {
		n = new(node)
	}
	*n = node{number: number}
	t.open = append(t.open, n)
	return n
}

// openCopy opens a page that was fetched.
func (t *Tree) openCopy(number uint32, p page, room int) *node {
	if n := t.find(number); n != nil {
		return n
	}
	n := t.openNode(number)
	n.page = p
	n.b = t.pages.Buffer(number, p.b, room)
	return n
}

// blankPage makes an empty page of a number.
func (t *Tree) blankPage(number uint32, level, room int) page {
	return newPage(t.pages.Buffer(number, nil, headerSize+room), level)
}

// newNode opens a new page.
func (t *Tree) newNode(level, room int) (*node, error) {
	number, err := t.numbers.take()
	if err != nil {
		return nil, err
	}
	n := t.openNode(number)
	n.page, n.fresh = t.blankPage(number, level, room), true
	t.root.Pages++
	return n, nil
}

// drop removes a page.
func (t *Tree) drop(number uint32) {
	fresh := false
	for i, n := range t.open {
		if n.number == number {
			fresh = n.fresh
			t.open = append(t.open[:i], t.open[i+1:]...)
			t.recycle(n)
			break
		}
	}
	if !fresh {
		t.pages.Delete(number)
	}
	t.numbers.giveBack(number)
	t.root.Pages--
}

func (t *Tree) recycle(n *node) {
	*n = node{}
	t.spare = append(t.spare, n)
}
