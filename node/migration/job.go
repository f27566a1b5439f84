package migration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/topology"
)

const (
	// pieceBytes is about how much a piece has, so that the commands of clients that
	// wait behind it in the log wait no longer than behind each other. A record may be larger.
	pieceBytes = 64 << 10
	// maxPiece bounds what a request may ask for.
	maxPiece = 1 << 20
	// pullWait is how long a pull may wait at the source for something new.
	pullWait = time.Second
	// firstRetry and lastRetry bound how long the worker waits after a step that has
	// failed, twice as long each time. firstHold and lastHold do so for the next hand-over
	// after one that was handed back.
	firstRetry = 10 * time.Millisecond
	lastRetry  = 2 * time.Second
	firstHold  = 100 * time.Millisecond
	lastHold   = 10 * time.Second
	// refusedFor is how long the target may refuse to begin: what it has had of the
	// slots may be on its way out.
	refusedFor = 10 * time.Second
)

// job is the worker of one migration. What it knows of the past is for its patience and for
// show alone.
type job struct {
	m    *Mover
	id   topology.MigrationID
	kick chan struct{}

	refused    time.Time // since when the target refuses to begin; zero: it does not
	handedOver time.Time // when this worker asked for the hand-over; zero: it did not
	held       time.Time // no hand-over before
	backs      int       // of the migration, when held was set

	mu   sync.Mutex
	show Progress
}

func newJob(m *Mover, id topology.MigrationID) *job {
	return &job{m: m, id: id, kick: make(chan struct{}, 1), show: Progress{ID: id, Begun: m.opts.Sched.Now()}}
}

// errOver says that the worker is not needed any more.
var errOver = errors.New("migration: the worker is not needed any more")

// run takes one step after the other until the migration has ended, or this node does
// not lead the target any more.
func (j *job) run(ctx context.Context) {
	defer j.m.gone(j)
	s := j.m.opts.Sched
	w := s.Waiter()
	defer w.Stop()
	delay := time.Duration(0)
	for {
		moved, err := j.step(ctx)
		switch {
		case errors.Is(err, errOver), ctx.Err() != nil:
			return
		case err == nil && moved:
			delay = 0
			continue
		case err != nil:
			j.failed(err)
		}
		delay = min(max(2*delay, firstRetry), lastRetry)
		if w.Wait(s.Now().Add(delay), ctx.Done(), j.due(delay)) == 0 {
			return
		}
	}
}

// due is what ends a delay early. A step that fails again and again is not repeated for
// each change of the view.
func (j *job) due(delay time.Duration) sched.Signal {
	if delay > 8*firstRetry {
		return nil
	}
	return j.kick
}

// state is what a step is decided by.
type state struct {
	view   *topology.View
	mig    *topology.Migration
	target Target
	in     *shard.ImportState // nil: the import has not begun
}

// look returns the present state, or errOver.
func (j *job) look() (st state, err error) {
	st.view = j.m.opts.Topology.Current()
	if st.mig = st.view.Migration(j.id); st.mig == nil || !st.mig.Active() {
		return st, errOver
	}
	if st.target = j.m.opts.Target(st.mig.To); st.target == nil || !st.target.Leads() {
		return st, errOver
	}
	imports := st.target.Imports()
	for i := range imports {
		if imports[i].Job == uint64(j.id) {
			st.in = &imports[i]
		}
	}
	return st, nil
}

// step does what comes next, and reports whether anything has come of it.
func (j *job) step(ctx context.Context) (moved bool, err error) {
	st, err := j.look()
	if err != nil {
		return false, err
	}
	j.note(&st)
	switch {
	case st.taken():
		return true, j.complete(ctx, &st)
	case st.in == nil:
		return true, j.begin(ctx, &st)
	case st.in.Failed:
		return true, j.fail(ctx, &st, fmt.Sprintf("Target node %s was flushed", st.mig.Dest))
	case st.mig.State == topology.HandingOver && st.in.Complete == st.mig.Epoch:
		return true, j.complete(ctx, &st)
	case j.tooLong(&st):
		return true, j.handBack(ctx, &st)
	default:
		return j.copy(ctx, &st)
	}
}

// taken reports whether the target owns the slots already, by the hand-over that is under
// way: MetaRaft has completed it, and has lost that since.
func (st *state) taken() bool {
	if st.mig.State != topology.HandingOver {
		return false
	}
	for n := range st.mig.Slots.All {
		if !st.target.Owns(n, st.mig.Epoch) {
			return false
		}
	}
	return true
}

// begin has the target log the beginning of the import.
func (j *job) begin(ctx context.Context, st *state) error {
	ctx, cancel := j.within(ctx)
	defer cancel()
	// gofail: var importBegin struct{}
	err := st.target.Write(ctx, shard.AppendImport(nil, uint64(j.id), st.mig.Slots))
	now := j.m.opts.Sched.Now()
	switch {
	case err == nil:
		// gofail: var importBegun struct{}
		j.refused = time.Time{}
		j.m.opts.Logger.Info("slots are being moved here", "migration", j.id, "slots", st.mig.Slots.Len(), "from", st.mig.From, "to", st.mig.To)
		return nil
	case !errors.Is(err, shard.ErrImportRefused):
		return err
	case j.refused.IsZero():
		j.refused = now
	case now.Sub(j.refused) > refusedFor:
		return j.fail(ctx, st, fmt.Sprintf("Target node %s cannot take the slots: %v", st.mig.Dest, err))
	}
	return err
}

// fail ends the migration, since it cannot go on.
func (j *job) fail(ctx context.Context, st *state, text string) error {
	ctx, cancel := j.within(ctx)
	defer cancel()
	j.m.opts.Logger.Warn("slots are not moved here after all", "migration", j.id, "reason", text)
	return j.m.opts.Topology.FailMigration(ctx, st.view.ClusterID, j.id, text)
}

func (j *job) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return j.m.opts.Sched.WithTimeout(ctx, j.m.opts.Timeout)
}

// note keeps in mind what is shown, and since when the migration hands over.
func (j *job) note(st *state) {
	now := j.m.opts.Sched.Now()
	switch {
	case st.mig.State != topology.HandingOver:
		j.handedOver = time.Time{}
	case j.handedOver.IsZero():
		j.handedOver = now
	}
	if st.mig.Retries > j.backs {
		j.backs = st.mig.Retries
		j.held = now.Add(min(firstHold<<min(j.backs, 16), lastHold))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if st.in != nil {
		j.show.Keys, j.show.Bytes = st.in.Keys, st.in.Bytes
	}
}

// failed keeps in mind why a step has failed.
func (j *job) failed(err error) {
	j.m.opts.Logger.Debug("a step of a migration failed", "migration", j.id, "error", err)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.show.Failures++
	j.show.LastFailure = err.Error()
}

func (j *job) progress() Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.show
}
