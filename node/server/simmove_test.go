package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/replica"
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

// A slot that was closed with keys, and opened again, stays open when these are gone.
func TestSimulationSlotIsOpenedAgain(t *testing.T) {
	scripted(t, 4, 0, func(c *simCluster) {
		key := c.keys[0]
		own := slot.Of([]byte(key))
		at := min(own, slot.Count-2)
		set := func(n uint16, action metaraft.SlotAction, peer topology.NodeID) {
			c.must(c.nodes[1], fmt.Sprintf("SETSLOT %d %s", n, action), func(ctx context.Context, o *node) error {
				_, err := o.meta.SetSlot(ctx, n, action, peer)
				return err
			})
		}
		source := c.nodes[0].node.meta.Current().Self
		set(own, metaraft.SetImporting, source)
		target := func() *replica.Replica {
			return c.nodes[1].node.replicas.Data(c.nodes[1].node.meta.Current().Me().Shard.ID)
		}
		asking := func(args ...string) {
			var words [][]byte
			for _, arg := range args {
				words = append(words, []byte(arg))
			}
			c.must(c.nodes[1], args[0], func(ctx context.Context, _ *node) error {
				return target().Write(ctx, command.AppendArgs(command.AppendAsking(nil), words))
			})
		}
		c.await("an open slot", func() bool { r := target(); return r != nil && r.Takes(own, true) })
		asking("set", key, "stray")
		set(own, metaraft.SetStable, 0)
		for n := at; n < at+2; n++ {
			set(n, metaraft.SetImporting, source)
		}
		c.await("open slots", func() bool { return target().Takes(at, true) && target().Takes(at+1, true) })
		asking("del", key)
		sched.Sleep(context.Background(), c.outside, 2*time.Second)
		for n := at; n < at+2; n++ {
			if !target().Takes(n, true) {
				c.fail("slot %d is not open at its target", n)
			}
			set(n, metaraft.SetStable, 0)
		}
		c.await("the end of the residue", func() bool { return len(c.nodes[1].node.meta.Current().Residue) == 0 })
	})
}
