package rawio

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// Read is read(2) on a descriptor in non-blocking mode.
func Read(fd uintptr, b []byte) (int, error) { return read(fd, b) }

// Write is write(2) on a descriptor in non-blocking mode.
func Write(fd uintptr, b []byte) (int, error) { return write(fd, b) }

// Conn is a network connection that reads and writes the raw way. Unlike that of
// other connections, each of its two directions is for one goroutine at a time.
type Conn struct {
	net.Conn
	raw  syscall.RawConn
	in   transfer
	out  transfer
	recv func(fd uintptr) bool // c.receive and c.send, made once
	post func(fd uintptr) bool
}

// transfer is one call of Read, ReadReady or Write.
type transfer struct {
	buf    []byte
	lender Lender // of buf, if not nil
	n      int
	err    error
}

// Lender has a buffer for who reads, but only when there is something to read.
type Lender interface {
	// Buffer returns where to read to; it must not be empty.
	Buffer() []byte
	// Idle is called when there is nothing to read, before the wait for it. It
	// ends the use of the buffer.
	Idle()
}

// NewConn returns conn itself if it is no plain socket, such as one of TLS.
func NewConn(conn net.Conn) net.Conn {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return conn
	}
	c := &Conn{Conn: conn, raw: raw}
	c.recv, c.post = c.receive, c.send
	return c
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// Read implements io.Reader.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in = transfer{buf: b}
	err := c.raw.Read(c.recv)
	done := c.in
	c.in = transfer{}
	if err != nil {
		return 0, err
	}
	return done.n, done.err
}

// ReadReady is Read without a buffer that is held while there is nothing to
// read: what arrives is in the last buffer that the lender gave.
func (c *Conn) ReadReady(from Lender) (int, error) {
	c.in = transfer{lender: from}
	err := c.raw.Read(c.recv)
	done := c.in
	c.in = transfer{}
	if err != nil {
		return 0, err
	}
	return done.n, done.err
}

// receive tries once; false means that there is nothing yet.
func (c *Conn) receive(fd uintptr) bool {
	if c.in.lender != nil {
		c.in.buf = c.in.lender.Buffer()
	}
	n, err := uninterrupted(read, fd, c.in.buf)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		if c.in.lender != nil {
			c.in.buf = nil
			c.in.lender.Idle()
		}
		return false
	case err != nil:
		c.in.err = c.opError("read", err)
	case n == 0:
		c.in.err = io.EOF
	default:
		c.in.n = n
	}
	return true
}

// Write implements io.Writer.
func (c *Conn) Write(b []byte) (int, error) {
	c.out = transfer{buf: b}
	err := c.raw.Write(c.post)
	done := c.out
	c.out = transfer{}
	if err == nil {
		err = done.err
	}
	return done.n, err
}

// send writes what the socket takes; false means that it takes no more yet.
func (c *Conn) send(fd uintptr) bool {
	for c.out.n < len(c.out.buf) {
		n, err := uninterrupted(write, fd, c.out.buf[c.out.n:])
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil:
			c.out.err = c.opError("write", err)
			return true
		}
		c.out.n += n
	}
	return true
}

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func uninterrupted(call func(uintptr, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		if n, err := call(fd, b); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
