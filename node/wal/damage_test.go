package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// victim is a small closed log in one segment, every batch of it synced, and
// its state after each batch.
type victim struct {
	fs     wal.FS
	opts   wal.Options
	path   string
	data   []byte
	layout wal.Layout
	states []string // states[k]: after k batches behind the checkpoint
}

func newVictim(t testing.TB, fs wal.FS, dir string, sync bool) *victim {
	v := &victim{fs: fs, opts: small(fs, dir), path: filepath.Join(dir, wal.SegmentName(1))}
	l := open(t, v.opts)
	rng := rand.New(rand.NewSource(7))
	m := newModel()
	v.states = append(v.states, m.String())
	var b wal.Batch
	for i := range 6 {
		b.Reset()
		if i == 0 {
			b.SetIdentity([]byte("me"))
			b.CreateGroup(9, []byte("meta"))
			m.identity, m.groups[9] = "me", &modelGroup{meta: "meta"}
		}
		data := make([]byte, 10+rng.Intn(40))
		rng.Read(data)
		hs, entries := hardState(1, 1, uint64(i)), []*raftpb.Entry{entry(uint64(i+1), 1, data), entry(uint64(i+2), 1, nil)}
		b.Append(9, hs, entries)
		m.groups[9].append(hs, entries)
		b.SetSync(sync)
		check(t, l.Write(&b))
		v.states = append(v.states, m.String())
	}
	check(t, l.Close())
	v.data = readFile(t, fs, v.path)
	v.layout = wal.ReadLayout(v.data)
	if len(v.layout.Batches) != 7 {
		t.Fatalf("%d batches", len(v.layout.Batches))
	}
	return v
}

// batchAt returns which batch the byte at offset belongs to: 0 is the
// checkpoint, -1 the header, 7 what is behind the end.
func (v *victim) batchAt(offset int64) int {
	if offset >= v.layout.End {
		return len(v.layout.Batches)
	}
	i, found := slices.BinarySearch(v.layout.Batches, offset)
	if !found {
		i--
	}
	return i
}

