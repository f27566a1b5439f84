package sched

import (
	"sync"
	"time"
)

// Group is a set of goroutines that somebody waits for.
type Group struct {
	s Sched

	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when nobody runs any more; nil if nobody waits
}

// NewGroup returns a Group whose goroutines run on s.
func NewGroup(s Sched) *Group { return &Group{s: s} }

// Go runs fn concurrently, as a member of the group.
func (g *Group) Go(name string, fn func()) {
	g.mu.Lock()
	g.running++
	g.mu.Unlock()
	g.s.Go(name, func() {
		defer g.done()
		fn()
	})
}

func (g *Group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.running == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Wait returns when no member runs any more.
func (g *Group) Wait() {
	g.mu.Lock()
	if g.running == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	Wait(g.s, time.Time{}, idle)
}
