package tree

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// memory is the pages of an object, for tests.
type memory struct {
	pages   map[uint32][]byte
	sums    map[uint32]string // contents when put, to see that nobody changed them
	own     map[uint32]bool   // those that were shown to nobody since
	inPlace int               // how many of them were changed
	numbers Numbers
	reads   int
	broken  error
}

func newMemory() *memory {
	return &memory{pages: map[uint32][]byte{}, sums: map[uint32]string{}}
}

func (m *memory) Page(n uint32) ([]byte, error) {
	m.reads++
	if m.broken != nil {
		return nil, m.broken
	}
	b, ok := m.pages[n]
	if !ok {
		return nil, fmt.Errorf("no page %d", n)
	}
	delete(m.own, n)
	return b, nil
}

func (m *memory) Peek(n uint32) ([]byte, bool, error) {
	own := m.own[n]
	b, err := m.Page(n)
	if own {
		m.own[n] = true
	}
	return b, own, err
}

func (m *memory) Buffer(n uint32, content []byte, room int) []byte {
	if m.own[n] && len(content) > 0 && &content[0] == &m.pages[n][0] && cap(content)-len(content) >= room {
		m.inPlace++
		return content
	}
	return append(make([]byte, 0, len(content)+room+20), content...)
}

func (m *memory) Put(n uint32, page []byte) {
	m.pages[n] = page
	if m.own == nil {
		m.own = make(map[uint32]bool)
	}
	m.own[n] = true
	if m.sums != nil {
		m.sums[n] = string(page)
	}
}

func (m *memory) Delete(n uint32) {
	if _, ok := m.pages[n]; !ok {
		panic(fmt.Sprintf("page %d is deleted, and is not there", n))
	}
	delete(m.pages, n)
	delete(m.sums, n)
	delete(m.own, n)
}

// version is the pages as they are now.
func (m *memory) version() *memory {
	clear(m.own)
	return &memory{pages: maps.Clone(m.pages)}
}

type item struct{ key, value string }

// verify compares a tree, by its root, with what it should hold.
func verify(t *testing.T, m *memory, root Root, want []item, others ...Root) {
	t.Helper()
	v := NewView(m, root)
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
	if v.Len() != int64(len(want)) {
		t.Fatalf("Len is %d, not %d", v.Len(), len(want))
	}
	i := 0
	if err := v.Ascend(0, func(key, value []byte) bool {
		if want[i].key != string(key) || want[i].value != string(value) {
			t.Fatalf("item %d is %q %.20q, not %.20q", i, key, value, want[i])
		}
		i++
		return true
	}); err != nil || i != len(want) {
		t.Fatalf("Ascend ended at %d of %d: %v", i, len(want), err)
	}
	if err := v.Descend(v.Len(), func(key, value []byte) bool {
		if i--; want[i].key != string(key) || want[i].value != string(value) {
			t.Fatalf("backwards, item %d is %q %.20q, not %.20q", i, key, value, want[i])
		}
		return true
	}); err != nil || i != 0 {
		t.Fatalf("Descend ended at %d: %v", i, err)
	}
	pages := root.Pages
	for _, r := range others {
		pages += r.Pages
	}
	if int(pages) != len(m.pages) {
		t.Fatalf("%d pages are stored, the roots have %d", len(m.pages), pages)
	}
	for n, b := range m.pages {
		if m.sums != nil && m.sums[n] != string(b) {
			t.Fatalf("page %d was changed after Put", n)
		}
	}
}

// verifyFill checks the bounds of what pages hold. They are strict only for
// small items.
func verifyFill(t *testing.T, m *memory, root Root, size int, small bool) {
	t.Helper()
	if root.Count == 0 {
		return
	}
	var walk func(number uint32, level int, first, last bool)
	walk = func(number uint32, level int, first, last bool) {
		p, err := NewView(m, root).load(number, level)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.b) > size && p.n >= 4 || level == 0 && len(p.b) > size && p.n > 1 {
			t.Fatalf("page %d of level %d has %d bytes in %d cells", number, level, len(p.b), p.n)
		}
		root := int(root.Height) == level+1
		if small && !first && !last && !root && len(p.b) < size/4 && (level == 0 || size >= 128) {
			t.Fatalf("page %d of level %d has only %d bytes", number, level, len(p.b))
		}
		if level > 0 {
			for i := range p.n {
				walk(p.child(i), level-1, first && i == 0, last && i == p.n-1)
			}
		}
	}
	walk(root.Page, int(root.Height)-1, true, true)
}

