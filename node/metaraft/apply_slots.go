package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// AddSlots gives unassigned slots to the shard that Node leads. NewGroup is a
// random id, used if the node has no shard yet. Outcome.Epoch is the slots' new
// slot epoch.
type AddSlots struct {
	Node     topology.NodeID
	Slots    Slots
	NewGroup topology.GroupID
}

// Kind implements Change.
func (*AddSlots) Kind() Kind { return "add-slots" }

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
	if n, holder, ok := d.s.keysElsewhere(&c.Slots.Set, own); ok {
		return refuse("Slot %d still holds keys on node %s; move or delete them first", n, d.s.Shard(holder).Master)
	}
	if n, ok := d.s.garbageIn(own, &c.Slots.Set); ok {
		return passing(refuse("what this node had of slot %d is still being deleted, try again", n))
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

// DelSlots starts an intent that takes the slots from their owners; with Node
// set, all slots that this master owns. A migration of one of the slots fails. With Empty, the intent ends without
// effect, and with the error errNotEmpty, if any of them still holds keys when it
// is sealed. Outcome.Intent is the intent to wait for (0 when there are no
// slots: nothing to do), Outcome.Epoch its slot epoch.
type DelSlots struct {
	Slots Slots
	Node  topology.NodeID `json:",omitempty"`
	Empty bool            `json:",omitempty"`
}

// errNotEmpty is what FLUSHSLOTS answers where there are keys.
const errNotEmpty = Error("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")

// Kind implements Change.
func (*DelSlots) Kind() Kind { return "del-slots" }

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
	d.failMigrationsIn(&slots.Set)
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

// Sealed reports that Group no longer accepts writes to its slots of Intent,
// and in which of them it still holds keys. The last group's report carries the
// intent out. It does nothing for an intent that is no longer pending.
type Sealed struct {
	Intent  uint64
	Group   topology.GroupID
	Residue Slots
}

// Kind implements Change.
func (*Sealed) Kind() Kind { return "sealed" }

func (c *Sealed) apply(d *draft) Outcome {
	in := d.s.PendingIntent(c.Intent)
	if in == nil || in.Migration != 0 {
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

// CancelIntent ends a pending intent without effect: the slots get a new epoch,
// with which their owners take them up again, and Outcome.Error says that
// nothing was changed. For a finished intent it answers how that one ended.
type CancelIntent struct{ Intent uint64 }

// Kind implements Change.
func (*CancelIntent) Kind() Kind { return "cancel-intent" }

func (c *CancelIntent) apply(d *draft) Outcome {
	in := d.s.PendingIntent(c.Intent)
	if in != nil && in.Migration != 0 {
		return refuse("intent %d is that of a migration", c.Intent)
	}
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

// ClearResidue reports that Group holds no more keys in Slots.
type ClearResidue struct {
	Group topology.GroupID
	Slots Slots
}

// Kind implements Change.
func (*ClearResidue) Kind() Kind { return "clear-residue" }

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
