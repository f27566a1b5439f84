package replica

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// worker keeps the node's replica of one shard in line with the view: it compares the
// two whenever it is kicked, and takes what is missing. So a replica that is opened,
// exchanged or removed holds up no other one. A worker lives while there is a replica
// or the view wishes for one.
type worker struct {
	manager *Manager
	id      topology.GroupID
	kick    chan struct{}
	// changing is held while the worker compares and acts.
	changing *sched.Mutex
}

// sweepEvery is how often a leader looks for expired keys, and how often what
// failed is tried again.
const sweepEvery = 100 * time.Millisecond

// wakeWorkers has every worker look again, and starts those that are missing.
func (m *Manager) wakeWorkers(ctx context.Context) {
	m.changing.Lock()
	defer m.changing.Unlock()
	wanted := make(map[topology.GroupID]bool)
	for _, r := range m.All() {
		wanted[r.id] = true
	}
	if view, ok := m.view(); ok {
		for _, s := range view.Shards {
			if _, leaving, ok := s.Member(view.Self); ok && !leaving {
				wanted[s.ID] = true
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		w := m.workers[id]
		if w == nil {
			w = &worker{manager: m, id: id, kick: make(chan struct{}, 1), changing: sched.NewMutex(m.opts.Sched)}
			m.workers[id] = w
			m.work.Go("replica", func() { w.run(ctx) })
			continue
		}
		w.wake()
	}
}

// stall keeps all workers from acting until the function that it returns is called.
func (m *Manager) stall() (resume func()) {
	m.changing.Lock()
	m.mu.Lock()
	workers := slices.SortedFunc(maps.Values(m.workers), func(a, b *worker) int { return cmp.Compare(a.id, b.id) })
	m.mu.Unlock()
	for _, w := range workers {
		w.changing.Lock()
	}
	return func() {
		for _, w := range workers {
			w.changing.Unlock()
		}
		m.changing.Unlock()
	}
}

// dismiss takes a worker off the list that has nothing left to do; it reports false if
// it was kicked meanwhile.
func (m *Manager) dismiss(w *worker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(w.kick) > 0 {
		return false
	}
	delete(m.workers, w.id)
	return true
}

// wake makes the worker look again.
func (w *worker) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// run keeps the replica in line until there is none, or ctx ends.
func (w *worker) run(ctx context.Context) {
	s := w.manager.opts.Sched
	waiter := s.Waiter()
	defer waiter.Stop()
	next := sched.Next(s, sweepEvery)
	for {
		idle, err := w.align(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.manager.opts.Fatal(err)
			return
		case idle && w.manager.dismiss(w):
			return
		}
		for waiting := true; waiting; {
			switch waiter.Wait(next, w.kick, ctx.Done()) {
			case 0:
				waiting = false
			case 1:
				return
			default:
				waiting = !w.sweep(ctx)
				next = sched.Next(s, sweepEvery)
			}
		}
	}
}

// align takes every step towards the view. It reports idle if there is no replica and
// is to be none. An error means that the node cannot go on.
func (w *worker) align(ctx context.Context) (idle bool, err error) {
	w.changing.Lock()
	defer w.changing.Unlock()
	m := w.manager
	view, ok := m.view()
	if !ok {
		return false, nil
	}
	r := m.replica(w.id)
	if s := view.Shard(w.id); s != nil {
		if member, leaving, ok := s.Member(view.Self); ok {
			if err := m.ensure(ctx, view, s, member, leaving); err != nil {
				return false, err
			}
			if r = m.replica(w.id); r != nil {
				r.follow(ctx, view, s)
			}
			return r == nil, nil
		}
	}
	if r == nil {
		return true, nil
	}
	return true, m.drop(ctx, r)
}

// sweep has due keys deleted; it reports whether anything waits for another look.
func (w *worker) sweep(ctx context.Context) (again bool) {
	m := w.manager
	r := m.replica(w.id)
	if r == nil {
		return true
	}
	r.sweep(ctx)
	return r.unfinished.Load() || r.awaited.Load() || r.inflow.due(m.opts.Sched.Now()) || !m.opts.Topology.Recovered()
}
