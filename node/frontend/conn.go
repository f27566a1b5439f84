package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/rawio"
	"github.com/genuineh/aikv/node/resp"
)

const (
	// lingerTime and lingerBytes bound how long a connection that broke the
	// protocol is still read: a socket that is closed with unread input is
	// reset, and the client may never see why.
	lingerTime  = 200 * time.Millisecond
	lingerBytes = 1 << 20
)

// errDraining ends a connection that waits for commands when the server closes.
var errDraining = errors.New("the server is closing")

// conn is one client connection. All of it belongs to the goroutine of serve,
// except nc, session and what mu guards.
type conn struct {
	server  *Server
	nc      net.Conn
	session *command.Session
	in      input
	out     *output
	run     *run     // nil while nothing is lent
	lent    *scratch // what in, out and run work with; nil while the connection idles
	env     command.Env
	args    command.Args // of the command that is run
	view    command.View // what the present read looks at
	own     resp.Reply   // of a Local command
	grant   readGrant
	tries   tries
	closing bool  // nothing is read any more
	lost    bool  // nobody hears what would be answered
	failure error // why it is closing; nil: it was asked for
	last    *command.Command
	lapped  time.Time // see lap
	multi   *transaction
	holding bool                 // messages are held until the present reply is out
	execing bool                 // EXEC runs, in which nothing waits
	looks   func() *command.View // lookAt
	looksAt Replica

	watching atomic.Pointer[watchSet]

	ran int64 // commands

	// For other goroutines: what the input buffer holds and has room for, the bytes
	// that have come, and ran.
	unread, spare, received, commands atomic.Int64

	mu       sync.Mutex
	deadline bool // a read deadline is set
	parking
}

func newConn(s *Server, nc net.Conn, id uint64) *conn {
	c := &conn{
		server: s,
		nc:     nc,
		session: &command.Session{
			ID: id, Addr: nc.RemoteAddr().String(), LAddr: nc.LocalAddr().String(), Created: s.opts.Now(),
			Authenticated: s.opts.RequirePass() == "", FD: descriptor(nc),
		},
		in: input{conn: rawio.NewConn(nc)},
	}
	c.out = newOutput(nc, s, c.touch)
	c.out.reply.Meter(c.grant.meter.Reply)
	c.looks = c.lookAt
	c.session.Buffers, c.session.Transaction = c.buffers, c.transactionInfo
	c.touch()
	if _, ok := c.in.conn.(*rawio.Conn); ok {
		c.in.lender = c
	} else {
		c.borrow() // for as long as it lives
	}
	c.env = command.Env{
		Session: c.session, Table: s.opts.Table, Park: c.parkCommand, Wake: c.rouse, OnData: c.onData, Hold: c.hold,
		Unwatch: c.unwatch, Discard: c.discard,
		Monitor: c.beginMonitor, EndMonitor: c.endMonitor,
	}
	return c
}

// descriptor returns the file descriptor of a connection, that below TLS; 0 if it
// has none.
func descriptor(nc net.Conn) (n int) {
	if raw := rawConn(nc); raw != nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) }) // closed already: 0
	}
	return n
}

// rawConn returns the socket of a connection, that below TLS; nil if it has none.
func rawConn(nc net.Conn) syscall.RawConn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	err := c.loop()
	c.endMonitor()
	// What was answered is the client's, however the connection ends.
	if flushed := c.out.flush(); flushed == nil {
		c.out.backlog.wait()
	}
	var broken protocolError
	if errors.As(err, &broken) {
		c.linger()
	}
	_ = c.nc.Close()
	c.out.backlog.wait()
	if _, _, reason := c.out.backlog.state(); reason != nil {
		err = reason
	}
	c.report(err)
	c.out.charge(0) // have flush look
	_ = c.out.flush()
	c.in.forget()
	c.unwatch()
	if c.run != nil {
		c.server.reads.give(c.run.reserved) // of writes that were never handed in
	}
	c.giveBack()
	c.server.remove(c)
}

// report logs and counts why the connection ended: nil if the client wished it.
func (c *conn) report(err error) {
	level, counters := slog.LevelDebug, &c.server.counters
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return
	case errors.Is(err, errQueryBuffer):
		counters.queryLimit.Add(1)
		level = slog.LevelWarn
	case errors.Is(err, errOutputLimit), errors.Is(err, errSlowClient):
		counters.outputLimit.Add(1)
		level = slog.LevelWarn
	}
	c.server.opts.Logger.Log(context.Background(), level, "client connection closed",
		slog.Uint64("id", c.session.ID), slog.String("addr", c.session.Addr), slog.String("name", c.session.Name()),
		slog.Any("reason", err))
}

