package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// Topology is MetaRaft as the Manager uses it. The reports are about a view of
// the cluster with that id, and go nowhere else; they may be repeated. An error
// means that it is tried again later.
type Topology interface {
	// Current returns what this node has applied; it always contains the node.
	// Whoever changes it calls Manager.Wake.
	Current() *topology.View
	// Recovered reports whether Current shows everything that it showed before
	// the process was restarted: the machine's crash may have taken some of it
	// back, which is applied again.
	Recovered() bool
	// Takeover says that this node, whose Raft id is leader, leads the group.
	Takeover(ctx context.Context, cluster uint64, shard topology.GroupID, leader, term uint64) error
	// Report passes on what this node, whose Raft id is leader, knows of the group
	// that it leads. Seq rises with each report of a term.
	Report(ctx context.Context, cluster uint64, shard topology.GroupID, leader, seq uint64, report *multiraft.Report) error
	MembershipDone(ctx context.Context, cluster uint64, shard topology.GroupID, version uint64) error
	Sealed(ctx context.Context, cluster, intent uint64, shard topology.GroupID, residue slot.Set) error
	ClearResidue(ctx context.Context, cluster uint64, shard topology.GroupID, slots slot.Set) error
	// View returns a view in which everything shows that was committed before, or one
	// without a quorum.
	View(ctx context.Context) *topology.View
	// GarbageGone says that the shard has deleted what it had of the slots up to epoch.
	GarbageGone(ctx context.Context, cluster uint64, shard topology.GroupID, slots slot.Set, epoch uint64) error
	// HandBack undoes the hand-over with that epoch, unless it has ended.
	HandBack(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64) error
}

// Options configures a Manager. All fields are required.
type Options struct {
	Host     *multiraft.Host
	Topology Topology
	Table    *command.Table
	// Dir is the folder that holds one folder for each data replica; it exists.
	Dir string
	// Attic is where the data of replicas that are dropped is kept for a while.
	Attic Attic
	// OpenStore opens the database in a folder, or creates both, durably.
	OpenStore func(dir string) (storage.Store, error)
	Shard     shard.Options
	Snapshots *snapshot.Exchange
	// PauseLimit is for how long clients wait at most while slots are handed over.
	PauseLimit func() time.Duration
	// ReportTimeout bounds one report to MetaRaft.
	ReportTimeout time.Duration
	Sched         sched.Sched
	Logger        *slog.Logger
	// Fatal ends the node after an error that leaves a replica's state unknown.
	Fatal func(error)
}

// Manager owns the node's replicas of shard groups, and has a worker for each.
// Methods may be called concurrently.
type Manager struct {
	opts Options
	kick chan struct{}
	// moved is kick for AttendBlocked.
	moved chan struct{}

	replicas atomic.Pointer[map[topology.GroupID]*Replica]

	// changing is held while workers begin, and while there must be no replicas.
	changing *sched.Mutex
	mu       sync.Mutex // guards workers, and who publishes replicas
	workers  map[topology.GroupID]*worker
	work     *sched.Group
	attic    keeper
	paused   atomic.Int64 // for how many ns clients waited at the last hand-over from here
}

// NewManager returns a Manager without replicas; see Restore and Run.
func NewManager(opts Options) *Manager {
	m := &Manager{
		opts: opts, kick: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		changing: sched.NewMutex(opts.Sched), work: sched.NewGroup(opts.Sched),
		workers: make(map[topology.GroupID]*worker),
		attic:   keeper{Attic: opts.Attic, logger: opts.Logger},
	}
	m.replicas.Store(&map[topology.GroupID]*Replica{})
	return m
}

