// Package sched is where a node's goroutines, its waiting and its time come from.
// In a process they are Go's own (System). A simulation brings others: there one
// goroutine runs at a time, a seed decides which, and time passes when nobody
// has anything left to do. For that, whatever is to be simulated starts its
// goroutines with Go, blocks in nothing but Wait, and holds no mutex meanwhile.
package sched

import (
	"context"
	"time"
)

// Signal is what can be waited for: a channel that is closed, or that gets a
// value, when something has happened. A nil Signal never does.
type Signal = <-chan struct{}

// Timeout is what Wait returns when the time has come.
const Timeout = -1

// MaxSignals is how many signals one Wait may have.
const MaxSignals = 4

// Sched runs goroutines. All methods may be called concurrently.
type Sched interface {
	// Now returns the time; differences are not disturbed by adjustments of the
	// wall clock.
	Now() time.Time
	// Began returns a time from which the process counts: see Next.
	Began() time.Time
	// Go runs fn concurrently. The name tells what it is, for whoever watches.
	Go(name string, fn func())
	// Waiter returns what one goroutine waits with.
	Waiter() Waiter
	// WithTimeout is context.WithTimeout on this clock.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

// Waiter waits for one goroutine. It keeps a timer between calls.
type Waiter interface {
	// Wait blocks until one of the signals has come, which it takes, or until
	// the time has; the zero time never comes. It returns the signal's position
	// or Timeout. If several are due, it may be any of them.
	Wait(until time.Time, signals ...Signal) int
	// Stop ends the use of the Waiter.
	Stop()
}

// Wait waits once.
func Wait(s Sched, until time.Time, signals ...Signal) int {
	w := s.Waiter()
	defer w.Stop()
	return w.Wait(until, signals...)
}

// Sleep waits for d; it reports false when ctx ended first.
func Sleep(ctx context.Context, s Sched, d time.Duration) bool {
	return Wait(s, s.Now().Add(d), ctx.Done()) == Timeout
}

// Next returns the next multiple of every since the process began. Periodic work
// that waits for it, instead of for a time after it was last done, is due together
// with other such work: an idle process is then woken once for all of it, by one
// timer.
func Next(s Sched, every time.Duration) time.Time {
	now := s.Now()
	past := now.Sub(s.Began()) % every
	if past < 0 {
		past += every
	}
	return now.Add(every - past)
}

// Every waits for Next; it reports false when ctx ended first.
func Every(ctx context.Context, s Sched, every time.Duration) bool {
	return Wait(s, Next(s, every), ctx.Done()) == Timeout
}

// System is the Sched of a process.
var System Sched = system{began: time.Now()}

type system struct{ began time.Time }

func (system) Now() time.Time { return time.Now() }

func (s system) Began() time.Time { return s.began }

func (system) Go(_ string, fn func()) { go fn() }

func (system) Waiter() Waiter { return new(waiter) }

func (system) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// waiter sets its timer anew only if it is to wait for another time than before.
type waiter struct {
	timer *time.Timer
	at    time.Time // for which the timer is set; zero: it is not
}

func (w *waiter) Wait(until time.Time, signals ...Signal) int {
	var s [MaxSignals]Signal
	if copy(s[:], signals) < len(signals) {
		panic("sched: too many signals")
	}
	for {
		var due <-chan time.Time
		if !until.IsZero() {
			w.arm(until)
			due = w.timer.C
		}
		select {
		case <-s[0]:
			return 0
		case <-s[1]:
			return 1
		case <-s[2]:
			return 2
		case <-s[3]:
			return 3
		case <-due:
			w.at = time.Time{}
			if time.Until(until) <= 0 {
				return Timeout
			}
		}
	}
}

func (w *waiter) arm(until time.Time) {
	switch {
	case w.timer == nil:
		w.timer = time.NewTimer(time.Until(until))
	case !w.at.Equal(until):
		w.timer.Reset(time.Until(until))
	}
	w.at = until
}

func (w *waiter) Stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
