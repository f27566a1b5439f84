package e2e

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// fill writes count keys through one node, pipelined.
func (p *process) fill(prefix string, count int) {
	p.t.Helper()
	ctx := context.Background()
	for begin := 0; begin < count; begin += 1000 {
		if _, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := begin; i < min(begin+1000, count); i++ {
				pipe.Set(ctx, fmt.Sprintf("%s%d", prefix, i), i, 0)
			}
			return nil
		}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// arbiters returns the nodes that are arbiters of a shard, those with a copy of its
// data apart.
func (f *fleet) arbiters() (bare, copies []*process) {
	for _, p := range f.nodes {
		if p.down() {
			continue
		}
		lines, err := p.groups("arbiter")
		switch {
		case err != nil || len(lines) == 0:
		case strings.Contains(lines[0], ",copy=1,"):
			copies = append(copies, p)
		default:
			bare = append(bare, p)
		}
	}
	return bare, copies
}

// copied waits until so many arbiters have a copy, and MetaRaft knows that it is
// whole.
func (f *fleet) copied(want int) (bare, copies []*process) {
	f.t.Helper()
	eventually(f.t, func() error {
		if bare, copies = f.arbiters(); len(copies) != want {
			return fmt.Errorf("%d arbiters have a copy, not %d", len(copies), want)
		}
		return nil
	})
	return bare, copies
}

var logStart = regexp.MustCompile(`,log_start=(\d+)`)

// cut waits until the node's log of its shard of that kind begins behind index, and
// returns where it begins.
func (p *process) cut(kind string, index int) (start int) {
	p.t.Helper()
	eventually(p.t, func() error {
		lines, err := p.groups(kind)
		if err != nil || len(lines) == 0 {
			return fmt.Errorf("node %d: %q, %w", p.index, lines, err)
		}
		if start, err = strconv.Atoi(logStart.FindStringSubmatch(lines[0])[1]); err == nil && start <= index {
			err = fmt.Errorf("node %d: the log begins behind %d, not %d", p.index, start, index)
		}
		return err
	})
	return start
}

// A shard's replica is dead. For a while the arbiter keeps the whole log; then it
// gets a copy, and cuts. When the replica is back, the copy goes.
func TestArbiterOfADeadReplicaGetsACopy(t *testing.T) {
	t.Parallel()
	f := startShard(t, 3, "AIKV_CLUSTER_ARBITER_GRACE=300ms", "AIKV_WAL_GROUP_ENTRIES=100")
	master, replica, arbiter := f.nodes[0], f.nodes[1], f.nodes[2]
	replica.kill()
	f.copied(1)
	for i := range 300 { // each an entry of its own
		if err := master.set(fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	arbiter.cut("arbiter", 200)

	replica.mustStart("")
	f.copied(0)
	f.united()
	master.threeVoters()
	master.kill()
	eventually(t, func() error {
		got, err := replica.get("k299")
		if err == nil && got != "v" {
			t.Errorf("GET k299 = %q", got)
		}
		return err
	})
}

// A shard without replicas is on two disks after the grace time. Its master's disk
// is lost: nobody serves, until a node is made its replica. That gets the data from
// the arbiter's copy, and is the master from then on.
func TestMasterWithoutReplicaLostForGood(t *testing.T) {
	t.Parallel()
	const keys = 20000
	f := startFleet(t, 4, "AIKV_CLUSTER_ARBITER_GRACE=300ms")
	for i := 1; i < 4; i++ {
		f.meets(i, 0)
	}
	master := f.nodes[0]
	master.must("cluster", "addslotsrange", 0, 16383)
	f.united()
	f.copied(1)
	master.threeVoters()
	master.fill("k", keys)
	lost := master.must("cluster", "myid")
	bare, copies := f.arbiters()
	if len(bare) != 1 || len(copies) != 1 {
		t.Fatalf("%d bare arbiters, %d with a copy", len(bare), len(copies))
	}
	master.kill()
	if err := os.RemoveAll(master.dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if _, err := copies[0].get("k0"); err == nil || !strings.HasPrefix(err.Error(), "CLUSTERDOWN") {
			return fmt.Errorf("GET of a shard that nobody serves: %w", err)
		}
		return nil
	})

	var spare *process // the node that has no part in the shard
	for _, p := range f.nodes[1:] {
		if p != bare[0] && p != copies[0] {
			spare = p
		}
	}
	spare.must("cluster", "replicate", lost)
	for _, i := range []int{0, keys / 2, keys - 1} {
		eventually(t, func() error {
			got, err := spare.get(fmt.Sprint("k", i))
			if err == nil && got != strconv.Itoa(i) {
				t.Errorf("GET k%d = %q", i, got)
			}
			return err
		})
	}
	if n, err := spare.client.DBSize(t.Context()).Result(); err != nil || n != keys {
		t.Errorf("DBSIZE %d, %v", n, err)
	}
}
