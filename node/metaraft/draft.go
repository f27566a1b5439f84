package metaraft

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// draft is a state while one change is carried out on it. It is thrown away
// when the change is refused.
type draft struct {
	base  *State // as it was before the change
	s     *State
	index uint64
	time  int64
	// keep makes a refusal keep what was done: the change has to record how it
	// was refused.
	keep bool
}

func newDraft(s *State, index uint64, time int64) *draft {
	d := &draft{base: s, s: s.clone(), index: index, time: time}
	d.s.Index = index
	d.s.Clock = max(s.Clock, time)
	return d
}

// undo drops everything done so far.
func (d *draft) undo() { *d = *newDraft(d.base, d.index, d.time) }

// refuse returns an outcome with an error of Redis's general kind.
func refuse(format string, args ...any) Outcome {
	return Outcome{Error: "ERR " + fmt.Sprintf(format, args...)}
}

// passing marks a refusal as one that will not last: see guarded.
func passing(o Outcome) Outcome {
	o.Passing = true
	return o
}

func unknownNode(id topology.NodeID) Outcome { return refuse("Unknown node %s", id) }

// freshRaftID returns an id that no membership of this cluster ever had.
func (d *draft) freshRaftID() uint64 {
	d.s.RaftID++
	return d.s.RaftID
}

// freshSlotEpoch returns a slot epoch above all others.
func (d *draft) freshSlotEpoch() uint64 {
	d.s.SlotEpoch++
	return d.s.SlotEpoch
}

// slots returns the slot table for writing.
func (d *draft) slots() *SlotTable {
	if d.s.Slots == d.base.Slots {
		table := *d.base.Slots
		d.s.Slots = &table
	}
	return d.s.Slots
}

// assign gives slots to group (0: to nobody) with that epoch.
func (d *draft) assign(slots *slot.Set, group topology.GroupID, epoch uint64) {
	table := d.slots()
	for n := range slots.All {
		table[n] = SlotOwner{group, epoch}
	}
}

// insertNode adds a member; it must not be there yet.
func (d *draft) insertNode(n NodeRecord) {
	i, _ := slices.BinarySearchFunc(d.s.Nodes, n.ID, func(r NodeRecord, id topology.NodeID) int {
		return cmp.Compare(r.ID, id)
	})
	d.s.Nodes = slices.Insert(d.s.Nodes, i, n)
}

// removeNode takes a member out, with all its memberships. A shard that has no
// other data member goes with it.
func (d *draft) removeNode(id topology.NodeID) {
	var drop []topology.GroupID
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		m, ok := shard.member(id)
		if !ok {
			continue
		}
		if m.Kind == topology.Data && shard.data() == 1 {
			drop = append(drop, shard.ID)
			continue
		}
		shard.remove(id)
		if shard.Master == id {
			// Only a record: the group's next leader reports itself.
			shard.Master = shard.firstData()
		}
	}
	for _, group := range drop {
		d.dropShard(group)
	}
	d.s.Nodes = slices.DeleteFunc(d.s.Nodes, func(n NodeRecord) bool { return n.ID == id })
}

// ensureShard returns the shard of node, which is a member and no replica; it
// makes one with the id group if there is none. The pointer is valid until the
// next shard comes or goes.
func (d *draft) ensureShard(node topology.NodeID, group topology.GroupID) (*ShardRecord, *Outcome) {
	if shard := d.s.ShardOf(node); shard != nil {
		return shard, nil
	}
	if !d.s.unusedShard(group) {
		o := refuse("shard id %d cannot be used", uint64(group))
		return nil, &o
	}
	shard := ShardRecord{ID: group, Master: node}
	// It is created with the shard, and votes alone until others have joined.
	founder := topology.Member{Node: node, RaftID: d.freshRaftID(), Kind: topology.Data, Synced: true}
	shard.Voters = []uint64{founder.RaftID}
	shard.add(founder)
	d.insertShard(shard)
	return d.s.Shard(group), nil
}

