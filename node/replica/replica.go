package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
)

// Replica is this node's copy of one shard, or its vote in it. Methods may be
// called concurrently.
type Replica struct {
	manager *Manager
	id      topology.GroupID
	raftID  uint64
	data    bool
	dir     string
	// generation tells the folders of a replica's states apart, with the Raft id
	// under which the folder was made; the log keeps both.
	generation, madeBy uint64

	group   *multiraft.Group
	store   storage.Store
	machine *shard.Machine // nil for an arbiter without a copy

	// serves is whether the view has the replica serve: not so for an arbiter, with
	// a copy of the data or without.
	serves atomic.Bool
	// unfinished is set while a step waits to be tried again, awaited while the
	// data is to be given up and others do not hold all of it yet.
	unfinished, awaited atomic.Bool
	errands             errands
	// damaged is why the store cannot be read, nil if it can as far as is known; halted
	// is set once that keeps the replica from applying entries. See damage.go.
	damaged atomic.Pointer[error]
	halted  atomic.Bool

	sweeping atomic.Bool
	reports  atomic.Uint64 // counts the reports of this replica as a leader
	// Owned by the worker: the version of the last wish handed on, and the hand-overs of
	// slots that are under way.
	wished   uint64
	handings map[topology.MigrationID]handing
	inflow   inflow

	applied notifier
}

func newReplica(m *Manager, id topology.GroupID, raftID uint64, data bool, generation uint64) *Replica {
	r := &Replica{manager: m, id: id, raftID: raftID, data: data, generation: generation, madeBy: raftID}
	r.nameDir()
	return r
}

// nameDir names the replica's folder.
func (r *Replica) nameDir() {
	name := fmt.Sprintf("%016x-%d", uint64(r.id), r.madeBy)
	if r.generation > 0 {
		name += fmt.Sprintf(".%d", r.generation)
	}
	r.dir = filepath.Join(r.manager.opts.Dir, name)
}

// successor returns a replica under another Raft id with the state of this one, which
// must not be used any more.
func (r *Replica) successor(raftID uint64) *Replica {
	return &Replica{
		manager: r.manager, id: r.id, raftID: raftID, data: r.data, generation: r.generation, madeBy: r.madeBy, dir: r.dir,
		store: r.store, machine: r.machine,
	}
}

// storedReplica is a replica that the log holds.
func storedReplica(m *Manager, s multiraft.Stored) (*Replica, error) {
	r := newReplica(m, topology.GroupID(s.ID), s.RaftID, s.Data, 0)
	rest := s.Meta
	for _, n := range []*uint64{&r.generation, &r.madeBy} {
		if len(rest) == 0 {
			break
		}
		value, size := binary.Uvarint(rest)
		if size <= 0 {
			return nil, errMeta(s)
		}
		*n, rest = value, rest[size:]
	}
	if len(rest) > 0 {
		return nil, errMeta(s)
	}
	r.nameDir()
	return r, nil
}

func errMeta(s multiraft.Stored) error {
	return fmt.Errorf("shard %s: the log's record of the replica has an unknown format", topology.GroupID(s.ID))
}

// openMachine opens the replica's database and state machine.
func (r *Replica) openMachine() error {
	store, err := r.manager.opts.OpenStore(r.dir)
	if err != nil {
		return fmt.Errorf("shard %s: %w", r.id, err)
	}
	if err := r.adopt(store); err != nil {
		store.Close()
		return err
	}
	return nil
}

// adopt makes a store the replica's.
func (r *Replica) adopt(store storage.Store) error {
	opts := r.manager.opts.Shard
	opts.Unreadable = r.unreadable
	opts.Keyspace.Sched, opts.Keyspace.Logger = r.manager.opts.Sched, r.manager.opts.Logger.With("shard", r.id)
	opts.Keyspace.Group, opts.Keyspace.Failed = uint64(r.id), r.failed
	machine, err := shard.Open(store, r.manager.opts.Table, opts)
	if err != nil {
		return fmt.Errorf("shard %s: %w", r.id, err)
	}
	machine.Start()
	r.store, r.machine = store, machine
	return nil
}

// closeMachine closes the state, all of which is in the store then, and drops one
// that was to take its place.
func (r *Replica) closeMachine() error { return r.closeMachineBy((*shard.Machine).Close) }

