package frontend

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// onData runs an internal command on the data in the middle of a Local one: see
// command.Env.OnData. It runs wherever a client's that has sent ASKING would. What it holds
// of the memory for reads is kept until the Local command is over.
func (c *conn) onData(args [][]byte) (resp.Value, error) {
	cmd, err := c.server.opts.Table.Replicated(args)
	if err != nil {
		return resp.Value{}, err
	}
	d := demandOf(cmd, args)
	d.asking = true
	var until time.Time
	for {
		to, err := c.route(d)
		if err != nil {
			return resp.Value{}, err
		}
		c.run.replica, c.run.linear = to.replica, to.linear
		o := op{cmd: cmd, args: args, keyed: to.keyed, slot: to.slot, asking: to.asking}
		reply, err := c.runInner(&o, to)
		c.run.reset()
		if err != nil {
			return resp.Value{}, err
		}
		if elsewhere(reply.Bytes()) {
			c.run.replica = to.replica
			err := c.awaitFor(&o, &until, isAsk(reply.Bytes()))
			c.run.reset()
			if err != nil {
				return resp.Value{}, err
			}
			continue
		}
		if reply.Failed() {
			return resp.Value{}, resp.Error(resp.ErrorText(reply.Bytes()))
		}
		return resp.Parse(reply.Bytes())
	}
}

// runInner runs an internal command at a replica that leads.
func (c *conn) runInner(o *op, to route) (*resp.Reply, error) {
	if to.writes {
		return c.submit(o, to.replica, nil, func() {})
	}
	reply := &resp.Reply{}
	reply.Init(c.session.Proto())
	reply.Meter(c.grant.meter.Reply)
	c.evaluate(o, c.run.barrier(), reply)
	c.view.End()
	if c.grant.meter.Short() {
		return nil, errReadMemory
	}
	c.grant.spent += c.grant.meter.Used()
	return reply, nil
}

// hold keeps writes to keys of a slot back: see command.Env.Hold. When it returns,
// everything has run that was submitted before.
func (c *conn) hold(ctx context.Context, keys [][]byte) (release func(), err error) {
	cmd, err := c.server.opts.Table.Replicated(command.CopyOut(keys))
	if err != nil {
		return nil, err
	}
	d := demandOf(cmd, command.CopyOut(keys))
	d.asking = true
	to, err := c.route(d)
	if err != nil {
		return nil, err
	}
	if err := c.server.holds.take(ctx, d.slot, keys); err != nil {
		return nil, err
	}
	release = func() { c.server.holds.give(d.slot, keys) }
	c.run.replica = to.replica
	err = c.tick()
	c.run.reset()
	if err != nil {
		release()
		o := op{cmd: cmd, keyed: true, slot: d.slot}
		o.call.Err = err
		return nil, c.failedWrite(&o)
	}
	return release, nil
}
