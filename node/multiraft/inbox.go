package multiraft

import (
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
)

// inbox collects what other goroutines want from the loop. The loop takes all
// of it at once, so that whatever arrives during one turn is handled together
// in the next.
type inbox struct {
	mu     sync.Mutex
	closed bool
	in     input
	spare  input
	wake   chan struct{}
	// waiting is how many bytes of frames of each node the loop has not handled.
	waiting map[uint64]int
}

// maxWaiting bounds what may wait of one node. Whoever floods this one loses
// frames, as a network loses them; raft sends again.
const maxWaiting = 64 << 20

// input is what one turn of the loop works on.
type input struct {
	frames   []frameIn
	stored   []stored
	applied  []applied
	calls    []submission
	controls []func()
}

type frameIn struct {
	node  uint64
	frame []byte
}

// stored are raft's answers to itself after an append.
type stored struct {
	group     *Group
	responses []*pb.Message
}

// applied is what the applier reports of one MsgStorageApply.
type applied struct {
	group *Group
	// changes are the membership changes among the entries, in order.
	changes  []*pb.Entry
	response *pb.Message
	// term and entries count the data entries of that term that were proposed
	// here; active is how many calls were answered or pending at that moment.
	term            uint64
	entries, active int
}

type submission struct {
	group   *Group
	call    *Call
	barrier bool
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) addFrame(node uint64, frame []byte) {
	b.mu.Lock()
	waiting := b.waiting[node]
	full := waiting > 0 && waiting+len(frame) > maxWaiting
	if !full {
		b.waiting[node] = waiting + len(frame)
		b.in.frames = append(b.in.frames, frameIn{node, frame})
	}
	b.mu.Unlock()
	b.signal()
}

// handled counts frames as gone.
func (b *inbox) handled(frames []frameIn) {
	if len(frames) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range frames {
		if b.waiting[f.node] -= len(f.frame); b.waiting[f.node] == 0 {
			delete(b.waiting, f.node)
		}
	}
}

// addStored queues answers of the log. With wake unset they wait for the next
// thing to come.
func (b *inbox) addStored(s []stored, wake bool) {
	b.mu.Lock()
	b.in.stored = append(b.in.stored, s...)
	b.mu.Unlock()
	if wake {
		b.signal()
	}
}

func (b *inbox) addApplied(a []applied) {
	b.mu.Lock()
	b.in.applied = append(b.in.applied, a...)
	b.mu.Unlock()
	b.signal()
}

func (b *inbox) addControl(fn func()) bool {
	b.mu.Lock()
	open := !b.closed
	if open {
		b.in.controls = append(b.in.controls, fn)
	}
	b.mu.Unlock()
	b.signal()
	return open
}

// addCalls queues calls; it returns false if the host has stopped. The loop is
// woken only if there are as many as it waits for: one wake-up for all clients
// that return together costs much less than one for each.
func (b *inbox) addCalls(g *Group, barrier bool, calls ...*Call) bool {
	b.mu.Lock()
	open := !b.closed
	wake := false
	if open {
		for _, c := range calls {
			b.in.calls = append(b.in.calls, submission{g, c, barrier})
		}
		n := &g.gather(barrier).count
		n.queued += len(calls)
		wake = n.queued >= n.want
	}
	b.mu.Unlock()
	if wake {
		b.signal()
	}
	return open
}

// callCount is how many calls of one kind are queued for a group, how many the loop
// has taken and keeps for later, and how many more it wants before it is woken
// for them. Guarded by inbox.mu.
type callCount struct{ queued, taken, want int }

// pending returns how many calls of one kind wait for the group's next entry or
// round.
func (b *inbox) pending(g *Group, barrier bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &g.gather(barrier).count
	return n.queued + n.taken
}

// wantNone keeps the loop asleep however many calls come, until something else
// wakes it: an entry or a round that is in flight ends by an event of its own, and
// ticks go on.
const wantNone = 1 << 30

// setWanted sets how many calls each group waits for at the end of a turn.
func (b *inbox) setWanted(groups []*Group) {
	b.mu.Lock()
	wake := false
	for _, g := range groups {
		writes, reads := &g.proposer.gather, &g.reader.gather
		writes.count.want, reads.count.want = g.proposer.wantMore(), g.reader.wantMore()
		writes.count.taken, reads.count.taken = len(writes.calls), len(reads.calls)
		for _, n := range [...]callCount{writes.count, reads.count} {
			wake = wake || n.queued > 0 && n.queued >= n.want
		}
	}
	b.mu.Unlock()
	if wake {
		b.signal()
	}
}

// take returns everything that was queued; it is valid until the next take.
func (b *inbox) take() *input {
	b.mu.Lock()
	b.in, b.spare = b.spare, b.in
	for _, s := range b.spare.calls {
		n := &s.group.gather(s.barrier).count
		n.queued--
		n.taken++
	}
	b.mu.Unlock()
	return &b.spare
}

// reset empties an input but keeps its memory.
func (in *input) reset() {
	clear(in.frames)
	clear(in.stored)
	clear(in.applied)
	clear(in.calls)
	clear(in.controls)
	in.frames, in.stored, in.applied = in.frames[:0], in.stored[:0], in.applied[:0]
	in.calls, in.controls = in.calls[:0], in.controls[:0]
}

// close refuses further calls and returns those that nobody took.
func (b *inbox) close() []submission {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.in.calls
}
