package tree

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

func put(t *testing.T, tree *Tree, key string, value []byte) {
	t.Helper()
	if _, err := tree.Put([]byte(key), value); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, tree *Tree) Root {
	t.Helper()
	if err := tree.Flush(); err != nil {
		t.Fatal(err)
	}
	return tree.Root()
}

// TestSamePages: pages depend on the operations alone, not on when they were
// flushed, nor on what was read.
func TestSamePages(t *testing.T) {
	run := func(every int) (*memory, Root) {
		m := newMemory()
		tree := New(m, Root{}, &m.numbers, 128)
		for i := range 3000 {
			n := i * 7919 % 1000
			put(t, tree, fmt.Sprintf("%04d", n), bytes.Repeat([]byte("v"), n%40))
			if _, err := tree.Delete(fmt.Appendf(nil, "%04d", i*31%1000)); err != nil {
				t.Fatal(err)
			}
			if i%every == 0 {
				tree = New(m, flush(t, tree), &m.numbers, 128)
				if _, _, err := tree.Get([]byte("0500")); err != nil {
					t.Fatal(err)
				}
			}
		}
		return m, flush(t, tree)
	}
	a, rootA := run(1)
	b, rootB := run(700)
	if rootA != rootB || !maps.EqualFunc(a.pages, b.pages, bytes.Equal) || !bytes.Equal(a.numbers.Append(nil), b.numbers.Append(nil)) {
		t.Fatalf("%+v and %+v", rootA, rootB)
	}
}

// TestQueue: what goes in at one end and out at the other keeps to a few page
// numbers.
func TestQueue(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		m := newMemory()
		tree := New(m, Root{}, &m.numbers, 256)
		for i := range 20_000 {
			in, out := tree.Len(), int64(0)
			if reverse {
				in, out = 0, tree.Len()
			}
			if err := tree.InsertAt(in, fmt.Appendf(nil, "item %d", i)); err != nil {
				t.Fatal(err)
			}
			if i >= 500 {
				if err := tree.DeleteAt(out); err != nil {
					t.Fatal(err)
				}
			}
		}
		root := flush(t, tree)
		if err := NewView(m, root).Check(); err != nil {
			t.Fatal(err)
		}
		if m.numbers.last > 2*root.Pages || int(root.Pages) != len(m.pages) {
			t.Fatalf("reverse %v: number %d was given out, for %d pages", reverse, m.numbers.last, root.Pages)
		}
	}
}

// TestOrderFillsPages: what is put in order leaves pages nearly full.
func TestOrderFillsPages(t *testing.T) {
	const count = 5000
	for name, at := range map[string]func(i int) int{
		"ascending":  func(i int) int { return i },
		"descending": func(i int) int { return count - i },
	} {
		m := newMemory()
		tree := New(m, Root{}, &m.numbers, DefaultPageSize)
		for i := range count {
			put(t, tree, fmt.Sprintf("%06d", at(i)), []byte("some value"))
		}
		flush(t, tree)
		sum := 0
		for _, p := range m.pages {
			sum += len(p)
		}
		if fill := float64(sum) / float64(len(m.pages)*DefaultPageSize); fill < 0.95 {
			t.Errorf("%s: pages are full to %.2f", name, fill)
		}
	}
}

// TestLargeItems: an item of megabytes is copied once when it comes and not
// when its neighbours change.
func TestLargeItems(t *testing.T) {
	m := newMemory()
	m.sums = nil
	tree := New(m, Root{}, &m.numbers, DefaultPageSize)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MB
	for i := range 100 {
		put(t, tree, fmt.Sprintf("%04d", i*10), []byte("small"))
	}
	for _, key := range []string{"0000", "0500", "0505", "0990", "0995", "-"} {
		put(t, tree, key, large)
	}
	root := flush(t, tree)
	if err := NewView(m, root).Check(); err != nil {
		t.Fatal(err)
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			tree := New(m, root, &m.numbers, DefaultPageSize)
			put(t, tree, fmt.Sprintf("0505%05d", i), []byte("next to a large one"))
			if _, err := tree.Delete(fmt.Appendf(nil, "0505%05d", i)); err != nil {
				b.Fatal(err)
			}
			if value, ok, err := tree.Get([]byte("0505")); !ok || err != nil || len(value) != len(large) {
				b.Fatal(ok, err)
			}
			root = flush(t, tree)
		}
	}).AllocedBytesPerOp()
	if allocated > 100_000 {
		t.Errorf("a change next to a large item allocates %d bytes", allocated)
	}
	tree = New(m, root, &m.numbers, DefaultPageSize)
	put(t, tree, "0505", []byte("small again"))
	if err := tree.DeleteRange(1, tree.Len()-1); err != nil {
		t.Fatal(err)
	}
	if root = flush(t, tree); root.Count != 2 || NewView(m, root).Check() != nil || len(m.pages) != int(root.Pages) {
		t.Fatalf("%+v, %d pages", root, len(m.pages))
	}
}

