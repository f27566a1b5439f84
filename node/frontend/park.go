package frontend

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// errUnblocked answers a command that CLIENT UNBLOCK … ERROR has ended.
var errUnblocked error = resp.Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")

// parking is what others may ask of a parked connection; conn.mu guards it.
type parking struct {
	parked bool
	// unblockable is whether CLIENT UNBLOCK may end it, unblocked how it did.
	unblockable bool
	unblocked   unblocking
	roused      bool // somebody asked to look again
}

type unblocking uint8

const (
	notUnblocked unblocking = iota
	unblockedByTimeout
	unblockedByError
)

// park is how a command waits: it blocks the connection's goroutine until ready
// reports true or the time is there (zero: never). ready is asked at once, and
// again after each rouse. An error is errUnblocked, or that the client is gone;
// nobody hears what would be answered then.
//
// A parked connection reads, behind the command that waits. That way it learns
// that its client has hung up, is killed by the closing of its socket like any
// other, and needs neither polling nor a goroutine more: rouse ends the read. A
// server that drains ends the wait as if its time were over.
func (c *conn) park(until time.Time, unblockable bool, ready func() bool) error {
	_ = c.out.flush() // an error shows at the next flush too
	c.begin(unblockable)
	defer c.end()
	for {
		if ready() {
			return nil
		}
		if c.server.isDraining() || !until.IsZero() && !c.server.opts.Now().Before(until) {
			return nil
		}
		switch unblocked, err := c.expect(until); {
		case err != nil:
			return c.abandon(err)
		case unblocked == unblockedByError:
			return errUnblocked
		case unblocked == unblockedByTimeout:
			return nil
		}
		if err := c.readAhead(); err != nil {
			return c.abandon(err)
		}
	}
}

// begin makes the connection one that is parked, end one that is not.
func (c *conn) begin(unblockable bool) {
	c.server.counters.blocked.Add(1)
	c.session.Blocked.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parking = parking{parked: true, unblockable: unblockable}
}

func (c *conn) end() {
	c.server.counters.blocked.Add(-1)
	c.session.Blocked.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parking = parking{}
}

// expect sets the deadline of the read that parks the connection: now, if it was
// roused since it last looked.
func (c *conn) expect(until time.Time) (unblocking, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unblocked != notUnblocked {
		return c.unblocked, nil
	}
	if c.roused {
		c.roused = false
		until = time.Unix(1, 0)
	} else if !until.IsZero() {
		until = time.Now().Add(until.Sub(c.server.opts.Now()))
	}
	c.deadline = true // whoever reads next sets his own
	return notUnblocked, c.nc.SetReadDeadline(until)
}

// readAhead reads what the client sends meanwhile, or until the deadline.
func (c *conn) readAhead() error {
	before := c.in.end - c.in.start
	c.in.maxQuery = c.server.limits.Load().QueryBuffer
	err := c.in.readAhead()
	if read := c.in.end - c.in.start - before; read > 0 {
		c.came(read)
		c.touch()
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err
}

// abandon ends a connection whose client has gone while it was parked.
func (c *conn) abandon(err error) error {
	c.closing, c.lost, c.failure = true, true, err
	return err
}

// rouse has a parked connection ask again whether it may go on. Any goroutine may
// call it, at any time; it does not block.
func (c *conn) rouse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roused = true
	c.deadline = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// unblock ends the wait of a command that CLIENT UNBLOCK may end; false if there
// is none.
func (c *conn) unblock(withError bool) bool {
	c.mu.Lock()
	if !c.parked || !c.unblockable || c.unblocked != notUnblocked {
		c.mu.Unlock()
		return false
	}
	c.unblocked = unblockedByTimeout
	if withError {
		c.unblocked = unblockedByError
	}
	c.mu.Unlock()
	c.rouse()
	return true
}

// parkCommand is the Park of commands that wait: see command.Env. In a transaction
// they do not.
func (c *conn) parkCommand(until time.Time, ready func() bool) error {
	if c.execing {
		ready()
		return nil
	}
	return c.park(until, true, ready)
}

// awaitPause keeps a command back while CLIENT PAUSE says so. It returns false if it
// must not run at all: the client has gone, or the server drains.
func (c *conn) awaitPause(cmd *command.Command) bool {
	p := &c.server.pause
	writes := cmd.Flags&(command.FlagWrite|command.FlagMayReplicate) != 0 ||
		cmd.Multi == command.MultiExec && c.multi != nil && c.multi.replicates
	for {
		until := p.waitUntil(writes, c.server.opts.Now())
		if until.IsZero() {
			return true
		}
		if c.server.isDraining() {
			c.closing = true
			return false
		}
		stop := p.watch(c)
		err := c.park(until, false, func() bool { return !p.waitUntil(writes, c.server.opts.Now()).Equal(until) })
		stop()
		if err != nil {
			return false
		}
	}
}

// pause is what CLIENT PAUSE asked for. The zero value pauses nothing.
type pause struct {
	active atomic.Bool // a hint: the fields below may tell otherwise

	mu         sync.Mutex
	until      time.Time
	writesOnly bool
	waiting    map[*conn]struct{}
}

// set changes the pause, and has those look again who wait for its end.
func (p *pause) set(until time.Time, writesOnly bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.writesOnly = until, writesOnly
	p.active.Store(!until.IsZero())
	for c := range p.waiting {
		c.rouse()
	}
}

// waitUntil returns until when a command must wait as things are; zero: not at all.
func (p *pause) waitUntil(writes bool, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.until.After(now) {
		p.active.Store(false)
		return time.Time{}
	}
	if p.writesOnly && !writes {
		return time.Time{}
	}
	return p.until
}

// watch has the connection roused when the pause changes, until stop is called.
func (p *pause) watch(c *conn) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[*conn]struct{})
	}
	p.waiting[c] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, c)
	}
}
