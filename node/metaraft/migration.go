package metaraft

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// Migration is topology.Migration, as it is stored.
type Migration struct {
	ID           topology.MigrationID
	Slots        Slots
	From, To     topology.GroupID
	Source, Dest topology.NodeID
	Face         topology.Face
	State        topology.MigrationState
	Error        string `json:",omitempty"`
	Retries      int    `json:",omitempty"`
	Epoch        uint64 `json:",omitempty"`
	Created      int64
	Changed      int64
	Ended        int64 `json:",omitempty"`
	Paused       int64 `json:",omitempty"`
}

// Garbage is topology.Garbage, as it is stored. No slot is twice in the garbage of a
// group, and a group has garbage of each epoch once.
type Garbage struct {
	Group topology.GroupID
	Slots Slots
	Epoch uint64
}

// Mark is topology.Mark, as it is stored: Peer is the shard with whom the slot is open.
type Mark struct {
	Group topology.GroupID
	Slot  uint16
	Kind  topology.MarkKind
	Peer  topology.GroupID
	Epoch uint64
}

// endedMigrations is how many migrations are remembered that have ended.
const endedMigrations = 32

// active reports whether the migration has not ended.
func (m *Migration) active() bool {
	return m.State == topology.Copying || m.State == topology.HandingOver
}

// Migration returns the migration with that id, nil if it is not known any more.
func (s *State) Migration(id topology.MigrationID) *Migration {
	for i := range s.Migrations {
		if s.Migrations[i].ID == id {
			return &s.Migrations[i]
		}
	}
	return nil
}

// moving returns the active migration of one of the slots and the lowest such slot of
// it, nil if there is none.
func (s *State) moving(slots *slot.Set) (m *Migration, n uint16) {
	for i := range s.Migrations {
		if !s.Migrations[i].active() {
			continue
		}
		if common, ok := s.Migrations[i].Slots.Intersects(slots); ok && (m == nil || common < n) {
			m, n = &s.Migrations[i], common
		}
	}
	return m, n
}

// expects reports whether the group is to be given slots: by a migration or an intent.
func (s *State) expects(group topology.GroupID) bool {
	return slices.ContainsFunc(s.Migrations, func(m Migration) bool { return m.active() && m.To == group }) ||
		slices.ContainsFunc(s.Intents, func(in Intent) bool { return in.To == group })
}

// garbageIn returns the lowest of slots of which the group has garbage.
func (s *State) garbageIn(group topology.GroupID, slots *slot.Set) (n uint16, found bool) {
	for i := range s.Garbage {
		if s.Garbage[i].Group != group {
			continue
		}
		if common, ok := s.Garbage[i].Slots.Intersects(slots); ok && (!found || common < n) {
			n, found = common, true
		}
	}
	return n, found
}

// addGarbage makes the group's leader delete what the group has of slots that it does
// not own, up to epoch, which is the highest that was given out of them.
func (d *draft) addGarbage(group topology.GroupID, slots *slot.Set, epoch uint64) {
	if slots.Empty() || d.s.Shard(group) == nil {
		return
	}
	d.removeGarbage(group, slots, epoch) // what is deleted up to a higher epoch
	i, ok := slices.BinarySearchFunc(d.s.Garbage, Garbage{Group: group, Epoch: epoch}, func(a, b Garbage) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Epoch, b.Epoch))
	})
	if !ok {
		d.s.Garbage = slices.Insert(d.s.Garbage, i, Garbage{Group: group, Epoch: epoch})
	}
	d.s.Garbage[i].Slots.Union(slots)
}

// removeGarbage forgets the group's garbage of slots up to that epoch.
func (d *draft) removeGarbage(group topology.GroupID, slots *slot.Set, epoch uint64) {
	for i := range d.s.Garbage {
		if g := &d.s.Garbage[i]; g.Group == group && g.Epoch <= epoch {
			for n := range slots.All {
				g.Slots.Remove(n)
			}
		}
	}
	d.s.Garbage = slices.DeleteFunc(d.s.Garbage, func(g Garbage) bool { return g.Slots.Empty() })
}

