package keyspace

import (
	"io"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// TestCrashOnDisk damages the journal of a real database at random places: what
// is there afterwards is the keyspace after one of the commits, all of it.
func TestCrashOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	quiet := storage.LevelOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	store, err := storage.OpenLevel(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewSource(11))
	ks, m := open(t, store), newModel()
	states := map[uint64]*model{0: m.clone()}
	for range 200 {
		tx := ks.Begin()
		runEntries(t, rng, tx, m)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		states[m.applied] = m.clone()
	}
	// Everything is still in one journal: nothing compacts while we copy.
	journals, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals %q, %v", journals, err)
	}
	journal, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	recovered := make(map[uint64]bool)
	for i := range 40 {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		at := rng.Intn(len(journal))
		damaged := append([]byte(nil), journal...)
		if i%2 == 0 {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= 0x40
		}
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(journals[0])), damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		after, err := storage.OpenLevel(copied, quiet)
		if err != nil {
			t.Fatal(err)
		}
		crashed := open(t, after)
		state, ok := states[crashed.Applied()]
		if !ok {
			t.Fatalf("applied %d is no commit", crashed.Applied())
		}
		recovered[crashed.Applied()] = true
		checkInvariants(t, crashed)
		view := crashed.View(0)
		state.check(t, rng, view)
		view.Close()
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(recovered) < 20 {
		t.Errorf("only %d different states were recovered", len(recovered))
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
