package shard

import (
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// Whoever wants to know is told how long entries took.
func TestAppliedIsTold(t *testing.T) {
	told := 0
	m, err := Open(storage.NewMemory(), command.NewTable(data.Commands()), Options{Applied: func(took time.Duration) {
		if took <= 0 {
			t.Errorf("entries took %v", took)
		}
		told++
	}})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, 1000, AppendOwn(nil, slot.Full(), 1))
	apply(t, m, 1000, payload("set k v"), payload("set k w"))
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}
