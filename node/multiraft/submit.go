package multiraft

import (
	"fmt"
)

// Submit queues writes in order. Each call ends once: see Call.
func (g *Group) Submit(calls ...*Call) {
	if g.applier.machine == nil || !g.leading() {
		endAll(calls, ErrNotLeader)
		return
	}
	from := 0 // of what may be proposed
	for i, c := range calls {
		if err := g.check(c); err != nil {
			g.hand(calls[from:i])
			c.end(err)
			from = i + 1
		}
	}
	g.hand(calls[from:])
}

// hand gives writes to the loop.
func (g *Group) hand(calls []*Call) {
	if len(calls) > 0 && !g.host.inbox.addCalls(g, false, calls...) {
		endAll(calls, ErrClosed)
	}
}

// check returns why a call's payload must not get into the log: what stands there
// has to fit wherever entries go, and is read by everybody who applies it. It takes
// down what the payload weighs.
func (g *Group) check(c *Call) (err error) {
	if len(c.Payload) > MaxPayload {
		return fmt.Errorf("%w: %w", ErrRefused, ErrTooLarge)
	}
	if c.weight, err = g.applier.machine.Check(c.Payload); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// Barrier ends the call once this member has applied everything that was
// acknowledged before. On a member that does not lead that works in prompt
// groups only.
func (g *Group) Barrier(call *Call) {
	if !g.prompt && !g.leading() {
		call.end(ErrNotLeader)
		return
	}
	if !g.host.inbox.addCalls(g, true, call) {
		call.end(ErrClosed)
	}
}
