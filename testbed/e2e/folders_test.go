package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// copyFolder makes to a copy of a data folder, as cp -r does.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		t.Fatal(err)
	}
}

// logOf returns what a process has written since it had written so many bytes.
func (p *process) logOf(from int) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text[min(from, len(text)):])
}

// refuses starts a process over a folder that another one holds, and wants it to
// end with a line that says so, without any panic and with the folder as it was.
func (f *fleet) refuses(p *process) {
	f.t.Helper()
	written := len(p.logOf(0))
	if err := p.start(""); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, func() error {
		if !p.down() {
			return fmt.Errorf("node %d runs over a folder that is not its own:\n%s", p.index, p.logOf(written))
		}
		return nil
	})
	p.kill()
	log := p.logOf(written)
	if !strings.Contains(log, "cannot use the data folder") || strings.Contains(log, "panic") {
		f.t.Errorf("node %d ended with:\n%s", p.index, log)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "data", "shards")); err != nil {
		f.t.Error(err)
	}
}

// formTrio makes one cluster of nodes 0 to 2: node 0 owns all slots, node 1 is its
// replica, and there are keys.
func formTrio(f *fleet) {
	f.meets(1, 0)
	f.meets(2, 0)
	f.nodes[0].must("cluster", "addslotsrange", 0, 16383)
	f.nodes[1].must("cluster", "replicate", f.nodes[0].must("cluster", "myid"))
	f.united()
	for i := range 50 {
		f.nodes[0].must("set", fmt.Sprint("key", i), i)
	}
}

// keysOf wants all keys of formTrio, wherever they are served.
func keysOf(f *fleet, nodes ...int) error {
	var addrs []string
	for _, i := range nodes {
		addrs = append(addrs, f.nodes[i].client.Options().Addr)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, DisableIdentity: true})
	defer client.Close()
	for i := range 50 {
		if v, err := client.Get(context.Background(), fmt.Sprint("key", i)).Int(); err != nil || v != i {
			return fmt.Errorf("key%d: %d, %v", i, v, err)
		}
	}
	return nil
}

// spare is a node of the fleet that was stopped and has nothing: a place for a
// copy, with ports of its own.
func (f *fleet) spare(i int) *process {
	f.nodes[i].kill()
	if err := os.RemoveAll(filepath.Join(f.nodes[i].dir, "data")); err != nil {
		f.t.Fatal(err)
	}
	return f.nodes[i]
}

// among makes the helpers of the fleet ask only these nodes; all of them are ended
// with the test.
func (f *fleet) among(nodes ...*process) {
	all := f.nodes
	f.nodes = nodes
	f.t.Cleanup(func() { f.nodes = all })
}

func (p *process) data() string { return filepath.Join(p.dir, "data") }

// A member's folder is copied while it is stopped. The copy is not let in while
// the original runs, in whatever order they start, nor by MEET; the original
// stays what it was.
func TestCopiedMember(t *testing.T) {
	t.Parallel()
	for _, victim := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("node ", victim), func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, 4)
			copied := f.spare(3)
			f.among(f.nodes[:3]...)
			formTrio(f)
			original := f.nodes[victim]
			id := original.must("cluster", "myid")
			original.kill()
			copyFolder(t, original.data(), copied.data())
			original.mustStart("")
			f.united()
			f.refuses(copied)
			f.refuses(copied) // not at the second try either
			f.united()
			if now := original.must("cluster", "myid"); now != id {
				t.Errorf("the original became %s", now)
			}
			eventually(t, func() error { return keysOf(f, 0, 1, 2) })
		})
	}
}

// The copy starts while the original is down, as a node does that was moved to
// other ports: it goes on as that member. The original, whose state is the older
// one from then on, does not start, and loses nothing.
func TestOriginalAfterItsCopy(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 4)
	copied := f.spare(3)
	f.among(f.nodes[:3]...)
	formTrio(f)
	original := f.nodes[1]
	id := original.must("cluster", "myid")
	original.kill()
	copyFolder(t, original.data(), copied.data())
	copied.mustStart("")
	eventually(t, func() error {
		nodes, err := f.nodes[0].ask("cluster", "nodes")
		if err == nil && !strings.Contains(nodes, fmt.Sprintf("%s 127.0.0.1:%d@", id, copied.port)) {
			err = errors.New(nodes)
		}
		return err
	})
	f.refuses(original)
	f.among(f.nodes[0], copied, f.nodes[2])
	f.united()
	eventually(t, func() error { return keysOf(f, 0, 1, 2) })
}

