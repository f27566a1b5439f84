package tree

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrCorrupt is what a page that makes no sense where it stands gives.
var ErrCorrupt = errors.New("corrupt page of a tree")

// ErrPosition says that a position is outside the tree.
var ErrPosition = errors.New("tree: no such position")

// ErrOrder says that an item's key is not above the one before.
var ErrOrder = errors.New("tree: items out of order")

// Reader has the pages of an object. Their bytes must never change.
type Reader interface {
	Page(n uint32) ([]byte, error)
}

// View reads a tree as its root says it is. What it returns are slices of
// pages: nobody may change them.
type View struct {
	pages Reader
	root  Root
}

// NewView is the tree that has this root.
func NewView(pages Reader, root Root) View { return View{pages: pages, root: root} }

// Root is the root that the view reads.
func (v View) Root() Root { return v.root }

// Len is the number of items.
func (v View) Len() int64 { return v.root.Count }

func (v View) load(number uint32, level int) (page, error) {
	b, err := v.pages.Page(number)
	if err != nil {
		return page{}, fmt.Errorf("page %d: %w", number, err)
	}
	p, err := parse(b, level)
	if err != nil {
		return page{}, damaged(number)
	}
	return p, nil
}

func damaged(number uint32) error { return fmt.Errorf("page %d: %w", number, ErrCorrupt) }

// At returns the item at a position, 0 ≤ position < Len.
func (v View) At(position int64) (key, value []byte, err error) {
	if position < 0 || position >= v.root.Count {
		return nil, nil, ErrPosition
	}
	number := v.root.Page
	for level := int(v.root.Height) - 1; ; level-- {
		p, err := v.load(number, level)
		if err != nil {
			return nil, nil, err
		}
		if level == 0 {
			if position < int64(p.n) {
				key, value = p.item(int(position))
			}
			if position >= int64(p.n) || p.bad {
				return nil, nil, damaged(number)
			}
			return key, value, nil
		}
		i, rest := p.locate(position)
		if i == p.n {
			return nil, nil, damaged(number)
		}
		number, position = p.child(i), rest
	}
}

// Get returns the value of a key.
func (v View) Get(key []byte) (value []byte, ok bool, err error) {
	if v.root.Count == 0 {
		return nil, false, nil
	}
	number := v.root.Page
	for level := int(v.root.Height) - 1; ; level-- {
		p, err := v.load(number, level)
		if err != nil {
			return nil, false, err
		}
		if level == 0 {
			i, exact := p.search(key)
			if exact {
				_, value = p.item(i)
			}
			if p.bad {
				return nil, false, damaged(number)
			}
			return value, exact, nil
		}
		i, err := v.route(&p, number, key)
		if err != nil {
			return nil, false, err
		}
		number = p.child(i)
	}
}

// Find returns the position of a key, or, where there is none such, of the
// first key above it: Len if all are below.
func (v View) Find(key []byte) (position int64, exact bool, err error) {
	if v.root.Count == 0 {
		return 0, false, nil
	}
	number := v.root.Page
	for level := int(v.root.Height) - 1; ; level-- {
		p, err := v.load(number, level)
		if err != nil {
			return 0, false, err
		}
		if level == 0 {
			i, exact := p.search(key)
			if p.bad {
				return 0, false, damaged(number)
			}
			return position + int64(i), exact, nil
		}
		i, err := v.route(&p, number, key)
		if err != nil {
			return 0, false, err
		}
		position += p.before(i)
		number = p.child(i)
	}
}

