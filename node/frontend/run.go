package frontend

import (
	"errors"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
)

const (
	// maxRun bounds the commands that wait for each other.
	maxRun = 1024
	// keepRun and keepPayload are what a connection keeps for its next run.
	keepRun     = 256
	keepPayload = 64 << 10
	// maxTicks bounds how often a read waits for the replicated clock. One tick
	// is enough unless another key expires meanwhile.
	maxTicks = 3
)

// runKind tells what a run waits for.
type runKind uint8

const (
	runReplies runKind = iota // nothing: it has only answers
	runWrites
	runReads
)

// run is a stretch of a pipeline that is executed as one: writes to one
// replica that are submitted together, or reads of one replica behind one
// barrier, and among them commands whose answer is already known. It is reused;
// its memory is handed to a group between Submit and the end of the calls.
type run struct {
	kind    runKind
	replica Replica
	linear  bool

	ops     []op
	calls   []*multiraft.Call
	payload []byte
	done    sync.WaitGroup
	single  multiraft.Call // the barrier
}

// op is one command of a run.
type op struct {
	cmd   *command.Command // nil if reply is the answer
	args  [][]byte
	keyed bool
	slot  uint16
	reply resp.Value
	call  multiraft.Call
}

// failed reports whether the command ended in an error. The reply of a call that
// failed is not looked at: after ErrUncertain it is the group's.
func (o *op) failed() bool { return o.call.Err != nil || o.reply.IsError() }

// accepts reports whether a command that goes to r may join the run.
func (r *run) accepts(kind runKind, to route) bool {
	if len(r.ops) >= maxRun {
		return false
	}
	return r.kind == runReplies || r.kind == kind && r.replica == to.replica && r.linear == to.linear
}

// add returns a new op of the run. It moves when another one is added.
func (r *run) add() *op {
	r.ops = append(r.ops, op{})
	return &r.ops[len(r.ops)-1]
}

func (r *run) join(kind runKind, to route, cmd *command.Command, args [][]byte) {
	r.kind, r.replica, r.linear = kind, to.replica, to.linear
	o := r.add()
	o.cmd, o.args, o.keyed, o.slot = cmd, args, to.keyed, to.slot
}

// reset empties the run and lets go of what it referred to.
func (r *run) reset() {
	clear(r.ops)
	clear(r.calls)
	if cap(r.ops) > keepRun {
		r.ops, r.calls = nil, nil
	}
	if cap(r.payload) > keepPayload {
		r.payload = nil
	}
	r.ops, r.calls, r.payload = r.ops[:0], r.calls[:0], r.payload[:0]
	r.kind, r.replica, r.linear = runReplies, nil, false
}

// finish executes what is queued and encodes the answers. Afterwards the run
// is empty.
func (c *conn) finish() {
	r := c.run
	switch {
	case len(r.ops) == 0:
		return
	case r.kind == runWrites:
		if c.write() {
			// A group may still hold this run's memory, so it cannot be reused.
			c.run = &run{}
			return
		}
	case r.kind == runReads:
		c.read()
	default:
		for i := range r.ops {
			c.answer(r.ops[i].reply)
		}
	}
	r.reset()
}

// write submits the run's writes and answers when all have ended. It reports
// whether the outcome of one is unknown.
func (c *conn) write() (uncertain bool) {
	r := c.run
	for i := range r.ops {
		o := &r.ops[i]
		if o.cmd == nil {
			continue
		}
		start := len(r.payload)
		r.payload = command.AppendArgs(r.payload, o.args)
		o.call.Payload = r.payload[start:len(r.payload):len(r.payload)]
		o.call.Result, o.call.Done = &o.reply, &r.done
		r.calls = append(r.calls, &o.call)
	}
	r.done.Add(len(r.calls))
	r.replica.Submit(r.calls...)
	r.done.Wait()
	c.count(r.ops, c.lap()) // each of them took so long
	for i := range r.ops {
		o := &r.ops[i]
		if o.cmd == nil || o.call.Err == nil {
			c.answer(o.reply)
			continue
		}
		uncertain = uncertain || errors.Is(o.call.Err, multiraft.ErrUncertain)
		c.answer(refusal(c.failedWrite(o)))
	}
	return uncertain
}

// failedWrite tells the client what became of its write.
func (c *conn) failedWrite(o *op) error {
	switch err := o.call.Err; {
	case errors.Is(err, multiraft.ErrNotLeader):
		return c.moved(o)
	case errors.Is(err, multiraft.ErrSuperseded):
		return errSuperseded
	case errors.Is(err, multiraft.ErrNoQuorum):
		return errNoQuorum
	case errors.Is(err, multiraft.ErrClosed):
		return errClosing
	case errors.Is(err, multiraft.ErrTooLarge):
		return errTooLarge
	case errors.Is(err, multiraft.ErrRefused):
		return err // it says why
	default:
		// ErrUncertain, and anything that is not known to be harmless.
		return errUncertain
	}
}

