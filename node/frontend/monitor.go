package frontend

import (
	"slices"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

const errMonitorInMulti = resp.Error("ERR MONITOR isn't allowed for DENY BLOCKING client")

// beginMonitor has the connection told of every command from now on, behind the reply to
// MONITOR. It is the Monitor of command.Env.
func (c *conn) beginMonitor() (begun bool, err error) {
	switch {
	case c.execing:
		return false, errMonitorInMulti
	case c.session.Monitors.Swap(true):
		return false, nil
	}
	c.out.backlog.hold()
	c.holding = true
	c.server.changeMonitors(func(list []*conn) []*conn { return append(list, c) })
	return true, nil
}

// endMonitor ends what beginMonitor has begun.
func (c *conn) endMonitor() {
	if c.session.Monitors.Swap(false) {
		c.server.changeMonitors(func(list []*conn) []*conn {
			return slices.DeleteFunc(list, func(other *conn) bool { return other == c })
		})
	}
}

// changeMonitors changes who is told of every command.
func (s *Server) changeMonitors(change func(list []*conn) []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*conn
	if now := s.monitors.Load(); now != nil {
		list = slices.Clone(*now)
	}
	if list = change(list); len(list) == 0 {
		s.monitors.Store(nil)
		return
	}
	s.monitors.Store(&list)
}

// show tells those who monitor of a command that is executed.
func (c *conn) show(cmd *command.Command, args [][]byte) {
	list := c.server.monitors.Load()
	if list == nil || cmd.Flags&(command.FlagSkipMonitor|command.FlagAdmin) != 0 {
		return
	}
	line := monitorLine(c.server.opts.Now(), c.session.Addr, cmd.Redacted(args))
	for _, other := range *list {
		other.out.backlog.tell(line)
	}
}

// showAll is show for commands of a run that were executed, and what is in transactions.
func (c *conn) showAll(ops []op) {
	for i := range ops {
		o := &ops[i]
		if o.cmd == nil || o.call.Err != nil {
			continue
		}
		if o.transaction != nil && ran(c.replyOf(o)) {
			c.showQueued(o.transaction)
			if len(o.transaction.locals) > 0 {
				continue // join shows EXEC
			}
		}
		c.show(o.cmd, o.args)
	}
}

// showQueued is show for the commands on data of a transaction.
func (c *conn) showQueued(t *transaction) {
	commands, err := command.DecodeTransaction(t.payload)
	if err != nil || commands.SkipWatched() != nil {
		return
	}
	for _, cmd := range t.queued {
		if cmd.Local != nil {
			continue
		}
		args, more, err := commands.Command(nil)
		if !more || err != nil {
			return
		}
		c.show(cmd, args)
	}
}

// replyOf returns what a command of the run was answered, as it is encoded.
func (c *conn) replyOf(o *op) []byte {
	if o.end > 0 {
		return c.out.reply.Bytes()[o.start:o.end]
	}
	return o.reply.Bytes()
}

// monitorLine is what MONITOR tells of a command.
func monitorLine(now time.Time, addr string, args [][]byte) []byte {
	line := make([]byte, 0, 128)
	line = append(line, '+')
	line = strconv.AppendInt(line, now.Unix(), 10)
	micro := now.Nanosecond() / 1000
	line = append(line, '.')
	for digit := 100_000; digit > 0; digit /= 10 {
		line = append(line, byte('0'+micro/digit%10))
	}
	line = append(line, " [0 "...)
	line = append(line, addr...)
	line = append(line, ']')
	for _, arg := range args {
		line = appendQuoted(append(line, ' '), arg)
	}
	return append(line, "\r\n"...)
}

// appendQuoted appends text in quotes as Redis shows it.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	const controls = "abtn  r" // from \a on
	dst = append(dst, '"')
	for _, b := range text {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case '\a' <= b && b <= '\r' && controls[b-'\a'] != ' ':
			dst = append(dst, '\\', controls[b-'\a'])
		case b < ' ' || b > '~':
			dst = append(dst, '\\', 'x', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}
