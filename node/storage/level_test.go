package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A history of numbered batches: batch n puts n under "last" and "n" under a key
// of its own, so that the state after each prefix is known from "last" alone.

func historyBatch(n int) *Batch {
	var b Batch
	b.Put([]byte("last"), binary.BigEndian.AppendUint64(nil, uint64(n)))
	b.Put(fmt.Appendf(nil, "batch%06d", n), fmt.Appendf(nil, "%d-%s", n, strings.Repeat("x", n*37%900)))
	if n%5 == 0 {
		b.Delete(fmt.Appendf(nil, "batch%06d", n-3))
	}
	return &b
}

func writeHistory(t *testing.T, s Store, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := s.Write(historyBatch(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// checkPrefix verifies that the store holds exactly the result of some prefix
// of the history, and returns its length.
func checkPrefix(t *testing.T, s Store) int {
	t.Helper()
	last := 0
	value, err := s.Get([]byte("last"))
	switch {
	case err == nil:
		last = int(binary.BigEndian.Uint64(value))
	case !errors.Is(err, ErrNotFound):
		t.Fatal(err)
	}
	want := NewMemory()
	writeHistory(t, want, 1, last)
	if got, want := dump(t, s, nil, nil), dump(t, want, nil, nil); !slices.Equal(got, want) {
		t.Fatalf("state is not that after batch %d: %d records instead of %d", last, len(got), len(want))
	}
	return last
}

// copyDir copies a database as it is at one moment, also while compactions run
// in it (but no writes): it copies until nothing has changed meanwhile.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	for {
		before := sizes(t, from)
		to := t.TempDir()
		for name := range before {
			content, err := os.ReadFile(filepath.Join(from, name))
			if errors.Is(err, os.ErrNotExist) {
				break
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(to, name), content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if maps.Equal(before, sizes(t, from)) && maps.Equal(before, sizes(t, to)) {
			return to
		}
	}
}

// sizes returns the sizes of the files of a directory by name.
func sizes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int64)
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case err == nil:
			found[entry.Name()] = info.Size()
		case !errors.Is(err, os.ErrNotExist):
			t.Fatal(err)
		}
	}
	return found
}

