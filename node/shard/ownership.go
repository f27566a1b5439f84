package shard

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/genuineh/aikv/node/slot"
)

// slotState is what the shard knows of a slot: the epoch of its last change of
// hands, shifted left by three, the slot's mark above the lowest bit, and in that
// whether the shard owns it.
type slotState uint64

const (
	stateOwned   = 1
	markShift    = 1
	stateMark    = 3 << markShift
	epochShift   = 3
	settledOwner = stateOwned // of an owned slot without a mark: these bits of the state
)

func newSlotState(owned bool, epoch uint64) slotState {
	s := slotState(epoch << epochShift)
	if owned {
		s |= stateOwned
	}
	return s
}

func (s slotState) owned() bool   { return s&stateOwned != 0 }
func (s slotState) epoch() uint64 { return uint64(s >> epochShift) }
func (s slotState) mark() Mark    { return Mark(s & stateMark >> markShift) }

// plain reports whether the shard owns the slot, and no mark needs a look.
func (s slotState) plain() bool { return s&(stateOwned|stateMark) == settledOwner }

// marked returns the state with another mark.
func (s slotState) marked(m Mark) slotState { return s&^stateMark | slotState(m)<<markShift }

// opens reports whether commands on the slot may run: the shard owns it, or imports it
// by a mark and the command came behind ASKING.
func (s slotState) opens(asking bool) bool {
	return s.owned() || asking && s.mark() == MarkImporting
}

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

// at returns the state of a slot among those that were remembered.
func at(slots []slotAt, s uint16) (state slotState) {
	for i := range slots {
		if slots[i].slot == s {
			return slots[i].state
		}
	}
	return state
}

// unchanged reports whether the slots have been in the same hands ever since they were
// remembered.
func (o *ownership) unchanged(slots []slotAt) bool {
	for i := range slots {
		if o.at(slots[i].slot).marked(MarkStable) != slots[i].state.marked(MarkStable) {
			return false
		}
	}
	return true
}

// slotTable is the applier's own copy, which runs ahead of the published one
// while a transaction is open.
type slotTable [slot.Count]slotState

// owner tells commands of the log what their shard owns.
type owner struct{ table *slotTable }

// Owns reports whether the shard owns the slot.
func (o owner) Owns(s uint16) bool { return o.table[s].owned() }

// change has slots owned or sealed by an epoch, and returns those of which that is news.
func (t *slotTable) change(slots *slot.Set, owned bool, epoch uint64) (changed slot.Set) {
	for n := range slots.All {
		if epoch > t[n].epoch() {
			t[n] = newSlotState(owned, epoch).marked(t[n].mark())
			changed.Add(n)
		}
	}
	return changed
}

// older returns those of slots whose epoch is below epoch.
func (t *slotTable) older(slots *slot.Set, epoch uint64) (older slot.Set) {
	for n := range slots.All {
		if t[n].epoch() < epoch {
			older.Add(n)
		}
	}
	return older
}

// publishSeals shows readers every slot that the table does not own, and every one that
// migrates from now on; publish shows all of it. See Machine.Apply for when.
func (o *ownership) publishSeals(t *slotTable) {
	o.changes.Add(1)
	for n, s := range t {
		switch {
		case !s.owned():
			o.slots[n].Store(uint64(s))
		case s.mark() == MarkMigrating:
			o.slots[n].Store(uint64(o.at(uint16(n)).marked(MarkMigrating)))
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
// run's length, and the epoch, shifted left by one, with in the lowest bit whether the
// shard owns them; both are uvarints. Marks are stored beside it.
const tableFormat = 1

func (s slotState) stored() uint64 { return s.epoch()<<1 | uint64(s&stateOwned) }

func (t *slotTable) encode() []byte {
	b := []byte{tableFormat}
	for start := 0; start < slot.Count; {
		end := start + 1
		for end < slot.Count && t[end].stored() == t[start].stored() {
			end++
		}
		b = binary.AppendUvarint(b, uint64(end-start))
		b = binary.AppendUvarint(b, t[start].stored())
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
			t[n] = newSlotState(state&1 != 0, state>>1)
			n++
		}
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("slot table: %w", errRecord)
	}
	return t, nil
}
