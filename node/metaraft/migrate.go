package metaraft

import (
	"context"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// MigrationRequest asks for a migration of slots; Target is where they are to go, for an
// export.
type MigrationRequest struct {
	Slots  slot.Set
	Target topology.NodeID
}

// StartMigration begins migrations, all or none, as the command of that face does which
// this node was sent: it is the destination of an import, the source of an export. The
// ids are in the order of the requests. What passes by itself, such as the deletion of
// what this node had of a slot before, is waited for.
func (n *Node) StartMigration(ctx context.Context, face topology.Face, requests ...MigrationRequest) ([]topology.MigrationID, error) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	change := &StartMigration{Node: n.self(), Face: face}
	var ids []topology.MigrationID
	for _, r := range requests {
		job := MigrationJob{ID: topology.MigrationID(n.token()), Slots: Slots{r.Slots}, Target: r.Target, NewGroup: topology.GroupID(n.token())}
		change.Jobs = append(change.Jobs, job)
		ids = append(ids, job.ID)
	}
	if _, err := n.proposePatiently(ctx, change, refusalOf(change)); err != nil {
		return nil, err
	}
	n.log.Info("MetaRaft began migrations", "face", face, "ids", ids)
	return ids, nil
}

// refusalOf returns a guard for a change: why it would be refused in that state.
func refusalOf(change Change) func(*State) *guarded {
	return func(s *State) *guarded {
		o := newDraft(s, s.Index, s.Clock).change(change)
		if o.Error == "" {
			return nil
		}
		return &guarded{text: o.Error, passing: o.Passing}
	}
}

// EndMigration ends this node's active migrations without effect: the one with that id,
// or all (0), as far as this node's shard has that part in it ("": any). Ended is how
// many there were.
func (n *Node) EndMigration(ctx context.Context, id topology.MigrationID, part topology.Face, state topology.MigrationState, text string) (ended int, err error) {
	outcome, err := n.Propose(ctx, &EndMigration{ID: id, Node: n.self(), Part: part, State: state, Text: text})
	return outcome.Ended, err
}

// FailMigration ends a migration in that cluster, since it cannot go on.
func (n *Node) FailMigration(ctx context.Context, cluster uint64, id topology.MigrationID, text string) error {
	_, err := n.ProposeIn(ctx, cluster, &EndMigration{ID: id, State: topology.Failed, Text: text})
	return err
}

// HandOver makes the source of a migration seal its slots, with the epoch that it
// returns.
func (n *Node) HandOver(ctx context.Context, cluster uint64, id topology.MigrationID) (epoch uint64, err error) {
	outcome, err := n.ProposeIn(ctx, cluster, &HandOver{ID: id})
	return outcome.Epoch, err
}

// HandBack undoes the hand-over with that epoch, unless it has ended.
func (n *Node) HandBack(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64) error {
	_, err := n.ProposeIn(ctx, cluster, &HandBack{ID: id, Epoch: epoch})
	return err
}

// CompleteMigration gives the slots of the hand-over with that epoch to the target, of
// which a majority has everything. Paused is for how many ms nobody could write to them.
func (n *Node) CompleteMigration(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64, paused int64) error {
	_, err := n.ProposeIn(ctx, cluster, &CompleteMigration{ID: id, Epoch: epoch, Paused: paused, Stay: n.opts.MastersStay()})
	return err
}

// GarbageGone reports that the group has deleted what it had of the slots up to epoch.
func (n *Node) GarbageGone(ctx context.Context, cluster uint64, group topology.GroupID, slots slot.Set, epoch uint64) error {
	_, err := n.ProposeIn(ctx, cluster, &GarbageGone{Group: group, Slots: Slots{slots}, Epoch: epoch})
	return err
}

// SetSlot does what CLUSTER SETSLOT asks this node for. Peer is the node that is named,
// 0 for SetStable. It returns when that is decided: for SetNode, when the owner has
// sealed the slot, and this node has taken it up if it is to have it; if the owner does not
// answer, nothing is changed. Epoch is that of the slot's mark, or of its removal; 0 if no mark has changed.
func (n *Node) SetSlot(ctx context.Context, number uint16, action SlotAction, peer topology.NodeID) (epoch uint64, err error) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return 0, errNoLeader
	}
	change := &SetSlot{
		Node: a.id.Node, Action: action, Peer: peer, NewGroup: topology.GroupID(n.token()), PeerGroup: topology.GroupID(n.token()),
		Stay: n.opts.MastersStay(),
	}
	change.Slots.Add(number)
	outcome, err := n.patientlyIn(ctx, a, change, refusalOf(change))
	if err == nil && outcome.Intent != 0 {
		err = n.seeThrough(ctx, a, outcome)
	}
	if err != nil || action != SetNode || peer != a.id.Node {
		return outcome.Epoch, err
	}
	if err := n.awaitTaken(ctx, a, change.Slots.Set, a.view().SlotEpoch[number]); err != nil {
		return 0, Error("UNCERTAIN the slot is assigned to this node, but its shard has not taken it up yet: " + oneLine(err))
	}
	return outcome.Epoch, nil
}
