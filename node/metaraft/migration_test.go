package metaraft

import (
	"fmt"
	"os"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// TestStateWithoutMoves: a state of the time before slots moved is opened, and goes on.
func TestStateWithoutMoves(t *testing.T) {
	data, err := os.ReadFile("testdata/states/before-moves.json")
	if err != nil {
		t.Fatal(err)
	}
	m := &testMachine{store: storage.NewMemory()}
	var b storage.Batch
	b.Put(stateKey, append([]byte{formatJSON}, data...))
	if err := m.store.Write(&b); err != nil {
		t.Fatal(err)
	}
	m.restart(t)
	for _, broken := range violations(m.State()) {
		t.Error(broken)
	}
	if v := m.View(1); len(v.Nodes) != 3 || v.Assigned() != 198 || len(v.Intents) != 1 || len(v.Migrations)+len(v.Garbage)+len(v.Marks) != 0 {
		t.Errorf("view %+v", v)
	}
	m.must(t, &Sealed{Intent: 2, Group: 11})
	start := &StartMigration{Node: 3, Face: topology.Import, Jobs: []MigrationJob{{ID: 7, Slots: Slots{slotRange(20, 30)}, NewGroup: 33}}}
	m.must(t, start)
	epoch := m.must(t, &HandOver{ID: 7}).Epoch
	m.must(t, &CompleteMigration{ID: 7, Epoch: epoch})
	m.restart(t)
	if got := m.View(1).Shard(33).Slots.String(); got != "20-30" || len(m.State().Garbage) != 1 {
		t.Errorf("slots %s, garbage %v", got, m.State().Garbage)
	}
}

// TestEndedMigrationsAreForgotten: the last ones stay, and the active ones.
func TestEndedMigrationsAreForgotten(t *testing.T) {
	m := newTestMachine(t)
	m.masters(t)
	start := func(id topology.MigrationID, n uint16) {
		m.must(t, &StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{{ID: id, Slots: Slots{slots(n)}, Target: 2}}})
	}
	start(1000, 99)
	for i := range endedMigrations + 5 {
		start(topology.MigrationID(i+1), uint16(i))
		m.must(t, &EndMigration{ID: topology.MigrationID(i + 1), State: topology.Canceled})
	}
	start(1001, 98)
	v := m.View(1)
	if len(v.Migrations) != endedMigrations+2 || v.Migrations[0].ID != 1000 || v.Migrations[1].ID != 1001 {
		t.Fatalf("%d migrations, the first %+v", len(v.Migrations), v.Migrations[0])
	}
	for i, shown := range v.Migrations[2:] { // the latest first
		if want := topology.MigrationID(endedMigrations + 5 - i); shown.ID != want || shown.Active() {
			t.Errorf("at %d: %+v, want %d", i, shown, want)
		}
	}
	if v.Migration(5) != nil || v.Migration(6) == nil {
		t.Error("others were forgotten than the oldest")
	}
}

// TestLateReportsOfGarbage: a report that is older than the garbage says nothing of it.
func TestLateReportsOfGarbage(t *testing.T) {
	m := newTestMachine(t)
	m.masters(t)
	cancelled := func(id topology.MigrationID) (epoch uint64) {
		m.must(t, &StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{{ID: id, Slots: Slots{slotRange(5, 9)}, Target: 2}}})
		m.must(t, &EndMigration{ID: id, State: topology.Canceled})
		return m.State().Garbage[0].Epoch
	}
	first := cancelled(1)
	gone := &GarbageGone{Group: 22, Slots: Slots{slotRange(5, 9)}, Epoch: first}
	m.must(t, gone)
	if second := cancelled(2); second <= first || len(m.State().Garbage) != 1 {
		t.Fatalf("garbage up to %d after %d", second, first)
	}
	m.must(t, gone)
	if _, ok := m.State().garbageIn(22, &gone.Slots.Set); !ok {
		t.Error("a late report of the first garbage ended the second")
	}
}

// TestLongReasons: what went wrong is one line of bounded length, and valid text.
func TestLongReasons(t *testing.T) {
	m := newTestMachine(t)
	m.masters(t)
	text := "a\r\nbc"
	for range maxReason {
		text += "é"
	}
	m.must(t, &StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{{ID: 1, Slots: Slots{slots(5)}, Target: 2}}})
	m.must(t, &EndMigration{State: topology.Failed, Text: text})
	got := m.State().Migrations[0].Error
	if len(got) > maxReason || got[:len("a bcé")] != "a bcé" || fmt.Sprintf("%q", got) != `"`+got+`"` {
		t.Errorf("the reason is %q", got)
	}
	checkEncoding(t, m.State(), encoded(t, m.State()))
}

// TestNothingElseGivesMovingSlots: while slots move, no other way gives them to anybody.
func TestNothingElseGivesMovingSlots(t *testing.T) {
	m := newTestMachine(t)
	m.masters(t)
	moving := Slots{slot.FromRanges([]slot.Range{{Start: 5, End: 9}})}
	m.must(t, &StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{{ID: 1, Slots: moving, Target: 2}}})
	for range 2 {
		for _, c := range []Change{
			&AddSlots{Node: 3, Slots: moving, NewGroup: 33},
			&SetSlot{Node: 1, Slots: moving, Action: SetNode, Peer: 2},
			&SetSlot{Node: 1, Slots: moving, Action: SetMigrating, Peer: 2},
			&SetSlot{Node: 2, Slots: moving, Action: SetImporting, Peer: 1},
			&StartMigration{Node: 3, Face: topology.Import, Jobs: []MigrationJob{{ID: 2, Slots: moving, NewGroup: 33}}},
			&StartMigration{Node: 1, Face: topology.Export, Jobs: []MigrationJob{{ID: 2, Slots: moving, Target: 3, NewGroup: 33}}},
		} {
			if o := m.propose(t, Proposal{Change: c}); o.Error == "" {
				t.Errorf("%s: %+v", c.Kind(), o)
			}
		}
		m.must(t, &HandOver{ID: 1})
	}
}
