package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

const benchKeys = 100_000

func benchLevel(b *testing.B) *storage.Level {
	b.Helper()
	store, err := storage.OpenLevel(b.TempDir(), storage.LevelOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

func benchName(dst []byte, i int) []byte { return fmt.Appendf(dst[:0], "key:%012d", i) }

// populate sets all keys, 100 an entry.
func populate(b *testing.B, ks *Keyspace) uint64 {
	b.Helper()
	value := make([]byte, 64)
	index := ks.Applied()
	for i := 0; i < benchKeys; i += 100 {
		index++
		write(b, ks, index, 1, func(tx *Tx) {
			for j := range 100 {
				tx.SetString(benchName(nil, i+j), value, 0)
			}
		})
	}
	return index
}

// scattered visits all keys in an order without locality.
func scattered(i int) int { return i * 7919 % benchKeys }

// BenchmarkSet sets 64 bytes in batches of 25; an operation is one SET.
func BenchmarkSet(b *testing.B) {
	for _, c := range []struct {
		name     string
		populate bool
		cache    int64
	}{{"new", false, 0}, {"overwrite", true, 0}, {"overwrite-uncached", true, -1}} {
		b.Run(c.name, func(b *testing.B) {
			ks, err := Open(benchLevel(b), Options{CacheBytes: c.cache})
			if err != nil {
				b.Fatal(err)
			}
			var index uint64
			if c.populate {
				index = populate(b, ks)
			}
			value, name := make([]byte, 64), make([]byte, 0, 32)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += 25 {
				index++
				tx := ks.Begin()
				tx.StartEntry(index, 1)
				for j := range 25 {
					name = benchName(name, scattered(i+j))
					tx.SetString(name, value, 0)
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGet reads keys that are all there.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name  string
		cache int64
	}{{"cached", 64 << 20}, {"store", -1}} {
		b.Run(c.name, func(b *testing.B) {
			store := benchLevel(b)
			ks, err := Open(store, Options{CacheBytes: c.cache})
			if err != nil {
				b.Fatal(err)
			}
			populate(b, ks)
			name := make([]byte, 0, 32)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i++ {
				name = benchName(name, scattered(i))
				tx := ks.View(1)
				if _, ok := tx.Lookup(name); !ok {
					b.Fatalf("%s is missing", name)
				}
				tx.Close()
			}
		})
	}
}

// BenchmarkOpen opens a keyspace of 100k keys, whose counts are stored.
func BenchmarkOpen(b *testing.B) {
	store := benchLevel(b)
	ks, err := Open(store, Options{})
	if err != nil {
		b.Fatal(err)
	}
	populate(b, ks)
	if err := ks.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Open(store, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
