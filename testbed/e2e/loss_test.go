package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// groups returns the node's lines of INFO raft of shards, by kind of its
// membership.
func (p *process) groups(kind string) (lines []string, err error) {
	info, err := p.ask("info", "raft")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(info) {
		if strings.Contains(line, ",kind="+kind+",") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, nil
}

// threeVoters waits until the node leads its shard, with three voters that have
// all caught up.
func (p *process) threeVoters() {
	p.t.Helper()
	eventually(p.t, func() error {
		lines, err := p.groups("data")
		if err == nil && (len(lines) != 1 || !strings.Contains(lines[0], "role=leader") ||
			!strings.Contains(lines[0], "voters=3,learners=0,lag=0,settled=1")) {
			err = fmt.Errorf("node %d: %q", p.index, lines)
		}
		return err
	})
}

// set writes a key, and get reads it, at one node; neither is repeated.
func (p *process) set(key, value string) error {
	return p.client.Set(context.Background(), key, value, 0).Err()
}

func (p *process) get(key string) (string, error) {
	return p.client.Get(context.Background(), key).Result()
}

// startShard starts nodes and gives all slots to node 0, with node 1 as its
// replica; another one is the arbiter.
func startShard(t *testing.T, count int, env ...string) *fleet {
	t.Helper()
	f := startFleet(t, count, env...)
	for i := 1; i < count; i++ {
		f.meets(i, 0)
	}
	f.nodes[0].must("cluster", "addslotsrange", 0, 16383)
	f.nodes[1].must("cluster", "replicate", f.nodes[0].must("cluster", "myid"))
	f.united()
	f.nodes[0].threeVoters()
	return f
}

// An arbiter's node dies. After the grace time another node is the arbiter, so
// that the shard survives the loss of its replica, too.
func TestArbiterOfADeadNodeIsReplaced(t *testing.T) {
	t.Parallel()
	f := startShard(t, 4, "AIKV_CLUSTER_ARBITER_GRACE=300ms")
	old, next := f.nodes[2], f.nodes[3]
	if lines, err := old.groups("arbiter"); err != nil {
		t.Fatal(err)
	} else if len(lines) == 0 {
		old, next = next, old
	}
	old.kill()
	eventually(t, func() error {
		lines, err := next.groups("arbiter")
		if err == nil && len(lines) != 1 {
			err = fmt.Errorf("node %d is no arbiter", next.index)
		}
		return err
	})
	f.nodes[0].threeVoters()
	f.nodes[1].kill()
	eventually(t, func() error { return f.nodes[0].set("k", "v") })

	f.nodes[1].mustStart("")
	old.mustStart("")
	f.united()
	f.nodes[0].threeVoters()
	eventually(t, func() error {
		lines, err := old.groups("arbiter")
		if err == nil && len(lines) > 0 {
			err = fmt.Errorf("node %d, which was replaced, is an arbiter again: %q", old.index, lines)
		}
		return err
	})
}

// A node's disk is lost. What starts at its address is another node: it has no
// vote of the old one's until it is met and made a replica.
func TestNodeLostForGood(t *testing.T) {
	t.Parallel()
	f := startShard(t, 3)
	master, replica := f.nodes[0], f.nodes[1]
	if err := master.set("k", "v"); err != nil {
		t.Fatal(err)
	}
	old := replica.must("cluster", "myid")
	replica.kill()
	if err := os.RemoveAll(replica.dir); err != nil {
		t.Fatal(err)
	}
	replica.mustStart("")
	if id := replica.must("cluster", "myid"); id == old {
		t.Fatalf("the wiped node has its old id %s", id)
	}
	if lines, err := replica.groups("data"); err != nil || len(lines) > 0 {
		t.Fatalf("the wiped node has a shard: %q, %v", lines, err)
	}
	eventually(t, func() error {
		m, err := master.read()
		if err == nil && !strings.Contains(m.lines[old].flags, "fail") {
			err = fmt.Errorf("the lost node is %q", m.lines[old].flags)
		}
		return err
	})
	master.must("cluster", "forget", old)
	f.meets(1, 0)
	replica.must("cluster", "replicate", master.must("cluster", "myid"))
	f.united()
	master.threeVoters()
	master.kill()
	eventually(t, func() error {
		got, err := replica.get("k")
		if err == nil && got != "v" {
			t.Errorf("GET k = %q", got)
		}
		return err
	})
}

// Two of a shard's three voters are gone: nothing hangs, nothing is made up, and
// when one of them returns all goes on.
func TestTwoVotersGone(t *testing.T) {
	t.Parallel()
	f := startShard(t, 3)
	master := f.nodes[0]
	if err := master.set("k", "before"); err != nil {
		t.Fatal(err)
	}
	f.nodes[1].kill()
	f.nodes[2].kill()
	// Appended already, or not: then nobody knows, or it is refused.
	if err := master.set("k", "between"); err == nil {
		t.Fatal("a write was acknowledged by one voter of three")
	} else if text := err.Error(); !strings.HasPrefix(text, "UNCERTAIN") && !strings.HasPrefix(text, "CLUSTERDOWN") {
		t.Fatalf("the first write answered %v", err)
	}
	for _, try := range []func() error{
		func() error { return master.set("k", "later") },
		func() error { _, err := master.get("k"); return err },
	} {
		begun := time.Now()
		if err := try(); err == nil || !strings.HasPrefix(err.Error(), "CLUSTERDOWN") {
			t.Errorf("without a quorum: %v", err)
		}
		if took := time.Since(begun); took > 5*time.Second/2 { // half of raft.request_timeout
			t.Errorf("the refusal took %v", took)
		}
	}
	f.nodes[1].mustStart("")
	client := f.clusterClient()
	defer func() { _ = client.Close() }()
	var got string
	eventually(t, func() (err error) {
		got, err = client.Get(t.Context(), "k").Result()
		return err
	})
	if got != "before" && got != "between" {
		t.Errorf("GET k = %q: the refused write was carried out", got)
	}
	eventually(t, func() error { return client.Set(t.Context(), "k", "after", 0).Err() })
}
