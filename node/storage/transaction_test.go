package storage

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ldb "github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// commitHistory writes batches of the history as one transaction each, or, if
// plain, as a batch.
func commitHistory(t *testing.T, s Store, n int, plain bool) {
	t.Helper()
	if plain {
		writeHistory(t, s, n, n)
		return
	}
	tr, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Discard()
	historyBatch(n).Replay(
		func(key, value []byte) { err = errors.Join(err, tr.Put(key, value)) },
		func(key []byte) { err = errors.Join(err, tr.Delete(key)) })
	// What fills the transaction's memory several times.
	for i := range 3 * (n % 4) {
		err = errors.Join(err, tr.Put(fmt.Appendf(nil, "fill%d", i), make([]byte, 20<<10)))
		err = errors.Join(err, tr.Delete(fmt.Appendf(nil, "fill%d", i)))
	}
	if err := errors.Join(err, tr.Commit()); err != nil {
		t.Fatal(err)
	}
}

// Batches and transactions may take turns; nothing shows before Commit, and what
// was discarded never does.
func TestTransactions(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []Store{NewMemory(), openLevel(t, dir)} {
		for n := 1; n <= 60; n++ {
			commitHistory(t, s, n, n%3 == 0)
			tr, err := s.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(tr.Put([]byte("never"), make([]byte, 64<<10)), tr.Delete([]byte("last"))); err != nil {
				t.Fatal(err)
			}
			if got := checkPrefix(t, s); got != n {
				t.Fatalf("%T: %d batches instead of %d", s, got, n)
			}
			tr.Discard()
		}
		closeStore(t, s)
	}
	again := openLevel(t, dir)
	defer closeStore(t, again)
	if got := checkPrefix(t, again); got != 60 {
		t.Fatalf("%d batches after reopening", got)
	}
	if m := NewMemory(); errors.Join(m.Close()) == nil {
		if _, err := m.Begin(); !errors.Is(err, ErrClosed) {
			t.Errorf("Begin after Close: %v", err)
		}
	}
}

// durable is what is known of a database's files to be on stable storage.
type durable struct {
	dir   string
	size  map[string]int64
	named map[string]bool
}

func (d *durable) note(t *testing.T, point string, fd ldb.FileDesc) {
	switch point {
	case pointSynced:
		if info, err := os.Stat(filepath.Join(d.dir, fd.String())); err == nil {
			d.size[fd.String()] = info.Size()
		}
	case pointNamed:
		for name := range sizes(t, d.dir) {
			d.named[name] = true
		}
	}
}

// lose returns a copy of the folder as a crash of the machine may leave it: of
// what was not synced, each file's end and each name is there or not.
func (d *durable) lose(t *testing.T, rng *rand.Rand) string {
	copied := copyDir(t, d.dir)
	for name, size := range sizes(t, copied) {
		path, table := filepath.Join(copied, name), strings.HasSuffix(name, ".ldb")
		if !table && !strings.HasPrefix(name, "MANIFEST") || rng.Intn(3) == 0 {
			continue
		}
		var err error
		if table && !d.named[name] {
			err = os.Remove(path)
		} else if synced := d.size[name]; synced < size {
			err = os.Truncate(path, synced+rng.Int63n(size-synced))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// TestTransactionLosesPower stops the machine at every point that a transaction
// comes by: what was committed is there, and of what was not, all or nothing.
func TestTransactionLosesPower(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	dir := t.TempDir()
	l := openLevel(t, dir)
	d := &durable{dir: dir, size: sizes(t, dir), named: make(map[string]bool)}
	committed, images := 0, make(map[string]int)
	looking := false
	var mu sync.Mutex // compactions come by these points, too
	look := func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		looking = on
	}
	l.files.reached = func(point string, fd ldb.FileDesc) {
		mu.Lock()
		defer mu.Unlock()
		if !looking { // a compaction is at work: the folder is not ours to copy
			return
		}
		d.note(t, point, fd)
		if rng.Intn(3) > 0 && images[point] > 5 {
			return
		}
		images[point]++
		after, err := quiet(d.lose(t, rng))
		if err != nil {
			t.Errorf("at %s %s: %v", point, fd, err)
			return
		}
		defer closeStore(t, after)
		if got := checkPrefix(t, after); got < committed || got > committed+1 {
			t.Errorf("at %s %s: %d batches, %d were committed", point, fd, got, committed)
		}
	}
	for n := 1; n <= 20; n++ {
		look(true)
		commitHistory(t, l, n, false)
		look(false)
		committed = n
		if err := l.db.CompactRange(util.Range{}); err != nil {
			t.Fatal(err)
		}
		for name, size := range sizes(t, dir) {
			d.size[name], d.named[name] = size, true
		}
	}
	closeStore(t, l)
	for _, point := range []string{pointCreate, pointSync, pointSynced, pointNamed, pointWrite} {
		if images[point] < 5 {
			t.Errorf("point %s was passed %d times", point, images[point])
		}
	}
}
