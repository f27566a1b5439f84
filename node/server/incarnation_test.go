package server

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

func openedPast(t *testing.T, dir string) *folderPast {
	t.Helper()
	p, err := openPast(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Each start adds an incarnation; what came before the recorded one is forgotten.
func TestFolderPast(t *testing.T) {
	dir := t.TempDir()
	first := openedPast(t, dir).lineage()
	if len(first) != 1 || first.Now().Start != 1 || first.Now().Mark == 0 {
		t.Fatalf("a new folder has %v", first)
	}
	p := openedPast(t, dir)
	second := p.lineage()
	if len(second) != 2 || second[0] != first[0] || second.Now().Start != 2 || second.Now().Mark == first.Now().Mark {
		t.Fatalf("after a restart: %v", second)
	}
	p.recorded(first.Now()) // that is over
	if !slices.Equal(p.lineage(), second) {
		t.Errorf("%v", p.lineage())
	}
	p.recorded(second.Now())
	if got := p.lineage(); len(got) != 1 || got.Now() != second.Now() {
		t.Errorf("recorded: %v", got)
	}
	// A start that was cut short before it took the name of the file.
	if err := os.WriteFile(p.path+".new", []byte("1\n99"), 0o644); err != nil {
		t.Fatal(err)
	}
	p = openedPast(t, dir)
	if got := p.lineage(); len(got) != 2 || got[0] != second.Now() || got.Now().Start != 3 {
		t.Errorf("after another restart: %v", got)
	}
	if decoded, ok := decodeLineage(p.hello()); !ok || !slices.Equal(decoded, p.lineage()) {
		t.Errorf("the hello says %v", decoded)
	}
}

func TestLongPast(t *testing.T) {
	dir := t.TempDir()
	first := openedPast(t, dir).lineage().Now()
	long := metaraft.Lineage{first}
	for start := uint64(2); len(long) < maxLineage; start++ {
		long = append(long, metaraft.Incarnation{Start: start, Mark: start})
	}
	if err := openedPast(t, dir).write(long); err != nil {
		t.Fatal(err)
	}
	p := openedPast(t, dir)
	if got := p.lineage(); len(got) != maxLineage || got[0] != first || got[1].Start != 3 || got.Now().Start != maxLineage+1 {
		t.Errorf("%d incarnations, from %v to %v", len(got), got[0], got.Now())
	}
	if _, ok := decodeLineage(p.hello()); !ok {
		t.Error("others cannot read it")
	}
}

func TestDamagedPast(t *testing.T) {
	for text, newer := range map[string]bool{
		"": true, "2\n": true, "1\nx": false, "1\n1 ff\n1 fe\n": false, "1\n5 zz\n": false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "INCARNATION"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := openPast(dir, slog.New(slog.DiscardHandler))
		if err == nil || errors.Is(err, errNewer) != newer {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzDecodeLineage(f *testing.F) {
	f.Add(encodeLineage(metaraft.Lineage{{Start: 1, Mark: 2}, {Start: 3, Mark: 4}}))
	f.Add("short")
	f.Fuzz(func(t *testing.T, text string) {
		if lineage, ok := decodeLineage(text); ok && encodeLineage(lineage) != text {
			t.Errorf("%q became %v", text, lineage)
		}
	})
}

// admit judges who comes in the name of node 2, whom MetaRaft has at two:1 in its
// fifth start.
func TestAdmit(t *testing.T) {
	machine, err := metaraft.NewMachine(storage.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	five := metaraft.Incarnation{Start: 5, Mark: 50}
	var entries []metaraft.Entry
	for i, c := range []metaraft.Change{
		&metaraft.Init{ClusterID: 1, Node: 1, MetaID: 1},
		&metaraft.Admit{Token: 1, Node: 2, Address: topology.Address{Raft: "two:1"}, Lineage: metaraft.Lineage{five}},
	} {
		payload, err := metaraft.EncodeProposal(metaraft.Proposal{Change: c})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, metaraft.Entry{Index: uint64(i + 1), Payloads: [][]byte{payload}})
	}
	if err := machine.Apply(entries); err != nil {
		t.Fatal(err)
	}
	h := &home{opened: &metaReplica{machine: machine}}
	text := func(list ...metaraft.Incarnation) string { return encodeLineage(list) }
	six, twin := metaraft.Incarnation{Start: 6, Mark: 60}, metaraft.Incarnation{Start: 6, Mark: 61}
	long := time.Hour
	for _, test := range []struct {
		name  string
		addr  string
		says  string
		known transport.Presence
		want  string // part of the refusal, empty: let in
	}{
		{"as recorded", "two:1", text(five), transport.Presence{}, ""},
		{"restarted", "two:1", text(five, six), transport.Presence{}, ""},
		{"restarted, its former stream still stands", "two:1", text(five, six), transport.Presence{Incarnation: text(five), Standing: true}, "is connected here"},
		{"restarted, its former stream is gone", "two:1", text(five, six), transport.Presence{Incarnation: text(five)}, ""},
		{"another stream of the same", "two:1", text(six), transport.Presence{Incarnation: text(five, six), Standing: true}, ""},
		{"a twin of one that was heard", "two:1", text(five, twin), transport.Presence{Incarnation: text(five, six)}, "is a copy of its folder"},
		{"a twin of one that is reached", "two:1", text(five, twin), transport.Presence{Reached: text(five, six)}, "is a copy of its folder"},
		{"an old backup", "two:1", text(metaraft.Incarnation{Start: 4, Mark: 40}), transport.Presence{}, "is a copy of its folder"},
		{"a folder without a past", "two:1", "", transport.Presence{}, "is a copy of its folder"},
		{"moved just now", "new:1", text(five, six), transport.Presence{}, "until a moment ago"},
		{"moved", "new:1", text(five, six), transport.Presence{Apart: long}, ""},
		{"moved, and somebody is where it was", "new:1", text(five, six), transport.Presence{Reached: text(five)}, "answers at two:1"},
		{"not readable", "two:1", "x", transport.Presence{}, "cannot be read"},
	} {
		from := transport.Identity{ClusterID: 1, NodeID: 2, RaftAddr: test.addr, Incarnation: test.says}
		err := h.admit(from, test.known)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := h.admit(transport.Identity{ClusterID: 1, NodeID: 3, RaftAddr: "three:1", Incarnation: text(twin)}, transport.Presence{}); err != nil {
		t.Errorf("one that nobody has recorded: %v", err)
	}
}
