package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// simChecks is what is known of the groups as a whole.
type simChecks struct {
	leaders map[groupTerm]uint64 // Raft ids
	// replicas are all that ever were, by the node that holds or held them.
	replicas map[groupReplica]*simReplica
	// furthest is what the replica says that has applied most of its group.
	furthest map[topology.GroupID]simOwned
	hashes   map[groupIndex][sha256.Size]byte
}

type (
	groupTerm    struct{ group, term uint64 }
	groupReplica struct {
		group  multiraft.GroupID
		raftID uint64
	}
	groupIndex struct {
		group topology.GroupID
		index uint64
	}
)

// simReplica is the life of a replica.
type simReplica struct {
	node *simNode
	gone bool
}

// simOwned is which of the watched slots a shard owned at an index.
type simOwned struct {
	index   uint64
	cluster uint64
	slots   []uint16
}

// simStats counts what happened: a simulation in which nothing does proves
// nothing.
type simStats struct {
	done, unknown, crashes, leaders, replicas, hashes, moves, snapshots, lostDisks, copies, left, lostQuorums int
	// What transactions have met: a takeover during EXEC, a watched key that had changed, and
	// one that had not.
	takeovers, swapsFailed, swaps int
	// What blocked clients have met: they were served after they had waited, or sent
	// elsewhere, and served there.
	blockedServed, blockedMoved, blockedServedElsewhere int
	// How migrations have ended, and how often one was handed back.
	migrated, notMigrated, handedBack int
}

func (s *simStats) add(o simStats) {
	s.done += o.done
	s.unknown += o.unknown
	s.crashes += o.crashes
	s.leaders += o.leaders
	s.replicas += o.replicas
	s.hashes += o.hashes
	s.moves += o.moves
	s.snapshots += o.snapshots
	s.lostDisks += o.lostDisks
	s.copies += o.copies
	s.left += o.left
	s.lostQuorums += o.lostQuorums
	s.takeovers += o.takeovers
	s.swapsFailed += o.swapsFailed
	s.swaps += o.swaps
	s.blockedServed += o.blockedServed
	s.blockedMoved += o.blockedMoved
	s.blockedServedElsewhere += o.blockedServedElsewhere
	s.migrated += o.migrated
	s.notMigrated += o.notMigrated
	s.handedBack += o.handedBack
}

// sometimes fails the test if something has never happened in many runs.
func (s *simStats) sometimes(t *testing.T) {
	for what, n := range map[string]int{
		"a takeover during EXEC": s.takeovers, "a watched key that had changed": s.swapsFailed,
		"a watched key that had not changed": s.swaps, "a migration that was completed": s.migrated,
		"a migration that was not completed": s.notMigrated, "a hand-over that was handed back": s.handedBack,
	} {
		if n == 0 {
			t.Errorf("this never happened: %s", what)
		}
	}
}

func newSimChecks() simChecks {
	return simChecks{
		leaders: make(map[groupTerm]uint64), replicas: make(map[groupReplica]*simReplica),
		furthest: make(map[topology.GroupID]simOwned), hashes: make(map[groupIndex][sha256.Size]byte),
	}
}

// watch looks at a node after each of its steps.
func (c *simCluster) watch(p *seeded.Process, name string) {
	if t := c.twin; t != nil && t.proc == p {
		if t.up() && t.failed() != nil {
			c.world.After(0, t.kill)
		}
		return
	}
	i := slices.IndexFunc(c.nodes, func(n *simNode) bool { return n.proc == p })
	if i < 0 || !c.nodes[i].up() {
		return
	}
	n := c.nodes[i]
	switch name {
	case "raft loop":
		c.checkLeaders(n)
	case "applier":
		c.checkState(n)
	case "persister", "client", "serve", "beats", "keep time", "mover", "migration", "pull",
		"report", "seal", "own", "takeover", "residue", "done", "watch", "unwatch", "end import", "drop", "mark", "hand back":
	default:
		c.checkReplicas(n)
	}
	if err := n.failed(); err != nil {
		if !n.broken {
			c.fail("node %d: %v", n.index, err)
		}
		c.note("node %d ends: %v", n.index, err)
		c.world.After(0, func() { c.end(n, n.kill) })
	}
}

// groups returns the groups that the node takes part in.
func (n *simNode) groups() []*multiraft.Group {
	var all []*multiraft.Group
	if r := n.node.home.replica.Load(); r != nil && r.group != nil {
		all = append(all, r.group)
	}
	for _, r := range n.node.replicas.All() {
		all = append(all, r.Group())
	}
	return all
}

