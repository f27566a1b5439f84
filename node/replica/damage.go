package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// A replica whose store turns out to be damaged (storage.ErrCorrupt), be it when it is
// opened, read, applied to or sent to somebody, does not go on answering errors. If
// MetaRaft knows of another member on a node that lives and that has the whole data,
// the replica hands leadership on, loses its state machine and its folder, which goes
// to the attic, keeps its vote and its log, and then gets the state anew as an arbiter
// that is to hold data does. Otherwise the damaged copy is all there is: what can be
// read of it is served, and one line of the log says what to do.

// errOnlyCopy is the end of a replica that cannot go on without what it has lost.
var errOnlyCopy = errors.New("no other node has a whole copy of this shard: put the file back from a backup of the data folder, " +
	"or give the shard's data up (stop the node, empty its data folder, CLUSTER FORGET it with FORCE on another node, and let it join anew)")

// unreadable takes in that the store could not be read. It reports whether that will
// pass by itself: another copy takes this one's place.
func (r *Replica) unreadable(err error) (passing bool) {
	m := r.manager
	first := r.damaged.CompareAndSwap(nil, &err)
	passing = whole(m.opts.Topology.Current(), r.id, true) != 0
	if first {
		m.Wake()
		doing := "handing over to another copy, and fetching it"
		if !passing {
			doing = errOnlyCopy.Error()
		}
		m.opts.Logger.Error("the store of a shard is damaged", "shard", r.id, "folder", r.dir, "error", err, "doing", doing)
	}
	return passing
}

// stalled turns the error of a state machine that is due to a damaged store into one
// that stops this replica alone.
func (r *Replica) stalled(err error) error {
	if !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	r.halted.Store(true)
	r.unreadable(err)
	r.manager.Wake()
	return fmt.Errorf("%w: %w", multiraft.ErrStalled, err)
}

// failed takes in that a checkpoint has failed in the background: the node ends, as it
// would with the next entry, which may be long in coming.
func (r *Replica) failed(err error) {
	if err = r.stalled(err); !errors.Is(err, multiraft.ErrStalled) {
		r.manager.opts.Fatal(fmt.Errorf("shard %s: %w", r.id, err))
	}
}

// whole returns another node that has the whole data of the shard, and, if asked, that
// answers; 0 if there is none.
func whole(view *topology.View, id topology.GroupID, answers bool) topology.NodeID {
	s := view.Shard(id)
	if s == nil {
		return 0
	}
	for _, o := range s.Members {
		if o.Node == view.Self || !o.Synced {
			continue
		}
		if node := view.Node(o.Node); node != nil && (!answers || !node.Failed) {
			return o.Node
		}
	}
	return 0
}

// openDamaged decides about a stored replica whose store cannot be opened. If others
// are known to have the data, it starts without a state machine, as a vote and a log;
// its folder stays until it is certain that one of them lives.
func (r *Replica) openDamaged(err error) error {
	if !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	other := whole(r.manager.opts.Topology.Current(), r.id, false)
	if other == 0 {
		return fmt.Errorf("%w; %w", err, errOnlyCopy)
	}
	r.data = false
	r.damaged.Store(&err)
	r.manager.opts.Logger.Error("the store of a shard is damaged: the node votes without it, and fetches the data anew",
		"shard", r.id, "folder", r.dir, "error", err, "node_with_the_data", other)
	return nil
}

// mend takes the next step towards a whole copy in the place of a damaged one.
func (m *Manager) mend(ctx context.Context, r *Replica, view *topology.View, s *topology.Shard) error {
	if whole(view, r.id, true) == 0 {
		if !r.halted.Load() || whole(view, r.id, false) != 0 {
			return nil // what can be read is served, and another node may come back
		}
		return fmt.Errorf("shard %s: %w; %w", r.id, *r.damaged.Load(), errOnlyCopy)
	}
	r.group.Distrust()
	if leader, _ := r.group.Leader(); leader == r.raftID {
		return nil // the group hands leadership on, and wakes the worker
	}
	// Whatever happens from here on, the folder is one to keep for a while.
	if err := r.mark(); err != nil {
		return err
	}
	next := newReplica(m, r.id, r.raftID, false, r.generation+1)
	next.serves.Store(r.serves.Load())
	group, err := m.opts.Host.Reopen(ctx, next.spec(false, raftMembers(view, s)), nil)
	if err != nil {
		return fmt.Errorf("drop the damaged state of shard %s: %w", r.id, err)
	}
	next.group = group
	m.put(next)
	m.opts.Logger.Warn("a damaged state was dropped, another is fetched", "shard", r.id, "raft_id", r.raftID)
	return r.retire()
}