// unusedShard reports whether a new shard may have that id.
func (s *State) unusedShard(group topology.GroupID) bool { return group != 0 && s.Shard(group) == nil }

// insertShard adds a shard; its id must not be there yet.
func (d *draft) insertShard(shard ShardRecord) {
	i, _ := slices.BinarySearchFunc(d.s.Shards, shard.ID, func(r ShardRecord, id topology.GroupID) int {
		return cmp.Compare(r.ID, id)
	})
	d.s.Shards = slices.Insert(d.s.Shards, i, shard)
}

// dropShard removes a shard and everything that refers to it. Its slots become
// unassigned, at once also where an intent covers them. Migrations from and to it fail.
func (d *draft) dropShard(group topology.GroupID) {
	d.failMigrationsOf(group, "has lost its shard")
	owned := d.s.Slots.Of(group)
	if !owned.Empty() {
		table := d.slots()
		for n := range owned.All {
			table[n].Group = 0
		}
	}
	byGroup := func(r Residue) bool { return r.Group == group }
	d.s.Residue = slices.DeleteFunc(d.s.Residue, byGroup)
	d.s.Garbage = slices.DeleteFunc(d.s.Garbage, func(g Garbage) bool { return g.Group == group })
	d.s.Shards = slices.DeleteFunc(d.s.Shards, func(r ShardRecord) bool { return r.ID == group })
	for i := 0; i < len(d.s.Intents); {
		in := &d.s.Intents[i]
		if in.To == group {
			d.cancelIntent(*in, string(errTargetGone)) // removes element i
			continue
		}
		for n := range owned.All {
			in.Slots.Remove(n)
		}
		in.Residue = slices.DeleteFunc(in.Residue, byGroup)
		in.Pending = slices.DeleteFunc(in.Pending, func(g topology.GroupID) bool { return g == group })
		if len(in.Pending) > 0 {
			i++
			continue
		}
		d.finishIntent(*in) // removes element i
	}
}

// finishIntent ends an intent whose groups have all sealed.
func (d *draft) finishIntent(in Intent) {
	holdsKeys := func(r Residue) bool { return !r.Slots.Set.Empty() }
	if in.To != 0 {
		d.finishMove(in)
		return
	}
	if in.Empty && slices.ContainsFunc(in.Residue, holdsKeys) {
		d.cancelIntent(in, string(errNotEmpty))
		return
	}
	d.assign(&in.Slots.Set, 0, in.Epoch)
	for _, r := range in.Residue {
		d.addResidue(r.Group, &r.Slots.Set)
	}
	d.endIntent(in, "")
}

// cancelIntent ends an intent without effect. The slots get a new epoch, with
// which owners that have sealed already take them up again.
func (d *draft) cancelIntent(in Intent, text string) {
	epoch := d.freshSlotEpoch()
	table := d.slots()
	for n := range in.Slots.All {
		table[n].Epoch = epoch
	}
	d.endIntent(in, text)
}

// endIntent moves an intent from the pending to the finished ones. Nobody waits for that
// of a migration.
func (d *draft) endIntent(in Intent, text string) {
	d.s.Intents = slices.DeleteFunc(d.s.Intents, func(other Intent) bool { return other.ID == in.ID })
	if in.Migration != 0 {
		return
	}
	d.s.Finished = append(d.s.Finished, FinishedIntent{in.ID, text})
	if extra := len(d.s.Finished) - finishedIntents; extra > 0 {
		d.s.Finished = slices.Delete(d.s.Finished, 0, extra)
	}
}

func (d *draft) addResidue(group topology.GroupID, slots *slot.Set) {
	if slots.Empty() {
		return
	}
	i, ok := slices.BinarySearchFunc(d.s.Residue, group, func(r Residue, id topology.GroupID) int {
		return cmp.Compare(r.Group, id)
	})
	if !ok {
		d.s.Residue = slices.Insert(d.s.Residue, i, Residue{Group: group})
	}
	d.s.Residue[i].Slots.Union(slots)
}