// try opens the log with other content. want is the number of batches that
// must be left, -1 for a CorruptError at batch bad (-1: the header). After a
// success the log must take another batch and come back with it.
func (v *victim) try(t *testing.T, what string, content []byte, want, bad int) {
	t.Helper()
	writeFile(t, v.fs, v.path, content)
	l, err := wal.Open(v.opts)
	if want < 0 {
		var corrupt *wal.CorruptError
		offset := int64(0)
		if bad >= 0 {
			offset = v.layout.Batches[bad]
		}
		if !errors.As(err, &corrupt) || corrupt.File != v.path || corrupt.Offset != offset {
			t.Fatalf("%s: Open: %v; want damage at offset %d", what, err, offset)
		}
		if !bytes.Equal(readFile(t, v.fs, v.path), content) {
			t.Fatalf("%s: Open refused the log and changed it", what)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v; want the first %d batches", what, err, want)
	}
	if got := dump(t, l); got != v.states[want] {
		t.Fatalf("%s: got\n%swant %d batches:\n%s", what, got, want, v.states[want])
	}
	var b wal.Batch
	b.SetIdentity([]byte("after " + what))
	check(t, l.Write(&b))
	after := dump(t, l)
	check(t, l.Close())
	l = open(t, v.opts)
	if got := dump(t, l); got != after {
		t.Fatalf("%s: after the next batch: got\n%swant\n%s", what, got, after)
	}
	check(t, l.Close())
}

// damages tries every kind of damage at one offset.
func (v *victim) damages(t *testing.T, offset int64) {
	t.Helper()
	n := len(v.layout.Batches)
	hit := v.batchAt(offset)

	// A flipped bit: an error, but in the last batch, which looks torn.
	flipped := slices.Clone(v.data)
	flipped[offset] ^= 1 << (offset % 8)
	want := -1
	if hit >= n-1 {
		want = n - 2
		if hit == n {
			want = n - 1
		}
	}
	v.try(t, fmt.Sprintf("bit flipped at %d", offset), flipped, want, hit)

	// A few zeros: the same, if they change anything.
	zeroed := slices.Clone(v.data)
	clear(zeroed[offset:][:7])
	if v.batchAt(offset+6) == hit && !bytes.Equal(zeroed, v.data) {
		v.try(t, fmt.Sprintf("zeros at %d", offset), zeroed, want, hit)
	}

	// Everything from here on lost, as zeros or as a shorter file: whole
	// batches before it are left, unless the checkpoint is hit.
	left := hit - 1
	if hit <= 0 {
		left = -1
	}
	torn := slices.Clone(v.data)
	clear(torn[offset:])
	if bytes.Equal(torn, v.data) {
		left = n - 1
	}
	v.try(t, fmt.Sprintf("zeros from %d on", offset), torn, left, hit)
	if hit < n {
		v.try(t, fmt.Sprintf("cut at %d", offset), v.data[:offset], left, hit)
	}
}

// TestEveryByteOfTheTail damages a log at every single byte, in memory.
func TestEveryByteOfTheTail(t *testing.T) {
	v := newVictim(t, crashfs.New(), "wal", true)
	for offset := int64(0); offset < v.layout.End+40; offset++ {
		v.damages(t, offset)
	}
}

// TestDamage damages real files at each frame boundary and around it.
func TestDamage(t *testing.T) {
	v := newVictim(t, wal.OSFS{}, t.TempDir(), true)
	for _, frame := range v.layout.Frames {
		for offset := frame - 1; offset <= frame+1; offset++ {
			v.damages(t, offset)
		}
	}
}

// TestUnsyncedBatchesReachTheDiskInAnyOrder: a missing batch that was never
// synced is no damage, even with a good one behind it.
func TestUnsyncedBatchesReachTheDiskInAnyOrder(t *testing.T) {
	v := newVictim(t, crashfs.New(), "wal", false)
	for hit := 1; hit < len(v.layout.Batches); hit++ {
		content := slices.Clone(v.data)
		clear(content[v.layout.Batches[hit]:][:50])
		v.try(t, fmt.Sprintf("batch %d lost", hit), content, hit-1, 0)
	}
}

// TestLaxPoliciesCut: with Interval and Never, the log ends at the first bad
// batch, and a warning says so.
func TestLaxPoliciesCut(t *testing.T) {
	for _, policy := range []wal.SyncPolicy{wal.Interval, wal.Never} {
		v := newVictim(t, crashfs.New(), "wal", true)
		var logged bytes.Buffer
		v.opts.Sync, v.opts.Logger = policy, textLogger(&logged)
		content := slices.Clone(v.data)
		content[v.layout.Batches[3]+20] ^= 4
		v.try(t, "flip", content, 2, 0)
		for _, part := range []string{"level=WARN", "dropping", v.path, fmt.Sprint("offset=", v.layout.Batches[3])} {
			if !strings.Contains(logged.String(), part) {
				t.Fatalf("the log %q lacks %q", logged.String(), part)
			}
		}
	}
}

// TestDroppedTailStaysGone: the end of a dropped batch must not become the
// continuation of later ones, however long those are.
func TestDroppedTailStaysGone(t *testing.T) {
	v := newVictim(t, wal.OSFS{}, t.TempDir(), false)
	content := slices.Clone(v.data)
	content[v.layout.Batches[2]] ^= 1 // 2 and, behind it, 3 to 6 are dropped
	writeFile(t, v.fs, v.path, content)
	l := open(t, v.opts)
	equal(t, dump(t, l), v.states[1])
	check(t, l.Close())
	rest := readFile(t, v.fs, v.path)[v.layout.Batches[2]:]
	if n := len(bytes.TrimRight(rest, "\x00")); n > 0 {
		t.Fatalf("%d bytes of the dropped end are left", n)
	}
}

// TestDamageInClosedSegment: what is missing at the end of a segment that is
// not the last one is damage, under every policy.
func TestDamageInClosedSegment(t *testing.T) {
	fs := crashfs.New()
	opts := small(fs, "wal")
	l := open(t, opts)
	var b wal.Batch
	b.CreateGroup(1, nil)
	check(t, l.Write(&b))
	for i := uint64(1); l.Stats().Segments < 3; i++ {
		b.Reset()
		b.Append(1, nil, []*raftpb.Entry{entry(i, 1, make([]byte, 500))})
		check(t, l.Write(&b))
	}
	check(t, l.Close())
	path := filepath.Join("wal", wal.SegmentName(2))
	data := readFile(t, fs, path)
	layout := wal.ReadLayout(data)
	last := layout.Batches[len(layout.Batches)-1]
	for _, policy := range []wal.SyncPolicy{wal.Always, wal.Never} {
		for what, change := range map[string]func([]byte) []byte{
			"flip":  func(b []byte) []byte { b[last+60] ^= 2; return b },
			"zeros": func(b []byte) []byte { clear(b[last:]); return b },
			"cut":   func(b []byte) []byte { return b[:last] },
		} {
			writeFile(t, fs, path, change(slices.Clone(data)))
			opts.Sync = policy
			_, err := wal.Open(opts)
			var corrupt *wal.CorruptError
			if !errors.As(err, &corrupt) || corrupt.File != path || corrupt.Offset != last {
				t.Fatalf("%s: %v; want damage at offset %d of %s", what, err, last, path)
			}
		}
	}
	writeFile(t, fs, path, data)
	check(t, open(t, opts).Close())
}

func TestMissingSegment(t *testing.T) {
	for _, missing := range []uint64{1, 2} {
		fs := crashfs.New()
		opts := small(fs, "wal")
		l := open(t, opts)
		var b wal.Batch
		b.CreateGroup(1, nil)
		check(t, l.Write(&b))
		for i := uint64(1); l.Stats().Segments < 3; i++ {
			b.Reset()
			b.Append(1, nil, []*raftpb.Entry{entry(i, 1, make([]byte, 500))})
			check(t, l.Write(&b))
		}
		check(t, l.Close())
		check(t, fs.Remove(filepath.Join("wal", wal.SegmentName(missing))))
		_, err := wal.Open(opts)
		var corrupt *wal.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "missing") {
			t.Fatalf("without segment %d: %v", missing, err)
		}
	}
}

