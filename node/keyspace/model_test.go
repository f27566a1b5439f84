package keyspace

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// model is what a keyspace should hold, as a plain map.
type model struct {
	keys    map[string]Meta
	named   map[string]string
	applied uint64
	clock   int64
}

func newModel() *model {
	return &model{keys: make(map[string]Meta), named: make(map[string]string)}
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.keys), maps.Clone(m.named), m.applied, m.clock}
}

func (m *model) live(key string) bool {
	meta, ok := m.keys[key]
	return ok && (meta.ExpireAt == 0 || meta.ExpireAt > m.clock)
}

// due returns the expired keys in the order in which they are to be deleted.
func (m *model) due() []string {
	var due []string
	for key, meta := range m.keys {
		if meta.ExpireAt != 0 && meta.ExpireAt <= m.clock {
			due = append(due, key)
		}
	}
	index := func(key string) string {
		at := appendStoredKey(nil, slot.Of([]byte(key)), fingerprint([]byte(key)), []byte(key))
		return string(appendExpiryKey(nil, m.keys[key].ExpireAt, at))
	}
	slices.SortFunc(due, func(a, b string) int {
		if index(a) < index(b) {
			return -1
		}
		return 1
	})
	return due
}

// reader is what a view and a transaction have in common.
type reader interface {
	Lookup(key []byte) (Meta, bool)
	Len() int64
	LenSlot(s uint16) int64
	KeysInSlot(s uint16, limit int) [][]byte
	Scan(cursor uint64, count int, fn func(key []byte, m Meta)) (next uint64)
	Each(fn func(key []byte, m Meta) bool)
	Meta(name string) ([]byte, error)
	Now() int64
	Err() error
}

// step does one random operation on both and compares the results.
func (m *model) step(t *testing.T, rng *rand.Rand, tx *Tx, op uint32) (nextOp uint32) {
	t.Helper()
	name := fmt.Sprintf("{%d}%d", rng.Intn(12), rng.Intn(12))
	key := []byte(name)
	was := m.live(name)
	expire := int64(0)
	if rng.Intn(2) == 0 {
		expire = m.clock + int64(rng.Intn(60)) - 10
	}
	gone := expire != 0 && expire <= m.clock
	switch rng.Intn(13) {
	case 0, 1, 2, 3, 4:
		value := fmt.Sprint(rng.Int63())
		tx.SetString(key, []byte(value), expire)
		m.keys[name] = Meta{
			Type: TypeString, ExpireAt: expire, Value: []byte(value),
			Version: Version{m.applied, op}, Size: int64(len(value)),
		}
		if op++; gone { // a deletion needs no version
			delete(m.keys, name)
			op--
		}
	case 5, 6:
		if got := tx.Delete(key); got != was {
			t.Fatalf("Delete(%s) = %v", name, got)
		}
		delete(m.keys, name)
	case 7:
		if got := tx.SetExpire(key, expire); got != was {
			t.Fatalf("SetExpire(%s) = %v", name, got)
		}
		if meta := m.keys[name]; was && !gone {
			if expire != 0 || meta.ExpireAt != 0 {
				meta.ExpireAt, meta.Version = expire, Version{m.applied, op}
				op++
			}
			m.keys[name] = meta
		} else {
			delete(m.keys, name)
		}
	case 8:
		m.checkKey(t, tx, name)
		if !was {
			delete(m.keys, name)
		}
	case 9:
		limit := rng.Intn(4)
		due := m.due()
		due = due[:min(len(due), limit)]
		if n := tx.DeleteExpired(limit); n != len(due) {
			t.Fatalf("DeleteExpired(%d) = %d, want %d", limit, n, len(due))
		}
		for _, name := range due {
			delete(m.keys, name)
		}
	case 10:
		m.named["n"] = fmt.Sprint(rng.Int())
		tx.PutMeta("n", []byte(m.named["n"]))
	case 11:
		op = m.rename(t, rng, tx, name, op)
	case 12:
		if rng.Intn(40) == 0 {
			tx.Flush()
			clear(m.keys)
		}
	}
	return op
}

// rename renames or copies a key within its slot.
func (m *model) rename(t *testing.T, rng *rand.Rand, tx *Tx, name string, op uint32) (nextOp uint32) {
	to := fmt.Sprintf("%s%d", name[:strings.Index(name, "}")+1], rng.Intn(12))
	move, was := rng.Intn(2) == 0, m.live(name)
	if !move && name == to {
		return op
	}
	do := tx.Copy
	if move {
		do = tx.Rename
	}
	if got := do([]byte(name), []byte(to)); got != was {
		t.Fatalf("%s to %s: %v", name, to, got)
	}
	meta := m.keys[name]
	if !was || move && name != to {
		delete(m.keys, name)
	}
	if was && name != to {
		meta.Version = Version{m.applied, op}
		op++
		m.keys[to] = meta
	}
	return op
}

