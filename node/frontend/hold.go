package frontend

import (
	"context"
	"sync"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
)

// holds are the keys that MIGRATE is copying elsewhere: writes to them wait until it is
// done, so that what it deletes is what it has copied. In Redis all clients wait.
// Only the leader takes writes, so it is enough that its front end knows. If another node
// comes to lead meanwhile, the versions of the keys tell.
//
// Who waits here does so for as long as MIGRATE takes, which its timeout bounds.
type holds struct {
	// passing is held for reading while writes are looked at and submitted: so whoever
	// has held keys knows that every write to them was submitted before, or waits.
	passing sync.RWMutex
	keys    map[string]struct{}
	slots   map[uint16]int // how many MIGRATEs hold keys of it
	freed   chan struct{}  // closed when keys are given back; nil: nobody waits
}

// take holds keys of a slot, as soon as nobody else does.
func (h *holds) take(ctx context.Context, keySlot uint16, keys [][]byte) error {
	for {
		freed := h.tryTake(keySlot, keys)
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return errClosing
		}
	}
}

func (h *holds) tryTake(keySlot uint16, keys [][]byte) (freed <-chan struct{}) {
	h.passing.Lock()
	defer h.passing.Unlock()
	for _, key := range keys {
		if _, held := h.keys[string(key)]; held {
			return h.wait()
		}
	}
	if h.keys == nil {
		h.keys, h.slots = make(map[string]struct{}), make(map[uint16]int)
	}
	for _, key := range keys {
		h.keys[string(key)] = struct{}{}
	}
	h.slots[keySlot]++
	return nil
}

// give gives back what take has held.
func (h *holds) give(keySlot uint16, keys [][]byte) {
	h.passing.Lock()
	defer h.passing.Unlock()
	for _, key := range keys {
		delete(h.keys, string(key))
	}
	if h.slots[keySlot]--; h.slots[keySlot] == 0 {
		delete(h.slots, keySlot)
	}
	if h.freed != nil {
		close(h.freed)
		h.freed = nil
	}
}

// wait returns what is closed when something is given back. passing is held.
func (h *holds) wait() <-chan struct{} {
	if h.freed == nil {
		h.freed = make(chan struct{})
	}
	return h.freed
}

// submit submits the calls of ops, as soon as none of the keys that they write is held.
func (h *holds) submit(ops []op, replica Replica, calls []*multiraft.Call) {
	for !h.trySubmit(ops, replica, calls) {
		h.passing.Lock()
		freed := (<-chan struct{})(nil)
		if h.concern(ops) {
			freed = h.wait()
		}
		h.passing.Unlock()
		if freed != nil {
			<-freed
		}
	}
}

func (h *holds) trySubmit(ops []op, replica Replica, calls []*multiraft.Call) bool {
	h.passing.RLock()
	defer h.passing.RUnlock()
	if len(h.slots) > 0 && h.concern(ops) {
		return false
	}
	replica.Submit(calls...)
	return true
}

// concern reports whether one of the ops may write to keys that are held: a transaction,
// if they are of its slot, and FLUSHALL. passing is held.
func (h *holds) concern(ops []op) bool {
	for i := range ops {
		o := &ops[i]
		switch {
		case o.cmd == nil:
		case !o.keyed:
			if len(h.slots) > 0 {
				return true
			}
		case h.slots[o.slot] == 0:
		case o.transaction != nil || h.hold(o.cmd, o.args):
			return true
		}
	}
	return false
}

// hold reports whether one of the keys of a command is held. passing is held.
func (h *holds) hold(cmd *command.Command, args [][]byte) (held bool) {
	cmd.EachKey(args, func(k command.Key) bool {
		_, held = h.keys[string(k.Name)]
		return !held
	})
	return held
}
