package seeded

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// chatter has some goroutines of two processes wait and signal each other, and
// returns what they did.
func chatter(seed int64) (string, uint64) {
	w := New(seed)
	defer w.Close()
	var log []string
	say := func(format string, args ...any) {
		log = append(log, fmt.Sprintf("%v ", w.Now().Sub(time.Unix(1_700_000_000, 0)))+fmt.Sprintf(format, args...))
	}
	for i := range 2 {
		p := w.Start(fmt.Sprint("p", i))
		work := make(chan struct{}, 1)
		g := sched.NewGroup(p)
		for j := range 3 {
			g.Go("worker", func() {
				for range 3 {
					came := sched.Wait(p, p.Now().Add(time.Duration(j+1)*time.Second), work)
					say("%d.%d %d", i, j, came)
				}
			})
		}
		p.Go("boss", func() {
			for range 4 {
				sched.Sleep(context.Background(), p, 700*time.Millisecond)
				select {
				case work <- struct{}{}:
				default:
				}
			}
			g.Wait()
			say("%d done", i)
		})
	}
	w.RunFor(time.Minute)
	return strings.Join(log, "\n"), w.Hash()
}

func TestSeedDecides(t *testing.T) {
	different := make(map[string]bool)
	for seed := range int64(20) {
		log, hash := chatter(seed)
		again, same := chatter(seed)
		if log != again || hash != same {
			t.Fatalf("seed %d went two ways:\n%s\n\n%s", seed, log, again)
		}
		if strings.Count(log, "done") != 2 || strings.Count(log, "\n") != 19 {
			t.Fatalf("not everybody came to an end:\n%s", log)
		}
		different[log] = true
	}
	if len(different) < 10 {
		t.Errorf("20 seeds gave %d different runs", len(different))
	}
}

func TestTimePassesWhenNobodyCanRun(t *testing.T) {
	w := New(1)
	start := w.Now()
	p, slow := w.Start("p"), w.Start("slow")
	slow.SetRate(0.5)
	var woke []time.Duration
	note := func() { woke = append(woke, w.Now().Sub(start).Round(time.Millisecond)) }
	p.Go("sleeper", func() { sched.Sleep(context.Background(), p, time.Second); note() })
	slow.Go("sleeper", func() { sched.Sleep(context.Background(), slow, time.Second); note() })
	p.Go("context", func() {
		ctx, cancel := p.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		inner, stop := p.WithTimeout(ctx, time.Hour)
		defer stop()
		if at, ok := inner.Deadline(); !ok || at != start.Add(3*time.Second) {
			t.Errorf("the deadline is %v", at)
		}
		if sched.Sleep(inner, p, time.Minute) || inner.Err() == nil {
			t.Error("the context did not end")
		}
		note()
	})
	w.After(4*time.Second, note)
	w.RunFor(10 * time.Second)
	if want := []time.Duration{1e9, 2e9, 3e9, 4e9}; !slices.Equal(woke, want) {
		t.Errorf("woke at %v", woke)
	}
	if w.Now() != start.Add(10*time.Second) {
		t.Errorf("it is %v", w.Now())
	}
}

func TestPauseAndDelay(t *testing.T) {
	w := New(1)
	start := w.Now()
	p := w.Start("p")
	p.Delay = func(name string) time.Duration {
		if name == "disk" {
			return 5 * time.Second
		}
		return 0
	}
	work := make(chan struct{}, 1)
	work <- struct{}{}
	var took []time.Duration
	p.Go("disk", func() {
		for range 2 {
			sched.Wait(p, time.Time{}, work)
			took = append(took, w.Now().Sub(start))
			work <- struct{}{}
		}
	})
	w.RunFor(6 * time.Second)
	p.Pause(10 * time.Second)
	w.RunFor(time.Hour)
	if want := []time.Duration{5e9, 16e9}; !slices.Equal(took, want) {
		t.Errorf("the disk worked at %v", took)
	}
}

// A killed process does nothing any more, but what it deferred.
func TestKill(t *testing.T) {
	w := New(1)
	p := w.Start("p")
	var log []string
	mu := sched.NewMutex(p)
	for i := range 2 {
		p.Go("holder", func() {
			defer func() { log = append(log, fmt.Sprint("deferred ", i)) }()
			mu.Lock()
			defer func() { sched.Wait(p, time.Time{}); log = append(log, "waited") }()
			defer mu.Unlock()
			sched.Sleep(context.Background(), p, time.Hour)
			log = append(log, "woke")
		})
	}
	w.RunFor(time.Second)
	p.Go("late", func() { log = append(log, "began") })
	p.Kill()
	p.Go("later", func() { log = append(log, "began") })
	w.RunFor(2 * time.Hour)
	slices.Sort(log)
	if got := strings.Join(log, ", "); got != "deferred 0, deferred 1" {
		t.Errorf("log: %s", got)
	}
	if ctx, cancel := p.WithTimeout(context.Background(), time.Hour); ctx.Err() == nil {
		cancel()
		t.Error("a dead process has time")
	}
}

func TestPanicsAreNotLost(t *testing.T) {
	w := New(1)
	defer w.Close()
	p := w.Start("p")
	p.Go("clumsy", func() { panic("oops") })
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "p, clumsy: oops") {
			t.Errorf("recovered %q", text)
		}
	}()
	w.RunFor(time.Second)
}
