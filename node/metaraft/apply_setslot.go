package metaraft

import (
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// SlotAction is what CLUSTER SETSLOT is to do.
type SlotAction string

const (
	SetMigrating SlotAction = "migrating"
	SetImporting SlotAction = "importing"
	SetStable    SlotAction = "stable"
	SetNode      SlotAction = "node"
)

// SetSlot is CLUSTER SETSLOT, as it was sent to Node. Peer is the node that it names, 0
// if the slots are to be stable. NewGroup and PeerGroup are random ids, used where Node
// or Peer has no shard yet. With Stay, an owner that gives its last slot away stays a
// master.
//
// Outcome.Epoch is that of the marks that were set or removed, 0 where there was nothing
// to do. A slot that another node is to have and that is not there yet goes by an intent:
// Outcome.Intent.
type SetSlot struct {
	Node      topology.NodeID
	Slots     Slots
	Action    SlotAction
	Peer      topology.NodeID  `json:",omitempty"`
	NewGroup  topology.GroupID `json:",omitempty"`
	PeerGroup topology.GroupID `json:",omitempty"`
	Stay      bool             `json:",omitempty"`
}

// Kind implements Change.
func (*SetSlot) Kind() Kind { return "set-slot" }

// Why a slot is not given to another node.
const (
	errOwnerGone  = Error("ERR the slot's owner is no more; nobody owns it now")
	errTargetGone = Error("ERR the node that was to have the slot is no more; nothing was changed")
)

func (c *SetSlot) apply(d *draft) Outcome {
	if d.s.Node(c.Node) == nil {
		return unknownNode(c.Node)
	}
	shard := d.s.ShardOf(c.Node)
	if shard != nil && shard.Master != c.Node {
		return refuse("Please use SETSLOT only with masters.")
	}
	if m, n := d.s.moving(&c.Slots.Set); m != nil {
		return c.migrates(m, n, shard != nil && m.To == shard.ID)
	}
	switch c.Action {
	case SetStable:
		if shard == nil {
			return Outcome{}
		}
		return Outcome{Epoch: d.closeMarks(shard.ID, &c.Slots.Set)}
	case SetMigrating, SetImporting:
		return c.open(d)
	case SetNode:
		return c.give(d)
	}
	return refuse("Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
}

// migrates is the refusal while a migration moves the slot, here or from here.
func (c *SetSlot) migrates(m *Migration, n uint16, here bool) Outcome {
	switch {
	case m.Face == topology.Import:
		return refuse("Slot %d is currently in an active atomic slot migration. CLUSTER SETSLOT cannot be used at this time. "+
			"To perform a legacy slot migration instead, first cancel the ongoing task with CLUSTER MIGRATION CANCEL", n)
	case here:
		return refuse("Slot import in progress.")
	}
	return refuse("Slot export in progress.")
}

// trimmed is the refusal while the shard still deletes what it had of the slot.
func trimmed(n uint16) Outcome {
	return passing(refuse("There is a pending trim job for slot %d. Most probably, this is due to a failed atomic slot migration. "+
		"CLUSTER SETSLOT cannot be used at this time. Please retry later once the trim job is completed.", n))
}

// open marks the slots as migrating or importing.
func (c *SetSlot) open(d *draft) Outcome {
	own := d.s.ShardOf(c.Node)
	for n := range c.Slots.All {
		owns := own != nil && d.s.Slots[n].Group == own.ID
		switch {
		case c.Action == SetMigrating && !owns:
			return refuse("I'm not the owner of hash slot %d", n)
		case c.Action == SetImporting && owns:
			return refuse("I'm already the owner of hash slot %d", n)
		}
	}
	peer := d.s.ShardOf(c.Peer)
	switch {
	case d.s.Node(c.Peer) == nil:
		return refuse("I don't know about node %s", c.Peer)
	case c.Peer == c.Node:
		return refuse("Target node is myself")
	case peer != nil && peer.Master != c.Peer:
		return refuse("Target node is not a master")
	case c.Slots.Set.Empty():
		return Outcome{}
	}
	if n, ok := d.s.inIntent(&c.Slots.Set); ok {
		return passing(refuse("Slot %d is changing hands, try again", n))
	}
	own, peer, refusal := c.shards(d)
	if refusal != nil {
		return *refusal
	}
	kind := topology.Migrating
	if c.Action == SetImporting {
		kind = topology.Importing
		if n, ok := d.s.garbageIn(own.ID, &c.Slots.Set); ok {
			return trimmed(n)
		}
	}
	var o Outcome
	for n := range c.Slots.All {
		o.Epoch = max(o.Epoch, d.setMark(Mark{Group: own.ID, Slot: n, Kind: kind, Peer: peer.ID}))
	}
	return o
}

// shards returns the shards of both nodes, which are masters, and makes what is missing.
func (c *SetSlot) shards(d *draft) (own, peer *ShardRecord, refusal *Outcome) {
	if _, refusal = d.ensureShard(c.Node, c.NewGroup); refusal != nil {
		return nil, nil, refusal
	}
	if _, refusal = d.ensureShard(c.Peer, c.PeerGroup); refusal != nil {
		return nil, nil, refusal
	}
	d.s.Node(c.Node).Follows, d.s.Node(c.Peer).Follows = 0, 0
	return d.s.ShardOf(c.Node), d.s.ShardOf(c.Peer), nil
}

// give gives the slots to the peer.
func (c *SetSlot) give(d *draft) Outcome {
	to := d.s.ShardOf(c.Peer)
	switch {
	case d.s.Node(c.Peer) == nil:
		return refuse("Unknown node %s", c.Peer)
	case to != nil && to.Master != c.Peer:
		return refuse("Target node is not a master")
	}
	if n, ok := d.s.inIntent(&c.Slots.Set); ok {
		return passing(refuse("Slot %d is changing hands, try again", n))
	}
	var from topology.GroupID
	var moves slot.Set
	for n := range c.Slots.All {
		owner := d.s.Slots[n].Group
		if to != nil && owner == to.ID {
			continue
		}
		if !moves.Empty() && owner != from {
			return refuse("Slot %d has another owner than the ones before", n)
		}
		from = owner
		moves.Add(n)
	}
	var o Outcome
	if own := d.s.ShardOf(c.Node); own != nil && moves.Empty() {
		o.Epoch = d.closeMarks(own.ID, &c.Slots.Set)
	}
	if moves.Empty() {
		return o
	}
	to, refusal := d.ensureShard(c.Peer, c.PeerGroup)
	if refusal != nil {
		return *refusal
	}
	return c.move(d, &moves, from, to)
}

// move gives slots of one owner, who may be nobody, to another shard.
func (c *SetSlot) move(d *draft, slots *slot.Set, from topology.GroupID, to *ShardRecord) Outcome {
	if n, ok := d.s.garbageIn(to.ID, slots); ok {
		return trimmed(n)
	}
	if n, holder, ok := d.s.keysElsewhere(slots, to.ID); ok {
		return refuse("Slot %d still holds keys on node %s; move or delete them first", n, d.s.Shard(holder).Master)
	}
	d.s.Node(c.Peer).Follows = 0
	if from == 0 {
		d.assign(slots, to.ID, d.freshSlotEpoch())
		d.clearResidue(to.ID, slots)
		return Outcome{}
	}
	d.s.Intent++
	in := Intent{
		ID: d.s.Intent, Epoch: d.freshSlotEpoch(), Created: d.s.Clock,
		Slots: Slots{*slots}, Pending: []topology.GroupID{from}, To: to.ID, Stay: c.Stay,
	}
	d.s.Intents = append(d.s.Intents, in)
	return Outcome{Intent: in.ID}
}

// finishMove ends an intent that gives slots to a shard, once their owner has sealed
// them. They go only without keys; who imported some before owns them now.
func (d *draft) finishMove(in Intent) {
	if in.Slots.Set.Empty() {
		d.endIntent(in, string(errOwnerGone))
		return
	}
	for _, r := range in.Residue {
		for n := range r.Slots.All {
			d.cancelIntent(in, refuse("Can't assign hashslot %d to a different node while I still hold keys for this hash slot.", n).Error)
			return
		}
	}
	from := in.Residue[0].Group
	d.assign(&in.Slots.Set, in.To, in.Epoch)
	d.clearResidue(in.To, &in.Slots.Set)
	d.endIntent(in, "")
	if !in.Stay {
		d.retire(from, in.To)
	}
}
