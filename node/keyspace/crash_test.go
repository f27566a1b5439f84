package keyspace

import (
	"io"
	"log/slog"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/genuineh/aikv/node/storage"
)

// TestCrashOnDisk copies a real database as a process that dies leaves it: before
// and after what a checkpoint writes counts. What is there afterwards is the
// keyspace as of that checkpoint or the one before, all of it.
func TestCrashOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	quiet := storage.LevelOptions{WriteBuffer: 64 << 10, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	level, err := storage.OpenLevel(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	store := &hookedStore{Store: level}
	rng := rand.New(rand.NewSource(11))
	ks, m, durable := open(t, store), newModel(), newModel()
	crash := func(want *model) {
		copied := picture(t, dir)
		after, err := storage.OpenLevel(copied, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		crashed := open(t, after)
		if crashed.Applied() != want.applied {
			t.Fatalf("applied %d instead of %d", crashed.Applied(), want.applied)
		}
		checkInvariants(t, crashed)
		view := crashed.View(0)
		want.check(t, rng, view)
		view.Close()
	}
	for range 12 {
		for range 10 {
			tx := ks.Begin()
			runEntries(t, rng, tx, m)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		store.before = func() { crash(durable) }
		store.after = func() { crash(m) }
		checkpoint(t, ks)
		durable = m.clone()
	}
	if err := level.Close(); err != nil {
		t.Fatal(err)
	}
}

// picture copies a folder as it is at one moment: again, until no file has come, gone
// or grown meanwhile, as compactions do that run in the background.
func picture(t *testing.T, dir string) (copied string) {
	t.Helper()
	for {
		before := sizes(t, dir)
		copied = t.TempDir()
		err := os.CopyFS(copied, os.DirFS(dir))
		if after := sizes(t, dir); !maps.Equal(before, after) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return copied
	}
}

// sizes returns the files of a folder.
func sizes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]int64, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it has gone
			files[e.Name()] = info.Size()
		}
	}
	return files
}
