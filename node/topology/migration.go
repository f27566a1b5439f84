package topology

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/genuineh/aikv/node/slot"
)

// MigrationID names a migration for good: a random number.
type MigrationID uint64

// String returns the id as 40 hex digits, as the commands show it; see
// NodeID.String.
func (id MigrationID) String() string { return forty(uint64(id)) }

// ErrBadMigrationID is returned for text that is no id of a migration.
var ErrBadMigrationID = errors.New("topology: not the id of a migration")

// ParseMigrationID reads what MigrationID.String wrote.
func ParseMigrationID(s string) (MigrationID, error) {
	if len(s) != 40 {
		return 0, ErrBadMigrationID
	}
	n, err := strconv.ParseUint(s[:numberDigits], 16, 64)
	if err != nil || n == 0 || MigrationID(n).String() != s {
		return 0, ErrBadMigrationID
	}
	return MigrationID(n), nil
}

// Face is the family of commands by which a migration was asked for. It decides in
// whose words a refusal is said.
type Face string

const (
	// Import is CLUSTER MIGRATION IMPORT, which the destination is sent.
	Import Face = "import"
	// Export is CLUSTER MIGRATESLOTS, which the source is sent.
	Export Face = "export"
)

// MigrationState is how far a migration has come. One that has ended stays as it is.
type MigrationState string

// A migration is copying until it is handed over, and may go back from that. The
// other three are ends.
const (
	Copying     MigrationState = "copying"
	HandingOver MigrationState = "handover"
	Completed   MigrationState = "completed"
	Failed      MigrationState = "failed"
	Canceled    MigrationState = "canceled"
)

// Migration moves slots with their keys from one shard to another.
type Migration struct {
	ID       MigrationID
	Slots    slot.Set
	From, To GroupID
	// Source and Dest were the masters of the two shards when it began.
	Source, Dest NodeID
	Face         Face
	State        MigrationState
	// Error says why it failed or was cancelled.
	Error string
	// Retries counts the times that it was handed back.
	Retries int
	// Epoch is the slot epoch of the hand-over that is under way, or by which it was
	// completed; else 0.
	Epoch uint64
	// Created, Changed (its state) and Ended are unix ms; Ended is 0 while it is active.
	Created, Changed, Ended int64
	// Paused is for how many ms nobody could write to the slots.
	Paused int64
}

// Active reports whether it has not ended.
func (m *Migration) Active() bool { return m.State == Copying || m.State == HandingOver }

// Garbage are records that a shard has of slots that moved away, or did not come after
// all. Nobody sees them. The shard's leader deletes them with what it has logged of
// those slots up to Epoch, and reports them gone.
type Garbage struct {
	Group GroupID
	Slots slot.Set
	Epoch uint64
}

// PartIn returns the part that this node has in a migration, or had when it began: Import
// for the destination's shard, Export for the source's, "" for none.
func (v *View) PartIn(m *Migration) Face {
	me := v.Me()
	switch {
	case m.Source == v.Self: // also if it has become a replica of the destination's
		return Export
	case m.Dest == v.Self:
		return Import
	case me == nil || me.Shard == nil:
		return ""
	case me.Shard.ID == m.To:
		return Import
	case me.Shard.ID == m.From:
		return Export
	default:
		return ""
	}
}

// moves returns how many migrations this node has a part in, and whether its shard still
// deletes what it has of slots that moved (1) or not (0).
func (v *View) moves() (active, trimmed int) {
	for _, m := range v.Migrations {
		if m.Active() && v.PartIn(m) != "" {
			active++
		}
	}
	if me := v.Me(); me != nil && me.Shard != nil && len(v.GarbageOf(me.Shard.ID)) > 0 {
		trimmed = 1
	}
	return active, trimmed
}

// MarkKind is what CLUSTER SETSLOT has opened a slot for.
type MarkKind uint8

const (
	// Stable slots are not open.
	Stable MarkKind = iota
	// Migrating slots are owned, and their keys are on the way to the peer.
	Migrating
	// Importing slots are not owned, and keys come from the peer.
	Importing
)

// Mark is a slot that CLUSTER SETSLOT has opened on a shard.
type Mark struct {
	Group GroupID
	Slot  uint16
	Kind  MarkKind
	Peer  NodeID // the other shard's present master
	Epoch uint64 // a slot epoch, which rises with every change of a mark
}

// compareMarks orders marks by group and slot.
func compareMarks(a, b Mark) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Slot, b.Slot))
}

// Marked returns what the slot is open for on the shard, and with whom.
func (v *View) Marked(group GroupID, slot uint16) (kind MarkKind, peer NodeID) {
	i, ok := slices.BinarySearchFunc(v.Marks, Mark{Group: group, Slot: slot}, compareMarks)
	if !ok {
		return Stable, 0
	}
	return v.Marks[i].Kind, v.Marks[i].Peer
}

// MarksOf returns the shard's marks, by slot.
func (v *View) MarksOf(group GroupID) []Mark {
	first, _ := slices.BinarySearchFunc(v.Marks, Mark{Group: group}, compareMarks)
	last, _ := slices.BinarySearchFunc(v.Marks, Mark{Group: group + 1}, compareMarks)
	if group+1 == 0 {
		last = len(v.Marks)
	}
	return v.Marks[first:last]
}

// Migration returns the migration with that id, nil if it is not known any more.
func (v *View) Migration(id MigrationID) *Migration {
	for _, m := range v.Migrations {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// GarbageOf returns the shard's garbage, by epoch.
func (v *View) GarbageOf(group GroupID) (garbage []*Garbage) {
	for _, g := range v.Garbage {
		if g.Group == group {
			garbage = append(garbage, g)
		}
	}
	return garbage
}
