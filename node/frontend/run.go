package frontend

import (
	"bytes"
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
	// keepRun, keepPayload and keepReply are what a connection keeps for its next
	// run: commands, bytes of their payloads, bytes of each one's reply.
	keepRun     = 256
	keepPayload = 64 << 10
	keepReply   = 64
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
	// runTries has writes only that perhaps change nothing: see conn.try.
	runTries
)

// writes reports whether the commands of such a run are writes.
func (k runKind) writes() bool { return k == runWrites || k == runTries }

// run is a stretch of a pipeline that is executed as one: writes to one
// replica that are submitted together, or reads of one replica behind one
// barrier, and among them commands whose answer is already known. It is reused;
// its memory is handed to a group between Submit and the end of the calls.
type run struct {
	kind    runKind
	replica Replica
	linear  bool
	watches bool // WATCH is among the reads

	ops     []op
	calls   []*multiraft.Call
	payload []byte
	done    sync.WaitGroup
	single  multiraft.Call // the barrier
	spare   []*transaction
	// returns is about how much its writes return, reserved what of the server's memory
	// is kept for that.
	returns, reserved int64
}

// op is one command of a run.
type op struct {
	cmd   *command.Command // nil if reply is the answer
	args  [][]byte
	keyed bool
	slot  uint16
	// asking goes with the command to the shard.
	asking bool
	// due says that a write has yet to be submitted, or once more.
	due  bool
	call multiraft.Call
	// reply is what a write was answered, or an answer that is known before the run.
	reply resp.Reply
	// A read's reply stands in the output, from start to end.
	start, end int
	bad        bool // that is an error
	away       bool // that is ErrAsk
	// size is the command's in bytes.
	size int
	// took is for how long the command ran, laps those of a transaction, if times says
	// that it is known.
	took time.Duration
	laps []time.Duration
	// transaction is what EXEC runs, watched what WATCH has seen.
	transaction *transaction
	watched     []command.Watched
}

// failed reports whether the command ended in an error. The reply of a call that
// failed is not looked at: after ErrUncertain it is the group's.
func (o *op) failed() bool { return o.bad || o.call.Err != nil || o.reply.Failed() }

// accepts reports whether a command that goes to r may join the run.
func (r *run) accepts(kind runKind, to route) bool {
	if len(r.ops) >= maxRun {
		return false
	}
	if r.kind == runReplies {
		return true
	}
	return (r.kind == kind || r.kind.writes() && kind.writes()) && r.replica == to.replica && r.linear == to.linear
}

// add returns a new op of the run. It moves when another one is added.
func (r *run) add() *op {
	if n := len(r.ops); n < cap(r.ops) {
		r.ops = r.ops[:n+1] // reset has emptied it, but for the memory of its reply
	} else {
		r.ops = append(r.ops, op{})
	}
	return &r.ops[len(r.ops)-1]
}

// join adds a command to the run. The op moves when another one is added.
func (r *run) join(kind runKind, to route, cmd *command.Command, args [][]byte) *op {
	if r.kind == runWrites {
		kind = runWrites // they go to the log together
	}
	r.kind, r.replica, r.linear = kind, to.replica, to.linear
	o := r.add()
	o.cmd, o.args, o.keyed, o.slot, o.asking, o.due = cmd, args, to.keyed, to.slot, to.asking, true
	return o
}

// reset empties the run and lets go of what it referred to.
func (r *run) reset() {
	for i := range r.ops {
		if t := r.ops[i].transaction; t != nil {
			r.recycle(t)
		}
		reply := r.ops[i].reply.Take()
		r.ops[i] = op{}
		if cap(reply) <= keepReply {
			r.ops[i].reply.Lend(reply)
		}
	}
	clear(r.calls)
	if cap(r.ops) > keepRun {
		r.ops, r.calls = nil, nil
	}
	if cap(r.payload) > keepPayload {
		r.payload = nil
	}
	r.ops, r.calls, r.payload = r.ops[:0], r.calls[:0], r.payload[:0]
	r.kind, r.replica, r.linear, r.watches = runReplies, nil, false, false
	r.returns, r.reserved = 0, 0
}

