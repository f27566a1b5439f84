package metaraft

import (
	"context"
	"fmt"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// The topology operations below behave alike: nil means done and visible on
// this node, and an Error carries the exact text for the client. Each is
// bounded by ctx and the command timeout.

// AddSlots gives unassigned slots to this node's shard, and returns when the
// shard's member here has taken them up, or they have gone elsewhere since.
func (n *Node) AddSlots(ctx context.Context, slots slot.Set) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return errNoLeader
	}
	// gofail: var slotsAdd struct{}
	change := &AddSlots{Node: a.id.Node, Slots: Slots{slots}, NewGroup: topology.GroupID(n.token())}
	outcome, err := n.patientlyIn(ctx, a, change, refusalOf(change))
	if err != nil || slots.Empty() {
		return err
	}
	// gofail: var slotsAdded struct{}
	if err := n.awaitTaken(ctx, a, slots, outcome.Epoch); err != nil {
		return Error("UNCERTAIN the slots are assigned to this node, but its shard has not taken them up yet: " + oneLine(err))
	}
	return nil
}

// awaitTaken returns once this node's member has taken up the slots that it was
// given in a's cluster under epoch. Those that were taken away again are not waited for.
func (n *Node) awaitTaken(ctx context.Context, a *attachment, slots slot.Set, epoch uint64) error {
	given := func(b *attachment) (shard topology.GroupID, left slot.Set) {
		v := a.view()
		me := v.Me()
		if b != a || me == nil || me.Shard == nil {
			return 0, left
		}
		for s := range slots.All {
			if v.Owner[s] == me.Shard && v.SlotEpoch[s] == epoch {
				left.Add(s)
			}
		}
		return me.Shard.ID, left
	}
	for {
		current, _ := n.current()
		shard, left := given(current)
		if left.Empty() {
			return nil
		}
		taking, stop := context.WithCancel(ctx)
		watch := sched.NewGroup(n.sched)
		watch.Go("watch the slots", func() {
			defer stop()
			_, _ = n.await(taking, func(b *attachment) bool {
				_, now := given(b)
				return now != left
			})
		})
		err := n.opts.Shards.AwaitOwned(taking, shard, left, epoch)
		stop()
		watch.Wait()
		if err == nil || ctx.Err() != nil || n.life.Err() != nil {
			return err
		}
	}
}

// DelSlots takes the slots from whoever owns them. It returns when their owners
// have sealed them; when an owner does not answer, nothing is changed.
func (n *Node) DelSlots(ctx context.Context, slots slot.Set) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return errNoLeader
	}
	return n.delSlotsIn(ctx, a, &DelSlots{Slots: Slots{slots}})
}

// FlushSlots takes all slots from this node, which must not hold keys.
func (n *Node) FlushSlots(ctx context.Context) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	keys, err := n.opts.Shards.Keys(ctx)
	if err != nil {
		return Error("ERR can't tell whether the DB is empty: " + oneLine(err))
	}
	if keys > 0 {
		return errNotEmpty
	}
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return errNoLeader
	}
	// There may be keys by now: the seals will tell.
	return n.delSlotsIn(ctx, a, &DelSlots{Node: a.id.Node, Empty: true})
}

// delSlotsIn makes an intent in a's cluster and sees it through.
func (n *Node) delSlotsIn(ctx context.Context, a *attachment, change *DelSlots) error {
	// gofail: var intentPropose struct{}
	outcome, err := n.proposeIn(ctx, a, change)
	// gofail: var intentMade struct{}
	if err != nil || outcome.Intent == 0 {
		return err
	}
	return n.seeThrough(ctx, a, outcome)
}

// seeThrough waits for the end of an intent in a's cluster: for most of the time that is
// left, which ctx bounds. It keeps the rest for cancelling.
func (n *Node) seeThrough(ctx context.Context, a *attachment, outcome Outcome) error {
	deadline, _ := ctx.Deadline()
	wait, stop := n.within(ctx, deadline.Sub(n.sched.Now())*7/10)
	defer stop()
	ended, result := false, error(nil)
	_, err := n.await(wait, func(b *attachment) bool {
		if b == a && b.machine.Applied() >= outcome.Index {
			ended, result = b.machine.State().IntentResult(outcome.Intent)
		}
		return ended || b != a
	})
	// gofail: var intentAwaited struct{}
	switch {
	case ended:
		return result
	case err == nil:
		return Uncertain // this node went to another cluster
	}
	_, err = n.proposeIn(ctx, a, &CancelIntent{Intent: outcome.Intent})
	if err == errNoLeader || err == errMoving {
		return Uncertain // not cancelled: whoever leads next may still carry it out
	}
	return err
}