// reload takes root and numbers through their encodings.
func reload(t *testing.T, m *memory, root Root) Root {
	t.Helper()
	r, rest, err := DecodeRoot(append(root.Append(nil), "rest"...))
	if err != nil || r != root || string(rest) != "rest" {
		t.Fatalf("root %+v came back as %+v, %q: %v", root, r, rest, err)
	}
	n, rest, err := DecodeNumbers(append(m.numbers.Append(nil), "rest"...))
	if err != nil || n.last != m.numbers.last || !slices.Equal(n.free, m.numbers.free) || string(rest) != "rest" {
		t.Fatalf("numbers %+v came back as %+v, %q: %v", m.numbers, n, rest, err)
	}
	m.numbers = n
	return r
}

type scale struct {
	size  int
	value func(r *rand.Rand) int // length of a value
	small bool
	space int // of keys
	long  bool
}

func scales() map[string]scale {
	return map[string]scale{
		"tiny":     {size: 64, value: func(r *rand.Rand) int { return r.IntN(6) }, small: true, space: 2000},
		"long":     {size: 256, value: func(r *rand.Rand) int { return r.IntN(6) }, small: true, space: 2000, long: true},
		"fat":      {size: 128, value: func(r *rand.Rand) int { return r.IntN(140) }, space: 1000},
		"mixed":    {size: 128, value: func(r *rand.Rand) int { return r.IntN(4) * r.IntN(4) * r.IntN(60) }, space: 1000, long: true},
		"ordinary": {size: 2048, value: func(r *rand.Rand) int { return r.IntN(60) }, small: true, space: 20000},
	}
}

func (s scale) key(r *rand.Rand) string {
	n := r.IntN(s.space)
	if s.long {
		return fmt.Sprintf("a rather long %d common prefix of keys %05d", n%2, n)
	}
	return fmt.Sprintf("%05d", n)
}

func (s scale) bytes(r *rand.Rand) string {
	b := make([]byte, s.value(r))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

type oldState struct {
	m    *memory
	root Root
	want []item
}

func TestKeyedModel(t *testing.T) {
	for name, s := range scales() {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { keyedModel(t, s, seed) })
		}
	}
}

func keyedModel(t *testing.T, s scale, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	m := newMemory()
	tree := New(m, Root{}, &m.numbers, s.size)
	var want []item
	var old []oldState
	search := func(key string) (int, bool) {
		return slices.BinarySearchFunc(want, key, func(i item, key string) int {
			return bytes.Compare([]byte(i.key), []byte(key))
		})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	for n := range 4000 {
		grow := n/800%2 == 0
		key := s.key(r)
		i, exact := search(key)
		switch op := r.IntN(100); {
		case op < 5 && grow: // ascending
			for range 20 {
				next++
				key = fmt.Sprintf("x%06d", next)
				value := s.bytes(r)
				_, err := tree.Put([]byte(key), []byte(value))
				must(err)
				i, _ = search(key)
				want = slices.Insert(want, i, item{key, value})
			}
		case grow && op < 80 || op < 30:
			value := s.bytes(r)
			added, err := tree.Put([]byte(key), []byte(value))
			must(err)
			if added == exact {
				t.Fatalf("Put said added: %v", added)
			}
			if exact {
				want[i].value = value
			} else {
				want = slices.Insert(want, i, item{key, value})
			}
		case op < 82:
			if len(want) > 0 {
				from := r.IntN(len(want) + 1)
				to := min(len(want), from+r.IntN(1+r.IntN(1+len(want)/4)))
				must(tree.DeleteRange(int64(from), int64(to)))
				want = slices.Delete(want, from, to)
			}
		case op < 88:
			if len(want) > 0 {
				i := r.IntN(len(want))
				value := s.bytes(r)
				must(tree.SetAt(int64(i), []byte(value)))
				want[i].value = value
			}
		case op < 92:
			if len(want) > 0 {
				i := r.IntN(len(want))
				must(tree.DeleteAt(int64(i)))
				want = slices.Delete(want, i, i+1)
			}
		default:
			ok, err := tree.Delete([]byte(key))
			must(err)
			if ok != exact {
				t.Fatalf("Delete said %v", ok)
			}
			if exact {
				want = slices.Delete(want, i, i+1)
			}
		}
		key = s.key(r)
		i, exact = search(key)
		position, found, err := tree.Find([]byte(key))
		if must(err); found != exact || position != int64(i) {
			t.Fatalf("Find(%q): %d, %v, not %d, %v", key, position, found, i, exact)
		}
		value, found, err := tree.Get([]byte(key))
		if must(err); found != exact || exact && string(value) != want[i].value {
			t.Fatalf("Get(%q): %.20q, %v", key, value, found)
		}
		if r.IntN(20) == 0 {
			must(tree.Flush())
			root := reload(t, m, tree.Root())
			if r.IntN(4) == 0 {
				verify(t, m, root, want)
				verifyFill(t, m, root, s.size, s.small)
			}
			if r.IntN(10) == 0 {
				old = append(old, oldState{m.version(), root, slices.Clone(want)})
			}
			tree = New(m, root, &m.numbers, s.size)
		}
	}
	must(tree.Flush())
	for _, o := range old {
		verify(t, o.m, o.root, o.want)
	}
	must(tree.DeleteRange(0, tree.Len()))
	must(tree.Flush())
	verify(t, m, tree.Root(), nil)
}

func TestListModel(t *testing.T) {
	for name, s := range scales() {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { listModel(t, s, seed) })
		}
	}
}

