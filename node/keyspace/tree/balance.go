package tree

import "bytes"

// addCounts adds to the counts on the path, from the page of a level up.
func (t *Tree) addCounts(level int, by int64) error {
	for ; level < int(t.root.Height); level++ {
		n, err := t.edit(level, 0)
		if err != nil {
			return err
		}
		n.addCount(t.path[level].index, by)
	}
	return nil
}

// limit bounds a separator.
func (t *Tree) limit() int { return t.size / 8 }

func (t *Tree) oversize(p *page) bool {
	return len(p.b) > t.size && (p.n >= 4 || p.n >= 2 && p.level == 0)
}

func (t *Tree) deficient(p *page) bool {
	return len(p.b) < t.size/4 || p.level > 0 && p.n < 2
}

// balance goes up the path from a level and splits and mends, as far as pages
// change. A new cell is at index at, if that is not negative.
func (t *Tree) balance(level, at int) error {
	for ; level < int(t.root.Height); level++ {
		p, changed, err := t.at(level), false, error(nil)
		switch {
		case t.oversize(p):
			changed, err = true, t.split(level, at)
		case level == int(t.root.Height)-1:
			return t.lower()
		case t.deficient(p):
			changed, err = t.mend(level)
		}
		if err != nil || !changed {
			return err
		}
		at = t.path[level+1].index + 1
	}
	return nil
}

// lower takes pages of a single child, or of nothing, off the top.
func (t *Tree) lower() error {
	for {
		p, err := t.fetch(t.root.Page, int(t.root.Height)-1)
		switch {
		case err != nil:
			return err
		case p.n == 0 && t.root.Count == 0:
			t.drop(t.root.Page)
			t.root = Root{}
			return nil
		case p.n == 0 || t.root.Count == 0:
			return damaged(t.root.Page)
		case p.level == 0 || p.n > 1:
			return nil
		}
		child := p.child(0)
		t.drop(t.root.Page)
		t.root.Page = child
		t.root.Height--
	}
}

// edge says whether the page of the path is the first or the last of its level.
func (t *Tree) edge(level int) (first, last bool) {
	first, last = true, true
	for level++; level < int(t.root.Height); level++ {
		index := t.path[level].index
		first = first && index == 0
		last = last && index == t.at(level).n-1
	}
	return first, last
}

// parent opens the page above that of a level; above the top it makes one.
func (t *Tree) parent(level int) (*node, error) {
	if level+1 < int(t.root.Height) {
		return t.edit(level+1, innerSlot+t.limit())
	}
	if t.root.Height == maxHeight {
		return nil, errFull
	}
	n, err := t.newNode(level+1, 2*innerSlot+t.limit())
	if err != nil {
		return nil, err
	}
	n.insertChild(0, entry{child: t.path[level].number, count: t.at(level).total()})
	t.root.Page = n.number
	t.root.Height++
	t.path = append(t.path, step{number: n.number, node: n})
	return n, nil
}

// split splits the page of the path. Where items come in order, at the end or
// at the beginning of the tree, the full page stays full; otherwise halves come
// out.
func (t *Tree) split(level, at int) error {
	n, err := t.edit(level, 0)
	if err != nil {
		return err
	}
	first, last := t.edge(level)
	parent, err := t.parent(level)
	if err != nil {
		return err
	}
	least := leastCells(level)
	switch {
	case last && at == n.n-1:
		at = n.n - least
	case first && at >= 0 && at < least:
		at = least
	default:
		at = n.middle(least)
	}
	return t.splitNode(parent, n, t.path[level+1].index, at)
}

// leastCells is the number of cells that both parts of a page must have.
func leastCells(level int) int {
	if level > 0 {
		return 2
	}
	return 1
}

// splitNode splits a page before cell at, and the parts where they are still
// too large.
func (t *Tree) splitNode(parent, n *node, index, at int) error {
	right, err := t.cut(parent, n, index, at)
	if err != nil {
		return err
	}
	if t.oversize(&right.page) {
		if err := t.splitNode(parent, right, index+1, right.middle(leastCells(n.level))); err != nil {
			return err
		}
	}
	if t.oversize(&n.page) {
		return t.splitNode(parent, n, index, n.middle(leastCells(n.level)))
	}
	return nil
}

// cut moves the cells from i on to a new page, right of the page at index in
// parent.
func (t *Tree) cut(parent, n *node, index, i int) (*node, error) {
	right, err := t.newNode(n.level, (n.n-i)*n.slot+n.offset(n.n)-n.offset(i))
	if err != nil {
		return nil, err
	}
	right.take(&n.page, i, n.n)
	e := entry{child: right.number, count: right.total()}
	if n.level == 0 {
		e.separator, e.cut = between(n.key(i-1), right.key(0), t.limit())
	} else {
		e.separator, e.cut = right.cell(0), right.isCut(0)
	}
	parent.addCount(index, -e.count)
	parent.insertChild(index+1, e)
	if n.level > 0 {
		right.setSeparator(0, nil, false)
	}
	n.remove(i, n.n)
	return right, nil
}

// mend brings a page of the path that has too little to a proper size: it joins
// it with a neighbour, or shares out anew what both have. It says whether the
// page above has changed.
func (t *Tree) mend(level int) (changed bool, err error) {
	p, parent, index := t.at(level), t.at(level+1), t.path[level+1].index
	if p.n == 0 {
		above, err := t.edit(level+1, 0)
		if err != nil {
			return false, err
		}
		above.removeChildren(index, index+1)
		t.drop(t.path[level].number)
		_, err = t.joinPair(level, index-1)
		return true, err
	}
	for _, left := range [2]int{index - 1, index} {
		if left < 0 || left+1 >= parent.n {
			continue
		}
		if fits, err := t.fit(level, left); err != nil {
			return false, err
		} else if fits {
			return true, t.join(level, left)
		}
	}
	if p.level == 0 || p.n >= 2 {
		if first, last := t.edge(level); first || last {
			return false, nil
		}
	}
	return t.share(level, max(index-1, 0))
}

