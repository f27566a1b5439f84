package seeded

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// Process is the Sched of one process of a World.
type Process struct {
	// Delay, if set, says how long a goroutine of that name is kept from running
	// again when it waits: that is how long its last step took.
	Delay func(name string) time.Duration

	world  *World
	name   string
	born   time.Time
	rate   float64 // of its clock
	paused time.Time
	dead   bool

	tasks  []*task
	timers []*timer
	lastID uint64

	// What look found when something had changed.
	changed bool
	ready   []*task
	due     time.Time // when to look again; zero: not before something changes
}

// task is a goroutine.
type task struct {
	process *Process
	id      uint64
	name    string
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool

	// What it waits for. A task that has not begun waits for nothing.
	waits   bool
	until   time.Time // on its process's clock
	signals [sched.MaxSignals]sched.Signal
	busy    time.Time // not to run before
	came    int
}

// timer ends a context.
type timer struct {
	at     time.Time // on its process's clock
	cancel func()
}

// killed unwinds the goroutines of a process that ends.
type killed struct{}

// SetRate makes the process's clock run faster or slower than the world's.
func (p *Process) SetRate(rate float64) { p.rate = rate }

// Now implements sched.Sched.
func (p *Process) Now() time.Time {
	return p.born.Add(time.Duration(float64(p.world.now.Sub(p.born)) * p.rate))
}

// Began implements sched.Sched.
func (p *Process) Began() time.Time { return p.born }

// worldTime returns when the process's clock will show at.
func (p *Process) worldTime(at time.Time) time.Time {
	if at.IsZero() || p.rate == 1 {
		return at
	}
	return p.born.Add(time.Duration(float64(at.Sub(p.born))/p.rate) + 1)
}

// Pause keeps the process from doing anything until then, while its clock and
// the rest of the world go on.
func (p *Process) Pause(d time.Duration) {
	p.paused = p.world.now.Add(d)
	p.changed = true
}

// Go implements sched.Sched.
func (p *Process) Go(name string, fn func()) {
	if p.dead {
		return
	}
	p.lastID++
	t := &task{process: p, id: p.lastID, name: name}
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			switch reason := recover().(type) {
			case nil, killed:
			default:
				panic(fmt.Sprintf("%s, %s: %v\n%s", p.name, name, reason, debug.Stack()))
			}
		}()
		fn()
	})
	p.tasks = append(p.tasks, t)
	p.changed = true
}

func (p *Process) remove(t *task) {
	p.tasks = slices.DeleteFunc(p.tasks, func(o *task) bool { return o == t })
}

// Wake makes the world look at the process: something outside of it has given a
// signal that one of its goroutines waits for.
func (p *Process) Wake() { p.changed = true }

// Kill ends the process where it is. Its goroutines see it as a panic, so what
// they deferred is run; they can wait for nothing any more.
func (p *Process) Kill() {
	if p.dead {
		return
	}
	p.dead = true
	for _, t := range p.tasks {
		t.stop()
	}
	p.tasks, p.timers, p.ready = nil, nil, nil
	p.world.processes = slices.DeleteFunc(p.world.processes, func(o *Process) bool { return o == p })
}

// Dead reports whether the process was killed.
func (p *Process) Dead() bool { return p.dead }

// Waiter implements sched.Sched.
func (p *Process) Waiter() sched.Waiter { return waiter{p} }

type waiter struct{ process *Process }

func (w waiter) Stop() {}

func (w waiter) Wait(until time.Time, signals ...sched.Signal) int {
	p := w.process
	if p.dead {
		panic(killed{})
	}
	t := p.world.running
	if t == nil || t.process != p {
		panic("seeded: only the goroutines of a process can wait in it")
	}
	t.waits, t.until, t.signals = true, until, [sched.MaxSignals]sched.Signal{}
	if copy(t.signals[:], signals) < len(signals) {
		panic("seeded: too many signals")
	}
	t.busy = time.Time{}
	if p.Delay != nil {
		if d := p.Delay(t.name); d > 0 {
			t.busy = p.world.now.Add(d)
		}
	}
	if !t.yield(struct{}{}) {
		panic(killed{})
	}
	return t.came
}

// look finds out who can run now, and when somebody else will.
func (p *Process) look() {
	now := p.world.now
	if !p.changed && (p.due.IsZero() || p.due.After(now)) {
		return
	}
	p.ready, p.due = p.ready[:0], time.Time{}
	if p.paused.After(now) {
		p.due = p.paused
		return
	}
	p.changed = false
	p.ring()
	for _, t := range p.timers {
		p.due = sooner(p.due, p.worldTime(t.at))
	}
	mine := p.Now()
	for _, t := range p.tasks {
		signalled := !t.waits || t.signalled()
		switch {
		case t.busy.After(now) && signalled:
			p.due = sooner(p.due, t.busy)
		case signalled, t.late(mine) && !t.busy.After(now):
			p.ready = append(p.ready, t)
		case t.late(mine):
			p.due = sooner(p.due, t.busy)
		default:
			p.due = sooner(p.due, p.worldTime(t.until))
		}
	}
}

// ring ends the contexts whose time is over.
func (p *Process) ring() {
	now := p.Now()
	for i := 0; i < len(p.timers); {
		if t := p.timers[i]; !now.Before(t.at) {
			t.cancel() // removes it
		} else {
			i++
		}
	}
}

func (t *task) late(now time.Time) bool { return !t.until.IsZero() && !now.Before(t.until) }

// signalled reports whether a signal has come, and takes none.
func (t *task) signalled() bool {
	for _, s := range t.signals {
		if s != nil && came(s) {
			return true
		}
	}
	return false
}

func came(s sched.Signal) bool {
	if len(s) > 0 {
		return true
	}
	select {
	case <-s: // closed: nobody waits in sending
		return true
	default:
		return false
	}
}

// take takes one of the things that the task waits for and that have come.
func (t *task) take() int {
	if !t.waits {
		return sched.Timeout
	}
	var all [sched.MaxSignals + 1]int
	n := 0
	if t.late(t.process.Now()) {
		all[n] = sched.Timeout
		n++
	}
	for i, s := range t.signals {
		if s != nil && came(s) {
			all[n] = i
			n++
		}
	}
	which := all[0]
	if n > 1 {
		which = all[t.process.world.Rand.Intn(n)]
	}
	if which != sched.Timeout {
		<-t.signals[which]
	}
	return which
}

// WithTimeout implements sched.Sched.
func (p *Process) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	if p.dead {
		cancel()
		return ctx, cancel
	}
	t := &timer{at: p.Now().Add(d)}
	t.cancel = func() {
		p.timers = slices.DeleteFunc(p.timers, func(o *timer) bool { return o == t })
		p.changed = true
		cancel()
	}
	p.timers = append(p.timers, t)
	p.changed = true
	deadline := t.at
	if sooner, ok := parent.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	return timeout{ctx, deadline}, t.cancel
}

// timeout is a context that knows when it will end. How it ended, its Err does
// not tell.
type timeout struct {
	context.Context
	deadline time.Time
}

// Deadline implements context.Context.
func (t timeout) Deadline() (time.Time, bool) { return t.deadline, true }

// Goroutines describes those that have not ended, for whoever wonders what the
// process is doing.
func (p *Process) Goroutines() string {
	var names []string
	for _, t := range p.tasks {
		name := t.name
		if !t.until.IsZero() {
			name += fmt.Sprintf(" for %v", t.until.Sub(p.Now()))
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
