package metaraft

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// TestStorms has a client for each node that meets it with others and crashes
// it, and adds and deletes slots that no other node ever has, all at once and
// over a bad network. Two of the five nodes are reset and forgotten besides: the
// other three are always enough to go on, however those leave. Each client knows
// what its node must own; at the end all nodes of a cluster see the same, and
// each what its client knows.
func TestStorms(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	if text := os.Getenv("METARAFT_STORM_SEEDS"); text != "" {
		seeds, _ = strconv.ParseUint(text, 10, 32)
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			nodes := w.bootMany(5)
			for _, n := range nodes[1:stormStayers] {
				w.must(n.meet(nodes[0]))
			}
			w.loseSome(40)
			clients := make([]*stormClient, len(nodes))
			var wg sync.WaitGroup
			for i, n := range nodes {
				c := &stormClient{
					w: w, Rand: rand.New(rand.NewPCG(seed, uint64(i))), self: n, nodes: nodes, first: uint16(100 * i), stays: i < stormStayers,
					replicas: seed%2 == 0,
				}
				clients[i] = c
				wg.Go(func() {
					for range 40 {
						c.step()
					}
				})
			}
			wg.Wait()
			w.setFault(nil)
			for _, c := range clients {
				c.rest()
			}
		})
	}
}

// stormSlots is how many slots each node has for itself, stormStayers how many
// nodes are never reset or forgotten.
const stormSlots, stormStayers = 6, 3

// stormClient is the only one who changes the membership of self and who adds
// or deletes its slots.
type stormClient struct {
	*rand.Rand
	w        *world
	self     *simNode
	nodes    []*simNode
	first    uint16 // of the slots
	stays    bool   // it is never reset or forgotten
	replicas bool   // nodes follow each other: their slots may outlive them

	owned   [stormSlots]bool
	unknown [stormSlots]bool
	history []string
}

// note records what was answered and reports whether that is known to be true.
func (c *stormClient) note(what string, err error) (done, known bool) {
	c.history = append(c.history, fmt.Sprintf("%s: %v", what, err))
	return err == nil, err == nil || !strings.HasPrefix(err.Error(), "UNCERTAIN ")
}

// peer returns a node that is not self, with its process, nil if it is down:
// a stayer for one that comes and goes.
func (c *stormClient) peer() (*simNode, *Node) {
	all := c.nodes
	if !c.stays {
		all = all[:stormStayers]
	}
	for {
		if n := all[c.IntN(len(all))]; n != c.self {
			return n, n.running()
		}
	}
}

func (c *stormClient) step() {
	ctx := c.w.t.Context()
	self := c.self.running()
	switch n := c.IntN(100); {
	case n >= 75 && n < 90 && c.stays:
	case n < 30:
		c.meet()
	case n < 55:
		i := c.IntN(stormSlots)
		s := c.first + uint16(i)
		done, known := c.note(fmt.Sprint("add ", s), self.AddSlots(ctx, slotRange(s, s)))
		c.changed(i, true, done, known)
	case n < 65:
		i := c.IntN(stormSlots)
		s := c.first + uint16(i)
		done, known := c.note(fmt.Sprint("delete ", s), self.DelSlots(ctx, slotRange(s, s)))
		c.changed(i, false, done, known)
	case n < 75:
		if peer, node := c.peer(); node != nil && c.replicas {
			c.note("replicate", self.Replicate(ctx, peer.Identity().Node))
		}
	case n < 82:
		alone := c.w.alone.Load()
		done, known := c.note("reset", self.Reset(ctx, c.IntN(2) == 0))
		// Of a node that left alone the others keep what it owned.
		c.left(done && alone == c.w.alone.Load(), known && !done)
	case n < 90:
		peer, node := c.peer()
		if node == nil {
			return
		}
		done, known := c.note("forget at "+peer.addr.Raft, forget(ctx, node, c.self.Identity().Node))
		// A node that is in no cluster, and was in the other one before, is
		// forgotten there and keeps what it owns.
		c.left(false, known && !done)
	default:
		c.note("crash", nil)
		c.self.kill()
		c.self.start()
		c.awaitReady()
	}
}

