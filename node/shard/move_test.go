package shard

import (
	"errors"
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// copySlots pulls and takes pieces until nothing is left, and returns whether the last one
// was complete.
func copySlots(t testing.TB, from, to *Machine, job uint64, maxBytes int) (complete bool) {
	t.Helper()
	for range 10000 {
		at := importOf(t, to, job).Position
		p, err := from.Pull(job, at, maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		if p.Next.Equal(at) && p.Complete == 0 {
			return false
		}
		mustOK(t, apply(t, to, 1, AppendPiece(nil, job, at, p.Next, p.Piece))[0])
		if p.Complete != 0 {
			return true
		}
	}
	t.Fatal("there is no end to what is pulled")
	return false
}

func importOf(t testing.TB, m *Machine, job uint64) ImportState {
	t.Helper()
	for _, in := range m.Imports() {
		if in.Job == job {
			return in
		}
	}
	t.Fatalf("job %d imports nothing", job)
	return ImportState{}
}

func mustOK(t testing.TB, v resp.Value) {
	t.Helper()
	if string(v.Str) != "OK" {
		t.Fatalf("the reply is %s", resp.FormatCLI(v, true))
	}
}

// TestMove: slots go from one machine to another with all that they hold, and back.
func TestMove(t *testing.T) {
	a, b := open(t, storage.NewMemory()), open(t, storage.NewMemory())
	half := slot.FromRanges([]slot.Range{{Start: 0, End: 8191}})
	apply(t, a, 1, AppendOwn(nil, slot.Full(), 1))
	for i := range 400 {
		apply(t, a, 1, payload(fmt.Sprintf("set k%d v%d", i, i)), payload(fmt.Sprintf("hset h%d f %d", i%7, i)))
		for j := range 30 {
			apply(t, a, 1, payload(fmt.Sprintf("rpush l%d %0100d", i%3, j)))
		}
	}
	from, to := a, b
	for job := uint64(1); job <= 3; job++ {
		keys := from.Garbage(&half)
		mustOK(t, apply(t, from, 1, AppendWatch(nil, job, half))[0])
		mustOK(t, apply(t, to, 1, AppendImport(nil, job, half))[0])
		if copySlots(t, from, to, job, 1000) {
			t.Fatal("complete before the seal")
		}
		apply(t, from, 1, payload("del k1 k2"), payload("set k3 other"), payload("rpush l1 more"))
		mustOK(t, apply(t, from, 1, AppendSeal(nil, half, job+1))[0])
		if !copySlots(t, from, to, job, 1000) {
			t.Fatal("not complete behind the seal")
		}
		mustOK(t, apply(t, to, 1, AppendOwn(nil, half, job+1))[0])
		mustOK(t, apply(t, to, 1, AppendEndImport(nil, job))[0])
		if got := to.Garbage(&half); got != keys && got != keys-1 {
			t.Fatalf("job %d: %d keys of %d have arrived", job, got, keys)
		}
		mustOK(t, apply(t, from, 1, AppendUnwatch(nil, job))[0])
		for from.Garbage(&half) > 0 {
			apply(t, from, 1, AppendDrop(nil, half, job+1, 50))
		}
		if _, err := to.Hash(); err != nil {
			t.Fatal(err)
		}
		from, to = to, from
	}
	if _, err := a.Pull(1, Position{}, 10); !errors.Is(err, ErrNotWatched) {
		t.Errorf("pulling from what nobody watches: %v", err)
	}
}

// A pull that has nothing to go by says nothing of the store.
func TestPullNotWatched(t *testing.T) {
	m, err := Open(storage.NewMemory(), command.NewTable(data.Commands()), Options{Unreadable: func(err error) bool {
		t.Errorf("called damage: %v", err)
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Pull(7, Position{}, 1<<20); !errors.Is(err, ErrNotWatched) {
		t.Errorf("pull: %v", err)
	}
}

// TestUnwatchBehindWrites: an entry may change what is watched, and then end the last watch.
func TestUnwatchBehindWrites(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1), AppendWatch(nil, 1, slot.Full()))
	for _, v := range apply(t, m, 1, payload("set k v"), AppendUnwatch(nil, 1), payload("set l v")) {
		mustOK(t, v)
	}
	if len(m.Watches()) != 0 {
		t.Error("the watch has not ended")
	}
}
