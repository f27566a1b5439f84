package frontend

import (
	"io"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/rawio"
	"github.com/genuineh/aikv/node/resp"
)

// block is a command that waits until one of its keys holds something, such as
// BLPOP or XREAD. Its reply is in conn.own when it is over.
type block struct {
	conn *conn
	op   op
	// replica is where the client is blocked. It is another one if the node loses the
	// shard and gets it back.
	replica Replica
	next    *route // where to, then
	client  *blocking.Client
	parked  bool
	gone    bool   // the client is, so nothing was popped for it
	late    bool   // its time was over
	resume  func() // ends what waits for the end of a pause; nil: nothing does
	noted   bool   // the command has run once, as Blocks.AtOnce says
	// ripens wakes the client when time has brought something; nil: it will not.
	ripens *time.Timer
}

// forever is longer than anybody waits, in ms: a century.
const forever = 100 * 365 * 24 * 3600 * 1000

// block runs a command that may wait, behind everything before it.
func (c *conn) block(cmd *command.Command, args [][]byte) {
	c.finish()
	to, err := c.route(demandOf(cmd, args))
	if err != nil {
		c.reject(cmd, err)
		return
	}
	// A client that takes no replies must not hold up those that wait behind it.
	if c.out.flush() != nil {
		c.closing, c.lost = true, true
		return
	}
	c.session.LastCommand.Store(cmd)
	c.show(cmd, args)
	begun := c.server.opts.Now()
	b := &block{conn: c, op: op{cmd: cmd, args: args, size: c.in.frame}}
	over := b.enter(to) || b.note() || b.try()
	took := c.lap()
	if !over {
		b.wait(begun)
		c.lap() // it was not the command that took so long
	}
	b.leave()
	c.run.reset()
	if c.conclude(cmd, took); c.lost {
		return
	}
	before := c.out.answered
	c.answerOwn()
	if !b.late && b.op.call.Err == nil {
		c.inspect(c.server.inspection.Load(), &b.op, before)
	}
}

// wait parks the connection until the command is over.
func (b *block) wait(begun time.Time) {
	c := b.conn
	var until time.Time
	if ms := b.op.cmd.Blocks.WaitsFor(b.op.args); ms > 0 && ms < forever {
		until = begun.Add(time.Duration(ms) * time.Millisecond)
	}
	over := false
	b.parked = true
	err := c.park(until, true, func() bool {
		over = b.again()
		return over
	})
	switch {
	case c.lost:
	case b.gone:
		_ = c.abandon(io.EOF)
	case over:
	case err != nil:
		b.fail(err)
	case c.server.isDraining():
		b.fail(errClosing)
	default:
		b.late = true
		c.own.Init(c.session.Proto())
		c.own.Begin()
		c.own.NullArray()
	}
}

// again is what a parked connection does when it was roused, whatever for.
func (b *block) again() (over bool) {
	return b.client.Woken() && !b.held() && b.try()
}

// try looks and pops. If the node has lost the shard and got it back, the client is
// blocked there anew.
func (b *block) try() (over bool) {
	for {
		b.next = nil
		over = b.client.Try(blocking.Attempt{Look: b.look, Gone: b.hungUp, Pop: b.pop})
		if b.next == nil {
			return over
		}
		b.leave()
		if b.enter(*b.next) {
			return true
		}
	}
}

// enter blocks the client on its keys at a replica.
func (b *block) enter(to route) (over bool) {
	c := b.conn
	c.run.replica, c.run.linear = to.replica, to.linear
	b.op.keyed, b.op.slot, b.op.asking, b.replica = to.keyed, to.slot, to.asking, to.replica
	if to.replica == nil {
		// No shard, and no keys, as there is something wrong with the command.
		if b.evaluate(nil); !c.own.Failed() {
			b.fail(errNotServed)
		}
		return true
	}
	cmd := b.op.cmd
	lane := blocking.Lane{Together: b.takesNothing()}
	if cmd.Blocks.Lane != nil {
		lane.Name = cmd.Blocks.Lane(b.op.args)
	}
	b.client = to.replica.Blocked().Block(cmd.Blocks.For, cmd.Blocks.Awaited(cmd, b.op.args), lane, c.rouse)
	return false
}

// takesNothing reports whether the command only reads: then its look answers.
func (b *block) takesNothing() bool { return b.op.cmd.Write == nil }

// note runs a command that notes that the client asks, whatever there is.
func (b *block) note() (over bool) {
	if b.noted || !b.op.cmd.Blocks.AtOnce {
		return false
	}
	b.noted = true
	return b.pop(func() {})
}

// leave ends that the client is blocked.
func (b *block) leave() {
	if b.client != nil {
		b.client.Leave()
		b.client = nil
	}
	b.unripe()
	b.goOn()
}

// unripe ends that time is to wake the client.
func (b *block) unripe() {
	if b.ripens != nil {
		b.ripens.Stop()
		b.ripens = nil
	}
}

// fail makes err the reply.
func (b *block) fail(err error) (over bool) {
	c := b.conn
	c.own.Init(c.session.Proto())
	c.own.Begin()
	c.own.Fail(err)
	return true
}