// moved redirects a command whose replica turned out not to lead.
func (c *conn) moved(o *op) error {
	v := c.server.opts.Backend.LocalView()
	if !o.keyed {
		return c.server.refuseWrite(v)
	}
	return c.server.redirect(v, o.slot)
}

// read answers the run's reads. If the replica leads, they are linearizable: by
// a lease that still holds when they have been evaluated, else behind a barrier.
func (c *conn) read() {
	r := c.run
	confirmed, failure := !r.linear, error(nil)
	for from := 0; from < len(r.ops) && !c.lost; {
		to := 0
		if !confirmed {
			to = c.evaluateUnderLease(from)
		}
		if to == 0 {
			if !confirmed {
				failure, confirmed = r.barrier(), true
			}
			to = c.evaluateFrom(from, failure)
		}
		c.count(r.ops[from:to], c.lap()/time.Duration(to-from))
		c.endReads()
		for ; from < to && !c.lost; from++ {
			o := &r.ops[from]
			c.answer(o.reply)
			o.reply = resp.Value{}
		}
	}
}

// evaluateUnderLease is evaluateFrom, or returns 0 if what was read does not count.
func (c *conn) evaluateUnderLease(from int) (to int) {
	replica := c.run.replica
	if token := replica.Lease(); token != 0 {
		if to = c.evaluateFrom(from, nil); replica.Holds(token) {
			return to
		}
	}
	return 0
}

// evaluateFrom evaluates the run's reads from one on, as many as make a flush of
// replies: those of a whole run could take more memory than there is. It returns
// the first that is left.
func (c *conn) evaluateFrom(from int, failure error) (to int) {
	r := c.run
	c.beginReads()
	first := from
	for size := 0; from < len(r.ops) && size < flushAt; from++ {
		o := &r.ops[from]
		if o.cmd != nil {
			var again bool
			if o.reply, again = c.metered(o, failure, from == first); again {
				break
			}
		}
		size += command.ReplySize(&o.reply) / 2 // on the wire alone
	}
	return from
}

// evaluate runs one read. failure is what became of the run's barrier.
func (c *conn) evaluate(o *op, failure error) resp.Value {
	r := c.run
	if r.replica == nil {
		return o.cmd.ReadEmpty(o.args, c.reading())
	}
	if errors.Is(failure, multiraft.ErrNotLeader) && !o.keyed {
		// The node has become a follower, and those answer for what they have.
		failure = nil
	}
	if failure != nil {
		return refusal(c.failedRead(o, failure))
	}
	for ticks := 0; ; ticks++ {
		reply, behind := r.replica.Read(o.cmd, o.args, c.reading())
		if behind && !r.linear && o.keyed {
			// Only the leader may end the key's life, so it is asked instead.
			return refusal(c.server.redirectReader(c.server.opts.Backend.LocalView(), o.slot))
		}
		if !behind || !r.linear || ticks == maxTicks {
			return reply
		}
		if err := c.tick(); err != nil {
			return refusal(c.failedRead(o, err))
		}
	}
}

// reading is what a read brings with it; the replica adds the time.
func (c *conn) reading() command.Reading {
	return command.Reading{MaxString: command.MaxString(c.server.limits.Load().MaxBulk), Memory: c.meterRead()}
}

// failedRead tells the client why its read was not answered. It may always
// retry: a read changes nothing.
func (c *conn) failedRead(o *op, err error) error {
	switch {
	case errors.Is(err, multiraft.ErrNotLeader) && o.keyed:
		return c.server.redirect(c.server.opts.Backend.LocalView(), o.slot)
	case errors.Is(err, multiraft.ErrNotLeader):
		return errNoLeader
	case errors.Is(err, multiraft.ErrNoQuorum):
		return errNoQuorum
	case errors.Is(err, multiraft.ErrClosed):
		return errClosing
	default:
		return errUndecided
	}
}

// barrier waits until the replica's applied state may be read.
func (r *run) barrier() error {
	r.single = multiraft.Call{Done: &r.done}
	r.done.Add(1)
	r.replica.Barrier(&r.single)
	r.done.Wait()
	return r.single.Err
}

// tick advances the replicated clock to the present. Its memory is its own,
// because its outcome may stay unknown.
func (c *conn) tick() error {
	replica := c.run.replica
	var done sync.WaitGroup
	done.Add(1)
	call := &multiraft.Call{Payload: command.AppendTick(nil), Result: new(resp.Value), Done: &done}
	replica.Submit(call)
	done.Wait()
	return call.Err
}
