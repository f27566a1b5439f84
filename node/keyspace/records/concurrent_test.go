package records

import (
	"errors"
	"fmt"
	"math/rand"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/testbed/limit"
)

const groupSize = 4

// TestConcurrent keeps groups of keys equal in every transaction, flushes now and
// then, and lets checkpoints, sweeps and readers run beside that: readers see groups
// whole, by every way of reading, and time does not go back.
func TestConcurrent(t *testing.T) {
	for _, kind := range []string{"memory", "level"} {
		t.Run(kind, func(t *testing.T) {
			var store storage.Store = storage.NewMemory()
			last := uint64(3000)
			if kind == "level" {
				last = 500
				level, err := storage.OpenLevel(filepath.Join(t.TempDir(), "db"), storage.LevelOptions{WriteBuffer: 16 << 10})
				if err != nil {
					t.Fatal(err)
				}
				defer level.Close()
				store = level
			}
			opts := testOptions()
			opts.Cache, opts.Interval = 8<<10, 5*time.Millisecond
			m := openMap(t, store, opts)
			m.Start()
			var done atomic.Bool
			var group sync.WaitGroup
			for reader := range 3 {
				group.Go(func() {
					rng, last := rand.New(rand.NewSource(int64(reader))), uint64(0)
					for !done.Load() {
						last = readGroup(t, m, rng, last)
					}
				})
			}
			group.Go(func() {
				for !done.Load() {
					exportGroups(t, m)
				}
			})
			for i := uint64(1); i <= last; i++ {
				writeGroup(t, m, i)
			}
			done.Store(true)
			group.Wait()
			checkSwept(t, m)
		})
	}
}

func groupKey(group uint64, i int) []byte { return testKey(int(group%8), int(group)*10+i) }

func writeGroup(t *testing.T, m *Map, n uint64) {
	tx := m.Begin()
	defer tx.Discard()
	group := n * 7 % 60
	if n%200 == 0 {
		tx.Flush()
	}
	for i := range groupSize {
		if n%3 == 0 {
			tx.Delete(groupKey(group, i))
		} else {
			tx.Put(groupKey(group, i), fmt.Appendf(nil, "%d", n))
		}
	}
	if err := tx.Commit(Mark{Applied: n}); err != nil {
		t.Error(err)
	}
}

func readGroup(t *testing.T, m *Map, rng *rand.Rand, last uint64) uint64 {
	view := m.View()
	defer view.Close()
	if view.Mark().Applied < last {
		t.Errorf("from %d back to %d", last, view.Mark().Applied)
	}
	group := uint64(rng.Intn(60))
	first, ok := view.Get(groupKey(group, 0))
	for _, i := range rng.Perm(groupSize) {
		if value, there := view.Get(groupKey(group, i)); there != ok || string(value) != string(first) {
			t.Errorf("group %d: %q (%v) and %q (%v)", group, first, ok, value, there)
		}
	}
	if rng.Intn(8) == 0 {
		w := view.Walk([]byte{0x20}, []byte{0x21})
		n := 0
		for w.Next() {
			n++
			if value, ok := view.Get(w.Key()); !ok || string(value) != string(w.Value()) {
				t.Errorf("%q: walk shows %q, Get %q (%v)", w.Key(), w.Value(), value, ok)
			}
		}
		w.Release()
		if n%groupSize != 0 {
			t.Errorf("the walk shows %d keys", n)
		}
	}
	if err := view.Err(); err != nil {
		t.Error(err)
	}
	return view.Mark().Applied
}

// exportGroups checks that what is exported has whole groups.
func exportGroups(t *testing.T, m *Map) {
	_, it, err := m.Export()
	if err != nil {
		if !errors.Is(err, ErrEmpty) {
			t.Error(err)
		}
		return
	}
	defer it.Release()
	values := make(map[string]int)
	for it.Next() {
		if it.Key()[0] == 0x20 {
			values[string(it.Value())]++
		}
	}
	for value, n := range values {
		if n != groupSize {
			t.Errorf("%d keys have %q", n, value)
		}
	}
	if err := it.Err(); err != nil {
		t.Error(err)
	}
}

