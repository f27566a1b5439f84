package frontend

import (
	"github.com/genuineh/aikv/node/command"
)

// inspection says what is looked at of every command beside its call and its latency. It
// never changes: a new one takes its place. nil: nothing is.
type inspection struct {
	// load counts what commands cost, by slot; nil: nobody counts.
	load *command.SlotLoad
}

// times reports whether somebody wants to know for how long a command runs.
func (i *inspection) times(*command.Command) bool { return i != nil && i.load != nil }

// CountSlots switches on or off that commands are counted by the slots of their keys.
// What was counted before is forgotten.
func (s *Server) CountSlots(on bool) {
	s.change(func(i *inspection) {
		if i.load = nil; on {
			i.load = new(command.SlotLoad)
		}
	})
}

// SlotLoad implements command.Sessions.
func (s *Server) SlotLoad() *command.SlotLoad {
	if i := s.inspection.Load(); i != nil {
		return i.load
	}
	return nil
}

// change makes another inspection of the present one.
func (s *Server) change(edit func(i *inspection)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := inspection{}
	if now := s.inspection.Load(); now != nil {
		next = *now
	}
	edit(&next)
	if next == (inspection{}) {
		s.inspection.Store(nil)
		return
	}
	s.inspection.Store(&next)
}

// inspect looks at a command that was executed and answered; before is the output's
// count of replies before that.
func (c *conn) inspect(i *inspection, o *op, before int64) {
	if o.cmd == nil {
		return
	}
	o.answered = int(c.out.answered - before)
	if i.load != nil && o.keyed {
		use := command.SlotUse{CPU: o.took, In: int64(o.size), Out: int64(o.answered)}
		if o.transaction != nil {
			use.In += multiSize
		}
		i.load.Add(o.slot, use)
	}
}

// multiSize is what MULTI takes, which has no slot: its transaction's counts it.
const multiSize = int64(len("*1\r\n$5\r\nmulti\r\n"))

// inspectQueued looks at a command that was queued.
func (c *conn) inspectQueued(d demand) {
	if i := c.server.inspection.Load(); i != nil && i.load != nil && d.keyed {
		i.load.Add(d.slot, command.SlotUse{In: int64(c.in.frame)})
	}
}

// forgetLost forgets what was counted of slots that the node's shard does not own.
func (s *Server) forgetLost() {
	load := s.SlotLoad()
	if load == nil {
		return
	}
	v := s.opts.Backend.LocalView()
	me := v.Me()
	for n, owner := range &v.Owner {
		if owner == nil || me == nil || owner != me.Shard {
			load.Forget(uint16(n))
		}
	}
}