// finish executes what is queued and encodes the answers. Afterwards the run
// is empty.
func (c *conn) finish() {
	r := c.run
	switch {
	case len(r.ops) == 0:
		return
	case r.kind.writes():
		from := 0
		if r.kind == runTries {
			from = c.try()
		} else {
			c.tries.note(false, false)
		}
		if c.write(from) {
			// A group may still hold this run's memory, so it cannot be reused.
			c.run = &run{}
			return
		}
	case r.kind == runReads:
		c.read()
	default:
		for i := range r.ops {
			c.answer(&r.ops[i].reply)
		}
	}
	r.reset()
}

// write submits the run's writes, from one on, and answers when all have ended. It
// reports whether the outcome of one is unknown.
func (c *conn) write(from int) (uncertain bool) {
	r, proto, look := c.run, c.session.Proto(), c.server.inspection.Load()
	ops := r.ops[from:]
	var until time.Time
	for again := true; again; again = c.retry(ops, &until) {
		r.calls = r.calls[:0]
		for i := range ops {
			if o := &ops[i]; o.cmd != nil && o.due {
				c.prepare(o, look)
				r.calls = append(r.calls, &o.call)
			}
		}
		if len(r.calls) > 0 {
			r.done.Add(len(r.calls))
			c.server.holds.submit(ops, r.replica, r.calls)
			r.done.Wait()
		}
	}
	c.count(ops, c.lap()) // each of them took so long
	for i := range ops {
		o := &ops[i]
		if o.cmd == nil || o.call.Err == nil {
			before := c.out.answered
			c.answerWrite(o)
			o.took, o.laps = o.reply.Took()
			c.inspect(look, o, before)
			continue
		}
		uncertain = uncertain || errors.Is(o.call.Err, multiraft.ErrUncertain)
		if t := o.transaction; t != nil {
			c.server.reads.give(t.meter.end())
		}
		var refused op // the reply of this one may be the group's
		refused.refuse(proto, c.failedWrite(o))
		c.answer(&refused.reply)
	}
	if r.reserved > 0 {
		c.out.charge(r.reserved)
		r.reserved = 0
	}
	return uncertain
}

// prepare makes a write ready to be submitted.
func (c *conn) prepare(o *op, look *inspection) {
	r := c.run
	o.reply.Init(c.session.Proto())
	if look.times(o.cmd) {
		o.reply.Time()
	}
	if t := o.transaction; t != nil {
		t.meter.begin(&c.server.reads, &o.reply)
		t.expect(&o.reply)
	}
	if o.call.Payload != nil {
		return // it is as it was
	}
	switch t := o.transaction; {
	case t == nil:
		start := len(r.payload)
		r.payload = appendPayload(r.payload, o)
		o.call.Payload = r.payload[start:len(r.payload):len(r.payload)]
	case o.asking:
		o.call.Payload = append(command.AppendAsking(nil), t.payload...)
	default:
		o.call.Payload = t.payload
	}
	o.call.Result, o.call.Done = &o.reply, &r.done
}

// appendPayload appends the payload of a command.
func appendPayload(dst []byte, o *op) []byte {
	if o.asking {
		dst = command.AppendAsking(dst)
	}
	return command.AppendArgs(dst, o.args)
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
	var until time.Time
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
		settled := c.settled(from, to)
		if settled > from {
			c.count(r.ops[from:settled], c.lap()/time.Duration(settled-from))
		}
		c.endReads()
		c.deliver(r.ops[from:settled])
		if settled < to {
			c.await(&r.ops[settled], &until)
		}
		from = settled
	}
}

