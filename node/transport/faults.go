package transport

import (
	"context"
	"fmt"
	"slices"
)

// Faults cut this node off from others as a network would: what is sent is lost
// without a word, in one direction or in both. For tests only.
type Faults struct {
	To, From []uint64 // nodes that hear nothing from here, and that are not heard
}

// SetFaults replaces the faults; nil ends all. Calls to and from a node that is
// cut off in either direction get no answer, fetches break.
func (t *Transport) SetFaults(f *Faults) { t.faults.Store(f) }

// losesTo reports whether a frame to the node is lost.
func (t *Transport) losesTo(node uint64) bool {
	f := t.faults.Load()
	return f != nil && slices.Contains(f.To, node)
}

// losesFrom reports whether a frame from the node is lost.
func (t *Transport) losesFrom(node uint64) bool {
	f := t.faults.Load()
	return f != nil && slices.Contains(f.From, node)
}

// cutOff reports whether anything that needs an answer from the node is in vain.
func (t *Transport) cutOff(node uint64) bool { return t.losesTo(node) || t.losesFrom(node) }

// cutOffAt returns whether the node at an address is cut off.
func (t *Transport) cutOffAt(addr string) bool {
	if t.faults.Load() == nil {
		return false
	}
	for id, p := range *t.peers.Load() {
		if p.addr == addr && t.cutOff(id) {
			return true
		}
	}
	return false
}

// silence waits for an answer that never comes.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
}
