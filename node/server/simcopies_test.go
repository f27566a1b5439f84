package server

import (
	"context"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// A shard's data is on its master and, since it has no replica, on an arbiter. A
// replica comes and does not receive anything: it must not count as synced, and the
// copy must stay. When it has caught up, the copy goes.
func TestSimulationCopies(t *testing.T) {
	scripted(t, 4, 100*time.Millisecond, func(c *simCluster) {
		shard := func() *topology.Shard { return c.nodes[0].node.meta.Current().Me().Shard }
		kept := func() (node topology.NodeID, synced bool) {
			for _, m := range shard().Members {
				if m.Copy {
					node, synced = m.Node, m.Synced
				}
			}
			return node, synced
		}
		c.await("a copy", func() bool { _, synced := kept(); return synced })
		if c.failure != "" {
			return
		}
		keeper, _ := kept()
		var replica *simNode // the one that has no part in the shard, so not even its log
		for _, n := range c.nodes {
			if _, _, part := shard().Member(n.node.home.Identity().Node); !part {
				replica = n
			}
		}
		id := replica.node.home.Identity().Node
		c.cut(c.nodes[0], replica)
		c.must(replica, "REPLICATE 0", func(ctx context.Context, o *node) error {
			return o.meta.Replicate(ctx, c.idOf(0))
		})
		for range 100 {
			if m, _, _ := shard().Member(id); m.Synced {
				c.fail("node %d counts as synced and has not received anything", replica.index)
			}
			if node, _ := kept(); node != keeper {
				c.fail("the copy was given up, and the replica has not received anything")
			}
			sched.Sleep(context.Background(), c.outside, 20*time.Millisecond)
		}
		clear(c.net.cut)
		c.await("the copy to be superfluous", func() bool { node, _ := kept(); return node == 0 })
	})
}