// TestDeleteRangeLeavesUnread: of what a range covers, leaves are not read.
func TestDeleteRangeLeavesUnread(t *testing.T) {
	m := newMemory()
	b := NewBuilder(m, &m.numbers, 1024)
	for i := range 100_000 {
		if err := b.Add(fmt.Appendf(nil, "%08d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	tree := New(m, root, &m.numbers, 1024)
	m.reads = 0
	if err := tree.DeleteRange(10, 99_990); err != nil {
		t.Fatal(err)
	}
	if reads, pages := m.reads, int(root.Pages); reads > pages/4 {
		t.Errorf("%d pages were read, of %d", reads, pages)
	}
	if root := flush(t, tree); root.Count != 20 || NewView(m, root).Check() != nil || len(m.pages) != int(root.Pages) {
		t.Errorf("%+v, %d pages", root, len(m.pages))
	}
}

// TestErrors: an error names the page, and after one no change gets through.
func TestErrors(t *testing.T) {
	m := newMemory()
	tree := New(m, Root{}, &m.numbers, 64)
	for i := range 100 {
		put(t, tree, fmt.Sprintf("%03d", i), []byte("value"))
	}
	root := flush(t, tree)
	for _, position := range []int64{-1, 101, 1<<63 - 1} {
		_, _, err := tree.At(position)
		for _, err := range []error{err, tree.SetAt(position, nil), tree.DeleteAt(position), tree.InsertAt(position, nil)} {
			if !errors.Is(err, ErrPosition) {
				t.Errorf("position %d: %v", position, err)
			}
		}
	}
	number := func() (found uint32) {
		_ = NewView(m, root).Pages(func(n uint32, _ []byte) error { found = n; return nil })
		return found
	}()
	good := m.pages[number]
	for name, bad := range map[string][]byte{"missing": nil, "empty": {}, "short": good[:len(good)-1], "of another level": append([]byte{9}, good[1:]...)} {
		m.pages[number] = bad
		if bad == nil {
			delete(m.pages, number)
		}
		tree := New(m, root, &m.numbers, 64)
		_, err := tree.Delete([]byte("099"))
		if name == "short" && err == nil { // its last value is shorter, and nothing else
			continue
		}
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("page %d: ", number)) || bad != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, again := tree.Put([]byte("1"), nil); again != err || tree.Flush() != err {
			t.Errorf("%s: a change after the error: %v", name, again)
		}
	}
	m.pages[number] = good
	m.numbers.last, m.numbers.free = 1<<32-1, nil
	tree = New(m, root, &m.numbers, 64)
	if _, err := tree.Put([]byte("050x"), make([]byte, 100)); !errors.Is(err, ErrNumbers) {
		t.Errorf("without numbers: %v", err)
	}
	if err := NewBuilder(m, &Numbers{}, 64).Add(nil, nil); err != nil {
		t.Error(err)
	}
}

// TestBuilderOrder: keys that do not ascend are refused.
func TestBuilderOrder(t *testing.T) {
	m := newMemory()
	b := NewBuilder(m, &m.numbers, 64)
	for _, step := range []struct {
		key string
		err error
	}{{"b", nil}, {"b", ErrOrder}, {"a", ErrOrder}, {"", ErrOrder}, {"c", nil}} {
		if err := b.Add([]byte(step.key), nil); err != step.err {
			t.Errorf("%q: %v", step.key, err)
		}
	}
}

// TestTwoTrees: the trees of one object share its page numbers.
func TestTwoTrees(t *testing.T) {
	m := newMemory()
	var roots [2]Root
	var want [2][]item
	for i := range 2000 {
		which := i % 2
		tree := New(m, roots[which], &m.numbers, 64)
		if i%8 < 6 {
			it := item{fmt.Sprintf("%06d", i), strings.Repeat("v", i%9)}
			put(t, tree, it.key, []byte(it.value))
			want[which] = append(want[which], it)
		} else if err := tree.DeleteAt(0); err != nil {
			t.Fatal(err)
		} else {
			want[which] = want[which][1:]
		}
		roots[which] = flush(t, tree)
	}
	verify(t, m, roots[0], want[0], roots[1])
	verify(t, m, roots[1], want[1], roots[0])
	if err := New(m, roots[0], &m.numbers, 64).Clear(); err != nil {
		t.Fatal(err)
	}
	verify(t, m, roots[1], want[1])
}
