package frontend

import "math/bits"

const (
	// firstBuffer is the smallest input buffer.
	firstBuffer = 4 << 10
	// keepBuffer is the largest buffer that is kept for the next pipeline, and
	// so the most that one pipeline takes in at a time.
	keepBuffer = 64 << 10
	// keepArgs is the most argument slots that are kept.
	keepArgs = 4 << 10
)

// scratch is the memory that it takes to serve a pipeline. A connection borrows
// it when input arrives, and gives it back before it waits for more, so that ten
// thousand idle connections hold no more of it than the few that are served.
type scratch struct {
	input  []byte
	args   [][]byte
	output []byte
	run    *run
}

// Buffer implements rawio.Lender.
func (c *conn) Buffer() []byte {
	if c.lent == nil {
		c.borrow()
	}
	return c.in.buf[c.in.end:]
}

// Idle implements rawio.Lender.
func (c *conn) Idle() {
	c.giveBack()
	c.note()
}

func (c *conn) borrow() {
	s := c.server.scratch.Get().(*scratch)
	c.lent = s
	if c.in.buf == nil {
		c.in.buf, s.input = s.input, nil
	}
	c.in.args, c.in.free = s.args, s.args[:0]
	c.out.reply.Lend(s.output)
	c.run = s.run
	s.args, s.output, s.run = nil, nil, nil
}

// giveBack returns what was borrowed. An unfinished command stays, in a buffer
// of its own size.
func (c *conn) giveBack() {
	s := c.lent
	if s == nil {
		return
	}
	c.lent = nil
	if spare := c.in.detach(); len(spare) > len(s.input) && len(spare) <= keepBuffer {
		s.input = spare
	}
	if s.input == nil {
		s.input = make([]byte, firstBuffer)
	}
	s.args, s.output, s.run = c.in.args, c.out.reply.Take(), c.run
	c.in.args, c.in.free, c.run = nil, nil, nil
	c.server.scratch.Put(s)
}

// detach empties the input of what is not needed while it waits, and returns the
// buffer that it no longer uses.
func (in *input) detach() []byte {
	pending := in.buf[in.start:in.end]
	spare := in.buf
	switch {
	case len(pending) == 0:
		in.buf, in.start, in.end = nil, 0, 0
	case len(in.buf) > firstBuffer && 4*len(pending) <= len(in.buf):
		in.buf = make([]byte, max(firstBuffer, 1<<bits.Len(uint(len(pending)))))
		in.start, in.end = 0, copy(in.buf, pending)
	default:
		return nil
	}
	in.full = false
	return spare
}
