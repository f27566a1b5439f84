package snapshot

import (
	"context"
	"sync/atomic"

	"github.com/genuineh/aikv/node/sched"
)

// Exchange is what a node's members share for sending and fetching state. Its
// methods may be called concurrently.
type Exchange struct {
	// Open asks a node for a stream, which ends with ctx at the latest.
	Open func(ctx context.Context, node uint64, request []byte) (In, error)
	// Pace bounds what the node sends.
	Pace  *Pace
	Sched sched.Sched

	sent, received atomic.Int64
}

// Counts returns how many states the node has sent, and received, that were put
// to use.
func (x *Exchange) Counts() (sent, received int64) { return x.sent.Load(), x.received.Load() }
