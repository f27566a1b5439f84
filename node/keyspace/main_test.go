package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/keyspace/tree"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

func open(t testing.TB, store storage.Store) *Keyspace {
	t.Helper()
	ks, err := Open(store, Options{CacheBytes: 64 << 10, Group: 7})
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// write runs one entry in a transaction of its own.
func write(t testing.TB, ks *Keyspace, index uint64, now int64, fn func(tx *Tx)) {
	t.Helper()
	tx := ks.Begin()
	defer tx.Discard()
	tx.StartEntry(index, now)
	fn(tx)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// openTiny opens a keyspace in which nearly everything with elements is in pages,
// of which it takes many.
func openTiny(t testing.TB, store storage.Store) *Keyspace {
	t.Helper()
	ks, err := Open(store, Options{CacheBytes: 64 << 10, Group: 7, pageSize: 100, inlineLimit: 40, sweepPiece: 50})
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// checkPages verifies that every page is one of an object that is there, or
// whose remains are to be swept, that no other remains are, and that trees are
// sound. What is hidden need not be whole: its pages are of the job that brings it, or of
// an object whose key is there.
func checkPages(t testing.TB, ks *Keyspace) {
	t.Helper()
	view := ks.View(0)
	defer view.Close()
	pages, gone := make(map[string]bool), make(map[string]bool)
	each(t, ks, classPage, func(key, _ []byte) { pages[string(key)] = true })
	each(t, ks, classRemains, func(key, _ []byte) { gone[string(key[1:])] = true })
	hidden, half := view.Hidden(), make(map[string]bool)
	for _, in := range view.Imports() {
		for s := range in.Slots.All {
			half[string(binary.BigEndian.AppendUint64(remainsPrefix(s), in.Job)[1:])] = true
		}
	}
	each(t, ks, classKey, func(key, value []byte) {
		rec, err := decodeRecord(key, value)
		if err != nil {
			t.Fatal(err)
		}
		id, ok := rec.object()
		if !ok {
			return
		}
		if hidden.Has(rec.stored.slot()) {
			half[string(remainsKey(rec.stored.slot(), id)[1:])] = true
			return
		}
		if s := rec.stored.slot(); gone[string(remainsKey(s, id)[1:])] {
			t.Fatalf("%q is there, and its remains", rec.stored.key())
		}
		reader := view.pages(rec.stored.slot(), id)
		for _, root := range rec.roots() {
			tr := tree.NewView(reader, root)
			if err := tr.Check(); err != nil {
				t.Fatalf("%q: %v", rec.stored.key(), err)
			}
			err := tr.Pages(func(n uint32, _ []byte) error {
				key := pageKey(rec.stored.slot(), id, n)
				if !pages[string(key[:])] {
					t.Fatalf("page %x is not there, or in two trees", key)
				}
				delete(pages, string(key[:]))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	for key := range pages {
		if object, job := key[1:pageHeader], key[1:1+jobPrefix]; !gone[object] && !gone[job] && !half[object] && !half[job] {
			t.Fatalf("page %x belongs to nothing", key)
		}
	}
}

// checkInvariants verifies what doc.go says about the stored records, and that
// memory agrees with them. No transaction may be open.
func checkInvariants(t testing.TB, ks *Keyspace) {
	t.Helper()
	checkPages(t, ks)
	counts := make(map[uint16]slotCounts)
	expiries := make(map[string]string)
	var total, expiring, unseen int64
	view := ks.View(0)
	defer view.Close()
	hidden := view.Hidden()
	soonestAt := int64(0)
	each(t, ks, classKey, func(key, value []byte) {
		k := storedKey(key)
		rec, err := decodeRecord(k, value)
		if err != nil {
			t.Fatal(err)
		}
		if k.slot() != slot.Of(k.key()) || k.fingerprint() != fingerprint(k.key()) {
			t.Fatalf("%q is stored at slot %d, fingerprint %x", k.key(), k.slot(), k.fingerprint())
		}
		n := counts[k.slot()]
		n.add(rec, rec.deadline(), 1)
		counts[k.slot()] = n
		total++
		if hidden.Has(k.slot()) {
			unseen++
		}
		if rec.meta.ExpireAt != 0 {
			expiring++
		}
		if d := rec.deadline(); d.at != 0 {
			expiries[string(appendExpiryKey(nil, d.at, k))] = string(d.entry())
			if !hidden.Has(k.slot()) {
				soonestAt = sooner(soonestAt, d.at)
			}
		}
	})
	each(t, ks, classExpiry, func(key, value []byte) {
		if want, ok := expiries[string(key)]; !ok || string(value) != want {
			t.Fatalf("expiry entry %q=%q has no key", key, value)
		}
		delete(expiries, string(key))
	})
	if ks.Expiring() != expiring {
		t.Fatalf("Expiring %d, the store has %d", ks.Expiring(), expiring)
	}
	for key := range expiries {
		t.Fatalf("no expiry entry %q", key)
	}
	each(t, ks, classCount, func(key, value []byte) {
		s := binary.BigEndian.Uint16(key[1:])
		if n, ok := decodeCounts(value); !ok || n.keys == 0 || n != counts[s] || n != ks.counts[s].get() {
			t.Fatalf("slot %d: count record says %d, there are %d", s, n, counts[s])
		}
		delete(counts, s)
		if ks.LenSlot(s) == 0 {
			t.Fatalf("slot %d: count in memory is 0", s)
		}
	})
	for s := range counts {
		t.Fatalf("slot %d has keys and no count record", s)
	}
	sum := int64(0)
	for s := range uint16(slot.Count) {
		sum += ks.LenSlot(s)
	}
	if sum != total || ks.Len() != total || view.Len() != total-unseen {
		t.Fatalf("%d keys, %d hidden; the counts' sum is %d, Len is %d, and shown %d", total, unseen, sum, ks.Len(), view.Len())
	}
	if at, ok := ks.NextExpiry(); at != soonestAt && ok || ok != (soonestAt != 0) {
		t.Fatalf("NextExpiry %d, %v; the soonest is %d", at, ok, soonestAt)
	}
}

// each goes over the records of a class.
func each(t testing.TB, ks *Keyspace, class byte, fn func(key, value []byte)) {
	t.Helper()
	v := ks.recs.View()
	defer v.Close()
	w := v.Walk([]byte{class}, []byte{class + 1})
	defer w.Release()
	for w.Next() {
		fn(bytes.Clone(w.Key()), bytes.Clone(w.Value()))
	}
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
}

// checkpoint brings everything to the store.
func checkpoint(t testing.TB, ks *Keyspace) {
	t.Helper()
	if err := ks.recs.Checkpoint(); err != nil {
		t.Fatal(err)
	}
}

// content returns everything a view shows, in the keyspace's order.
func content(ks *Keyspace) []string {
	tx := ks.View(0)
	defer tx.Close()
	var lines []string
	tx.Each(func(key []byte, m Meta) bool {
		lines = append(lines, fmt.Sprintf("%s=%s type %s expire %d version %d.%d size %d",
			key, m.Value, m.Type, m.ExpireAt, m.Version.Index, m.Version.Op, m.Size))
		return true
	})
	return lines
}

// newString makes the record of a string.
func newString(at storedKey, value []byte, expireAt int64, version Version) *record {
	return testRecord(at, Meta{Type: TypeString, ExpireAt: expireAt, Version: version}, 0, value)
}

// testRecord makes a record outside of any transaction.
func testRecord(at storedKey, meta Meta, soonest int64, body []byte) *record {
	tx := &Tx{View{own: &writeState{recs: new(records.Tx)}}}
	return tx.newRecord(at, meta, soonest, body)
}
