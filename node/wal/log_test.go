package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
	"github.com/genuineh/aikv/testbed/limit"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// write runs one batch.
func write(t testing.TB, l *wal.Log, build func(b *wal.Batch)) {
	t.Helper()
	var b wal.Batch
	build(&b)
	check(t, l.Write(&b))
}

// TestRaftRestarts runs a raft.RawNode over the log, twice.
func TestRaftRestarts(t *testing.T) {
	opts := small(wal.OSFS{}, t.TempDir())
	for life := uint64(1); life <= 2; life++ {
		l := open(t, opts)
		if life == 1 {
			write(t, l, func(b *wal.Batch) {
				b.CreateGroup(5, []byte("meta"))
				b.Truncate(5, 1, 1, &raftpb.ConfState{Voters: []uint64{1}})
			})
		}
		storage := l.Storage(5)
		applied, _, _ := storage.Truncated()
		node, err := raft.NewRawNode(&raft.Config{
			ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, Applied: applied,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 16, Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
		})
		check(t, err)
		check(t, node.Campaign())
		proposed := false
		var commands []string
		for node.HasReady() {
			rd := node.Ready()
			write(t, l, func(b *wal.Batch) { b.Append(5, rd.HardState, rd.Entries) })
			for _, e := range rd.CommittedEntries {
				if len(e.Data) > 0 {
					commands = append(commands, string(e.Data))
				}
			}
			node.Advance(rd)
			if node.Status().RaftState == raft.StateLeader && !proposed {
				proposed = true
				check(t, node.Propose(fmt.Appendf(nil, "life %d", life)))
			}
		}
		want := []string{"life 1", "life 2"}[:life]
		if fmt.Sprint(commands) != fmt.Sprint(want) {
			t.Fatalf("life %d: applied %q, want %q", life, commands, want)
		}
		if hs := storage.HardState(); hs.GetTerm() != life {
			t.Fatalf("life %d: term %d", life, hs.GetTerm())
		}
		check(t, l.Close())
	}
}

// TestMatchesMemoryStorage compares every answer with raft's own storage.
func TestMatchesMemoryStorage(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	opts := small(crashfs.New(), "wal")
	l := open(t, opts)
	defer l.Close()
	write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil) })
	ours, theirs := l.Storage(1), raft.NewMemoryStorage()
	term := uint64(1)
	for range 400 {
		first, _ := theirs.FirstIndex()
		last, _ := theirs.LastIndex()
		if rng.Intn(6) == 0 && last >= first {
			point := first + uint64(rng.Intn(int(last-first+1)))
			at, err := theirs.Term(point)
			check(t, err)
			write(t, l, func(b *wal.Batch) { b.Truncate(1, point, at, nil) })
			check(t, theirs.Compact(point))
		} else {
			from := last + 1
			if rng.Intn(4) == 0 {
				from -= uint64(rng.Intn(int(last - first + 2)))
				term++
			}
			var entries []*raftpb.Entry
			for i := range 1 + rng.Intn(5) {
				entries = append(entries, entry(from+uint64(i), term, make([]byte, rng.Intn(300))))
				if len(entries[i].Data) == 0 {
					entries[i].Data = nil
				}
			}
			write(t, l, func(b *wal.Batch) { b.Append(1, nil, entries) })
			check(t, theirs.Append(entries))
		}
		compareStorages(t, rng, ours, theirs)
	}
}

func compareStorages(t *testing.T, rng *rand.Rand, ours, theirs raft.Storage) {
	t.Helper()
	first, _ := theirs.FirstIndex()
	last, _ := theirs.LastIndex()
	if f, _ := ours.FirstIndex(); f != first {
		t.Fatalf("FirstIndex %d, want %d", f, first)
	}
	if n, _ := ours.LastIndex(); n != last {
		t.Fatalf("LastIndex %d, want %d", n, last)
	}
	for i := first - min(first, 3); i <= last+2; i++ {
		a, aerr := ours.Term(i)
		b, berr := theirs.Term(i)
		if a != b || aerr != berr {
			t.Fatalf("Term(%d) = %d, %v; want %d, %v", i, a, aerr, b, berr)
		}
	}
	if _, err := ours.Entries(first-1, last+1, math.MaxUint64); err != raft.ErrCompacted {
		t.Fatalf("Entries below the first: %v", err)
	}
	if _, err := ours.Entries(first, last+2, math.MaxUint64); err != raft.ErrUnavailable {
		t.Fatalf("Entries behind the last: %v", err)
	}
	for range 5 {
		if last < first {
			return
		}
		lo := first + uint64(rng.Intn(int(last-first+1)))
		hi := lo + 1 + uint64(rng.Intn(int(last-lo+1)))
		size := uint64(rng.Intn(2000))
		a, err := ours.Entries(lo, hi, size)
		check(t, err)
		b, err := theirs.Entries(lo, hi, size)
		check(t, err)
		if len(a) != len(b) {
			t.Fatalf("Entries(%d, %d, %d): %d entries, want %d", lo, hi, size, len(a), len(b))
		}
		for i := range a {
			if !proto.Equal(a[i], b[i]) {
				t.Fatalf("entry %d: %v, want %v", lo+uint64(i), a[i], b[i])
			}
		}
	}
}

