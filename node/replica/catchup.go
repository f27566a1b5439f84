package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/topology"
)

// A replica whose log no longer connects to its leader's gets another state: it
// is fetched beside everything else into a folder of its own, and the worker
// then makes the replica go on from it (multiraft.Host.Reopen), in one batch of
// the log that also names the folder. So a crash leaves the former state or the
// new one, and the folder of the other is a stranger's at the next start.

// retryFetch is how long after a failure a fetch is tried again.
const retryFetch = 500 * time.Millisecond

// catchUp does what an offer of the leader's asks for.
func (m *Manager) catchUp(ctx context.Context, r *Replica, view *topology.View, s *topology.Shard) error {
	if f := r.inflow.take(); f != nil {
		if !r.data { // it was to hold data when that began
			r.group.KeepLog(false)
			return f.discard()
		}
		return m.goOver(ctx, r, f, view, s)
	}
	offer := r.group.Offer()
	switch {
	case offer == nil:
	case r.data:
		m.fetch(ctx, r, []uint64{offer.Node}, func() { r.group.Decline(offer) })
	default: // the place in the log is all it needs
		next := newReplica(m, r.id, r.raftID, false, r.generation)
		group, err := m.opts.Host.Reopen(ctx, next.spec(false, raftMembers(view, s)), &offer.Point)
		if errors.Is(err, multiraft.ErrObsolete) {
			r.group.Decline(offer)
			return nil
		}
		if err != nil {
			return fmt.Errorf("move an arbiter of shard %s on: %w", r.id, err)
		}
		next.group = group
		m.put(next)
		m.opts.Logger.Info("arbiter goes on behind the leader's log start", "shard", r.id, "index", offer.Point.Index)
	}
	return nil
}

// fetchData brings in the state for an arbiter that is to hold data and whose
// log has lost the beginning. Any data member's state will do.
func (m *Manager) fetchData(ctx context.Context, r *Replica, view *topology.View, s *topology.Shard) error {
	if f := r.inflow.take(); f != nil {
		return m.goOver(ctx, r, f, view, s)
	}
	nodes := []uint64{r.group.LeaderNode()}
	for _, o := range s.Members {
		if o.HoldsState() && o.Node != view.Self {
			nodes = append(nodes, uint64(o.Node))
		}
	}
	m.fetch(ctx, r, nodes, func() {})
	return nil
}

// fetch starts to fetch a state for the replica from one of the nodes, unless
// that is under way; failed is called if nothing comes of it.
func (m *Manager) fetch(ctx context.Context, r *Replica, nodes []uint64, failed func()) {
	next := newReplica(m, r.id, r.raftID, true, r.generation+1)
	r.inflow.start(ctx, m, func(ctx context.Context) (*fetched, error) {
		// The state's place has to be within the replica's own log, if it has one.
		r.group.KeepLog(true)
		f, err := next.fetchFrom(ctx, nodes)
		if err != nil {
			r.group.KeepLog(false)
			failed()
			m.opts.Logger.Warn("cannot fetch the state of a shard, trying again", "shard", r.id, "error", err)
		}
		return f, err
	})
}

// fetchFrom fills the replica's folder, which it makes, and opens it.
func (r *Replica) fetchFrom(ctx context.Context, nodes []uint64) (*fetched, error) {
	var errs []error
	for _, node := range nodes {
		if node == 0 {
			continue
		}
		f, err := r.fetchFromNode(ctx, node)
		if err == nil {
			return f, nil
		}
		errs = append(errs, fmt.Errorf("from node %s: %w", topology.NodeID(node), err))
	}
	return nil, errors.Join(errs...)
}

