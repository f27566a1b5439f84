package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// moveSource is a keyspace of n strings, and a hash of as many fields, that a job watches.
func moveSource(b *testing.B, n int) *Keyspace {
	b.Helper()
	ks, err := Open(storage.NewMemory(), Options{CacheBytes: 1 << 30, DirtyBytes: 8 << 30})
	if err != nil {
		b.Fatal(err)
	}
	value := []byte("value:0123456789:0123456789:0123456789:0123456789:0123456789")
	for i := 0; i < n; i += 1000 {
		write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
			h, _ := tx.Hash([]byte("hash"))
			for j := i; j < i+1000; j++ {
				tx.SetString(fmt.Appendf(nil, "key:%09d", j), value, 0)
				h.Set(benchElement(j), value, 0)
			}
		})
	}
	write(b, ks, ks.Applied()+1, 1, func(tx *Tx) { tx.BeginLog(1, &allSlots) })
	return ks
}

// BenchmarkMove: what it takes to pull a keyspace of 100 000 small strings and a hash of as
// many fields in pieces of 256 KB, to take the pieces, and to drop all of it.
func BenchmarkMove(b *testing.B) {
	const keys = 100_000
	source := moveSource(b, keys)
	var pieces []Pulled
	pull := func() (bytes int) {
		pieces = pieces[:0]
		for at, end := (Position{}), false; !end; {
			p := pullAt(b, source, 1, at, 256<<10)
			pieces = append(pieces, p)
			bytes += len(p.Records)
			at, end = p.Next, p.End
		}
		return bytes
	}
	b.Run("pull", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.SetBytes(int64(pull()))
		}
	})
	bytes := pull()
	take := func(b *testing.B) *Keyspace {
		ks, err := Open(storage.NewMemory(), Options{CacheBytes: 1 << 30, DirtyBytes: 8 << 30})
		if err != nil {
			b.Fatal(err)
		}
		write(b, ks, 1, 1, func(tx *Tx) { _ = tx.Import(1, &allSlots) })
		at := Position{}
		for _, p := range pieces {
			slots, err := p.Check()
			if err != nil {
				b.Fatal(err)
			}
			write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
				if err := tx.Take(1, at.Digest(), p.Next, &p.Piece, slots); err != nil {
					b.Fatal(err)
				}
			})
			at = p.Next
		}
		return ks
	}
	b.Run("take", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(bytes))
		for b.Loop() {
			take(b)
		}
	})
	b.Run("drop", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			ks := take(b)
			write(b, ks, ks.Applied()+1, 1, func(tx *Tx) { tx.EndImport(1) })
			b.StartTimer()
			for ks.Len() > 0 {
				write(b, ks, ks.Applied()+1, 1, func(tx *Tx) { tx.Drop(&allSlots, 1000) })
			}
		}
	})
}

// BenchmarkWatchedSet: what a change costs in a slot that a job watches, and in one that
// none does.
func BenchmarkWatchedSet(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprint(watched), func(b *testing.B) {
			ks, err := Open(storage.NewMemory(), Options{CacheBytes: 1 << 30, DirtyBytes: 8 << 30})
			if err != nil {
				b.Fatal(err)
			}
			if watched {
				write(b, ks, 1, 1, func(tx *Tx) { tx.BeginLog(1, &allSlots) })
			}
			b.ReportAllocs()
			value := make([]byte, 64)
			for i := 0; b.Loop(); i++ {
				write(b, ks, ks.Applied()+1, 1, func(tx *Tx) {
					for j := range 25 {
						tx.SetString(benchElement((i*25+j)%20000), value, 0)
					}
				})
			}
		})
	}
}