// TestBigEntries: entries and batches larger than a segment.
func TestBigEntries(t *testing.T) {
	opts := small(wal.OSFS{}, t.TempDir())
	l := open(t, opts)
	rng := rand.New(rand.NewSource(1))
	m := newModel()
	m.groups[1] = &modelGroup{}
	write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil) })
	for i := uint64(1); i <= 6; i++ {
		data := make([]byte, []int{3 << 20, 10, 16 << 10, 1 << 20, 0, 100}[i-1])
		rng.Read(data)
		entries := []*raftpb.Entry{entry(2*i-1, 1, data), entry(2*i, 1, []byte("x"))}
		m.groups[1].append(nil, entries)
		write(t, l, func(b *wal.Batch) { b.Append(1, nil, entries) })
	}
	equal(t, dump(t, l), m.String())
	check(t, l.Close())
	l = open(t, opts)
	equal(t, dump(t, l), m.String())
	check(t, l.Close())
}

func TestRecreatedGroup(t *testing.T) {
	opts := small(wal.OSFS{}, t.TempDir())
	l := open(t, opts)
	write(t, l, func(b *wal.Batch) {
		b.CreateGroup(1, []byte("first"))
		b.Append(1, hardState(7, 7, 2), []*raftpb.Entry{entry(1, 7, []byte("a")), entry(2, 7, []byte("b"))})
		b.Truncate(1, 1, 7, &raftpb.ConfState{Voters: []uint64{1, 2}})
	})
	old := l.Storage(1)
	write(t, l, func(b *wal.Batch) {
		b.DestroyGroup(1)
		b.CreateGroup(1, []byte("second"))
		b.Append(1, nil, []*raftpb.Entry{entry(1, 1, []byte("c"))})
	})
	if last, _ := old.LastIndex(); last != 0 {
		t.Fatalf("the destroyed group's handle ends at %d", last)
	}
	m := newModel()
	m.groups[1] = &modelGroup{meta: "second", entries: []*raftpb.Entry{entry(1, 1, []byte("c"))}}
	equal(t, dump(t, l), m.String())
	check(t, l.Close())
	l = open(t, opts)
	equal(t, dump(t, l), m.String())
	write(t, l, func(b *wal.Batch) { b.DestroyGroup(1) })
	if l.Storage(1) != nil || l.GroupMeta(1) != nil || len(l.Groups()) != 0 {
		t.Fatal("the group is still there")
	}
	check(t, l.Close())
}

