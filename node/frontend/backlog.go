package frontend

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/rawio"
)

const (
	// writeChunk is what a slow client has to take within Limits.WriteTimeout.
	writeChunk = 64 << 10
	// fairBacklog is what every connection may have, however much others have.
	fairBacklog = 1 << 20
)

// backlog is the replies that a connection's client has yet to take.
//
// Many clients write a whole pipeline before they read the first reply. Were
// the connection to stop reading as soon as the socket is full, both sides
// would wait for each other; so what the socket does not take at once is left
// to a writer goroutine, while the connection goes on. Memory stays bounded:
// beyond Limits.OutputBuffer bytes of such a backlog, or Limits.TotalOutput of
// all connections together, the connection does wait; a client that takes nothing
// for Limits.WriteTimeout is cut off, and so is one that breaks Limits.Output.
//
// push is for the connection's goroutine; all other methods may be called by any.
type backlog struct {
	conn   net.Conn
	server *Server
	taken  func() // the client took something
	socket socket

	mu      sync.Mutex
	changed sync.Cond // there is room, or the writer has ended, or the limits are others
	queue   []byte
	pushed  int64 // bytes of replies ever
	sending int   // bytes that the writer took out of queue and has not sent
	writing bool  // the writer goroutine runs
	// reads is what the reads whose replies are not taken yet hold of the server's
	// memory for reads.
	reads int64
	since time.Time // when the backlog passed the soft limit; zero: it has not
	err   error     // why the connection was given up
	// messages wait to be queued: while held is set, and while entering, as a part of the
	// replies in front of them may have been sent.
	messages       []byte
	held, entering bool
}

func (b *backlog) init(conn net.Conn, server *Server, taken func()) {
	b.conn, b.server, b.taken = conn, server, taken
	b.changed.L = &b.mu
	b.socket.init(conn)
}

// push sends replies, and queues what the socket does not take without waiting. listed
// says that there is a list in them, narrow that the client has not authenticated. An
// error means that the connection is lost.
func (b *backlog) push(replies []byte, listed, narrow bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	held, limit := b.pending()+len(replies), b.server.limits.Load().Output
	if limit.exceeds(held) || listed && limit.exceedsWithList(held) {
		b.fail(errOutputLimit)
	}
	if b.err == nil {
		b.server.counters.sent.Add(int64(len(replies)))
		b.pushed += int64(len(replies))
		if !b.writing {
			replies, b.err = b.socket.write(replies)
		}
	}
	if len(replies) > 0 {
		b.enqueue(replies)
	}
	if narrow && b.pending() > maxOutputUnauthenticated {
		b.fail(errOutputLimit)
	}
	b.release()
	return b.err
}

// enqueue adds replies to the queue, waiting while that is full. The lock is held.
func (b *backlog) enqueue(replies []byte) {
	b.entering = true
	for b.err == nil && b.full(len(replies)) {
		b.changed.Wait()
		if b.server.limits.Load().Output.exceeds(b.pending() + len(replies)) {
			b.fail(errOutputLimit) // the limit has changed meanwhile
		}
	}
	b.entering = false
	if b.err != nil {
		return
	}
	b.append(replies)
	if !b.held {
		b.queueMessages()
	}
}

// append adds to the queue, and has the writer send it. The lock is held.
func (b *backlog) append(replies []byte) {
	b.queue = append(b.queue, replies...)
	b.server.counters.backlog.Add(int64(len(replies)))
	if err := b.check(time.Now()); err != nil {
		b.fail(err)
		return
	}
	if !b.writing {
		b.writing = true
		go b.write()
	}
}

// full reports whether n more bytes must wait. The lock is held.
func (b *backlog) full(n int) bool {
	held, limits := b.pending(), b.server.limits.Load()
	return held > 0 && (held+n > limits.OutputBuffer ||
		held+n > fairBacklog && b.server.counters.backlog.Load() > int64(limits.TotalOutput))
}

func (b *backlog) pending() int { return len(b.queue) + b.sending }

// check returns why the backlog may not stay as it is. The lock is held.
func (b *backlog) check(now time.Time) error {
	limit, held := b.server.limits.Load().Output, b.pending()
	switch {
	case limit.exceeds(held):
		return errOutputLimit
	case limit.Soft <= 0 || held-freeOutput < limit.Soft:
		b.since = time.Time{}
	case b.since.IsZero():
		b.since = now
	case now.Sub(b.since) > limit.SoftFor:
		return errOutputLimit
	}
	return nil
}

// fail gives the connection up: what is not sent yet never will be. The lock is
// held.
func (b *backlog) fail(err error) {
	if b.err == nil {
		b.err = err
	}
	b.server.counters.backlog.Add(-int64(len(b.queue)))
	b.queue, b.messages = nil, nil
	b.changed.Broadcast()
	_ = b.conn.Close() // wakes the connection if it reads, and the writer
}

