package metaraft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// bootCluster starts n nodes and makes them one cluster.
func (w *world) bootCluster(n int) []*simNode {
	w.t.Helper()
	nodes := w.bootMany(n)
	for _, node := range nodes[1:] {
		w.must(node.meet(nodes[0]))
	}
	w.mustBeTogether(nodes)
	return nodes
}

// leader returns the node whose MetaRaft member leads.
func (w *world) leader(nodes []*simNode) *simNode {
	w.t.Helper()
	var leader *simNode
	w.eventually("a leader", func() bool {
		for _, n := range nodes {
			if node := n.running(); node != nil {
				if a, _ := node.current(); a != nil {
					if _, self := a.raft.Leader(); self {
						leader = n
						return true
					}
				}
			}
		}
		return false
	})
	return leader
}

// other returns a node that is not one of those.
func other(nodes []*simNode, not ...*simNode) *simNode {
	for _, n := range nodes {
		taken := false
		for _, m := range not {
			taken = taken || n == m
		}
		if !taken {
			return n
		}
	}
	return nil
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error  %v\nwanted %s", err, want)
	}
}

// TestForwardOnce loses the reply of the first attempts, at the network or in
// the leader itself: the retries get the first outcome, not "busy".
func TestForwardOnce(t *testing.T) {
	w := newWorld(t, 1)
	nodes := w.bootCluster(3)
	leader := w.leader(nodes)
	follower := other(nodes, leader)
	var lost atomic.Int32
	w.setFault(func(_ *simNode, method uint8) fault {
		return fault{dropReply: method == MethodPropose && lost.Add(1) <= 3, twice: true}
	})
	ctx := t.Context()
	w.must(follower.running().AddSlots(ctx, slotRange(0, 9)))
	if lost.Load() < 3 {
		t.Fatalf("%d replies lost: the test tested nothing", lost.Load())
	}
	wantError(t, follower.running().AddSlots(ctx, slotRange(9, 9)), "ERR Slot 9 is already busy")

	var unknown atomic.Int32
	leader.replica.uncertain = func() bool { return unknown.Add(1) <= 2 }
	epoch, bumped, err := leader.running().BumpEpoch(ctx)
	if err != nil || !bumped || unknown.Load() < 3 {
		t.Errorf("BumpEpoch = %d, %v, %v after %d attempts", epoch, bumped, err, unknown.Load())
	}
	if again, bumped, _ := leader.running().BumpEpoch(ctx); bumped || again != epoch {
		t.Errorf("second BumpEpoch = %d, %v: the first was applied more than once", again, bumped)
	}
}

// TestForwardOutcomes tells apart what certainly was not done from what may
// have been.
func TestForwardOutcomes(t *testing.T) {
	w := newWorld(t, 2)
	nodes := w.bootCluster(3)
	leader := w.leader(nodes)
	follower := other(nodes, leader)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	w.setFault(func(_ *simNode, method uint8) fault { return fault{dropReply: method == MethodPropose} })
	_, err := follower.running().Propose(ctx, &Feature{Level: 1})
	if !errors.Is(err, Uncertain) {
		t.Errorf("every reply lost: %v", err)
	}
	w.setFault(func(*simNode, uint8) fault { return fault{unreachable: true} })
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = follower.running().Propose(ctx, &Feature{Level: 1})
	wantError(t, err, "CLUSTERDOWN MetaRaft has no leader")
	w.setFault(nil)

	// Without a quorum reads answer what is known, and say so.
	for _, n := range nodes {
		if n != follower {
			n.kill()
		}
	}
	if v := follower.view(); v.Quorum || len(v.Nodes) != 3 {
		t.Errorf("without a quorum: Quorum %v, %d nodes", v.Quorum, len(v.Nodes))
	}
	if err := follower.running().SaveConfig(t.Context()); err == nil {
		t.Error("SaveConfig confirmed a state without a quorum")
	}
	for _, n := range nodes {
		if n != follower {
			n.start()
		}
	}
	w.eventually("quorum again", func() bool { return follower.view().Quorum })
}

