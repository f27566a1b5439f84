package frontend

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// execute runs a command, or queues it in the run.
func (c *conn) execute(args [][]byte) {
	cmd, err := c.server.opts.Table.Lookup(args)
	if err != nil {
		c.refuseUnknown(args, err)
		return
	}
	c.last = cmd
	if cmd.Flags&command.FlagNoAuth == 0 && c.mustAuthenticate() {
		c.reject(cmd, errAuthRequire)
		return
	}
	if c.multi != nil && (cmd.Multi == command.MultiRefused || cmd.Flags&command.FlagNoMulti != 0) {
		c.abort()
		c.reject(cmd, errNotInMulti)
		return
	}
	if c.server.pause.active.Load() && !cmd.InPause {
		c.finish()
		if !c.awaitPause(cmd) {
			return
		}
		c.lap() // it was not the command that took so long
	}
	switch {
	case cmd.Multi >= command.MultiBegin:
		c.transact(cmd, args)
	case c.multi != nil && cmd.Multi == command.MultiQueued:
		c.queue(cmd, args)
	case cmd.Local != nil:
		c.local(cmd, args)
	default:
		c.data(cmd, args)
	}
	if c.session.Asking && !cmd.KeepsAsking && c.multi == nil {
		c.session.Asking = false
	}
}

// refuseUnknown answers a command that the table does not have. A browser that
// was made to talk to us is cut off instead, before its request's body is
// taken for commands, as Redis does.
func (c *conn) refuseUnknown(args [][]byte, err error) {
	if bytes.EqualFold(args[0], []byte("post")) || bytes.EqualFold(args[0], []byte("host:")) {
		c.server.opts.Logger.Warn("possible cross-protocol attack: a client sent an HTTP request, connection closed",
			slog.String("addr", c.session.Addr))
		c.closing = true
		return
	}
	c.session.Asking = c.session.Asking && c.multi != nil
	c.abort()
	if cmd := c.server.opts.Table.Named(args); cmd != nil {
		c.reject(cmd, err) // with a wrong number of arguments
		return
	}
	c.refuse(err)
}

// refuse answers with an error in the command's place.
func (c *conn) refuse(err error) {
	if len(c.run.ops) >= maxRun {
		c.finish()
	}
	c.run.add().refuse(c.session.Proto(), err)
}

// data sends a Read or Write command where it belongs.
func (c *conn) data(cmd *command.Command, args [][]byte) {
	if cmd.MayWait(args) {
		c.block(cmd, args)
		return
	}
	to, err := c.route(demandOf(cmd, args))
	if err != nil {
		c.reject(cmd, err)
		return
	}
	kind := runReads
	if to.writes {
		if kind = runWrites; to.replica == nil {
			// No shard, so no keys that FLUSHALL could delete.
			if len(c.run.ops) >= maxRun {
				c.finish()
			}
			c.run.add().reply.OK()
			return
		}
		if cmd.Idle != nil && to.linear && c.tries.worth() {
			kind = runTries
		}
	}
	if !c.run.accepts(kind, to) {
		c.finish()
	}
	if to.writes && cmd.Returns != nil {
		if err := c.reserve(cmd, args, to.replica); err != nil {
			c.reject(cmd, err)
			return
		}
	}
	c.run.join(kind, to, cmd, args).size = c.in.frame
}

// local runs a command on this goroutine, behind everything before it. One that names keys
// runs where they are.
func (c *conn) local(cmd *command.Command, args [][]byte) {
	c.finish()
	if d := demandOf(cmd, args); d.keyed {
		if _, err := c.route(d); err != nil {
			c.reject(cmd, err)
			return
		}
	}
	c.session.LastCommand.Store(cmd)
	c.commands.Store(c.ran)
	c.own.Init(c.session.Proto())
	c.own.Begin()
	if c.evaluateLocal(cmd, args); c.lost {
		return
	}
	c.answerOwn()
	if c.holding {
		_ = c.out.flush() // an error shows at the next flush too
		c.out.backlog.resume()
		c.holding = false
	}
}

// evaluateLocal writes the reply to a Local command to c.own, and counts the command.
func (c *conn) evaluateLocal(cmd *command.Command, args [][]byte) {
	ctx := c.server.ctx
	if cmd.Flags&command.FlagFast == 0 && !cmd.OwnTime {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.server.opts.CommandTimeout)
		defer cancel()
	}
	c.show(cmd, args)
	c.args.Set(cmd, args)
	if err := c.runLocal(ctx, cmd); err != nil {
		c.own.Fail(err)
	}
	c.beginReads() // what it has read, it holds no more
	took := c.lap()
	c.conclude(cmd, took)
	c.log(c.server.inspection.Load(), executed{cmd: cmd, args: args, took: took, request: c.in.frame, reply: c.own.Size()})
}

// conclude counts a command whose reply is in c.own.
func (c *conn) conclude(cmd *command.Command, took time.Duration) {
	failed := 0
	if c.own.Failed() {
		failed = 1
	}
	c.called(cmd, 1, failed, took)
}

// answerOwn answers with c.own.
func (c *conn) answerOwn() {
	c.answer(&c.own)
	if cap(c.own.Bytes()) > keepReply {
		c.own.Take()
	}
	if c.session.CloseAfterReply {
		c.closing = true
	}
}

// errPanicked answers a Local command whose handler has panicked.
const errPanicked = resp.Error("ERR internal error: the node's log has the details")

// runLocal runs a Local handler. One that panics costs its client an error, and no more.
func (c *conn) runLocal(ctx context.Context, cmd *command.Command) (err error) {
	if told := c.server.opts.Recovered; told != nil {
		defer func() {
			if reason := recover(); reason != nil {
				// gofail: var panicsEnd struct{}
				// panic(reason)
				c.server.counters.panics.Add(1)
				told(cmd.FullName(), reason, debug.Stack())
				c.own.Restart()
				err = errPanicked
			}
		}()
	}
	return cmd.Local(ctx, &c.env, &c.args, &c.own)
}

// answer sends the reply to the next command in line, unless the client wants none.
func (c *conn) answer(r *resp.Reply) {
	if r.Failed() {
		c.server.countError(r.Bytes())
	}
	if c.session.SuppressReply() {
		return
	}
	c.out.reply.Append(r)
	c.out.answered += int64(r.Len())
	c.flushIfFull()
}

// flushIfFull sends replies before the pipeline ends, if they are many.
func (c *conn) flushIfFull() {
	if c.out.reply.Len() >= flushAt && c.out.flush() != nil {
		c.closing, c.lost = true, true
	}
}

// refuse makes err the reply, whatever the command.
func (o *op) refuse(proto int, err error) {
	o.reply.Init(proto)
	o.reply.Begin()
	o.reply.Fail(refusal(err))
}

// refusal returns err as clients are told it.
func refusal(err error) error {
	if broken, ok := errors.AsType[protocolError](err); ok {
		return resp.Error(broken.Error())
	}
	return err
}
