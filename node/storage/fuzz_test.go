package storage

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb/journal"
)

// journalOf writes records as goleveldb does.
func journalOf(t testing.TB, records ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := journal.NewWriter(&out)
	for _, record := range records {
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

// FuzzJournalReader: our reader finds what goleveldb's strict reader finds before
// its first complaint, and never more.
func FuzzJournalReader(f *testing.F) {
	big := bytes.Repeat([]byte("x"), 2*journalBlock)
	whole := journalOf(f, []byte("one"), big, nil, []byte("four"))
	f.Add(whole)
	for _, at := range []int{0, 4, 6, 8, 12, journalBlock - 1, journalBlock, journalBlock + 6, len(whole) - 1} {
		f.Add(whole[:at])
		flipped := slices.Clone(whole)
		flipped[at] ^= 4
		f.Add(flipped)
	}
	f.Add(append(journalOf(f, bytes.Repeat([]byte("y"), journalBlock-journalHeader-6)), make([]byte, 10)...)) // padding
	f.Fuzz(func(t *testing.T, data []byte) {
		var want [][]byte
		theirs := journal.NewReader(bytes.NewReader(data), nil, true, true)
		for {
			chunk, err := theirs.Next()
			if err != nil {
				break
			}
			record, err := io.ReadAll(chunk)
			if err != nil {
				break
			}
			want = append(want, record)
		}
		ours := journalReader{data: data}
		n, last := 0, 0
		for ; ; n++ {
			record, ok := ours.next()
			if !ok {
				break
			}
			if at := ours.offset(); at < last || at > len(data) {
				t.Fatalf("record %d ends at %d, the one before at %d of %d", n, at, last, len(data))
			}
			last = ours.offset()
			if n >= len(want) || !bytes.Equal(record, want[n]) {
				t.Fatalf("record %d is %.100q, goleveldb has %d records", n, record, len(want))
			}
		}
		if n < len(want) {
			t.Fatalf("%d records, goleveldb has %d", n, len(want))
		}
		_, _ = ours.damaged(), ours.recordFollows()
		if good := (&sequenceCheck{next: 1, first: true}).goodPrefix(data); good < 0 || good > len(data) {
			t.Fatalf("a prefix of %d of %d bytes", good, len(data))
		}
	})
}

// FuzzManifest: any bytes are refused, with the file's name, or read; what a torn
// end leaves reads the same a second time.
func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	l, err := OpenLevel(dir, LevelOptions{WriteBuffer: 32 << 10})
	if err != nil {
		f.Fatal(err)
	}
	for n := range 200 {
		if err := l.Write(historyBatch(n + 1)); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add(append(slices.Clone(data), 1, 2, 3))
	f.Add(journalOf(f, []byte{manifestSeq, 0x80}))
	f.Add(journalOf(f, []byte{manifestAdd, 0, 5, 100, 1, 'a', 1, 'z', manifestDelete, 0, 5, manifestPrevJournal, 3}))
	f.Add(journalOf(f, []byte{manifestComparer, 0xff, 0xff, 0xff, 0xff, 0x0f}))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "MANIFEST-000001")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		state, err := recoverManifest(path)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
				t.Fatalf("a refused manifest was changed: %v", err)
			}
			return
		}
		again, err := recoverManifest(path)
		if err != nil || again.journal != state.journal || again.prevJournal != state.prevJournal ||
			again.seq != state.seq || !maps.Equal(again.tables, state.tables) {
			t.Fatalf("%+v became %+v, %v", state, again, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(data, after) {
			t.Fatalf("recovery made something else of it: %v", err)
		}
	})
}

// FuzzDamagedJournal: whatever a database's journal holds, opening it gives the
// state after some batch, or is refused with the file's name.
func FuzzDamagedJournal(f *testing.F) {
	source := f.TempDir()
	l, err := OpenLevel(source, LevelOptions{})
	if err != nil {
		f.Fatal(err)
	}
	for n := range 12 {
		if err := l.Write(historyBatch(n + 1)); err != nil {
			f.Fatal(err)
		}
	}
	files := make(map[string][]byte)
	entries, err := os.ReadDir(source)
	if err != nil {
		f.Fatal(err)
	}
	var log string
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(source, entry.Name())); err != nil {
			f.Fatal(err)
		}
		if strings.HasSuffix(entry.Name(), ".log") {
			log = entry.Name()
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	whole := files[log]
	f.Add(whole)
	f.Add([]byte{})
	reader := journalReader{data: whole}
	for records := 0; ; records++ {
		if _, ok := reader.next(); !ok {
			break
		}
		f.Add(whole[:reader.offset()])
		flipped := slices.Clone(whole)
		flipped[max(reader.offset()-1-records, 0)] ^= 1
		f.Add(flipped)
	}
	f.Add(append(slices.Clone(whole[:50]), whole...))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for name, content := range files {
			if name == log {
				content = data
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := quiet(dir)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("%v", err)
			}
			return
		}
		defer closeStore(t, l)
		had := checkPrefix(t, l)
		if had > 12 {
			t.Fatalf("%d batches of 12", had)
		}
		writeHistory(t, l, had+1, had+3)
		if got := checkPrefix(t, l); got != had+3 {
			t.Fatalf("%d batches after three more than %d", got, had)
		}
	})
}