// Replicate makes this node a replica of master. A master with slots or keys
// refuses.
func (n *Node) Replicate(ctx context.Context, master topology.NodeID) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	v := n.View(ctx)
	me, wished := v.Me(), v.Node(master)
	// The other refusals, which come first in Redis, are made inside apply.
	if wished != nil && !wished.Replica() && master != me.ID && !me.Replica() && me.Shard != nil {
		keys, err := n.opts.Shards.Keys(ctx)
		if err != nil {
			return Error("ERR can't tell whether this node is empty: " + oneLine(err))
		}
		if keys > 0 {
			return Error("ERR To set a master the node must be empty and without assigned slots.")
		}
	}
	_, err := n.proposePatiently(ctx, &Replicate{Node: me.ID, Master: master, NewGroup: topology.GroupID(n.token())}, func(s *State) *guarded {
		if shard := s.ShardOf(me.ID); shard != nil && shard.Master != me.ID {
			return s.mayFollow(shard, me.ID)
		}
		return nil
	})
	return err
}

// SetConfigEpoch gives this node, while it is alone and has none, its config
// epoch.
func (n *Node) SetConfigEpoch(ctx context.Context, epoch uint64) error {
	_, err := n.Propose(ctx, &SetConfigEpoch{Node: n.self(), Epoch: epoch})
	return err
}

// BumpEpoch gives this node the highest config epoch; bumped is false if it had
// that already.
func (n *Node) BumpEpoch(ctx context.Context) (epoch uint64, bumped bool, err error) {
	outcome, err := n.Propose(ctx, &BumpEpoch{Node: n.self()})
	return outcome.Epoch, outcome.Bumped, err
}

// SaveConfig has nothing to do: every change is on stable storage before it is
// acknowledged. It fails when this node can't confirm what it knows.
func (n *Node) SaveConfig(ctx context.Context) error {
	if !n.View(ctx).Quorum {
		return errNoLeader
	}
	return nil
}

// MetaPromote makes the nodes voters of MetaRaft until they are forgotten. The
// warning is set when that makes the number of voters even.
func (n *Node) MetaPromote(ctx context.Context, ids []topology.NodeID) (warning string, err error) {
	outcome, err := n.Propose(ctx, &Promote{Nodes: ids})
	return outcome.Warning, err
}

// Forget removes another node from the cluster. Forgetting a node that was
// removed before is no error. What would lose a shard's last copy or its majority is
// refused, and waited for where it passes; with force it is done, and the warning
// says what is lost.
func (n *Node) Forget(ctx context.Context, id topology.NodeID, force bool) (warning string, err error) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	v := n.View(ctx)
	me := v.Me()
	switch {
	case id == me.ID:
		return "", errLastNode
	case me.Replica() && me.Shard.Master == id && !force:
		return "", Error("ERR Can't forget my master!")
	}
	outcome, err := n.proposePatiently(ctx, &Forget{Node: id, Force: force}, func(s *State) *guarded { return s.mayRemove(id, false) })
	if err != nil {
		return "", err
	}
	n.log.Info("MetaRaft forgot a node", "node", id)
	if outcome.Warning != "" {
		n.log.Warn("MetaRaft forgot a node by force", "node", id, "loss", outcome.Warning)
	}
	if node := v.Node(id); node != nil {
		n.duty(fmt.Sprintf("tell %d", id), func(ctx context.Context) {
			n.tell(ctx, []string{node.Address.Raft}, notice{Cluster: v.ClusterID})
		})
	}
	return outcome.Warning, nil
}

// proposePatiently is Propose for a change that a guard may refuse for the time
// being: such as while an earlier change of the same shard is still being carried
// out, or a copy is on its way. It proposes again as soon as the guard has nothing
// against it any more, or finds something that stays, as long as ctx has time.
func (n *Node) proposePatiently(ctx context.Context, change Change, guard func(*State) *guarded) (Outcome, error) {
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return Outcome{}, errNoLeader
	}
	return n.patientlyIn(ctx, a, change, guard)
}

// patientlyIn is proposePatiently for a change that makes sense in a's cluster only.
func (n *Node) patientlyIn(ctx context.Context, a *attachment, change Change, guard func(*State) *guarded) (Outcome, error) {
	deadline, _ := ctx.Deadline()
	wait, stop := n.within(ctx, deadline.Sub(n.sched.Now())*8/10) // the last word takes time as well
	defer stop()
	for {
		outcome, err := n.proposeIn(ctx, a, change)
		if err == nil || !outcome.Passing {
			return outcome, err
		}
		if _, late := n.await(wait, func(b *attachment) bool {
			if b != a {
				return true
			}
			if a.machine.Applied() < outcome.Index {
				return false
			}
			g := guard(a.machine.State())
			return g == nil || !g.passing
		}); late != nil {
			return outcome, err
		}
	}
}
