package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/journal"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// rewriteJournal returns a journal with the records that data holds from off on.
func rewriteJournal(t *testing.T, data []byte, off int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := journal.NewWriter(&out)
	r := journalReader{data: data, off: off}
	for {
		record, ok := r.next()
		if !ok {
			break
		}
		chunk, err := w.Next()
		if err == nil {
			_, err = chunk.Write(record)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// closedDatabase returns a directory whose database has tables and a manifest
// of several records.
func closedDatabase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	l := openLevel(t, dir)
	writeHistory(t, l, 1, 300)
	copied := copyDir(t, dir)
	closeStore(t, l)
	return copied
}

// liveTables returns the names of the tables that the database in dir, which is
// not open, consists of. The folder may hold others, which a compaction had
// merged and not yet removed when the folder was copied. It asks goleveldb, and
// verifies that recovery reads the same out of the manifest.
func liveTables(t *testing.T, dir string) []string {
	t.Helper()
	db, err := leveldb.OpenFile(copyDir(t, dir), &opt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := db.GetProperty("leveldb.sstables")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	live, names := make(map[int64]int64), []string(nil)
	for line := range strings.Lines(text) {
		var number, size int64
		if n, _ := fmt.Sscanf(line, "%d:%d[", &number, &size); n == 2 {
			live[number] = size
			names = append(names, fmt.Sprintf("%06d.ldb", number))
		}
	}
	state, err := recoverManifest(manifestPath(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 || !maps.Equal(live, state.tables) {
		t.Fatalf("recovery sees the tables %v, goleveldb %v", state.tables, live)
	}
	slices.Sort(names)
	return names
}

func manifestPath(t *testing.T, dir string) string {
	t.Helper()
	paths := filesIn(t, dir, "MANIFEST-*")
	return paths[len(paths)-1]
}

func modify(t *testing.T, path string, change func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTornManifest cuts and garbles the end of the manifest, as a crash in the
// middle of a write does: the database opens, with a prefix.
func TestTornManifest(t *testing.T) {
	source := closedDatabase(t)
	for name, damage := range map[string]func([]byte) []byte{
		"half a header": func(d []byte) []byte { return append(d, 1, 2, 3) },
		"zeros":         func(d []byte) []byte { return append(d, make([]byte, 5000)...) },
		"half a record": func(d []byte) []byte {
			// A header that announces more than there is.
			return append(d, 9, 9, 9, 9, 200, 0, chunkFull, 'x', 'y')
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, source)
			modify(t, manifestPath(t, dir), damage)
			l, err := quiet(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, l)
			if got := checkPrefix(t, l); got != 300 {
				t.Fatalf("recovered %d batches", got)
			}
		})
	}
}

// TestCorruptFiles damages what only a disk can damage: opening fails and names
// the file, and changes nothing.
func TestCorruptFiles(t *testing.T) {
	source := closedDatabase(t)
	table := liveTables(t, source)[0]
	manifest := filepath.Base(manifestPath(t, source))
	ends, _ := recordEnds(t, manifestPath(t, source))
	if len(ends) < 3 {
		t.Fatalf("only %d records in the manifest", len(ends))
	}
	middle := (ends[0] + ends[1]) / 2
	flip := func(at int) func([]byte) []byte {
		return func(d []byte) []byte { d[at] ^= 0x10; return d }
	}
	for _, c := range []struct {
		name, file string
		damage     func([]byte) []byte
	}{
		{"manifest's beginning", manifest, flip(20)},
		{"manifest's middle", manifest, flip(middle)},
		{"empty manifest", manifest, func(d []byte) []byte { return d[:0] }},
		{"short table", table, func(d []byte) []byte { return d[:len(d)-1] }},
		{"garbled CURRENT", "CURRENT", func(d []byte) []byte { return d[:4] }},
		{"garbled format", formatFile, func(d []byte) []byte { return []byte("something else\n") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, source)
			modify(t, filepath.Join(dir, c.file), c.damage)
			_, err := quiet(dir)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.file) {
				t.Fatalf("error %v", err)
			}
			for _, path := range filesIn(t, source, "*") {
				if _, err := os.Stat(filepath.Join(dir, filepath.Base(path))); err != nil {
					t.Errorf("refusing to open has removed a file: %v", err)
				}
			}
		})
	}
	for _, file := range []string{table, "CURRENT", formatFile} {
		t.Run("no "+file, func(t *testing.T) {
			dir := copyDir(t, source)
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			if _, err := quiet(dir); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), file) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

// TestCorruptTransaction damages each table of a database in turn, whether a
// compaction or a transaction has added it: opening fails and names the table.
func TestCorruptTransaction(t *testing.T) {
	source := t.TempDir()
	l := openLevel(t, source)
	writeHistory(t, l, 1, 100)
	if err := l.db.CompactRange(util.Range{}); err != nil {
		t.Fatal(err)
	}
	before := liveTables(t, copyDir(t, source))
	commitHistory(t, l, 101, false)
	closeStore(t, l)
	tables := liveTables(t, source)
	for _, table := range before {
		if !slices.Contains(tables, table) {
			t.Fatalf("%s is merged with what the transaction added: %v", table, tables)
		}
	}
	if len(tables) < len(before)+2 {
		t.Fatalf("the transaction added too few tables to %v: %v", before, tables)
	}
	for _, table := range tables {
		for name, damage := range map[string]func(path string) error{
			"no ": os.Remove,
			"short ": func(path string) error {
				modify(t, path, func(d []byte) []byte { return d[:len(d)-1] })
				return nil
			},
		} {
			t.Run(name+table, func(t *testing.T) {
				dir := copyDir(t, source)
				if err := damage(filepath.Join(dir, table)); err != nil {
					t.Fatal(err)
				}
				if _, err := quiet(dir); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), table) {
					t.Fatalf("error %v", err)
				}
			})
		}
	}
}

// TestCorruptBlock flips a bit inside of a table: reading it fails and names the
// file, instead of skipping the block.
func TestCorruptBlock(t *testing.T) {
	dir := closedDatabase(t)
	table := filepath.Join(dir, liveTables(t, dir)[0])
	modify(t, table, func(d []byte) []byte { d[100] ^= 1; return d })
	l, err := quiet(dir)
	if err != nil {
		t.Fatal(err)
	}
	it := l.Iterate(nil, nil)
	for it.Next() {
	}
	err = it.Err()
	it.Release()
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(table)) {
		t.Errorf("error %v", err)
	}
	if err := l.Close(); err != nil && !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestNewerFormat(t *testing.T) {
	dir := closedDatabase(t)
	modify(t, filepath.Join(dir, formatFile), func([]byte) []byte { return []byte("aikv storage 2\n") })
	if _, err := quiet(dir); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), formatFile) {
		t.Errorf("error %v", err)
	}
}

