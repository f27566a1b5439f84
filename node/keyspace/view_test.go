package keyspace

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/testbed/limit"
)

// hookedStore calls functions around a transaction's Commit, and after Get has read
// a key's metadata.
type hookedStore struct {
	storage.Store
	before, after func()
	got           func()
	fail          error
}

func (s *hookedStore) Get(key []byte) ([]byte, error) {
	value, err := s.Store.Get(key)
	if s.got != nil && key[0] == classKey {
		s.got()
	}
	return value, err
}

func (s *hookedStore) Begin() (storage.Transaction, error) {
	tr, err := s.Store.Begin()
	return hookedTransaction{tr, s}, err
}

type hookedTransaction struct {
	storage.Transaction
	store *hookedStore
}

func (t hookedTransaction) Commit() error {
	if t.store.fail != nil {
		return t.store.fail
	}
	if t.store.before != nil {
		t.store.before()
	}
	err := t.Transaction.Commit()
	if t.store.after != nil {
		t.store.after()
	}
	return err
}

// TestViewsInTheMiddleOfACheckpoint opens views right before and right after what
// was committed gets into the store, with an empty and a warm cache, and holds some
// from before: they see what they would without it.
func TestViewsInTheMiddleOfACheckpoint(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for _, cacheBytes := range []int64{-1, 16 << 10, 1 << 20} {
		store := &hookedStore{Store: storage.NewMemory()}
		ks, err := Open(store, Options{CacheBytes: cacheBytes})
		if err != nil {
			t.Fatal(err)
		}
		m, hooks := newModel(), 0
		for range 60 {
			former, held := m.clone(), ks.View(0)
			tx := ks.Begin()
			runEntries(t, rng, tx, m)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			look := func() {
				hooks++
				view := ks.View(0)
				defer view.Close()
				m.check(t, rng, view)
				former.check(t, rng, held)
				for name := range m.keys {
					m.checkKey(t, view, name)
					former.checkKey(t, held, name)
				}
			}
			store.before, store.after = look, look
			checkpoint(t, ks)
			store.before, store.after = nil, nil
			look()
			held.Close()
			checkInvariants(t, ks)
		}
		if hooks < 60 {
			t.Fatalf("only %d views were opened inside of a checkpoint", hooks)
		}
	}
}

// TestConcurrentViews keeps keys equal to each other in every transaction, and
// lets readers check that, and that time does not go back.
func TestConcurrentViews(t *testing.T) {
	for name, newStore := range stores(t) {
		t.Run(name, func(t *testing.T) {
			store, _ := newStore()
			defer store.Close()
			ks, err := Open(store, Options{CacheBytes: 24 << 10}) // small enough to evict
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			var done atomic.Bool
			for reader := range 3 {
				group.Go(func() {
					rng := rand.New(rand.NewSource(int64(reader)))
					var last uint64
					for !done.Load() {
						last = readGroup(t, ks, rng, last)
					}
				})
			}
			const entries = 1500
			for index := uint64(1); index <= entries; index++ {
				write(t, ks, index, int64(index), func(tx *Tx) { writeGroup(tx, index) })
			}
			done.Store(true)
			group.Wait()
			checkInvariants(t, ks)
		})
	}
}

const groupSize = 5

func groupKey(group uint64, i int) []byte { return fmt.Appendf(nil, "group%d:%d", group, i) }

// writeGroup sets the keys of a group to the same value, deletes them all, or,
// now and then, flushes.
func writeGroup(tx *Tx, index uint64) {
	group := index % 40
	if index%500 == 0 {
		tx.Flush()
		return
	}
	for i := range groupSize {
		if index%3 == 0 {
			tx.Delete(groupKey(group, i))
		} else {
			tx.SetString(groupKey(group, i), fmt.Append(nil, index), 0)
		}
	}
}

