package wal_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/genuineh/aikv/node/wal"
)

// model is what a log should hold, kept in the plainest way.
type model struct {
	identity string
	groups   map[uint64]*modelGroup
}

type modelGroup struct {
	meta        string
	hs          *raftpb.HardState
	index, term uint64 // truncation point
	conf        *raftpb.ConfState
	entries     []*raftpb.Entry // from index+1 on
}

func newModel() *model { return &model{groups: make(map[uint64]*modelGroup)} }

func (m *model) clone() *model {
	c := &model{identity: m.identity, groups: make(map[uint64]*modelGroup)}
	for id, g := range m.groups {
		copied := *g
		copied.entries = slices.Clone(g.entries)
		c.groups[id] = &copied
	}
	return c
}

func (g *modelGroup) last() uint64 { return g.index + uint64(len(g.entries)) }

func (g *modelGroup) append(hs *raftpb.HardState, entries []*raftpb.Entry) {
	if hs != nil {
		g.hs = hs
	}
	for _, e := range entries {
		if e.GetIndex() > g.index {
			g.entries = append(slices.Clone(g.entries[:e.GetIndex()-g.index-1]), e)
		}
	}
}

func (g *modelGroup) truncate(index, term uint64, cs *raftpb.ConfState) {
	if index < g.index {
		return
	}
	match := index == g.index && term == g.term
	if index > g.index && index <= g.last() {
		match = g.entries[index-g.index-1].GetTerm() == term
	}
	if match {
		g.entries = g.entries[index-g.index:]
	} else {
		g.entries = nil
	}
	g.index, g.term = index, term
	if cs != nil {
		g.conf = cs
	}
}

// String is what dump prints for a log that holds the same.
func (m *model) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "identity %q\n", m.identity)
	for _, id := range slices.Sorted(maps.Keys(m.groups)) {
		g := m.groups[id]
		conf := g.conf
		if conf == nil {
			conf = &raftpb.ConfState{}
		}
		describe(&b, id, g.meta, g.hs, g.index, g.term, conf, g.entries)
	}
	return b.String()
}

func describe(b *strings.Builder, id uint64, meta string, hs *raftpb.HardState, index, term uint64, conf *raftpb.ConfState, entries []*raftpb.Entry) {
	fmt.Fprintf(b, "group %d meta %q", id, meta)
	if hs != nil {
		fmt.Fprintf(b, " term %d vote %d commit %d", hs.GetTerm(), hs.GetVote(), hs.GetCommit())
	}
	fmt.Fprintf(b, "\n  truncated at %d/%d voters %v learners %v\n", index, term, conf.GetVoters(), conf.GetLearners())
	for _, e := range entries {
		fmt.Fprintf(b, "  %d/%d %s %d:%08x\n", e.GetIndex(), e.GetTerm(), e.GetType(), len(e.Data), crc32.ChecksumIEEE(e.Data))
	}
}

// dump describes a log by what its readers return, and checks on the way that
// they agree with each other.
func dump(t testing.TB, l *wal.Log) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "identity %q\n", l.Identity())
	for _, id := range l.Groups() {
		g := l.Storage(id)
		hs, conf, err := g.InitialState()
		check(t, err)
		if !proto.Equal(hs, g.HardState()) {
			t.Fatalf("group %d: InitialState and HardState differ", id)
		}
		index, term, _ := g.Truncated()
		first, err := g.FirstIndex()
		check(t, err)
		last, err := g.LastIndex()
		check(t, err)
		if first != index+1 || last < index {
			t.Fatalf("group %d: truncated at %d, first %d, last %d", id, index, first, last)
		}
		if got, err := g.Term(index); err != nil || got != term {
			t.Fatalf("group %d: Term(%d) = %d, %v; truncated at term %d", id, index, got, err, term)
		}
		var entries, confs []*raftpb.Entry
		if last >= first {
			entries, err = g.Entries(first, last+1, 1<<62)
			check(t, err)
		}
		for i, e := range entries {
			if got, err := g.Term(first + uint64(i)); err != nil || got != e.GetTerm() || e.GetIndex() != first+uint64(i) {
				t.Fatalf("group %d: entry %d has index %d and term %d; Term says %d, %v", id, first+uint64(i), e.GetIndex(), e.GetTerm(), got, err)
			}
			if e.GetType() != raftpb.EntryNormal {
				confs = append(confs, e)
			}
		}
		checkSize(t, g, entries)
		noted, err := g.ConfEntries(first, last+1)
		check(t, err)
		if !slices.EqualFunc(noted, confs, func(a, b *raftpb.Entry) bool { return a.GetIndex() == b.GetIndex() && bytes.Equal(a.Data, b.Data) }) {
			t.Fatalf("group %d: ConfEntries returned %d entries, the log has %d", id, len(noted), len(confs))
		}
		describe(&b, id, string(l.GroupMeta(id)), hs, index, term, conf, entries)
	}
	return b.String()
}

