package tree

import (
	"bytes"
	"fmt"
)

// Check reads the whole tree and reports what is wrong with it: order, counts,
// separators, height, number of pages.
func (v View) Check() error {
	if v.root.Count == 0 {
		if v.root != (Root{}) {
			return fmt.Errorf("%w: an empty tree has pages: %+v", ErrCorrupt, v.root)
		}
		return nil
	}
	c := checker{view: v}
	count, err := c.check(v.root.Page, int(v.root.Height)-1)
	if err != nil {
		return err
	}
	if count != v.root.Count || c.pages != v.root.Pages {
		return fmt.Errorf("%w: %d items in %d pages, the root says %+v", ErrCorrupt, count, c.pages, v.root)
	}
	return nil
}

type checker struct {
	view  View
	pages uint32
	last  []byte // the key before, if some is set
	some  bool
}

func (c *checker) check(number uint32, level int) (int64, error) {
	p, err := c.view.load(number, level)
	if err != nil {
		return 0, err
	}
	if c.pages++; c.pages > c.view.root.Pages || !p.check() {
		return 0, damaged(number)
	}
	if level == 0 {
		return int64(p.n), c.leaf(&p, number)
	}
	if p.n < 2 || len(p.cell(0)) > 0 || p.isCut(0) {
		return 0, fmt.Errorf("%w: its children", damaged(number))
	}
	for i := range p.n {
		if err := c.separator(&p, number, i); err != nil {
			return 0, err
		}
		count, err := c.check(p.child(i), level-1)
		if err != nil {
			return 0, err
		}
		if count != p.count(i) {
			return 0, fmt.Errorf("%w: child %d has %d items, not %d", damaged(number), i, count, p.count(i))
		}
	}
	return p.total(), nil
}

func (c *checker) leaf(p *page, number uint32) error {
	for i := range p.n {
		key := p.key(i)
		if c.some && (bytes.Compare(c.last, key) > 0 || len(key) > 0 && bytes.Equal(c.last, key)) {
			return fmt.Errorf("%w: item %d is not above the one before", damaged(number), i)
		}
		c.last, c.some = key, true
	}
	return nil
}

// separator checks that what is before child i is below its separator, and
// what is in it is not.
func (c *checker) separator(p *page, number uint32, i int) error {
	if i == 0 {
		return nil
	}
	first, err := c.view.first(p.child(i), p.level-1)
	if err != nil {
		return err
	}
	separator := p.cell(i)
	below := bytes.Compare(c.last, separator) < 0 || p.isCut(i) && bytes.HasPrefix(c.last, separator)
	keyless := len(first) == 0 && len(c.last) == 0 && len(separator) == 0
	if !keyless && !below || bytes.Compare(first, separator) < 0 {
		return fmt.Errorf("%w: separator %d", damaged(number), i)
	}
	return nil
}
