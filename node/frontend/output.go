package frontend

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/rawio"
	"github.com/genuineh/aikv/node/resp"
)

const (
	// flushAt is how much is encoded before some of it is sent, even within a
	// pipeline.
	flushAt = 256 << 10
	// writeChunk is what a slow client has to take within the stall limit.
	writeChunk = 64 << 10
	// fairBacklog is what every connection may have, however much others have.
	fairBacklog = 1 << 20
)

// output encodes and sends a connection's replies, one write for a pipeline.
//
// Many clients write a whole pipeline before they read the first reply. Were
// the connection to stop reading as soon as the socket is full, both sides
// would wait for each other; so what the socket does not take at once is left
// to a writer goroutine, while the connection goes on. Memory stays bounded:
// beyond Limits.OutputBuffer bytes of such a backlog, or Limits.TotalOutput of
// all connections together, the connection does wait; a client that takes nothing
// for Limits.WriteTimeout is cut off, and so is one that breaks Limits.Output.
type output struct {
	conn   net.Conn
	server *Server
	taken  func() // the client took something

	reply resp.Reply // encoded, not yet flushed
	// narrow is set while the client has not authenticated.
	narrow bool

	// The direct attempt; nil raw if the connection is no plain socket.
	raw     syscall.RawConn
	attempt func(fd uintptr) bool
	rest    []byte
	failure error

	mu      sync.Mutex
	room    sync.Cond // backlog shrank, or the writer ended
	backlog []byte
	sending int  // bytes that the writer took out of it and has not sent
	writing bool // the writer goroutine runs
	// grant is what the reads whose replies are not taken yet hold of the server's
	// memory for reads.
	grant int64
	kept  bool      // by keep since the last flush; the connection's
	since time.Time // when the backlog passed the soft limit; zero: it has not
	err   error
}

func newOutput(conn net.Conn, server *Server, taken func()) *output {
	o := &output{conn: conn, server: server, taken: taken}
	o.room.L = &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.raw = raw
			o.attempt = o.writeSome
		}
	}
	return o
}

// flush hands everything encoded to the socket or the backlog. An error means
// that the connection is lost.
func (o *output) flush() error {
	rest, listed := o.reply.Bytes(), o.reply.HasLists()
	if len(rest) == 0 && !o.kept {
		return nil
	}
	o.kept = false
	o.mu.Lock()
	defer o.mu.Unlock()
	if held, limit := o.pending()+len(rest), o.server.limits.Load().Output; limit.exceeds(held) || listed && limit.exceedsWithList(held) {
		o.fail(errOutputLimit)
	}
	if o.err == nil {
		o.server.counters.sent.Add(int64(len(rest)))
		if !o.writing && o.raw != nil {
			rest = o.direct(rest)
		}
	}
	if len(rest) > 0 {
		o.enqueue(rest)
	}
	if o.narrow && o.pending() > maxOutputUnauthenticated {
		o.fail(errOutputLimit)
	}
	o.reply.Reset(keepBuffer)
	o.settle()
	return o.err
}

// keep holds memory for reads until the client has taken everything that was
// answered so far.
func (o *output) keep(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.grant += n
	o.kept = true
}

// settle gives the memory for reads back, if the client has taken everything.
// The lock is held.
func (o *output) settle() {
	if o.grant > 0 && o.pending() == 0 {
		o.server.reads.give(o.grant)
		o.grant = 0
	}
}

// direct writes what the socket takes without waiting and returns the rest.
func (o *output) direct(b []byte) []byte {
	o.rest, o.failure = b, nil
	if err := o.raw.Write(o.attempt); err != nil {
		o.failure = err
	}
	if o.failure != nil {
		o.err = o.failure
	}
	b, o.rest = o.rest, nil
	return b
}

// writeSome is direct's access to the file descriptor. It always says that it
// is done, or the runtime would wait for the socket.
func (o *output) writeSome(fd uintptr) bool {
	for len(o.rest) > 0 {
		n, err := rawio.Write(fd, o.rest)
		switch {
		case n > 0:
			o.rest = o.rest[n:]
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return true
		default:
			o.failure = err
			return true
		}
	}
	return true
}