// An old backup is started in place of the folder: at the same ports, with a
// state that others know to be over.
func TestOldBackup(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 3)
	formTrio(f)
	node := f.nodes[1]
	backup := filepath.Join(f.dir, "backup")
	node.kill()
	copyFolder(t, node.data(), backup)
	node.mustStart("")
	f.united()
	for i := range 50 {
		f.nodes[0].must("set", fmt.Sprint("key", i), i)
	}
	node.kill()
	recent := filepath.Join(f.dir, "recent")
	if err := os.Rename(node.data(), recent); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, backup, node.data())
	f.refuses(node)
	// The state that belongs there is taken.
	if err := errors.Join(os.RemoveAll(node.data()), os.Rename(recent, node.data())); err != nil {
		t.Fatal(err)
	}
	node.mustStart("")
	f.united()
	eventually(t, func() error { return keysOf(f, 0, 1, 2) })
}

// Two copies of a lone node, and a third node that meets both: the second one is
// refused by name, and neither loses its keys.
func TestLoneTwins(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{true, false} {
		t.Run(fmt.Sprint("original restarted: ", restarted), func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, 3)
			original, third, twin := f.nodes[0], f.nodes[1], f.spare(2)
			original.must("cluster", "addslotsrange", 0, 16383)
			original.must("set", "key", "value")
			original.kill()
			copyFolder(t, original.data(), twin.data())
			original.mustStart("")
			if !restarted { // the copy is one of a running node
				copyFolder(t, original.data(), twin.data())
			}
			twin.mustStart("")
			for _, p := range []*process{original, twin} {
				eventually(t, func() error { return p.asking.Get(context.Background(), "key").Err() })
			}
			meet := func(from, to *process) error {
				return from.client.Do(context.Background(), "cluster", "meet", "127.0.0.1", to.port).Err()
			}
			if err := meet(original, twin); err == nil || !strings.Contains(err.Error(), "copy") {
				t.Errorf("the twins meet: %v", err)
			}
			if err := meet(third, original); err != nil {
				t.Fatal(err)
			}
			for _, ends := range [][2]*process{{third, twin}, {twin, third}} {
				err := meet(ends[0], ends[1])
				if err == nil || !strings.Contains(err.Error(), "copy") && !strings.Contains(err.Error(), "second holder of a node id") {
					t.Errorf("node %d meets node %d: %v", ends[0].index, ends[1].index, err)
				}
			}
			for _, p := range []*process{original, twin} {
				if v, err := p.asking.Get(context.Background(), "key").Result(); err != nil || v != "value" {
					t.Errorf("node %d: %q, %v", p.index, v, err)
				}
			}
			nodes, err := third.ask("cluster", "nodes")
			if err != nil || strings.Contains(nodes, fmt.Sprint(":", twin.port, "@")) || !strings.Contains(nodes, fmt.Sprint(":", original.port, "@")) {
				t.Errorf("the third node knows %v:\n%s", err, nodes)
			}
			// The way out that the refusals name.
			twin.must("flushall")
			twin.must("cluster", "reset", "hard")
			if err := meet(third, twin); err != nil {
				t.Errorf("after RESET HARD: %v", err)
			}
		})
	}
}

// What a node may do with its own folder: be killed at any moment, start again
// and again while no other member is there, and move to other ports.
func TestOwnFolder(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 4)
	elsewhere := f.spare(3)
	f.among(f.nodes[:3]...)
	formTrio(f)
	for _, p := range f.nodes[:3] {
		p.kill()
	}
	for range 4 { // alone, without any quorum
		f.nodes[1].mustStart("")
		f.nodes[1].kill()
	}
	for _, p := range f.nodes[:3] {
		p.mustStart("")
	}
	f.united()
	for range 3 { // at once, beside the others
		f.nodes[2].kill()
		f.nodes[2].mustStart("")
	}
	f.united()
	moved := f.nodes[1]
	moved.kill()
	if err := os.Rename(moved.data(), elsewhere.data()); err != nil {
		t.Fatal(err)
	}
	elsewhere.mustStart("")
	f.among(f.nodes[0], elsewhere, f.nodes[2])
	f.united()
	eventually(t, func() error { return keysOf(f, 0, 1, 2) })
}

// A copy that starts while nobody is there to say so runs, as the node would whose
// folder it is. When the original comes, and others with it, the copy ends.
func TestCopyThatStartsAlone(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 4)
	copied := f.spare(3)
	f.among(f.nodes[:3]...)
	formTrio(f)
	for _, p := range f.nodes {
		p.kill()
	}
	copyFolder(t, f.nodes[0].data(), copied.data())
	copied.mustStart("")
	for _, p := range f.nodes {
		p.mustStart("")
	}
	f.united()
	eventually(t, func() error {
		if !copied.down() {
			return errors.New("the copy still runs")
		}
		return nil
	})
	if log := copied.logOf(0); !strings.Contains(log, "cannot use the data folder") || strings.Contains(log, "panic") {
		t.Errorf("it ended with:\n%s", log)
	}
	f.united()
	eventually(t, func() error { return keysOf(f, 0, 1, 2) })
}
