package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// makeTrouble lets the world be as it is, until it is to be calm.
func (c *simCluster) makeTrouble() {
	for {
		sched.Sleep(context.Background(), c.outside, 10*time.Millisecond+c.upTo(90*time.Millisecond))
		if c.calm {
			return
		}
		n := c.nodes[c.rng.Intn(len(c.nodes))]
		troubles := []func(*simNode){
			c.powerCut, c.powerCut, c.blackout, c.killed, c.badDisk, c.slowDisk, c.badNetwork,
			c.partition, c.partition, c.isolateLeader, c.cutPair, c.heal, c.pauseLeader,
			c.handOff, c.failover, c.moveSlot, c.moveSlot, c.moveSlot, c.migrate, c.migrate, c.migrate, c.migrate, c.cancel, c.follow, c.follow, c.forget, c.forget, c.reset, c.loseQuorum, c.copyFolder,
		}
		if !c.lost { // it takes a moment at which nothing else is amiss
			troubles = append(troubles, c.loseDisk, c.loseDisk, c.loseDisk, c.loseDisk, c.loseDisk, c.loseDisk)
		}
		if c.shape.contest {
			troubles = []func(*simNode){
				c.isolateLeader, c.isolateLeader, c.pauseLeader, c.pauseLeader, c.pauseLeader,
				c.handOffAndCut, c.handOffAndCut, c.failover, c.restartVoter, c.restartVoter, c.powerCut, c.badNetwork, c.copyFolder,
			}
		}
		troubles[c.rng.Intn(len(troubles))](n)
	}
}

// end ends a node's process and starts one again after a while.
func (c *simCluster) end(n *simNode, how func()) {
	if n.proc == nil {
		return
	}
	c.stats.crashes++
	how()
	n.disk.log.Fail(nil)
	c.world.After(c.upTo(200*time.Millisecond), func() { c.restart(n) })
}

func (c *simCluster) restart(n *simNode) {
	if n.proc == nil {
		c.note("node %d starts", n.index)
		n.boot()
	}
}

// copyFolder copies a node's folder while the node is stopped, and starts both, in
// either order.
func (c *simCluster) copyFolder(n *simNode) {
	if n.proc == nil || c.twin != nil || c.lost {
		return
	}
	c.note("the folder of node %d is copied", n.index)
	c.end(n, n.kill)
	i := len(c.nodes)
	disk, err := n.disk.clone(fmt.Sprintf("%s/%d/", c.dir, i))
	if err != nil {
		c.t.Fatal(err)
	}
	c.twin = &simNode{c: c, index: i, disk: disk, slowDisk: time.Millisecond, original: n, addr: n.addr}
	c.twin.addr.Host, c.twin.addr.Raft = "10.0.1.1", "10.0.1.1:50051"
	c.world.After(c.upTo(200*time.Millisecond), func() { c.restart(c.twin) })
}

func (c *simCluster) powerCut(n *simNode) {
	c.note("power cut at node %d", n.index)
	c.end(n, n.crash)
}

func (c *simCluster) killed(n *simNode) {
	c.note("node %d is killed", n.index)
	c.end(n, n.kill)
}

// restartVoter has a node forget what it has promised to a leader, at a moment at
// which another one cannot hear that leader.
func (c *simCluster) restartVoter(n *simNode) {
	leader := c.leading(n)
	if leader == nil || leader == n {
		return
	}
	for _, o := range c.nodes {
		if o != n && o != leader {
			c.cut(leader, o)
		}
	}
	c.world.After(c.upTo(200*time.Millisecond), func() {
		c.note("node %d is killed and started again", n.index)
		c.end(n, n.kill)
		c.cut(leader, n)
		c.world.After(c.upTo(2*time.Millisecond), func() { c.restart(n) })
	})
	c.world.After(100*time.Millisecond+c.upTo(250*time.Millisecond), func() { clear(c.net.cut) })
}

// cut cuts the network between two nodes.
func (c *simCluster) cut(a, b *simNode) {
	c.note("no network between the nodes %d and %d", a.index, b.index)
	c.net.cut[[2]int{a.index, b.index}] = true
	c.net.cut[[2]int{b.index, a.index}] = true
}

func (c *simCluster) blackout(*simNode) {
	c.note("power cut everywhere")
	for _, n := range c.nodes {
		c.end(n, n.crash)
	}
}

func (c *simCluster) badDisk(n *simNode) {
	if !n.up() {
		return
	}
	op := []crashfs.Op{crashfs.OpSync, crashfs.OpWrite}[c.rng.Intn(2)]
	c.note("the disk of node %d fails to %s", n.index, op)
	n.breakDisk(op)
}

func (c *simCluster) slowDisk(n *simNode) {
	n.slowDisk = c.upTo(30 * time.Millisecond)
	c.note("the disk of node %d takes up to %v", n.index, n.slowDisk)
	c.world.After(c.upTo(250*time.Millisecond), func() { n.slowDisk = time.Millisecond })
}

