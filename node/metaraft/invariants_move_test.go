package metaraft

import (
	"fmt"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// moveViolations returns what is wrong with slots that move.
func moveViolations(s *State) (broken []string) {
	report := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	var moving slot.Set
	ended := 0
	ids := make(map[topology.MigrationID]bool)
	handing := make(map[topology.MigrationID]*Intent)
	for i := range s.Intents {
		in := &s.Intents[i]
		switch {
		case in.To == 0 && in.Migration != 0, in.To != 0 && s.Shard(in.To) == nil, in.To != 0 && len(in.Pending) != 1, in.To != 0 && in.Slots.Empty():
			report("intent %d: %+v", in.ID, in)
		case in.Migration != 0 && (handing[in.Migration] != nil || s.Migration(in.Migration) == nil):
			report("intent %d is of migration %d", in.ID, in.Migration)
		}
		for n := range in.Slots.All {
			if in.To != 0 && (s.Slots[n].Group != in.Pending[0] || in.To == in.Pending[0]) {
				report("intent %d takes slot %d from %d", in.ID, n, s.Slots[n].Group)
			}
		}
		if in.Migration != 0 {
			handing[in.Migration] = in
		}
	}
	for i := range s.Migrations {
		m := &s.Migrations[i]
		if ids[m.ID] {
			report("migration %d is there twice", m.ID)
		}
		ids[m.ID] = true
		in := handing[m.ID]
		if !m.active() {
			ended++
			if m.Ended == 0 && s.Clock != 0 || in != nil || (m.State == topology.Completed) != (m.Error == "" && m.Epoch != 0) {
				report("migration %d has ended as %+v, intent %v", m.ID, m, in)
			}
			continue
		}
		switch {
		case ended > 0:
			report("migration %d is active behind one that has ended", m.ID)
		case s.Shard(m.From) == nil || s.Shard(m.To) == nil || m.From == m.To || m.Slots.Empty() || m.Ended != 0:
			report("migration %d: %+v", m.ID, m)
		case (m.State == topology.HandingOver) != (in != nil) || in != nil && (in.Epoch != m.Epoch || in.To != m.To || in.Pending[0] != m.From || in.Slots != m.Slots):
			report("migration %d is %+v with intent %+v", m.ID, m, in)
		}
		if n, ok := moving.Intersects(&m.Slots.Set); ok {
			report("slot %d is in two migrations", n)
		}
		moving.Union(&m.Slots.Set)
		for n := range m.Slots.All {
			if s.Slots[n].Group != m.From {
				report("slot %d of migration %d belongs to %d", n, m.ID, s.Slots[n].Group)
			}
		}
		if n, ok := s.garbageIn(m.To, &m.Slots.Set); ok {
			report("slot %d of migration %d is still garbage at its target", n, m.ID)
		}
	}
	if ended > endedMigrations {
		report("%d migrations have ended and are there", ended)
	}
	broken = append(broken, garbageViolations(s)...)
	return append(broken, markViolations(s, &moving)...)
}

func garbageViolations(s *State) (broken []string) {
	report := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	all := make(map[topology.GroupID]*slot.Set)
	for i := range s.Garbage {
		g := &s.Garbage[i]
		owned := s.Slots.Of(g.Group)
		if n, owns := owned.Intersects(&g.Slots.Set); owns || g.Slots.Empty() || s.Shard(g.Group) == nil || g.Epoch > s.SlotEpoch {
			report("garbage of shard %d up to %d: slot %d", g.Group, g.Epoch, n)
		}
		if i > 0 && (s.Garbage[i-1].Group > g.Group || s.Garbage[i-1].Group == g.Group && s.Garbage[i-1].Epoch >= g.Epoch) {
			report("garbage is not in order")
		}
		if all[g.Group] == nil {
			all[g.Group] = new(slot.Set)
		}
		if n, twice := all[g.Group].Intersects(&g.Slots.Set); twice {
			report("slot %d is twice in the garbage of shard %d", n, g.Group)
		}
		all[g.Group].Union(&g.Slots.Set)
	}
	return broken
}

func markViolations(s *State, moving *slot.Set) (broken []string) {
	for i, m := range s.Marks {
		owns := s.Slots[m.Slot].Group == m.Group
		if s.Shard(m.Group) == nil || s.Shard(m.Peer) == nil || m.Group == m.Peer || m.Epoch == 0 || m.Epoch > s.SlotEpoch ||
			m.Kind != topology.Migrating && m.Kind != topology.Importing || owns != (m.Kind == topology.Migrating) || moving.Has(m.Slot) {
			broken = append(broken, fmt.Sprintf("mark %+v, owner %+v", m, s.Slots[m.Slot]))
		}
		if i > 0 && (s.Marks[i-1].Group > m.Group || s.Marks[i-1].Group == m.Group && s.Marks[i-1].Slot >= m.Slot) {
			broken = append(broken, "marks are not in order")
		}
	}
	return broken
}

// moves reports whether a migration is active.
func (s *State) moves() bool {
	return slices.ContainsFunc(s.Migrations, func(m Migration) bool { return m.active() })
}

// seeMigrations finds migrations that went back from an end, or got lost.
func (h *history) seeMigrations(s *State) (broken []string) {
	for id, was := range h.moves {
		now := s.Migration(id)
		switch {
		case was.active() && now == nil:
			broken = append(broken, fmt.Sprintf("migration %d was %s and is gone", id, was.State))
		case !was.active() && now != nil && *now != was:
			broken = append(broken, fmt.Sprintf("migration %d had ended as %+v and is %+v", id, was, *now))
		case !was.active() && now == nil:
			delete(h.moves, id)
		}
	}
	for _, m := range s.Migrations {
		h.moves[m.ID] = m
	}
	return broken
}

// handViolations returns what a change did with slots that have passed from one owner to
// another: they do so only sealed, by the intent that says so, and what the former owner
// of a migration has is garbage.
func handViolations(before, after *State, c Change) (broken []string) {
	if _, ok := c.(*Admit); ok { // drops what a node had that comes anew
		return nil
	}
	for n := range before.Slots {
		was, is := before.Slots[n], after.Slots[n]
		if was.Group == is.Group || was.Group == 0 || is.Group == 0 {
			continue
		}
		i := slices.IndexFunc(before.Intents, func(in Intent) bool { return in.Slots.Has(uint16(n)) })
		if i < 0 || before.Intents[i].To != is.Group || before.Intents[i].Epoch != is.Epoch {
			broken = append(broken, fmt.Sprintf("slot %d was %+v and is %+v without an intent", n, was, is))
			continue
		}
		var one slot.Set
		one.Add(uint16(n))
		_, garbage := after.garbageIn(was.Group, &one)
		if migrated := before.Intents[i].Migration != 0; after.Shard(was.Group) != nil && garbage != migrated {
			broken = append(broken, fmt.Sprintf("slot %d has left shard %d, garbage: %v, migrated: %v", n, was.Group, garbage, migrated))
		}
	}
	return broken
}

// checkNothingStuck lets everybody do what they are to do until nothing is left: every
// intent, migration, garbage, residue and mark ends.
func checkNothingStuck(t *testing.T, g *generator, s *State) {
	t.Helper()
	limit := 200 + 10*(len(s.Marks)+len(s.Migrations)+len(s.Intents)+len(s.Garbage)+len(s.Residue))
	for step := 0; ; step++ {
		c := g.duty(s)
		if c == nil {
			return
		}
		if step > limit {
			t.Errorf("after %d duties there is still %s %+v", step, c.Kind(), c)
			return
		}
		next, o := applyProposal(s, s.Index+1, s.Clock, Proposal{Change: c})
		for _, broken := range violations(next) {
			t.Errorf("%s: %s", c.Kind(), broken)
		}
		if o.Error != "" {
			t.Errorf("%s %+v is a duty and was refused: %s", c.Kind(), c, o.Error)
			return
		}
		s = next
	}
}

// duty returns something that somebody has to do, nil if there is nothing. Whoever could
// choose, such as to hand a migration back, may choose badly for a while.
func (g *generator) duty(s *State) Change {
	for _, in := range s.Intents {
		if in.Migration == 0 {
			return &Sealed{Intent: in.ID, Group: in.Pending[0], Residue: g.some(&in.Slots.Set)}
		}
	}
	for _, m := range s.Migrations {
		switch {
		case m.State == topology.Copying:
			return &HandOver{ID: m.ID}
		case m.State == topology.HandingOver && g.IntN(4) == 0:
			return &HandBack{ID: m.ID, Epoch: m.Epoch}
		case m.State == topology.HandingOver:
			return &CompleteMigration{ID: m.ID, Epoch: m.Epoch, Stay: g.IntN(2) == 0}
		}
	}
	switch {
	case len(s.Garbage) > 0:
		return &GarbageGone{Group: s.Garbage[0].Group, Slots: s.Garbage[0].Slots, Epoch: s.Garbage[0].Epoch}
	case len(s.Marks) > 0:
		m := s.Marks[0]
		c := &SetSlot{Node: s.Shard(m.Group).Master, Action: SetStable}
		c.Slots.Add(m.Slot)
		return c
	case len(s.Residue) > 0:
		return &ClearResidue{Group: s.Residue[0].Group, Slots: s.Residue[0].Slots}
	}
	return nil
}

// some returns none of the slots, or half of them.
func (g *generator) some(of *slot.Set) (some Slots) {
	if g.IntN(2) == 0 {
		return some
	}
	for n := range of.All {
		if g.IntN(2) == 0 {
			some.Add(n)
		}
	}
	return some
}

// owned returns a shard that owns slots and some of these.
func (g *generator) owned(s *State) (shard *ShardRecord, some Slots) {
	shard = s.Shard(g.group(s))
	if shard == nil {
		return nil, g.slots()
	}
	of := s.Slots.Of(shard.ID)
	switch g.IntN(6) {
	case 0, 1:
		return shard, Slots{of} // the last one goes with them
	case 2:
		return shard, g.slots()
	case 3:
		var one slot.Set
		for n := range of.All {
			one.Add(n)
			break
		}
		return shard, Slots{one}
	}
	return shard, g.some(&of)
}

// move is a change to slots that move, which fits the state more often than not.
func (g *generator) move(s *State) Change {
	shard, some := g.owned(s)
	switch kind := g.IntN(12); {
	case kind < 3 && shard != nil:
		return g.start(s, shard, some)
	case kind < 6 && shard != nil:
		c := &SetSlot{
			Node: shard.Master, Slots: some, Peer: g.node(s), NewGroup: g.freshGroup(), PeerGroup: g.freshGroup(), Stay: g.IntN(2) == 0,
			Action: []SlotAction{SetMigrating, SetImporting, SetStable, SetNode}[g.IntN(4)],
		}
		if c.Action == SetImporting || g.IntN(3) == 0 {
			c.Node, c.Peer = c.Peer, c.Node
		}
		return c
	case kind == 6 && len(s.Garbage) > 0:
		of := s.Garbage[g.IntN(len(s.Garbage))]
		return &GarbageGone{Group: of.Group, Slots: of.Slots, Epoch: of.Epoch - g.Uint64N(2)}
	}
	if len(s.Migrations) == 0 {
		return &EndMigration{Node: g.node(s), State: topology.Canceled}
	}
	m := s.Migrations[g.IntN(len(s.Migrations))]
	switch g.IntN(8) {
	case 0:
		return &EndMigration{ID: m.ID, State: topology.Failed, Text: "broken"}
	case 1:
		return &EndMigration{Node: g.node(s), Part: []topology.Face{"", topology.Import, topology.Export}[g.IntN(3)], State: topology.Canceled, Text: "asked for"}
	case 2:
		return &HandBack{ID: m.ID, Epoch: m.Epoch}
	case 3, 4:
		return &CompleteMigration{ID: m.ID, Epoch: m.Epoch - g.Uint64N(6)/5, Paused: 5, Stay: g.IntN(2) == 0}
	}
	return &HandOver{ID: m.ID}
}

// start begins migrations of the shard's slots.
func (g *generator) start(s *State, shard *ShardRecord, some Slots) Change {
	job := func(slots Slots) MigrationJob {
		return MigrationJob{ID: topology.MigrationID(1 + g.IntN(1000)), Slots: slots, Target: g.node(s), NewGroup: g.freshGroup()}
	}
	if g.IntN(2) == 0 {
		return &StartMigration{Node: g.node(s), Face: topology.Import, Jobs: []MigrationJob{job(some)}}
	}
	c := &StartMigration{Node: shard.Master, Face: topology.Export, Jobs: []MigrationJob{job(some)}}
	if g.IntN(2) == 0 {
		_, more := g.owned(s)
		c.Jobs = append(c.Jobs, job(more))
	}
	return c
}