// handOver makes the intent by which an active migration takes the slots.
func (d *draft) handOver(m *Migration) Intent {
	d.s.Intent++
	in := Intent{
		ID: d.s.Intent, Epoch: d.freshSlotEpoch(), Created: d.s.Clock,
		Slots: m.Slots, Pending: []topology.GroupID{m.From}, To: m.To, Migration: m.ID,
	}
	d.s.Intents = append(d.s.Intents, in)
	m.State, m.Epoch, m.Changed = topology.HandingOver, in.Epoch, d.s.Clock
	return in
}

// handBack lets the source take the slots up again, by a new epoch, and the migration go
// on copying.
func (d *draft) handBack(m *Migration) {
	in := d.intentOf(m.ID)
	d.cancelIntent(*in, "")
	m.State, m.Epoch, m.Changed = topology.Copying, 0, d.s.Clock
}

// intentOf returns the pending intent of a migration, nil if there is none.
func (d *draft) intentOf(id topology.MigrationID) *Intent {
	for i := range d.s.Intents {
		if d.s.Intents[i].Migration == id {
			return &d.s.Intents[i]
		}
	}
	return nil
}

// abandon ends an active migration without effect: the source keeps the slots, and the
// target deletes what it has of them.
func (d *draft) abandon(id topology.MigrationID, state topology.MigrationState, text string) {
	m := d.s.Migration(id)
	if m.State == topology.HandingOver {
		d.handBack(m)
	}
	d.addGarbage(m.To, &m.Slots.Set, d.freshSlotEpoch())
	m.Error = text
	d.endMigration(m, state)
}

// endMigration moves a migration from the active ones, which are in front, to those that
// have ended.
func (d *draft) endMigration(m *Migration, state topology.MigrationState) {
	ended := *m
	ended.State, ended.Changed, ended.Ended = state, d.s.Clock, d.s.Clock
	d.s.Migrations = slices.DeleteFunc(d.s.Migrations, func(m Migration) bool { return m.ID == ended.ID })
	d.s.Migrations = append(d.s.Migrations, ended)
	active := slices.IndexFunc(d.s.Migrations, func(m Migration) bool { return !m.active() })
	if extra := len(d.s.Migrations) - active - endedMigrations; extra > 0 {
		d.s.Migrations = slices.Delete(d.s.Migrations, active, active+extra)
	}
}

// failMigrations fails the active migrations that the condition names.
func (d *draft) failMigrations(text string, fails func(*Migration) bool) {
	for {
		i := slices.IndexFunc(d.s.Migrations, func(m Migration) bool { return m.active() && fails(&m) })
		if i < 0 {
			return
		}
		d.abandon(d.s.Migrations[i].ID, topology.Failed, text)
	}
}

// failMigrationsOf fails the migrations from and to a group, of which what says why.
func (d *draft) failMigrationsOf(group topology.GroupID, what string) {
	if shard := d.s.Shard(group); shard != nil {
		d.failMigrations(fmt.Sprintf("Source node %s %s", shard.Master, what), func(m *Migration) bool { return m.From == group })
		d.failMigrations(fmt.Sprintf("Target node %s %s", shard.Master, what), func(m *Migration) bool { return m.To == group })
	}
}

// failMigrationsIn fails the migrations of slots that are taken from their owners.
func (d *draft) failMigrationsIn(slots *slot.Set) {
	d.failMigrations("Slots were deleted from the source node", func(m *Migration) bool {
		_, ok := m.Slots.Intersects(slots)
		return ok
	})
}

// retire dissolves a shard that has given its last slot away, if it has nothing else: its
// data members become data members of the shard that has got the slot, as in Redis. A
// shard that is to be given slots stays.
func (d *draft) retire(from, to topology.GroupID) {
	shard := d.s.Shard(from)
	if shard == nil || d.s.bears(shard) || d.s.expects(from) {
		return
	}
	var nodes []topology.NodeID
	for _, m := range shard.Members {
		if m.Kind == topology.Data {
			nodes = append(nodes, m.Node)
		}
	}
	d.dropShard(from)
	heir := d.s.Shard(to)
	for _, node := range nodes {
		d.s.Node(node).Follows = 0
		heir.assume(d, node, topology.Data)
	}
}
