package keyspace

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// Every change of a key, its expiry and its elements too, gives it a version that no
// other state of it has had; reads and what changes nothing do not.
func TestWatchSeesChanges(t *testing.T) {
	for _, inline := range []int{0, -1} { // in the record, and in pages
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) { testWatch(t, Options{inlineLimit: inline}) })
	}
}

type watchStep struct {
	name    string
	changes bool
	do      func(tx *Tx)
}

func testWatch(t *testing.T, opts Options) {
	key := []byte("k")
	hash := func(do func(h *Hash)) func(tx *Tx) {
		return func(tx *Tx) {
			h, err := tx.Hash(key)
			if err != nil {
				t.Fatal(err)
			}
			do(h)
		}
	}
	sorted := func(do func(z *SortedSet)) func(tx *Tx) {
		return func(tx *Tx) {
			z, err := tx.SortedSet(key)
			if err != nil {
				t.Fatal(err)
			}
			do(z)
		}
	}
	set := func(do func(s *Set)) func(tx *Tx) {
		return func(tx *Tx) {
			s, err := tx.Set(key)
			if err != nil {
				t.Fatal(err)
			}
			do(s)
		}
	}
	list := func(do func(l *List)) func(tx *Tx) {
		return func(tx *Tx) {
			l, err := tx.List(key)
			if err != nil {
				t.Fatal(err)
			}
			do(l)
		}
	}
	field, value := []byte("f"), []byte("v")
	clear := watchStep{"delete", true, func(tx *Tx) { tx.Delete(key) }}
	steps := []watchStep{
		{"set", true, func(tx *Tx) { tx.SetString(key, value, 0) }},
		{"set the same", true, func(tx *Tx) { tx.SetString(key, value, 0) }},
		{"look", false, func(tx *Tx) { tx.Lookup(key) }},
		{"expire", true, func(tx *Tx) { tx.SetExpire(key, 1<<40) }},
		{"expire at the same time", true, func(tx *Tx) { tx.SetExpire(key, 1<<40) }},
		{"persist", true, func(tx *Tx) { tx.SetExpire(key, 0) }},
		{"persist again", false, func(tx *Tx) { tx.SetExpire(key, 0) }},
		{"rename to itself", false, func(tx *Tx) { tx.Rename(key, key) }},
		{"delete another", false, func(tx *Tx) { tx.Delete([]byte("{k}2")) }},
		{"copy away", false, func(tx *Tx) { tx.Copy(key, []byte("{k}2")) }},
		{"rename over it", true, func(tx *Tx) { tx.Rename([]byte("{k}2"), key) }},
		{"copy over it", true, func(tx *Tx) {
			tx.SetString([]byte("{k}2"), value, 0)
			tx.Copy([]byte("{k}2"), key)
		}},
		{"rename away", true, func(tx *Tx) { tx.Rename(key, []byte("{k}2")) }},
		{"and back", true, func(tx *Tx) { tx.Rename([]byte("{k}2"), key) }},
		clear,
		{"hset", true, hash(func(h *Hash) { h.Set(field, value, 0) })},
		{"hset another", true, hash(func(h *Hash) { h.Set([]byte("g"), value, 0) })},
		{"hset the same", true, hash(func(h *Hash) { h.Set(field, value, 0) })},
		{"hget", false, hash(func(h *Hash) { h.Get(field) })},
		{"hexpire", true, hash(func(h *Hash) { h.SetExpire(field, 1<<40) })},
		{"hpersist", true, hash(func(h *Hash) { h.SetExpire(field, 0) })},
		{"hdel nothing", false, hash(func(h *Hash) { h.Delete([]byte("x")) })},
		{"hdel", true, hash(func(h *Hash) { h.Delete(field) })},
		{"hdel the last", true, hash(func(h *Hash) { h.Delete([]byte("g")) })},
		{"zadd", true, sorted(func(z *SortedSet) { z.Set(field, 1) })},
		{"zadd another score", true, sorted(func(z *SortedSet) { z.Set(field, 2) })},
		{"zadd another", true, sorted(func(z *SortedSet) { z.Set(value, 2) })},
		{"zrem", true, sorted(func(z *SortedSet) { z.Delete(value) })},
		clear,
		{"sadd", true, set(func(s *Set) { s.Add(field, value) })},
		{"sadd what is there", false, set(func(s *Set) { s.Add(field) })},
		{"srem", true, set(func(s *Set) { s.Delete(field) })},
		{"srem nothing", false, set(func(s *Set) { s.Delete(field) })},
		clear,
		{"rpush", true, list(func(l *List) { l.PushBack(field, value) })},
		{"lset", true, list(func(l *List) { l.Set(0, field) })},
		{"linsert", true, list(func(l *List) { l.Insert(1, value) })},
		{"ltrim", true, list(func(l *List) { l.Trim(0, 1) })},
		{"lpush", true, list(func(l *List) { l.PushFront(value) })},
		{"flush", true, func(tx *Tx) { tx.Flush() }},
		{"flush again", false, func(tx *Tx) { tx.Flush() }},
	}
	ks, err := Open(storage.NewMemory(), opts)
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	seen := map[Watch]string{{}: "nothing"}
	look := func() Watch {
		v := ks.View(0)
		defer v.Close()
		w := v.Watch(key)
		if hits, misses := v.Lookups(); hits+misses != 0 {
			t.Error("it counts as a look-up")
		}
		return w
	}
	for _, step := range steps {
		before := look()
		index++
		tx := ks.Begin()
		tx.StartEntry(index, 1000)
		step.do(tx)
		within := tx.Watch(key)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		after := look()
		if after != within {
			t.Errorf("%s: %v in the transaction, %v behind it", step.name, within, after)
		}
		if changed := after != before; changed != step.changes {
			t.Errorf("%s: changed: %v", step.name, changed)
		}
		if former, ok := seen[after]; ok && after != before && after != (Watch{}) {
			t.Errorf("%s: as after %s", step.name, former)
		}
		seen[after] = step.name
	}
}

