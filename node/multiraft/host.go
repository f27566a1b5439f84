package multiraft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
)

// GroupID identifies a Raft group; ids are random and never reused.
type GroupID uint64

// Transport carries frames to other processes. Delivery is best effort and in
// order per (node, control) as long as a stream lives.
type Transport interface {
	// Send queues a frame and takes ownership of it. It never blocks; false
	// means that the frame was dropped.
	Send(node uint64, control bool, frame []byte) bool
}

// Machine is the state machine of a group's data member. The group is its only
// caller.
type Machine interface {
	// Applied returns the index of the last entry that was applied. When a machine
	// is opened, that is the last one whose effects are on stable storage.
	Applied() uint64
	// Sync returns once everything up to the index given, as far as it is applied,
	// is on stable storage, and the last index of which that is true: no crash can
	// take it back. It may run next to Apply.
	Sync(applied uint64) (synced uint64, err error)
	// Check returns why Apply could do nothing with a payload; such a call ends
	// with ErrRefused before anything is proposed. Any number of goroutines may
	// call it. Otherwise it returns how many bytes applying the payload may make and
	// hold beyond the payload's own, roughly; entries are packed by that.
	Check(payload []byte) (weight int, err error)
	// Apply applies entries in log order, all of them in one atomic step. An
	// error ends the process. It sets the Result of the calls in them.
	Apply(entries []Committed) error
}

// Committed is one committed entry. Entries that carry no commands (a leader's
// first, a membership change) are delivered too, without payloads, so that the
// machine's Applied keeps up with the log.
type Committed struct {
	Index, Term uint64
	// Time is the leader's clock when it made the entry, in unix milliseconds.
	Time int64
	// Header is what the proposer's Options.Header said.
	Header
	Payloads [][]byte
	// Calls are the calls that wait for the payloads, one each, or nil if the
	// entry was not proposed here or nobody waits any more.
	Calls []*Call
}

// Header is what an entry says to its commands, beside the time, because all members
// must keep to the same. It is opaque to the host.
type Header struct {
	Seed      uint64 // for what is random
	Level     uint64 // the replicated behaviour that the commands were meant for
	MaxString uint64 // how long a string may become by them, in bytes
}

// Options configures a Host. All fields but Header, Notify, Promised, Steady, Uptime and VoteDelay are
// required.
type Options struct {
	Log *wal.Log
	// Lossy says that the log may have lost its end when the machine stopped. All
	// groups in it have no member but this process's: one whose state
	// is ahead of the log goes on from that state.
	Lossy     bool
	Transport Transport
	// Cluster is the id that every frame must carry; Adopt changes it.
	Cluster uint64
	// Tick is the unit of ElectionTicks and HeartbeatTicks.
	Tick           time.Duration
	ElectionTicks  int
	HeartbeatTicks int
	// Promised is for how long the members of this process may have promised their
	// votes before it was started, if that is longer than an election timeout: until
	// that has passed since a member was opened it votes for nobody, itself included.
	Promised time.Duration
	// Gather bounds how long a busy group waits for the commands of the clients
	// that it has just answered before it makes the next entry.
	Gather time.Duration
	// MaxEntryBytes bounds an entry, unless a single command is larger.
	MaxEntryBytes int
	// Header returns what the next entry that this node proposes says to its
	// commands. It is called from the loop and must be quick. nil: nothing.
	Header func() Header
	// InflightEntries bounds the data entries of a group that are proposed and
	// not yet applied.
	InflightEntries int
	// RequestTimeout is when a call ends that is still undecided.
	RequestTimeout time.Duration
	// CommitDelay bounds how long a message that only moves the commit index
	// waits for other messages to the same node.
	CommitDelay time.Duration
	// LogEntries and LogBytes are the limits of each group's log: when it has
	// more entries, or takes more bytes, it is cut to half of both.
	LogEntries int
	LogBytes   int64
	// Uptime makes leaders take leases (see Group.Lease): a clock, from any zero,
	// that also counts while the machine sleeps, and runs alike on all nodes up
	// to a tenth. Without it there are none.
	Uptime func() time.Duration
	// Steady is a clock, from any zero, that nobody sets and that also counts while
	// the machine sleeps. Without it Now's monotonic reading has to do.
	Steady func() time.Duration
	// VoteDelay returns what a node has said about its own VoteDelay, 0 if it has
	// said nothing. It is called from the loop and must be quick. Without it all
	// nodes have this one's settings.
	VoteDelay func(node uint64) time.Duration
	// Now is the clock; it must carry a monotonic reading.
	Now func() time.Time
	// Sched runs the host's goroutines.
	Sched  sched.Sched
	Logger *slog.Logger
	// Fatal is called once when the host can no longer be trusted. The host
	// does nothing more; the process is expected to end.
	Fatal func(error)
	// NodeName returns what the log calls a node; nil: its number.
	NodeName func(node uint64) string
	// Notify is called from the loop when leadership or membership of a group
	// changed. It must not block and may be nil.
	Notify func(GroupID)
	// Elected is called from the loop when a group has a leader again, with how long it
	// had none as far as this member knows. It must not block and may be nil.
	Elected func(without time.Duration)

	// manual hosts start no goroutines: their owner calls the step functions,
	// one at a time.
	manual bool
}

