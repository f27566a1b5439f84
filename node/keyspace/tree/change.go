package tree

// removeSome removes items from a position on, at most count: those of one
// leaf, or as many whole leaves as hang on one page.
func (t *Tree) removeSome(position, count int64) (int64, error) {
	i, err := t.seekPosition(position, false)
	if err != nil {
		return 0, err
	}
	if n := t.leaf().n; i > 0 || int64(n) > count || t.root.Height == 1 {
		n = int(min(int64(n-i), count))
		return int64(n), t.remove(i, i+n)
	}
	parent, err := t.edit(1, 0)
	if err != nil {
		return 0, err
	}
	first := t.path[1].index
	last, sum := first, int64(0)
	for ; last < parent.n && sum+parent.count(last) <= count; last++ {
		sum += parent.count(last)
		t.drop(parent.child(last))
	}
	if sum == 0 {
		return 0, damaged(parent.number)
	}
	parent.removeChildren(first, last)
	if sum > t.root.Count {
		return 0, damaged(parent.number)
	}
	if err := t.addCounts(2, -sum); err != nil {
		return 0, err
	}
	t.root.Count -= sum
	if _, err := t.joinPair(0, first-1); err != nil {
		return 0, err
	}
	return sum, t.balance(1, -1)
}

// plant makes the first page.
func (t *Tree) plant(key, value []byte) error {
	size := itemSize(key, value)
	n, err := t.newNode(0, leafSlot+size)
	if err != nil {
		return err
	}
	fillItem(n.insert(0, size), key, value)
	t.root.Page, t.root.Height, t.root.Count = n.number, 1, 1
	return nil
}

// insert puts a new item before item i of the leaf that was sought.
func (t *Tree) insert(i int, key, value []byte) error {
	if t.root.Count == maxCount {
		return errFull
	}
	size := itemSize(key, value)
	if t.alone(headerSize+leafSlot+size) || t.alone(len(t.leaf().b)) && t.leaf().n == 1 {
		return t.insertAlone(i, key, value)
	}
	leaf, err := t.edit(0, leafSlot+size)
	if err != nil {
		return err
	}
	fillItem(leaf.insert(i, size), key, value)
	if err := t.addCounts(1, 1); err != nil {
		return err
	}
	t.root.Count++
	return t.balance(0, i)
}

// alone says whether a page of this size is too large to have several items.
func (t *Tree) alone(size int) bool { return size > t.size }

// replace gives item i of the leaf that was sought another value.
func (t *Tree) replace(i int, key, value []byte) error {
	size := itemSize(key, value)
	n := t.leaf().n
	if n > 1 && t.alone(headerSize+leafSlot+size) {
		position := t.position(i)
		if err := t.remove(i, i+1); err != nil {
			return err
		}
		if len(key) > 0 {
			i, _, err := t.seek(key)
			if err != nil {
				return err
			}
			return t.insert(i, key, value)
		}
		i, err := t.seekPosition(position, true)
		if err != nil {
			return err
		}
		return t.insert(i, nil, value)
	}
	if n == 1 {
		leaf := t.blank(leafSlot + size)
		fillItem(leaf.insert(0, size), key, value)
		return t.balance(0, -1)
	}
	old := len(t.leaf().cell(i))
	leaf, err := t.edit(0, max(size-old, 0))
	if err != nil {
		return err
	}
	fillItem(leaf.resize(i, size), key, value)
	return t.balance(0, -1)
}

// remove takes items i to before j out of the leaf that was sought.
func (t *Tree) remove(i, j int) error {
	if t.root.Count < int64(j-i) {
		return damaged(t.path[0].number)
	}
	if j-i == t.leaf().n {
		t.blank(0)
	} else {
		leaf, err := t.edit(0, 0)
		if err != nil {
			return err
		}
		leaf.remove(i, j)
	}
	if err := t.addCounts(1, int64(i-j)); err != nil {
		return err
	}
	t.root.Count -= int64(j - i)
	return t.balance(0, -1)
}
