package keyspace

import (
	"encoding/binary"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// colliding returns n keys of one slot and one fingerprint, which is linear: the
// key is a prefix, a number, and the four bytes that bring the checksum where it
// was.
func colliding(t *testing.T, n int) [][]byte {
	t.Helper()
	want := fingerprint([]byte("{t}"))
	var keys [][]byte
	for i := range uint32(n) {
		key := binary.BigEndian.AppendUint32([]byte("{t}"), i)
		key = append(key, 0, 0, 0, 0)
		tail := key[len(key)-4:]
		// Solve for the tail, bit by bit, over GF(2).
		base := fingerprint(key)
		var rows [32]uint64 // of a bit of the tail: what it changes, and which bit it is
		for bit := range 32 {
			binary.BigEndian.PutUint32(tail, 1<<bit)
			rows[bit] = uint64(fingerprint(key)^base)<<32 | 1<<bit
		}
		target, solution := uint64(want^base)<<32, uint64(0)
		for column := 63; column >= 32; column-- {
			pivot := -1
			for r := range rows {
				if rows[r]>>column == 1 {
					pivot = r
					break
				}
			}
			if pivot < 0 {
				t.Fatal("the checksum is no bijection of its last bytes")
			}
			row := rows[pivot]
			for r := range rows {
				if r != pivot && rows[r]>>column&1 == 1 {
					rows[r] ^= row
				}
			}
			if target>>column&1 == 1 {
				target ^= row
			}
			rows[pivot] = 0
		}
		solution = target & (1<<32 - 1)
		binary.BigEndian.PutUint32(tail, uint32(solution))
		if fingerprint(key) != want {
			t.Fatal("no solution")
		}
		keys = append(keys, key)
	}
	return keys
}

// However many keys share a fingerprint, one call of Scan returns few more than it
// was asked for; all of them return every key that is there throughout, whatever
// is deleted and added between the calls.
func TestScanOfACrowd(t *testing.T) {
	const all, count = 3000, 50
	ks, err := Open(storage.NewMemory(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	write := func(fn func(tx *Tx)) {
		index++
		tx := ks.Begin()
		tx.StartEntry(index, 1000)
		fn(tx)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	keys := colliding(t, all)
	write(func(tx *Tx) {
		for _, k := range keys {
			tx.SetString(k, nil, 0)
		}
		for _, k := range []string{"{t}a", "{t}b", "x", "y"} {
			tx.SetString([]byte(k), nil, 0)
		}
	})
	// Keys that go and come: every tenth, among them some that Scan stops at.
	for _, disturb := range []bool{false, true} {
		seen, calls := map[string]int{}, 0
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			if cursor>>63 != 0 {
				t.Fatalf("cursor %d is no signed number", cursor)
			}
			if calls++; calls > 20*all/count {
				t.Fatal("the scan does not end")
			}
			view, got := ks.View(0), 0
			cursor = view.Scan(cursor, count, func(key []byte, _ Meta) {
				got++
				seen[string(key)]++
			})
			view.Close()
			if got > count+crowd+1 {
				t.Fatalf("one call returned %d keys", got)
			}
			if disturb {
				write(func(tx *Tx) {
					k := keys[calls*10%all]
					if !tx.Delete(k) {
						tx.SetString(k, nil, 0)
					}
				})
			}
		}
		for i, k := range keys {
			if n := seen[string(k)]; n == 0 && (!disturb || i%10 != 0) || n > 1 && !disturb {
				t.Errorf("key %d was returned %d times", i, n)
			}
		}
	}
}

// The same for the elements of a value, when none is deleted that a call stopped at, and
// when each is.
func TestScanOfACrowdOfElements(t *testing.T) {
	const all, count = 1500, 50
	ks, err := Open(storage.NewMemory(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	write := func(fn func(set *SortedSet)) {
		index++
		tx := ks.Begin()
		tx.StartEntry(index, 1000)
		set, err := tx.SortedSet([]byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		fn(set)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	members := append(colliding(t, all), []byte("x"), []byte("y"), []byte("z"))
	write(func(set *SortedSet) {
		for _, m := range members {
			set.Set(m, 0)
		}
	})
	for _, disturb := range []bool{false, true} {
		seen, gone, calls := map[string]int{}, map[string]bool{}, 0
		for cursor, first := uint64(0), true; first || cursor != 0; first = false {
			if calls++; calls > 20*all/count || cursor>>63 != 0 {
				t.Fatalf("the scan does not end, or cursor %d is no signed number", cursor)
			}
			view, got := ks.View(0), 0
			set, _, err := view.SortedSet([]byte("k"))
			if err != nil {
				t.Fatal(err)
			}
			var last []byte
			cursor = set.Scan(cursor, count, func(member []byte, _ float64) {
				got++
				seen[string(member)]++
				last = append(last[:0], member...)
			})
			view.Close()
			if got > count+crowd+1 {
				t.Fatalf("one call returned %d members", got)
			}
			if disturb && calls%5 == 0 && len(gone) < 5 {
				gone[string(last)] = true
				write(func(set *SortedSet) { set.Delete(last) })
			}
		}
		for i, m := range members {
			if n := seen[string(m)]; n == 0 || n > 1 && !disturb {
				t.Errorf("member %d was returned %d times", i, n)
			}
		}
		if disturb == (len(gone) == 0) {
			t.Errorf("%d members were deleted", len(gone))
		}
	}
}
