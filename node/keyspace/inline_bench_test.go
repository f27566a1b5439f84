package keyspace

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// BenchmarkZAddSmall gives members of a thousand small sorted sets new scores, 25 in
// a transaction, as a command does: with the members in the record, and in pages.
func BenchmarkZAddSmall(b *testing.B) {
	const sets = 1000
	for _, c := range []struct{ members, size int }{{10, 14}, {100, 14}, {100, 30}, {100, 60}, {500, 6}} {
		for _, form := range []string{"inline", "paged"} {
			b.Run(fmt.Sprintf("%dx%d/%s", c.members, c.size, form), func(b *testing.B) {
				opts := Options{CacheBytes: 1 << 30, DirtyBytes: 8 << 30, inlineLimit: 1 << 20}
				if form == "paged" {
					opts.inlineLimit = 1
				}
				ks, err := Open(storage.NewMemory(), opts)
				if err != nil {
					b.Fatal(err)
				}
				member := func(i int) []byte { return fmt.Appendf(nil, "%0*d", c.size, i) }
				key := func(i int) []byte { return fmt.Appendf(nil, "z:%d", i) }
				rng := rand.New(rand.NewSource(1))
				for i := range sets {
					write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
						z, _ := tx.SortedSet(key(i))
						for j := range c.members {
							z.Set(member(j), rng.Float64())
						}
					})
				}
				index := ks.Applied()
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += 25 {
					index++
					write(b, ks, index, 1, func(tx *Tx) {
						for range 25 {
							tx.Save()
							z, _ := tx.SortedSet(key(rng.Intn(sets)))
							m := member(rng.Intn(c.members))
							z.Score(m)
							z.Set(m, rng.Float64())
						}
					})
				}
			})
		}
	}
}