// pauseLeader stops a node that leads something, mostly for longer than leases
// and elections take.
func (c *simCluster) pauseLeader(n *simNode) {
	if n = c.leading(n); n != nil {
		d := c.upTo(500 * time.Millisecond)
		c.note("node %d pauses for %v", n.index, d)
		n.proc.Pause(d)
	}
}

// leading returns a node that leads a group, beginning with n; nil if none does.
func (c *simCluster) leading(n *simNode) *simNode {
	for i := range c.nodes {
		o := c.nodes[(n.index+i)%len(c.nodes)]
		if o.up() && slices.ContainsFunc(o.groups(), (*multiraft.Group).Leads) {
			return o
		}
	}
	return nil
}

func (c *simCluster) badNetwork(*simNode) {
	c.net.lossy, c.net.slow = c.rng.Intn(150), c.rng.Intn(200)
	c.note("the network loses %d and delays %d of 1000", c.net.lossy, c.net.slow)
	c.world.After(c.upTo(400*time.Millisecond), func() { c.net.lossy, c.net.slow = 0, 0 })
}

func (c *simCluster) heal(*simNode) {
	c.note("the network is whole")
	clear(c.net.cut)
}

// partition cuts the network in two, in one direction or both.
func (c *simCluster) partition(*simNode) {
	side, oneWay := c.rng.Intn(1<<len(c.nodes)), c.chance(300)
	c.note("partition %b, one way: %v", side, oneWay)
	for i := range c.nodes {
		for j := range c.nodes {
			if side>>i&1 != side>>j&1 && (!oneWay || side>>i&1 == 1) {
				c.net.cut[[2]int{i, j}] = true
			}
		}
	}
	c.world.After(50*time.Millisecond+c.upTo(300*time.Millisecond), func() { clear(c.net.cut) })
}

// isolateLeader cuts a node off that leads something.
func (c *simCluster) isolateLeader(n *simNode) {
	if n = c.leading(n); n != nil {
		c.isolate(n)
	}
}

func (c *simCluster) isolate(n *simNode) {
	for _, o := range c.nodes {
		if o != n {
			c.cut(n, o)
		}
	}
	c.world.After(100*time.Millisecond+c.upTo(250*time.Millisecond), func() { clear(c.net.cut) })
}

// cutPair lets two nodes hear of each other by the others only.
func (c *simCluster) cutPair(n *simNode) {
	other := c.nodes[c.rng.Intn(len(c.nodes))]
	c.cut(n, other)
	c.world.After(100*time.Millisecond+c.upTo(250*time.Millisecond), func() { clear(c.net.cut) })
}

// later gives an operator's command without waiting for its end.
func (c *simCluster) later(n *simNode, what string, fn func(context.Context, *node) error) {
	c.outside.Go("order", func() { _ = c.order(n, what, fn) })
}

func (c *simCluster) handOff(n *simNode) {
	c.later(n, "hand off", func(ctx context.Context, o *node) error {
		ctx, cancel := o.sched.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		o.host.HandOff(ctx)
		return nil
	})
}

// handOffAndCut has a leader give up its place and cuts it off at that moment,
// so that it does not hear who took it.
func (c *simCluster) handOffAndCut(n *simNode) {
	if n = c.leading(n); n != nil {
		c.handOff(n)
		c.world.After(c.upTo(2*time.Millisecond), func() { c.isolate(n) })
	}
}

// failover makes a replica the master of its shard.
func (c *simCluster) failover(n *simNode) {
	force := c.chance(300)
	c.later(n, fmt.Sprintf("FAILOVER, force: %v", force), func(ctx context.Context, o *node) error {
		return (&backend{node: o}).Failover(ctx, force)
	})
}

// moveSlot takes a slot that clients use from its owner and gives it to a
// shard, another one if no keys are in it.
func (c *simCluster) moveSlot(n *simNode) {
	s := slot.Of([]byte(c.keys[c.rng.Intn(len(c.keys))]))
	set := slot.FromRanges([]slot.Range{{Start: s, End: s}})
	c.outside.Go("move", func() {
		err := c.order(n, fmt.Sprintf("DELSLOTS %d", s), func(ctx context.Context, o *node) error { return o.meta.DelSlots(ctx, set) })
		if err != nil {
			return
		}
		first := c.rng.Intn(len(c.nodes))
		for i := range c.nodes {
			to := c.nodes[(first+i)%len(c.nodes)]
			if !to.up() {
				continue
			}
			if me := to.node.meta.Current().Me(); me == nil || me.Shard == nil || me.Replica() {
				continue
			}
			if c.addSlots(to, set) == nil {
				c.stats.moves++
				return
			}
		}
	})
}

func (c *simCluster) addSlots(n *simNode, set slot.Set) error {
	return c.order(n, "ADDSLOTS "+set.String(), func(ctx context.Context, o *node) error { return o.meta.AddSlots(ctx, set) })
}

