package shard

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/genuineh/aikv/node/slot"
)

// Mark is what CLUSTER SETSLOT has said of a slot at this shard.
type Mark uint8

// The marks. Numbers are stored.
const (
	MarkStable    Mark = 0 // nothing
	MarkMigrating Mark = 1 // its keys go to another shard one by one
	MarkImporting Mark = 2 // they come from another one
)

// String returns the name that CLUSTER SETSLOT has for the mark.
func (m Mark) String() string {
	switch m {
	case MarkStable:
		return "stable"
	case MarkMigrating:
		return "migrating"
	case MarkImporting:
		return "importing"
	default:
		return fmt.Sprintf("mark(%d)", uint8(m))
	}
}

// marked is a slot's mark and the epoch that it is of.
type marked struct {
	mark  Mark
	epoch uint64
}

// marks are those of all slots that have ever been marked. A map of them does not change:
// a change makes another one.
type marks map[uint16]marked

// marksName is the named record that holds the marks.
const marksName = "marks"

// change marks slots, and returns the marks as they are then, and of which slots that is
// news.
func (m marks) change(slots *slot.Set, mark Mark, epoch uint64) (next marks, changed slot.Set) {
	for n := range slots.All {
		if m[n].epoch >= epoch {
			continue
		}
		if next == nil {
			if next = maps.Clone(m); next == nil {
				next = make(marks)
			}
		}
		next[n] = marked{mark, epoch}
		changed.Add(n)
	}
	if next == nil {
		return m, changed
	}
	return next, changed
}

// Marks are stored as a format byte and, for each slot in order, the slot (two bytes),
// the mark (one), and its epoch as a uvarint.
const marksFormat = 1

func (m marks) encode() []byte {
	b := []byte{marksFormat}
	for _, n := range slices.Sorted(maps.Keys(m)) {
		b = append(binary.BigEndian.AppendUint16(b, n), byte(m[n].mark))
		b = binary.AppendUvarint(b, m[n].epoch)
	}
	return b
}

func decodeMarks(b []byte) (marks, error) {
	bad := fmt.Errorf("marks: %w", errRecord)
	if len(b) == 0 || b[0] != marksFormat {
		return nil, bad
	}
	m := make(marks)
	for b = b[1:]; len(b) > 0; {
		const fixed = 3
		if len(b) < fixed || binary.BigEndian.Uint16(b) >= slot.Count || b[2] > byte(MarkImporting) {
			return nil, bad
		}
		epoch, size := binary.Uvarint(b[fixed:])
		if size <= 0 {
			return nil, bad
		}
		m[binary.BigEndian.Uint16(b)] = marked{Mark(b[2]), epoch}
		b = b[fixed+size:]
	}
	return m, nil
}

// Marked returns a slot's mark, and the epoch of its last change, 0 if it was never
// marked, as of the last applied entry.
func (m *Machine) Marked(s uint16) (mark Mark, epoch uint64) {
	at := (*m.published.Load())[s]
	return at.mark, at.epoch
}

// Marks returns the slots that are marked as other than stable, as of the last applied
// entry.
func (m *Machine) Marks() (slots slot.Set) {
	for n, at := range *m.published.Load() {
		if at.mark != MarkStable {
			slots.Add(n)
		}
	}
	return slots
}
