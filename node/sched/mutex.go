package sched

import "time"

// Mutex is a lock that may be held while waiting.
type Mutex struct {
	s    Sched
	free chan struct{} // holds a value unless the lock is held
}

// NewMutex returns a Mutex for goroutines that run on s.
func NewMutex(s Sched) *Mutex {
	m := &Mutex{s: s, free: make(chan struct{}, 1)}
	m.free <- struct{}{}
	return m
}

// Lock waits until nobody else holds the lock, and takes it.
func (m *Mutex) Lock() { Wait(m.s, time.Time{}, m.free) }

// Unlock gives the lock back.
func (m *Mutex) Unlock() { m.free <- struct{}{} }
