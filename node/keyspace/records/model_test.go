package records

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// Keys of tests: an outer one begins with 1, one of a world with 0x20, then a part.

func testKey(part, n int) []byte { return fmt.Appendf([]byte{0x20, 0, byte(part)}, "%04d", n) }

func testOptions() Options {
	return Options{
		Dirty: 16 << 10, Cache: 32 << 10, Parts: 16,
		Part: func(key []byte) (uint16, bool) {
			if len(key) < 3 || key[0] != 0x20 {
				return 0, false
			}
			return uint16(key[2]), true
		},
		PartRange: func(part uint16) (lower, upper []byte) {
			return []byte{0x20, 0, byte(part)}, []byte{0x20, 0, byte(part) + 1}
		},
		PartKeys: func(part uint16) int { return -int(part) * firstLayer / 2 }, // to make many filters anew
	}
}

func openMap(t testing.TB, store storage.Store, opts Options) *Map {
	t.Helper()
	m, err := Open(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// model is what a map must hold.
type model struct {
	applied uint64
	keys    map[string]string
}

func (m *model) clone() *model { return &model{m.applied, maps.Clone(m.keys)} }

// within returns the model's records in a range, as walk does.
func (m *model) within(lower, upper []byte) (lines []string) {
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if key >= string(lower) && key < string(upper) {
			lines = append(lines, fmt.Sprintf("%q=%q", key, m.keys[key]))
		}
	}
	return lines
}

// reader is what View and Tx have in common.
type reader interface {
	Get(key []byte) ([]byte, bool)
	Walk(lower, upper []byte) *Walker
	Err() error
}

func walk(r reader, lower, upper []byte) (lines []string) {
	w := r.Walk(lower, upper)
	defer w.Release()
	for w.Next() {
		lines = append(lines, fmt.Sprintf("%q=%q", w.Key(), w.Value()))
	}
	return lines
}

func randomKey(rng *rand.Rand) []byte {
	if rng.Intn(12) == 0 {
		return fmt.Appendf([]byte{1}, "name%d", rng.Intn(5))
	}
	return testKey(rng.Intn(8), rng.Intn(60))
}

// check compares a reader with the model.
func (m *model) check(t testing.TB, rng *rand.Rand, r reader) {
	t.Helper()
	for range 4 {
		key := randomKey(rng)
		value, ok := r.Get(key)
		if want, there := m.keys[string(key)]; ok != there || string(value) != want {
			t.Fatalf("at %d: Get(%q): %q, %v instead of %q, %v", m.applied, key, value, ok, want, there)
		}
	}
	ranges := [][2][]byte{{{1}, {2}}, {{0x20}, {0x21}}, {testKey(rng.Intn(8), rng.Intn(60)), {0x20, 0, 9}}}
	for _, bounds := range ranges[rng.Intn(2):] {
		if got, want := walk(r, bounds[0], bounds[1]), m.within(bounds[0], bounds[1]); !slices.Equal(got, want) {
			t.Fatalf("at %d: walk over %q: got\n%v\nwant\n%v", m.applied, bounds, got, want)
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
}

// commit runs a random transaction on both.
func (m *model) commit(t testing.TB, rng *rand.Rand, tx *Tx) {
	t.Helper()
	defer tx.Discard()
	for range 1 + rng.Intn(3) {
		save, before := tx.Save(), m.clone()
		m.change(rng, tx)
		if rng.Intn(5) == 0 {
			tx.Undo(save)
			*m = *before
		}
		if rng.Intn(6) == 0 {
			m.check(t, rng, tx)
		}
	}
	m.applied++
	if err := tx.Commit(Mark{Applied: m.applied, Clock: int64(m.applied) * 10}); err != nil {
		t.Fatal(err)
	}
}

func (m *model) change(rng *rand.Rand, tx *Tx) {
	if rng.Intn(80) == 0 {
		tx.Flush()
		maps.DeleteFunc(m.keys, func(key, _ string) bool { return !isOuter([]byte(key)) })
	}
	for range rng.Intn(12) {
		key := randomKey(rng)
		old, there := m.keys[string(key)]
		value := fmt.Sprintf("%d%s", rng.Intn(1000), bytes.Repeat([]byte("v"), rng.Intn(80)))
		switch rng.Intn(6) {
		case 0:
			tx.Delete(key)
			delete(m.keys, string(key))
		case 1:
			if there {
				tx.Erase(key, []byte(old))
				delete(m.keys, string(key))
			}
		case 2:
			if !there {
				tx.Insert(key, []byte(value))
				m.keys[string(key)] = value
			}
		default:
			tx.Put(key, []byte(value))
			m.keys[string(key)] = value
		}
	}
}

// TestModel runs random transactions beside random checkpoints, views that are held,
// sweeps and restarts, and compares everything with a plain map. A restart after a
// crash finds the state of the last checkpoint.
func TestModel(t *testing.T) {
	for seed := range int64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			var store storage.Store = storage.NewMemory()
			steps := 1200
			if seed == 0 {
				steps = 200
				level, err := storage.OpenLevel(filepath.Join(t.TempDir(), "db"), storage.LevelOptions{WriteBuffer: 16 << 10})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = level.Close() }()
				store = level
			}
			runModel(t, rng, store, steps)
		})
	}
}

