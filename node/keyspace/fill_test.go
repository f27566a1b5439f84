package keyspace

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// TestFill fills hashes, sorted sets and lists, over whatever was there: each goes on to
// be changed, and leaves no page behind.
func TestFill(t *testing.T) {
	for _, open := range []func(testing.TB, storage.Store) *Keyspace{openUsual, openTiny} {
		for seed := range int64(4) {
			rng := rand.New(rand.NewSource(seed))
			ks := open(t, storage.NewMemory())
			m := &typedModel{keys: make(map[string]*typedValue)}
			for range 150 {
				tx := ks.Begin()
				m.applied++
				m.clock++
				tx.StartEntry(m.applied, m.clock)
				m.fill(t, rng, tx, typedKey(rng.Intn(typedKeys)))
				for range rng.Intn(4) {
					m.step(t, rng, tx)
				}
				m.check(t, rng, &tx.View)
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				if rng.Intn(3) == 0 {
					checkpoint(t, ks)
				}
				sweep(t, ks)
				checkInvariants(t, ks)
			}
		}
	}
}

// fill fills the value of a key, which keeps its type if it has one with elements.
func (m *typedModel) fill(t *testing.T, rng *rand.Rand, tx *Tx, name string) {
	t.Helper()
	key, v := []byte(name), m.value(name)
	if v == nil || v.text != nil || v.members != nil || v.stream != nil || rng.Intn(3) == 0 {
		tx.Delete(key)
		v = &typedValue{}
	}
	kind := rng.Intn(3)
	switch {
	case v.fields != nil:
		kind = 0
	case v.scores != nil:
		kind = 1
	case v.elements != nil:
		kind = 2
	}
	var err error
	var h *Hash
	var z *SortedSet
	var l *List
	switch kind {
	case 0:
		h, err = tx.Hash(key)
		v.fields = fillHash(m, rng, h)
	case 1:
		z, err = tx.SortedSet(key)
		v.scores = fillSortedSet(rng, z)
	default:
		l, err = tx.List(key)
		v.elements = fillList(rng, l)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.keys[name] = v; m.value(name) == nil {
		delete(m.keys, name) // and its time of expiry
	}
}

// fillHash fills a hash with up to 400 fields, some of which expire.
func fillHash(m *typedModel, rng *rand.Rand, h *Hash) map[string]typedField {
	fields := make(map[string]typedField)
	var names []string
	times := rng.Intn(3)
	for range rng.Intn(1 << rng.Intn(9)) {
		field := fmt.Sprint(rng.Intn(1000))
		if _, twice := fields[field]; twice {
			continue
		}
		f := typedField{value: typedName(rng)}
		if times > 0 && rng.Intn(times) == 0 {
			f.expireAt = m.expire(rng)
		}
		fields[field], names = f, append(names, field)
	}
	h.Fill(len(names), func(i int) (field, value []byte, at int64) {
		f := fields[names[i]]
		return []byte(names[i]), []byte(f.value), f.expireAt
	})
	return fields
}

func fillSortedSet(rng *rand.Rand, z *SortedSet) map[string]float64 {
	scores := make(map[string]float64)
	var names []string
	for range rng.Intn(1 << rng.Intn(9)) {
		member := fmt.Sprint(rng.Intn(1000))
		if _, twice := scores[member]; !twice {
			names = append(names, member)
			scores[member] = typedScore(rng)
		}
	}
	z.Fill(len(names), func(i int) ([]byte, float64) {
		score := scores[names[i]]
		if score == 0 {
			score = math.Copysign(0, -1)
		}
		return []byte(names[i]), score
	})
	return scores
}

func fillList(rng *rand.Rand, l *List) (texts []string) {
	var elements [][]byte
	for range rng.Intn(1 << rng.Intn(9)) {
		texts = append(texts, typedElement(rng))
		elements = append(elements, []byte(texts[len(texts)-1]))
	}
	l.Fill(elements)
	return texts
}

// A value that is filled is in the same form as one of which the elements
// came one after the other: the same encoding, the same order, in the record or in
// pages.
func TestFillForms(t *testing.T) {
	ks := open(t, storage.NewMemory())
	for index, c := range []struct{ n, size, expiring int }{
		{1, 1, 0},
		{1, largeElement, 0},
		{1, largeElement + 1, 0},
		{largeSortedSet, 5, 0},
		{largeSortedSet + 1, 5, 0},
		{5, 3, 2},
		{5, 3, 5},
		{largeHash, 5, 0},
		{largeHash + 1, 5, 0},
		{largeHash + 1, 5, 3},
		{3000, 8, 0},
		{3000, 8, 50},
	} {
		field := func(i int) (field, value []byte, at int64) {
			if i < c.expiring {
				at = 10000 - int64(i)
			}
			return fmt.Appendf(nil, "%0*d", c.size, i), []byte("v"), at
		}
		member := func(i int) ([]byte, float64) {
			m, _, _ := field(i)
			return m, float64(i % 7)
		}
		write(t, ks, uint64(index+1), 1000, func(tx *Tx) {
			tx.Flush()
			h, _ := tx.Hash([]byte("h"))
			z, _ := tx.SortedSet([]byte("z"))
			h.Fill(c.n, field)
			z.Fill(c.n, member)
			h, _ = tx.Hash([]byte("one h"))
			z, _ = tx.SortedSet([]byte("one z"))
			for i := range c.n {
				h.Set(field(i))
				z.Set(member(i))
			}
		})
		v := ks.View(0)
		form := func(key string) (out string) {
			m, _ := v.Lookup([]byte(key))
			out = fmt.Sprint(m.Encoding(), m.Flags)
			if h, ok, _ := v.Hash([]byte(key)); ok {
				h.Each(func(field, value []byte, at int64) bool {
					out += fmt.Sprintf(" %s=%s@%d", field, value, at)
					return true
				})
			}
			if z, ok, _ := v.SortedSet([]byte(key)); ok {
				for member, score := range z.From(0, false) {
					out += fmt.Sprintf(" %s=%v", member, score)
				}
			}
			return out
		}
		for _, key := range []string{"h", "z"} {
			if got, want := form(key), form("one "+key); got != want {
				t.Errorf("%+v: %s is\n%.400s, not\n%.400s", c, key, got, want)
			}
		}
		v.Close()
		checkInvariants(t, ks)
	}
}

// What cannot be stored is refused, and undone with its command.
func TestFillTooLarge(t *testing.T) {
	ks := open(t, storage.NewMemory())
	huge := make([]byte, MaxRecord)
	write(t, ks, 1, 1, func(tx *Tx) {
		h, _ := tx.Hash([]byte("k"))
		z, _ := tx.SortedSet([]byte("k"))
		l, _ := tx.List([]byte("k"))
		for name, fill := range map[string]func(){
			"hash":       func() { h.Fill(1, func(int) ([]byte, []byte, int64) { return []byte("f"), huge, 0 }) },
			"sorted set": func() { z.Fill(1, func(int) ([]byte, float64) { return huge, 0 }) },
			"list":       func() { l.Fill([][]byte{huge}) },
		} {
			fill()
			if !tx.TooLarge() {
				t.Errorf("a %s is not too large", name)
			}
			tx.Undo(tx.Save())
		}
		for _, fill := range []func(){
			func() { z.Fill(1, func(int) ([]byte, float64) { return nil, math.NaN() }) },
			func() { h.Fill(2, func(int) ([]byte, []byte, int64) { return []byte("f"), huge[:1<<20], 0 }) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				fill()
			}()
		}
		if _, ok := tx.Lookup([]byte("k")); ok {
			t.Error("something is there")
		}
	})
	checkInvariants(t, ks)
}

// BenchmarkFill fills a hash, and sets one field after the other.
func BenchmarkFill(b *testing.B) {
	const n = 100_000
	field := func(i int) ([]byte, []byte, int64) { return benchElement(i), []byte("value:0123456789"), 0 }
	for name, fill := range map[string]func(h *Hash){
		"whole": func(h *Hash) { h.Fill(n, field) },
		"one": func(h *Hash) {
			for i := range n {
				h.Set(field(i))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			ks := openUsual(b, storage.NewMemory())
			for i := range b.N {
				tx := ks.Begin()
				tx.StartEntry(uint64(i+1), 1)
				h, _ := tx.Hash([]byte("h"))
				fill(h)
				tx.Discard()
			}
		})
	}
}
