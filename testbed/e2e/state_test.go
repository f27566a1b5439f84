package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// keyOfShard has a key in each third of the slots.
var keyOfShard = []string{"b", "c", "a"} // slots 3300, 7365, 15495

// formShards makes the nodes one cluster of three masters, and the others their
// replicas in turn.
func (f *fleet) formShards() {
	f.t.Helper()
	for i := range f.nodes[1:] {
		f.meets(i+1, 0)
	}
	for i, bounds := range [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}} {
		f.nodes[i].must("cluster", "addslotsrange", bounds[0], bounds[1])
	}
	for i, p := range f.nodes[3:] {
		p.must("cluster", "replicate", f.nodes[i].must("cluster", "myid"))
	}
	f.settle()
}

// slotCounts returns the lines of CLUSTER INFO about slots and the state.
func (p *process) slotCounts() (string, error) {
	info, err := p.ask("cluster", "info")
	var lines []string
	for line := range strings.Lines(info) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "cluster_slots_") || strings.HasPrefix(line, "cluster_state") {
			lines = append(lines, strings.TrimPrefix(line, "cluster_"))
		}
	}
	return strings.Join(lines, " "), err
}

// agreeOn waits until every node that runs says that of the state and the slots.
func (f *fleet) agreeOn(want string) {
	f.t.Helper()
	eventually(f.t, func() error {
		for _, p := range f.nodes {
			if p.down() {
				continue
			}
			if got, err := p.slotCounts(); err != nil || got != want {
				return fmt.Errorf("node %d says %s (%v), not %s", p.index, got, err, want)
			}
		}
		return nil
	})
}

// isDown checks that every node that runs refuses a key with CLUSTERDOWN.
func (f *fleet) isDown(key string) {
	f.t.Helper()
	for _, p := range f.nodes {
		if p.down() {
			continue
		}
		for _, err := range []error{
			p.client.Set(context.Background(), key, "v", 0).Err(), p.client.Get(context.Background(), key).Err(),
		} {
			if err == nil || err == redis.Nil || !strings.HasPrefix(err.Error(), "CLUSTERDOWN ") {
				f.t.Errorf("node %d says %v of a key of the lost shard", p.index, err)
			}
		}
	}
}

// TestStateWithoutMaster: while a master without a replica is dead, all others
// say so, though its arbiters elect one of themselves.
func TestStateWithoutMaster(t *testing.T) {
	f := startFleet(t, 3)
	f.formShards()
	whole := "state:ok slots_assigned:16384 slots_ok:16384 slots_pfail:0 slots_fail:0"
	f.agreeOn(whole)
	f.nodes[1].kill()
	f.agreeOn("state:fail slots_assigned:16384 slots_ok:10922 slots_pfail:0 slots_fail:5462")
	f.isDown(keyOfShard[1])
	if reply := f.nodes[0].must("set", keyOfShard[0], "v"); reply != "OK" {
		t.Errorf("a shard that lives says %s", reply)
	}
	f.nodes[1].mustStart("")
	f.agreeOn(whole)
	eventually(t, func() error { return f.nodes[1].client.Set(context.Background(), keyOfShard[1], "v", 0).Err() })
}

// TestStateWithoutQuorum: a master that has lost both other voters of its shard
// serves nothing, and all nodes say so.
func TestStateWithoutQuorum(t *testing.T) {
	f := startFleet(t, 6)
	f.formShards()
	whole := "state:ok slots_assigned:16384 slots_ok:16384 slots_pfail:0 slots_fail:0"
	f.agreeOn(whole)
	group, err := f.nodes[0].ask("cluster", "myshardid")
	if err != nil {
		t.Fatal(err)
	}
	arbiter := -1
	for _, p := range f.nodes {
		if strings.Contains(p.must("info", "raft"), "id="+group+",kind=arbiter") {
			arbiter = p.index
		}
	}
	if arbiter < 0 {
		t.Fatal("the shard has no arbiter")
	}
	lost := []*process{f.nodes[3], f.nodes[arbiter]}
	for _, p := range lost {
		p.kill()
	}
	eventually(t, func() error {
		for _, p := range f.nodes {
			if p.down() {
				continue
			}
			got, err := p.slotCounts()
			if err != nil || !strings.HasPrefix(got, "state:fail") || !strings.HasSuffix(got, "slots_fail:5461") {
				return fmt.Errorf("node %d says %s (%v)", p.index, got, err)
			}
		}
		return nil
	})
	f.isDown(keyOfShard[0])
	for _, p := range lost {
		p.mustStart("")
	}
	f.agreeOn(whole)
}