// checkLeaders: a term has one leader.
func (c *simCluster) checkLeaders(n *simNode) {
	for _, g := range n.groups() {
		leader, term := g.Leader()
		if leader != g.RaftID() {
			continue
		}
		key := groupTerm{uint64(g.ID()), term}
		switch other := c.checks.leaders[key]; other {
		case leader:
		case 0:
			c.checks.leaders[key] = leader
			c.stats.leaders++
			c.note("node %d leads group %016x in term %d", n.index, key.group, term)
		default:
			c.fail("the replicas %d and %d of group %016x both lead in term %d", other, leader, key.group, term)
		}
	}
}

// checkReplicas: a Raft id is given out once.
func (c *simCluster) checkReplicas(n *simNode) {
	stored, err := multiraft.StoredGroups(n.node.data.log)
	if err != nil {
		c.fail("node %d: %v", n.index, err)
		return
	}
	held := make(map[groupReplica]bool, len(stored))
	for _, s := range stored {
		key := groupReplica{s.ID, s.RaftID}
		held[key] = true
		switch r := c.checks.replicas[key]; {
		case r == nil:
			c.checks.replicas[key] = &simReplica{node: n}
			c.stats.replicas++
		case r.node != n || r.gone:
			c.fail("node %d has replica %d of group %016x, which was node %d's (gone: %v)", n.index, s.RaftID, uint64(s.ID), r.node.index, r.gone)
		}
	}
	for key, r := range c.checks.replicas {
		if r.node == n && !held[key] {
			r.gone = true
		}
	}
}

// checkState: no slot has two owners, and replicas that have applied the same
// are the same.
func (c *simCluster) checkState(n *simNode) {
	for _, r := range n.node.replicas.All() {
		m := r.Machine()
		if m == nil {
			continue
		}
		id := topology.GroupID(r.Group().ID())
		if index := m.Applied(); index > c.checks.furthest[id].index {
			c.checks.furthest[id] = simOwned{index, n.node.home.Identity().Cluster, c.owned(r)}
			c.checkOwners()
			if index%8 == 0 {
				c.checkHash(n, id, r)
			}
		} else if _, seen := c.checks.hashes[groupIndex{id, index}]; seen {
			c.checkHash(n, id, r)
		}
	}
}

// owned returns the clients' slots that the shard owns.
func (c *simCluster) owned(r *replica.Replica) (slots []uint16) {
	for _, key := range c.keys {
		if s := slot.Of([]byte(key)); r.Machine().Owns(s) {
			slots = append(slots, s)
		}
	}
	return slots
}

func (c *simCluster) checkOwners() {
	type place struct {
		cluster uint64
		slot    uint16
	}
	owner := make(map[place]topology.GroupID)
	for id, o := range c.checks.furthest {
		for _, s := range o.slots {
			at := place{o.cluster, s}
			if other, ok := owner[at]; ok && other != id {
				c.fail("slot %d is owned by the shards %x and %x", s, uint64(min(other, id)), uint64(max(other, id)))
			}
			owner[at] = id
		}
	}
}

func (c *simCluster) checkHash(n *simNode, id topology.GroupID, r *replica.Replica) {
	hash, err := r.Machine().Hash()
	if err != nil {
		c.fail("node %d: %v", n.index, err)
	}
	key := groupIndex{id, r.Machine().Applied()}
	if other, ok := c.checks.hashes[key]; ok {
		c.stats.hashes++
		if other != hash {
			c.fail("node %d has another state of shard %x at index %d than others", n.index, uint64(id), key.index)
		}
	}
	c.checks.hashes[key] = hash
}

// recover ends all trouble and waits until every key can be read and written:
// the cluster heals by itself.
func (c *simCluster) recover() {
	c.note("the trouble ends")
	c.calm = true
	c.net = simNetwork{cut: make(map[[2]int]bool)}
	for _, n := range c.nodes {
		n.slowDisk = time.Millisecond
		if n.broken {
			c.end(n, n.kill)
		}
	}
	c.await("the end of the operators' commands", func() bool { return c.orders == 0 })
	c.quiet = true
	c.await("the end of the clients", func() bool { return c.clients+c.queue.clients == 0 })
	c.await("an owner for every slot", c.reassigned)
	c.await("the end of all migrations", c.settled)
	cl := &simClient{c: c, id: -1, known: make(map[string]int)}
	for _, key := range c.keys {
		get := simOp{key, []string{"get", key}}
		if key[0] == 'p' {
			get.args[0] = "get both"
		}
		c.await("an answer to GET "+key, func() bool { return c.reassigned() && cl.do(get, 1) })
	}
	c.checkQueue(cl)
}