// look sees whether there is something to pop, and first whether the node still serves
// it: what comes after that wakes the client again. It goes by the lease, or behind a
// barrier; where there is nothing, that costs the log nothing.
func (b *block) look() (key int, elements int64, over bool) {
	c := b.conn
	b.unripe()
	var until time.Time
	for {
		d := demandOf(b.op.cmd, b.op.args)
		d.asking = b.op.asking
		to, err := c.route(d)
		switch {
		case err != nil:
			return 0, 0, b.fail(err)
		case to.replica != b.replica:
			b.next = &to
			return 0, 0, true
		}
		b.see()
		if encoded := c.own.Bytes(); !elsewhere(encoded) {
			return b.seen()
		} else if err := c.awaitFor(&b.op, &until, isAsk(encoded)); err != nil {
			return 0, 0, b.fail(err)
		}
	}
}

// see runs the command's look on what the replica has: on what is acknowledged, if it
// leads.
func (b *block) see() {
	c := b.conn
	valid := false
	if !c.run.linear {
		b.evaluate(nil)
		valid = true
	} else if token := b.replica.Lease(); token != 0 {
		b.evaluate(nil)
		valid = b.replica.LeaseValid(token)
	}
	if !valid {
		b.evaluate(c.run.barrier())
	}
}

// seen is what there was to see: see look.
func (b *block) seen() (key int, elements int64, over bool) {
	c := b.conn
	if c.view.Again != nil {
		b.op.args = c.view.Again
	}
	found := c.view.Found
	if found.Elements == 0 && found.In > 0 {
		b.ripens = time.AfterFunc(time.Duration(min(found.In, forever))*time.Millisecond, b.client.Ripe)
	}
	return found.Key, found.Elements, c.own.Failed() || b.takesNothing() && !c.own.IsNull()
}

// evaluate runs the command's look. An error is in conn.own, and so is what the look of
// a command answers that takes nothing.
func (b *block) evaluate(failure error) {
	c := b.conn
	if b.takesNothing() {
		b.read(failure)
		return
	}
	c.own.Init(c.session.Proto())
	c.evaluate(&b.op, failure, &c.own)
	c.view.End()
}

// read evaluates a command that takes nothing, as other reads are: within the memory that
// there is for them.
func (b *block) read(failure error) {
	c := b.conn
	out := &c.out.reply
	out.SetProto(c.session.Proto())
	c.beginReads()
	b.op.start = out.Len()
	c.metered(&b.op, failure, true)
	c.view.End()
	c.endReads()
	c.own.Init(c.session.Proto())
	c.own.Begin()
	c.own.Encoded(out.Bytes()[b.op.start:])
	out.Cut(b.op.start)
}

// popping is a command on its way. After ErrUncertain it is the group's for good.
type popping struct {
	call  multiraft.Call
	reply resp.Reply
	done  sync.WaitGroup
}

// hungUp reports whether the client has waited and is gone by now.
func (b *block) hungUp() bool {
	b.gone = b.parked && b.conn.hungUp()
	return b.gone
}

// pop submits the command, and waits for what becomes of it.
func (b *block) pop(submitted func()) (over bool) {
	c := b.conn
	if b.op.cmd.Returns != nil {
		if err := c.reserve(b.op.cmd, b.op.args, b.replica); err != nil {
			return b.fail(err)
		}
		defer func() {
			c.out.charge(c.run.reserved)
			c.run.returns, c.run.reserved = 0, 0
		}()
	}
	var until time.Time
	for {
		reply, err := c.submit(&b.op, b.replica, &c.server.holds, submitted)
		switch {
		case err != nil:
			return b.fail(err)
		case elsewhere(reply.Bytes()):
			if err := c.awaitFor(&b.op, &until, isAsk(reply.Bytes())); err != nil {
				return b.fail(err)
			}
		case reply.IsNull():
			return false
		default:
			c.own.Init(c.session.Proto())
			c.own.Begin()
			c.own.Append(reply)
			return true
		}
	}
}

// submit runs one write by itself, which waits for keys that are held; nil: for none.
// submitted is called when it has a place before everything that is submitted later.
func (c *conn) submit(o *op, replica Replica, held *holds, submitted func()) (*resp.Reply, error) {
	p := &popping{}
	p.reply.Init(c.session.Proto())
	if c.server.inspection.Load().times(o.cmd) {
		p.reply.Time()
	}
	p.call = multiraft.Call{Payload: appendPayload(nil, o), Result: &p.reply, Done: &p.done}
	p.done.Add(1)
	if held != nil {
		held.submit([]op{*o}, replica, []*multiraft.Call{&p.call})
	} else {
		replica.Submit(&p.call)
	}
	submitted()
	p.done.Wait()
	if o.call.Err = p.call.Err; p.call.Err != nil {
		return nil, c.failedWrite(o)
	}
	o.took, _ = p.reply.Took()
	return &p.reply, nil
}

// hungUp reports whether the client has closed the connection, or it was killed.
func (c *conn) hungUp() bool {
	raw := rawConn(c.nc)
	return raw != nil && rawio.HungUp(raw)
}

// held reports whether CLIENT PAUSE keeps the client from popping. Then it is roused
// when that changes.
func (b *block) held() bool {
	b.goOn()
	p, now := &b.conn.server.pause, b.conn.server.opts.Now()
	if !p.active.Load() {
		return false
	}
	stop := p.watch(b.conn)
	until := p.waitUntil(!b.takesNothing(), now)
	if until.IsZero() {
		stop()
		return false
	}
	timer := time.AfterFunc(until.Sub(now), b.conn.rouse)
	b.resume = func() {
		timer.Stop()
		stop()
	}
	return true
}

// goOn ends what held has begun.
func (b *block) goOn() {
	if b.resume != nil {
		b.resume()
		b.resume = nil
	}
}
