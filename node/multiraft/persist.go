package multiraft

import (
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
)

// persister writes what all groups want stored: everything that is queued goes
// into one batch with one sync. It is the log's only writer.
type persister struct {
	host  *Host
	queue persistQueue
	batch wal.Batch
	out   outbox // responses to peers, sent without a detour over the loop
	local []stored
}

// appendTask is one MsgStorageAppend, or a control write.
type appendTask struct {
	group     *Group
	hard      *pb.HardState // nil: unchanged
	entries   []*pb.Entry
	responses []*pb.Message
	sync      bool
	// cut truncates the log; nobody waits for that.
	cut *Point

	// A control write adds records of its own, and somebody waits for it.
	record  func(*wal.Batch) error
	outcome *outcome
}

// outcome is what becomes of a control write. A nil one interests nobody.
type outcome struct {
	err  error // valid once done is closed
	done chan struct{}
}

func newOutcome() *outcome { return &outcome{done: make(chan struct{})} }

func (o *outcome) end(err error) {
	if o != nil {
		o.err = err
		close(o.done)
	}
}

type persistQueue struct {
	mu     sync.Mutex
	closed bool
	tasks  []appendTask
	spare  []appendTask
	signal chan struct{}
}

func newPersister(h *Host) *persister {
	return &persister{
		host:  h,
		queue: persistQueue{signal: make(chan struct{}, 1)},
		out:   outbox{host: h, peers: make(map[uint64]*peerOut)},
	}
}

// add queues a task; wake makes the persister look.
func (p *persister) add(t appendTask) bool {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	if p.queue.closed {
		return false
	}
	p.queue.tasks = append(p.queue.tasks, t)
	return true
}

func (p *persister) wake() {
	p.queue.mu.Lock()
	pending := len(p.queue.tasks) > 0
	p.queue.mu.Unlock()
	if !pending {
		return
	}
	select {
	case p.queue.signal <- struct{}{}:
	default:
	}
}

// write queues a control write and waits until it is durable.
func (p *persister) write(record func(*wal.Batch) error) error {
	o := newOutcome()
	if !p.add(appendTask{record: record, outcome: o}) {
		return ErrClosed
	}
	p.wake()
	sched.Wait(p.host.opts.Sched, time.Time{}, o.done)
	return o.err
}

func (p *persister) run() {
	w := p.host.opts.Sched.Waiter()
	defer w.Stop()
	signals := []sched.Signal{p.queue.signal, p.host.done}
	for w.Wait(time.Time{}, signals...) == 0 {
		p.step()
	}
	p.queue.mu.Lock()
	p.queue.closed = true
	p.queue.mu.Unlock()
	p.step()
}

// step writes everything queued as one batch, then delivers the responses.
func (p *persister) step() {
	p.queue.mu.Lock()
	tasks := p.queue.tasks
	p.queue.tasks, p.queue.spare = p.queue.spare[:0], tasks
	p.queue.mu.Unlock()
	if len(tasks) == 0 {
		return
	}
	defer clear(tasks)
	err := p.writeBatch(tasks)
	if err != nil {
		for _, t := range tasks {
			t.outcome.end(err)
		}
		p.host.fail(fmt.Errorf("write the raft log: %w", err))
		return
	}
	// gofail: var logWritten struct{}
	p.deliver(tasks)
	// gofail: var logDelivered struct{}
}

// writeBatch encodes and writes the tasks. Appends of groups that the log no
// longer holds are dropped: nobody waits for them.
func (p *persister) writeBatch(tasks []appendTask) error {
	if p.host.failed.Load() {
		return ErrClosed
	}
	p.batch.Reset()
	sync := false
	for i := range tasks {
		t := &tasks[i]
		if t.record != nil {
			if err := t.record(&p.batch); err != nil {
				return err
			}
			sync = true
			continue
		}
		if p.host.opts.Log.Storage(uint64(t.group.id)) == nil {
			continue
		}
		if t.hard != nil || len(t.entries) > 0 {
			p.batch.Append(uint64(t.group.id), t.hard, t.entries)
			sync = sync || t.sync
		}
		if t.cut != nil {
			p.batch.Truncate(uint64(t.group.id), t.cut.Index, t.cut.Term, t.cut.Conf)
		}
	}
	if p.batch.Empty() {
		return nil
	}
	p.batch.SetSync(sync)
	// gofail: var logWrite struct{}
	return p.host.opts.Log.Write(&p.batch)
}

// deliver sends the responses that waited for the write: to peers at once, to
// the own groups through the inbox.
func (p *persister) deliver(tasks []appendTask) {
	p.local = p.local[:0]
	wake := false
	for i := range tasks {
		t := &tasks[i]
		t.outcome.end(nil)
		var own []*pb.Message
		for _, m := range t.responses {
			if m.GetTo() == t.group.raftID {
				own = append(own, m)
			} else {
				p.out.add(t.group, m)
			}
		}
		if len(own) > 0 {
			p.local = append(p.local, stored{t.group, own})
			wake = wake || !t.group.patient(own)
		}
	}
	p.out.flush(p.host.opts.Now())
	if len(p.local) > 0 {
		p.host.inbox.addStored(p.local, wake)
	}
}

// patient reports whether a member's answers to itself may wait for the next
// frame or tick: a follower only learns from them what it may apply, and the
// frame that says what is committed wakes it anyway.
func (g *Group) patient(own []*pb.Message) bool {
	return !g.prompt && !g.leading() && len(own) == 1 && own[0].GetType() == pb.MsgStorageAppendResp
}
