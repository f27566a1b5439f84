package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// A member of a cluster that may have forgotten its votes comes back as a new member of
// its groups: as itself, in its roles, with the data, and never under its old Raft ids.
func TestMemberWithoutSyncAfterAPowerCut(t *testing.T) {
	t.Parallel()
	for victim, role := range []string{"master", "replica", "arbiter"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			f := startShard(t, 3, "AIKV_WAL_FSYNC=never")
			for i := range 100 {
				if err := f.nodes[0].set(fmt.Sprint("k", i), "v"); err != nil {
					t.Fatal(err)
				}
			}
			f.united()
			f.nodes[0].threeVoters()
			p, other := f.nodes[victim], f.nodes[(victim+1)%2]
			id, former := p.must("cluster", "myid"), p.raftIDs()
			p.kill()
			p.losePower(4000)
			p.mustStart("")
			if p.down() {
				t.Fatal("the node has ended")
			}
			if now := p.must("cluster", "myid"); now != id {
				t.Errorf("it is node %s now", now)
			}
			f.united()
			eventually(t, func() error {
				leader := other
				if text, err := leader.ask("info", "replication"); err != nil || !strings.Contains(text, "role:master") {
					leader = f.nodes[1-other.index]
				}
				lines, err := leader.groups("data")
				if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "role=leader") || !strings.Contains(lines[0], ",voters=3,learners=0,lag=0,settled=1") {
					return fmt.Errorf("%q, %w", lines, err)
				}
				return nil
			})
			for _, was := range former {
				if slices.Contains(p.raftIDs(), was) {
					t.Errorf("Raft ids %v, before %v", p.raftIDs(), former)
				}
			}
			if victim < 2 {
				eventually(t, func() error {
					text, err := p.ask("info", "replication")
					if err != nil || strings.Contains(text, "role:slave") && !strings.Contains(text, "master_link_status:up") {
						return fmt.Errorf("%w: %s", err, text)
					}
					if n, err := p.client.DBSize(t.Context()).Result(); err != nil || n != 100 {
						return fmt.Errorf("%d keys, %w", n, err)
					}
					return nil
				})
			}
		})
	}
}

// raftIDs returns the Raft ids under which the node's log has groups, as its log said.
func (p *process) raftIDs() (ids []string) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `msg="replica created"`) {
			continue
		}
		for field := range strings.FieldsSeq(line) {
			if id, ok := strings.CutPrefix(field, "raft_id="); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids[max(0, len(ids)-1):]
}

// All nodes of a shard lose their power at once. None comes back by itself, and each
// says in one line what to do; that helps.
func TestAllWithoutSyncAfterAPowerCut(t *testing.T) {
	t.Parallel()
	f := startShard(t, 3, "AIKV_WAL_FSYNC=never")
	for i := range 100 {
		if err := f.nodes[0].set(fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	f.nodes[0].threeVoters()
	for _, p := range f.nodes {
		p.kill()
		p.losePower(0)
	}
	var ended sync.WaitGroup
	for _, p := range f.nodes {
		ended.Go(func() {
			if err := p.start(""); err != nil {
				t.Error(err)
			}
		})
	}
	ended.Wait()
	for _, p := range f.nodes {
		if !p.down() {
			t.Fatalf("node %d runs", p.index)
		}
		text, err := os.ReadFile(filepath.Join(p.dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "aikv: ") {
				words = append(words, line)
			}
		}
		unsynced := filepath.Join(p.dir, "data", "UNSYNCED")
		if len(words) != 1 || !strings.Contains(words[0], "remove the file "+unsynced+" on each") {
			t.Errorf("the last words of node %d: %q", p.index, words)
		}
		if err := os.Remove(unsynced); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range f.nodes {
		p.mustStart("")
	}
	f.united()
	eventually(t, func() error {
		for _, p := range f.nodes[:2] {
			if got, err := p.get("k50"); err == nil && got == "v" {
				return nil
			}
		}
		return errors.New("nobody has the data")
	})
}
