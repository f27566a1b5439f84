package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

func open(t testing.TB, store storage.Store) *Keyspace {
	t.Helper()
	ks, err := Open(store, Options{CacheBytes: 64 << 10})
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

// checkInvariants verifies what doc.go says about the stored records, and that
// memory agrees with them. No transaction may be open.
func checkInvariants(t testing.TB, ks *Keyspace) {
	t.Helper()
	counts := make(map[uint16]slotCounts)
	expiries := make(map[string]string)
	var total, expiring int64
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
		if rec.meta.ExpireAt != 0 {
			expiring++
		}
		if d := rec.deadline(); d.at != 0 {
			expiries[string(appendExpiryKey(nil, d.at, k))] = string(d.entry())
			soonestAt = sooner(soonestAt, d.at)
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
	if sum != total || ks.Len() != total {
		t.Fatalf("%d keys; the counts' sum is %d, Len is %d", total, sum, ks.Len())
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
	return newRecord(at, Meta{Type: TypeString, ExpireAt: expireAt, Version: version}, 0, value)
}
