package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// benchMany is how many elements a big value has.
const benchMany = 1_000_000

// benchTyped returns a keyspace with a hash "h", a set "s", a sorted set "z" and a list
// "l" of n elements.
func benchTyped(b *testing.B, n int) *Keyspace {
	b.Helper()
	ks, err := Open(storage.NewMemory(), Options{CacheBytes: 1 << 30, DirtyBytes: 8 << 30})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 1000 {
		write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
			h, _ := tx.Hash([]byte("h"))
			s, _ := tx.Set([]byte("s"))
			z, _ := tx.SortedSet([]byte("z"))
			l, _ := tx.List([]byte("l"))
			for j := i; j < min(i+1000, n); j++ {
				h.Set(benchElement(j), []byte("value:0123456789"), 0)
				s.Add(benchElement(j))
				z.Set(benchElement(j), benchScore(j))
				l.PushBack(benchElement(j))
			}
		})
	}
	return ks
}

func benchElement(i int) []byte { return fmt.Appendf(nil, "element:%09d", i) }

// benchScore scatters.
func benchScore(i int) float64 { return float64(uint32(i) * 2654435761) }

// BenchmarkTyped reads and changes a hash, a set, a sorted set and a list of few and of
// many elements. With a million, HGet may cost twice what it costs with ten; ZRank,
// ZRange, ZAdd, SIsMember, SRandMember, SPop, LIndex and LInsert five times what they
// cost with a hundred, and Del 100 µs.
func BenchmarkTyped(b *testing.B) {
	for _, n := range []int{10, 100, benchMany} {
		ks := benchTyped(b, n)
		read := func(name string, read func(v *View, i int) bool) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					v := ks.View(1)
					if !read(v, i*7919%n) {
						b.Fatalf("element %d is missing", i)
					}
					v.Close()
				}
			})
		}
		read("HGet", func(v *View, i int) bool {
			h, _, _ := v.Hash([]byte("h"))
			_, _, ok := h.Get(benchElement(i))
			return ok
		})
		read("ZRank", func(v *View, i int) bool {
			z, _, _ := v.SortedSet([]byte("z"))
			_, ok := z.Rank(benchElement(i))
			return ok
		})
		read("ZRange", func(v *View, i int) bool {
			z, _, _ := v.SortedSet([]byte("z"))
			seen := 0
			for range z.From(int64(i), false) {
				if seen++; seen == 10 {
					break
				}
			}
			return seen > 0
		})
		read("SIsMember", func(v *View, i int) bool {
			s, _, _ := v.Set([]byte("s"))
			return s.Has(benchElement(i))
		})
		read("SRandMember", func(v *View, i int) bool {
			s, _, _ := v.Set([]byte("s"))
			return s.At(int64(i)) != nil
		})
		read("LIndex", func(v *View, i int) bool {
			l, _, _ := v.List([]byte("l"))
			_, ok := l.At(int64(i))
			return ok
		})
		read("LRange", func(v *View, i int) bool {
			l, _, _ := v.List([]byte("l"))
			seen := 0
			for range l.From(int64(i), false) {
				if seen++; seen == 100 {
					break
				}
			}
			return seen > 0
		})
		index := ks.Applied()
		change := func(name string, change func(tx *Tx, i int)) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					index++
					tx := ks.Begin()
					tx.StartEntry(index, 1)
					change(tx, i)
					if name == "Del" {
						tx.Discard()
					} else if err := tx.Commit(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		change("ZAdd", func(tx *Tx, i int) {
			z, _ := tx.SortedSet([]byte("z"))
			z.Set(benchElement(i*7919%n), benchScore(i)+0.5)
		})
		change("SPop", func(tx *Tx, i int) { // and back, so that as many are left
			s, _ := tx.Set([]byte("s"))
			member := s.At(int64(i * 7919 % n))
			s.Delete(member)
			s.Add(member)
		})
		change("LInsert", func(tx *Tx, i int) {
			l, _ := tx.List([]byte("l"))
			l.Insert(int64(i*7919%n), benchElement(i))
			l.DeleteRange(int64(i*104729%n), int64(i*104729%n)+1)
		})
		change("LPush", func(tx *Tx, i int) {
			l, _ := tx.List([]byte("l"))
			l.PushFront(benchElement(i))
			l.DeleteRange(l.Len()-1, l.Len())
		})
		change("ZAdd25", func(tx *Tx, i int) { // as many commands in one entry
			for j := range 25 {
				tx.Save()
				z, _ := tx.SortedSet([]byte("z"))
				z.Set(benchElement((25*i+j)*7919%n), benchScore(25*i+j)+0.25)
			}
		})
		change("Del", func(tx *Tx, _ int) {
			tx.Delete([]byte("h"))
			tx.Delete([]byte("s"))
			tx.Delete([]byte("z"))
			tx.Delete([]byte("l"))
		})
	}
}