// Host runs all Raft groups of a process. Its methods may be called
// concurrently unless they say otherwise.
type Host struct {
	opts    Options
	cluster atomic.Uint64
	inbox   inbox
	persist *persister

	// Owned by the loop.
	groups  map[GroupID]*Group
	order   []*Group // priority groups first
	errands []func() // of a manual host: see Group.spawn
	outbox  outbox
	backlog []frameIn // frames that the next turn handles
	ticks   int64
	now     time.Time // of the present turn
	stopped bool
	begun   time.Time
	// complained is the tick of the last complaint about a peer; see complain.
	complained int64

	done   chan struct{}
	once   sync.Once
	failed atomic.Bool
	work   *sched.Group
}

// New returns a host without groups. Start makes it run.
func New(opts Options) *Host {
	h := &Host{
		opts:   opts,
		groups: make(map[GroupID]*Group),
		done:   make(chan struct{}),
		begun:  opts.Now(),
		work:   sched.NewGroup(opts.Sched),
	}
	h.cluster.Store(opts.Cluster)
	h.inbox.wake = make(chan struct{}, 1)
	h.inbox.waiting = make(map[uint64]int)
	h.outbox = outbox{host: h, peers: make(map[uint64]*peerOut)}
	h.persist = newPersister(h)
	return h
}

// Start runs the host until Close.
func (h *Host) Start() {
	h.work.Go("raft loop", h.run)
	h.work.Go("persister", h.persist.run)
}

// Close stops all groups: waiting calls end, queued appends are written. It
// returns once every goroutine of the host has ended. The log stays open.
func (h *Host) Close() {
	h.once.Do(func() { close(h.done) })
	h.work.Wait()
}

// run drives the loop: it sleeps until there is input, a tick, or a gather to
// finish.
func (h *Host) run() {
	w := h.opts.Sched.Waiter()
	defer w.Stop()
	signals := []sched.Signal{h.inbox.wake, h.done}
	nextTick := sched.Next(h.opts.Sched, h.opts.Tick)
	next := nextTick
	for {
		if w.Wait(next, signals...) == 1 {
			h.stop()
			return
		}
		now := h.opts.Sched.Now()
		tick := !now.Before(nextTick)
		if tick {
			// Ticks that were missed are not replayed.
			nextTick = now.Add(h.opts.Tick - now.Sub(nextTick)%h.opts.Tick)
		}
		next = sooner(nextTick, h.step(h.opts.Now(), tick))
	}
}

// fail ends the host after an error that leaves its state unknown.
func (h *Host) fail(err error) {
	if h.failed.CompareAndSwap(false, true) {
		h.opts.Fatal(err)
	}
}

// stop ends every call, and every applier after what it is doing. Later
// submissions end with ErrClosed.
func (h *Host) stop() {
	h.stopped = true
	for _, g := range h.order {
		g.shut()
	}
	for _, g := range h.order {
		g.wait()
	}
	for _, s := range h.inbox.close() {
		s.call.end(ErrClosed)
	}
}

// Receive hands a frame from a peer to the loop, which takes ownership of it.
func (h *Host) Receive(node uint64, frame []byte) {
	h.inbox.addFrame(node, frame)
}