func (r *Replica) fetchFromNode(ctx context.Context, node uint64) (*fetched, error) {
	if err := os.RemoveAll(r.dir); err != nil { // of an attempt before
		return nil, err
	}
	store, err := r.manager.opts.OpenStore(r.dir)
	if err != nil {
		return nil, err
	}
	request := snapshot.Request{Group: multiraft.GroupID(r.id), To: r.raftID}
	clock := r.manager.opts.Sched
	begun := clock.Now()
	state, err := r.manager.opts.Snapshots.Fetch(ctx, node, request, store)
	if err == nil {
		if err = r.adopt(store); err != nil {
			state.Discard()
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(), os.RemoveAll(r.dir))
	}
	r.manager.opts.Logger.Info("state of a shard fetched", "shard", r.id, "node", topology.NodeID(node),
		"index", state.At.Index, "keys", r.machine.Keys(), "took", clock.Now().Sub(begun))
	return &fetched{replica: r, state: state}, nil
}

// goOver makes the replica go on from a fetched state.
func (m *Manager) goOver(ctx context.Context, old *Replica, f *fetched, view *topology.View, s *topology.Shard) error {
	next := f.replica
	// gofail: var snapshotFlip struct{}
	group, err := m.opts.Host.Reopen(ctx, next.spec(false, raftMembers(view, s)), &f.state.At)
	if errors.Is(err, multiraft.ErrObsolete) {
		old.group.KeepLog(false)
		m.opts.Logger.Info("fetched state is not needed any more", "shard", old.id, "reason", err)
		return f.discard()
	}
	if err != nil {
		return fmt.Errorf("install a state of shard %s: %w", old.id, err)
	}
	// gofail: var snapshotFlipped struct{}
	next.group = group
	next.serves.Store(old.serves.Load())
	m.put(next)
	if err := f.state.Use(); err != nil {
		// The leader finds out by asking.
		m.opts.Logger.Debug("the sender does not know that its state arrived", "shard", next.id, "error", err)
	}
	m.opts.Logger.Info("replica goes on from fetched state", "shard", next.id, "raft_id", next.raftID, "index", f.state.At.Index)
	return old.destroy()
}

// fetched is a state that has arrived, and the replica that it would become.
type fetched struct {
	replica *Replica
	state   *snapshot.Fetched
}

func (f *fetched) discard() error {
	f.state.Discard()
	return f.replica.destroy()
}

// inflow is a state on its way to a replica: at most one at a time. Its zero
// value is ready.
type inflow struct {
	mu      sync.Mutex
	stopped bool
	retry   time.Time     // not before; zero: nothing has failed
	running chan struct{} // closed when nothing runs any more; nil: nothing has run
	cancel  context.CancelFunc
	result  *fetched
}

// start runs fetch beside the replica's worker, unless that is running, has left a
// result, or failed a moment ago.
func (i *inflow) start(ctx context.Context, m *Manager, fetch func(context.Context) (*fetched, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped || i.result != nil || m.opts.Sched.Now().Before(i.retry) {
		return
	}
	if i.running != nil {
		select {
		case <-i.running:
			i.cancel()
		default:
			return
		}
	}
	ended := make(chan struct{})
	i.running, i.retry = ended, time.Time{}
	ctx, i.cancel = context.WithCancel(ctx)
	m.work.Go("fetch", func() {
		f, err := fetch(ctx)
		i.mu.Lock()
		i.result = f
		if err != nil {
			i.retry = m.opts.Sched.Now().Add(retryFetch)
		}
		i.mu.Unlock()
		close(ended)
		m.Wake()
	})
}

// due reports, once, that it is time to try again.
func (i *inflow) due(now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.retry.IsZero() || now.Before(i.retry) {
		return false
	}
	i.retry = time.Time{}
	return true
}

// take returns the state that has arrived, if one has.
func (i *inflow) take() *fetched {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.result
	i.result = nil
	return f
}

// stop ends what is running and drops what has arrived.
func (i *inflow) stop(s sched.Sched) error {
	i.mu.Lock()
	i.stopped = true
	running := i.running
	if running != nil {
		i.cancel()
	}
	i.mu.Unlock()
	if running == nil {
		return nil
	}
	sched.Wait(s, time.Time{}, running)
	if f := i.take(); f != nil {
		return f.discard()
	}
	return nil
}
