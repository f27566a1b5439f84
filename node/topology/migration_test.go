package topology

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMigrationID(t *testing.T) {
	for _, id := range []MigrationID{1, 1 << 32, 1<<64 - 1} {
		if got, err := ParseMigrationID(id.String()); err != nil || got != id {
			t.Errorf("ParseMigrationID(%s) = %s, %v", id, got, err)
		}
	}
	good := MigrationID(0xfedc_ba98_7654_3210).String()
	for _, bad := range []string{"", "1", strings.Repeat("0", 40), good[:39] + "9", strings.ToUpper(good), "+" + good[1:], good + "0"} {
		if got, err := ParseMigrationID(bad); err == nil {
			t.Errorf("ParseMigrationID(%q) = %s", bad, got)
		}
	}
}

func TestMarks(t *testing.T) {
	const last = GroupID(1<<64 - 1)
	v := &View{Marks: []Mark{
		{Group: 5, Slot: 7, Kind: Migrating, Peer: 2},
		{Group: 6, Slot: 0, Kind: Importing, Peer: 3},
		{Group: 6, Slot: 16383, Kind: Migrating, Peer: 4},
		{Group: last, Slot: 7, Kind: Importing, Peer: 5},
	}}
	for _, want := range v.Marks {
		if kind, peer := v.Marked(want.Group, want.Slot); kind != want.Kind || peer != want.Peer {
			t.Errorf("slot %d on shard %d: %d, %d", want.Slot, want.Group, kind, peer)
		}
	}
	for _, none := range []Mark{{Group: 5, Slot: 6}, {Group: 5, Slot: 8}, {Group: 6, Slot: 7}, {Group: 7}, {Group: last, Slot: 8}} {
		if kind, peer := v.Marked(none.Group, none.Slot); kind != Stable || peer != 0 {
			t.Errorf("slot %d on shard %d: %d, %d", none.Slot, none.Group, kind, peer)
		}
	}
	for group, want := range map[GroupID][]Mark{4: nil, 5: v.Marks[:1], 6: v.Marks[1:3], 7: nil, last: v.Marks[3:]} {
		if got := v.MarksOf(group); !slices.Equal(got, want) {
			t.Errorf("marks of shard %d: %v", group, got)
		}
	}
}

func TestMigrationsAndGarbage(t *testing.T) {
	v := &View{
		Migrations: []*Migration{{ID: 7, State: Copying}, {ID: 9, State: HandingOver}, {ID: 8, State: Completed}},
		Garbage:    []*Garbage{{Group: 5, Epoch: 1}, {Group: 5, Epoch: 3}, {Group: 6, Epoch: 2}},
	}
	if m := v.Migration(9); m != v.Migrations[1] || !m.Active() {
		t.Errorf("migration 9: %+v", m)
	}
	if m := v.Migration(8); m == nil || m.Active() || v.Migration(1) != nil {
		t.Errorf("migration 8: %+v", m)
	}
	if got := v.GarbageOf(5); len(got) != 2 || got[1] != v.Garbage[1] || v.GarbageOf(7) != nil {
		t.Errorf("garbage of shard 5: %v", got)
	}
}