// What expires changes: a key, and a field of a hash, before anything has swept it.
func TestWatchSeesExpiry(t *testing.T) {
	for _, inline := range []int{0, -1} {
		ks, err := Open(storage.NewMemory(), Options{inlineLimit: inline})
		if err != nil {
			t.Fatal(err)
		}
		at := func(index uint64, now int64, do func(tx *Tx)) (key, hash Watch) {
			tx := ks.Begin()
			tx.StartEntry(index, now)
			do(tx)
			key, hash = tx.Watch([]byte("k")), tx.Watch([]byte("h"))
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			return key, hash
		}
		nothing := func(*Tx) {}
		key1, hash1 := at(1, 1000, func(tx *Tx) {
			tx.SetString([]byte("k"), []byte("v"), 2000)
			h, _ := tx.Hash([]byte("h"))
			h.Set([]byte("f"), nil, 2000)
			h.Set([]byte("g"), nil, 3000)
			h.Set([]byte("i"), nil, 0)
		})
		key2, hash2 := at(2, 1999, nothing)
		if key1 != key2 || hash1 != hash2 {
			t.Error("a change before anything has expired")
		}
		v := ks.View(2500)
		if v.Watch([]byte("k")) != key1 || !v.Behind() {
			t.Error("the key is gone before the replicated clock says so, or the view is not behind")
		}
		v.Close()
		key3, hash3 := at(3, 2000, nothing)
		if key3 != (Watch{}) || hash3 == hash2 {
			t.Errorf("what has expired has not changed: %v, %v", key3, hash3)
		}
		_, hash4 := at(4, 3000, nothing)
		if hash4 == hash3 {
			t.Error("the second field has not changed the hash")
		}
		key5, _ := at(5, 3000, func(tx *Tx) { tx.DeleteExpired(10) })
		if key5 != key3 {
			t.Error("that a key is swept that had expired is a change")
		}
	}
}