// deliver leaves those replies in the output that the client wants, of reads that
// were evaluated one after the other.
func (c *conn) deliver(ops []op) {
	if len(ops) == 0 {
		return
	}
	written, kept := c.out.reply.Bytes(), ops[0].start
	look := c.server.inspection.Load()
	for i := range ops {
		o, before := &ops[i], c.out.answered
		encoded := written[o.start:o.end]
		if o.bad {
			c.server.countError(encoded)
		}
		if o.watched != nil && !o.bad {
			c.watch(o.watched, c.run.replica)
		}
		if t := o.transaction; t != nil && len(t.locals) > 0 && ran(encoded) {
			c.out.reply.Cut(kept)
			c.answerMixed(t, bytes.Clone(encoded), o.start)
			c.inspect(look, o, before)
			return
		}
		if !c.session.SuppressReply() {
			n := copy(written[kept:], encoded)
			kept += n
			c.out.answered += int64(n)
		}
		c.inspect(look, o, before)
	}
	c.out.reply.Cut(kept)
	c.flushIfFull()
}

// evaluateUnderLease is evaluateFrom, or returns 0 if what was read does not count.
func (c *conn) evaluateUnderLease(from int) (to int) {
	replica := c.run.replica
	if token := replica.Lease(); token != 0 {
		if to = c.evaluateFrom(from, nil); replica.LeaseValid(token) {
			return to
		}
		c.out.reply.Cut(c.run.ops[from].start)
	}
	return 0
}

// evaluateFrom evaluates the run's reads from one on, as many as make a flush of
// replies: those of a whole run could take more memory than there is. It returns
// the first that is left.
func (c *conn) evaluateFrom(from int, failure error) (to int) {
	r, out := c.run, &c.out.reply
	out.SetProto(c.session.Proto())
	c.beginReads()
	defer c.view.End()
	first, look := from, c.server.inspection.Load()
	for from < len(r.ops) && (from == first || out.Len()-r.ops[first].start < flushAt) {
		o := &r.ops[from]
		o.start = out.Len()
		if look.times(o.cmd) {
			out.Time()
		}
		if o.cmd == nil {
			out.Append(&o.reply)
		} else if again := c.metered(o, failure, from == first); again {
			break
		}
		o.took, o.laps = out.Took()
		o.end = out.Len()
		o.bad = resp.IsErrorReply(out.Bytes()[o.start:])
		from++
	}
	return from
}

// evaluate writes the reply to one read to out. failure is what became of the run's
// barrier.
func (c *conn) evaluate(o *op, failure error, out *resp.Reply) {
	r := c.run
	if errors.Is(failure, multiraft.ErrNotLeader) && !o.keyed {
		// The node has become a follower, and those answer for what they have.
		failure = nil
	}
	maxString := command.MaxString(c.server.limits.Load().MaxBulk)
	for ticks := 0; failure == nil; ticks++ {
		c.view.MaxString, c.view.Memory, c.view.Watches, c.view.Asking = maxString, c.meterRead(), nil, o.asking
		behind := c.look(o, out)
		switch {
		case behind && !r.linear && o.keyed:
			// Only the leader may end the key's life, so it is asked instead.
			out.Fail(c.server.redirectReader(c.server.opts.Backend.LocalView(), o.slot))
			return
		case !behind || !r.linear || ticks == maxTicks:
			return
		}
		out.Restart()
		failure = c.tick()
	}
	out.Begin()
	out.Fail(refusal(c.failedRead(o, failure)))
}

// look evaluates a read, once.
func (c *conn) look(o *op, out *resp.Reply) (behind bool) {
	r := c.run
	if t := o.transaction; t != nil {
		out.SetProto(c.session.Proto())
		t.expect(out)
		if r.replica != nil {
			behind = r.replica.Exec(t.payload, &c.view, out)
		} else {
			c.execEmpty(t)
		}
		t.starts = out.Nested()
		return behind
	}
	if o.cmd.Multi == command.MultiWatch {
		o.watched = make([]command.Watched, 0, 1)
		c.view.Watches = &o.watched
	}
	c.args.Set(o.cmd, o.args)
	if r.replica == nil {
		c.view.RunEmpty(&c.args, out)
		return false
	}
	return r.replica.Read(&c.args, &c.view, out)
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
	call := &multiraft.Call{Payload: command.AppendTick(nil), Done: &done}
	replica.Submit(call)
	done.Wait()
	return call.Err
}