// enqueue adds b to the backlog, waiting while that is full. The lock is held.
func (o *output) enqueue(b []byte) {
	for o.err == nil && o.full(len(b)) {
		o.room.Wait()
		if o.server.limits.Load().Output.exceeds(o.pending() + len(b)) {
			o.fail(errOutputLimit) // the limit has changed meanwhile
		}
	}
	if o.err != nil {
		return
	}
	o.backlog = append(o.backlog, b...)
	o.server.counters.backlog.Add(int64(len(b)))
	if err := o.check(time.Now()); err != nil {
		o.fail(err)
		return
	}
	if !o.writing {
		o.writing = true
		go o.write()
	}
}

// full reports whether n more bytes must wait. The lock is held.
func (o *output) full(n int) bool {
	held, limits := o.pending(), o.server.limits.Load()
	return held > 0 && (held+n > limits.OutputBuffer ||
		held+n > fairBacklog && o.server.counters.backlog.Load() > int64(limits.TotalOutput))
}

func (o *output) pending() int { return len(o.backlog) + o.sending }

// check returns why the backlog may not stay as it is. The lock is held.
func (o *output) check(now time.Time) error {
	limit, held := o.server.limits.Load().Output, o.pending()
	switch {
	case limit.exceeds(held):
		return errOutputLimit
	case limit.Soft <= 0 || held-freeOutput < limit.Soft:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = now
	case now.Sub(o.since) > limit.SoftFor:
		return errOutputLimit
	}
	return nil
}

// fail gives the connection up: what is not sent yet never will be. The lock is
// held.
func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	o.server.counters.backlog.Add(-int64(len(o.backlog)))
	o.backlog = nil
	o.room.Broadcast()
	_ = o.conn.Close() // wakes the connection if it reads, and the writer
}

// write is the writer goroutine: it ends when the backlog is empty.
func (o *output) write() {
	for {
		o.mu.Lock()
		if len(o.backlog) == 0 || o.err != nil {
			o.server.counters.backlog.Add(-int64(o.pending()))
			o.backlog, o.sending, o.writing, o.since = nil, 0, false, time.Time{}
			o.settle()
			_ = o.conn.SetWriteDeadline(time.Time{}) // an error shows when it is used
			o.room.Broadcast()
			o.mu.Unlock()
			return
		}
		chunk := o.backlog
		o.backlog, o.sending = nil, len(chunk)
		o.mu.Unlock()
		if err := o.send(chunk); err != nil {
			o.mu.Lock()
			o.fail(err)
			o.mu.Unlock()
		}
	}
}

// send writes b in pieces, each within the stall limit.
func (o *output) send(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), writeChunk)]
		if err := o.sendPiece(piece); err != nil {
			return err
		}
		b = b[len(piece):]
	}
	return nil
}

// sendPiece writes b. When a write times out, that need not be the end: the
// limits may have changed.
func (o *output) sendPiece(b []byte) error {
	for begun := time.Now(); len(b) > 0; {
		if err := o.arm(begun); err != nil {
			return err
		}
		n, err := o.conn.Write(b)
		b = b[n:]
		if n > 0 {
			o.taken()
			o.mu.Lock()
			o.sending -= n
			o.server.counters.backlog.Add(-int64(n))
			o.room.Broadcast()
			o.mu.Unlock()
		}
		var timeout net.Error
		if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
			return err
		}
	}
	return nil
}

// arm sets the deadline of the next write of a piece that was begun at some
// time, or returns that the client had its time.
func (o *output) arm(begun time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, limits := time.Now(), o.server.limits.Load()
	due := begun.Add(limits.WriteTimeout)
	if !now.Before(due) {
		return errSlowClient
	}
	if o.err != nil {
		return o.err
	}
	if err := o.check(now); err != nil {
		return err
	}
	if soft := o.since.Add(limits.Output.SoftFor + time.Millisecond); !o.since.IsZero() && soft.Before(due) {
		due = soft
	}
	return o.conn.SetWriteDeadline(due)
}

// wake makes the writer and who waits for it look at the limits again. Any
// goroutine may call it.
func (o *output) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing {
		_ = o.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	o.room.Broadcast()
}

// wait returns once the backlog was sent or given up.
func (o *output) wait() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing {
		o.room.Wait()
	}
}

// state returns how many bytes the client has yet to take, in how many pieces,
// and why they were given up. Any goroutine may call it.
func (o *output) state() (pending, pieces int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.backlog) > 0 {
		pieces++
	}
	if o.sending > 0 {
		pieces++
	}
	return o.pending(), pieces, o.err
}
