package frontend

import (
	"io"

	"github.com/genuineh/aikv/node/rawio"
)

// input reads a connection's commands. The commands of a pipeline share the
// buffer that they were read into: they are valid until fill is called.
type input struct {
	conn io.Reader
	// lender, if not nil, has the buffer and the arguments; conn is a
	// *rawio.Conn then. Else the input has its own.
	lender rawio.Lender
	// maxQuery bounds the bytes of an unfinished command.
	maxQuery int

	guard      guard
	buf        []byte
	start, end int // unread bytes: buf[start:end]
	full       bool

	frame int // bytes of the command that next returned last

	args [][]byte // reused for every pipeline
	free [][]byte // what is left of it, empty but for its capacity
	used int      // slots that the pipeline needed so far
}

// next returns the next whole command that was read; ok is false if there is
// none.
func (in *input) next(limits frameLimits) (args [][]byte, ok bool, err error) {
	for {
		kind, n, err := in.guard.next(in.buf[in.start:in.end], limits)
		if err != nil || kind == frameIncomplete {
			return nil, false, err
		}
		frame := in.buf[in.start : in.start+n]
		in.start += n
		in.frame = n
		switch kind {
		case frameInline:
			args, ok = splitLine(frame, in.free)
			if !ok {
				return nil, false, protocolError("unbalanced quotes in request")
			}
		case frameArray:
			args = arguments(frame, in.free)
		}
		if len(args) == 0 || kind == frameEmpty {
			continue
		}
		in.used += len(args)
		in.free = args[len(args):]
		return args[:len(args):len(args)], true, nil
	}
}

// fill reads more, after the commands returned so far are done with. It ends
// their validity.
func (in *input) fill() error {
	in.forget()
	in.makeRoom()
	if in.end-in.start >= in.maxQuery {
		return errQueryBuffer
	}
	n, err := in.read()
	in.end += n
	if n > 0 {
		in.full = in.end == len(in.buf)
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// readAhead reads more while the commands returned so far stay valid: behind what
// is there, or into a larger buffer that leaves theirs as it is.
func (in *input) readAhead() error {
	pending := in.buf[in.start:in.end]
	if len(pending) >= in.maxQuery {
		return errQueryBuffer
	}
	if in.end == len(in.buf) {
		buf := make([]byte, max(2*len(pending), firstBuffer))
		in.buf, in.start, in.end = buf, 0, copy(buf, pending)
	}
	n, err := in.conn.Read(in.buf[in.end:])
	in.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func (in *input) read() (int, error) {
	if in.lender != nil {
		return in.conn.(*rawio.Conn).ReadReady(in.lender)
	}
	return in.conn.Read(in.buf[in.end:])
}

// forget drops the arguments returned so far: stale ones would keep old buffers
// alive.
func (in *input) forget() {
	clear(in.args[:min(in.used, cap(in.args))])
	if cap(in.args) < in.used && in.used <= keepArgs {
		in.args = make([][]byte, 0, max(in.used, 2*cap(in.args), 16))
	}
	in.used, in.free = 0, in.args[:0]
}

// makeRoom moves the unfinished command to the front and sizes the buffer: it
// doubles when the last read filled it, and falls back when a large command is
// through.
func (in *input) makeRoom() {
	if in.buf == nil && in.lender != nil {
		return // it is borrowed when there is something to read
	}
	pending := in.buf[in.start:in.end]
	size := len(in.buf)
	switch {
	case size == 0:
		size = firstBuffer
	case len(pending) > 0 && len(pending) == size:
		size *= 2 // an unfinished command fills all of it
	case in.full && size < keepBuffer:
		size *= 2
	case size > keepBuffer && len(pending) <= keepBuffer/2 && in.start > 0:
		size = keepBuffer
	}
	in.full = false
	if size != len(in.buf) {
		buf := make([]byte, size)
		copy(buf, pending)
		in.buf = buf
	} else if in.start > 0 {
		copy(in.buf, pending)
	}
	in.start, in.end = 0, len(pending)
}
