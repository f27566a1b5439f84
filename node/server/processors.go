package server

import (
	"runtime"
	"sync"

	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/transport"
)

// lender lends the process a second processor (of GOMAXPROCS) while it copies
// state, or brings it to the store. That computes for long, and on a single
// processor that makes everybody else late: Go asks the network for news when nothing is left to run,
// else only every 10 ms, and a write passes through several such waits. Its zero
// value is ready.
type lender struct {
	mu    sync.Mutex
	users int
	lent  bool
}

// lend gives the process its second processor, unless it has more than one. The
// caller calls giveBack, once or more often.
func (l *lender) lend() (giveBack func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users++; l.users == 1 && runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2)
		l.lent = true
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.users--; l.users == 0 && l.lent {
			runtime.GOMAXPROCS(1)
			l.lent = false
		}
	})
}

// inflow is a state that is being fetched, on a processor of its own.
type inflow struct {
	*transport.Fetch
	giveBack func()
}

var _ snapshot.In = inflow{}

// Close implements snapshot.In.
func (i inflow) Close() {
	i.Fetch.Close()
	i.giveBack()
}
