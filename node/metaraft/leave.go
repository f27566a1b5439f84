package metaraft

import (
	"context"
	"time"
)

// leave takes the node out of its cluster in order, as far as that is possible
// within the leave timeout. alone means that the others may not know that it left; an
// error that it may not leave.
func (n *Node) leave(ctx context.Context, a *attachment) (alone bool, err error) {
	ctx, cancel := n.within(ctx, n.opts.LeaveTimeout)
	defer cancel()
	s := a.machine.State()
	if s.Dissolved != nil || a.ready() && s.Lone() {
		return false, nil
	}
	peers := n.others()
	// The group may drop this member before it hears that the entry is
	// committed, so there is no waiting for it here.
	outcome, err := n.submit(ctx, a, &Leave{Node: a.id.Node, MetaID: a.id.MetaID})
	switch {
	case err == errLastNode: // it has been alone all along
		return false, nil
	case outcome.Error != "":
		return false, err
	case err != nil:
		n.log.Warn("MetaRaft can't leave in order, so the node leaves alone and tells the others later", "error", err)
		return true, nil
	}
	if !n.awaitDeparted(ctx, a, peers) {
		n.log.Warn("MetaRaft left, but its voters have not confirmed that they go on without this node")
	}
	return false, nil
}

// awaitDeparted returns true once the MetaRaft leader confirms that its group's
// configuration, and those of the shards, are rid of this node: only then does
// its vanishing cost the others nothing, even if it was a voter or the leader
// itself.
func (n *Node) awaitDeparted(ctx context.Context, a *attachment, peers []string) bool {
	request := departedRequest{Cluster: a.id.Cluster, MetaID: a.id.MetaID, Node: a.id.Node}
	n.opts.Shards.HandOff(ctx) // whoever stays has to make the changes
	retry := n.backoff(2*time.Millisecond, 50*time.Millisecond)
	for {
		if _, self := a.raft.Leader(); !self {
			for _, addr := range peers {
				call, cancel := n.within(ctx, n.opts.CallTimeout)
				reply, err := ask[departedReply](call, n.opts.Peers, addr, MethodDeparted, request)
				cancel()
				if err == nil && reply.Departed {
					return true
				}
				if ctx.Err() != nil {
					return false
				}
			}
		}
		if !retry.wait(ctx) {
			return false
		}
	}
}

// serveDeparted answers for the MetaRaft leader whether a member is gone.
func (n *Node) serveDeparted(_ context.Context, request departedRequest) departedReply {
	a, _ := n.current()
	if a == nil || a.id.Cluster != request.Cluster {
		return departedReply{}
	}
	if _, self := a.raft.Leader(); !self {
		return departedReply{}
	}
	progress := a.raft.Progress()
	for _, m := range progress {
		if m.MetaID == request.MetaID {
			return departedReply{}
		}
	}
	for _, m := range a.machine.State().MetaMembers() {
		if m.MetaID == request.MetaID {
			return departedReply{}
		}
	}
	for _, shard := range a.machine.State().Shards {
		for _, m := range shard.Leaving {
			if m.Node == request.Node {
				return departedReply{}
			}
		}
	}
	return departedReply{Departed: len(progress) > 0}
}

// depart makes a node lone whose membership ended. With wait, its former
// fellows get the time to go on without it.
func (n *Node) depart(ctx context.Context, a *attachment, why string, wait bool) {
	if n.beginMove(ctx) != nil {
		return
	}
	defer n.endMove()
	if current, _ := n.current(); current != a {
		return // it went somewhere else already
	}
	n.log.Warn("MetaRaft membership ended: the node becomes a lone, empty cluster", "cluster", a.id.Cluster, "reason", why)
	if wait {
		bounded, cancel := n.within(ctx, n.opts.LeaveTimeout)
		n.awaitDeparted(bounded, a, n.others())
		cancel()
	}
	if ctx.Err() != nil {
		return
	}
	if err := n.opts.Home.BecomeLone(n.life, false, Beginning{Farewells: n.unsaid(a)}); err != nil {
		n.log.Error("MetaRaft can't become lone", "error", err)
	}
}