func filesIn(t *testing.T, dir, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// quiet opens a database whose recovery may warn.
func quiet(dir string) (*Level, error) {
	return OpenLevel(dir, LevelOptions{WriteBuffer: 32 << 10, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// recordEnds returns the offsets at which the records of a journal end.
func recordEnds(t *testing.T, path string) (ends []int, size int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := journalReader{data: data}
	for {
		if _, ok := r.next(); !ok {
			return ends, len(data)
		}
		ends = append(ends, r.offset())
	}
}

// TestKillAtAnyBatch copies the directory after many batches, as kill -9 would
// leave it: nothing that was written may be missing.
func TestKillAtAnyBatch(t *testing.T) {
	dir := t.TempDir()
	l := openLevel(t, dir)
	defer closeStore(t, l)
	for n := 1; n <= 400; n++ {
		writeHistory(t, l, n, n)
		if n%23 != 0 {
			continue
		}
		copied, err := quiet(copyDir(t, dir))
		if err != nil {
			t.Fatalf("batch %d: %v", n, err)
		}
		if got := checkPrefix(t, copied); got != n {
			t.Fatalf("after batch %d: %d batches", n, got)
		}
		closeStore(t, copied)
	}
	if tables := filesIn(t, dir, "*.ldb"); len(tables) == 0 {
		t.Fatal("the history was too short to reach a table")
	}
}

// damagedJournals builds a directory with two live journals: the state of a
// machine that crashed while the first one was on its way into a table.
func damagedJournals(t *testing.T) (dir string, journals []string, total int) {
	t.Helper()
	dir = t.TempDir()
	l, err := OpenLevel(dir, LevelOptions{WriteBuffer: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	writeHistory(t, l, 1, 120)
	first := copyDir(t, dir)
	closeStore(t, l)
	firstJournal := filesIn(t, first, "*.log")
	if len(firstJournal) != 1 {
		t.Fatalf("journals: %q", firstJournal)
	}
	// Split it in two at a block border, where a journal may begin: records that
	// lie in the second part become the second journal, rewritten by goleveldb.
	data, err := os.ReadFile(firstJournal[0])
	if err != nil {
		t.Fatal(err)
	}
	ends, _ := recordEnds(t, firstJournal[0])
	cut := ends[len(ends)/2]
	second := filepath.Join(first, journalName(90))
	if err := os.WriteFile(second, rewriteJournal(t, data, cut), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(firstJournal[0], int64(cut)); err != nil {
		t.Fatal(err)
	}
	return first, []string{firstJournal[0], second}, 120
}

// TestDamagedJournals cuts, zeroes and flips journals at every record's border
// and inside of records. What is recovered is the prefix before the damage; a
// second opening finds the same, and new batches can be written after it.
func TestDamagedJournals(t *testing.T) {
	source, journals, total := damagedJournals(t)
	batches := 0
	for j, journal := range journals {
		ends, size := recordEnds(t, journal)
		start := 0
		for i, end := range ends {
			inside := start + journalHeader + (i*7)%(end-start-journalHeader)
			for name, damage := range map[string]func(data []byte) []byte{
				"cut at border": func(d []byte) []byte { return d[:start] },
				"cut inside":    func(d []byte) []byte { return d[:inside] },
				"zeroed":        func(d []byte) []byte { clear(d[start:end]); return d },
				"zeroed to end": func(d []byte) []byte { clear(d[inside:]); return d },
				"bit flipped":   func(d []byte) []byte { d[inside] ^= 1 << (i % 8); return d },
				"length flip":   func(d []byte) []byte { d[start+4] ^= 1; return d },
			} {
				if i%9 != j && i != 0 && i != len(ends)-1 {
					continue
				}
				t.Run(fmt.Sprintf("journal %d record %d %s", j, i, name), func(t *testing.T) {
					checkDamage(t, source, filepath.Base(journal), damage, batches+i)
				})
			}
			start = end
		}
		if start != size {
			t.Fatalf("%s: records end at %d of %d", journal, start, size)
		}
		batches += len(ends)
	}
	if batches != total {
		t.Fatalf("%d batches in the journals instead of %d", batches, total)
	}
}

func checkDamage(t *testing.T, source, journal string, damage func([]byte) []byte, want int) {
	dir := copyDir(t, source)
	path := filepath.Join(dir, journal)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, damage(data), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := quiet(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkPrefix(t, l); got != want {
			t.Fatalf("recovered %d batches instead of %d", got, want)
		}
		closeStore(t, l)
	}
	l, err := quiet(dir)
	if err != nil {
		t.Fatal(err)
	}
	writeHistory(t, l, want+1, want+10)
	closeStore(t, l)
	if l, err = quiet(dir); err != nil {
		t.Fatal(err)
	}
	if got := checkPrefix(t, l); got != want+10 {
		t.Fatalf("%d batches instead of %d after writing on", got, want+10)
	}
	closeStore(t, l)
}

// TestMissingJournal removes the first of two journals: the second does not
// follow what the tables hold, so it is dropped.
func TestMissingJournal(t *testing.T) {
	dir, journals, _ := damagedJournals(t)
	if err := os.Remove(journals[0]); err != nil {
		t.Fatal(err)
	}
	l, err := quiet(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, l)
	if got := checkPrefix(t, l); got != 0 {
		t.Fatalf("recovered %d batches", got)
	}
}

// TestSyncedSurvives drops what fsync has not seen of the journal, and checks
// that what Sync promised is there.
func TestSyncedSurvives(t *testing.T) {
	dir := t.TempDir()
	l := openLevel(t, dir)
	written := 0
	write := func(n int) {
		writeHistory(t, l, written+1, written+n)
		written += n
	}
	for range 9 {
		write(28)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		synced := written
		write(9)
		lost := copyDir(t, dir)
		l.files.mu.Lock()
		j := l.files.journal
		l.files.mu.Unlock()
		journals := filesIn(t, lost, "*.log")
		if err := os.Truncate(journals[len(journals)-1], j.synced); err != nil {
			t.Fatal(err)
		}
		copied, err := quiet(lost)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkPrefix(t, copied); got < synced {
			t.Fatalf("synced at %d, recovered %d", synced, got)
		}
		closeStore(t, copied)
	}
	closeStore(t, l)
}

// TestSyncNextToWrites runs Sync beside a writer that rotates journals.
func TestSyncNextToWrites(t *testing.T) {
	l := openLevel(t, t.TempDir())
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := l.Sync(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writeHistory(t, l, 1, 500)
	close(stop)
	group.Wait()
	checkPrefix(t, l)
	closeStore(t, l)
}

// TestRotationSyncs checks that a journal is synced before the next one takes
// batches, and when it is closed.
func TestRotationSyncs(t *testing.T) {
	l := openLevel(t, t.TempDir())
	seen := make(map[*journalFile]bool)
	for n := 1; n <= 300; n++ {
		writeHistory(t, l, n, n)
		l.files.mu.Lock()
		now := l.files.journal
		l.files.mu.Unlock()
		for j := range seen {
			if j != now && j.synced != j.written {
				t.Fatalf("batch %d: an old journal has %d of %d bytes synced", n, j.synced, j.written)
			}
		}
		seen[now] = true
	}
	closeStore(t, l)
	for j := range seen {
		if j.synced != j.written || !j.closed {
			t.Fatalf("after Close: %d of %d bytes synced", j.synced, j.written)
		}
	}
	if len(seen) < 3 {
		t.Fatalf("only %d journals", len(seen))
	}
}

// TestFailedSyncSticks fails one fsync; from then on nothing is written or
// reported as durable.
func TestFailedSyncSticks(t *testing.T) {
	l := openLevel(t, t.TempDir())
	writeHistory(t, l, 1, 3)
	cause := errors.New("disk on fire")
	l.files.fail(cause)
	if err := l.Sync(); !errors.Is(err, cause) {
		t.Errorf("Sync: %v", err)
	}
	if err := l.Write(historyBatch(4)); !errors.Is(err, cause) {
		t.Errorf("Write: %v", err)
	}
	if err := l.Close(); !errors.Is(err, cause) {
		t.Errorf("Close: %v", err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	l := openLevel(t, dir)
	if _, err := quiet(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
	closeStore(t, l)
	again, err := quiet(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, again)
}
