// Package seeded runs goroutines for tests one at a time, in an order that a seed
// decides, under a clock that moves only when nobody can run. The same seed gives
// the same run, to the last step. What runs in it must keep to the rules of
// package sched, and may use no source of chance of its own: the order of maps,
// selects over several ready channels.
package seeded

import (
	"cmp"
	"math/rand"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// World holds the clock and all processes. It belongs to one goroutine, the
// driver, which calls Step; everything else happens inside of that.
type World struct {
	// Rand decides everything; what happens in the world may draw from it too.
	Rand *rand.Rand
	// Watch, if set, is called after each step of a goroutine.
	Watch func(p *Process, name string)

	now       time.Time
	hash      uint64
	processes []*Process
	events    []event // by time; what is due first is last
	sequence  uint64
	running   *task
}

type event struct {
	at  time.Time
	seq uint64
	run func()
}

// New returns an empty world.
func New(seed int64) *World {
	return &World{Rand: rand.New(rand.NewSource(seed)), now: time.Unix(1_700_000_000, 0), hash: uint64(seed)}
}

// Now returns the world's time.
func (w *World) Now() time.Time { return w.now }

// Hash returns a digest of all steps so far, and of what Note was given.
func (w *World) Hash() uint64 { return w.hash }

// Note adds something that happened to the digest.
func (w *World) Note(n uint64) { w.hash = (w.hash ^ n) * 0x9e3779b97f4a7c15 >> 1 }

// Start returns a new process.
func (w *World) Start(name string) *Process {
	p := &Process{world: w, name: name, rate: 1, born: w.now, changed: true}
	w.processes = append(w.processes, p)
	return p
}

// At has the driver call fn, which may not wait, at a time that may be now.
func (w *World) At(at time.Time, fn func()) {
	w.sequence++
	e := event{at, w.sequence, fn}
	i, _ := slices.BinarySearchFunc(w.events, e, func(a, b event) int {
		return -cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
	})
	w.events = slices.Insert(w.events, i, e)
}

// After is At in a while.
func (w *World) After(d time.Duration, fn func()) { w.At(w.now.Add(d), fn) }

// Step lets one thing happen, after as much time as it takes, but nothing later
// than limit: then it returns false, at that time.
func (w *World) Step(limit time.Time) bool {
	for {
		if n := len(w.events); n > 0 && !w.events[n-1].at.After(w.now) {
			e := w.events[n-1]
			w.events = w.events[:n-1]
			w.Note(e.seq)
			e.run()
			return true
		}
		if t := w.choose(); t != nil {
			w.run(t)
			return true
		}
		next := w.next()
		if next.IsZero() || next.After(limit) {
			w.now = limit
			return false
		}
		w.now = next
	}
}

// RunFor lets time pass.
func (w *World) RunFor(d time.Duration) {
	for limit := w.now.Add(d); w.Step(limit); {
	}
}

// choose returns one of the tasks that can run now, or nil.
func (w *World) choose() *task {
	count := 0
	for _, p := range w.processes {
		p.look()
		count += len(p.ready)
	}
	if count == 0 {
		return nil
	}
	n := w.Rand.Intn(count)
	for _, p := range w.processes {
		if n < len(p.ready) {
			return p.ready[n]
		}
		n -= len(p.ready)
	}
	panic("unreachable")
}

// next returns when something will be due, or the zero time.
func (w *World) next() (at time.Time) {
	if n := len(w.events); n > 0 {
		at = w.events[n-1].at
	}
	for _, p := range w.processes {
		at = sooner(at, p.due)
	}
	return at
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (w *World) run(t *task) {
	t.process.changed = true
	came := t.take()
	w.Note(t.id<<8 | uint64(uint8(came)))
	w.running, t.came = t, came
	_, alive := t.resume()
	w.running = nil
	if !alive {
		t.process.remove(t)
	}
	if w.Watch != nil {
		w.Watch(t.process, t.name)
	}
}

// Close ends all processes.
func (w *World) Close() {
	for _, p := range slices.Clone(w.processes) {
		p.Kill()
	}
}

var _ sched.Sched = (*Process)(nil)