// Wake makes all workers compare again, such as after a change of leadership.
func (m *Manager) Wake() {
	for _, signal := range []chan struct{}{m.kick, m.moved} {
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}

// Restore opens the replicas that the log holds after a restart, and removes
// the folders of those that it doesn't.
func (m *Manager) Restore(ctx context.Context, stored []multiraft.Stored) error {
	keep := make(map[string]bool)
	for _, s := range stored {
		r, err := storedReplica(m, s)
		if err != nil {
			return err
		}
		if s.Data {
			keep[filepath.Base(r.dir)] = true
			if err := r.openMachine(); err != nil {
				if err = r.openDamaged(err); err != nil {
					return err
				}
			}
		}
		group, err := m.opts.Host.Open(ctx, r.spec(false, nil))
		if err != nil {
			return err
		}
		r.group = group
		r.serves.Store(s.Data && !m.arbiter(r.id))
		m.put(r)
	}
	return m.removeStrangers(keep)
}

// Forsake says that the replicas that the log holds will be given up instead of being
// restored: their data is kept for a while, though the log has lost them.
func (m *Manager) Forsake(stored []multiraft.Stored) error {
	for _, s := range stored {
		r, err := storedReplica(m, s)
		if err != nil {
			return err
		}
		if !s.Data {
			continue
		}
		if err := m.attic.mark(r.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// arbiter reports whether the last view has this node as an arbiter of the shard.
func (m *Manager) arbiter(id topology.GroupID) bool {
	view := m.opts.Topology.Current()
	s := view.Shard(id)
	if s == nil {
		return false
	}
	member, _, ok := s.Member(view.Self)
	return ok && member.Kind == topology.Arbiter
}

// removeStrangers deletes folders of replicas that are no more, or moves them to
// the attic.
func (m *Manager) removeStrangers(keep map[string]bool) error {
	entries, err := os.ReadDir(m.opts.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := m.attic.retire(filepath.Join(m.opts.Dir, e.Name()), m.opts.Sched.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run keeps the replicas in line until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	w := m.opts.Sched.Waiter()
	defer w.Stop()
	defer m.work.Wait()
	next := sched.Next(m.opts.Sched, sweepEvery)
	for {
		m.wakeWorkers(ctx)
		for waiting := true; waiting; {
			switch w.Wait(next, m.kick, ctx.Done()) {
			case 0:
				waiting = false
			case 1:
				return
			default:
				if now := m.opts.Sched.Now(); m.attic.due(now) {
					m.work.Go("attic", func() { m.attic.tidy(now) })
				}
				waiting = m.opts.Topology.Recovered()
				next = sched.Next(m.opts.Sched, sweepEvery)
			}
		}
	}
}

// view returns the view to act upon; ok is false while there is none.
func (m *Manager) view() (view *topology.View, ok bool) {
	view = m.opts.Topology.Current()
	// An old view would have replicas destroyed that came later.
	return view, view.Index != 0 && m.opts.Topology.Recovered()
}

// ensure makes the replica exist that the view wishes for.
func (m *Manager) ensure(ctx context.Context, view *topology.View, s *topology.Shard, member topology.Member, leaving bool) error {
	r := m.replica(s.ID)
	if r != nil && r.raftID != member.RaftID && s.Refound == member.RaftID && r.data {
		return m.refound(ctx, r, view, s, member)
	}
	if r != nil && r.raftID != member.RaftID {
		if err := m.drop(ctx, r); err != nil {
			return err
		}
		r = nil
	}
	if r != nil {
		return m.keep(ctx, r, view, s, member, leaving)
	}
	if leaving {
		return nil
	}
	r = newReplica(m, s.ID, member.RaftID, member.HoldsState(), 0)
	if r.data {
		if err := r.openMachine(); err != nil {
			return err
		}
	}
	spec := r.spec(founder(s, member, view.Self), raftMembers(view, s))
	groups, err := m.opts.Host.Apply(ctx, multiraft.Change{Create: []multiraft.Spec{spec}})
	if err != nil {
		return fmt.Errorf("create a replica of shard %s: %w", s.ID, err)
	}
	r.group = groups[0]
	r.serves.Store(member.Kind == topology.Data)
	m.put(r)
	m.opts.Logger.Info("replica created", "shard", s.ID, "raft_id", r.raftID, "kind", member.Kind)
	return nil
}

// keep makes a replica what the view wishes it to be, and has it follow its
// group.
func (m *Manager) keep(ctx context.Context, r *Replica, view *topology.View, s *topology.Shard, member topology.Member, leaving bool) error {
	r.serves.Store(member.Kind == topology.Data)
	if r.damaged.Load() != nil {
		return m.mend(ctx, r, view, s)
	}
	switch {
	case leaving || r.data == member.HoldsState():
		return m.catchUp(ctx, r, view, s)
	case !r.data && r.group.LogStart() > 0:
		return m.fetchData(ctx, r, view, s)
	default:
		return m.convert(ctx, r, view, s)
	}
}

// convert makes a replica with data of a bare arbiter, or the other way round.
// Its log goes on; the data is built up from it, or deleted once the members that
// serve hold what the log has lost.
func (m *Manager) convert(ctx context.Context, old *Replica, view *topology.View, s *topology.Shard) error {
	r := newReplica(m, old.id, old.raftID, !old.data, old.generation+1)
	r.serves.Store(old.serves.Load())
	if r.data {
		if err := r.openMachine(); err != nil {
			return err
		}
	}
	group, err := m.opts.Host.Reopen(ctx, r.spec(false, raftMembers(view, s)), nil)
	switch {
	case errors.Is(err, multiraft.ErrObsolete):
		return r.destroy() // the log has been cut meanwhile
	case errors.Is(err, multiraft.ErrNeeded):
		old.awaited.Store(true)
		return nil
	case err != nil:
		return fmt.Errorf("convert a replica of shard %s: %w", r.id, err)
	}
	r.group = group
	m.put(r)
	m.opts.Logger.Info("replica converted", "shard", r.id, "raft_id", r.raftID, "data", r.data)
	return old.destroy()
}

// refound makes the shard's group go on from this node's replica alone, under a new
// Raft id (topology.Shard.Refound). State, folder and log stay as they are.
func (m *Manager) refound(ctx context.Context, old *Replica, view *topology.View, s *topology.Shard, member topology.Member) error {
	if err := old.inflow.stop(m.opts.Sched); err != nil {
		return err
	}
	r := old.successor(member.RaftID)
	r.serves.Store(member.Kind == topology.Data)
	// gofail: var refoundBegin struct{}
	group, err := m.opts.Host.Refound(ctx, r.spec(false, raftMembers(view, s)), s.MasterTerm)
	if err != nil {
		return fmt.Errorf("refound shard %s: %w", r.id, err)
	}
	// gofail: var refounded struct{}
	r.group = group
	m.put(r)
	m.opts.Logger.Warn("shard goes on from this node's copy, its other voters were given up", "shard", r.id, "raft_id", r.raftID, "keys", r.machine.Keys())
	return nil
}

// founder reports whether the node is to create the shard's group: it is its
// first member, and nobody has led the group yet.
func founder(s *topology.Shard, member topology.Member, self topology.NodeID) bool {
	if s.MasterTerm != 0 || s.Master != self || s.Refound != 0 {
		return false
	}
	for _, o := range append(append([]topology.Member{}, s.Members...), s.Leaving...) {
		if o.RaftID < member.RaftID {
			return false
		}
	}
	return true
}

// drop removes a replica; its data goes to the attic.
func (m *Manager) drop(ctx context.Context, r *Replica) error {
	m.take(r)
	if err := r.mark(); err != nil {
		return err
	}
	change := multiraft.Change{Remove: []multiraft.GroupID{multiraft.GroupID(r.id)}}
	if _, err := m.opts.Host.Apply(ctx, change); err != nil {
		return fmt.Errorf("remove a replica of shard %s: %w", r.id, err)
	}
	m.opts.Logger.Info("replica removed", "shard", r.id, "raft_id", r.raftID)
	return r.retire()
}

// Reset removes every replica, in one step of the log together with change: this is
// how a node leaves its cluster. The data goes to the attic.
func (m *Manager) Reset(ctx context.Context, change multiraft.Change) ([]*multiraft.Group, error) {
	defer m.stall()()
	gone := m.All()
	for _, r := range gone {
		if err := r.mark(); err != nil {
			return nil, err
		}
		change.Remove = append(change.Remove, multiraft.GroupID(r.id))
	}
	m.replicas.Store(&map[topology.GroupID]*Replica{})
	groups, err := m.opts.Host.Apply(ctx, change)
	if err != nil {
		return nil, err
	}
	for _, r := range gone {
		if err := r.retire(); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// Close closes the state of all replicas. The host has been closed before.
func (m *Manager) Close() error { return m.closeAll((*shard.Machine).Close) }

// Abandon is Close that leaves what is newer than the stores to the log.
func (m *Manager) Abandon() error {
	return m.closeAll(func(s *shard.Machine) error {
		s.Abandon()
		return nil
	})
}

func (m *Manager) closeAll(end func(*shard.Machine) error) error {
	var errs []error
	for _, r := range m.All() {
		errs = append(errs, r.closeMachineBy(end))
	}
	return errors.Join(errs...)
}

// replica returns the node's replica of the shard, or nil.
func (m *Manager) replica(id topology.GroupID) *Replica { return (*m.replicas.Load())[id] }

// put and take publish a changed set of replicas: by the replica's worker, or while
// none runs.
func (m *Manager) put(r *Replica) { m.publish(r.id, r) }

func (m *Manager) take(r *Replica) { m.publish(r.id, nil) }

func (m *Manager) publish(id topology.GroupID, r *Replica) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[topology.GroupID]*Replica)
	for k, v := range *m.replicas.Load() {
		next[k] = v
	}
	if r == nil {
		delete(next, id)
	} else {
		next[id] = r
	}
	m.replicas.Store(&next)
}

// raftMembers lists everyone who may be in the shard's group.
func raftMembers(view *topology.View, s *topology.Shard) []multiraft.Member {
	var members []multiraft.Member
	for _, list := range [][]topology.Member{s.Leaving, s.Members} {
		for _, o := range list {
			member := multiraft.Member{RaftID: o.RaftID, Node: uint64(o.Node), Arbiter: o.Kind == topology.Arbiter, Copy: o.Copy}
			if node := view.Node(o.Node); node != nil {
				member.Addr = node.Address.Raft
			}
			members = append(members, member)
		}
	}
	return members
}
