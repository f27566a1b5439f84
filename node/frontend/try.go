package frontend

import (
	"time"

	"github.com/genuineh/aikv/node/resp"
)

// tries remembers whether the connection's writes have changed something of late: a
// look at those that always do would be for nothing.
type tries struct {
	credit int8 // below 0: not worth it
	rest   int8 // how many runs ago the last try was
}

const (
	triesCredit = 4  // so many tries in vain, and they end
	triesEvery  = 32 // runs until the next one then
)

// worth reports whether a run should begin with a try.
func (t *tries) worth() bool { return t.credit >= 0 || t.rest >= triesEvery }

// note takes down what a run was: tried or not, and whether that saved something.
func (t *tries) note(tried, saved bool) {
	switch {
	case saved:
		t.credit, t.rest = triesCredit, 0
	case tried:
		t.credit, t.rest = max(t.credit-1, -1), 0
	default:
		t.rest = min(t.rest+1, triesEvery)
	}
}

// try answers the run's writes from the first on, as long as they change nothing: under
// the lease, as reads are, and without the log. It returns how many it has answered; the
// others must be written.
func (c *conn) try() (done int) {
	r, out := c.run, &c.out.reply
	token := r.replica.Lease()
	if token == 0 {
		return 0
	}
	out.SetProto(c.session.Proto())
	start := out.Len()
	c.beginReads()
	for done < len(r.ops) && c.tryOne(&r.ops[done]) {
		done++
	}
	c.view.End()
	c.endReads()
	if !r.replica.LeaseValid(token) {
		out.Cut(start)
		done = 0
	}
	c.tries.note(true, done > 0)
	if done == 0 {
		return 0
	}
	c.count(r.ops[:done], c.lap()/time.Duration(done))
	c.deliver(r.ops[:done])
	if c.lost {
		return len(r.ops) // nobody waits for the rest
	}
	return done
}

// tryOne answers a write if that changes nothing.
func (c *conn) tryOne(o *op) bool {
	out, look := &c.out.reply, c.server.inspection.Load()
	o.start = out.Len()
	if look.times(o.cmd) {
		out.Time()
	}
	if o.cmd == nil {
		out.Append(&o.reply)
	} else {
		c.view.Tries, c.view.Idle, c.view.Asking = true, false, o.asking
		c.view.Memory, c.view.Watches = c.meterRead(), nil
		c.args.Set(o.cmd, o.args)
		behind := c.run.replica.Read(&c.args, &c.view, out)
		c.view.Tries = false
		if behind || !c.view.Idle || c.grant.meter.Short() || resp.IsErrorReply(out.Bytes()[o.start:]) {
			out.Cut(o.start)
			return false
		}
	}
	o.took, o.laps = out.Took()
	o.end = out.Len()
	return true
}
