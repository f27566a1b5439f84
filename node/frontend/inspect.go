package frontend

import (
	"time"

	"github.com/genuineh/aikv/node/command"
)

// inspection says what is looked at of every command beside its call and its latency. It
// never changes: a new one takes its place.
type inspection struct {
	// load counts what commands cost, by slot; nil: nobody counts.
	load *command.SlotLoad
	// thresholds are the microseconds or bytes from which on commands are logged, by the
	// kind of log; negative: none are.
	thresholds [command.LogKinds]int64
}

// noInspection looks at nothing.
func noInspection() *inspection {
	return &inspection{thresholds: [command.LogKinds]int64{-1, -1, -1}}
}

// closely is the threshold of the slow log below which every command is timed: those
// that are fast by their row are not expected to take any longer.
const closely = 1000 // microseconds

// times reports whether somebody wants to know for how long a command runs.
func (i *inspection) times(cmd *command.Command) bool {
	slow := i.thresholds[command.LogSlow]
	return i.load != nil || slow >= 0 && (slow < closely || cmd != nil && cmd.Flags&command.FlagFast == 0)
}

// Log implements command.Sessions.
func (s *Server) Log(kind command.LogKind) *command.CommandLog { return &s.logs[kind] }

// SetLogThreshold says from how many microseconds or bytes on a kind of log has commands;
// negative: it has none.
func (s *Server) SetLogThreshold(kind command.LogKind, from int64) {
	s.change(func(i *inspection) { i.thresholds[kind] = from })
}

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
	return s.inspection.Load().load
}

// change makes another inspection of the present one.
func (s *Server) change(edit func(i *inspection)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.inspection.Load()
	edit(&next)
	s.inspection.Store(&next)
}

// inspect looks at a command that was executed and answered; before is the output's
// count of replies before that.
func (c *conn) inspect(i *inspection, o *op, before int64) {
	if o.cmd == nil {
		return
	}
	answered := int(c.out.answered - before)
	if i.load != nil && o.keyed {
		use := command.SlotUse{CPU: o.took, In: int64(o.size), Out: int64(answered)}
		if o.transaction != nil {
			use.In += multiSize
		}
		i.load.Add(o.slot, use)
	}
	c.log(i, executed{cmd: o.cmd, args: o.args, took: o.took, request: o.size, reply: answered})
	if slow := i.thresholds[command.LogSlow]; o.transaction != nil && slow >= 0 && o.took.Microseconds() >= slow {
		c.logQueued(i, o)
	}
}

// executed is what logs know of a command.
type executed struct {
	cmd            *command.Command
	args           [][]byte
	took           time.Duration
	request, reply int // bytes
}

// log has the logs remember a command that reaches their thresholds.
func (c *conn) log(i *inspection, e executed) {
	costs := [command.LogKinds]int64{e.took.Microseconds(), int64(e.request), int64(e.reply)}
	for kind, from := range &i.thresholds {
		if from < 0 || costs[kind] < from || e.cmd.Flags&command.FlagSkipSlowlog != 0 {
			continue
		}
		c.server.logs[kind].Add(command.LogEntry{
			At: c.server.opts.Now(), Cost: costs[kind], Args: e.cmd.Redacted(e.args), Addr: c.session.Addr, Name: c.session.Name(),
		})
	}
}

// logQueued has the slow log remember what ran long in a transaction.
func (c *conn) logQueued(i *inspection, o *op) {
	commands, err := command.DecodeTransaction(o.transaction.payload)
	if err != nil || commands.SkipWatched() != nil {
		return
	}
	laps := o.laps
	for _, cmd := range o.transaction.queued {
		if cmd.Local != nil || len(laps) == 0 {
			continue
		}
		args, more, err := commands.Command(nil)
		if !more || err != nil {
			return
		}
		only := *i
		only.thresholds[command.LogLargeRequest], only.thresholds[command.LogLargeReply] = -1, -1
		c.log(&only, executed{cmd: cmd, args: args, took: laps[0]})
		laps = laps[1:]
	}
}

// multiSize is what MULTI takes, which has no slot: its transaction's counts it.
const multiSize = int64(len("*1\r\n$5\r\nmulti\r\n"))

// inspectQueued looks at a command that was queued.
func (c *conn) inspectQueued(d demand) {
	if i := c.server.inspection.Load(); i.load != nil && d.keyed {
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