func (d *draft) clearResidue(group topology.GroupID, slots *slot.Set) {
	for i := range d.s.Residue {
		if r := &d.s.Residue[i]; r.Group == group {
			for n := range slots.All {
				r.Slots.Remove(n)
			}
		}
	}
	d.s.Residue = slices.DeleteFunc(d.s.Residue, func(r Residue) bool { return r.Slots.Empty() })
}

// residueIn returns the lowest of slots of which a group other than except
// holds keys, and that group.
func (s *State) residueIn(slots *slot.Set, except topology.GroupID) (n uint16, holder topology.GroupID, found bool) {
	for _, r := range s.Residue {
		if r.Group == except {
			continue
		}
		if common, ok := r.Slots.Intersects(slots); ok && (!found || common < n) {
			n, holder, found = common, r.Group, true
		}
	}
	return n, holder, found
}

// keysElsewhere returns the lowest of slots that must not be given to group, since
// another one holds keys of it, and that one. Where the group holds keys as well,
// somebody has to put them together, and may begin with any of them.
func (s *State) keysElsewhere(slots *slot.Set, group topology.GroupID) (n uint16, holder topology.GroupID, found bool) {
	left := *slots
	for _, r := range s.Residue {
		if r.Group == group && group != 0 {
			for n := range r.Slots.All {
				left.Remove(n)
			}
		}
	}
	return s.residueIn(&left, 0)
}

// holdsResidue reports whether the group holds keys of slots it does not own.
func (s *State) holdsResidue(group topology.GroupID) bool {
	return slices.ContainsFunc(s.Residue, func(r Residue) bool { return r.Group == group })
}

// inIntent returns the lowest of slots that a pending intent covers.
func (s *State) inIntent(slots *slot.Set) (n uint16, found bool) {
	for i := range s.Intents {
		if common, ok := s.Intents[i].Slots.Intersects(slots); ok && (!found || common < n) {
			n, found = common, true
		}
	}
	return n, found
}

// add puts m among the wished members.
func (r *ShardRecord) add(m topology.Member) {
	i, _ := slices.BinarySearchFunc(r.Members, m.Node, func(m topology.Member, id topology.NodeID) int {
		return cmp.Compare(m.Node, id)
	})
	r.Members = slices.Insert(r.Members, i, m)
	r.membersChanged = true
}

// assume gives the node a membership of that kind. One that it has, or that has
// not yet left the group, goes on under its Raft id and changes its kind: its
// log is whole, so that it can build up the data from it, and its vote does not
// drop out meanwhile. Otherwise the node gets a fresh id.
func (r *ShardRecord) assume(d *draft, node topology.NodeID, kind topology.Kind) {
	for i := range r.Members {
		if m := &r.Members[i]; m.Node == node {
			become(m, kind)
			r.membersChanged = true
			return
		}
	}
	for i, m := range r.Leaving {
		if m.Node == node {
			r.Leaving = slices.Delete(r.Leaving, i, i+1)
			become(&m, kind)
			r.add(m)
			return
		}
	}
	r.add(topology.Member{Node: node, RaftID: d.freshRaftID(), Kind: kind})
}

// become changes a membership's kind. Data that it had stays only if it had it for
// the same reason before, or as an arbiter's copy.
func become(m *topology.Member, kind topology.Kind) {
	m.Synced = m.Synced && (m.Kind == kind || m.Copy)
	m.Kind, m.Copy = kind, m.Copy && kind == topology.Arbiter
}

// remove moves the node's membership, if there is one, to the leaving ones.
func (r *ShardRecord) remove(node topology.NodeID) {
	for i, m := range r.Members {
		if m.Node == node {
			r.Members = slices.Delete(r.Members, i, i+1)
			r.Leaving = append(r.Leaving, m)
			r.membersChanged = true
			return
		}
	}
}

// firstData returns the data member with the lowest node id, 0 if none.
func (r *ShardRecord) firstData() topology.NodeID {
	for _, m := range r.Members {
		if m.Kind == topology.Data {
			return m.Node
		}
	}
	return 0
}