// slowStore lets no transaction commit until told.
type slowStore struct {
	storage.Store
	begun, goOn chan struct{}
}

type slowTransaction struct {
	storage.Transaction
	store *slowStore
}

func (s *slowStore) Begin() (storage.Transaction, error) {
	tr, err := s.Store.Begin()
	return slowTransaction{tr, s}, err
}

func (t slowTransaction) Commit() error {
	t.store.begun <- struct{}{}
	<-t.store.goOn
	return t.Transaction.Commit()
}

// TestStalledDisk: while a checkpoint does not end, changes go on until memory is
// used up, and then wait, and say so; reads go on.
func TestStalledDisk(t *testing.T) {
	store := &slowStore{storage.NewMemory(), make(chan struct{}), make(chan struct{})}
	opts := testOptions()
	m := openMap(t, store, opts)
	m.Start()
	var written atomic.Int64
	finished := make(chan struct{})
	const last = 500
	go func() {
		defer close(finished)
		for i := range last {
			tx := m.Begin()
			tx.Put(testKey(1, i), make([]byte, 100))
			if err := tx.Commit(Mark{Applied: uint64(i + 1)}); err != nil {
				t.Error(err)
			}
			written.Add(1)
		}
	}()
	<-store.begun
	for deadline := time.Now().Add(limit.Wait()); !m.Stats().Waiting; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("changes do not wait")
		}
	}
	n := written.Load()
	if dirty := m.Stats().Dirty; n >= last || dirty > opts.Dirty+1000 || dirty < opts.Dirty/2 {
		t.Errorf("%d of %d were written, %d bytes are dirty", n, last, dirty)
	}
	view := m.View()
	if _, ok := view.Get(testKey(1, int(n-1))); !ok {
		t.Error("what was written last is not there")
	}
	view.Close()
	go func() {
		for range store.begun {
			store.goOn <- struct{}{}
		}
	}()
	store.goOn <- struct{}{}
	<-finished
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.Stalls == 0 || s.Stalled == 0 || s.Waiting || s.Dirty != 0 || s.Synced != last {
		t.Errorf("%+v", s)
	}
}

// TestFlushWaitsForNobody: neither views nor a checkpoint that is under way hold it
// up, and it holds up nobody.
func TestFlushWaitsForNobody(t *testing.T) {
	store := &slowStore{storage.NewMemory(), make(chan struct{}), make(chan struct{})}
	m := openMap(t, store, testOptions())
	put := func(i int, flush bool) {
		tx := m.Begin()
		if flush {
			tx.Flush()
		}
		tx.Put(testKey(1, i), nil)
		if err := tx.Commit(Mark{Applied: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	put(1, false)
	view := m.View()
	checkpointed := make(chan error)
	go func() { checkpointed <- m.Checkpoint() }()
	<-store.begun
	put(2, true)
	after := m.View()
	for i, want := range map[int]bool{1: true, 2: false} {
		if _, ok := view.Get(testKey(1, i)); ok != want {
			t.Errorf("before the flush, key %d: %v", i, ok)
		}
		if _, ok := after.Get(testKey(1, i)); ok == want {
			t.Errorf("after the flush, key %d: %v", i, ok)
		}
	}
	after.Close()
	store.goOn <- struct{}{}
	if err := <-checkpointed; err != nil {
		t.Fatal(err)
	}
	go func() {
		for range store.begun {
			store.goOn <- struct{}{}
		}
	}()
	if err := m.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if m.sweepable() {
		t.Error("what a view reads may be swept")
	}
	if got := walk(view, []byte{0x20}, []byte{0x21}); len(got) != 1 {
		t.Errorf("the view sees %q", got)
	}
	view.Close()
	if !m.sweepable() {
		t.Error("nothing is to be swept")
	}
	checkSwept(t, m)
}