// checkSize compares Size and Tail with what the entries take.
func checkSize(t testing.TB, g *wal.GroupLog, entries []*raftpb.Entry) {
	t.Helper()
	var total int64
	for _, e := range entries {
		total += wal.RecordSize(e)
	}
	if n, size := g.Size(); n != len(entries) || size != total {
		t.Fatalf("%d entries of %d bytes, not %d of %d", n, size, len(entries), total)
	}
	first, _ := g.FirstIndex()
	for _, limit := range []struct {
		entries int
		bytes   int64
	}{{0, total}, {len(entries), 0}, {len(entries), total}, {len(entries) / 2, total}, {len(entries), total / 2}} {
		point, kept, size := first-1+uint64(len(entries)), 0, int64(0)
		for i := len(entries) - 1; i >= 0; i-- {
			if size += wal.RecordSize(entries[i]); kept == limit.entries || size > limit.bytes {
				break
			}
			kept, point = kept+1, point-1
		}
		if got := g.Tail(limit.entries, limit.bytes); got != point {
			t.Fatalf("Tail(%d, %d) = %d, not %d", limit.entries, limit.bytes, got, point)
		}
	}
}

// fill puts a few random changes into b and m alike.
func fill(rng *rand.Rand, b *wal.Batch, m *model) {
	b.Reset()
	for range 1 + rng.Intn(4) {
		id := uint64(1 + rng.Intn(4))
		g := m.groups[id]
		meta := fmt.Sprint("m", rng.Intn(1000))
		switch what := rng.Intn(40); {
		case what == 0:
			m.identity = fmt.Sprint("i", rng.Intn(1000))
			b.SetIdentity([]byte(m.identity))
		case g == nil:
			m.groups[id] = &modelGroup{meta: meta}
			b.CreateGroup(id, []byte(meta))
		case what == 1:
			delete(m.groups, id)
			b.DestroyGroup(id)
		case what == 2:
			g.meta = meta
			b.SetGroupMeta(id, []byte(meta))
		case what < 14:
			index, term := randomPoint(rng, g)
			var cs *raftpb.ConfState
			if rng.Intn(3) > 0 {
				cs = &raftpb.ConfState{Voters: []uint64{1, uint64(2 + rng.Intn(9))}, Learners: []uint64{77}}
			}
			g.truncate(index, term, cs)
			b.Truncate(id, index, term, cs)
		default:
			hs, entries := randomAppend(rng, g)
			g.append(hs, entries)
			b.Append(id, hs, entries)
		}
	}
}

// randomPoint is mostly the index and term of an entry, sometimes a stale
// point, one behind the log's end, or one of another term.
func randomPoint(rng *rand.Rand, g *modelGroup) (index, term uint64) {
	switch n := len(g.entries); {
	case rng.Intn(20) == 0:
		return g.last() + uint64(rng.Intn(5)), g.term + 100
	case rng.Intn(20) == 0 && g.index > 0:
		return g.index - 1, g.term
	case n == 0:
		return g.index, g.term
	default:
		e := g.entries[rng.Intn(n)]
		if rng.Intn(20) == 0 {
			return e.GetIndex(), e.GetTerm() + 100
		}
		return e.GetIndex(), e.GetTerm()
	}
}

func randomAppend(rng *rand.Rand, g *modelGroup) (*raftpb.HardState, []*raftpb.Entry) {
	term := g.term
	if n := len(g.entries); n > 0 {
		term = g.entries[n-1].GetTerm()
	}
	first := g.last() + 1
	if rng.Intn(4) == 0 { // another leader's entries replace the end
		term++
		first -= uint64(rng.Intn(len(g.entries) + 1))
		if rng.Intn(4) == 0 && first > 2 { // and some are below the truncation point
			first -= 2
		}
	}
	var entries []*raftpb.Entry
	for i := range rng.Intn(6) {
		e := entry(first+uint64(i), term, nil)
		if rng.Intn(8) == 0 {
			e.Type = raftpb.EntryConfChangeV2.Enum()
		}
		if n := rng.Intn(600); n > 0 {
			e.Data = make([]byte, n)
			rng.Read(e.Data)
		}
		entries = append(entries, e)
	}
	if len(entries) > 0 && rng.Intn(2) == 0 {
		return nil, entries
	}
	return hardState(1+term, uint64(rng.Intn(3)), uint64(rng.Intn(1000))), entries
}

func entry(index, term uint64, data []byte) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryNormal.Enum(), Data: data}
}

func hardState(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

// small are options with which a few hundred small batches fill many segments.
func small(fs wal.FS, dir string) wal.Options {
	return wal.Options{
		Dir: dir, FS: fs, SegmentSize: 16 << 10, Preallocate: 4 << 10, CacheBytes: 2000,
		Rand: rand.New(rand.NewSource(1)), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func open(t testing.TB, opts wal.Options) *wal.Log {
	t.Helper()
	l, err := wal.Open(opts)
	check(t, err)
	return l
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
}

// readFile and writeFile work on any FS.
func readFile(t testing.TB, fs wal.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	check(t, err)
	defer f.Close()
	n, err := f.Size()
	check(t, err)
	data := make([]byte, n)
	if n > 0 {
		_, err = f.ReadAt(data, 0)
		check(t, err)
	}
	return data
}

func writeFile(t testing.TB, fs wal.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt(data, 0)
	check(t, err)
}

func segments(t testing.TB, fs wal.FS, dir string) []string {
	t.Helper()
	names, err := fs.ReadDir(dir)
	check(t, err)
	names = slices.DeleteFunc(names, func(n string) bool { return filepath.Ext(n) != ".wal" })
	slices.Sort(names)
	return names
}