type heldView struct {
	*View
	model *model
}

func runModel(t *testing.T, rng *rand.Rand, store storage.Store, steps int) {
	opts := testOptions()
	if rng.Intn(3) == 0 {
		opts.Cache = -1
	}
	m, now := openMap(t, store, opts), &model{keys: make(map[string]string)}
	durable := now.clone()
	history := map[uint64]*model{0: durable}
	var held []heldView
	drop := func() {
		for _, h := range held {
			h.model.check(t, rng, h)
			h.Close()
		}
		held = nil
	}
	for range steps {
		switch rng.Intn(20) {
		case 0, 1:
			held = append(held, heldView{m.View(), now.clone()})
		case 2:
			if len(held) > 4 {
				drop()
			}
		case 3, 4:
			if err := m.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		case 5:
			if err := m.sweep(); err != nil {
				t.Fatal(err)
			}
		case 6:
			drop()
			if rng.Intn(3) > 0 {
				break
			}
			if rng.Intn(2) == 0 {
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				durable = now.clone()
			}
			m = openMap(t, store, opts)
			if m.Mark().Applied < durable.applied {
				t.Fatalf("%d after a restart, %d was durable", m.Mark().Applied, durable.applied)
			}
			now = history[m.Mark().Applied].clone()
		default:
			now.commit(t, rng, m.Begin())
		}
		history[now.applied] = now.clone()
		if synced := m.Stats().Synced; synced > durable.applied {
			durable = history[synced].clone()
		}
		for _, h := range held {
			if rng.Intn(8) == 0 {
				h.model.check(t, rng, h)
			}
		}
		view := m.View()
		now.check(t, rng, view)
		view.Close()
	}
	drop()
	checkSwept(t, m)
}

// checkSwept verifies that sweeping leaves nothing but the world that counts.
func checkSwept(t *testing.T, m *Map) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for m.sweepable() {
		if err := m.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	it := m.store.Iterate([]byte{outerEnd}, nil)
	defer it.Release()
	prefix := worldPrefix(m.latest.Load().world.number)
	for it.Next() {
		if prefix == nil && it.Key()[0] >= worldEnd || !bytes.HasPrefix(it.Key(), prefix) {
			t.Fatalf("%q is left of another world", it.Key())
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
}

// An exported state is that of one commit, and of a store without worlds.
func TestExport(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	m, now := openMap(t, storage.NewMemory(), testOptions()), &model{keys: make(map[string]string)}
	if _, _, err := m.Export(); !errors.Is(err, ErrEmpty) {
		t.Errorf("of nothing: %v", err)
	}
	for range 60 {
		for range 10 {
			now.commit(t, rng, m.Begin())
		}
		applied, records, err := m.Export()
		if err != nil {
			t.Fatal(err)
		}
		want := now.clone()
		now.commit(t, rng, m.Begin())
		if err := m.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		copied := storage.NewMemory()
		var b storage.Batch
		for records.Next() {
			b.Put(records.Key(), records.Value())
		}
		if err := errors.Join(records.Err(), copied.Write(&b)); err != nil {
			t.Fatal(err)
		}
		records.Release()
		other := openMap(t, copied, testOptions())
		if applied != want.applied || other.Mark() != (Mark{Applied: applied, Clock: int64(applied) * 10}) || !other.Former() {
			t.Fatalf("exported %d of %d: %+v", applied, want.applied, other.Mark())
		}
		view := other.View()
		want.check(t, rng, view)
		view.Close()
		again := want.clone()
		again.commit(t, rng, other.Begin()) // over filters that are counted first
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		other = openMap(t, copied, testOptions())
		view = other.View()
		again.check(t, rng, view)
		view.Close()
	}
}
