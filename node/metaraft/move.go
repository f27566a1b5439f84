package metaraft

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// beginMove takes the right to move the node to another cluster, or fails with ctx.
func (n *Node) beginMove(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch sched.Wait(n.sched, time.Time{}, n.mayMove, ctx.Done(), n.life.Done()) {
	case 1:
		return ctx.Err()
	case 2:
		return context.Canceled
	}
	return nil
}

// interruptMove is beginMove for a reset, which stops a running join where it is. Such a
// join does not end by itself while its target is unreachable, and the steward
// may resume it at once, so this goes on until it gets the right.
func (n *Node) interruptMove(ctx context.Context) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	for {
		n.mu.Lock()
		j := n.join
		n.mu.Unlock()
		if j != nil {
			j.cancel()
		}
		try, stop := n.within(ctx, 20*time.Millisecond)
		err := n.beginMove(try)
		stop()
		if err == nil || ctx.Err() != nil || n.life.Err() != nil {
			return err
		}
	}
}

// endMove gives the right back.
func (n *Node) endMove() { n.mayMove <- struct{}{} }

// staying reports whether the nodes of the cluster stay in it: it is neither frozen
// nor dissolved.
func staying(s *State) bool { return s.Frozen == nil && s.Dissolved == nil }

// awaitStay returns when the node is not moving to another cluster.
func (n *Node) awaitStay(ctx context.Context) error {
	_, err := n.await(ctx, func(a *attachment) bool { return a.ready() && staying(a.machine.State()) })
	return err
}

// whereabouts says what this node is doing about its membership.
func (n *Node) whereabouts() string {
	n.mu.Lock()
	j := n.join
	n.mu.Unlock()
	if j != nil {
		return j.where()
	}
	a, _ := n.current()
	if a == nil || !a.ready() {
		return "waiting for the state of its cluster"
	}
	switch s := a.machine.State(); {
	case s.Frozen != nil:
		return "frozen for joining " + s.Frozen.TargetAddr
	case s.Dissolved != nil:
		return "leaving its dissolved cluster for " + s.Dissolved.TargetAddr
	}
	return "staying in its cluster"
}
