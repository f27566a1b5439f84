package server

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
)

// at does one operation at one node, without following redirects. It reports whether the
// operation was carried out for sure.
func (cl *simClient) at(n *simNode, op simOp) bool {
	sched.Sleep(context.Background(), cl.c.outside, time.Microsecond) // what begins when another one ends overlaps with it
	begin := cl.c.world.Now()
	reply := cl.ask(n, op.request())
	if !reply.refused {
		cl.c.record(cl, op, begin, reply, n.index)
	}
	return !reply.refused && !reply.unknown
}

// A write is held up between its routing and its place in the log, and meanwhile its
// slot goes to another shard: the one that it was routed to must not carry it out.
func TestSimulationMovedSlot(t *testing.T) {
	scripted(t, 4, 0, func(c *simCluster) {
		key := c.keys[len(c.keys)-1] // none that the script's cluster holds
		s := slot.Of([]byte(key))
		set := slot.FromRanges([]slot.Range{{Start: s, End: s}})
		cl := &simClient{c: c, id: 1, known: make(map[string]int)}
		write := simOp{key, []string{"incr", key}}
		begin, moved, ended := c.world.Now(), false, false
		var reply simReply
		c.outside.Go("held up", func() {
			c.request(c.nodes[0], time.Minute, func(n *node) {
				r := n.replicas.Data(n.meta.Current().Owner[s].ID)
				for !moved && c.failure == "" {
					sched.Sleep(context.Background(), n.sched, time.Millisecond)
				}
				reply = n.write(r, write.request())
			})
			ended = true
		})
		c.must(c.nodes[0], fmt.Sprintf("DELSLOTS %d", s), func(ctx context.Context, o *node) error { return o.meta.DelSlots(ctx, set) })
		c.must(c.nodes[1], fmt.Sprintf("ADDSLOTS %d", s), func(ctx context.Context, o *node) error { return o.meta.AddSlots(ctx, set) })
		c.await("the slot at its new shard", func() bool { return cl.at(c.nodes[1], simOp{key, []string{"get", key}}) })
		moved = true
		c.await("an answer to the write that was held up", func() bool { return ended })
		if c.failure == "" && !reply.refused {
			c.record(cl, write, begin, reply, 0)
		}
		c.await("the key at its new shard", func() bool { return cl.at(c.nodes[1], simOp{key, []string{"get", key}}) })
	})
}

// A leader hands leadership over, and from that moment on hears of nobody: it must not
// answer reads from its lease, since the other one answers writes.
func TestSimulationTransfer(t *testing.T) {
	scripted(t, 4, 0, func(c *simCluster) {
		c.must(c.nodes[1], "REPLICATE 0", func(ctx context.Context, o *node) error {
			return o.meta.Replicate(ctx, c.idOf(0))
		})
		c.await("the replica to vote and to be synced", func() bool {
			s := c.nodes[0].node.meta.Current().Me().Shard
			m, _, ok := s.Member(c.idOf(1))
			return ok && m.Synced && len(s.Voters) == 3 && len(s.Leaving) == 0
		})
		if c.failure != "" {
			return
		}
		key := c.keys[0]
		cl := &simClient{c: c, id: 1, known: make(map[string]int)}
		get := simOp{key, []string{"get", key}}
		c.await("a lease", func() bool {
			for range 2 { // the second read needs no round
				if !cl.at(c.nodes[0], get) {
					return false
				}
			}
			return true
		})
		for _, o := range c.nodes[1:] {
			c.net.cut[[2]int{o.index, 0}] = true
		}
		c.handOff(c.nodes[0])
		for i := range 50 {
			if cl.at(c.nodes[1], simOp{key, []string{"set", key, fmt.Sprint(i)}}) {
				break
			}
		}
		cl.at(c.nodes[0], get)
	})
}

// The members of a shard change, and a power cut takes back what nodes knew of it: none
// may act on what MetaRaft said before, be it to remove a replica or to make one again.
func TestSimulationOldView(t *testing.T) {
	script := func(c *simCluster) {
		member := func(n *simNode) bool {
			_, _, part := c.nodes[0].node.meta.Current().Me().Shard.Member(n.node.home.Identity().Node)
			return part
		}
		late := slices.IndexFunc(c.nodes, func(n *simNode) bool { return !member(n) })
		c.must(c.nodes[late], "REPLICATE 0", func(ctx context.Context, o *node) error {
			return o.meta.Replicate(ctx, c.idOf(0))
		})
		c.await("another member to leave", func() bool {
			i := slices.IndexFunc(c.nodes, func(n *simNode) bool { return !member(n) })
			return i >= 0 && i != late && len(c.nodes[i].node.replicas.All()) == 0
		})
		if c.failure != "" {
			return
		}
		for range 3 {
			for _, n := range c.nodes {
				n.crash()
			}
			for i, a := range c.nodes {
				for _, b := range c.nodes[:i] {
					c.cut(a, b)
				}
			}
			for _, n := range c.nodes {
				c.restart(n)
			}
			sched.Sleep(context.Background(), c.outside, 300*time.Millisecond)
			clear(c.net.cut)
			sched.Sleep(context.Background(), c.outside, time.Second)
		}
	}
	for seed := int64(1); seed <= 8 && !t.Failed(); seed++ { // chance decides what a power cut takes
		scriptedBy(t, seed, 4, 0, script)
	}
}
