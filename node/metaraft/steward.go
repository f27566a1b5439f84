package metaraft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// duty runs fn in the background, unless one of that name is running already.
func (n *Node) duty(name string, fn func(ctx context.Context)) {
	n.mu.Lock()
	_, running := n.duties[name]
	if !running {
		n.duties[name] = struct{}{}
	}
	n.mu.Unlock()
	if running {
		return
	}
	end := func() {
		n.mu.Lock()
		delete(n.duties, name)
		n.mu.Unlock()
	}
	if !n.spawn(name, func(ctx context.Context) { defer end(); fn(ctx) }) {
		end()
	}
}

// stewardInterval is how often the steward looks without a reason: a duty that
// failed is taken up again then.
const stewardInterval = 500 * time.Millisecond

// steward does what follows from the node's durable state, whoever brought it
// about and however often the process was restarted in between: it founds a new
// cluster, resumes a join, follows a dissolution, ends a membership, announces
// a changed address. It looks after every change of the state, until ctx ends.
func (n *Node) steward(ctx context.Context) {
	w := n.sched.Waiter()
	defer w.Stop()
	for {
		a, changed := n.current()
		var watch <-chan struct{}
		if a != nil {
			watch = a.machine.Watch()
			n.attend(a)
		}
		if w.Wait(sched.Next(n.sched, stewardInterval), ctx.Done(), watch, changed, n.kick) == 0 {
			return
		}
	}
}

// attend starts the duties that a calls for. Their names contain the cluster: a
// duty for a former one may still be about to notice that it is over.
func (n *Node) attend(a *attachment) {
	arrived := a.arrived.Load() // before the state: then it is older than that
	s := a.machine.State()
	me := s.Node(a.id.Node)
	ready := me != nil && me.MetaID == a.id.MetaID
	if ready {
		a.arrived.Store(true)
	}
	n.sayFarewells(a)
	duty := func(name string, fn func(ctx context.Context)) { n.duty(fmt.Sprintf("%s %d", name, a.id.Cluster), fn) }
	switch {
	case s.ClusterID == 0:
		if len(a.id.Bootstrap) == 0 {
			duty("init", func(ctx context.Context) { n.found(ctx, a) })
		}
	case !ready && arrived:
		duty("depart", func(ctx context.Context) { n.depart(ctx, a, "its removal was applied", true) })
	case !ready:
		// Still catching up; keepTime asks around if that takes too long.
	case s.Dissolved != nil:
		duty("dissolve", func(ctx context.Context) { n.followDissolve(ctx, a, s.dissolution()) })
	case s.Frozen != nil:
		n.resume(a, *s.Frozen)
	default:
		if a.id.PendingTarget != "" && s.Lone() {
			duty("pursue", func(ctx context.Context) { n.pursue(ctx, a.id.PendingTarget) })
		}
		now := n.opts.Lineage().Now()
		if me.Address != n.Address() || me.Incarnation != now && now.Start != 0 {
			duty("address", func(ctx context.Context) { n.announce(ctx, a) })
		} else if now.Start != 0 {
			n.opts.Recorded(now)
		}
	}
}

// found makes the first entry of a cluster of one.
func (n *Node) found(ctx context.Context, a *attachment) {
	_, err := n.proposeIn(ctx, a, &Init{
		ClusterID: a.id.Cluster, Node: a.id.Node, Address: n.Address(), MetaID: a.id.MetaID, Feature: n.opts.Feature,
		ConfigEpoch: a.id.ConfigEpoch, Follows: a.id.Follows, Incarnation: n.opts.Lineage().Now(),
	})
	if err == nil {
		n.log.Info("MetaRaft cluster of one founded", "cluster", a.id.Cluster, "node", a.id.Node)
	}
}

// resume takes up a join that was interrupted after its freeze.
func (n *Node) resume(a *attachment, f Freeze) {
	select {
	case <-n.mayMove:
	default:
		return // the join is running; its end wakes the steward
	}
	now := a.machine.State().Frozen
	if current, _ := n.current(); current != a || now == nil || now.Token != f.Token {
		n.endMove()
		return
	}
	n.log.Info("MetaRaft resumes a join", "target", f.TargetAddr, "token", f.Token)
	_ = n.launch(&join{token: f.Token, target: f.TargetAddr, cluster: f.TargetCluster, others: f.Others})
}

// pursue brings a former member of a dissolved cluster to where the others go.
func (n *Node) pursue(ctx context.Context, target string) {
	bounded, cancel := n.within(ctx, n.opts.MeetTimeout)
	defer cancel()
	err := n.unite(bounded, target, target)
	if err != nil && ctx.Err() == nil {
		n.log.Warn("MetaRaft can't reach the cluster that its own one dissolved for", "target", target, "error", err)
		sched.Sleep(ctx, n.sched, time.Second)
	}
}

// announce records the address and the incarnation that this node has now.
func (n *Node) announce(ctx context.Context, a *attachment) {
	bounded, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	_, err := n.proposeIn(bounded, a, &SetAddress{Node: a.id.Node, Address: n.Address(), Lineage: n.opts.Lineage()})
	if err != nil && !errors.Is(err, context.Canceled) {
		n.log.Warn("MetaRaft does not take this node's address", "node", a.id.Node, "error", err)
		sched.Sleep(ctx, n.sched, time.Second)
		return
	}
	n.log.Info("MetaRaft address announced", "node", a.id.Node, "address", n.opts.Address.Raft)
}