// readGroup checks a random group in one view: all keys have the same value and
// are shown by every way of reading.
func readGroup(t *testing.T, ks *Keyspace, rng *rand.Rand, last uint64) uint64 {
	applied := ks.Applied()
	if applied < last {
		t.Errorf("applied went from %d back to %d", last, applied)
	}
	view := ks.View(0)
	defer view.Close()
	group := uint64(rng.Intn(40))
	first, ok := view.Lookup(groupKey(group, 0))
	for _, i := range rng.Perm(groupSize) {
		if m, there := view.Lookup(groupKey(group, i)); there != ok || string(m.Value) != string(first.Value) {
			t.Errorf("group %d: %q (%v) and %q (%v)", group, first.Value, ok, m.Value, there)
		}
	}
	if rng.Intn(10) == 0 {
		keys := int64(0)
		view.Each(func(key []byte, m Meta) bool {
			keys++
			if got, ok := view.Lookup(key); !ok || string(got.Value) != string(m.Value) || got.Version != m.Version {
				t.Errorf("%s: walk shows %q, look-up %q (%v)", key, m.Value, got.Value, ok)
			}
			return true
		})
		if keys != view.Len() || keys%groupSize != 0 {
			t.Errorf("walk shows %d keys, Len says %d", keys, view.Len())
		}
	}
	if err := view.Err(); err != nil {
		t.Error(err)
	}
	return applied
}

// TestLateFill commits while a reader holds what the store said before: the
// reader may answer that, but the cache must not keep it.
func TestLateFill(t *testing.T) {
	const cacheBytes = 64 << 10
	key, big := []byte("k"), make([]byte, cacheBytes/16) // too big to be cached
	for _, value := range [][]byte{[]byte("new"), big, nil} {
		store := &hookedStore{Store: storage.NewMemory()}
		former := open(t, store)
		write(t, former, 1, 1, func(tx *Tx) { tx.SetString(key, []byte("old"), 0) })
		if err := former.Close(); err != nil {
			t.Fatal(err)
		}
		ks := open(t, store) // with a cold cache
		store.got = func() {
			store.got = nil
			write(t, ks, 2, 1, func(tx *Tx) {
				if value == nil {
					tx.Delete(key)
				} else {
					tx.SetString(key, value, 0)
				}
			})
		}
		view := ks.View(0)
		if m, ok := view.Lookup(key); !ok || string(m.Value) != "old" {
			t.Errorf("the view sees %q, %v", m.Value, ok)
		}
		view.Close()
		view = ks.View(0)
		if m, ok := view.Lookup(key); ok != (value != nil) || string(m.Value) != string(value) {
			t.Errorf("after the commit: %d bytes, %v; want %d bytes", len(m.Value), ok, len(value))
		}
		view.Close()
	}
}

// TestFailedCheckpoint fails the store: what was committed stays visible, and
// nothing can be committed any more.
func TestFailedCheckpoint(t *testing.T) {
	store := &hookedStore{Store: storage.NewMemory()}
	ks := open(t, store)
	write(t, ks, 1, 10, func(tx *Tx) { tx.SetString([]byte("k"), []byte("old"), 0) })
	before := content(ks)
	cause := errors.New("disk full")
	store.fail = cause
	if _, err := ks.Sync(1); !errors.Is(err, cause) {
		t.Fatalf("Sync: %v", err)
	}
	store.fail = nil
	tx := ks.Begin()
	tx.StartEntry(2, 20)
	tx.SetString([]byte("k"), []byte("new"), 0)
	if err := tx.Commit(); !errors.Is(err, cause) {
		t.Fatalf("Commit: %v", err)
	}
	if got := content(ks); fmt.Sprint(got) != fmt.Sprint(before) || ks.Applied() != 1 || ks.Clock() != 10 {
		t.Errorf("after a failed checkpoint: %q, applied %d", got, ks.Applied())
	}
	if _, err := ks.Sync(1); !errors.Is(err, cause) {
		t.Errorf("the next Sync: %v", err)
	}
	if err := ks.Close(); !errors.Is(err, cause) {
		t.Errorf("Close: %v", err)
	}
}