func listModel(t *testing.T, s scale, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	m := newMemory()
	tree := New(m, Root{}, &m.numbers, s.size)
	var want []item
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	insert := func(i int) {
		value := s.bytes(r)
		must(tree.InsertAt(int64(i), []byte(value)))
		want = slices.Insert(want, i, item{"", value})
	}
	for n := range 4000 {
		grow := n/800%2 == 0
		switch op := r.IntN(100); {
		case grow && op < 60 || op < 20:
			insert(r.IntN(len(want) + 1))
		case op < 70 && grow:
			for range r.IntN(20) {
				insert(len(want))
			}
		case op < 75:
			for range r.IntN(20) {
				insert(0)
			}
		case op < 78:
			from := r.IntN(len(want) + 1)
			to := min(len(want), from+r.IntN(1+r.IntN(1+len(want)/4)))
			must(tree.DeleteRange(int64(from), int64(to)))
			want = slices.Delete(want, from, to)
		case len(want) == 0:
		case op < 85:
			i := r.IntN(len(want))
			value := s.bytes(r)
			must(tree.SetAt(int64(i), []byte(value)))
			want[i].value = value
		case op < 95:
			i := r.IntN(len(want))
			must(tree.DeleteAt(int64(i)))
			want = slices.Delete(want, i, i+1)
		default: // the last becomes the first, as it was read
			_, value, err := tree.At(int64(len(want) - 1))
			must(err)
			must(tree.DeleteAt(int64(len(want) - 1)))
			must(tree.InsertAt(0, value))
			last := want[len(want)-1]
			want = slices.Insert(want[:len(want)-1], 0, last)
		}
		if len(want) > 0 {
			i := r.IntN(len(want))
			key, value, err := tree.At(int64(i))
			if must(err); len(key) > 0 || string(value) != want[i].value {
				t.Fatalf("At(%d): %q %.20q", i, key, value)
			}
		}
		if r.IntN(20) == 0 {
			must(tree.Flush())
			root := reload(t, m, tree.Root())
			if r.IntN(4) == 0 {
				verify(t, m, root, want)
				verifyFill(t, m, root, s.size, s.small)
			}
			tree = New(m, root, &m.numbers, s.size)
		}
	}
}

func TestBuilder(t *testing.T) {
	for name, s := range scales() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			for _, n := range []int{0, 1, 2, 3, 7, 50, 51, 52, 53, 54, 55, 500, 5000} {
				m := newMemory()
				b := NewBuilder(m, &m.numbers, s.size)
				var want []item
				for i := range n {
					it := item{fmt.Sprintf("%s%06d", s.key(r)[:1], i), s.bytes(r)}
					it.key = fmt.Sprintf("%06d", i)
					if s.long {
						it.key = fmt.Sprintf("a rather long common prefix of keys %06d", i)
					}
					if err := b.Add([]byte(it.key), []byte(it.value)); err != nil {
						t.Fatal(err)
					}
					want = append(want, it)
				}
				root, err := b.Finish()
				if err != nil {
					t.Fatal(err)
				}
				verify(t, m, root, want)
				verifyFill(t, m, root, s.size, s.small)
			}
		})
	}
}