// route finds the child of an inner page in whose range a key is.
func (v View) route(p *page, number uint32, key []byte) (int, error) {
	low, high := 1, p.n
	for low < high {
		middle := int(uint(low+high) >> 1)
		separator := p.cell(middle)
		c := bytes.Compare(key, separator)
		if c >= 0 && p.isCut(middle) && bytes.HasPrefix(key, separator) {
			first, err := v.first(p.child(middle), p.level-1)
			if err != nil {
				return 0, err
			}
			c = bytes.Compare(key, first)
		}
		if c < 0 {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if p.bad {
		return 0, damaged(number)
	}
	return low - 1, nil
}

// first is the least key in or below a page.
func (v View) first(number uint32, level int) ([]byte, error) {
	for ; ; level-- {
		p, err := v.load(number, level)
		if err != nil {
			return nil, err
		}
		if level == 0 {
			key := p.key(0)
			if p.bad {
				return nil, damaged(number)
			}
			return key, nil
		}
		number = p.child(0)
	}
}

// Ascend calls fn with the items from a position on, in order, until fn returns
// false.
func (v View) Ascend(from int64, fn func(key, value []byte) bool) error {
	from = max(from, 0)
	if from >= v.root.Count {
		return nil
	}
	_, err := v.ascend(v.root.Page, int(v.root.Height)-1, v.root.Count, from, fn)
	return err
}

func (v View) ascend(number uint32, level int, count, skip int64, fn func(key, value []byte) bool) (bool, error) {
	p, err := v.load(number, level)
	if err != nil {
		return false, err
	}
	if level == 0 {
		if int64(p.n) != count {
			return false, damaged(number)
		}
		for i := skip; i < int64(p.n); i++ {
			key, value := p.item(int(i))
			if p.bad {
				return false, damaged(number)
			}
			if !fn(key, value) {
				return false, nil
			}
		}
		return true, nil
	}
	i, skip := p.locate(skip)
	for ; i < p.n; i++ {
		if more, err := v.ascend(p.child(i), level-1, p.count(i), skip, fn); !more || err != nil {
			return false, err
		}
		skip = 0
	}
	return true, nil
}

// Descend calls fn with the items from a position down to 0 until fn returns
// false.
func (v View) Descend(from int64, fn func(key, value []byte) bool) error {
	from = min(from, v.root.Count-1)
	if from < 0 {
		return nil
	}
	_, err := v.descend(v.root.Page, int(v.root.Height)-1, v.root.Count, from, fn)
	return err
}

// descend begins at a position within the page; below 0 is at its end.
func (v View) descend(number uint32, level int, count, from int64, fn func(key, value []byte) bool) (bool, error) {
	p, err := v.load(number, level)
	if err != nil {
		return false, err
	}
	if level == 0 {
		if int64(p.n) != count {
			return false, damaged(number)
		}
		i := min(from, int64(p.n)-1)
		if from < 0 {
			i = int64(p.n) - 1
		}
		for ; i >= 0; i-- {
			key, value := p.item(int(i))
			if p.bad {
				return false, damaged(number)
			}
			if !fn(key, value) {
				return false, nil
			}
		}
		return true, nil
	}
	i := p.n - 1
	if from >= 0 {
		var rest int64
		if i, rest = p.locate(from); i == p.n {
			return false, damaged(number)
		}
		from = rest
	}
	for ; i >= 0; i-- {
		if more, err := v.descend(p.child(i), level-1, p.count(i), from, fn); !more || err != nil {
			return false, err
		}
		from = -1
	}
	return true, nil
}

// Pages calls fn with every page of the tree, each before those below it.
// Pages with these numbers in another object are, with the same root and page
// numbers, a copy of the tree.
func (v View) Pages(fn func(number uint32, bytes []byte) error) error {
	if v.root.Count == 0 {
		return nil
	}
	left := v.root.Pages
	return v.walk(v.root.Page, int(v.root.Height)-1, &left, fn)
}

// walk meets no more pages than are left: damaged ones may lead anywhere.
func (v View) walk(number uint32, level int, left *uint32, fn func(number uint32, bytes []byte) error) error {
	p, err := v.load(number, level)
	if err != nil {
		return err
	}
	if *left == 0 {
		return damaged(number)
	}
	*left--
	if err := fn(number, p.b); err != nil || level == 0 {
		return err
	}
	for i := range p.n {
		if err := v.walk(p.child(i), level-1, left, fn); err != nil {
			return err
		}
	}
	return nil
}
