package multiraft

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/genuineh/aikv/testbed/limit"
)

// The writes of clients that try again after ErrNotLeader all come through a
// transfer, each once.
func TestTransferUnderWrites(t *testing.T) {
	nodes := newCluster(t, 3)
	ctx, cancel := limit.Context(t)
	defer cancel()
	var stop atomic.Bool
	var clients sync.WaitGroup
	for client := range uint64(4) {
		clients.Go(func() {
			for n := uint64(0); !stop.Load(); n++ {
				for {
					l := leaderOf(nodes)
					if l == nil {
						continue
					}
					err := write(l, client<<32|n)
					if err == nil {
						break
					}
					if !errors.Is(err, ErrNotLeader) {
						t.Errorf("a write during a transfer ended with %v", err)
						return
					}
				}
			}
		})
	}
	for range 5 {
		from := leaderOf(nodes)
		to := nodes[(slices.Index(nodes, from)+1)%3]
		eventually(t, "leadership to be taken over", func() bool { // a slow machine may miss the time for it
			return from.group.Transfer(ctx, to.group.RaftID()) == nil || !from.group.Leads()
		})
		if from.group.Leads() {
			t.Fatal("the transfer returned and the old leader leads")
		}
		eventually(t, "the successor to lead", func() bool { return leaderOf(nodes) == to })
	}
	stop.Store(true)
	clients.Wait()
	values := leaderOf(nodes).machine.values()
	slices.Sort(values)
	if unique := slices.Compact(slices.Clone(values)); len(unique) != len(values) {
		t.Errorf("%d of %d writes were applied twice", len(values)-len(unique), len(values))
	}
}

func TestTransferRefusals(t *testing.T) {
	nodes := newCluster(t, 3)
	ctx, cancel := limit.Context(t)
	defer cancel()
	leader := leaderOf(nodes)
	other := nodes[(slices.Index(nodes, leader)+1)%3]
	if err := other.group.Transfer(ctx, leader.group.RaftID()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower's transfer: %v", err)
	}
	if err := leader.group.Transfer(ctx, 999); !errors.Is(err, ErrNotTaken) {
		t.Errorf("to a stranger: %v", err)
	}
	other.net.isolate(other.id, true)
	if err := leader.group.Transfer(ctx, other.group.RaftID()); !errors.Is(err, ErrNotTaken) {
		t.Errorf("to a replica that is cut off: %v", err)
	}
	eventually(t, "the leader to go on", func() bool { return write(leader, 1) == nil })
}

// A candidate against a living leader changes nothing; without one it need not
// wait for its own election timeout.
func TestCampaign(t *testing.T) {
	nodes := newCluster(t, 3)
	ctx, cancel := limit.Context(t)
	defer cancel()
	leader := leaderOf(nodes)
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *testNode) bool { return n == leader })
	_, term := leader.group.Leader()
	for range 20 {
		if err := rest[0].group.Campaign(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(leader, 1); err != nil {
		t.Errorf("a write while another replica campaigns: %v", err)
	}
	if _, now := leader.group.Leader(); now != term {
		t.Errorf("the term went from %d to %d", term, now)
	}
	leader.net.isolate(leader.id, true)
	eventually(t, "another leader", func() bool {
		if err := rest[0].group.Campaign(ctx); err != nil {
			t.Fatal(err)
		}
		return leaderOf(rest) != nil
	})
}
