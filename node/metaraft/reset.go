package metaraft

import (
	"context"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// Reset makes this node a lone, empty cluster; hard also gives it a new id. It
// is refused on a master that holds keys. The node leaves its cluster in order
// if that is possible within the leave timeout, and alone otherwise: nothing of
// its old membership can come back, since cluster and Raft ids are new, and it
// tells the others as soon as they can record it (Farewell).
func (n *Node) Reset(ctx context.Context, hard bool) error {
	if a, _ := n.current(); a == nil || a.machine.State().Frozen == nil {
		if err := n.mayDrop(ctx); err != nil {
			return err
		}
	}
	if err := n.interruptMove(ctx); err != nil {
		return Error("ERR another change of this node's membership is under way: it is " + n.whereabouts())
	}
	defer n.endMove()
	a := n.awaitBegun(ctx)
	if a == nil {
		return errNoLeader
	}
	f := a.machine.State().Frozen
	if f != nil {
		if err := n.cancelJoin(ctx, a, f); err != nil {
			return err
		}
		if err := n.mayDrop(ctx); err != nil {
			return err // but it is free again
		}
	}
	if !hard && f == nil && pristine(a) { // whoever was about to join may be a member there
		return nil
	}
	if err := n.closeImports(ctx, a); err != nil {
		return err
	}
	if err := n.awaitDispensable(ctx, a); err != nil {
		return err
	}
	if err := n.giveUpSlots(ctx, a); err != nil {
		return err
	}
	// gofail: var resetWithoutSlots struct{}
	alone, err := n.leave(ctx, a)
	if err != nil {
		return err
	}
	with := Beginning{Farewells: n.unsaid(a)}
	if alone {
		with.Farewells = append(with.Farewells, Farewell{
			Cluster: a.id.Cluster, Node: a.id.Node, MetaID: a.id.MetaID, Lineage: n.opts.Lineage(), Members: n.others(),
		})
	}
	// gofail: var resetLeft struct{}
	n.log.Info("MetaRaft reset", "node", a.id.Node, "hard", hard)
	// From here on not bounded by the client: the step is atomic.
	if err := n.opts.Home.BecomeLone(n.life, hard, with); err != nil {
		return Error("UNCERTAIN CLUSTER RESET failed halfway: " + oneLine(err))
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.await(ctx, (*attachment).ready); err != nil {
		return Error("UNCERTAIN the node was reset, but its new cluster of one has not started yet")
	}
	return nil
}

// awaitBegun returns the present attachment, nil before the first one. A cluster of one
// that has just been made, such as that of a node which was forgotten, has its first entry
// in a moment, and only then knows itself; what is still being received may take longer.
func (n *Node) awaitBegun(ctx context.Context) *attachment {
	ctx, cancel := n.within(ctx, n.opts.LeaveTimeout/2)
	defer cancel()
	_, _ = n.await(ctx, func(a *attachment) bool { return a.machine.State().ClusterID != 0 })
	a, _ := n.current()
	return a
}

// cancelJoin ends a join that was interrupted, so that the node can be changed again,
// whether or not it holds keys. Where the target does not answer in time, it may
// have admitted the node: that member is then to be forgotten there.
func (n *Node) cancelJoin(ctx context.Context, a *attachment, f *Freeze) error {
	bounded, cancel := n.within(ctx, n.opts.LeaveTimeout)
	defer cancel()
	if !n.withdraw(bounded, a, f) {
		n.log.Warn("MetaRaft can't withdraw a join; if its target admitted this node, forget it there", "target", f.TargetAddr, "node", a.id.Node)
	}
	ctx, stop := n.within(ctx, n.opts.CommandTimeout)
	defer stop()
	_, err := n.proposeIn(ctx, a, &Unfreeze{Token: f.Token})
	return err
}

// withdraw makes sure that the target of a join does not admit a node that is no
// more, or does not keep it. It reports false if nobody there can say so in time.
func (n *Node) withdraw(ctx context.Context, a *attachment, f *Freeze) bool {
	request := burnRequest{Cluster: f.TargetCluster, Token: f.Token, Node: a.id.Node}
	members := slices.Concat([]string{f.TargetAddr}, f.Others)
	retry := n.backoff(5*time.Millisecond, 100*time.Millisecond)
	for {
		gone := 0
		for _, addr := range members {
			call, cancel := n.within(ctx, n.opts.CallTimeout)
			reply, err := ask[joinReply](call, n.opts.Peers, addr, MethodBurn, request)
			cancel()
			switch {
			case err == nil && (reply.Ended || reply.Admit != nil):
				return true
			case err == nil && reply.Elsewhere:
				gone++
			case ctx.Err() != nil:
				return false
			}
		}
		if gone == len(members) {
			return true
		}
		if !retry.wait(ctx) {
			return false
		}
	}
}

const errHoldsKeys = Error("ERR CLUSTER RESET can't be called with master nodes containing keys")

// mayDrop refuses a reset where a master's keys would be lost.
func (n *Node) mayDrop(ctx context.Context) error {
	if me := n.Current().Me(); me.Shard == nil || me.Replica() {
		return nil
	}
	keys, err := n.opts.Shards.Keys(ctx)
	switch {
	case err != nil:
		return Error("ERR can't tell whether this node holds keys: " + oneLine(err))
	case keys > 0:
		return errHoldsKeys
	}
	return nil
}

// closeImports closes the slots that a node which is to be reset imports by CLUSTER
// SETSLOT, if nobody else has the shard's data, and waits until its shard says that none
// of their keys have come. See giveUpSlots.
func (n *Node) closeImports(ctx context.Context, a *attachment) error {
	s := a.machine.State()
	shard := s.ShardOf(a.id.Node)
	if shard == nil || shard.data() > 1 || !staying(s) {
		return nil
	}
	open := s.marksOf(shard.ID, topology.Importing)
	if open.Empty() {
		return nil
	}
	bounded, cancel := n.within(ctx, n.opts.LeaveTimeout/2)
	defer cancel()
	if _, err := n.proposeIn(bounded, a, &SetSlot{Node: a.id.Node, Slots: Slots{open}, Action: SetStable}); err == nil {
		_, err = n.await(bounded, func(b *attachment) bool { return b != a || !a.machine.State().holdsResidue(shard.ID) })
		if err == nil {
			return nil
		}
	}
	return n.mayDrop(ctx)
}

// giveUpSlots takes the slots from a node that is to be reset, if nobody else has
// the shard's data: no write may be acknowledged between the look at its keys
// and their loss. Where MetaRaft or the shard cannot do that in time, the look is
// repeated, and all that is known.
func (n *Node) giveUpSlots(ctx context.Context, a *attachment) error {
	s := a.machine.State()
	shard := s.ShardOf(a.id.Node)
	if shard == nil || shard.data() > 1 || !staying(s) {
		return nil
	}
	bounded, cancel := n.within(ctx, n.opts.LeaveTimeout/2)
	defer cancel()
	switch err := n.delSlotsIn(bounded, a, &DelSlots{Node: a.id.Node, Empty: true}); err {
	case nil:
		return nil
	case errNotEmpty:
		return errHoldsKeys
	}
	return n.mayDrop(ctx)
}

// awaitDispensable returns nil once no shard needs this node any more, as far as is
// known here: neither as the last that has the data nor for its majority. What
// does not pass by itself is refused at once. The last word is that of MetaRaft.
func (n *Node) awaitDispensable(ctx context.Context, a *attachment) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	var g *guarded
	_, _ = n.await(ctx, func(b *attachment) bool {
		g = a.needed()
		return b != a || g == nil || !g.passing
	})
	if g != nil {
		return Error(g.text)
	}
	return nil
}

// needed returns why the node may not leave its cluster, nil if it may.
func (a *attachment) needed() *guarded {
	if s := a.machine.State(); a.ready() && staying(s) && !s.Lone() {
		return s.mayRemove(a.id.Node, true)
	}
	return nil
}

// pristine reports whether a soft reset has nothing to do.
func pristine(a *attachment) bool {
	if !a.ready() || a.id.PendingTarget != "" {
		return false
	}
	s := a.machine.State()
	return s.Lone() && len(s.Shards) == 0 && len(s.Residue) == 0 && len(s.Tombstones) == 0 && s.Nodes[0].Follows == 0 && staying(s)
}
