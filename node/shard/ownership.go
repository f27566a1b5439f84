package shard

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/genuineh/aikv/node/slot"
)

// slotState is what the shard knows of a slot: the epoch of its last change of
// hands, shifted left by one, and in the lowest bit whether the shard owns it.
type slotState uint64

func newSlotState(owned bool, epoch uint64) slotState {
	s := slotState(epoch << 1)
	if owned {
		s |= 1
	}
	return s
}

func (s slotState) owned() bool   { return s&1 != 0 }
func (s slotState) epoch() uint64 { return uint64(s >> 1) }

// ownership is the table of slots. The applier changes it; anyone may read it.
type ownership struct {
	slots [slot.Count]atomic.Uint64
	// changes counts the times that slots have changed, each before it shows.
	changes atomic.Uint64
}

func (o *ownership) at(s uint16) slotState { return slotState(o.slots[s].Load()) }

// slotAt is a slot and its state at some moment.
type slotAt struct {
	slot  uint16
	state slotState
}

// addSlot adds a slot to those whose state will be remembered.
func addSlot(slots []slotAt, s uint16) []slotAt {
	for i := range slots {
		if slots[i].slot == s {
			return slots
		}
	}
	return append(slots, slotAt{slot: s})
}

// remember notes the present states of slots.
func (o *ownership) remember(slots []slotAt) {
	for i := range slots {
		slots[i].state = o.at(slots[i].slot)
	}
}

// owned reports whether all the slots were owned when they were remembered.
func owned(slots []slotAt) bool {
	for i := range slots {
		if !slots[i].state.owned() {
			return false
		}
	}
	return true
}

// unchanged reports whether the slots have been as they are remembered ever since.
func (o *ownership) unchanged(slots []slotAt) bool {
	for i := range slots {
		if o.at(slots[i].slot) != slots[i].state {
			return false
		}
	}
	return true
}

// slotTable is the applier's own copy, which runs ahead of the published one
// while a transaction is open.
type slotTable [slot.Count]slotState

func (t *slotTable) owns(s uint16) bool { return t[s].owned() }

// owner tells commands of the log what their shard owns.
type owner struct{ table *slotTable }

// Owns reports whether the shard owns the slot.
func (o owner) Owns(s uint16) bool { return o.table.owns(s) }

// change applies an own or seal record and reports whether anything changed.
func (t *slotTable) change(r record) (changed bool) {
	for _, run := range r.ranges {
		for n := int(run.Start); n <= int(run.End); n++ {
			if r.epoch > t[n].epoch() {
				t[n] = newSlotState(r.kind == kindOwn, r.epoch)
				changed = true
			}
		}
	}
	return changed
}

// publishSeals shows readers every slot that the table does not own, publish
// all of it. See Machine.Apply for when.
func (o *ownership) publishSeals(t *slotTable) {
	o.changes.Add(1)
	for n, s := range t {
		if !s.owned() {
			o.slots[n].Store(uint64(s))
		}
	}
}

func (o *ownership) publish(t *slotTable) {
	o.changes.Add(1)
	for n, s := range t {
		o.slots[n].Store(uint64(s))
	}
}

// The table is stored as a format byte and runs of slots in the same state: the
// run's length and the state, both uvarints.
const tableFormat = 1

func (t *slotTable) encode() []byte {
	b := []byte{tableFormat}
	for start := 0; start < slot.Count; {
		end := start + 1
		for end < slot.Count && t[end] == t[start] {
			end++
		}
		b = binary.AppendUvarint(b, uint64(end-start))
		b = binary.AppendUvarint(b, uint64(t[start]))
		start = end
	}
	return b
}

func decodeSlotTable(b []byte) (*slotTable, error) {
	if len(b) == 0 || b[0] != tableFormat {
		return nil, fmt.Errorf("slot table: %w", errRecord)
	}
	b = b[1:]
	t := new(slotTable)
	n := 0
	for n < slot.Count {
		length, size := binary.Uvarint(b)
		if size <= 0 || length == 0 || length > uint64(slot.Count-n) {
			return nil, fmt.Errorf("slot table: %w", errRecord)
		}
		b = b[size:]
		state, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, fmt.Errorf("slot table: %w", errRecord)
		}
		b = b[size:]
		for range length {
			t[n] = slotState(state)
			n++
		}
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("slot table: %w", errRecord)
	}
	return t, nil
}
