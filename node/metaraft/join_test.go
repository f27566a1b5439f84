package metaraft

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crashAt makes the node crash at a step of its next join; crashed is closed
// when it has got there.
func (n *simNode) crashAt(step string) (crashed chan struct{}) {
	crashed = make(chan struct{})
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.node
	n.steps = func(s string) error {
		if s != step {
			return nil
		}
		close(crashed)
		<-node.life.Done()
		return fmt.Errorf("crashed at %s", s)
	}
	return crashed
}

func (n *simNode) noCrash() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steps = nil
}

// TestCrashInJoin crashes the joiner after each of its durable steps and the
// target during each of its calls; the restarted node ends up where the meet
// wanted it, with its slots, without being told again.
func TestCrashInJoin(t *testing.T) {
	for _, step := range []string{"frozen", "answered", "adopted"} {
		t.Run("joiner "+step, func(t *testing.T) {
			w := newWorld(t, 3)
			a, b := w.bootAs(1, 1), w.bootAs(2, 2)
			w.must(b.running().AddSlots(t.Context(), slotRange(5, 7)))
			crashed := b.crashAt(step)
			failed := make(chan error, 1)
			go func() { failed <- b.meet(a) }()
			<-crashed
			b.kill()
			if err := <-failed; err == nil && step != "adopted" {
				t.Error("the interrupted meet answered OK")
			}
			b.noCrash()
			b.start()
			w.mustBeTogether([]*simNode{a, b})
			if got := a.view().Assigned(); got != 3 {
				t.Errorf("%d slots assigned, want 3", got)
			}
		})
	}
	t.Run("refusal is not lost", func(t *testing.T) {
		w := newWorld(t, 3)
		a, b := w.bootAs(1, 1), w.bootAs(2, 2)
		w.must(a.running().AddSlots(t.Context(), slotRange(5, 7)))
		w.must(b.running().AddSlots(t.Context(), slotRange(5, 7)))
		crashed := b.crashAt("answered")
		go func() { _ = b.meet(a) }()
		<-crashed
		b.kill()
		b.noCrash()
		b.start()
		w.eventually("b unfrozen", func() bool { return b.running().Info().Staying })
		if got := len(b.view().Nodes); got != 1 {
			t.Errorf("%d nodes", got)
		}
	})
	t.Run("target down while the joiner is frozen", func(t *testing.T) {
		w := newWorld(t, 3)
		a, b := w.bootAs(1, 1), w.bootAs(2, 2)
		crashed := b.crashAt("frozen")
		go func() { _ = b.meet(a) }()
		<-crashed
		a.kill()
		b.kill()
		b.noCrash()
		b.start()
		w.eventually("b frozen again", func() bool { return b.running().Info().Joining != "" })
		_, err := b.running().Propose(t.Context(), &BumpEpoch{Node: b.Identity().Node})
		if err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN ") {
			t.Errorf("change while frozen: %v", err)
		}
		a.start()
		w.mustBeTogether([]*simNode{a, b})
	})
}

// TestLostReplies loses requests and replies of every method now and then, and
// delivers some twice.
func TestLostReplies(t *testing.T) {
	for seed := range uint64(8) {
		w := newWorld(t, seed)
		nodes := w.bootMany(4)
		w.loseSome(8)
		var wg sync.WaitGroup
		for i, n := range nodes[1:] {
			wg.Go(func() {
				for try := 0; n.meet(nodes[i]) != nil && try < 5; try++ {
					t.Log("retry")
				}
			})
		}
		wg.Wait()
		w.mustBeTogether(nodes)
	}
}

// TestTargetGoesAway freezes a joiner for a target that then joins somebody
// else: the joiner must not stay frozen.
func TestTargetGoesAway(t *testing.T) {
	w := newWorld(t, 4)
	a, b, c := w.bootAs(1, 1), w.bootAs(2, 2), w.bootAs(3, 3)
	w.must(c.running().AddSlots(t.Context(), slotRange(0, 9)))
	crashed := c.crashAt("frozen")
	go func() { _ = c.meet(b) }()
	<-crashed
	c.kill()
	w.must(b.meet(a))
	c.noCrash()
	c.start()
	w.eventually("c unfrozen", func() bool { return c.running().Info().Staying })
	w.must(c.meet(b))
	w.mustBeTogether([]*simNode{a, b, c})
	if got := a.view().Assigned(); got != 10 {
		t.Errorf("%d slots, want 10", got)
	}
}

// TestTargetResets resets the target of a frozen joiner that owns slots, and so
// the only one who could have admitted it.
func TestTargetResets(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.bootAs(1, 1), w.bootAs(2, 2)
	w.must(b.running().AddSlots(t.Context(), slotRange(0, 9)))
	var cut atomic.Bool
	cut.Store(true)
	w.setFault(func(_ *simNode, method uint8) fault { return fault{unreachable: method == MethodJoin && cut.Load()} })
	met := make(chan error, 1)
	go func() { met <- b.meet(a) }()
	w.eventually("b is frozen", func() bool { return b.running().Info().Joining != "" })
	w.must(a.running().Reset(t.Context(), true))
	cut.Store(false)
	w.must(<-met)
	w.mustBeTogether([]*simNode{a, b})
	if got := a.view().Assigned(); got != 10 {
		t.Errorf("%d slots, want 10", got)
	}
}

