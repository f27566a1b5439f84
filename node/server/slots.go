package server

import (
	"context"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// SetSlot implements admin.Node.
func (b *backend) SetSlot(ctx context.Context, slot uint16, action admin.SlotAction, peer topology.NodeID) error {
	if action == admin.SlotNode && settled(b.View(ctx), slot, peer) {
		return nil // tools tell every master, and most have nothing to do
	}
	epoch, err := b.node.meta.SetSlot(ctx, slot, metaraft.SlotAction(action), peer)
	if err != nil || epoch == 0 {
		return clientError(err)
	}
	me := b.LocalView().Me()
	if me == nil || me.Shard == nil {
		return nil // it has no shard that could act by it
	}
	if err := b.node.replicas.AwaitMarked(ctx, me.Shard.ID, slot, epoch); err != nil {
		return resp.Error("ERR the change is decided, but the shard has yet to act by it: see CLUSTER NODES")
	}
	return nil
}

// settled reports whether a slot is a node's, as SETSLOT NODE would have it, and nothing that
// this node or that one has of it is open.
func settled(v *topology.View, slot uint16, node topology.NodeID) bool {
	owner, me := v.Owner[slot], v.Me()
	if !v.Quorum || owner == nil || owner.Master != node || me == nil || me.Replica() {
		return false
	}
	for _, in := range v.Intents {
		if in.Slots.Has(slot) {
			return false
		}
	}
	for _, m := range v.Migrations {
		if m.Active() && m.Slots.Has(slot) {
			return false
		}
	}
	for _, m := range v.Marks {
		if m.Slot == slot {
			return false
		}
	}
	return true
}

// StartMigration implements admin.Node.
func (b *backend) StartMigration(ctx context.Context, face topology.Face, moves []admin.SlotsMove) ([]topology.MigrationID, error) {
	requests := make([]metaraft.MigrationRequest, 0, len(moves))
	for _, m := range moves {
		requests = append(requests, metaraft.MigrationRequest{Slots: m.Slots, Target: m.Target})
	}
	ids, err := b.node.meta.StartMigration(ctx, face, requests...)
	return ids, clientError(err)
}

// CancelMigration implements admin.Node.
func (b *backend) CancelMigration(ctx context.Context, id topology.MigrationID, part topology.Face, text string) (ended int, err error) {
	ended, err = b.node.meta.EndMigration(ctx, id, part, topology.Canceled, text)
	return ended, clientError(err)
}
