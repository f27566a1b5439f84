package frontend

import (
	"cmp"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

const (
	// freeRead is what a stretch of reads holds before it has to ask: most never
	// do.
	freeRead = 64 << 10
	// readPatience is how long a read waits for memory that others hold.
	readPatience = 5 * time.Second
)

const (
	errReadMemory = resp.Error("ERR the reads of all clients hold as much as server.read_memory allows, try again later")
	errReadTooBig = resp.Error("ERR the reply takes more memory than server.read_memory allows, ask for less at a time")
)

// readMemory is what the reads of all connections may hold together: what they
// build, and their replies until the clients have taken them. Who needs more
// waits in line.
type readMemory struct {
	mu sync.Mutex
	// patience is how long a read waits; 0: readPatience.
	patience time.Duration
	total    int64
	used     int64
	line     []*inLine
}

type inLine struct {
	bytes   int64
	granted chan struct{}
}

// tryTake takes n bytes if they are free and nobody waits for any.
func (m *readMemory) tryTake(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.line) > 0 || m.used+n > m.total {
		return false
	}
	m.used += n
	return true
}

// take waits for n bytes, and reports whether it got them. It gives up when the
// patience is over, or done is closed.
func (m *readMemory) take(n int64, done <-chan struct{}) bool {
	m.mu.Lock()
	if len(m.line) == 0 && m.used+n <= m.total {
		m.used += n
		m.mu.Unlock()
		return true
	}
	w := &inLine{n, make(chan struct{})}
	m.line = append(m.line, w)
	m.mu.Unlock()
	timer := time.NewTimer(cmp.Or(m.patience, readPatience))
	defer timer.Stop()
	select {
	case <-w.granted:
		return true
	case <-timer.C:
	case <-done:
	}
	return !m.leave(w)
}

// leave takes one that waits out of the line; false means that it was served.
func (m *readMemory) leave(w *inLine) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, other := range m.line {
		if other == w {
			m.line = append(m.line[:i], m.line[i+1:]...)
			m.serve() // those behind may need less
			return true
		}
	}
	return false
}

// give returns n bytes.
func (m *readMemory) give(n int64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	m.serve()
}

// resize changes how much there is.
func (m *readMemory) resize(total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total = total
	m.serve()
}

// serve grants those at the head of the line what they wait for. The lock is
// held.
func (m *readMemory) serve() {
	for len(m.line) > 0 && m.used+m.line[0].bytes <= m.total {
		m.used += m.line[0].bytes
		close(m.line[0].granted)
		m.line = m.line[1:]
	}
}

// readGrant is what a connection's present stretch of reads has taken.
type readGrant struct {
	meter command.Memory
	held  int64 // of the server's readMemory
	spent int64 // of free and held, by replies that are complete
}

// beginReads forgets what an earlier stretch of reads held.
func (c *conn) beginReads() {
	if c.grant.held > 0 {
		c.server.reads.give(c.grant.held)
	}
	c.grant.held, c.grant.spent = 0, 0
	if c.grant.meter.More == nil {
		c.grant.meter.More = func(n int64) bool {
			if !c.server.reads.tryTake(n) {
				return false
			}
			c.grant.held += n
			return true
		}
	}
}

// endReads gives back what the stretch does not need any more, and leaves the
// rest to the output until the client has taken the replies.
func (c *conn) endReads() {
	if c.grant.held > 0 {
		kept := min(max(c.grant.spent-freeRead, 0), c.grant.held)
		c.server.reads.give(c.grant.held - kept)
		c.out.charge(kept)
	}
	c.grant.held, c.grant.spent = 0, 0
}

// meterRead begins the next read of the stretch.
func (c *conn) meterRead() *command.Memory {
	c.grant.meter.Reset(max(freeRead+c.grant.held-c.grant.spent, 0))
	return &c.grant.meter
}

// reserve makes room for what a write will return, before it joins the run: once it has
// been applied it is too late to refuse it. What others may change meanwhile is not in it.
func (c *conn) reserve(cmd *command.Command, args [][]byte, replica Replica) error {
	c.args.Set(cmd, args)
	c.looksAt = replica
	size := command.ReplyCopies * cmd.Returns(&c.args, c.looks)
	c.view.End()
	c.looksAt = nil
	if c.run.returns+size <= freeRead {
		c.run.returns += size
		return nil
	}
	c.finish()
	if size > freeRead {
		if size > int64(c.server.limits.Load().ReadMemory) {
			return errReadTooBig
		}
		_ = c.out.flush() // nobody waits for others with replies that could be on their way
		if !c.server.reads.take(size, c.server.drained) {
			return errReadMemory
		}
		c.run.reserved = size
	}
	c.run.returns = size
	return nil
}

// lookAt is what Command.Returns looks at.
func (c *conn) lookAt() *command.View {
	c.looksAt.Look(&c.view)
	return &c.view
}

// metered evaluates a read into the output. If others hold what it needs, it is left
// for a stretch of its own (again), or, if it is the first of one, waits for them.
func (c *conn) metered(o *op, failure error, first bool) (again bool) {
	m, out, asked := c.meterRead(), &c.out.reply, int64(0)
	c.evaluate(o, failure, out)
	for m.Short() {
		wanted := m.Used()
		out.Cut(o.start)
		if !first {
			return true
		}
		c.view.End()
		c.server.reads.give(c.grant.held)
		c.grant.held = 0
		_ = c.out.flush() // nobody waits for others with replies that could be on their way
		o.start = out.Len()
		out.Begin()
		total := int64(c.server.limits.Load().ReadMemory)
		if wanted > total {
			out.Fail(errReadTooBig)
			break
		}
		ask := min(max(wanted, 2*asked), total) // it was perhaps on its way to more
		asked = ask
		if !c.server.reads.take(ask, c.server.drained) {
			out.Fail(errReadMemory)
			break
		}
		c.grant.held = ask
		c.evaluate(o, failure, out)
	}
	c.grant.spent += command.ReplyCopies * int64(out.Len()-o.start)
	return false
}
