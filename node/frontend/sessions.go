package frontend

import (
	"cmp"
	"slices"
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

// Unblock ends the wait of a session's command, with an error or as if its time
// were over; false if nothing waits there, or not for something that may end so.
func (s *Server) Unblock(id uint64, withError bool) bool {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	return c != nil && c.unblock(withError)
}

// Pause holds back commands, or writes alone, until the time given; the zero
// time ends a pause. A new pause replaces the one before.
func (s *Server) Pause(until time.Time, writesOnly bool) { s.pause.set(until, writesOnly) }