// meet meets another node, in either direction; sometimes self crashes on the
// way.
func (c *stormClient) meet() {
	peer, node := c.peer()
	if node == nil {
		return
	}
	step := []string{"", "", "frozen", "answered", "adopted"}[c.IntN(5)]
	if step == "" {
		from, to := c.self.running(), peer.addr
		if c.IntN(2) == 0 {
			from, to = node, c.self.addr
		}
		c.note("meet "+peer.addr.Raft, from.Meet(c.w.t.Context(), to.Host, int(to.Port), 0))
		return
	}
	self := c.self.running()
	crashed := c.self.crashAt(step) // perhaps in a join that somebody else asked for
	met := make(chan error, 1)
	go func() { met <- self.Meet(c.w.t.Context(), peer.addr.Host, int(peer.addr.Port), 0) }()
	select {
	case <-crashed:
		c.self.kill()
	case err := <-met:
		met <- err
	}
	c.note("meet "+peer.addr.Raft+" with a crash when "+step, <-met)
	c.self.noCrash()
	if c.self.running() == nil {
		c.self.start()
	}
	c.awaitReady()
}

// awaitReady waits for the state of the node's cluster.
func (c *stormClient) awaitReady() {
	c.w.eventually("the node is back", func() bool {
		a, _ := c.self.running().current()
		return a != nil && a.ready()
	})
}

// changed notes a change of one slot. A refusal leaves it as it is, and what
// was unknown before may tell: a slot cannot be added twice.
func (c *stormClient) changed(i int, owned, done, known bool) {
	switch {
	case done:
		c.owned[i], c.unknown[i] = owned, false
	case !known:
		c.unknown[i] = true
	}
}

// left notes that the node has lost all its slots, or may have.
func (c *stormClient) left(done, refused bool) {
	for i := range stormSlots {
		switch {
		case done && !c.replicas:
			c.owned[i], c.unknown[i] = false, false
		case !refused:
			c.unknown[i] = true
		}
	}
}

// rest waits until the node is at rest, and compares what it sees with what the
// client knows.
func (c *stormClient) rest() {
	t := c.w.t
	t.Helper()
	var v *topology.View
	c.w.eventually("the node is at rest and sees what its fellows see", func() bool {
		ctx, cancel := limit.Context(t)
		defer cancel()
		info := c.self.running().Info()
		if v = c.self.running().View(ctx); !info.Staying || !v.Quorum || len(v.Intents) > 0 || c.self.Identity().PendingTarget != "" {
			return false
		}
		for _, n := range c.nodes {
			other := n.running().View(ctx)
			if v.Node(n.Identity().Node) != nil && (other.ClusterID != v.ClusterID || other.Owner != v.Owner && !sameOwners(v, other)) {
				return false
			}
		}
		return true
	})
	for i := range stormSlots {
		if s := c.first + uint16(i); !c.unknown[i] && (v.Owner[s] != nil) != c.owned[i] {
			t.Errorf("node %s: slot %d is owned: %v, its client knows: %v\n%s",
				c.self.addr.Raft, s, v.Owner[s] != nil, c.owned[i], strings.Join(c.history, "\n"))
		}
	}
}

// sameOwners compares who owns each slot.
func sameOwners(a, b *topology.View) bool {
	for n := range a.Owner {
		if (a.Owner[n] == nil) != (b.Owner[n] == nil) || a.Owner[n] != nil && a.Owner[n].Master != b.Owner[n].Master {
			return false
		}
	}
	return true
}

// unaware keeps the node from noticing by itself that it was forgotten.
func (w *world) unaware(n *simNode) {
	n.kill()
	n.tweak = func(o *Options) { o.OrphanAfter = time.Hour }
	n.start()
	w.eventually("the node is back", func() bool { return n.view().Quorum })
	n.replica.deaf.Store(true)
	w.setFault(func(to *simNode, method uint8) fault { return fault{unreachable: to == n && method == MethodNotice} })
}

// TestMeetAfterForget meets a node that was forgotten and has not heard of it, from
// both sides: OK means that it is a member again.
func TestMeetAfterForget(t *testing.T) {
	for _, outside := range []bool{true, false} {
		w := newWorld(t, 1)
		nodes := w.bootCluster(3)
		x := other(nodes, w.leader(nodes))
		y := other(nodes, x)
		w.unaware(x)
		w.must(forget(t.Context(), y.running(), x.Identity().Node))
		w.setFault(nil)
		if info := x.running().Info(); info.Nodes != 3 {
			t.Fatalf("the forgotten node knows it: %+v", info)
		}
		if outside {
			w.must(x.meet(y))
		} else {
			w.must(y.meet(x))
		}
		if v := y.view(); v.Node(x.Identity().Node) == nil || !v.Quorum {
			t.Errorf("MEET answered OK (asked outside: %v), and the node is no member", outside)
		}
		w.mustBeTogether(nodes)
	}
}

