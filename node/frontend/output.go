package frontend

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
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
)

// errSlowClient ends a connection whose client does not take its replies.
var errSlowClient = errors.New("the client does not read its replies")

// output encodes and sends a connection's replies, one write for a pipeline.
//
// Many clients write a whole pipeline before they read the first reply. Were
// the connection to stop reading as soon as the socket is full, both sides
// would wait for each other; so what the socket does not take at once is left
// to a writer goroutine, while the connection goes on. Memory stays bounded:
// beyond limit bytes of such a backlog the connection does wait, and a client
// that takes nothing for the time of stall is cut off.
type output struct {
	conn  net.Conn
	limit int
	stall time.Duration
	sent  *atomic.Int64

	buf []byte // encoded, not yet flushed

	// The direct attempt; nil raw if the connection is no plain socket.
	raw     syscall.RawConn
	attempt func(fd uintptr) bool
	rest    []byte
	failure error

	mu      sync.Mutex
	room    sync.Cond // backlog shrank, or the writer ended
	backlog []byte
	sending int  // bytes that the writer took out of it
	writing bool // the writer goroutine runs
	err     error
}

func newOutput(conn net.Conn, limits Limits, sent *atomic.Int64) *output {
	o := &output{conn: conn, limit: limits.OutputBuffer, stall: limits.WriteTimeout, sent: sent}
	o.room.L = &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.raw = raw
			o.attempt = o.writeSome
		}
	}
	return o
}

// value encodes a reply.
func (o *output) value(v resp.Value, proto int) {
	o.buf = resp.Append(o.buf, v, proto)
}

// flush hands everything encoded to the socket or the backlog. An error means
// that the connection is lost.
func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	o.sent.Add(int64(len(o.buf)))
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.buf
	if !o.writing && o.err == nil && o.raw != nil {
		rest = o.direct(rest)
	}
	if len(rest) > 0 {
		o.enqueue(rest)
	}
	if cap(o.buf) > keepBuffer {
		o.buf = nil
	}
	o.buf = o.buf[:0]
	return o.err
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
	for o.err == nil && o.pending() > 0 && o.pending()+len(b) > o.limit {
		o.room.Wait()
	}
	if o.err != nil {
		return
	}
	o.backlog = append(o.backlog, b...)
	if !o.writing {
		o.writing = true
		go o.write()
	}
}

func (o *output) pending() int { return len(o.backlog) + o.sending }

// write is the writer goroutine: it ends when the backlog is empty.
func (o *output) write() {
	var chunk []byte
	for {
		o.mu.Lock()
		o.sending = 0
		o.room.Broadcast()
		if len(o.backlog) == 0 || o.err != nil {
			o.backlog, o.writing = nil, false
			o.mu.Unlock()
			return
		}
		chunk, o.backlog = o.backlog, nil
		o.sending = len(chunk)
		o.mu.Unlock()
		if err := o.send(chunk); err != nil {
			o.mu.Lock()
			o.err = err
			o.mu.Unlock()
			_ = o.conn.Close() // wakes the connection if it reads
		}
	}
}

// send writes b in pieces, each within the stall limit.
func (o *output) send(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), writeChunk)]
		if err := o.conn.SetWriteDeadline(time.Now().Add(o.stall)); err != nil {
			return err
		}
		n, err := o.conn.Write(piece)
		if b = b[n:]; err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return errSlowClient
			}
			return err
		}
	}
	return o.conn.SetWriteDeadline(time.Time{})
}

// wait returns once the backlog was sent or given up.
func (o *output) wait() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing {
		o.room.Wait()
	}
}
