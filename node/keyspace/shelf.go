package keyspace

import "github.com/genuineh/aikv/node/keyspace/tree"

// shelf is an ordered map of a value that has several: in pages, or packed in the
// value's record. What is wrong with pages is the view's error; then nothing is found,
// and nothing changes.
//
// Slices that are handed out stay what they are until the shelf changes.
type shelf struct {
	view *View
	// Exactly one of these is it: pages to be read if paged, a tree to be changed if
	// there is one, or what is packed.
	paged  bool
	pages  tree.View
	tree   *tree.Tree
	packed packed
}

func (s *shelf) len() int64 {
	switch {
	case s.tree != nil:
		return s.tree.Len()
	case s.paged:
		return s.pages.Len()
	default:
		return s.packed.len()
	}
}

// get returns the value of a key.
func (s *shelf) get(key []byte) (value []byte, ok bool) {
	var err error
	switch {
	case s.tree != nil:
		value, ok, err = s.tree.Get(key)
	case s.paged:
		value, ok, err = s.pages.Get(key)
	default:
		item, _, exact := s.packed.find(key)
		return item.value, exact
	}
	s.view.fail(err)
	return value, ok && err == nil
}

// find returns the position of a key, or, where there is none such, of the first key
// above it.
func (s *shelf) find(key []byte) (position int64, exact bool) {
	var err error
	switch {
	case s.tree != nil:
		position, exact, err = s.tree.Find(key)
	case s.paged:
		position, exact, err = s.pages.Find(key)
	default:
		_, position, exact = s.packed.find(key)
	}
	s.view.fail(err)
	return position, exact && err == nil
}

// at returns the item at a position; there is none unless 0 ≤ n < len.
func (s *shelf) at(n int64) (key, value []byte, ok bool) {
	var err error
	switch {
	case n < 0 || n >= s.len():
		return nil, nil, false
	case s.tree != nil:
		key, value, err = s.tree.At(n)
	case s.paged:
		key, value, err = s.pages.At(n)
	default:
		item := s.packed.at(s.packed.offset(n))
		return item.key, item.value, true
	}
	s.view.fail(err)
	return key, value, err == nil
}

// ascend calls fn with the items from a position on until it returns false. fn does
// not change the shelf.
func (s *shelf) ascend(from int64, fn func(key, value []byte) bool) {
	switch {
	case s.tree != nil:
		s.view.fail(s.tree.Ascend(from, fn))
	case s.paged:
		s.view.fail(s.pages.Ascend(from, fn))
	default:
		s.packed.ascend(from, fn)
	}
}

// descend is ascend from a position down to 0.
func (s *shelf) descend(from int64, fn func(key, value []byte) bool) {
	switch {
	case s.tree != nil:
		s.view.fail(s.tree.Descend(from, fn))
	case s.paged:
		s.view.fail(s.pages.Descend(from, fn))
	default:
		s.packed.descend(from, fn)
	}
}

// put sets the value of a key. Neither may be a slice that the shelf has handed out.
func (s *shelf) put(key, value []byte) {
	if s.tree == nil {
		s.packed.put(key, value)
		return
	}
	_, err := s.tree.Put(key, value)
	s.view.fail(err)
}

// delete removes a key, and reports whether it was there.
func (s *shelf) delete(key []byte) bool {
	if s.tree == nil {
		_, position, exact := s.packed.find(key)
		if exact {
			s.packed.deleteRange(position, position+1)
		}
		return exact
	}
	ok, err := s.tree.Delete(key)
	s.view.fail(err)
	return ok && err == nil
}

// deleteRange removes the items at the positions [from, to), which exist.
func (s *shelf) deleteRange(from, to int64) {
	switch {
	case from >= to:
	case s.tree == nil:
		s.packed.deleteRange(from, to)
	default:
		s.view.fail(s.tree.DeleteRange(from, to))
	}
}