// await waits until cond holds.
func (c *simCluster) await(what string, cond func() bool) {
	for i := 0; c.failure == "" && !cond(); i++ {
		if i == 500 {
			c.fail("this never came: %s", what)
		}
		sched.Sleep(context.Background(), c.outside, 20*time.Millisecond)
	}
}

// reassigned reports whether every slot has an owner. A slot without one it
// gives to whoever holds its keys.
func (c *simCluster) reassigned() bool {
	var view *topology.View
	for _, n := range c.nodes {
		if n.up() && n.node.home.Identity().Cluster == c.cluster {
			if v := n.node.meta.Current(); view == nil || len(v.Nodes) > len(view.Nodes) || v.Index > view.Index {
				view = v
			}
		}
	}
	if view == nil {
		return false
	}
	free := slot.Full()
	for n, owner := range view.Owner {
		if owner != nil {
			free.Remove(uint16(n))
		}
	}
	if free.Empty() {
		return len(view.Intents) == 0
	}
	for _, s := range view.Shards {
		mine := free
		if residue, ok := view.Residue[s.ID]; ok {
			mine = residue
		} else if len(view.Residue) > 0 {
			continue
		}
		if n := c.byID(s.Master); n != nil {
			_ = c.addSlots(n, mine)
			return false
		}
	}
	return false
}

// settled reports whether no slot moves, and nothing is left of those that did.
func (c *simCluster) settled() bool {
	for _, n := range c.nodes {
		if !n.up() || n.node.home.Identity().Cluster != c.cluster {
			continue
		}
		view := n.node.meta.Current()
		if len(view.Garbage) > 0 || slices.ContainsFunc(view.Migrations, (*topology.Migration).Active) {
			return false
		}
		for _, r := range n.node.replicas.All() {
			if m := r.Machine(); m != nil && r.Leads() && len(m.Watches())+len(m.Imports()) > 0 {
				return false
			}
		}
	}
	c.countMigrations()
	return true
}

// countMigrations adds up how the migrations have ended that MetaRaft remembers.
func (c *simCluster) countMigrations() {
	for _, n := range c.nodes {
		if !n.up() || n.node.home.Identity().Cluster != c.cluster {
			continue
		}
		for _, m := range n.node.meta.Current().Migrations {
			switch {
			case m.State != topology.Completed:
				c.stats.notMigrated++
			default:
				c.stats.migrated++
			}
			c.stats.handedBack += m.Retries
		}
		return
	}
}

// finish judges the run as a whole.
func (c *simCluster) finish() {
	for _, n := range c.nodes {
		if n.up() && c.failure == "" {
			for _, r := range n.node.replicas.All() {
				if r.Machine() != nil {
					c.checkHash(n, topology.GroupID(r.Group().ID()), r)
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.history)) {
		if c.failure != "" {
			return
		}
		history := c.history[key]
		if c.shape.contest {
			history = boundUnknown(history)
		}
		switch porcupine.CheckOperationsTimeout(register, history, limit.Wait()) {
		case porcupine.Illegal:
			c.fail("what clients saw of key %s is not linearizable:%s", key, historyText(c.history[key]))
		case porcupine.Unknown:
			c.fail("the history of key %s is too long to be judged", key)
		}
	}
}

// boundUnknown bounds the writes of unknown outcome of a key that is only set and read:
// they would make the check take for ever. Values are unique, so one that was
// seen took effect before that; one that nobody saw may as well have taken
// effect after everything else, and is left out.
func boundUnknown(all []porcupine.Operation) (history []porcupine.Operation) {
	seen := make(map[string]int64) // value → end of the first operation that saw it
	for _, o := range all {
		if value, ok := o.Output.(string); ok {
			if end, ok := seen[value]; !ok || o.Return < end {
				seen[value] = o.Return
			}
		}
	}
	for _, o := range all {
		if o.Return == open {
			end, ok := seen[o.Input.(simOp).args[2]]
			if !ok {
				continue
			}
			o.Return = max(end, o.Call)
		}
		history = append(history, o)
	}
	return history
}

func historyText(history []porcupine.Operation) (text string) {
	start := time.Unix(1_700_000_000, 0).UnixNano()
	for _, o := range history {
		end := "?"
		if o.Return != open {
			end = fmt.Sprintf("%.3f", float64(o.Return-start)/1e9)
		}
		text += fmt.Sprintf("\n    %.3f to %s, client %d: %v = %v", float64(o.Call-start)/1e9, end, o.ClientId, o.Input, o.Output)
	}
	return text
}
