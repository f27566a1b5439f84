package transport

import (
	"sync"
	"time"
)

// refusalLogInterval is how often the same complaint is logged.
const refusalLogInterval = 30 * time.Second

// limiterKeys bounds the complaints remembered at a time.
const limiterKeys = 256

// limiter lets each key through once an interval.
type limiter struct {
	interval time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

func newLimiter(interval time.Duration) *limiter {
	return &limiter{interval: interval, last: make(map[string]time.Time)}
}

func (l *limiter) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.last[key]; ok && now.Sub(last) < l.interval {
		return false
	}
	if len(l.last) >= limiterKeys {
		clear(l.last)
	}
	l.last[key] = now
	return true
}

// forget lets key through again at once.
func (l *limiter) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.last, key)
}
