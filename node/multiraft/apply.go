package multiraft

import (
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/sched"
)

// applier feeds a group's committed entries to its state machine, off the path
// of the persister. A group without a state machine has an idle one.
type applier struct {
	group   *Group
	machine Machine

	mu     sync.Mutex
	closed bool
	queue  []*pb.Message
	signal chan struct{}
	done   chan struct{}
	ended  chan struct{}

	batch   []Committed // reused
	stalled bool        // the machine's last word was ErrStalled
}

// ErrStalled is wrapped by a machine's error that concerns this member's state alone,
// of which the machine's owner knows: the member applies nothing any more, and the
// process goes on. The owner ends that with Host.Reopen, or ends the process.
var ErrStalled = errors.New("multiraft: the state machine cannot go on")

func newApplier(g *Group, machine Machine) *applier {
	return &applier{
		group: g, machine: machine,
		signal: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
}

func (a *applier) start() {
	if a.machine == nil || a.group.host.opts.manual {
		close(a.ended)
		return
	}
	a.group.host.opts.Sched.Go("applier", a.run)
}

// stop makes the applier end after what it is doing; it does not wait.
func (a *applier) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		close(a.done)
	}
}

// wait returns once the applier has ended: its machine may be closed then.
func (a *applier) wait() { sched.Wait(a.group.host.opts.Sched, time.Time{}, a.ended) }

// add queues one MsgStorageApply.
func (a *applier) add(m *pb.Message) {
	a.mu.Lock()
	a.queue = append(a.queue, m)
	a.mu.Unlock()
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

func (a *applier) run() {
	defer close(a.ended)
	w := a.group.host.opts.Sched.Waiter()
	defer w.Stop()
	signals := []sched.Signal{a.signal, a.done}
	for w.Wait(time.Time{}, signals...) == 0 {
		a.step()
	}
}

// step applies everything queued as one atomic step of the machine, then ends
// the calls and reports to the loop.
func (a *applier) step() {
	a.mu.Lock()
	messages := a.queue
	a.queue = nil
	a.mu.Unlock()
	if len(messages) == 0 || a.stalled || a.group.host.failed.Load() {
		return
	}
	a.batch = a.batch[:0]
	reports := make([]applied, len(messages))
	for i, m := range messages {
		reports[i] = applied{group: a.group, response: m.GetResponses()[0]}
		for _, e := range m.GetEntries() {
			if err := a.collect(e, &reports[i]); err != nil {
				a.abandon(err)
				return
			}
		}
	}
	// gofail: var applyBegin struct{}
	if err := a.apply(); errors.Is(err, ErrStalled) {
		a.stall(err)
		return
	} else if err != nil {
		a.abandon(fmt.Errorf("apply to group %016x: %w", uint64(a.group.id), err))
		return
	}
	// gofail: var applyDone struct{}

	// Counted before the answers go out: clients may be back at once.
	if last := &reports[len(reports)-1]; last.entries > 0 {
		last.active += a.group.host.inbox.pending(a.group, false)
	}
	for _, c := range a.batch {
		endAll(c.Calls, nil)
	}
	clear(a.batch)
	a.group.reader.release()
	a.group.host.inbox.addApplied(reports)
}

// abandon ends the host, and the calls that are already in the applier's hands.
func (a *applier) abandon(err error) {
	a.group.host.fail(err)
	for _, c := range a.batch {
		endAll(c.Calls, ErrUncertain)
	}
}

// stall ends the calls in the applier's hands: their entries are committed, and this
// member does not come to apply them.
func (a *applier) stall(err error) {
	a.stalled = true
	a.group.host.opts.Logger.Error("a member applies nothing any more", "group", a.group.id, "error", err)
	for _, c := range a.batch {
		endAll(c.Calls, ErrUncertain)
	}
	clear(a.batch)
}

// committed turns one entry into what a machine applies.
func committed(e *pb.Entry) (Committed, error) {
	c := Committed{Index: e.GetIndex(), Term: e.GetTerm()}
	if e.GetType() != pb.EntryNormal || len(e.GetData()) == 0 {
		return c, nil
	}
	head, payloads, err := decodeEntry(e.GetData())
	if err == nil {
		c.Time, c.Header, c.Payloads = head.time, head.Header, payloads
	}
	return c, err
}

// collect takes one entry into the batch for the machine.
func (a *applier) collect(e *pb.Entry, report *applied) error {
	c, err := committed(e)
	if err != nil {
		return fmt.Errorf("group %016x, index %d: %w", uint64(a.group.id), c.Index, err)
	}
	if e.GetType() != pb.EntryNormal {
		report.changes = append(report.changes, e)
	}
	if own := a.group.proposer.claim(c.Index, c.Term); own != nil {
		c.Calls = own.calls // nil if they ended at their deadline
		report.term = c.Term
		report.entries++
		report.active += len(c.Calls)
	}
	a.batch = append(a.batch, c)
	return nil
}

// apply hands the batch to the machine, less what it had applied before a
// restart.
func (a *applier) apply() error {
	fresh := a.batch
	for have := a.machine.Applied(); len(fresh) > 0 && fresh[0].Index <= have; {
		fresh = fresh[1:]
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := a.machine.Apply(fresh); err != nil {
		return err
	}
	last := fresh[len(fresh)-1]
	a.group.setApplied(last.Index, last.Term)
	return nil
}