// TestBadBatches: what would leave a gap is refused, changes nothing, and does
// not poison.
func TestBadBatches(t *testing.T) {
	opts := small(crashfs.New(), "wal")
	l := open(t, opts)
	write(t, l, func(b *wal.Batch) {
		b.CreateGroup(1, nil)
		b.Append(1, nil, []*raftpb.Entry{entry(1, 1, nil), entry(2, 1, nil)})
	})
	before, writes := dump(t, l), l.Stats().Writes
	for name, c := range map[string]struct {
		build func(b *wal.Batch)
		want  error
	}{
		"gap":            {func(b *wal.Batch) { b.Append(1, nil, []*raftpb.Entry{entry(4, 1, nil)}) }, wal.ErrBadBatch},
		"not in order":   {func(b *wal.Batch) { b.Append(1, nil, []*raftpb.Entry{entry(3, 1, nil), entry(5, 1, nil)}) }, wal.ErrBadBatch},
		"index 0":        {func(b *wal.Batch) { b.Append(1, nil, []*raftpb.Entry{entry(0, 1, nil)}) }, wal.ErrBadBatch},
		"unknown group":  {func(b *wal.Batch) { b.Append(2, hardState(1, 1, 1), nil) }, wal.ErrUnknownGroup},
		"destroyed":      {func(b *wal.Batch) { b.DestroyGroup(1); b.Truncate(1, 1, 1, nil) }, wal.ErrUnknownGroup},
		"created twice":  {func(b *wal.Batch) { b.CreateGroup(3, nil); b.CreateGroup(3, nil) }, wal.ErrGroupExists},
		"exists already": {func(b *wal.Batch) { b.CreateGroup(1, nil) }, wal.ErrGroupExists},
	} {
		var b wal.Batch
		b.SetIdentity([]byte("not written"))
		c.build(&b)
		if err := l.Write(&b); !errors.Is(err, c.want) {
			t.Fatalf("%s: %v, want %v", name, err, c.want)
		}
	}
	equal(t, dump(t, l), before)
	if n := l.Stats().Writes; n != writes {
		t.Fatalf("%d writes", n-writes)
	}
	check(t, l.Close())
}

// TestPoison: after a failed call nothing is written or synced any more, and
// every later call returns the same error.
func TestPoison(t *testing.T) {
	for _, failing := range []crashfs.Op{crashfs.OpWrite, crashfs.OpSync, crashfs.OpCreate, crashfs.OpRename, crashfs.OpSyncDir} {
		fs := crashfs.New()
		l := open(t, small(fs, "wal"))
		write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil) })
		injected := fmt.Errorf("no: %w", syscall.ENOSPC)
		failed := false
		fs.Fail(func(op crashfs.Op, _ string) error {
			if failed && op != crashfs.OpRead {
				t.Errorf("%s after the failed %s", op, failing)
			}
			if op != failing {
				return nil
			}
			failed = true
			return injected
		})
		var first error
		acknowledged := uint64(0)
		for i := uint64(1); first == nil && i < 1000; i++ {
			var b wal.Batch
			b.Append(1, nil, []*raftpb.Entry{entry(i, 1, make([]byte, 1000))})
			if first = l.Write(&b); first == nil {
				acknowledged = i
			}
		}
		if !errors.Is(first, syscall.ENOSPC) {
			t.Fatalf("%s: %v", failing, first)
		}
		var b wal.Batch
		b.SetIdentity([]byte("x"))
		for _, err := range []error{l.Write(&b), l.Sync(), l.Close()} {
			if err != first {
				t.Fatalf("%s: later %v, first %v", failing, err, first)
			}
		}
		fs.Fail(nil)
		l = open(t, small(fs, "wal"))
		if last, _ := l.Storage(1).LastIndex(); last < acknowledged {
			t.Fatalf("%s: %d entries are left of %d", failing, last, acknowledged)
		}
		check(t, l.Close())
	}
}

func TestLock(t *testing.T) {
	opts := small(wal.OSFS{}, t.TempDir())
	lock := filepath.Join(opts.Dir, "LOCK")
	check(t, os.WriteFile(lock, []byte("1234567890 left by another process\n"), 0o644))
	l := open(t, opts)
	pid := strconv.Itoa(os.Getpid())
	if text, err := os.ReadFile(lock); err != nil || string(text) != pid+"\n" {
		t.Fatalf("the lock names %q, %v, not process %s", text, err, pid)
	}
	if _, err := wal.Open(opts); !errors.Is(err, wal.ErrLocked) || !strings.Contains(err.Error(), "(pid "+pid+")") {
		t.Fatalf("the second Open: %v", err)
	}
	check(t, l.Close())
	if text, err := os.ReadFile(lock); err != nil || len(text) != 0 {
		t.Fatalf("after Close the lock names %q, %v", text, err)
	}
	var b wal.Batch
	if err := l.Write(&b); err != wal.ErrClosed {
		t.Fatalf("Write after Close: %v", err)
	}
	check(t, open(t, opts).Close())
}