// fit says whether children left and left+1 of the page above become one.
func (t *Tree) fit(level, left int) (bool, error) {
	parent := t.at(level + 1)
	a, err := t.fetch(parent.child(left), level)
	if err != nil {
		return false, err
	}
	b, err := t.fetch(parent.child(left+1), level)
	if err != nil {
		return false, err
	}
	size := len(a.b) + len(b.b) - headerSize
	if level > 0 {
		size += len(parent.cell(left + 1))
	}
	return size <= t.size*3/4 || level > 0 && a.n+b.n < 4, nil
}

// joinPair joins children left and left+1 if there are such and they fit.
func (t *Tree) joinPair(level, left int) (bool, error) {
	parent := t.at(level + 1)
	if left < 0 || left+1 >= parent.n {
		return false, nil
	}
	fits, err := t.fit(level, left)
	if err != nil || !fits {
		return false, err
	}
	return true, t.join(level, left)
}

// join moves all cells of child left+1 to child left.
func (t *Tree) join(level, left int) error {
	parent, err := t.edit(level+1, 0)
	if err != nil {
		return err
	}
	e := parent.entry(left + 1)
	b, err := t.fetch(e.child, level)
	if err != nil {
		return err
	}
	number := parent.child(left)
	p, err := t.fetch(number, level)
	if err != nil {
		return err
	}
	a := t.openCopy(number, p, len(b.b)+len(e.separator))
	a.takeAll(&b, e.separator, e.cut)
	parent.addCount(left, e.count)
	parent.removeChildren(left+1, left+2)
	t.drop(e.child)
	return nil
}

// share gives children left and left+1 about the same size, as far as items
// allow, and says whether that changed them.
func (t *Tree) share(level, left int) (bool, error) {
	above := t.at(level + 1)
	first, second := above.entry(left), above.entry(left+1)
	a, err := t.fetch(first.child, level)
	if err != nil {
		return false, err
	}
	b, err := t.fetch(second.child, level)
	if err != nil {
		return false, err
	}
	if level == 0 && (a.n == 1 && t.alone(len(a.b)) || b.n == 1 && t.alone(len(b.b))) {
		return false, nil
	}
	whole := emptyPage(level, len(a.b)+len(b.b)+len(second.separator))
	whole.takeAll(&a, nil, false)
	whole.takeAll(&b, second.separator, second.cut)
	at := whole.middle(leastCells(level))
	if at == a.n {
		return false, nil
	}
	parent, err := t.edit(level+1, t.limit())
	if err != nil {
		return false, err
	}
	one, two := t.refill(first.child, &whole, 0, at), t.refill(second.child, &whole, at, whole.n)
	var separator []byte
	var cut bool
	if level == 0 {
		separator, cut = between(whole.key(at-1), whole.key(at), t.limit())
	} else {
		separator, cut = whole.cell(at), whole.isCut(at)
		two.setSeparator(0, nil, false)
	}
	parent.setWord(left, one.total(), parent.isCut(left))
	parent.setWord(left+1, two.total(), cut)
	parent.setSeparator(left+1, separator, cut)
	return true, nil
}

// refill opens a page with cells of another.
func (t *Tree) refill(number uint32, source *page, i, j int) *node {
	n := t.find(number)
	if n == nil {
		n = t.openNode(number)
	}
	n.page = t.blankPage(number, source.level, (j-i)*source.slot+source.offset(j)-source.offset(i))
	n.take(source, i, j)
	return n
}

// insertAlone puts an item that shares no page with others, or goes next to one
// that does not, before item i of the leaf that was sought, in a page of its
// own.
func (t *Tree) insertAlone(i int, key, value []byte) error {
	position := t.position(i)
	if !t.leaf().check() {
		return damaged(t.path[0].number)
	}
	parent, err := t.parent(0)
	if err != nil {
		return err
	}
	size := itemSize(key, value)
	single, err := t.newNode(0, leafSlot+size)
	if err != nil {
		return err
	}
	fillItem(single.insert(0, size), key, value)
	if err := t.addCounts(2, 1); err != nil {
		return err
	}
	t.root.Count++
	index := t.path[1].index
	e := entry{child: single.number, count: 1}
	if i == 0 {
		old := parent.entry(index)
		e.separator, e.cut = bytes.Clone(old.separator), old.cut
		parent.insertChild(index, e)
		separator, cut := between(key, t.leaf().key(0), t.limit())
		parent.setSeparator(index+1, separator, cut)
	} else {
		if i < t.leaf().n {
			leaf, err := t.edit(0, 0)
			if err != nil {
				return err
			}
			right, err := t.cut(parent, leaf, index, i)
			if err != nil {
				return err
			}
			separator, cut := between(key, right.key(0), t.limit())
			parent.setSeparator(index+1, separator, cut)
		}
		e.separator, e.cut = between(t.leaf().key(i-1), key, t.limit())
		parent.insertChild(index+1, e)
		index++
	}
	if err := t.balance(1, index); err != nil {
		return err
	}
	return t.mendAround(position)
}

// mendAround mends the leaves at and next to a position.
func (t *Tree) mendAround(position int64) error {
	for at := max(position-1, 0); at <= position+1 && at < t.root.Count; at++ {
		if _, err := t.seekPosition(at, false); err != nil {
			return err
		}
		if err := t.balance(0, -1); err != nil {
			return err
		}
	}
	return nil
}
