package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Small tables and no memory of what was read, so that reads come to the files.
var smallTables = []string{
	"AIKV_STORAGE_WRITE_BUFFER=64kb", "AIKV_STORAGE_BLOCK_CACHE=0", "AIKV_STORAGE_CACHE_SIZE=0", "AIKV_STORAGE_DIRTY_SIZE=64kb", "AIKV_STORAGE_CHECKPOINT_INTERVAL=50ms", "AIKV_CLUSTER_ARBITER_GRACE=1h",
	"AIKV_WAL_GROUP_ENTRIES=64", "AIKV_WAL_GROUP_SIZE=64kb", "AIKV_WAL_SEGMENT_SIZE=128kb", "AIKV_WAL_PREALLOCATE=16kb",
}

// damage flips a byte in the middle of every table of the node's shard, or the last
// bytes, without which a table cannot be opened; it returns how many there were.
func (p *process) damage(whole bool) (tables int) {
	p.t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.dir, "data", "shards", "*", "*.ldb"))
	if err != nil || len(paths) == 0 {
		p.t.Fatalf("no tables in %s: %v", p.dir, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) { // merged into others meanwhile
			continue
		}
		if err != nil {
			p.t.Fatal(err)
		}
		for at := range b {
			if whole || at%1000 == 500 {
				b[at] ^= 0x55
			}
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // in place: it is open
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			p.t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			p.t.Fatal(err)
		}
	}
	return len(paths)
}

// attic returns the folders in the node's attic.
func (p *process) attic() []string {
	folders, err := filepath.Glob(filepath.Join(p.dir, "data", "attic", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return folders
}

// restored waits until the node has a whole copy of all keys again, and the damaged one
// is in its attic; then it leads, and every key reads as it should.
func (f *fleet) restored(p *process, keys int) {
	f.t.Helper()
	eventually(f.t, func() error {
		text, err := p.ask("info", "replication")
		if err != nil || !strings.Contains(text, "role:slave") || !strings.Contains(text, "master_link_status:up") || len(p.attic()) != 1 {
			return fmt.Errorf("attic %v, %w: %s", p.attic(), err, text)
		}
		return nil
	})
	eventually(f.t, func() error { return p.client.ClusterFailover(f.t.Context()).Err() })
	f.readable(p, keys)
}

// readable reads all keys; none may be answered wrongly, or with an error for good.
func (f *fleet) readable(p *process, keys int) {
	f.t.Helper()
	for i := range keys {
		eventually(f.t, func() error {
			got, err := p.get(fmt.Sprint("k", i))
			if err == nil && got != strconv.Itoa(i) {
				f.t.Fatalf("GET k%d = %q", i, got)
			}
			return err
		})
	}
}

// The tables of a master are damaged on its disk while it runs. It hands over to its
// replica, gets the data anew, and every key is there on both.
func TestDamagedMasterIsMended(t *testing.T) {
	t.Parallel()
	const keys = 12000
	f := startShard(t, 3, smallTables...)
	master, replica := f.nodes[0], f.nodes[1]
	master.fill("k", keys)
	master.cut("data", 5)
	f.united()
	t.Logf("%d tables damaged", master.damage(false))
	eventually(t, func() error { // whoever reads finds out
		for i := range keys {
			if _, err := master.get(fmt.Sprint("k", i)); err != nil {
				if strings.HasPrefix(err.Error(), "MOVED ") {
					return nil
				}
				if !strings.HasPrefix(err.Error(), "TRYAGAIN ") && !strings.HasPrefix(err.Error(), "CLUSTERDOWN ") {
					t.Errorf("GET k%d: %v", i, err)
				}
			}
		}
		return errors.New("the master reads everything")
	})
	f.readable(replica, keys)
	f.restored(master, keys)
}

// A replica finds its tables damaged when it starts: it starts all the same, and gets
// the data anew.
func TestDamagedReplicaStarts(t *testing.T) {
	t.Parallel()
	const keys = 12000
	f := startShard(t, 3, smallTables...)
	master, replica := f.nodes[0], f.nodes[1]
	master.fill("k", keys)
	replica.cut("data", 5)
	replica.kill()
	replica.damage(true)
	replica.mustStart("")
	f.restored(replica, keys)
	replica.fill("new", 10) // it is the master by now
}

// The only copy is damaged: the node does not start, and says why and what to do.
func TestDamagedOnlyCopy(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 1, smallTables...)
	only := f.nodes[0]
	only.must("cluster", "addslotsrange", 0, 16383)
	eventually(t, func() error { return only.set("k", "v") })
	only.fill("k", 12000)
	only.kill()
	only.damage(true)
	only.mustStart("")
	if !only.down() {
		t.Fatal("the node runs")
	}
	log, err := os.ReadFile(filepath.Join(only.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	last := lines[len(lines)-1]
	for _, want := range []string{"aikv: ", "storage: corrupt", ".ldb", "no other node has a whole copy", "backup"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last line is %q, without %q", last, want)
		}
	}
}