// TestSyncs: one sync a batch that asks for it, none for others, and the file's
// length changes in steps only. Without a policy to sync, the one vote is all the same.
func TestSyncs(t *testing.T) {
	for policy, wanted := range map[wal.SyncPolicy]int64{wal.Always: 10, wal.Never: 1} {
		opts := small(wal.OSFS{}, t.TempDir())
		opts.Sync = policy
		l := open(t, opts)
		write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil); b.SetSync(false) })
		var b wal.Batch
		for i := range uint64(20) {
			b.Reset()
			b.Append(1, hardState(1, 1, i), nil)
			b.SetSync(i%2 == 0)
			check(t, l.Write(&b))
			info, err := os.Stat(filepath.Join(opts.Dir, wal.SegmentName(1)))
			check(t, err)
			if info.Size()%opts.Preallocate != 0 || info.Size() < l.Stats().Bytes {
				t.Fatalf("the file has %d bytes", info.Size())
			}
		}
		if stats := l.Stats(); stats.Syncs != wanted || stats.Writes != 21 {
			t.Fatalf("policy %d: %+v", policy, stats)
		}
		check(t, l.Close())
	}
}

// TestVotesOutliveTheMachine: what decides who may vote is synced whatever the
// policy; a crash of the machine takes back commands at most.
func TestVotesOutliveTheMachine(t *testing.T) {
	fs := crashfs.New()
	opts := small(fs, "wal")
	opts.Sync = wal.Never
	l := open(t, opts)
	rng := rand.New(rand.NewSource(1))
	crash := func() {
		fs = fs.Crash(rng)
		opts.FS = fs
		l = open(t, opts)
	}
	write(t, l, func(b *wal.Batch) { b.CreateGroup(1, []byte("meta")) })
	crash()
	write(t, l, func(b *wal.Batch) { b.Append(1, hardState(3, 7, 0), nil) })
	crash()
	if hs := l.Storage(1).HardState(); hs.GetTerm() != 3 || hs.GetVote() != 7 {
		t.Fatalf("the vote is forgotten: %v", hs)
	}
	change := &raftpb.Entry{Index: new(uint64(1)), Term: new(uint64(3)), Type: raftpb.EntryConfChangeV2.Enum()}
	write(t, l, func(b *wal.Batch) { b.Append(1, nil, []*raftpb.Entry{change}) })
	crash()
	if last, _ := l.Storage(1).LastIndex(); last != 1 {
		t.Fatalf("the membership change is forgotten: the log ends at %d", last)
	}
}

func TestIntervalSyncs(t *testing.T) {
	fs := crashfs.New()
	opts := small(fs, "wal")
	opts.Sync, opts.SyncInterval = wal.Interval, time.Millisecond
	l := open(t, opts)
	write(t, l, func(b *wal.Batch) { b.SetIdentity([]byte("x")) })
	for deadline := time.Now().Add(limit.Wait()); l.Stats().Syncs == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never synced")
		}
	}
	fs.Fail(func(op crashfs.Op, _ string) error {
		if op == crashfs.OpSync {
			return errInjected
		}
		return nil
	})
	var b wal.Batch
	for deadline := time.Now().Add(limit.Wait()); ; time.Sleep(time.Millisecond) {
		b.Reset()
		b.SetIdentity([]byte("y"))
		if err := l.Write(&b); errors.Is(err, errInjected) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the failed sync went unnoticed")
		}
	}
	if err := l.Close(); !errors.Is(err, errInjected) {
		t.Fatalf("Close: %v", err)
	}
}

// TestReclaim: a busy group that truncates and a quiet one that does not. The
// log stays within a few segments, and the quiet group keeps its entries.
func TestReclaim(t *testing.T) {
	fs := crashfs.New()
	opts := small(fs, "wal")
	l := open(t, opts)
	m := newModel()
	m.groups[1], m.groups[2] = &modelGroup{}, &modelGroup{}
	var quiet []*raftpb.Entry
	for i := range uint64(20) {
		quiet = append(quiet, entry(i+1, 1, bytes.Repeat([]byte{byte(i)}, 100)))
	}
	quiet[4].Type = raftpb.EntryConfChange.Enum()
	m.groups[2].append(nil, quiet)
	write(t, l, func(b *wal.Batch) {
		b.CreateGroup(1, nil)
		b.CreateGroup(2, nil)
		b.Append(2, nil, quiet)
	})
	var written int64
	for i := uint64(1); i <= 2000; i++ {
		e := entry(i, 1, make([]byte, 400))
		written += 400
		m.groups[1].append(nil, []*raftpb.Entry{e})
		write(t, l, func(b *wal.Batch) {
			b.Append(1, nil, []*raftpb.Entry{e})
			if i > 10 {
				m.groups[1].truncate(i-10, 1, nil)
				b.Truncate(1, i-10, 1, nil)
			}
		})
		if n := len(segments(t, fs, "wal")); n > 5 {
			t.Fatalf("%d segments after %d bytes", n, written)
		}
	}
	if written < 40*opts.SegmentSize {
		t.Fatal("the test writes too little")
	}
	equal(t, dump(t, l), m.String())
	check(t, l.Close())
	l = open(t, opts)
	equal(t, dump(t, l), m.String())
	write(t, l, func(b *wal.Batch) { b.DestroyGroup(1); b.DestroyGroup(2) })
	if n := l.Stats(); n.Segments != 1 || n.LiveBytes != 0 {
		t.Fatalf("%+v after all groups are gone", n)
	}
	check(t, l.Close())
}