// TestMeetDownMemberWithoutQuorum: whether a node is still a member cannot be
// told then, so MEET must not say OK.
func TestMeetDownMemberWithoutQuorum(t *testing.T) {
	w := newWorld(t, 1)
	nodes := w.bootCluster(3)
	nodes[1].kill()
	nodes[2].kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // deadline: it is to end
	defer cancel()
	err := nodes[0].running().Meet(ctx, nodes[1].addr.Host, int(nodes[1].addr.Port), 0)
	if err == nil || !strings.Contains(err.Error(), "did not finish in time") {
		t.Errorf("error %v", err)
	}
}

// TestDissolveKeepsRoles: what was answered OK in an island that dissolves later
// is not lost with it.
func TestDissolveKeepsRoles(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorld(t, seed)
		ctx := t.Context()
		island := w.bootCluster(4)
		id := func(i int) topology.NodeID { return island[i].Identity().Node }
		w.must(island[1].running().Replicate(ctx, id(0)))
		w.must(island[2].running().Replicate(ctx, id(0)))
		epochs := make([]uint64, len(island))
		for i, n := range island {
			epoch, _, err := n.running().BumpEpoch(ctx)
			w.must(err)
			epochs[i] = epoch
		}
		owner := w.boot(10)
		w.must(owner.running().AddSlots(ctx, slotRange(0, 9)))
		w.must(island[seed%4].meet(owner))
		v := owner.view()
		for i, want := range []topology.NodeID{0, id(0), id(0), 0} {
			node := v.Node(id(i))
			if node == nil {
				t.Fatalf("seed %d: node %d is no member after OK", seed, i)
			}
			var master topology.NodeID
			if node.Replica() {
				master = node.Shard.Master
			}
			if master != want {
				t.Errorf("seed %d: node %d follows %d, want %d", seed, i, master, want)
			}
			if node.ConfigEpoch != epochs[i] {
				t.Errorf("seed %d: node %d has config epoch %d, had %d", seed, i, node.ConfigEpoch, epochs[i])
			}
		}
	}
}

// TestForgottenBeforeDissolve: a node that was forgotten, and hears of it only
// after its former fellows went to another cluster, does not go with them.
func TestForgottenBeforeDissolve(t *testing.T) {
	w := newWorld(t, 2)
	ctx := t.Context()
	island := w.bootCluster(3)
	x := other(island, w.leader(island))
	y := other(island, x)
	w.unaware(x)
	w.must(forget(ctx, y.running(), x.Identity().Node))
	owner := w.boot(10)
	w.must(owner.running().AddSlots(ctx, slotRange(0, 9)))
	w.must(y.meet(owner))
	w.setFault(nil)
	x.running().duty("inquire", x.running().inquire)
	w.eventually("the forgotten node is lone", func() bool { return x.running().Info().Nodes == 1 && x.running().Info().Staying })
	if target := x.Identity().PendingTarget; target != "" {
		t.Errorf("it is about to follow the others to %s", target)
	}
	if v := owner.view(); v.Node(x.Identity().Node) != nil || len(v.Nodes) != 3 {
		t.Errorf("the cluster has %d nodes, the forgotten one among them: %v", len(v.Nodes), v.Node(x.Identity().Node) != nil)
	}
}

// TestLateFarewell delivers the last words of a node that left alone after it
// came back: it stays.
func TestLateFarewell(t *testing.T) {
	w := newWorld(t, 3)
	nodes := w.bootCluster(3)
	x := other(nodes, w.leader(nodes))
	y := other(nodes, x)
	before := x.Identity()
	w.setFault(func(_ *simNode, method uint8) fault { return fault{unreachable: method == MethodPropose} })
	w.must(x.running().Reset(t.Context(), false))
	w.setFault(nil)
	w.must(x.meet(y))
	_, err := y.running().Propose(t.Context(), &Leave{Node: before.Node, MetaID: before.MetaID})
	w.must(err)
	if y.view().Node(before.Node) == nil {
		t.Error("the node was removed by its farewell to an earlier membership")
	}
}