// Whoever owns the keyspace hears of a checkpoint that fails in the background, though
// nobody writes any more.
func TestFailedInBackground(t *testing.T) {
	cause, told := errors.New("disk full"), make(chan error, 1)
	store := &hookedStore{Store: storage.NewMemory(), fail: cause}
	ks, err := Open(store, Options{CheckpointInterval: time.Millisecond, Failed: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	write(t, ks, 1, 10, func(tx *Tx) { tx.SetString([]byte("k"), []byte("old"), 0) })
	ks.Start()
	select {
	case err := <-told:
		if !errors.Is(err, cause) {
			t.Errorf("it is told of %v", err)
		}
	case <-time.After(limit.Wait()):
		t.Error("nobody is told")
	}
	ks.Abandon()
}

// TestScanCursor calls Scan while keys come and go between the calls: every key
// that is there throughout is returned exactly once.
func TestScanCursor(t *testing.T) {
	ks := open(t, storage.NewMemory())
	rng := rand.New(rand.NewSource(5))
	index := uint64(1)
	write(t, ks, index, 1, func(tx *Tx) {
		for i := range 300 {
			tx.SetString(fmt.Appendf(nil, "stay%d", i), nil, 0)
		}
		// A slot's keys differ in their fingerprints only.
		for i := range 40 {
			tx.SetString(fmt.Appendf(nil, "{tag}stay%d", i), nil, 0)
		}
	})
	for range 20 {
		seen := make(map[string]int)
		var cursor uint64
		for first := true; first || cursor != 0; first = false {
			view := ks.View(0)
			cursor = view.Scan(cursor, rng.Intn(12), func(key []byte, _ Meta) { seen[string(key)]++ })
			view.Close()
			index++
			write(t, ks, index, 1, func(tx *Tx) {
				for range 4 {
					key := fmt.Appendf(nil, "{tag}come%d", rng.Intn(50))
					if !tx.Delete(key) {
						tx.SetString(key, nil, 0)
					}
				}
			})
		}
		stayed := 0
		for key, n := range seen {
			if n != 1 {
				t.Fatalf("%s was returned %d times", key, n)
			}
			if key[:4] == "stay" || key[:9] == "{tag}stay" {
				stayed++
			}
		}
		if stayed != 340 {
			t.Fatalf("%d of 340 keys were returned", stayed)
		}
	}
}

// TestScanFingerprintCollision gives many keys one slot and one fingerprint: a
// call returns them all.
func TestScanFingerprintCollision(t *testing.T) {
	ks := open(t, storage.NewMemory())
	// CRC32C is linear, so appending a fitting four bytes forces any fingerprint.
	var keys [][]byte
	for i := range 20 {
		keys = append(keys, forceFingerprint(fmt.Appendf(nil, "{s}%d.", i), 0x1234abcd))
	}
	write(t, ks, 1, 1, func(tx *Tx) {
		for _, key := range keys {
			tx.SetString(key, nil, 0)
		}
		tx.SetString([]byte("{s}other"), nil, 0)
	})
	view := ks.View(0)
	defer view.Close()
	most, cursor := 0, uint64(0)
	for first := true; first || cursor != 0; first = false {
		n := 0
		cursor = view.Scan(cursor, 1, func([]byte, Meta) { n++ })
		most = max(most, n)
	}
	if most != len(keys) {
		t.Errorf("at most %d keys in one call instead of %d", most, len(keys))
	}
	for _, cursor := range []uint64{CursorEnd, 1 << 63, ^uint64(0)} {
		if next := view.Scan(cursor, 10, func(key []byte, _ Meta) { t.Errorf("%q", key) }); next != 0 {
			t.Errorf("Scan(%d) = %d", cursor, next)
		}
	}
}

// forceFingerprint appends four bytes to key such that its fingerprint is want.
func forceFingerprint(key []byte, want uint32) []byte {
	key = append(key, 0, 0, 0, 0)
	tail := key[len(key)-4:]
	// Gaussian elimination over the 32 bits of the tail.
	base := fingerprint(key)
	var rows, uses [32]uint32
	for bit := range 32 {
		tail[bit/8] ^= 1 << (bit % 8)
		rows[bit], uses[bit] = fingerprint(key)^base, 1<<bit
		tail[bit/8] ^= 1 << (bit % 8)
	}
	need, chosen := base^want, uint32(0)
	for column := range 32 {
		for i := column; i < 32; i++ {
			if rows[i]>>column&1 == 1 {
				rows[i], rows[column] = rows[column], rows[i]
				uses[i], uses[column] = uses[column], uses[i]
				break
			}
		}
		for i := range 32 {
			if i != column && rows[i]>>column&1 == 1 {
				rows[i] ^= rows[column]
				uses[i] ^= uses[column]
			}
		}
		if need>>column&1 == 1 {
			need ^= rows[column]
			chosen ^= uses[column]
		}
	}
	for bit := range 32 {
		if chosen>>bit&1 == 1 {
			tail[bit/8] ^= 1 << (bit % 8)
		}
	}
	return key
}
