package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

func (c *AddSlots) apply(d *draft) Outcome {
	if d.s.Node(c.Node) == nil {
		return unknownNode(c.Node)
	}
	shard := d.s.ShardOf(c.Node)
	if shard != nil && shard.Master != c.Node {
		return refuse("A replica cannot own slots: add them to its master")
	}
	for n := range c.Slots.All {
		if d.s.Slots[n].Group != 0 {
			return refuse("Slot %d is already busy", n)
		}
	}
	var own topology.GroupID
	if shard != nil {
		own = shard.ID
	}
	if n, holder, ok := d.s.residueIn(&c.Slots.Set, own); ok {
		return refuse("Slot %d still holds keys on node %s; move or delete them first", n, d.s.Shard(holder).Master)
	}
	if c.Slots.Empty() {
		return Outcome{}
	}
	shard, refusal := d.ensureShard(c.Node, c.NewGroup)
	if refusal != nil {
		return *refusal
	}
	d.s.Node(c.Node).Follows = 0 // it is a master in its own right now
	epoch := d.freshSlotEpoch()
	d.assign(&c.Slots.Set, shard.ID, epoch)
	d.clearResidue(shard.ID, &c.Slots.Set)
	return Outcome{Epoch: epoch}
}

func (c *DelSlots) apply(d *draft) Outcome {
	slots := c.Slots
	if c.Node != 0 {
		if d.s.Node(c.Node) == nil {
			return unknownNode(c.Node)
		}
		slots = Slots{}
		if shard := d.s.ShardOf(c.Node); shard != nil && shard.Master == c.Node {
			slots.Set = d.s.Slots.Of(shard.ID)
		}
	}
	var pending []topology.GroupID
	for n := range slots.All {
		group := d.s.Slots[n].Group
		if group == 0 {
			return refuse("Slot %d is already unassigned", n)
		}
		if i, ok := slices.BinarySearch(pending, group); !ok {
			pending = slices.Insert(pending, i, group)
		}
	}
	if n, ok := d.s.inIntent(&slots.Set); ok {
		return refuse("Slot %d is changing hands, try again", n)
	}
	if slots.Set.Empty() {
		return Outcome{}
	}
	d.s.Intent++
	in := Intent{
		ID: d.s.Intent, Epoch: d.freshSlotEpoch(), Created: d.s.Clock,
		Slots: slots, Pending: pending, Empty: c.Empty,
	}
	d.s.Intents = append(d.s.Intents, in)
	return Outcome{Intent: in.ID, Epoch: in.Epoch}
}

func (c *Sealed) apply(d *draft) Outcome {
	in := d.s.PendingIntent(c.Intent)
	if in == nil {
		return Outcome{}
	}
	i, ok := slices.BinarySearch(in.Pending, c.Group)
	if !ok {
		return Outcome{} // it reported before
	}
	in.Pending = slices.Delete(in.Pending, i, i+1)
	residue := c.Residue
	for n := range c.Residue.All {
		if !in.Slots.Has(n) || d.s.Slots[n].Group != c.Group {
			residue.Remove(n)
		}
	}
	in.Residue = append(in.Residue, Residue{c.Group, residue})
	if len(in.Pending) == 0 {
		d.finishIntent(*in)
	}
	return Outcome{}
}

func (c *CancelIntent) apply(d *draft) Outcome {
	in := d.s.PendingIntent(c.Intent)
	if in == nil {
		switch ended, err := d.s.IntentResult(c.Intent); {
		case !ended:
			return refuse("there was no intent %d", c.Intent)
		case err != nil:
			return Outcome{Error: err.Error()}
		}
		return Outcome{}
	}
	o := refuse("the slots' owner did not answer; nothing was changed")
	d.cancelIntent(*in, o.Error)
	d.keep = true
	return o
}

func (c *ClearResidue) apply(d *draft) Outcome {
	d.clearResidue(c.Group, &c.Slots.Set)
	return Outcome{}
}

// slotsOf returns the slots of runs as a set.
func slotsOf(runs []SlotRun) slot.Set {
	var s slot.Set
	for _, run := range runs {
		s.AddRange(slot.Range{Start: run.Start, End: run.End})
	}
	return s
}