// TestMeetMembersThatAreDown meets a member again while it is down.
func TestMeetMembersThatAreDown(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.boot(1), w.boot(2)
	w.must(a.meet(b))
	down, up := a, b
	if w.leader([]*simNode{a, b}) == a {
		down, up = b, a
	}
	down.kill()
	w.must(up.meet(down))
}

// TestMeetTimeout meets a node that answers, and then does not: the error names
// the phase, and the join goes on.
func TestMeetTimeout(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.bootAs(1, 1), w.bootAs(2, 2)
	var cut atomic.Bool
	cut.Store(true)
	w.setFault(func(_ *simNode, method uint8) fault { return fault{dropRequest: method == MethodJoin && cut.Load()} })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := b.running().Meet(ctx, "127.0.0.1", 7001, 0)
	wantError(t, err, "UNCERTAIN the meeting with 127.0.0.1:7001 did not finish in time: this node is joining 127.0.0.1:50001: "+
		"waiting for the answer of the cluster there (CLUSTER RESET ends the join); what has begun goes on in the background")
	cut.Store(false)
	w.mustBeTogether([]*simNode{a, b})
}

// TestResetEscapes resets a node that is frozen for a target nobody reaches.
func TestResetEscapes(t *testing.T) {
	for _, hard := range []bool{false, true} {
		w := newWorld(t, 5)
		a, b := w.bootAs(1, 1), w.bootAs(2, 2)
		crashed := b.crashAt("frozen")
		go func() { _ = b.meet(a) }()
		<-crashed
		a.kill()
		b.kill()
		b.noCrash()
		b.start()
		w.eventually("b frozen again", func() bool { return b.running().Info().Joining != "" })
		before := b.Identity()
		w.must(b.running().Reset(t.Context(), hard))
		after := b.Identity()
		if after.Cluster == before.Cluster || (after.Node != before.Node) != hard {
			t.Errorf("hard %v: identity %+v → %+v", hard, before, after)
		}
		a.start()
		w.must(a.meet(b))
		w.mustBeTogether([]*simNode{a, b})
	}
}

// TestResetFreesAMasterWithKeys: the target of a join is gone for good. RESET of a
// master with keys is refused as ever, but ends the join: its slots can be changed
// again, and it can be met.
func TestResetFreesAMasterWithKeys(t *testing.T) {
	w := newWorld(t, 5)
	a, b := w.bootAs(1, 1), w.bootAs(2, 2)
	w.must(b.running().AddSlots(t.Context(), slotRange(0, 9)))
	crashed := b.crashAt("frozen")
	go func() { _ = b.meet(a) }()
	<-crashed
	a.kill()
	b.kill()
	b.noCrash()
	b.start()
	b.set(func(n *simNode) { n.keys = 3 })
	w.eventually("b frozen again", func() bool { return b.running().Info().Joining != "" })
	if v := b.view(); v.Joining != a.addr.Raft {
		t.Errorf("the view of a frozen node says that it joins %q", v.Joining)
	}
	wantError(t, b.running().DelSlots(t.Context(), slotRange(5, 5)), "TRYAGAIN the node is joining another cluster; if that one is gone for good, CLUSTER RESET ends the join")
	wantError(t, b.running().Reset(t.Context(), false), "ERR CLUSTER RESET can't be called with master nodes containing keys")
	w.must(b.running().DelSlots(t.Context(), slotRange(5, 5)))
	if v := b.view(); v.Assigned() != 9 || v.Joining != "" {
		t.Errorf("%d slots are assigned, want 9; joining %q", v.Assigned(), v.Joining)
	}
	c := w.bootAs(3, 3)
	w.must(c.meet(b))
	w.mustBeTogether([]*simNode{b, c})
}

// TestResetWithdrawsJoin resets a joiner whose admission was committed but
// never answered: the target must not keep a phantom.
func TestResetWithdrawsJoin(t *testing.T) {
	w := newWorld(t, 6)
	a, b := w.bootAs(1, 1), w.bootAs(2, 2)
	w.setFault(func(_ *simNode, method uint8) fault { return fault{dropReply: method == MethodJoin} })
	met := make(chan error, 1)
	go func() { met <- b.meet(a) }()
	w.eventually("a has admitted b", func() bool { return a.running().Info().Nodes == 2 })
	w.must(b.running().Reset(t.Context(), true))
	wantError(t, <-met, "UNCERTAIN CLUSTER RESET ended the join")
	w.eventually("a has dropped b", func() bool { return a.running().Info().Nodes == 1 })
}
