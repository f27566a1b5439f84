package tree

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// FuzzRoot: bytes are a root that is written the same way, or are refused.
func FuzzRoot(f *testing.F) {
	f.Add(Root{}.Append(nil))
	f.Add(Root{Count: 1 << 40, Pages: 1 << 31, Page: 7, Height: 5}.Append(nil))
	f.Fuzz(func(t *testing.T, src []byte) {
		root, rest, err := DecodeRoot(src)
		if err == nil && !bytes.Equal(append(root.Append(nil), rest...), src) {
			t.Fatalf("%x became %+v and %x", src, root, rest)
		}
	})
}

// FuzzNumbers: bytes are page numbers that are written the same way, or are
// refused.
func FuzzNumbers(f *testing.F) {
	f.Add(Numbers{}.Append(nil))
	f.Add(Numbers{last: 300, free: []uint32{7, 299}}.Append(nil))
	f.Fuzz(func(t *testing.T, src []byte) {
		numbers, rest, err := DecodeNumbers(src)
		if err != nil {
			return
		}
		if !bytes.Equal(append(numbers.Append(nil), rest...), src) {
			t.Fatalf("%x became %+v and %x", src, numbers, rest)
		}
		seen := map[uint32]bool{}
		for range 20 {
			number, err := numbers.take()
			if err != nil {
				return
			}
			if seen[number] {
				t.Fatalf("number %d twice", number)
			}
			seen[number] = true
		}
	})
}

// rotten has the pages that a fuzzer makes up.
type rotten struct{ memory }

func (r *rotten) Delete(n uint32) { delete(r.pages, n) }

// FuzzPages: whatever bytes stand where pages should, an operation gives an
// error or an answer.
func FuzzPages(f *testing.F) {
	for _, s := range []scale{scales()["tiny"], scales()["mixed"]} {
		r := rand.New(rand.NewPCG(1, 1))
		m := newMemory()
		tree := New(m, Root{}, &m.numbers, s.size)
		for range 12 {
			if _, err := tree.Put([]byte(s.key(r)), []byte(s.bytes(r))); err != nil {
				f.Fatal(err)
			}
		}
		if err := tree.Flush(); err != nil {
			f.Fatal(err)
		}
		var pages [4][]byte
		for n := range pages {
			pages[n] = m.pages[uint32(n+1)]
		}
		f.Add(tree.Root().Append(nil), pages[0], pages[1], pages[2], pages[3], []byte("0007"), uint64(5))
	}
	f.Fuzz(func(t *testing.T, encoded, a, b, c, d, key []byte, seed uint64) {
		root, _, err := DecodeRoot(encoded)
		if err != nil {
			return
		}
		root.Page = root.Page%4 + 1
		for op := range 12 {
			operate(t, op, root, [][]byte{a, b, c, d}, key, seed)
		}
	})
}

func operate(t *testing.T, op int, root Root, pages [][]byte, key []byte, seed uint64) {
	m := &rotten{memory{pages: map[uint32][]byte{}, numbers: Numbers{last: 4}}}
	for i, p := range pages {
		m.pages[uint32(i+1)] = bytes.Clone(p)
	}
	tree := New(m, root, &m.numbers, 64)
	position := int64(seed % uint64(root.Count+1))
	var err error
	switch op {
	case 0:
		_, err = tree.Put(key, []byte("value"))
	case 1:
		_, err = tree.Put(key, make([]byte, 200))
	case 2:
		_, err = tree.Delete(key)
	case 3:
		err = tree.InsertAt(position, key)
	case 4:
		err = tree.InsertAt(position, make([]byte, 100))
	case 5:
		err = tree.SetAt(position, key)
	case 6:
		err = tree.SetAt(position, make([]byte, 100))
	case 7:
		err = tree.DeleteRange(position/2, position)
	case 8:
		err = tree.DeleteRange(position, position+1)
	case 9:
		err = tree.Clear()
	case 10:
		_, _, err = tree.Get(key)
		_, _, err2 := tree.Find(key)
		_, _, err3 := tree.At(position)
		err = firstError(err, err2, err3)
	case 11:
		left := 1000
		stop := func(_, _ []byte) bool { left--; return left > 0 }
		err = firstError(tree.Ascend(position, stop), tree.Descend(position, stop))
	}
	if err == nil {
		err = tree.Flush()
	}
	if err == nil {
		_ = NewView(m, tree.Root()).Check()
	}
	if err != nil && errors.Is(err, ErrOrder) {
		t.Fatal(err)
	}
}
