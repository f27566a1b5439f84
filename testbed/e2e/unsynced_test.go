package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// losePower makes a killed process's folder look as after a power cut of a machine
// that had not written the end of the log: the file names another run of the
// machine, and the last bytes are gone.
func (p *process) losePower(lost int) {
	p.t.Helper()
	data := filepath.Join(p.dir, "data")
	if _, err := os.Stat(filepath.Join(data, "UNSYNCED")); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "UNSYNCED"), []byte("another run\n"), 0o644); err != nil {
		p.t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(data, "wal", "*.wal"))
	if err != nil || len(segments) == 0 {
		p.t.Fatalf("segments %v, %v", segments, err)
	}
	last := slices.Max(segments)
	text, err := os.ReadFile(last)
	if err != nil {
		p.t.Fatal(err)
	}
	end := len(bytes.TrimRight(text, "\x00"))
	clear(text[max(0, end-lost):])
	if err := os.WriteFile(last, text, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// A lone node that does not sync its log loses at most the last writes: it has
// promised nothing to anybody, so it goes on with what is left.
func TestLoneNodeWithoutSyncAfterAPowerCut(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 1, "AIKV_WAL_FSYNC=never")
	n := f.nodes[0]
	n.must("cluster", "addslotsrange", 0, 16383)
	eventually(t, func() error { return n.set("first", "v") })
	for i := range 200 {
		if err := n.set(fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	n.kill() // of the process alone: nothing is lost
	n.mustStart("")
	eventually(t, func() error { _, err := n.get("k199"); return err })

	n.kill()
	n.losePower(4000)
	n.mustStart("")
	eventually(t, func() error {
		got, err := n.get("first")
		if err == nil && got != "v" {
			t.Fatalf("GET first = %q", got)
		}
		return err
	})
	if err := n.set("k", "again"); err != nil {
		t.Fatal(err)
	}
	n.kill() // once more, without a loss: it is as any other start
	n.mustStart("")
	eventually(t, func() error {
		got, err := n.get("k")
		if err == nil && got != "again" {
			t.Fatalf("GET k = %q", got)
		}
		return err
	})
}

// A member of a cluster that may have forgotten its votes does not come back under
// its old ids. It says so in one line, and the others go on.
func TestMemberWithoutSyncAfterAPowerCut(t *testing.T) {
	t.Parallel()
	f := startShard(t, 3, "AIKV_WAL_FSYNC=never")
	master, replica := f.nodes[0], f.nodes[1]
	for i := range 100 {
		if err := master.set(fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	master.threeVoters()
	id := replica.must("cluster", "myid")
	replica.kill()
	replica.losePower(4000)
	if err := replica.start(""); err != nil {
		t.Fatal(err)
	}
	if !replica.down() {
		t.Fatal("a node runs that may have forgotten its votes")
	}
	text, err := os.ReadFile(filepath.Join(replica.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "aikv: ") {
			words = append(words, line)
		}
	}
	if len(words) != 1 || !strings.Contains(words[0], "CLUSTER FORGET "+id) || strings.Contains(string(text), "panic") {
		t.Errorf("its last words: %q", words)
	}
	if err := master.set("k", "v"); err != nil {
		t.Errorf("the others do not go on: %v", err)
	}

	// What the line says, done.
	if err := os.Rename(filepath.Join(replica.dir, "data"), filepath.Join(replica.dir, "old")); err != nil {
		t.Fatal(err)
	}
	replica.mustStart("")
	f.meets(1, 0)
	replica.must("cluster", "replicate", master.must("cluster", "myid"))
	eventually(t, func() error { return master.client.Do(t.Context(), "cluster", "forget", id).Err() })
	f.united()
	master.threeVoters()
}
