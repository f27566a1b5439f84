package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

const (
	idleInterval = time.Second
	// idleAllocates is how many bytes an idle node may allocate in an interval:
	// heartbeats, a health check, somebody who looks.
	idleAllocates = 1 << 20
	// idleGarbage is how many bytes must have been allocated since the last time
	// for another collection to be worth its while.
	idleGarbage = 8 << 20
)

// idleness decides when an idle node gives memory back. It is a step function.
type idleness struct {
	last  uint64 // bytes allocated so far, at the last step
	given uint64 // the same when memory was last given back
}

// step reports whether it is time: little was allocated since the last step, much
// since memory was given back.
func (i *idleness) step(allocated uint64) bool {
	idle := allocated-i.last < idleAllocates
	i.last = allocated
	if !idle || allocated-i.given < idleGarbage {
		return false
	}
	i.given = allocated
	return true
}

// giveBack returns memory that is not needed to the operating system when the
// node has nothing to do, until ctx ends. The runtime alone would keep what a
// bring-up or a burst of work left behind: it collects when it allocates, and an
// idle node hardly does.
func (n *node) giveBack(ctx context.Context) {
	var idle idleness
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	for sched.Every(ctx, n.sched, idleInterval) {
		metrics.Read(allocated)
		if idle.step(allocated[0].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}
