package keyspace

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// imported copies an exported state into a store of its own.
func imported(t testing.TB, records storage.Iterator) *Keyspace {
	t.Helper()
	defer records.Release()
	store := storage.NewMemory()
	var b storage.Batch
	for records.Next() {
		b.Put(records.Key(), records.Value())
	}
	if err := errors.Join(records.Err(), store.Write(&b)); err != nil {
		t.Fatal(err)
	}
	return open(t, store)
}

// What is exported while commits go on is one of the states between them, with
// everything that belongs to it.
func TestExport(t *testing.T) {
	ks := open(t, storage.NewMemory())
	if _, _, err := ks.Export(); !errors.Is(err, ErrEmpty) {
		t.Errorf("of an empty keyspace: %v", err)
	}
	const last = 500
	entry := func(ks *Keyspace, i uint64) {
		write(t, ks, i, int64(1000+i), func(tx *Tx) {
			tx.SetString(fmt.Appendf(nil, "k%d", i%97), fmt.Appendf(nil, "v%d", i), int64(i%3)*int64(5000+i))
			tx.Delete(fmt.Appendf(nil, "k%d", i*7%97))
			tx.PutMeta("name", fmt.Appendf(nil, "m%d", i))
		})
	}
	entry(ks, 1)
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := uint64(2); i <= last; i++ {
			entry(ks, i)
		}
	})
	// The same entries, one after the other, are what a state is compared with.
	again, applied := open(t, storage.NewMemory()), uint64(0)
	for applied < last {
		index, records, err := ks.Export()
		if err != nil {
			t.Fatal(err)
		}
		if index < applied {
			t.Fatalf("%d after %d", index, applied)
		}
		for ; applied < index; applied++ {
			entry(again, applied+1)
		}
		copied := imported(t, records)
		checkInvariants(t, copied)
		if copied.Applied() != index || copied.Clock() != again.Clock() || copied.Len() != again.Len() {
			t.Fatalf("at %d: applied %d, clock %d, %d keys", index, copied.Applied(), copied.Clock(), copied.Len())
		}
		if got, want := dump(t, copied), dump(t, again); got != want {
			t.Fatalf("at %d: got\n%s\nwant\n%s", index, got, want)
		}
	}
	writer.Wait()
}

// dump returns all records of a keyspace as text.
func dump(t testing.TB, ks *Keyspace) (text string) {
	t.Helper()
	_, it, err := ks.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Release()
	for it.Next() {
		text += fmt.Sprintf("%q=%q\n", it.Key(), it.Value())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return text
}

// Close waits for views, leaves nothing for later ones, and all of it in the store.
func TestClose(t *testing.T) {
	ks := open(t, storage.NewMemory())
	write(t, ks, 1, 1, func(tx *Tx) { tx.SetString([]byte("k"), []byte("v"), 0) })
	view := ks.View(0)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := ks.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, ok := view.Lookup([]byte("k")); !ok || view.Err() != nil {
		t.Errorf("a view that began before: %v", view.Err())
	}
	select {
	case <-closed:
		t.Error("closed under a view")
	default:
	}
	view.Close()
	<-closed
	late := ks.View(0)
	defer late.Close()
	if _, ok := late.Lookup([]byte("k")); ok || !errors.Is(late.Err(), ErrClosed) {
		t.Errorf("a view after Close: %v", late.Err())
	}
}