func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	v := newVictim(t, wal.OSFS{}, dir, true)
	content := slices.Clone(v.data)
	content[v.layout.End-1] ^= 1 // torn as well, which must not be repaired
	wal.SetFormat(content, 2)
	writeFile(t, v.fs, v.path, content)
	leftover := filepath.Join(dir, wal.SegmentName(2)+".tmp")
	check(t, os.WriteFile(leftover, []byte("x"), 0o600))
	_, err := wal.Open(v.opts)
	if !errors.Is(err, wal.ErrNewerFormat) {
		t.Fatalf("Open: %v", err)
	}
	if !bytes.Equal(readFile(t, v.fs, v.path), content) {
		t.Fatal("the segment was changed")
	}
	if _, err := os.Stat(leftover); err != nil {
		t.Fatal(err)
	}
	// The lock was given back, and nothing else keeps the log from opening.
	writeFile(t, v.fs, v.path, v.data)
	l := open(t, v.opts)
	equal(t, dump(t, l), v.states[6])
	check(t, l.Close())
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the leftover is still there: %v", err)
	}
}

// TestRecoveredStateIsDurable: a process that was killed before its sync left
// batches that only the kernel has. The next one must not rely on them before
// they are durable.
func TestRecoveredStateIsDurable(t *testing.T) {
	for seed := range int64(20) {
		fs := crashfs.New()
		opts := small(fs, "wal")
		l := open(t, opts)
		var b wal.Batch
		b.CreateGroup(1, nil)
		b.Append(1, hardState(3, 2, 0), []*raftpb.Entry{entry(1, 3, make([]byte, 3000))})
		b.SetSync(false)
		check(t, l.Write(&b))
		before := dump(t, l)
		fs = fs.Kill()
		equal(t, dump(t, open(t, small(fs, "wal"))), before)
		fs = fs.Crash(rand.New(rand.NewSource(seed)))
		equal(t, dump(t, open(t, small(fs, "wal"))), before)
	}
}

// TestFailedSyncIsMadeGood: after a failed sync the kernel shows the batch and
// believes it clean, so another sync alone would not write it.
func TestFailedSyncIsMadeGood(t *testing.T) {
	fs := crashfs.New()
	l := open(t, small(fs, "wal"))
	fs.Fail(func(op crashfs.Op, _ string) error {
		if op == crashfs.OpSync {
			return errInjected
		}
		return nil
	})
	var b wal.Batch
	b.CreateGroup(1, nil)
	b.Append(1, nil, []*raftpb.Entry{entry(1, 1, make([]byte, 3000))})
	if err := l.Write(&b); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	fs = fs.Kill()
	back := dump(t, open(t, small(fs, "wal")))
	fs = fs.Crash(rand.New(rand.NewSource(1)))
	equal(t, dump(t, open(t, small(fs, "wal"))), back)
}

// TestDamageFoundWhenReading: records are verified when they are read from
// disk, long after recovery.
func TestDamageFoundWhenReading(t *testing.T) {
	fs := crashfs.New()
	opts := small(fs, "wal")
	opts.CacheBytes = 1
	l := open(t, opts)
	var b wal.Batch
	b.CreateGroup(1, nil)
	b.Append(1, nil, []*raftpb.Entry{entry(1, 1, []byte("one")), entry(2, 1, []byte("two"))})
	check(t, l.Write(&b))
	path := filepath.Join("wal", wal.SegmentName(1))
	data := readFile(t, fs, path)
	at := bytes.Index(data, []byte("two"))
	f, err := fs.Open(path)
	check(t, err)
	_, err = f.WriteAt([]byte("2"), int64(at))
	check(t, err)
	check(t, f.Close())
	_, err = l.Storage(1).Entries(1, 2, 1<<30)
	check(t, err)
	_, err = l.Storage(1).Entries(1, 3, 1<<30)
	var corrupt *wal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.File != path {
		t.Fatalf("Entries: %v", err)
	}
	check(t, l.Close())
}