// TestInterruptedCreation leaves what a crash at each step of creating a
// database leaves: the next opening creates it.
func TestInterruptedCreation(t *testing.T) {
	full := t.TempDir()
	closeStore(t, openLevel(t, full))
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(full, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	format := read(formatFile)
	for name, files := range map[string]map[string]string{
		"nothing":          {},
		"empty format":     {formatFile: ""},
		"torn format":      {formatFile: format[:5]},
		"format":           {formatFile: format},
		"empty manifest":   {formatFile: format, "MANIFEST-000000": ""},
		"torn manifest":    {formatFile: format, "MANIFEST-000000": "\x01\x02\x03"},
		"torn CURRENT.0":   {formatFile: format, "MANIFEST-000000": "", "CURRENT.0": "MANI"},
		"pending CURRENT":  {formatFile: format, "MANIFEST-000000": "", "CURRENT.0": "MANIFEST-000000\n"},
		"an empty journal": {formatFile: format, "MANIFEST-000000": "", "000001.log": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for round := range 2 {
				l, err := quiet(dir)
				if err != nil {
					t.Fatal(err)
				}
				writeHistory(t, l, round*20+1, round*20+20)
				if got := checkPrefix(t, l); got != round*20+20 {
					t.Fatalf("round %d: %d batches", round, got)
				}
				closeStore(t, l)
			}
		})
	}
}
