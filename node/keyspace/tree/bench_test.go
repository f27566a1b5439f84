package tree

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// plain is pages in a slice: as little cost as can be beside the tree's own.
type plain struct{ pages [][]byte }

func (m *plain) Page(n uint32) ([]byte, error) { return m.pages[n], nil }

func (m *plain) Peek(n uint32) ([]byte, bool, error) { return m.pages[n], false, nil }

func (m *plain) Buffer(_ uint32, content []byte, room int) []byte {
	return append(make([]byte, 0, len(content)+room), content...)
}

func (m *plain) Put(n uint32, page []byte) {
	for int(n) >= len(m.pages) {
		m.pages = append(m.pages, nil)
	}
	m.pages[n] = page
}

func (m *plain) Delete(n uint32) { m.pages[n] = nil }

func (m *plain) bytes() (sum int) {
	for _, p := range m.pages {
		sum += len(p)
	}
	return sum
}

// benchKey is like a sorted set's: 8 bytes that are spread, and a member.
func benchKey(dst []byte, n int) []byte {
	dst = binary.BigEndian.AppendUint64(dst[:0], uint64(n)*0x9e3779b97f4a7c15)
	return fmt.Appendf(dst, "member:%09d", n)
}

// benchTree has count items put at random, which gives pages of an ordinary
// fill.
func benchTree(b *testing.B, count, size int) (*plain, *Numbers, Root) {
	m, numbers := &plain{}, &Numbers{}
	tree := New(m, Root{}, numbers, size)
	var key []byte
	for i := range count {
		key = benchKey(key, i)
		if _, err := tree.Put(key, []byte("value-of-12b")); err != nil {
			b.Fatal(err)
		}
	}
	if err := tree.Flush(); err != nil {
		b.Fatal(err)
	}
	return m, numbers, tree.Root()
}

// Each change is flushed, as it is where commands change a key one by one.
func BenchmarkTree(b *testing.B) {
	for _, size := range []int{1024, DefaultPageSize, 2048} {
		for _, count := range []int{100, 10_000, 1_000_000} {
			b.Run(fmt.Sprintf("size=%d/items=%d", size, count), func(b *testing.B) { benchOperations(b, count, size) })
		}
	}
}

func benchOperations(b *testing.B, count, size int) {
	m, numbers, root := benchTree(b, count, size)
	r := rand.New(rand.NewPCG(1, 1))
	key := benchKey(nil, 0)
	value := []byte("value-of-12b")
	run := func(name string, fn func(v View, i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			v := NewView(m, root)
			began := cpu(b)
			for range b.N {
				if err := fn(v, r.IntN(count)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
	run("get", func(v View, i int) error {
		key = benchKey(key, i)
		_, _, err := v.Get(key)
		return err
	})
	run("rank", func(v View, i int) error {
		key = benchKey(key, i)
		_, _, err := v.Find(key)
		return err
	})
	run("at", func(v View, i int) error {
		_, _, err := v.At(int64(i))
		return err
	})
	run("range100", func(v View, i int) error {
		n := 0
		return v.Ascend(int64(i), func(_, _ []byte) bool { n++; return n < 100 })
	})
	run("overwrite", func(v View, i int) error {
		key = benchKey(key, i)
		tree := New(m, root, numbers, size)
		_, err := tree.Put(key, value)
		root = tree.Root()
		return firstError(err, tree.Flush())
	})
	next := count
	run("insert+delete", func(v View, i int) error {
		tree := New(m, root, numbers, size)
		key = benchKey(key, next)
		_, err := tree.Put(key, value)
		err = firstError(err, tree.Flush())
		root = tree.Root()
		tree = New(m, root, numbers, size)
		key = benchKey(key, next-count)
		next++
		_, err2 := tree.Delete(key)
		err = firstError(err, err2, tree.Flush())
		root = tree.Root()
		return err
	})
	b.Run("pages", func(b *testing.B) {
		b.ReportMetric(float64(m.bytes())/float64(count), "bytes/item")
		b.ReportMetric(float64(root.Height), "levels")
		b.ReportMetric(0, "ns/op")
	})
}

// cpu is the time that the process has had of the processors: what a busy
// machine leaves as it is.
func cpu(b *testing.B) int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkLoad makes a tree of 100000 items, by each way there is.
func BenchmarkLoad(b *testing.B) {
	const count = 100_000
	keys := make([][]byte, count)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "member:%09d", i)
	}
	run := func(name string, fn func(m *plain) (Root, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				m := &plain{}
				root, err := fn(m)
				if err != nil || root.Count != count {
					b.Fatal(root, err)
				}
				b.ReportMetric(float64(m.bytes())/count, "bytes/item")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/item")
		})
	}
	run("builder", func(m *plain) (Root, error) {
		build := NewBuilder(m, &Numbers{}, DefaultPageSize)
		for _, key := range keys {
			if err := build.Add(key, nil); err != nil {
				return Root{}, err
			}
		}
		return build.Finish()
	})
	run("ascending", func(m *plain) (Root, error) {
		tree := New(m, Root{}, &Numbers{}, DefaultPageSize)
		for _, key := range keys {
			if _, err := tree.Put(key, nil); err != nil {
				return Root{}, err
			}
		}
		return tree.Root(), tree.Flush()
	})
	run("append", func(m *plain) (Root, error) {
		tree := New(m, Root{}, &Numbers{}, DefaultPageSize)
		for i, key := range keys {
			if err := tree.InsertAt(int64(i), key); err != nil {
				return Root{}, err
			}
		}
		return tree.Root(), tree.Flush()
	})
	run("random", func(m *plain) (Root, error) {
		tree := New(m, Root{}, &Numbers{}, DefaultPageSize)
		for i := range keys {
			if _, err := tree.Put(keys[i*7919%count], nil); err != nil {
				return Root{}, err
			}
		}
		return tree.Root(), tree.Flush()
	})
}