// Spec describes a member.
type Spec struct {
	ID     GroupID
	RaftID uint64
	// Machine is nil for a member that only votes and stores the log.
	Machine Machine
	// Clock returns the largest time of an entry that the machine has applied, in
	// unix ms; nil: it does not know.
	Clock func() int64
	// Bootstrap makes the member the first and only voter of a new group.
	// Without it a new member waits until a leader adds it.
	Bootstrap bool
	// Prompt groups are served first and their messages are never held back;
	// their barriers work on any member, not only on the leader.
	Prompt bool
	// Members are the peers known at the start, besides those that the log
	// remembers of the last wish.
	Members []Member
	// Meta is a small blob kept with the group in the log.
	Meta []byte
}

// Change is a set of changes to the process's groups that take effect in the
// log as one atomic step.
type Change struct {
	Remove []GroupID
	Create []Spec
	// Identity, if not nil, replaces the log's identity blob.
	Identity []byte
	// Cluster, if not 0, is the cluster id from then on.
	Cluster uint64
}

// Apply carries out a change: removed groups stop and end their calls with
// ErrClosed, then the log records everything in one synced batch, then the new
// groups start. It returns the new groups in the order of Create.
func (h *Host) Apply(ctx context.Context, c Change) ([]*Group, error) {
	var gone []*Group
	if err := h.control(ctx, func() {
		for _, id := range c.Remove {
			if g := h.detach(id); g != nil {
				gone = append(gone, g)
			}
		}
	}); err != nil {
		return nil, err
	}
	for _, g := range gone {
		g.wait()
	}
	if err := h.persist.write(func(b *wal.Batch) error { return c.record(b) }); err != nil {
		return nil, err
	}
	if c.Cluster != 0 {
		h.cluster.Store(c.Cluster)
	}
	groups := make([]*Group, 0, len(c.Create))
	for _, spec := range c.Create {
		g, err := h.Open(ctx, spec)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// record adds the change to a batch.
func (c Change) record(b *wal.Batch) error {
	for _, id := range c.Remove {
		b.DestroyGroup(uint64(id))
	}
	for _, spec := range c.Create {
		b.CreateGroup(uint64(spec.ID), recordOf(spec).encode())
		if spec.Bootstrap {
			hard, entry, err := bootstrap(spec.RaftID)
			if err != nil {
				return err
			}
			b.Append(uint64(spec.ID), hard, entry)
		}
	}
	if c.Identity != nil {
		b.SetIdentity(c.Identity)
	}
	b.SetSync(true)
	return nil
}

// Open starts a member that the log already holds: after a restart, or as the
// last part of Apply.
func (h *Host) Open(ctx context.Context, spec Spec) (*Group, error) {
	g, err := newGroup(h, spec)
	if err != nil {
		return nil, fmt.Errorf("open group %016x: %w", uint64(spec.ID), err)
	}
	var duplicate bool
	err = h.control(ctx, func() {
		if duplicate = h.groups[spec.ID] != nil; !duplicate {
			h.attach(g)
		}
	})
	if duplicate {
		err = fmt.Errorf("open group %016x: %w", uint64(spec.ID), errDuplicate)
	}
	if err != nil {
		g.shut()
		return nil, err
	}
	return g, nil
}

var errDuplicate = errors.New("the group runs already")

// control runs fn inside the loop and waits for it. After an error fn has not
// run and never will.
func (h *Host) control(ctx context.Context, fn func()) error {
	var taken atomic.Bool // by the loop, or by a caller who gave up
	ran := make(chan struct{})
	if !h.inbox.addControl(func() {
		if taken.CompareAndSwap(false, true) {
			fn()
			close(ran)
		}
	}) {
		return ErrClosed
	}
	var err error
	switch sched.Wait(h.opts.Sched, time.Time{}, ran, h.done, ctx.Done()) {
	case 0:
		return nil
	case 1:
		err = ErrClosed
	default:
		err = ctx.Err()
	}
	if taken.CompareAndSwap(false, true) {
		return err
	}
	sched.Wait(h.opts.Sched, time.Time{}, ran) // it is running now
	return nil
}
