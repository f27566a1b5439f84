package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// order sends a command to the node and returns its error text, "" if it was done.
func (p *process) order(args ...any) string {
	_, err := p.ask(args...)
	if err != nil {
		return err.Error()
	}
	return ""
}

// seesFailed waits until the node shows the others as failed.
func (p *process) seesFailed(ids ...string) {
	p.t.Helper()
	eventually(p.t, func() error {
		m, err := p.read()
		for _, id := range ids {
			if err == nil && !slices.Contains(strings.Split(m.lines[id].flags, ","), "fail") {
				err = fmt.Errorf("node %s is %q", id, m.lines[id].flags)
			}
		}
		return err
	})
}

// holds waits until the node serves the keys that fill wrote.
func (p *process) holds(prefix string, count int) {
	p.t.Helper()
	eventually(p.t, func() error {
		got, err := p.get(fmt.Sprint(prefix, count-1))
		if err == nil && got != strconv.Itoa(count-1) {
			p.t.Errorf("GET %s%d = %q", prefix, count-1, got)
		}
		return err
	})
	if n, err := p.client.DBSize(p.t.Context()).Result(); err != nil || n != int64(count) {
		p.t.Errorf("DBSIZE %d, %v, want %d", n, err, count)
	}
}

// slowCopy starts a shard of one whose data takes minutes to copy to node 1, which
// has just become its replica.
func slowCopy(t *testing.T, keys int) (f *fleet, master string) {
	t.Helper()
	f = startFleet(t, 5, "AIKV_RAFT_SNAPSHOT_RATE=4kb", "AIKV_WAL_GROUP_ENTRIES=16")
	for i := 1; i < 5; i++ {
		f.meets(i, 0)
	}
	f.nodes[0].must("cluster", "addslotsrange", 0, 16383)
	f.united()
	f.nodes[0].threeVoters()
	f.nodes[0].fill("k", keys)
	f.nodes[0].cut("data", 5)
	master = f.nodes[0].must("cluster", "myid")
	f.nodes[1].must("cluster", "replicate", master)
	return f, master
}

// A replica that is still being sent its data is no copy: the master cannot be
// forgotten for it, be the master alive, dead, or back again.
func TestForgetWhileTheCopyIsOnItsWay(t *testing.T) {
	t.Parallel()
	const keys = 20000
	f, master := slowCopy(t, keys)
	if text := f.nodes[2].order("cluster", "forget", master); !strings.HasPrefix(text, "ERR No other node has all data") {
		t.Fatalf("FORGET of the live master: %q", text)
	}
	f.nodes[0].holds("k", keys)
	for field, want := range map[string]string{"master_link_status": "down", "master_sync_in_progress": "1"} {
		if text := f.nodes[1].must("info", "replication"); !strings.Contains(text, field+":"+want+"\r\n") {
			t.Errorf("INFO of a replica in the middle of its copy, %s: %s", field, text)
		}
	}
	if text := f.nodes[2].must("cluster", "nodes"); strings.Count(text, "slave,loading "+master) != 1 {
		t.Errorf("CLUSTER NODES shows the replica as whole:\n%s", text)
	}
	for _, how := range [][]any{nil, {"force"}, {"takeover"}} {
		text := f.nodes[1].order(append([]any{"cluster", "failover"}, how...)...)
		if !strings.HasPrefix(text, "ERR This replica has not received") && !strings.HasPrefix(text, "ERR This node has not received") {
			t.Errorf("FAILOVER %v of a replica without data: %q", how, text)
		}
	}
	f.nodes[0].kill()
	f.nodes[2].seesFailed(master)
	if text := f.nodes[2].order("cluster", "forget", master); !strings.HasPrefix(text, "ERR No other node has all data") {
		t.Fatalf("FORGET of the dead master: %q", text)
	}
	f.nodes[0].mustStart("")
	f.nodes[0].holds("k", keys)
	if id := f.nodes[0].must("cluster", "myid"); id != master {
		t.Errorf("the master is node %s now", id)
	}
}

// The replica that has everything is dead: the master is the only copy.
func TestForgetOfTheOnlyLivingCopy(t *testing.T) {
	t.Parallel()
	const keys = 1000
	f := startShard(t, 4)
	master, replica := f.nodes[0], f.nodes[1]
	master.fill("k", keys)
	id := master.must("cluster", "myid")
	lost := replica.must("cluster", "myid")
	replica.kill()
	master.seesFailed(lost)
	for _, p := range f.nodes[2:] {
		if text := p.order("cluster", "forget", id); !strings.HasPrefix(text, "ERR No other node has all data") {
			t.Fatalf("FORGET of the only living copy: %q", text)
		}
	}
	if text := master.order("cluster", "reset"); !strings.HasPrefix(text, "ERR") {
		t.Fatalf("RESET of the only living copy: %q", text)
	}
	master.holds("k", keys)
	master.must("cluster", "forget", lost) // that is no loss
	master.holds("k", keys)
}

