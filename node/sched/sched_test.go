package sched

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := System.Waiter()
		defer w.Stop()
		start := time.Now()
		closed, full, never := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
		close(closed)
		full <- struct{}{}
		in := func(d time.Duration) time.Time { return start.Add(d) }
		steps := []struct {
			name    string
			until   time.Time
			signals []Signal
			want    int
			at      time.Duration
		}{
			{"closed", time.Time{}, []Signal{never, closed}, 1, 0},
			{"full", in(time.Second), []Signal{never, nil, nil, full}, 3, 0},
			{"taken", in(time.Second), []Signal{full}, Timeout, time.Second},
			{"past", in(time.Second), []Signal{never}, Timeout, time.Second},
			{"later", in(4 * time.Second), nil, Timeout, 4 * time.Second},
		}
		for _, s := range steps {
			if got := w.Wait(s.until, s.signals...); got != s.want || time.Since(start) != s.at {
				t.Errorf("%s: %d after %v, want %d after %v", s.name, got, time.Since(start), s.want, s.at)
			}
		}
		// The timer that was set for an earlier time rings for nothing.
		time.AfterFunc(time.Second, func() { full <- struct{}{} })
		if got := w.Wait(in(6*time.Second), full); got != 0 {
			t.Errorf("signal: %d", got)
		}
		if got := w.Wait(time.Time{}, closed); got != 0 {
			t.Errorf("no time: %d", got)
		}
		time.AfterFunc(5*time.Second, func() { full <- struct{}{} })
		if got := w.Wait(in(60*time.Second), full); got != 0 || time.Since(start) != 10*time.Second {
			t.Errorf("behind a passed time: %d after %v", got, time.Since(start))
		}
		if got := w.Wait(in(11*time.Second), never); got != Timeout || time.Since(start) != 11*time.Second {
			t.Errorf("earlier than before: %d after %v", got, time.Since(start))
		}
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := System.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if !Sleep(ctx, System, 500*time.Millisecond) || ctx.Err() != nil {
			t.Error("the context ended early")
		}
		if Sleep(ctx, System, time.Second) || ctx.Err() != context.DeadlineExceeded {
			t.Error("the context did not end the sleep")
		}
	})
}

// TestEvery: work with periods that are multiples of each other is due together,
// whenever it began and however long it takes.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := system{began: time.Now().Add(-7 * time.Millisecond)}
		start := time.Now()
		for i, want := range []time.Duration{93, 193, 293} {
			if !Every(t.Context(), s, 100*time.Millisecond) || time.Since(start) != want*time.Millisecond {
				t.Errorf("the %d. came after %v", i+1, time.Since(start))
			}
			if next := Next(s, 50*time.Millisecond); time.Until(next) != 50*time.Millisecond {
				t.Errorf("half the period is over in %v", time.Until(next))
			}
			time.Sleep(13 * time.Millisecond)
		}
		if next := Next(system{began: time.Now().Add(time.Second + time.Millisecond)}, 10*time.Millisecond); time.Until(next) != time.Millisecond {
			t.Errorf("before the beginning: in %v", time.Until(next))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if Every(ctx, s, time.Second) {
			t.Error("the context did not end the wait")
		}
	})
}

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(System)
		g.Wait() // for nobody
		var ended atomic.Int32
		for i := range 3 {
			g.Go("sleeper", func() {
				time.Sleep(time.Duration(i) * time.Second)
				ended.Add(1)
			})
		}
		waited := make(chan struct{})
		go func() { g.Wait(); close(waited) }()
		g.Wait()
		if ended.Load() != 3 {
			t.Errorf("%d of 3 had ended", ended.Load())
		}
		<-waited
		g.Go("another", func() { ended.Add(1) })
		g.Wait()
		if ended.Load() != 4 {
			t.Error("the fourth had not ended")
		}
	})
}

func TestMutex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMutex(System)
		holders, most := 0, 0
		g := NewGroup(System)
		for range 5 {
			g.Go("holder", func() {
				m.Lock()
				defer m.Unlock()
				holders++
				most = max(most, holders)
				time.Sleep(time.Second)
				holders--
			})
		}
		g.Wait()
		if most != 1 {
			t.Errorf("%d held it at once", most)
		}
	})
}

// A loop's wait costs what a select costs.
func BenchmarkWait(b *testing.B) {
	w := System.Waiter()
	defer w.Stop()
	full := make(chan struct{}, 1)
	signals := []Signal{full, make(chan struct{})}
	until := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		full <- struct{}{}
		w.Wait(until, signals...)
	}
}

func BenchmarkSelect(b *testing.B) {
	full, done := make(chan struct{}, 1), make(chan struct{})
	ticker, timer := time.NewTicker(time.Hour), time.NewTimer(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		full <- struct{}{}
		select {
		case <-full:
		case <-done:
		case <-ticker.C:
		case <-timer.C:
		}
	}
}
