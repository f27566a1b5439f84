package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// The guards of FORGET, one script each: chance finds their absence too seldom.
// Each says what was accepted that must be refused; afterwards nothing is lost.
func TestSimulationForget(t *testing.T) {
	t.Run("the only whole copy", func(t *testing.T) {
		scripted(t, 4, 0, func(c *simCluster) {
			c.cut(c.nodes[0], c.nodes[1]) // the replica gets nothing
			c.must(c.nodes[1], "REPLICATE 0", func(ctx context.Context, o *node) error {
				return o.meta.Replicate(ctx, c.idOf(0))
			})
			c.refuses(2, 0, "the only whole copy")
		})
	})
	t.Run("a voter without which there is no majority", func(t *testing.T) {
		scripted(t, 5, 0, func(c *simCluster) {
			var voters []int
			for _, m := range c.nodes[0].node.meta.Current().Me().Shard.Members {
				if n := c.byID(m.Node); n.index != 0 {
					voters = append(voters, n.index)
				}
			}
			ids := []topology.NodeID{c.idOf(voters[0]), c.idOf(voters[1])}
			for _, i := range voters {
				c.nodes[i].kill()
			}
			c.await("both to be failed", func() bool {
				v := c.nodes[0].node.meta.Current()
				return v.Node(ids[0]).Failed && v.Node(ids[1]).Failed
			})
			for i, id := range ids {
				c.refusesID(0, id, fmt.Sprintf("voter %d of a shard that has lost its majority", i))
			}
			for _, i := range voters {
				c.restart(c.nodes[i])
			}
		})
	})
}

// scripted runs a script over a cluster with one master, node 0, which holds a
// key, and looks for that afterwards. grace, if not 0, is the arbiters' grace time.
func scripted(t *testing.T, nodes int, grace time.Duration, script func(*simCluster)) {
	scriptedBy(t, 1, nodes, grace, script)
}

// scriptedBy is scripted with a seed.
func scriptedBy(t *testing.T, seed int64, nodes int, grace time.Duration, script func(*simCluster)) {
	defer seedRand(seed)()
	c := newSimCluster(t, seed, simShape{nodes: nodes, masters: 1})
	defer c.close()
	if grace > 0 {
		c.arbiterGrace = grace
	}
	c.run(func() {
		for i, n := range c.nodes[1:] {
			c.must(c.nodes[0], fmt.Sprintf("MEET %d", i+1), func(ctx context.Context, o *node) error {
				return o.meta.Meet(ctx, n.addr.Host, int(n.addr.Port), 0)
			})
		}
		c.must(c.nodes[0], "ADDSLOTS", func(ctx context.Context, o *node) error { return o.meta.AddSlots(ctx, slot.Full()) })
		if c.failure != "" {
			return
		}
		c.cluster = c.nodes[0].node.home.Identity().Cluster
		cl := &simClient{c: c, id: 0, known: make(map[string]int)}
		key := c.keys[0]
		c.await("a key", func() bool { return cl.do(simOp{key, []string{"set", key, "kept"}}, 1) })
		c.await("three voters", func() bool { return len(c.nodes[0].node.meta.Current().Me().Shard.Voters) == 3 })
		if c.failure == "" {
			script(c)
		}
		clear(c.net.cut)
		c.keys, c.clients = c.keys[:1], 0
		if c.failure == "" {
			c.recover()
		}
	})
}

func (c *simCluster) idOf(i int) topology.NodeID { return c.nodes[i].node.home.Identity().Node }

// refuses has a node FORGET another one, which must not be accepted.
func (c *simCluster) refuses(at, of int, what string) { c.refusesID(at, c.idOf(of), what) }

func (c *simCluster) refusesID(at int, id topology.NodeID, what string) {
	err := c.order(c.nodes[at], "FORGET "+what, func(ctx context.Context, o *node) error {
		_, err := o.meta.Forget(ctx, id, false)
		return err
	})
	if err == nil {
		c.fail("FORGET was accepted of %s", what)
	}
}