// migrate has a shard import slots that clients use, with what is in them.
func (c *simCluster) migrate(n *simNode) {
	if !n.up() {
		return
	}
	view := n.node.meta.Current()
	s := slot.Of([]byte(c.keys[c.rng.Intn(len(c.keys))]))
	if view.Owner[s] == nil {
		return
	}
	var set slot.Set
	for i := range slot.Count {
		if next := (int(s) + i) % slot.Count; view.Owner[next] == view.Owner[s] && set.Len() < 1<<c.rng.Intn(14) {
			set.Add(uint16(next))
		}
	}
	c.later(n, fmt.Sprintf("IMPORT of %d slots from %d on", set.Len(), s), func(ctx context.Context, o *node) error {
		_, err := o.meta.StartMigration(ctx, topology.Import, metaraft.MigrationRequest{Slots: set})
		return err
	})
}

// cancel ends the migrations of a node's shard.
func (c *simCluster) cancel(n *simNode) {
	c.later(n, "CANCEL", func(ctx context.Context, o *node) error {
		_, err := o.meta.EndMigration(ctx, 0, "", topology.Canceled, "")
		return err
	})
}

// follow makes a node without slots a replica of some master.
func (c *simCluster) follow(n *simNode) {
	master := c.nodes[c.rng.Intn(len(c.nodes))]
	if !master.up() {
		return
	}
	id := master.node.home.Identity().Node
	c.later(n, fmt.Sprintf("REPLICATE %d", master.index), func(ctx context.Context, o *node) error { return o.meta.Replicate(ctx, id) })
}

// forget removes a node, be it a master or down, and brings it back as a new member:
// one at a time, for the last one that stays would join those that have left.
func (c *simCluster) forget(n *simNode) {
	other := c.nodes[c.rng.Intn(len(c.nodes))]
	if other == n || !c.inside(other) || c.away {
		return
	}
	view := other.node.meta.Current()
	i := slices.IndexFunc(view.Nodes, func(o *topology.Node) bool { return o.Address.Raft == n.addr.Raft })
	if i < 0 {
		return
	}
	id := view.Nodes[i].ID
	c.leave(n, other, func() error {
		return c.order(other, fmt.Sprintf("FORGET %d", n.index), func(ctx context.Context, o *node) error { _, err := o.meta.Forget(ctx, id, false); return err })
	})
}

// reset makes a node a lone one, and brings it back as a new member.
func (c *simCluster) reset(n *simNode) {
	other := c.nodes[c.rng.Intn(len(c.nodes))]
	if other == n || !c.inside(n) || !c.inside(other) || c.away {
		return
	}
	hard := c.chance(500)
	c.leave(n, other, func() error {
		return c.order(n, fmt.Sprintf("RESET, hard: %v", hard), func(ctx context.Context, o *node) error { return o.meta.Reset(ctx, hard) })
	})
}

// leave has a node leave its cluster and meets it again. A command without an answer
// may have been carried out all the same.
func (c *simCluster) leave(n, other *simNode, how func() error) {
	c.away = true
	c.outside.Go("leave", func() {
		_ = how()
		for range 20 {
			if c.calm {
				return
			}
			sched.Sleep(context.Background(), c.outside, 50*time.Millisecond)
			if c.inside(n) && c.inside(other) && slices.ContainsFunc(other.node.meta.Current().Nodes, func(o *topology.Node) bool { return o.ID == n.node.home.Identity().Node }) {
				c.away = false // it has stayed
				return
			}
			if n.up() && len(n.node.meta.Current().Nodes) == 1 {
				c.stats.left++
				err := c.order(n, fmt.Sprintf("MEET %d", other.index), func(ctx context.Context, o *node) error {
					return o.meta.Meet(ctx, other.addr.Host, int(other.addr.Port), 0)
				})
				c.away = err != nil
				return
			}
		}
	})
}

// loseQuorum ends two nodes for a while, of a shard's voters if there are three, and
// has one that stays forget one of them meanwhile.
func (c *simCluster) loseQuorum(n *simNode) {
	if c.away || !c.inside(n) {
		return
	}
	me := n.node.meta.Current().Me()
	if me == nil || me.Shard == nil || len(me.Shard.Members) != 3 {
		return
	}
	var down []*simNode
	for _, m := range me.Shard.Members {
		if o := c.byID(m.Node); o != nil && o != n {
			down = append(down, o)
		}
	}
	if len(down) < 2 {
		return
	}
	id := down[0].node.home.Identity().Node
	c.note("the shard of node %d loses its quorum", n.index)
	c.stats.lostQuorums++
	for _, o := range down {
		c.stats.crashes++
		o.kill()
		o.disk.log.Fail(nil)
		c.world.After(300*time.Millisecond+c.upTo(300*time.Millisecond), func() { c.restart(o) })
	}
	c.leave(down[0], n, func() error {
		sched.Sleep(context.Background(), c.outside, c.upTo(400*time.Millisecond))
		return c.order(n, fmt.Sprintf("FORGET %d", down[0].index), func(ctx context.Context, o *node) error { _, err := o.meta.Forget(ctx, id, false); return err })
	})
}