func (r *Replica) closeMachineBy(end func(*shard.Machine) error) error {
	err := r.inflow.stop(r.manager.opts.Sched)
	if r.store == nil {
		return err
	}
	return errors.Join(err, end(r.machine), r.store.Close())
}

// destroy deletes the replica's data; its group has stopped.
func (r *Replica) destroy() error {
	err := r.inflow.stop(r.manager.opts.Sched)
	if r.store != nil {
		r.machine.Abandon()
		err = errors.Join(err, r.store.Close())
	}
	if err != nil {
		return err
	}
	if !r.data {
		return nil
	}
	return os.RemoveAll(r.dir)
}

// mark says in the folder of a replica that is about to be dropped that it has keys
// to keep, or may have.
func (r *Replica) mark() error {
	if r.damaged.Load() != nil {
		return r.manager.attic.mark(r.dir)
	}
	if r.machine == nil || r.machine.Keys() == 0 {
		return nil
	}
	return r.manager.attic.mark(r.dir)
}

// retire closes the state of a replica that was dropped; its group has stopped. If
// it was marked it goes to the attic.
func (r *Replica) retire() error {
	if err := r.closeMachine(); err != nil && r.damaged.Load() == nil {
		return err
	}
	if !r.data && r.damaged.Load() == nil {
		return nil
	}
	return r.manager.attic.retire(r.dir, r.manager.opts.Sched.Now())
}

// spec describes the replica to the host.
func (r *Replica) spec(bootstrap bool, members []multiraft.Member) multiraft.Spec {
	s := multiraft.Spec{
		ID: multiraft.GroupID(r.id), RaftID: r.raftID, Bootstrap: bootstrap, Members: members,
	}
	if r.generation > 0 || r.madeBy != r.raftID {
		s.Meta = binary.AppendUvarint(nil, r.generation)
	}
	if r.madeBy != r.raftID {
		s.Meta = binary.AppendUvarint(s.Meta, r.madeBy)
	}
	if r.machine != nil {
		s.Machine = &machine{replica: r}
		s.Clock = r.machine.Clock
	}
	return s
}

// machine makes shard.Machine what multiraft applies to.
type machine struct {
	replica *Replica
	entries []shard.Entry // reused
	replies []*resp.Reply
}

// Applied implements multiraft.Machine.
func (m *machine) Applied() uint64 { return m.replica.machine.Applied() }

// Sync implements multiraft.Machine.
func (m *machine) Sync(applied uint64) (uint64, error) {
	synced, err := m.replica.machine.Sync(applied)
	return synced, m.replica.stalled(err)
}

// Check implements multiraft.Machine.
func (m *machine) Check(payload []byte) (weight int, err error) {
	return m.replica.machine.Check(payload)
}

// Apply implements multiraft.Machine.
func (m *machine) Apply(committed []multiraft.Committed) error {
	m.entries, m.replies = m.entries[:0], m.replies[:0]
	for i := range committed {
		c := &committed[i]
		e := shard.Entry{Entry: header(c), Commands: c.Payloads}
		if len(c.Calls) == len(c.Payloads) && len(c.Calls) > 0 {
			start := len(m.replies)
			for _, call := range c.Calls {
				reply, _ := call.Result.(*resp.Reply)
				m.replies = append(m.replies, reply)
			}
			e.Replies = m.replies[start:len(m.replies):len(m.replies)]
		}
		m.entries = append(m.entries, e)
	}
	if err := m.replica.machine.Apply(m.entries); err != nil {
		return m.replica.stalled(err)
	}
	m.replica.applied.notify()
	return nil
}

// header is what an entry says to its commands.
func header(c *multiraft.Committed) command.Entry {
	return command.Entry{
		Index: c.Index, Time: c.Time, Seed: c.Seed, Level: c.Level,
		MaxString: int(min(c.MaxString, command.MaxBulkLength)),
	}
}

// notifier tells waiters that something moved. Its zero value is ready; telling
// nobody costs one atomic load.
type notifier struct {
	mu      sync.Mutex
	waiters atomic.Int32
	ch      chan struct{}
}

