package multiraft

import (
	"slices"
)

// labCall is a Call that watches over itself.
type labCall struct {
	Call
	lab     *lab
	node    *labNode
	host    *Host // the process that it was given to
	replica *labReplica
	group   GroupID
	value   uint64 // 0: a barrier
	asked   int64  // ticks of the host
	// floor is what a barrier must see: the place of the last write that was
	// acknowledged, and of whatever was read, before it was asked.
	floor uint64
	seen  uint64
	ended int
}

// Done implements Call's Done.
func (c *labCall) Done() {
	c.ended++
	if m := c.replica.machine; m != nil {
		c.seen = m.applied
	}
	c.lab.note("end", c.node.id, c.value, c.Err, c.seen)
}

func (l *lab) call(n *labNode, group GroupID, value uint64) *labCall {
	c := &labCall{
		lab: l, node: n, host: n.host, replica: n.replicas[group], group: group, value: value, asked: n.host.ticks,
	}
	c.Call.Done = c
	if value != 0 {
		c.Payload = payload(value)
	}
	l.calls = append(l.calls, c)
	return c
}

// write submits a value; barrier asks for a barrier. Neither waits.
func (l *lab) write(n *labNode, group GroupID, value uint64) *labCall {
	c := l.call(n, group, value)
	c.replica.group.Submit(&c.Call)
	return c
}

func (l *lab) barrier(n *labNode, group GroupID) *labCall {
	c := l.call(n, group, 0)
	c.replica.group.Barrier(&c.Call)
	return c
}

// finish waits for the end of calls and fails unless each ended once.
func (l *lab) finish(calls ...*labCall) {
	l.t.Helper()
	l.until("the end of the calls", func() bool {
		return !slices.ContainsFunc(calls, func(c *labCall) bool { return c.ended == 0 })
	})
	l.ticks(3)
	for _, c := range calls {
		if c.ended != 1 {
			l.t.Errorf("a call ended %d times", c.ended)
		}
	}
}
