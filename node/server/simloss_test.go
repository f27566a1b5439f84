package server

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// loseDisk takes a node's disk away for good, once in a run, where MetaRaft says
// that nothing is lost with it. What comes up at its address is a new node, which
// the operator gives the lost one's place. No folder is copied in such a run: a copy of
// what a lost node leaves is a member of its own.
func (c *simCluster) loseDisk(n *simNode) {
	other := c.nodes[c.rng.Intn(len(c.nodes))]
	if c.lost || c.twin != nil || c.away || other == n || c.arbiterGrace > time.Second || !c.inside(n) || !c.inside(other) {
		return
	}
	old := n.node.home.Identity().Node
	if !c.expendable(other.node.meta.Current(), old) {
		return
	}
	c.lost, c.away = true, true
	c.stats.lostDisks++
	c.note("node %d loses its disk", n.index)
	n.crash()
	root := n.disk.root
	if err := os.RemoveAll(root); err != nil {
		c.t.Fatal(err)
	}
	n.disk = newSimDisk(root)
	n.boot()
	c.outside.Go("replace", func() {
		c.replace(n, old, other)
		c.away = false
	})
}

// inside reports whether the node runs and is a member of the cluster.
func (c *simCluster) inside(n *simNode) bool {
	return n.up() && n.node.home.Identity().Cluster == c.cluster
}

// expendable reports whether the view says that the loss of the node's disk loses
// nothing: of each shard that it has the state of there is another member that has
// it and lives, though it need not serve.
func (c *simCluster) expendable(v *topology.View, id topology.NodeID) bool {
	if v.Node(id) == nil || len(v.Nodes) != len(c.nodes) || len(v.Intents) > 0 {
		return false
	}
	return !slices.ContainsFunc(v.Shards, func(s *topology.Shard) bool {
		m, _, ok := s.Member(id)
		settled := len(s.Leaving) == 0 && len(s.Voters) == len(s.Members)
		return ok && (!settled || m.HoldsState() && !slices.ContainsFunc(s.Members, func(o topology.Member) bool {
			return o.Node != id && o.Synced && !v.Node(o.Node).Failed && c.byID(o.Node) != nil
		}))
	})
}

// replace gives a lost node's place to the one that has its address now.
func (c *simCluster) replace(n *simNode, old topology.NodeID, other *simNode) {
	c.must(n, fmt.Sprintf("MEET %d", other.index), func(ctx context.Context, o *node) error {
		return o.meta.Meet(ctx, other.addr.Host, int(other.addr.Port), 0)
	})
	c.must(n, "REPLICATE what the lost node had", func(ctx context.Context, o *node) error {
		was := o.meta.View(ctx).Node(old)
		if was == nil || was.Shard == nil {
			return nil
		}
		return o.meta.Replicate(ctx, was.Shard.Master)
	})
	c.must(other, "FORGET the lost node", func(ctx context.Context, o *node) error {
		_, err := o.meta.Forget(ctx, old, false)
		return err
	})
}
