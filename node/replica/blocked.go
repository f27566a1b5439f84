package replica

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/slot"
)

// AttendBlocked wakes the clients that must not wait at this node any more, because the
// leadership of the shard or their slot has gone elsewhere: whenever Wake is called,
// until ctx ends. They find out themselves where to go.
func (m *Manager) AttendBlocked(ctx context.Context) {
	w := m.opts.Sched.Waiter()
	defer w.Stop()
	for w.Wait(time.Time{}, m.moved, ctx.Done()) == 0 {
		view := m.opts.Topology.Current()
		for _, r := range m.All() {
			if r.machine == nil || r.Blocked().Blocked() == 0 {
				continue
			}
			// While a slot has no owner, it depends on settings what is served.
			serves := r.serves.Load() && r.Leads() && view.Assigned() == slot.Count
			r.Blocked().Review(func(key string) bool { return serves && view.Owner[slot.Of([]byte(key))].ID == r.id })
		}
	}
}
