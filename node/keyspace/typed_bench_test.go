package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// benchTyped returns a keyspace with a hash "h" and a sorted set "z" of n elements.
func benchTyped(b *testing.B, n int) *Keyspace {
	b.Helper()
	ks, err := Open(storage.NewMemory(), Options{CacheBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 1000 {
		write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
			h, _ := tx.Hash([]byte("h"))
			z, _ := tx.SortedSet([]byte("z"))
			for j := i; j < min(i+1000, n); j++ {
				h.Set(benchElement(j), []byte("value:0123456789"), 0)
				z.Set(benchElement(j), benchScore(j))
			}
		})
	}
	return ks
}

func benchElement(i int) []byte { return fmt.Appendf(nil, "element:%09d", i) }

// benchScore scatters.
func benchScore(i int) float64 { return float64(uint32(i) * 2654435761) }

// benchRead runs read once an operation, each in a view of its own.
func benchRead(b *testing.B, sizes []int, read func(v *View, i int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ks := benchTyped(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				v := ks.View(1)
				read(v, i*7919%n)
				v.Close()
			}
		})
	}
}

// BenchmarkHGet: a million fields at most twice what ten cost.
func BenchmarkHGet(b *testing.B) {
	benchRead(b, []int{10, 100, 1_000_000}, func(v *View, i int) {
		h, _, _ := v.Hash([]byte("h"))
		if _, _, ok := h.Get(benchElement(i)); !ok {
			b.Fatalf("field %d is missing", i)
		}
	})
}

// BenchmarkZRank, BenchmarkZRange and BenchmarkZAdd: a million members at most five
// times what a hundred cost.
func BenchmarkZRank(b *testing.B) {
	benchRead(b, []int{100, 1_000_000}, func(v *View, i int) {
		z, _, _ := v.SortedSet([]byte("z"))
		if _, ok := z.Rank(benchElement(i)); !ok {
			b.Fatalf("member %d is missing", i)
		}
	})
}

func BenchmarkZRange(b *testing.B) {
	benchRead(b, []int{100, 1_000_000}, func(v *View, i int) {
		z, _, _ := v.SortedSet([]byte("z"))
		seen := 0
		for range z.From(int64(i), false) {
			if seen++; seen == 10 {
				break
			}
		}
	})
}

func BenchmarkZAdd(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ks := benchTyped(b, n)
			index := ks.Applied()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				index++
				write(b, ks, index, 1, func(tx *Tx) {
					z, _ := tx.SortedSet([]byte("z"))
					z.Set(benchElement(i*7919%n), benchScore(i+1)+0.5)
				})
			}
		})
	}
}

// BenchmarkDel is what the caller of DEL waits for.
func BenchmarkDel(b *testing.B) {
	ks := benchTyped(b, 1_000_000)
	for _, key := range []string{"h", "z"} {
		b.Run(key, func(b *testing.B) {
			index := ks.Applied()
			for range b.N {
				index++
				tx := ks.Begin()
				tx.StartEntry(index, 1)
				tx.Delete([]byte(key))
				tx.Discard()
			}
		})
	}
}
