package keyspace

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// What is counted of a slot is what a walk finds, whenever the counting has begun: before
// the first key, between commits and while they come.
func TestSlotBytes(t *testing.T) {
	for seed := range int64(2) {
		rng := rand.New(rand.NewSource(seed))
		ks, err := Open(storage.NewMemory(), Options{pageSize: 256, inlineLimit: 512})
		if err != nil {
			t.Fatal(err)
		}
		m := &typedModel{keys: make(map[string]*typedValue)}
		stop, asking := make(chan struct{}), sync.WaitGroup{}
		asking.Add(1)
		go func() {
			defer asking.Done()
			for n := uint16(0); ; n = (n + 1) % slot.Count {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ks.SlotBytes(n); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for round := range 400 {
			tx := ks.Begin()
			if round < 200 {
				m.entries(t, rng, tx)
			} else {
				m.applied++
				tx.StartEntry(m.applied, m.clock)
				stringsOfSlots(rng, tx, round < 390)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		asking.Wait()
		checkSlotBytes(t, ks)
		ks.ForgetSlotBytes()
		checkSlotBytes(t, ks)
	}
}

// checkSlotBytes compares what is counted with what a walk finds.
func checkSlotBytes(t *testing.T, ks *Keyspace) {
	t.Helper()
	want := make(map[uint16]int64)
	view := ks.View(0)
	defer view.Close()
	w := view.walk([]byte{classKey}, []byte{classKey + 1})
	for w.next() {
		want[w.rec.stored.slot()] += w.rec.takes()
	}
	w.release()
	if len(want) < 3 {
		t.Fatalf("only %d slots have keys", len(want))
	}
	for n := range uint16(slot.Count) {
		if got, err := ks.SlotBytes(n); err != nil || got != want[n] {
			t.Fatalf("slot %d: %d bytes, %v; want %d", n, got, err, want[n])
		}
	}
}

// stringsOfSlots writes strings of many slots, or flushes, if it may.
func stringsOfSlots(rng *rand.Rand, tx *Tx, flushes bool) {
	for range 5 {
		key := fmt.Appendf(nil, "{%d}k%d", rng.Intn(20), rng.Intn(10))
		switch n := rng.Intn(40); {
		case n == 0 && flushes:
			tx.Flush()
		case n < 6:
			tx.Delete(key)
		default:
			tx.SetString(key, make([]byte, rng.Intn(100)), 0)
		}
	}
}
