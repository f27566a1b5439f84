package keyspace

import (
	"testing"
	"time"

	"github.com/genuineh/aikv/node/storage"
)

// Whoever wants to know is told of each checkpoint.
func TestCheckpointsAreTold(t *testing.T) {
	told := 0
	ks, err := Open(storage.NewMemory(), Options{Written: func(took time.Duration) {
		if took < 0 {
			t.Errorf("a checkpoint took %v", took)
		}
		told++
	}})
	if err != nil {
		t.Fatal(err)
	}
	before := told
	for n := range uint64(3) {
		tx := ks.Begin()
		tx.StartEntry(n+1, 1000)
		tx.SetString([]byte("k"), []byte("v"), 0)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Sync(n + 1); err != nil {
			t.Fatal(err)
		}
	}
	if told != before+3 {
		t.Errorf("told of %d checkpoints", told-before)
	}
}
