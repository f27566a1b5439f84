package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
)

// simShape is how a cluster begins.
type simShape struct {
	nodes, masters int
	// contest: it is all about who leads. All nodes hold the data of one shard,
	// and many clients use one key.
	contest bool
}

// shapeOf returns the shape of a seed's cluster.
func shapeOf(seed int64) simShape {
	if seed%2 == 1 {
		return simShape{3, 1, true}
	}
	shapes := []simShape{{3, 1, false}, {3, 2, false}, {3, 3, false}, {4, 1, false}, {4, 2, false}, {4, 3, false}, {5, 2, false}}
	return shapes[uint64(seed/2)%uint64(len(shapes))]
}

// form makes a cluster of the nodes, as redis-cli --cluster create does.
func (c *simCluster) form() {
	for i, n := range c.nodes[1:] {
		c.must(c.nodes[0], fmt.Sprintf("MEET %d", i+1), func(ctx context.Context, o *node) error {
			return o.meta.Meet(ctx, n.addr.Host, int(n.addr.Port), 0)
		})
	}
	masters := c.shape.masters
	for i := range masters {
		share := slot.FromRanges([]slot.Range{{Start: uint16(i * slot.Count / masters), End: uint16((i+1)*slot.Count/masters - 1)}})
		c.must(c.nodes[i], "ADDSLOTS "+share.String(), func(ctx context.Context, o *node) error { return o.meta.AddSlots(ctx, share) })
	}
	for i := masters; i < len(c.nodes); i++ {
		if master := c.nodes[i%masters]; c.shape.contest || c.chance(700) {
			c.must(c.nodes[i], fmt.Sprintf("REPLICATE %d", master.index), func(ctx context.Context, o *node) error {
				return o.meta.Replicate(ctx, master.node.home.Identity().Node)
			})
		}
	}
	if c.failure == "" {
		c.cluster = c.nodes[0].node.home.Identity().Cluster
		c.note("the cluster is made")
	}
}

// must is order for what has to succeed, tried for a while.
func (c *simCluster) must(n *simNode, what string, fn func(context.Context, *node) error) {
	if c.failure != "" {
		return
	}
	var err error
	for range 50 {
		if err = c.order(n, what, fn); err == nil || c.failure != "" {
			return
		}
		sched.Sleep(context.Background(), c.outside, 100*time.Millisecond)
	}
	c.fail("node %d, %s: %v", n.index, what, err)
}

// order gives a node an operator's command.
func (c *simCluster) order(n *simNode, what string, fn func(context.Context, *node) error) (err error) {
	c.orders++
	switch c.request(n, 1500*time.Millisecond, func(o *node) {
		ctx, cancel := o.sched.WithTimeout(context.Background(), 1200*time.Millisecond)
		defer cancel()
		err = fn(ctx, o)
	}) {
	case requestRefused:
		err = errors.New("the node is down")
	case requestLost:
		err = errors.New("no answer")
	}
	c.orders--
	c.note("node %d: %s: %v", n.index, what, err)
	return err
}

// simImage is a cluster that was made before: most runs begin with one, since
// making it takes longer than all that follows.
type simImage struct {
	cluster uint64
	disks   []*simDisk
}

// images are those that this process has made. An image depends on its shape
// alone.
var images = make(map[simShape]*simImage)

// restoreImage gives the nodes the disks of an image, and returns what awaits
// that they have become a cluster again.
func (c *simCluster) restoreImage() func() {
	image := images[c.shape]
	if image == nil {
		image = makeImage(c)
		images[c.shape] = image
	}
	for i, n := range c.nodes {
		var err error
		if n.disk, err = image.disks[i].clone(n.disk.root); err != nil {
			c.t.Fatal(err)
		}
	}
	c.cluster = image.cluster
	return func() { c.await("a leader of every shard", c.served) }
}

// served reports whether every shard is led.
func (c *simCluster) served() bool {
	leaders := 0
	for _, n := range c.nodes {
		if !n.up() {
			return false
		}
		for _, r := range n.node.replicas.All() {
			if r.Leads() {
				leaders++
			}
		}
	}
	return leaders == c.shape.masters
}

func makeImage(of *simCluster) *simImage {
	seed := int64(of.shape.nodes*10 + of.shape.masters) // with contest or without
	defer seedRand(seed)()
	c := newSimCluster(of.t, seed, of.shape)
	defer c.close()
	for _, n := range c.nodes {
		n.boot()
	}
	c.outside.Go("operator", func() {
		c.form()
		sched.Sleep(context.Background(), c.outside, time.Second) // what else it takes
		c.over = true
	})
	for c.failure == "" && !c.over {
		c.step(10 * time.Second)
	}
	if c.failure != "" {
		c.t.Fatalf("cannot make a cluster to begin with: %s", c.failure)
	}
	image := &simImage{cluster: c.cluster}
	for _, n := range c.nodes {
		n.kill()
		for name := range n.disk.stores {
			if !n.disk.holds(name) {
				delete(n.disk.stores, name)
			}
		}
		image.disks = append(image.disks, n.disk)
	}
	return image
}