func (m *model) checkKey(t *testing.T, tx reader, name string) {
	t.Helper()
	meta, ok := tx.Lookup([]byte(name))
	want := m.keys[name]
	if ok != m.live(name) || ok && fmt.Sprint(meta) != fmt.Sprint(want) {
		t.Fatalf("Lookup(%s) = %v, %v; want %v, %v", name, meta, ok, want, m.live(name))
	}
}

// check compares everything a transaction or view shows with the model.
func (m *model) check(t *testing.T, rng *rand.Rand, tx reader) {
	t.Helper()
	if tx.Len() != int64(len(m.keys)) {
		t.Fatalf("Len %d, want %d", tx.Len(), len(m.keys))
	}
	want := make(map[string]Meta)
	slots := make(map[uint16]int64)
	for name, meta := range m.keys {
		slots[slot.Of([]byte(name))]++
		if m.live(name) {
			want[name] = meta
		}
	}
	for s, n := range slots {
		if tx.LenSlot(s) != n {
			t.Fatalf("LenSlot(%d) = %d, want %d", s, tx.LenSlot(s), n)
		}
		for _, key := range tx.KeysInSlot(s, 1000) {
			if _, ok := want[string(key)]; !ok || slot.Of(key) != s {
				t.Fatalf("KeysInSlot(%d) returns %q", s, key)
			}
		}
	}
	got := make(map[string]Meta)
	var cursor uint64
	for first := true; first || cursor != 0; first = false {
		cursor = tx.Scan(cursor, 1+rng.Intn(9), func(key []byte, meta Meta) {
			meta.Value = append([]byte(nil), meta.Value...)
			got[string(key)] = meta
		})
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("Scan shows %v, want %v", got, want)
	}
	clear(got)
	tx.Each(func(key []byte, meta Meta) bool {
		meta.Value = append([]byte(nil), meta.Value...)
		got[string(key)] = meta
		return true
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("Each shows %v, want %v", got, want)
	}
	value, err := tx.Meta("n")
	if err != nil || string(value) != m.named["n"] {
		t.Fatalf("Meta: %q, %v, want %q", value, err, m.named["n"])
	}
	if tx.Now() != m.clock || tx.Err() != nil {
		t.Fatalf("Now %d, want %d; error %v", tx.Now(), m.clock, tx.Err())
	}
}

// stores returns a constructor of each kind of store, with a way to reopen it.
func stores(t *testing.T) map[string]func() (storage.Store, func(storage.Store) storage.Store) {
	level := func(dir string) storage.Store {
		l, err := storage.OpenLevel(dir, storage.LevelOptions{WriteBuffer: 16 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	return map[string]func() (storage.Store, func(storage.Store) storage.Store){
		"memory": func() (storage.Store, func(storage.Store) storage.Store) {
			return storage.NewMemory(), func(s storage.Store) storage.Store { return s.(*storage.Memory).Clone() }
		},
		"level": func() (storage.Store, func(storage.Store) storage.Store) {
			dir := filepath.Join(t.TempDir(), "db")
			return level(dir), func(s storage.Store) storage.Store {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return level(dir)
			}
		},
	}
}

// TestModel runs random transactions of random entries against a map, with
// discards and reopenings, and old views next to new commits.
func TestModel(t *testing.T) {
	for name, newStore := range stores(t) {
		for seed := range int64(4) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				rng := rand.New(rand.NewSource(seed))
				store, reopen := newStore()
				defer func() { store.Close() }()
				ks, m := open(t, store), newModel()
				for range 120 {
					before, view := m.clone(), ks.View(0)
					next := m.clone()
					tx := ks.Begin()
					runEntries(t, rng, tx, next)
					next.check(t, rng, tx)
					if rng.Intn(6) == 0 {
						tx.Discard()
					} else if err := tx.Commit(); err != nil {
						t.Fatal(err)
					} else {
						m = next
					}
					if rng.Intn(5) == 0 {
						checkpoint(t, ks)
					}
					before.check(t, rng, view)
					for name := range next.keys {
						before.checkKey(t, view, name)
					}
					view.Close()
					view = ks.View(0)
					m.check(t, rng, view)
					view.Close()
					checkInvariants(t, ks)
					if rng.Intn(25) == 0 {
						ks, store = reopened(t, ks, store, reopen)
					}
					if ks.Applied() != m.applied || ks.Clock() != m.clock {
						t.Fatalf("applied %d, clock %d, want %d, %d", ks.Applied(), ks.Clock(), m.applied, m.clock)
					}
				}
			})
		}
	}
}

// reopened closes a keyspace and opens what its store holds then.
func reopened(t *testing.T, ks *Keyspace, store storage.Store, reopen func(storage.Store) storage.Store) (*Keyspace, storage.Store) {
	t.Helper()
	if err := ks.Close(); err != nil {
		t.Fatal(err)
	}
	store = reopen(store)
	return open(t, store), store
}

// runEntries runs some entries on both.
func runEntries(t *testing.T, rng *rand.Rand, tx *Tx, m *model) {
	for range 1 + rng.Intn(4) {
		m.applied += uint64(1 + rng.Intn(2))
		now := m.clock + int64(rng.Intn(20)) - 5
		m.clock = max(m.clock, now)
		tx.StartEntry(m.applied, now)
		var op uint32
		for range rng.Intn(12) {
			op = m.step(t, rng, tx, op)
		}
	}
}

// TestDeterminism applies the same entries with different transaction borders,
// caches and stores. What is stored must be the same, byte for byte.
func TestDeterminism(t *testing.T) {
	run := func(perTx int, opts Options, seed int64) string {
		store := storage.NewMemory()
		ks, err := Open(store, opts)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewSource(seed))
		m := newModel()
		tx := ks.Begin()
		for i := range 400 {
			if i%perTx == 0 {
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				tx = ks.Begin()
			}
			runEntries(t, rng, tx, m)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		checkInvariants(t, ks)
		return dump(t, ks)
	}
	for seed := range int64(3) {
		want := run(1, Options{}, seed)
		for _, perTx := range []int{3, 50, 400} {
			for _, cacheBytes := range []int64{-1, 20 << 10} {
				if got := run(perTx, Options{CacheBytes: cacheBytes}, seed); got != want {
					t.Fatalf("seed %d, %d entries a transaction, cache of %d bytes: another content", seed, perTx, cacheBytes)
				}
			}
		}
	}
}

// TestCrash commits transactions and crashes after each: the store falls back to the
// last checkpoint, and content, applied index and clock are those of that one.
func TestCrash(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	store := storage.NewMemory()
	ks, m := open(t, store), newModel()
	durable := m.clone()
	for range 150 {
		tx := ks.Begin()
		runEntries(t, rng, tx, m)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if rng.Intn(4) == 0 {
			if synced, err := ks.Sync(m.applied); err != nil || synced != m.applied {
				t.Fatalf("Sync: %d, %v", synced, err)
			}
			durable = m.clone()
		}
		for _, left := range []storage.Store{store.Clone(), store.Synced()} {
			after := open(t, left)
			checkInvariants(t, after)
			view := after.View(0)
			durable.check(t, rng, view)
			view.Close()
			if after.Applied() != durable.applied || after.Clock() != durable.clock {
				t.Fatalf("applied %d, clock %d, want %d, %d", after.Applied(), after.Clock(), durable.applied, durable.clock)
			}
		}
	}
}

// TestSyncIsLazy: what is in the store already is not brought there again.
func TestSyncIsLazy(t *testing.T) {
	ks := open(t, storage.NewMemory())
	for index := uint64(1); index <= 10; index++ {
		write(t, ks, index, 1, func(tx *Tx) { tx.SetString([]byte("k"), nil, 0) })
		if synced, err := ks.Sync(index &^ 3); err != nil || synced < index&^3 || synced > index {
			t.Fatalf("at %d: %d, %v", index, synced, err)
		}
	}
	if n := ks.Stats().Checkpoints; n != 2 {
		t.Errorf("%d checkpoints", n)
	}
	if synced, err := ks.Sync(1000); err != nil || synced != 10 {
		t.Errorf("beyond what was committed: %d, %v", synced, err)
	}
}

// TestFormerStore opens a store as earlier versions have written it: without the
// number of keys that expire.
func TestFormerStore(t *testing.T) {
	rng := rand.New(rand.NewSource(9))
	ks, m := open(t, storage.NewMemory()), newModel()
	for range 40 {
		tx := ks.Begin()
		runEntries(t, rng, tx, m)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	_, records, err := ks.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer records.Release()
	former := storage.NewMemory()
	var b storage.Batch
	for records.Next() {
		value := records.Value()
		if records.Key()[0] == classCount {
			n, _ := decodeCounts(value)
			value = binary.AppendUvarint(nil, uint64(n.keys))
		}
		b.Put(records.Key(), value)
	}
	if err := former.Write(&b); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ks = open(t, former)
		checkInvariants(t, ks)
		view := ks.View(0)
		m.check(t, rng, view)
		view.Close()
		if err := ks.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ks.recs.Former() {
		t.Error("the store is still of the former format")
	}
}
