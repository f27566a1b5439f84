package migration

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/topology"
)

// Topology is MetaRaft as a Mover uses it. The changes are about the cluster with that id,
// and may be repeated; an error means that they may not have been made.
type Topology interface {
	// Current returns what this node has applied. Whoever changes it calls Mover.Wake.
	Current() *topology.View
	// HandOver makes the source seal, by the epoch that it returns.
	HandOver(ctx context.Context, cluster uint64, id topology.MigrationID) (epoch uint64, err error)
	HandBack(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64) error
	// CompleteMigration gives the slots to the target; paused is for how many ms nobody
	// could write to them.
	CompleteMigration(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64, paused int64) error
	FailMigration(ctx context.Context, cluster uint64, id topology.MigrationID, text string) error
}

// Target is this node's replica of a shard that is to have slots.
type Target interface {
	// Leads reports whether it leads the shard, and shows everything that former leaders
	// have acknowledged.
	Leads() bool
	Imports() []shard.ImportState
	// Owns reports whether the shard owns the slot since the change of hands of that epoch.
	Owns(slot uint16, epoch uint64) bool
	// Write has the shard apply a payload; an error may be the shard's answer.
	Write(ctx context.Context, payload []byte) error
}

// Pace bounds the bytes that are copied in a second.
type Pace interface {
	Wait(ctx context.Context, n int) error
}

// Options configures a Mover. All fields are required.
type Options struct {
	Topology Topology
	// Target returns this node's replica of the shard, nil if it has none.
	Target func(topology.GroupID) Target
	// Pull asks members of the request's shard, the likely leader first, until one has a
	// piece: see Serve. The error is the last one's.
	Pull func(ctx context.Context, view *topology.View, r Request) (shard.Pulled, error)
	Pace Pace
	// PauseLimit is how long a hand-over may take.
	PauseLimit func() time.Duration
	// Timeout bounds a single step.
	Timeout time.Duration
	Sched   sched.Sched
	Logger  *slog.Logger
}

// Mover moves slots to the shards that this node leads. Methods may be called
// concurrently.
type Mover struct {
	opts Options
	kick chan struct{}

	mu   sync.Mutex
	jobs map[topology.MigrationID]*job
	work *sched.Group
}

// NewMover returns a Mover; see Run.
func NewMover(opts Options) *Mover {
	return &Mover{
		opts: opts, kick: make(chan struct{}, 1), jobs: make(map[topology.MigrationID]*job), work: sched.NewGroup(opts.Sched),
	}
}

// Wake makes the Mover look again: the view or a leadership has changed.
func (m *Mover) Wake() { signal(m.kick) }

func signal(kick chan struct{}) {
	select {
	case kick <- struct{}{}:
	default:
	}
}

// lookEvery is how often the Mover looks without being woken.
const lookEvery = 100 * time.Millisecond

// Run moves slots until ctx ends.
func (m *Mover) Run(ctx context.Context) {
	w := m.opts.Sched.Waiter()
	defer w.Stop()
	defer m.work.Wait()
	for {
		var next time.Time
		if m.look(ctx) {
			next = sched.Next(m.opts.Sched, lookEvery)
		}
		if w.Wait(next, m.kick, ctx.Done()) == 1 {
			return
		}
	}
}

// look starts a worker for each migration that needs one, and wakes the others. It
// reports whether there is any migration to this node's shards.
func (m *Mover) look(ctx context.Context) (any bool) {
	view := m.opts.Topology.Current()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mig := range view.Migrations {
		if !mig.Active() {
			break
		}
		t := m.opts.Target(mig.To)
		if t == nil {
			continue
		}
		any = true
		if j := m.jobs[mig.ID]; j != nil {
			signal(j.kick)
		} else if t.Leads() {
			j := newJob(m, mig.ID)
			m.jobs[mig.ID] = j
			m.work.Go("migration", func() { j.run(ctx) })
		}
	}
	return any
}

// gone takes a worker off the list.
func (m *Mover) gone(j *job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.jobs, j.id)
}

// Progress is how far the copy of a migration has come that this node's worker makes.
type Progress struct {
	ID topology.MigrationID
	// Keys are here; Bytes have come, all told; Rest is about how many records are left.
	Keys, Bytes, Rest int64
	// Begun is when this node's worker has begun.
	Begun time.Time
	// Failures is how many steps have failed, LastFailure why the last one has.
	Failures    int64
	LastFailure string
}

// Progress returns that of all workers, by id.
func (m *Mover) Progress() (all []Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.jobs {
		all = append(all, j.progress())
	}
	slices.SortFunc(all, func(a, b Progress) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
