package frontend

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/command"
)

var _ command.Sessions = (*Server)(nil)

// List returns the sessions by ascending id.
func (s *Server) List() []*command.Session {
	s.mu.Lock()
	list := make([]*command.Session, 0, len(s.conns))
	for _, c := range s.conns {
		list = append(list, c.session)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *command.Session) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Kill closes a session's connection; false if it was gone.
func (s *Server) Kill(id uint64) bool {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	_ = c.nc.Close()
	return true
}

// Pause holds back commands, or writes alone, until the time given; the zero
// time ends a pause. A new pause replaces the one before.
func (s *Server) Pause(until time.Time, writesOnly bool) { s.pause.set(until, writesOnly) }

// pause is what CLIENT PAUSE asked for. The zero value pauses nothing.
type pause struct {
	active atomic.Bool // a hint: the fields below may tell otherwise

	mu         sync.Mutex
	until      time.Time
	writesOnly bool
	changed    chan struct{} // closed by the next set
}

func (p *pause) set(until time.Time, writesOnly bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.writesOnly = until, writesOnly
	p.active.Store(!until.IsZero())
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// remaining returns for how long a command must wait as things are, and what
// is closed when they change.
func (p *pause) remaining(writes bool, now time.Time) (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.until.Sub(now)
	if left <= 0 || p.until.IsZero() {
		p.active.Store(false)
		return 0, nil
	}
	if p.writesOnly && !writes {
		return 0, nil
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return left, p.changed
}

// hold returns when the command may run, or the server drains.
func (s *Server) hold(ctx context.Context, cmd *command.Command) {
	s.counters.blocked.Add(1)
	defer s.counters.blocked.Add(-1)
	writes := cmd.Flags&(command.FlagWrite|command.FlagMayReplicate) != 0
	for {
		left, changed := s.pause.remaining(writes, s.opts.Now())
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-s.drained:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}
