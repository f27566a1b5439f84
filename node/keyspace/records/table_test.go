package records

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

func numbered(i int, value []byte) (uint64, Record) {
	return uint64(i) * 0x9e3779b97f4a7c15, New(fmt.Appendf(nil, "key%d", i), value)
}

// TestTableBound fills a table with more clean records than may stay: they are
// within the limit, what is used again and again stays, and so does what is dirty.
func TestTableBound(t *testing.T) {
	const limit, dirty = 512 << 10, 500
	tab, g := &table{limit: limit / shardCount}, &generation{code: 1}
	for i := range dirty {
		hash, rec := numbered(i, make([]byte, 200))
		tab.put(hash, rec, g, true)
	}
	hot, hotRecord := numbered(dirty, nil)
	_, changes := tab.get(hot, hotRecord.Key())
	tab.fill(hot, hotRecord, changes)
	gone := 0
	for i := dirty + 1; i < 20000; i++ {
		hash, rec := numbered(i, make([]byte, i%300))
		if i%3 == 0 {
			rec = newAbsent(rec.Key())
		}
		_, changes := tab.get(hash, rec.Key())
		tab.fill(hash, rec, changes)
		if got, _ := tab.get(hash, rec.Key()); got == nil {
			gone++ // the hand came by at once
		} else if got.absent() != (i%3 == 0) {
			t.Fatalf("key %d: absent is %v", i, got.absent())
		}
		if got, _ := tab.get(hot, hotRecord.Key()); got == nil {
			t.Fatalf("after %d keys the hot one is gone", i)
		}
	}
	if gone > 1000 {
		t.Errorf("%d of 20000 did not stay for a moment", gone)
	}
	if clean := tab.memory(); clean > limit || clean < limit/2 {
		t.Errorf("%d bytes of clean records, %d are allowed", clean, limit)
	}
	for i := range dirty {
		hash, rec := numbered(i, nil)
		if got, _ := tab.get(hash, rec.Key()); got == nil {
			t.Fatalf("dirty record %d was evicted", i)
		}
	}
	for _, chunk := range g.chunks {
		for i, rec := range chunk {
			hash, _ := numbered(i, nil)
			tab.cleaned(hash, rec, g.code)
		}
	}
	if clean := tab.memory(); clean > limit {
		t.Errorf("%d bytes after cleaning", clean)
	}
}

// TestTableModel adds, finds and removes entries that all want the same few places.
func TestTableModel(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	s, model := &tableShard{}, make(map[int]Record)
	hash := func(i int) uint64 { return uint64(i%5) << 37 }
	for step := range 20000 {
		i := rng.Intn(200)
		_, rec := numbered(i, fmt.Appendf(nil, "%d", step))
		at := s.find(hash(i), rec.Key())
		if (at >= 0) != (model[i] != nil) || at >= 0 && string(s.entries[at].rec) != string(model[i]) {
			t.Fatalf("step %d: key %d is at %d", step, i, at)
		}
		switch {
		case at < 0:
			s.add(entry{rec: rec, state: tag(hash(i)) << tagShift})
			model[i] = rec
		case rng.Intn(2) == 0 || step > 15000:
			s.remove(at)
			delete(model, i)
		}
		if s.used != len(model) {
			t.Fatalf("step %d: %d entries, %d in the model", step, s.used, len(model))
		}
	}
}

// A filter never denies a key that it has, and seldom admits another one; what is
// stored of it is read back.
func TestFilter(t *testing.T) {
	f := &filter{kind: filterKnown}
	key := func(i int) []byte { return fmt.Appendf([]byte{0x20, 1, 2}, "fp..key:%d", i) }
	for n := 0; f.kind == filterKnown; n += 10 {
		for i := range n {
			if f.absent(key(i)) {
				t.Fatalf("of %d keys, number %d is denied", n, i)
			}
		}
		wrong := 0
		for i := range 2000 {
			if !f.absent(key(1_000_000 + i)) {
				wrong++
			}
		}
		if wrong > 2000*8/100 {
			t.Errorf("of %d keys: %d of 2000 others are admitted", n, wrong)
		}
		back, err := decodeFilter(f.encode(nil))
		if err != nil || string(back.encode(nil)) != string(f.encode(nil)) {
			t.Fatalf("of %d keys: read back as %v, %v", n, back, err)
		}
		var hashes []uint64
		for i := range 10 {
			hashes = append(hashes, filterHash(key(n+i)))
		}
		before := string(f.encode(nil))
		next := f.with(hashes, freeFilter)
		if string(f.encode(nil)) != before {
			t.Fatal("adding has changed the former filter")
		}
		f = next
	}
	if f.kind != filterLarge || f.absent([]byte("x")) {
		t.Errorf("kind %d", f.kind)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte{filterKnown})
	f.Add([]byte{filterLarge})
	f.Add((&filter{kind: filterKnown}).with([]uint64{1, 2, 3}, freeFilter).encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeFilter(b)
		if err != nil {
			return
		}
		g.absent([]byte("key"))
		if again, err := decodeFilter(g.encode(nil)); err != nil || len(again.layers) != len(g.layers) {
			t.Fatalf("%v, %v", again, err)
		}
	})
}

// The memory of a record that was replaced within its transaction is used again once
// nobody can go back to it, and not before.
func TestDraftsUseMemoryAgain(t *testing.T) {
	m := openMap(t, storage.NewMemory(), testOptions())
	tx := m.Begin()
	defer tx.Discard()
	key := testKey(1, 1)
	draft := func(value string) Record { return append(tx.Draft(key, len(value)), value...) }
	same := func(a, b Record) bool { return &a[0] == &b[0] }
	expect := func(value string) {
		t.Helper()
		if got, _ := tx.Get(key); string(got) != value {
			t.Fatalf("%q, want %q", got, value)
		}
	}
	tx.Save()
	first := draft("one")
	tx.PutRecord(first)
	save := tx.Save()
	second := draft("two")
	tx.PutRecord(second)
	if same(draft("xxx"), first) {
		t.Fatal("the memory of what Undo goes back to was given away")
	}
	tx.Undo(save)
	expect("one")
	tx.Save()
	third := draft("tri")
	tx.PutRecord(third)
	if same(third, first) {
		t.Fatal("the memory of what Undo went back to was given away")
	}
	tx.Save()
	expect("tri")
	fourth := draft("for")
	if !same(fourth, first) {
		t.Fatal("the memory of a replaced record was not used")
	}
	tx.PutRecord(fourth)
	expect("for")
	if again := draft("fiv"); same(again, first) || same(again, fourth) {
		t.Fatal("memory was given away twice")
	}
}
