package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// Slots move to another shard and back while a client counts.
func TestSimulationMigration(t *testing.T) {
	scripted(t, 4, 0, func(c *simCluster) {
		key := c.keys[len(c.keys)-1]
		cl := &simClient{c: c, id: 1, known: make(map[string]int)}
		stop, counting := false, true
		c.outside.Go("counting", func() {
			for !stop && c.failure == "" {
				cl.do(simOp{key, []string{"incr", key}}, 3)
				sched.Sleep(context.Background(), c.outside, c.upTo(3*time.Millisecond))
			}
			counting = false
		})
		at := slot.Of([]byte(key))
		var set, kept slot.Set
		set.Add(at)
		kept.Add((at + 1) % slot.Count)
		c.mustMove(c.nodes[1], kept) // with its last slot it would give up its shard
		for i := range 6 {
			c.mustMove(c.nodes[1-i%2], set)
		}
		c.mustMove(c.nodes[0], kept)
		c.await("the shard's end", func() bool { return len(c.nodes[0].node.meta.Current().Shards) == 1 })
		stop = true
		c.await("the end of the counting", func() bool { return !counting })
	})
}

// mustMove has a node import slots, and returns when it has them.
func (c *simCluster) mustMove(to *simNode, slots slot.Set) {
	var ids []topology.MigrationID
	c.must(to, fmt.Sprintf("IMPORT %v", slots), func(ctx context.Context, o *node) (err error) {
		ids, err = o.meta.StartMigration(ctx, topology.Import, metaraft.MigrationRequest{Slots: slots})
		return err
	})
	if c.failure != "" {
		return
	}
	c.await("the slots at their new shard", func() bool {
		m := to.node.meta.Current().Migration(ids[0])
		if m != nil && (m.State == topology.Failed || m.State == topology.Canceled) {
			c.fail("the migration has ended: %s, %s", m.State, m.Error)
		}
		return m != nil && m.State == topology.Completed
	})
	c.note("moved %v to node %d, clients have waited %d ms", slots, to.index, to.node.meta.Current().Migration(ids[0]).Paused)
}
