package records

import (
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// filtered is a map of which one part is filled and emptied, a checkpoint a change.
type filtered struct {
	*Map
	keys int // those numbered below that are there
}

func (m *filtered) commit(t *testing.T, from, to int, change func(tx *Tx, i int)) {
	t.Helper()
	tx := m.Begin()
	for i := from; i < to; i++ {
		change(tx, i)
	}
	if err := tx.Commit(Mark{Applied: m.Mark().Applied + 1}); err != nil {
		t.Fatal(err)
	}
	if err := m.Checkpoint(); err != nil {
		t.Fatal(err)
	}
}

func (m *filtered) put(t *testing.T, from, to int) {
	t.Helper()
	m.keys = to
	m.commit(t, from, to, func(tx *Tx, i int) { tx.Put(testKey(1, i), []byte("value")) })
}

func (m *filtered) cut(t *testing.T, to int) {
	t.Helper()
	from := m.keys
	m.keys = to
	m.commit(t, to, from, func(tx *Tx, i int) { tx.Delete(testKey(1, i)) })
}

// check verifies that the filter denies no key that is there, and most of the others of
// those that there were.
func (m *filtered) check(t *testing.T, kind byte, were int) {
	t.Helper()
	f := m.latest.Load().world.filters[1].Load()
	if f.kind != kind || f.keys() > m.keys {
		t.Fatalf("kind %d, %d keys", f.kind, f.keys())
	}
	admitted := 0
	for i := range were {
		switch absent := f.absent(testKey(1, i)); {
		case absent && i < m.keys:
			t.Fatalf("key %d of %d is denied", i, m.keys)
		case !absent && i >= m.keys:
			admitted++
		}
	}
	if kind == filterKnown && admitted > (were-m.keys)/10 {
		t.Errorf("%d of %d that are gone are admitted", admitted, were-m.keys)
	}
}

// A filter does not grow when keys are put again, and is made anew when most of its
// keys have gone.
func TestFilterIsMadeAnew(t *testing.T) {
	m := &filtered{}
	opts := testOptions()
	opts.Dirty = 1 << 20
	opts.PartKeys = func(uint16) int { return m.keys }
	m.Map = openMap(t, storage.NewMemory(), opts)
	for range 40 {
		m.put(t, 0, 50)
	}
	m.check(t, filterKnown, 50)
	m.put(t, 50, 900)
	m.check(t, filterKnown, 900)
	m.cut(t, 60)
	m.check(t, filterKnown, 900)
	m.put(t, 60, 3000)
	m.check(t, filterLarge, 3000)
	m.cut(t, 100)
	m.check(t, filterKnown, 3000)
	m.put(t, 100, 140)
	m.check(t, filterKnown, 3000)
}

// Large filters share a budget: what they take is known again when a store was opened,
// and comes back when they go.
func TestLargeFilters(t *testing.T) {
	const keys = 5000 // whose filter has 10 KB
	store := storage.NewMemory()
	opts := testOptions()
	opts.Dirty, opts.Cache = 4<<20, 128<<10 // of which filters have an eighth
	opts.PartKeys = func(uint16) int { return 0 }
	m := &filtered{Map: openMap(t, store, opts)}
	fill := func(part int) {
		m.commit(t, 0, keys, func(tx *Tx, i int) { tx.Put(testKey(part, i), []byte("value")) })
	}
	expect := func(part uint16, kind byte, sum int64) {
		t.Helper()
		world := m.latest.Load().world
		f, err := world.filter(part)
		if err != nil || f.kind != kind {
			t.Fatalf("part %d: kind %d, %v", part, f.kind, err)
		}
		for i := range keys {
			if f.absent(testKey(int(part), i)) {
				t.Fatalf("part %d denies key %d", part, i)
			}
		}
		if have := world.large.Load(); have != sum {
			t.Fatalf("large filters take %d bytes, not %d", have, sum)
		}
	}
	fill(1)
	size := m.latest.Load().world.filters[1].Load().large()
	if size < freeFilter {
		t.Fatalf("the filter has %d bytes", size)
	}
	expect(1, filterKnown, size)
	fill(2)
	expect(2, filterLarge, size)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.Map = openMap(t, store, opts)
	expect(1, filterKnown, size)
	m.commit(t, 0, keys, func(tx *Tx, i int) { tx.Delete(testKey(1, i)) })
	m.commit(t, 0, keys, func(tx *Tx, i int) { tx.Put(testKey(3, i), []byte("value")) })
	expect(3, filterKnown, size)
}
