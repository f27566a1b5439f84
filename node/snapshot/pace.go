package snapshot

import (
	"context"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// Pace bounds how fast a node sends, all its streams together. It may be used
// concurrently.
type Pace struct {
	rate  int64 // bytes a second; 0: no bound
	sched sched.Sched

	mu   sync.Mutex
	free time.Time // when what was let through is over
}

// NewPace returns a bound of rate bytes a second, none if rate is 0.
func NewPace(rate int64, s sched.Sched) *Pace { return &Pace{rate: rate, sched: s} }

// Wait returns when the next n bytes may go, or with the reason why ctx ended.
func (p *Pace) Wait(ctx context.Context, n int) error {
	if wait := p.take(n, p.sched.Now()); wait > 0 {
		sched.Sleep(ctx, p.sched, wait)
	}
	return context.Cause(ctx)
}

// take gives out the turn of n bytes and returns how long it is off.
func (p *Pace) take(n int, now time.Time) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return wait
}