// TestForwardFollowsLeader changes the leader while changes run from all nodes:
// each is applied exactly once.
func TestForwardFollowsLeader(t *testing.T) {
	w := newWorld(t, 3)
	nodes := w.bootCluster(3)
	var wg sync.WaitGroup
	const each = 20
	stable := other(nodes, w.leader(nodes))
	for i := range each {
		wg.Go(func() {
			if err := stable.running().AddSlots(t.Context(), slotRange(uint16(i), uint16(i))); err != nil {
				t.Errorf("slot %d: %v", i, err)
			}
		})
	}
	victim := other(nodes, stable)
	victim.kill()
	wg.Wait()
	victim.start()
	w.mustBeTogether(nodes)
	if got := victim.view().Assigned(); got != each {
		t.Errorf("%d slots, want %d", got, each)
	}
}

// TestParallelAddSlots gives one slot to two nodes at once: one OK, one "busy".
func TestParallelAddSlots(t *testing.T) {
	w := newWorld(t, 4)
	nodes := w.bootCluster(3)
	for s := range uint16(20) {
		errs := make([]error, len(nodes))
		var wg sync.WaitGroup
		for i, n := range nodes {
			wg.Go(func() { errs[i] = n.running().AddSlots(t.Context(), slotRange(s, s)) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wantError(t, err, fmt.Sprintf("ERR Slot %d is already busy", s))
			}
		}
		if won != 1 {
			t.Errorf("slot %d: %d nodes got it", s, won)
		}
	}
}

// TestSequence keeps numbers in flight within what the state remembers.
func TestSequence(t *testing.T) {
	s := newSequence(sched.System)
	ctx := t.Context()
	first, _ := s.begin(ctx)
	for range originResults/2 - 1 {
		seq, err := s.begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s.end(seq)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if seq, err := s.begin(short); err == nil {
		t.Fatalf("number %d while %d is open", seq, first)
	}
	s.end(first)
	if _, err := s.begin(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestDelSlots(t *testing.T) {
	w := newWorld(t, 5)
	nodes := w.bootCluster(3)
	ctx := t.Context()
	w.must(nodes[1].running().AddSlots(ctx, slotRange(0, 9)))
	w.must(nodes[0].running().DelSlots(ctx, slotRange(0, 4)))
	if got := nodes[0].view().Assigned(); got != 5 {
		t.Errorf("%d slots after DELSLOTS of half of ten", got)
	}
	wantError(t, nodes[0].running().DelSlots(ctx, slotRange(4, 5)), "ERR Slot 4 is already unassigned")

	nodes[1].set(func(n *simNode) { n.mute = true })
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	err := nodes[0].running().DelSlots(short, slotRange(5, 9))
	wantError(t, err, "ERR the slots' owner did not answer; nothing was changed")
	if v := nodes[0].view(); v.Assigned() != 5 || len(v.Intents) != 0 {
		t.Errorf("after the failure: %d slots, %d intents", v.Assigned(), len(v.Intents))
	}
	nodes[1].set(func(n *simNode) { n.mute = false })

	nodes[1].set(func(n *simNode) { n.keys = 1 })
	wantError(t, nodes[1].running().FlushSlots(ctx), "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
	nodes[1].set(func(n *simNode) { n.keys = 0 })
	w.must(nodes[1].running().FlushSlots(ctx))
	w.must(nodes[1].running().FlushSlots(ctx))
	if got := nodes[0].view().Assigned(); got != 0 {
		t.Errorf("%d slots after FLUSHSLOTS", got)
	}
}

// TestAbandonedIntent leaves an intent behind: the MetaRaft leader cancels it.
func TestAbandonedIntent(t *testing.T) {
	w := newWorld(t, 6)
	nodes := []*simNode{w.boot(0)}
	nodes[0].kill()
	nodes[0].mute = true
	nodes[0].tweak = func(o *Options) { o.CommandTimeout = 100 * time.Millisecond; o.NodeTimeout = 100 * time.Millisecond }
	nodes[0].start()
	ctx := t.Context()
	w.must(nodes[0].running().AddSlots(ctx, slotRange(0, 9)))
	_, err := nodes[0].running().Propose(ctx, &DelSlots{Slots: Slots{slotRange(0, 9)}})
	w.must(err)
	w.eventually("the intent is cancelled", func() bool { return len(nodes[0].running().Current().Intents) == 0 })
	if got := nodes[0].view().Assigned(); got != 10 {
		t.Errorf("%d slots, want all 10 back", got)
	}
}

func TestReplicateTexts(t *testing.T) {
	w := newWorld(t, 7)
	nodes := w.bootCluster(3)
	id := func(i int) topology.NodeID { return nodes[i].Identity().Node }
	ctx := t.Context()
	w.must(nodes[0].running().AddSlots(ctx, slotRange(0, 9)))
	w.must(nodes[1].running().Replicate(ctx, id(0)))
	w.must(nodes[1].running().Replicate(ctx, id(0)))
	wantError(t, nodes[2].running().Replicate(ctx, 77), "ERR Unknown node "+topology.NodeID(77).String())
	wantError(t, nodes[2].running().Replicate(ctx, id(2)), "ERR Can't replicate myself")
	wantError(t, nodes[2].running().Replicate(ctx, id(1)), "ERR I can only replicate a master, not a replica.")
	wantError(t, nodes[0].running().Replicate(ctx, id(2)), "ERR To set a master the node must be empty and without assigned slots.")
	wantError(t, forget(ctx, nodes[1].running(), id(0)), "ERR Can't forget my master!")
	wantError(t, forget(ctx, nodes[1].running(), id(1)), "ERR I tried hard but I can't forget myself...")
	wantError(t, forget(ctx, nodes[1].running(), 77), "ERR Unknown node "+topology.NodeID(77).String())
	wantError(t, nodes[2].running().SetConfigEpoch(ctx, 9),
		"ERR The user can assign a config epoch only when the node does not know any other node.")

	// A master without slots that still holds keys of them.
	w.must(nodes[2].running().AddSlots(ctx, slotRange(10, 10)))
	w.must(nodes[2].running().DelSlots(ctx, slotRange(10, 10)))
	nodes[2].set(func(n *simNode) { n.keys = 3 })
	wantError(t, nodes[2].running().Replicate(ctx, id(0)), "ERR To set a master the node must be empty and without assigned slots.")
	wantError(t, nodes[2].running().Reset(ctx, true), "ERR CLUSTER RESET can't be called with master nodes containing keys")
}

// TestResetAll resets six nodes one after the other, as scripts do, and builds
// the cluster again.
func TestResetAll(t *testing.T) {
	for _, hard := range []bool{false, true} {
		w := newWorld(t, 8)
		nodes := w.bootCluster(6)
		for _, n := range nodes { // a busy machine is slow, but gets there
			n.kill()
			n.tweak = func(o *Options) { o.LeaveTimeout = 30 * time.Second }
			n.start()
		}
		w.own(nodes)
		for i := range 3 {
			w.must(nodes[3+i].running().Replicate(t.Context(), nodes[i].Identity().Node))
			nodes[3+i].set(func(n *simNode) { n.keys = 5 }) // a replica's data goes with it
		}
		// Replicas first: one whose master is gone is a master itself.
		for i := range nodes {
			n := nodes[len(nodes)-1-i]
			before := n.Identity()
			w.must(n.running().Reset(t.Context(), hard))
			after := n.Identity()
			if v := n.view(); len(v.Nodes) != 1 || v.Assigned() != 0 || !v.Quorum {
				t.Errorf("after RESET: %d nodes, %d slots", len(v.Nodes), v.Assigned())
			}
			if (before.Node != after.Node) != hard || before.Cluster == after.Cluster {
				t.Errorf("hard %v: identity %+v → %+v", hard, before, after)
			}
		}
		// The last one of a cluster leaves nobody behind, so no step had to wait
		// for its timeout.
		if n := w.unconfirmed.Load(); n != 0 {
			t.Errorf("%d of six resets waited for their timeout", n)
		}
		lone := nodes[0].Identity()
		w.must(nodes[0].running().Reset(t.Context(), false))
		if nodes[0].Identity().Cluster != lone.Cluster {
			t.Error("a soft reset of a pristine node changed it")
		}
		for _, n := range nodes[1:] {
			w.must(n.meet(nodes[0]))
		}
		w.own(nodes)
		w.mustBeTogether(nodes)
	}
}

// TestResetAlone resets a node whose cluster has no quorum; when the others
// come back, a meet replaces its old membership.
func TestResetAlone(t *testing.T) {
	w := newWorld(t, 9)
	nodes := w.bootCluster(3)
	nodes[0].kill()
	nodes[1].kill()
	w.must(nodes[2].running().Reset(t.Context(), false))
	if v := nodes[2].view(); len(v.Nodes) != 1 || !v.Quorum {
		t.Fatalf("after RESET: %d nodes", len(v.Nodes))
	}
	nodes[0].start()
	nodes[1].start()
	w.must(nodes[2].meet(nodes[0]))
	w.mustBeTogether(nodes)
}

// forget is Forget without force, which has nothing to warn of.
func forget(ctx context.Context, n *Node, id topology.NodeID) error {
	_, err := n.Forget(ctx, id, false)
	return err
}

// TestForget forgets nodes that run, that are down, and the leader itself; each
// learns it and becomes lone.
func TestForget(t *testing.T) {
	w := newWorld(t, 10)
	nodes := w.bootCluster(6)
	ctx := t.Context()
	down := other(nodes, w.leader(nodes))
	down.kill()
	leader := w.leader(nodes)
	running := other(nodes, down, leader)
	asker := other(nodes, down, leader, running)
	second := other(nodes, down, leader, running, asker)
	for _, victim := range []*simNode{down, running, leader} {
		id := victim.Identity().Node
		w.must(forget(ctx, asker.running(), id))
		w.must(forget(ctx, second.running(), id))
		if asker.view().Node(id) != nil || second.view().Node(id) != nil {
			t.Error("a forgotten node is shown")
		}
	}
	down.start()
	for _, victim := range []*simNode{down, running, leader} {
		w.eventually("the forgotten node is lone", func() bool {
			info := victim.running().Info()
			return info.Staying && info.Nodes == 1 && info.Cluster != asker.Identity().Cluster
		})
		w.must(victim.meet(second))
	}
	w.mustBeTogether(nodes)
}

// TestLastOfDeadCluster leaves a node behind in a cluster that cannot come
// back: all its voters went elsewhere while it was down.
func TestLastOfDeadCluster(t *testing.T) {
	w := newWorld(t, 11)
	nodes := w.bootCluster(4)
	last := other(nodes, w.leader(nodes))
	last.kill()
	for _, n := range nodes {
		if n != last {
			n.kill() // so that nobody can leave in order, and nobody remembers
			n.mu.Lock()
			n.id = Identity{Node: n.id.Node, Cluster: w.random(), MetaID: 1}
			n.mu.Unlock()
			n.start()
		}
	}
	last.start()
	w.eventually("the last one is lone", func() bool {
		info := last.running().Info()
		return info.Staying && info.Nodes == 1
	})
}

// TestAddressChange restarts a node that announces another address.
func TestAddressChange(t *testing.T) {
	w := newWorld(t, 12)
	nodes := w.bootCluster(3)
	nodes[1].kill()
	nodes[1].addr.Host = "10.1.1.1"
	nodes[1].start()
	w.eventually("the new address is known", func() bool {
		return nodes[2].view().Node(nodes[1].Identity().Node).Address.Host == "10.1.1.1"
	})
}
