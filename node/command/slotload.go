package command

import (
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// SlotLoad counts what the commands on keys of each slot have cost the node that ran
// them. All methods may be called concurrently.
type SlotLoad struct{ slots [slot.Count]slotLoad }

type slotLoad struct{ cpu, in, out atomic.Int64 }

// SlotUse is what SlotLoad has counted of a slot: for how long commands ran, and the
// bytes of the commands and of the replies to them.
type SlotUse struct {
	CPU     time.Duration
	In, Out int64
}

// Add counts what a command has cost.
func (l *SlotLoad) Add(s uint16, use SlotUse) {
	n := &l.slots[s]
	n.cpu.Add(int64(use.CPU))
	n.in.Add(use.In)
	if use.Out > 0 {
		n.out.Add(use.Out)
	}
}

// Use returns what was counted of a slot.
func (l *SlotLoad) Use(s uint16) SlotUse {
	n := &l.slots[s]
	return SlotUse{CPU: time.Duration(n.cpu.Load()), In: n.in.Load(), Out: n.out.Load()}
}

// Forget sets the counts of a slot to zero.
func (l *SlotLoad) Forget(s uint16) {
	n := &l.slots[s]
	n.cpu.Store(0)
	n.in.Store(0)
	n.out.Store(0)
}