// TestReadersDuringReclaim reads from disk while segments come and go.
func TestReadersDuringReclaim(t *testing.T) {
	opts := small(wal.OSFS{}, t.TempDir())
	l := open(t, opts)
	write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil) })
	g := l.Storage(1)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				first, _ := g.FirstIndex()
				last, _ := g.LastIndex()
				if last < first {
					continue
				}
				entries, err := g.Entries(first, last+1, math.MaxUint64)
				if errors.Is(err, raft.ErrCompacted) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i, e := range entries {
					if index := first + uint64(i); e.GetIndex() != index || string(e.Data[:8]) != fmt.Sprintf("%08d", index) {
						t.Errorf("entry %d: %d %q", index, e.GetIndex(), e.Data[:8])
						return
					}
				}
			}
		})
	}
	for i := uint64(1); i <= 600; i++ {
		write(t, l, func(b *wal.Batch) {
			b.Append(1, nil, []*raftpb.Entry{entry(i, 1, fmt.Appendf(nil, "%08d%0300d", i, 0))})
			b.SetSync(false)
		})
		if i > 50 && i%20 == 0 {
			write(t, l, func(b *wal.Batch) { b.Truncate(1, i-40, 1, nil); b.SetSync(false) })
		}
	}
	close(stop)
	readers.Wait()
	check(t, l.Close())
}

func TestSnapshotIsTheTruncationPoint(t *testing.T) {
	l := open(t, small(crashfs.New(), "wal"))
	defer l.Close()
	write(t, l, func(b *wal.Batch) { b.CreateGroup(1, nil) })
	g := l.Storage(1)
	if _, err := g.Snapshot(); err != raft.ErrSnapshotTemporarilyUnavailable {
		t.Fatal(err)
	}
	conf := &raftpb.ConfState{Voters: []uint64{4, 5}}
	write(t, l, func(b *wal.Batch) { b.Truncate(1, 5, 2, conf) })
	got, err := g.Snapshot()
	if at := got.GetMetadata(); err != nil || at.GetIndex() != 5 || at.GetTerm() != 2 || at.GetConfState().Equivalent(conf) != nil {
		t.Fatal(got, err)
	}
}

func TestParseSyncPolicy(t *testing.T) {
	for text, want := range map[string]wal.SyncPolicy{"always": wal.Always, "interval": wal.Interval, "never": wal.Never} {
		if got, err := wal.ParseSyncPolicy(text); err != nil || got != want {
			t.Fatalf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := wal.ParseSyncPolicy("sometimes"); err == nil {
		t.Fatal("no error")
	}
}

// BenchmarkWrite measures batches of entries of 128 bytes, synced.
func BenchmarkWrite(b *testing.B) {
	for _, policy := range []wal.SyncPolicy{wal.Always, wal.Never} {
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("policy=%d/entries=%d", policy, n), func(b *testing.B) {
				l := open(b, wal.Options{Dir: b.TempDir(), Sync: policy, Logger: textLogger(io.Discard)})
				defer l.Close()
				write(b, l, func(batch *wal.Batch) { batch.CreateGroup(1, nil) })
				var batch wal.Batch
				entries := make([]*raftpb.Entry, n)
				data := make([]byte, 128)
				next := uint64(1)
				b.ReportAllocs()
				for b.Loop() {
					for i := range entries {
						entries[i] = entry(next, 1, data)
						next++
					}
					batch.Reset()
					batch.Append(1, hardState(1, 1, next-1), entries)
					if next > 20000 {
						batch.Truncate(1, next-10000, 1, nil)
					}
					check(b, l.Write(&batch))
				}
			})
		}
	}
}
