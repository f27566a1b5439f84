package rawio

import (
	"sync/atomic"
	"time"
)

// Uptime is a clock that also counts while the machine sleeps, which Go's
// monotonic clock does not. It may be used concurrently.
//
// The system's own such clock costs a system call. So it is asked only when the
// wall clock has moved against the monotonic one, as it does over a sleep; else
// the monotonic clock goes on from there.
type Uptime struct {
	base  time.Time
	skew  atomic.Int64 // wall less monotonic, when the system was asked last
	ahead atomic.Int64 // what the system's clock was ahead of the monotonic one
}

// skewSlack is how far the two clocks may part before the system is asked again.
const skewSlack = time.Millisecond

// NewUptime returns a clock, or nil where the system has none that counts while
// the machine sleeps.
func NewUptime() *Uptime {
	if _, ok := bootTime(); !ok {
		return nil
	}
	u := &Uptime{base: time.Now()}
	u.ask()
	return u
}

// Now returns the time since some fixed moment.
func (u *Uptime) Now() time.Duration {
	monotonic, skew := u.read()
	if moved := skew - u.skew.Load(); moved > int64(skewSlack) || moved < -int64(skewSlack) {
		u.ask()
	}
	return monotonic + time.Duration(u.ahead.Load())
}

func (u *Uptime) read() (monotonic time.Duration, skew int64) {
	now := time.Now()
	monotonic = now.Sub(u.base)
	return monotonic, now.UnixNano() - u.base.UnixNano() - int64(monotonic)
}

// ask compares with the system's clock. What is ahead only grows: if this
// goroutine was held up between the two readings, the clock has jumped forward
// by that, and must not come back.
func (u *Uptime) ask() {
	monotonic, skew := u.read()
	total, _ := bootTime()
	for now := int64(total - monotonic); ; {
		ahead := u.ahead.Load()
		if now <= ahead || u.ahead.CompareAndSwap(ahead, now) {
			break
		}
	}
	u.skew.Store(skew)
}
