package replica

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Data that is dropped stays until it is old, or until the disk needs its space: the
// oldest goes first. What was not marked as worth keeping is deleted at once.
func TestAttic(t *testing.T) {
	now := time.Date(2026, 11, 28, 4, 15, 0, 0, time.UTC)
	free := int64(1000)
	root := t.TempDir()
	k := &keeper{logger: slog.New(slog.DiscardHandler), Attic: Attic{
		Dir: filepath.Join(root, "attic"), Keep: 24 * time.Hour, MinFree: 100,
		Free: func(string) (int64, error) { return free, nil },
	}}
	drop := func(name string, marked bool) {
		t.Helper()
		dir := filepath.Join(root, name)
		err := os.Mkdir(dir, 0o755)
		if err == nil && marked {
			err = k.mark(dir)
		}
		if err := errors.Join(err, k.retire(dir, now)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	kept := func(want ...string) {
		t.Helper()
		if k.due(now) {
			k.tidy(now)
		}
		entries, err := os.ReadDir(k.Dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if len(names) != len(want) {
			t.Fatalf("the attic has %q, want %q", names, want)
		}
		for i := range want {
			if names[i] != want[i] {
				t.Fatalf("the attic has %q, want %q", names, want)
			}
		}
	}
	kept()
	drop("beef-1", true)
	drop("beef-2", false)
	drop("beef-1", true)
	now = now.Add(time.Hour)
	drop("beef-3", true)
	kept("20261128T041500Z-beef-1", "20261128T041500Z-beef-1_2", "20261128T051500Z-beef-3")
	now = now.Add(23 * time.Hour)
	kept("20261128T051500Z-beef-3")
	drop("beef-4", true)
	free = 50
	now = now.Add(atticEvery)
	kept()

	k.Keep = 0
	drop("beef-5", true)
	kept()
}
