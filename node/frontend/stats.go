package frontend

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// counters count since the start, or the last ResetStats; blocked,
// backlog, watching and watched are gauges.
type counters struct {
	connections, rejected atomic.Int64
	commands, errors      atomic.Int64
	received, sent        atomic.Int64
	blocked, backlog      atomic.Int64
	panics                atomic.Int64
	watching, watched     atomic.Int64 // clients, and their keys
	// Connections that were closed because they used more than they may.
	queryLimit, outputLimit atomic.Int64

	mu    sync.Mutex
	marks [samples]mark // a ring: marks[next] is the oldest
	next  int
}

const (
	// samples and sampleEvery make the window of the rates.
	samples     = 8
	sampleEvery = 250 * time.Millisecond
)

// mark is the state of the counters that rates are made of, at some moment.
type mark struct {
	at                       time.Time
	commands, received, sent int64
}

// Stats is what INFO shows of the clients.
type Stats struct {
	ConnectedClients, BlockedClients      int64
	WatchingClients, WatchedKeys          int64
	TotalConnections, RejectedConnections int64
	TotalCommands, TotalErrorReplies      int64
	NetInputBytes, NetOutputBytes         int64
	// Backlog is how many bytes of replies clients have yet to take.
	Backlog int64
	// Connections that were closed because they used more than they may.
	QueryLimitDisconnections, OutputLimitDisconnections int64
	// Panics are the Local handlers that have panicked.
	Panics int64
	// The rates of the last two seconds.
	OpsPerSec             int64
	InputKbps, OutputKbps float64
}

// Stats returns the counters and rates of this moment.
func (s *Server) Stats() Stats {
	c := &s.counters
	s.mu.Lock()
	connected := int64(len(s.conns))
	s.mu.Unlock()
	stats := Stats{
		ConnectedClients: connected, BlockedClients: c.blocked.Load(),
		WatchingClients: c.watching.Load(), WatchedKeys: c.watched.Load(),
		TotalConnections: c.connections.Load(), RejectedConnections: c.rejected.Load(),
		TotalCommands: c.commands.Load(), TotalErrorReplies: c.errors.Load(),
		NetInputBytes: c.received.Load(), NetOutputBytes: c.sent.Load(),
		Backlog: c.backlog.Load(), Panics: c.panics.Load(),
		QueryLimitDisconnections: c.queryLimit.Load(), OutputLimitDisconnections: c.outputLimit.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest, newest := c.marks[c.next], c.marks[(c.next+samples-1)%samples]
	for i := 1; oldest.at.IsZero() && i < samples; i++ {
		oldest = c.marks[(c.next+i)%samples]
	}
	if seconds := newest.at.Sub(oldest.at).Seconds(); seconds > 0 {
		stats.OpsPerSec = int64(float64(newest.commands-oldest.commands) / seconds)
		stats.InputKbps = float64(newest.received-oldest.received) / 1024 / seconds
		stats.OutputKbps = float64(newest.sent-oldest.sent) / 1024 / seconds
	}
	return stats
}

// ResetStats sets the counters to zero, as CONFIG RESETSTAT does.
func (s *Server) ResetStats() {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range []*atomic.Int64{
		&c.connections, &c.rejected, &c.commands, &c.errors, &c.received, &c.sent, &c.queryLimit, &c.outputLimit, &c.panics,
	} {
		n.Store(0)
	}
	c.marks = [samples]mark{}
	for i := range s.calls.byRow {
		s.calls.byRow[i].Store(nil)
	}
	s.calls.errors.reset()
	if load := s.SlotLoad(); load != nil {
		for n := range uint16(slot.Count) {
			load.Forget(n)
		}
	}
}

// sample records the counters until the server drains.
func (s *Server) sample() {
	defer s.wg.Done()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.counters.mark(s.opts.Now())
			s.forgetLost()
		case <-s.drained:
			return
		}
	}
}

func (c *counters) mark(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks[c.next] = mark{now, c.commands.Load(), c.received.Load(), c.sent.Load()}
	c.next = (c.next + 1) % samples
}