// Replica and arbiter of a shard are dead. Neither can be removed: both are needed
// for the shard to go on. Starting one of them is enough.
func TestTwoDeadVotersAreNotForgotten(t *testing.T) {
	t.Parallel()
	const keys = 1000
	f := startShard(t, 5, "AIKV_CLUSTER_ARBITER_GRACE=1h")
	master, replica := f.nodes[0], f.nodes[1]
	master.fill("k", keys)
	bare, _ := f.arbiters()
	if len(bare) != 1 {
		t.Fatalf("%d arbiters", len(bare))
	}
	arbiter := bare[0]
	dead := []string{replica.must("cluster", "myid"), arbiter.must("cluster", "myid")}
	replica.kill()
	arbiter.kill()
	master.seesFailed(dead...)
	for _, id := range dead {
		text := master.order("cluster", "forget", id)
		if !strings.HasPrefix(text, "ERR The shard of master") || !strings.Contains(text, dead[0]) || !strings.Contains(text, dead[1]) {
			t.Fatalf("FORGET of a voter that is needed: %q", text)
		}
	}
	arbiter.mustStart("")
	master.holds("k", keys)
	eventually(t, func() error { // the other one is not needed any more
		if text := master.order("cluster", "forget", dead[0]); text != "" {
			return fmt.Errorf("FORGET of the dead replica: %s", text)
		}
		return nil
	})
	master.threeVoters()
	master.holds("k", keys)
}

// The only copy is lost with its disk: FORCE gives its slots up, so that the cluster
// can go on without their keys.
func TestForgetByForce(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 4, "AIKV_CLUSTER_ARBITER_GRACE=1h")
	for i := 1; i < 4; i++ {
		f.meets(i, 0)
	}
	f.nodes[0].must("cluster", "addslotsrange", 0, 8191)
	f.nodes[1].must("cluster", "addslotsrange", 8192, 16383)
	f.united()
	lost := f.nodes[0].must("cluster", "myid")
	f.nodes[0].kill()
	if err := os.RemoveAll(f.nodes[0].dir); err != nil {
		t.Fatal(err)
	}
	f.nodes[1].seesFailed(lost)
	if text := f.nodes[1].order("cluster", "forget", lost); !strings.Contains(text, "FORCE") {
		t.Fatalf("FORGET of the only copy: %q", text)
	}
	if text := f.nodes[1].must("cluster", "forget", lost, "force"); !strings.Contains(text, "slots 0-8191 have no owner") {
		t.Errorf("FORGET FORCE: %q", text)
	}
	f.nodes[2].must("cluster", "addslotsrange", 0, 8191)
	eventually(t, func() error { return f.clusterClient().Set(t.Context(), "k", "v", 0).Err() })
}

// Nodes are removed one right after another, as redis-cli and the scripts do: what
// an earlier removal has still to bring about is waited for.
func TestNodesAreForgottenInARow(t *testing.T) {
	t.Parallel()
	const keys = 1000
	f := startFleet(t, 6)
	for i := 1; i < 6; i++ {
		f.meets(i, 0)
	}
	ids := make([]string, 6)
	for i, p := range f.nodes {
		ids[i] = p.must("cluster", "myid")
	}
	for i := range 3 {
		f.nodes[i].must("cluster", "addslotsrange", i*5462, min((i+1)*5462, 16384)-1)
		f.nodes[3+i].must("cluster", "replicate", ids[i])
	}
	f.united()
	for _, p := range f.nodes[:3] {
		p.threeVoters()
	}
	c := (&fleet{nodes: f.nodes[:3]}).clusterClient() // the others will be strangers
	for i := range keys {
		eventually(t, func() error { return c.Set(t.Context(), fmt.Sprint("k", i), i, 0).Err() })
	}
	for i := 3; i < 6; i++ {
		f.nodes[0].must("cluster", "forget", ids[i])
	}
	for _, p := range f.nodes[3:] { // what they had is kept for a while
		eventually(t, func() error {
			kept, err := filepath.Glob(filepath.Join(p.dir, "data", "attic", "*"))
			if err == nil && len(kept) != 1 {
				err = fmt.Errorf("the attic of node %d has %q", p.index, kept)
			}
			return err
		})
	}
	for i := range keys {
		eventually(t, func() error {
			got, err := c.Get(t.Context(), fmt.Sprint("k", i)).Int()
			if err == nil && got != i || errors.Is(err, redis.Nil) {
				t.Fatalf("GET k%d = %d, %v", i, got, err)
			}
			return err
		})
	}
}