// TestAddSlotsTakenAway: whoever waits for its slots learns that they were taken
// away again, instead of waiting for ever.
func TestAddSlotsTakenAway(t *testing.T) {
	w := newWorld(t, 4)
	nodes := w.bootCluster(2)
	x := nodes[0]
	x.set(func(n *simNode) { n.idle = true })
	for _, how := range []string{"delslots", "reset"} {
		added := make(chan error, 1)
		go func() { added <- x.running().AddSlots(t.Context(), slotRange(0, 9)) }()
		w.eventually("the slots are assigned", func() bool { return nodes[1].view().Assigned() == 10 })
		if how == "reset" {
			w.must(x.running().Reset(t.Context(), false))
		} else {
			w.must(nodes[1].running().DelSlots(t.Context(), slotRange(0, 9)))
		}
		w.must(<-added)
	}
	// They are waited for, and the wait is bounded.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := x.running().AddSlots(ctx, slotRange(0, 9))
	if err == nil || !strings.HasPrefix(err.Error(), "UNCERTAIN the slots are assigned to this node") {
		t.Errorf("error %v", err)
	}
}

// TestDelSlotsWhileMoving: a node that goes to another cluster while it waits for
// an intent takes no other intent there for its own.
func TestDelSlotsWhileMoving(t *testing.T) {
	w := newWorld(t, 5)
	left := w.bootCluster(2)
	ctx := t.Context()
	left[0].set(func(n *simNode) { n.mute = true })
	w.must(left[0].running().AddSlots(ctx, slotRange(0, 9)))
	deleted := make(chan error, 1)
	go func() { deleted <- left[1].running().DelSlots(ctx, slotRange(0, 9)) }()
	w.eventually("the intent is there", func() bool { return len(left[1].view().Intents) == 1 })
	w.must(left[1].running().Reset(ctx, false))
	if err := <-deleted; err != Uncertain {
		t.Errorf("DELSLOTS of a node that left meanwhile: %v", err)
	}
}

// TestResetTakesNoWriteAlong: a master that gets a key after RESET has looked
// refuses all the same, and nothing has changed.
func TestResetTakesNoWriteAlong(t *testing.T) {
	w := newWorld(t, 6)
	nodes := w.bootCluster(3)
	ctx := t.Context()
	x := nodes[1]
	w.must(x.running().AddSlots(ctx, slotRange(0, 9)))
	x.set(func(n *simNode) { n.late = slotRange(3, 3) }) // keys that come before the seal
	wantError(t, x.running().Reset(ctx, true), "ERR CLUSTER RESET can't be called with master nodes containing keys")
	wantError(t, x.running().FlushSlots(ctx), "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
	if v := nodes[0].view(); v.Assigned() != 10 || len(v.Nodes) != 3 || len(v.Intents) != 0 {
		t.Errorf("after the refusals: %d slots, %d nodes, %d intents", v.Assigned(), len(v.Nodes), len(v.Intents))
	}
	x.set(func(n *simNode) { n.late = slot.Set{} })
	w.must(x.running().Reset(ctx, true))
	if v := nodes[0].view(); v.Assigned() != 0 || len(v.Nodes) != 2 {
		t.Errorf("after RESET: %d slots, %d nodes", v.Assigned(), len(v.Nodes))
	}
}

// TestResumedJoinKnowsEveryMember: a frozen node that crashed, and whose target
// left its cluster meanwhile, is admitted by the members who stayed.
func TestResumedJoinKnowsEveryMember(t *testing.T) {
	w := newWorld(t, 7)
	nodes := w.bootCluster(3)
	target := other(nodes, w.leader(nodes))
	joiner := w.boot(10)
	ctx := t.Context()
	w.must(joiner.running().AddSlots(ctx, slotRange(0, 9)))
	crashed := joiner.crashAt("frozen")
	go func() { _ = joiner.meet(target) }()
	<-crashed
	joiner.kill()
	w.must(target.running().Reset(ctx, true))
	joiner.noCrash()
	joiner.start()
	w.mustBeTogether(append(slices.DeleteFunc(slices.Clone(nodes), func(n *simNode) bool { return n == target }), joiner))
}

// TestReportsStayInTheirCluster: what a shard reports about an intent of one
// cluster is never told to another one.
func TestReportsStayInTheirCluster(t *testing.T) {
	w := newWorld(t, 8)
	a := w.boot(1)
	before := a.Identity().Cluster
	w.must(a.running().AddSlots(t.Context(), slotRange(0, 9)))
	w.must(a.running().Reset(t.Context(), true))
	_, err := a.running().ProposeIn(t.Context(), before, &Sealed{Intent: 1, Group: 1})
	if err != errMoving {
		t.Errorf("a report to a cluster of the past: %v", err)
	}
}