// touch notes that the client is alive.
func (c *conn) touch() { c.session.LastActive.Store(c.server.opts.Now().UnixMilli()) }

// note shows other goroutines what the input holds.
func (c *conn) note() {
	c.unread.Store(int64(c.in.end - c.in.start))
	c.spare.Store(int64(len(c.in.buf) - c.in.end))
}

// came counts input.
func (c *conn) came(n int) {
	c.server.counters.received.Add(int64(n))
	c.received.Add(int64(n))
	c.note()
}

// buffers is the connection's command.Session.Buffers.
func (c *conn) buffers() command.Buffers {
	pending, pieces, _ := c.out.backlog.state()
	return command.Buffers{
		Query: c.unread.Load(), QueryFree: c.spare.Load(), Output: int64(pending), OutputPieces: int64(pieces),
		Received: c.received.Load(), Sent: c.out.backlog.total(), Commands: c.commands.Load(),
	}
}

// loop serves pipelines until the connection ends; nil means that the client
// asked for it.
func (c *conn) loop() error {
	for {
		if err := c.fill(); err != nil {
			return err
		}
		err := c.pipeline()
		c.finish()
		c.args = command.Args{} // they refer to the input
		if err != nil {
			c.own.Init(c.session.Proto())
			c.own.Begin()
			c.own.Fail(refusal(err))
			c.answer(&c.own)
			return err
		}
		if err := c.out.flush(); err != nil {
			return err
		}
		if c.closing {
			return c.failure
		}
	}
}

// pipeline executes every whole command that was read. The last ones may still
// be queued in c.run. An error is the client's breach of the protocol.
func (c *conn) pipeline() error {
	limits := frameLimits{maxBulk: c.server.limits.Load().MaxBulk}
	before := c.ran
	defer func() {
		c.server.counters.commands.Add(c.ran - before)
		c.commands.Store(c.ran)
		if c.last != nil {
			c.session.LastCommand.Store(c.last)
		}
	}()
	for !c.closing {
		limits.unauthenticated = c.mustAuthenticate()
		c.out.narrow = limits.unauthenticated
		args, ok, err := c.in.next(limits)
		if err != nil || !ok {
			return err
		}
		c.ran++
		c.execute(args)
	}
	return nil
}

// mustAuthenticate reports whether the client has yet to give the password.
func (c *conn) mustAuthenticate() bool {
	return !c.session.Authenticated && c.server.opts.RequirePass() != ""
}

// fill waits for input. An expired deadline only means that it is time to look
// why: the server closes, the timeout changed, or the client idles.
func (c *conn) fill() error {
	for {
		if err := c.arm(); err != nil {
			return err
		}
		before := c.in.end - c.in.start
		c.in.maxQuery = c.server.limits.Load().QueryBuffer
		err := c.in.fill()
		if err == nil {
			c.came(c.in.end - c.in.start - before)
			c.lapped = c.server.opts.Now()
			c.session.LastActive.Store(c.lapped.UnixMilli())
			return nil
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return err
		}
	}
}

// arm sets the read deadline that the timeout asks for. wake interferes only
// before or after: an earlier wake is seen here, a later one ends the read.
func (c *conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.server.drained:
		return errDraining
	default:
	}
	timeout := c.server.limits.Load().Timeout
	if timeout <= 0 {
		if !c.deadline {
			return nil
		}
		c.deadline = false
		return c.nc.SetReadDeadline(time.Time{})
	}
	idle := c.server.opts.Now().Sub(time.UnixMilli(c.session.LastActive.Load()))
	if idle >= timeout {
		return errIdle
	}
	c.deadline = true
	return c.nc.SetReadDeadline(time.Now().Add(timeout - idle))
}

// wake makes a connection that waits, for input or for its client to take
// replies, look at its surroundings again. Any goroutine may call it.
func (c *conn) wake() {
	c.out.backlog.wake()
	c.rouse()
}

// linger discards a little of what the client still sends, after telling it
// that nothing more will come.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.nc, lingerBytes)
}
