package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
)

// dump returns the content of a store, or of a range of it.
func dump(t *testing.T, s Store, lower, upper []byte) []string {
	t.Helper()
	it := s.Iterate(lower, upper)
	defer it.Release()
	var lines []string
	for it.Next() {
		lines = append(lines, fmt.Sprintf("%s=%s", it.Key(), it.Value()))
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func openLevel(t testing.TB, dir string) *Level {
	t.Helper()
	// Small buffers, so that a few hundred batches reach tables and compactions.
	l, err := OpenLevel(dir, LevelOptions{WriteBuffer: 32 << 10, BlockCache: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeStore(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// randomBatch fills a batch and applies it to the model.
func randomBatch(rng *rand.Rand, b *Batch, model map[string]string) {
	b.Reset()
	for range 1 + rng.Intn(8) {
		key := fmt.Sprintf("key%03d", rng.Intn(400))
		if rng.Intn(3) == 0 {
			b.Delete([]byte(key))
			delete(model, key)
			continue
		}
		value := fmt.Sprintf("%d-%s", rng.Int63(), bytes.Repeat([]byte("v"), rng.Intn(100)))
		b.Put([]byte(key), []byte(value))
		model[key] = value
	}
}

func modelDump(model map[string]string, lower, upper string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if key >= lower && (upper == "" || key < upper) {
			lines = append(lines, key+"="+model[key])
		}
	}
	return lines
}

// TestStoresAgreeWithModel runs the same random batches on both stores and on a
// map, and compares reads, ranges and snapshots, also over reopening.
func TestStoresAgreeWithModel(t *testing.T) {
	for seed := range int64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			dir := t.TempDir()
			level, memory := openLevel(t, dir), NewMemory()
			defer func() { closeStore(t, level) }()
			model := make(map[string]string)
			var b Batch
			for step := range 600 {
				if rng.Intn(150) == 0 {
					closeStore(t, level)
					level = openLevel(t, dir)
				}
				var old [2]Iterator
				before := modelDump(model, "", "")
				for i, s := range []Store{level, memory} {
					old[i] = s.Iterate(nil, nil)
				}
				randomBatch(rng, &b, model)
				for i, s := range []Store{level, memory} {
					if err := s.Write(&b); err != nil {
						t.Fatal(err)
					}
					checkReads(t, rng, s, model)
					if step%20 == 0 {
						var seen []string
						for old[i].Next() {
							seen = append(seen, fmt.Sprintf("%s=%s", old[i].Key(), old[i].Value()))
						}
						if !slices.Equal(seen, before) {
							t.Fatalf("step %d: %T's iterator is no snapshot", step, s)
						}
					}
					old[i].Release()
				}
			}
		})
	}
}

func checkReads(t *testing.T, rng *rand.Rand, s Store, model map[string]string) {
	t.Helper()
	for range 5 {
		key := fmt.Sprintf("key%03d", rng.Intn(400))
		want, there := model[key]
		has, err := s.Has([]byte(key))
		if err != nil || has != there {
			t.Fatalf("%T.Has(%s) = %v, %v", s, key, has, err)
		}
		value, err := s.Get([]byte(key))
		if there && (err != nil || string(value) != want) || !there && !errors.Is(err, ErrNotFound) {
			t.Fatalf("%T.Get(%s) = %q, %v; want %q, %v", s, key, value, err, want, there)
		}
	}
	lower, upper := fmt.Sprintf("key%03d", rng.Intn(400)), fmt.Sprintf("key%03d", rng.Intn(400))
	if got, want := dump(t, s, []byte(lower), []byte(upper)), modelDump(model, lower, upper); !slices.Equal(got, want) {
		t.Fatalf("%T[%s,%s) = %q, want %q", s, lower, upper, got, want)
	}
}

// TestMemoryCrash checks what Clone and Synced promise.
func TestMemoryCrash(t *testing.T) {
	m := NewMemory()
	put := func(key string) {
		var b Batch
		b.Put([]byte(key), nil)
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	if err := m.Sync(); err != nil {
		t.Fatal(err)
	}
	put("b")
	clone := m.Clone()
	put("c")
	for _, c := range []struct {
		store *Memory
		want  []string
	}{
		{m.Synced(), []string{"a="}},
		{clone, []string{"a=", "b="}},
		{m, []string{"a=", "b=", "c="}},
	} {
		if got := dump(t, c.store, nil, nil); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestClosedStores checks that a closed store refuses instead of answering.
func TestClosedStores(t *testing.T) {
	for _, s := range []Store{NewMemory(), openLevel(t, t.TempDir())} {
		closeStore(t, s)
		var b Batch
		b.Put([]byte("k"), nil)
		_, getErr := s.Get([]byte("k"))
		it := s.Iterate(nil, nil)
		if it.Next() {
			t.Errorf("%T iterates", s)
		}
		for i, err := range []error{s.Write(&b), getErr, s.Sync(), it.Err(), s.Close()} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%T: call %d: %v", s, i, err)
			}
		}
		it.Release()
	}
}

func TestBatch(t *testing.T) {
	var b Batch
	b.Put([]byte("a"), []byte("1"))
	b.Delete([]byte("b"))
	b.Put([]byte("a"), nil)
	var ops []string
	b.Replay(
		func(k, v []byte) { ops = append(ops, fmt.Sprintf("put %s %s", k, v)) },
		func(k []byte) { ops = append(ops, "del "+string(k)) },
	)
	if want := []string{"put a 1", "del b", "put a "}; !slices.Equal(ops, want) || b.Len() != 3 || b.Size() < 4 {
		t.Errorf("%q, length %d, size %d", ops, b.Len(), b.Size())
	}
	if b.Reset(); b.Len() != 0 || b.Size() != 0 {
		t.Errorf("after Reset: length %d, size %d", b.Len(), b.Size())
	}
}

func TestPeek(t *testing.T) {
	store := NewMemory()
	if _, _, whole, ok := Peek(store.Iterate(nil, nil)); ok || whole.Next() {
		t.Error("an empty store has a first record")
	}
	var b Batch
	b.Put([]byte("a"), []byte("1"))
	b.Put([]byte("b"), []byte("2"))
	if err := store.Write(&b); err != nil {
		t.Fatal(err)
	}
	key, value, whole, ok := Peek(store.Iterate(nil, nil))
	if !ok || string(key) != "a" || string(value) != "1" {
		t.Errorf("the first record is %q=%q, %v", key, value, ok)
	}
	defer whole.Release()
	var seen []string
	for whole.Next() {
		seen = append(seen, fmt.Sprintf("%s=%s", whole.Key(), whole.Value()))
	}
	if !slices.Equal(seen, []string{"a=1", "b=2"}) {
		t.Errorf("all records are %q", seen)
	}
}