// wait returns a channel that is closed at the next notify. The caller looks
// at the condition after this call and calls done when it waits no more.
func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	n.waiters.Add(1)
	return n.ch
}

func (n *notifier) done() { n.waiters.Add(-1) }

func (n *notifier) notify() {
	if n.waiters.Load() == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

// Leads reports whether the replica may serve.
func (r *Replica) Leads() bool { return r.group.Leads() }

// Submit hands writes to the group.
func (r *Replica) Submit(calls ...*multiraft.Call) { r.group.Submit(calls...) }

// Barrier ends call once reads of applied state are linearizable.
func (r *Replica) Barrier(call *multiraft.Call) { r.group.Barrier(call) }

// Lease and LeaseValid let applied state be read without a Barrier: see
// multiraft.Group.
func (r *Replica) Lease() uint64 { return r.group.Lease() }

// LeaseValid reports whether the token's lease has held since Lease.
func (r *Replica) LeaseValid(token uint64) bool { return r.group.LeaseValid(token) }

// Age returns how old the applied state may be; ok is false if the replica has not
// caught up with its leader yet: see multiraft.Group.
func (r *Replica) Age() (age time.Duration, ok bool) { return r.group.Age() }

// Complete reports whether the state has ever caught up since the replica was
// opened: see multiraft.Group.
func (r *Replica) Complete() bool { return r.group.Complete() }

// Read evaluates a command against applied state: see shard.Machine.
func (r *Replica) Read(args *command.Args, v *command.View, reply *resp.Reply) (behind bool) {
	r.Look(v)
	return r.machine.Read(args, v, reply)
}

// Look has v look at the applied state, if it has none.
func (r *Replica) Look(v *command.View) {
	if v.View == nil {
		v.LocalNow = r.group.Clock(r.manager.opts.Sched.Now())
	}
	r.machine.Look(v)
}

// Exec evaluates a transaction of reads against one applied state: see shard.Machine.
func (r *Replica) Exec(payload []byte, v *command.View, reply *resp.Reply) (behind bool) {
	r.Look(v)
	return r.machine.Exec(payload, v, reply)
}

// Blocked returns the keys of the shard that clients of this node are blocked on.
func (r *Replica) Blocked() *blocking.Keys { return r.machine.Blocked() }

// Takes implements frontend.Replica.
func (r *Replica) Takes(slot uint16, asking bool) bool {
	if r.machine.Owns(slot) {
		return true
	}
	mark, _ := r.machine.Marked(slot)
	return asking && mark == shard.MarkImporting
}

// Serves reports whether the replica is there to serve: an arbiter is not.
func (r *Replica) Serves() bool { return r.serves.Load() }

// Machine returns the replica's state machine; nil for an arbiter without a copy.
func (r *Replica) Machine() *shard.Machine { return r.machine }

// Group returns the replica's Raft group.
func (r *Replica) Group() *multiraft.Group { return r.group }

// Imports returns the jobs that import slots: see shard.Machine.
func (r *Replica) Imports() []shard.ImportState { return r.machine.Imports() }

// Owns reports whether the shard owns the slot since the change of hands of that epoch.
func (r *Replica) Owns(n uint16, epoch uint64) bool {
	return r.machine.Owns(n) && r.machine.SlotEpoch(n) == epoch
}

// Write has the shard apply a payload of package shard; an error may be the shard's answer.
func (r *Replica) Write(ctx context.Context, payload []byte) error { return r.write(ctx, payload) }

// Pull returns a piece of what a job watches: see shard.Machine.
func (r *Replica) Pull(job uint64, at shard.Position, maxBytes int) (shard.Pulled, error) {
	return r.machine.Pull(job, at, maxBytes)
}

// Moved returns a signal that comes when something was applied after the call; done ends
// its use.
func (r *Replica) Moved() (moved sched.Signal, done func()) { return r.applied.wait(), r.applied.done }

// await returns once what the replica has applied fulfils the condition.
func (r *Replica) await(ctx context.Context, fulfils func() bool) error {
	for {
		moved, done := r.Moved()
		if fulfils() {
			done()
			return nil
		}
		ended := sched.Wait(r.manager.opts.Sched, time.Time{}, moved, ctx.Done()) == 1
		done()
		if ended {
			return ctx.Err()
		}
	}
}
