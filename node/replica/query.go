package replica

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// Data returns the node's replica of the shard if it is there to serve, or nil:
// an arbiter's copy is not.
func (m *Manager) Data(id topology.GroupID) *Replica {
	if r := m.replica(id); r != nil && r.machine != nil && r.serves.Load() {
		return r
	}
	return nil
}

// Own returns the data replica of the shard that the view gives to the node, or
// nil. There is at most one.
func (m *Manager) Own() *Replica {
	me := m.opts.Topology.Current().Me()
	if me == nil || me.Shard == nil {
		return nil
	}
	return m.Data(me.Shard.ID)
}

// All returns every replica, arbiters included, by group id.
func (m *Manager) All() []*Replica {
	return slices.SortedFunc(maps.Values(*m.replicas.Load()), func(a, b *Replica) int { return cmp.Compare(a.id, b.id) })
}

// Peers returns the Raft addresses of nodes that are in a group of this node, as
// far as they are known: MetaRaft may have forgotten some of them already.
func (m *Manager) Peers() map[uint64]string {
	peers := make(map[uint64]string)
	for _, r := range m.All() {
		for _, o := range r.group.Members() {
			if o.Addr != "" {
				peers[o.Node] = o.Addr
			}
		}
	}
	return peers
}

// LeaderNode returns the node that leads the shard as far as this node's own
// replica knows; ok is false if it has none.
func (m *Manager) LeaderNode(id topology.GroupID) (node topology.NodeID, ok bool) {
	r := m.replica(id)
	if r == nil {
		return 0, false
	}
	return topology.NodeID(r.group.LeaderNode()), true
}

// AwaitOwned returns once this node's replica of the shard has applied the
// ownership of the slots at epoch or a later one.
func (m *Manager) AwaitOwned(ctx context.Context, id topology.GroupID, slots slot.Set, epoch uint64) error {
	return m.await(ctx, id, func(r *Replica) bool {
		for n := range slots.All {
			if r.machine.SlotEpoch(n) < epoch {
				return false
			}
		}
		return true
	})
}

// AwaitMarked returns once this node's replica of the shard has applied the slot's mark of
// that epoch, or a later one.
func (m *Manager) AwaitMarked(ctx context.Context, id topology.GroupID, n uint16, epoch uint64) error {
	return m.await(ctx, id, func(r *Replica) bool {
		_, marked := r.machine.Marked(n)
		return marked >= epoch
	})
}

// await returns once what this node's replica of the shard has applied fulfils the
// condition.
func (m *Manager) await(ctx context.Context, id topology.GroupID, fulfils func(*Replica) bool) error {
	for {
		if r := m.Data(id); r != nil {
			return r.await(ctx, func() bool { return fulfils(r) })
		}
		m.Wake() // its worker has yet to create it
		if !sched.Sleep(ctx, m.opts.Sched, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// LastPause returns for how long clients waited at the last hand-over of slots from this
// node, 0 if there was none.
func (m *Manager) LastPause() time.Duration { return time.Duration(m.paused.Load()) }

// Keys returns how many keys the node's own shard holds: linearizable if the
// node leads it and it has a quorum, else as far as this node has applied.
func (m *Manager) Keys(ctx context.Context) (int64, error) {
	r := m.Own()
	if r == nil {
		return 0, nil
	}
	if r.Leads() {
		// Without a quorum: what is known here.
		_ = multiraft.Run(ctx, m.opts.Sched, new(multiraft.Call), r.Barrier)
	}
	return r.machine.Keys(), nil
}

// HandOff lets other replicas lead the groups that this node leads.
func (m *Manager) HandOff(ctx context.Context) { m.opts.Host.HandOff(ctx) }

// SendState sends a member of a group the state that this node has of it.
func (m *Manager) SendState(ctx context.Context, r snapshot.Request, out snapshot.Out) error {
	from := m.replica(topology.GroupID(r.Group))
	if from == nil || from.machine == nil {
		return multiraft.ErrNoState
	}
	err := m.opts.Snapshots.Serve(ctx, from.group, from.machine, r.To, out)
	if errors.Is(err, storage.ErrCorrupt) {
		from.unreadable(err)
	}
	return err
}
