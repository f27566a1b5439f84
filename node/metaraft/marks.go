package metaraft

import (
	"cmp"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// A slot that is open for importing lets keys in before the shard owns it. So the shard
// bears something, and when such a mark goes without the slot, the slot counts as residue
// until the shard's leader says that it holds no keys of it.

// findMark returns where the mark of the slot on the group is, or belongs.
func (s *State) findMark(group topology.GroupID, n uint16) (int, bool) {
	return slices.BinarySearchFunc(s.Marks, Mark{Group: group, Slot: n}, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Slot, b.Slot))
	})
}

// marksOf returns the slots that are open on the group for kind.
func (s *State) marksOf(group topology.GroupID, kind topology.MarkKind) (open slot.Set) {
	for i := range s.Marks {
		if s.Marks[i].Group == group && s.Marks[i].Kind == kind {
			open.Add(s.Marks[i].Slot)
		}
	}
	return open
}

// importsKeys reports whether a slot is open on the group for importing.
func (s *State) importsKeys(group topology.GroupID) bool {
	return slices.ContainsFunc(s.Marks, func(m Mark) bool { return m.Group == group && m.Kind == topology.Importing })
}

// setMark opens a slot. The epoch is that of the mark, which is as it was if nothing has
// changed.
func (d *draft) setMark(m Mark) (epoch uint64) {
	i, ok := d.s.findMark(m.Group, m.Slot)
	switch {
	case !ok:
		d.s.Marks = slices.Insert(d.s.Marks, i, m)
	case d.s.Marks[i].Kind == m.Kind && d.s.Marks[i].Peer == m.Peer:
		return d.s.Marks[i].Epoch
	}
	m.Epoch = d.freshSlotEpoch()
	d.s.Marks[i] = m
	return m.Epoch
}

// closeMarks closes the slots on the group, and returns an epoch above those of their
// marks, 0 if there were none.
func (d *draft) closeMarks(group topology.GroupID, slots *slot.Set) (epoch uint64) {
	return d.dropMarks(func(m *Mark) bool { return m.Group == group && slots.Has(m.Slot) })
}

// deriveMarks closes the slots of which the mark has lost its sense: the shard does not
// own the slot that it is to give away, or owns the one that it imports, or the peer's
// shard is no more.
func (d *draft) deriveMarks() {
	d.dropMarks(func(m *Mark) bool {
		owns := d.s.Slots[m.Slot].Group == m.Group
		return d.s.Shard(m.Group) == nil || d.s.Shard(m.Peer) == nil || owns != (m.Kind == topology.Migrating)
	})
}

// dropMarks closes the slots of some marks.
func (d *draft) dropMarks(drop func(*Mark) bool) (epoch uint64) {
	var closed []Mark
	d.s.Marks = slices.DeleteFunc(d.s.Marks, func(m Mark) bool {
		gone := drop(&m)
		if gone {
			closed = append(closed, m)
		}
		return gone
	})
	if len(closed) == 0 {
		return 0
	}
	for _, m := range closed {
		if m.Kind == topology.Importing && d.s.Shard(m.Group) != nil && d.s.Slots[m.Slot].Group != m.Group {
			var left slot.Set
			left.Add(m.Slot)
			d.addResidue(m.Group, &left)
		}
	}
	return d.freshSlotEpoch()
}