// charge adds to the memory for reads that is held until the client has taken
// everything.
func (b *backlog) charge(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads += n
}

// release gives the memory for reads back, if the client has taken everything.
// The lock is held.
func (b *backlog) release() {
	if b.reads > 0 && b.pending() == 0 {
		b.server.reads.give(b.reads)
		b.reads = 0
	}
}

// write is the writer goroutine: it ends when the queue is empty.
func (b *backlog) write() {
	for chunk := b.take(); chunk != nil; chunk = b.take() {
		if err := b.send(chunk); err != nil {
			b.mu.Lock()
			b.fail(err)
			b.mu.Unlock()
		}
	}
}

// take takes all of the queue for the writer to send, nil if it may end.
func (b *backlog) take() (chunk []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 && b.err == nil {
		chunk, b.queue = b.queue, nil
		b.sending = len(chunk)
		return chunk
	}
	b.server.counters.backlog.Add(-int64(b.pending()))
	b.queue, b.sending, b.writing, b.since = nil, 0, false, time.Time{}
	b.release()
	_ = b.conn.SetWriteDeadline(time.Time{}) // an error shows when it is used
	b.changed.Broadcast()
	return nil
}

// send writes chunk in pieces, each within Limits.WriteTimeout.
func (b *backlog) send(chunk []byte) error {
	for len(chunk) > 0 {
		piece := chunk[:min(len(chunk), writeChunk)]
		if err := b.sendPiece(piece); err != nil {
			return err
		}
		chunk = chunk[len(piece):]
	}
	return nil
}

// sendPiece writes a piece. When a write times out, that need not be the end: the
// limits may have changed.
func (b *backlog) sendPiece(piece []byte) error {
	for begun := time.Now(); len(piece) > 0; {
		if err := b.arm(begun); err != nil {
			return err
		}
		n, err := b.conn.Write(piece)
		piece = piece[n:]
		if n > 0 {
			b.sent(n)
		}
		var timeout net.Error
		if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
			return err
		}
	}
	return nil
}

// sent notes that the client took n bytes of what the writer sends.
func (b *backlog) sent(n int) {
	b.taken()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sending -= n
	b.server.counters.backlog.Add(-int64(n))
	b.changed.Broadcast()
}

// arm sets the deadline of the next write of a piece that was begun at some
// time, or returns that the client had its time.
func (b *backlog) arm(begun time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, limits := time.Now(), b.server.limits.Load()
	due := begun.Add(limits.WriteTimeout)
	if !now.Before(due) {
		return errSlowClient
	}
	if b.err != nil {
		return b.err
	}
	if err := b.check(now); err != nil {
		return err
	}
	if soft := b.since.Add(limits.Output.SoftFor + time.Millisecond); !b.since.IsZero() && soft.Before(due) {
		due = soft
	}
	return b.conn.SetWriteDeadline(due)
}

// wake makes the writer and who waits for it look at the limits again.
func (b *backlog) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writing {
		_ = b.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	b.changed.Broadcast()
}

// wait returns once the backlog was sent or given up.
func (b *backlog) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.writing {
		b.changed.Wait()
	}
}

// state returns how many bytes the client has yet to take, in how many pieces,
// and why they were given up.
func (b *backlog) state() (pending, pieces int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 {
		pieces++
	}
	if b.sending > 0 {
		pieces++
	}
	return b.pending(), pieces, b.err
}

// total returns how many bytes of replies there have been.
func (b *backlog) total() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pushed
}

// socket writes to a connection without waiting. Its zero value, of one that is no
// plain socket, writes nothing.
type socket struct {
	raw  syscall.RawConn // nil if the connection is no plain socket
	some func(fd uintptr) bool

	// Of the present write:
	rest []byte
	err  error
}

func (s *socket) init(conn net.Conn) {
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw, s.some = raw, s.writeSome
		}
	}
}

// write writes what the socket takes at once and returns the rest.
func (s *socket) write(b []byte) (rest []byte, err error) {
	if s.raw == nil {
		return b, nil
	}
	s.rest, s.err = b, nil
	if err := s.raw.Write(s.some); err != nil {
		s.err = err
	}
	rest, s.rest = s.rest, nil
	return rest, s.err
}

// writeSome is write's access to the file descriptor. It always says that it
// is done, or the runtime would wait for the socket.
func (s *socket) writeSome(fd uintptr) bool {
	for len(s.rest) > 0 {
		n, err := rawio.Write(fd, s.rest)
		switch {
		case n > 0:
			s.rest = s.rest[n:]
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return true
		default:
			s.err = err
			return true
		}
	}
	return true
}
