package records

import (
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// A record is changed in place by the transaction that has made it, until somebody
// has seen it; and Undo knows what it was.
func TestOwn(t *testing.T) {
	m, err := Open(storage.NewMemory(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte{0x40, 1}
	tx := m.Begin()
	put := func(value string) {
		rec := append(Draft(key, 16), value...)
		tx.PutOwn(rec, false)
	}
	// change writes over the first byte and adds one, in place.
	change := func(first byte) bool {
		rec := tx.Own(key)
		if rec == nil {
			return false
		}
		size := len(rec.Value())
		rec.Memory()[0], rec.Memory()[size] = first, first
		tx.PutOwn(rec.WithValue(size+1), false)
		return true
	}
	is := func(want string) {
		t.Helper()
		if value, _, ok := tx.Peek(key); !ok || string(value) != want {
			t.Fatalf("%q, want %q", value, want)
		}
	}
	if tx.Own(key) != nil {
		t.Error("an absent record is the transaction's")
	}
	put("one")
	first := tx.Save()
	if !change('A') || !change('B') {
		t.Fatal("the record is not the transaction's")
	}
	is("BneAB")
	tx.Undo(first)
	is("one")
	if tx.Own(key) != nil {
		t.Error("what Undo has brought back may be changed")
	}
	put("two")
	save := tx.Save()
	change('C')
	put("three") // in other memory
	change('D')
	is("DhreeD")
	tx.Undo(save)
	is("two")
	put("four")
	seen, _ := tx.Get(key)
	if change('E') {
		t.Error("what Get has returned may be changed")
	}
	put("five")
	for w := tx.Walk([]byte{0x40}, []byte{0x41}); w.Next(); {
		defer w.Release()
	}
	if change('F') {
		t.Error("what a walk has shown may be changed")
	}
	put("six")
	if err := tx.Commit(Mark{}); err != nil {
		t.Fatal(err)
	}
	tx = m.Begin()
	defer tx.Discard()
	if tx.Own(key) != nil || string(seen) != "four" {
		t.Errorf("what was committed may be changed; %q was seen", seen)
	}
	is("six")
}
