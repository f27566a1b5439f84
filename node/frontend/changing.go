package frontend

import (
	"errors"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// A slot changes hands in a moment that clients need not see: what a shard has refused with
// command.ErrChanging waits here until the view shows who has the slot, and is sent there,
// or runs.

const (
	// changeTime is how long a command waits for its slot.
	changeTime = 2 * time.Second
	// A replica that is to have the slot takes it up a few moments after the view says
	// so: it is asked after firstLook, and then ever less often, up to lastLook.
	firstLook = 500 * time.Microsecond
	lastLook  = 16 * time.Millisecond
)

// isChanging reports whether a reply is a shard's that does not own the slot.
func isChanging(encoded []byte) bool { return isError(encoded, command.ErrChanging) }

// isAsk reports whether a reply says that keys are where the slot is moving to.
func isAsk(encoded []byte) bool { return isError(encoded, command.ErrAsk) }

func isError(encoded []byte, err resp.Error) bool {
	return len(encoded) == len("-\r\n")+len(err) && encoded[0] == '-' && string(encoded[1:len(encoded)-2]) == string(err)
}

// awaitSlot waits until the replica serves the slot of d, or somebody else does: then it
// returns where the client must go. again says that the replica has been asked, and is not
// to be asked at once.
func (c *conn) awaitSlot(d demand, replica Replica, until time.Time, again bool) error {
	s := c.server
	timer := time.NewTimer(changeTime)
	defer timer.Stop()
	for look := firstLook; ; look = min(2*look, lastLook) {
		changed := s.opts.Backend.ViewChanged()
		to, err := s.routeTo(c.session, d)
		switch {
		case err != nil && !errors.Is(err, errArriving):
			return err
		case err == nil && to.replica != replica:
			return command.ErrChanging // it has lost the shard, and got it back: that takes longer
		case err == nil && !again && replica.Takes(d.slot, d.asking):
			return nil
		}
		again = false
		wait := until.Sub(s.opts.Now())
		if wait <= 0 {
			return command.ErrChanging
		}
		if !pending(s.opts.Backend.LocalView(), d.slot) {
			wait = min(wait, look)
		}
		timer.Reset(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-s.drained:
			return errClosing
		}
	}
}

// awaitFor is awaitSlot for a command that was refused; away says that it was with ErrAsk.
func (c *conn) awaitFor(o *op, until *time.Time, away bool) error {
	if away {
		if err := c.server.ask(o.slot); !errors.Is(err, command.ErrChanging) {
			return err
		}
	}
	if until.IsZero() {
		*until = c.server.opts.Now().Add(changeTime)
	}
	return c.awaitSlot(o.demand(), c.run.replica, *until, away)
}

// demand is what decides where the command may run.
func (o *op) demand() demand {
	d := demand{mayWrite: o.cmd.Flags&command.FlagWrite != 0}
	if o.transaction != nil {
		d = o.transaction.demand
	}
	d.slot, d.keyed, d.asking = o.slot, o.keyed, o.asking
	return d
}

// pending reports whether the view says that a slot is about to change hands.
func pending(v *topology.View, keySlot uint16) bool {
	for _, in := range v.Intents {
		if in.Slots.Has(keySlot) {
			return true
		}
	}
	return false
}

// arriving reports whether a slot is about to come to the shard that this node has.
func arriving(v *topology.View, keySlot uint16) bool {
	for _, in := range v.Intents {
		if in.To == v.Me().Shard.ID && in.Slots.Has(keySlot) {
			return true
		}
	}
	return false
}

// errArriving says that a slot is about to come to this node: whoever has it yet would send
// the client here. So it is said of a slot that nobody has to whoever asks: tools give it to
// a node by way of another one, whose MIGRATE may be here before that is known.
var errArriving = errors.New("frontend: the slot is about to arrive")

// route is Server.routeTo for this client, and waits where a slot is about to arrive.
func (c *conn) route(d demand) (route, error) {
	d.asking = d.asking || c.session.Asking
	to, err := c.server.routeTo(c.session, d)
	if !errors.Is(err, errArriving) {
		return to, err
	}
	c.finish() // what is before it does not wait
	backend := c.server.opts.Backend
	own, until := c.server.own(backend.LocalView()), c.server.opts.Now().Add(changeTime)
	if err := c.awaitSlot(d, own, until, false); err != nil && !errors.Is(err, command.ErrChanging) {
		return route{}, err
	}
	if to, err = c.server.routeTo(c.session, d); errors.Is(err, errArriving) {
		err = c.server.redirect(backend.LocalView(), d.slot)
	}
	return to, err
}

// ask is the ASK to where keys are that are not here any more, or ErrChanging, if that is
// not known.
func (s *Server) ask(keySlot uint16) error {
	v := s.opts.Backend.LocalView()
	me := v.Me()
	if me == nil || me.Shard == nil {
		return command.ErrChanging
	}
	kind, peer := v.Marked(me.Shard.ID, keySlot)
	n := v.Node(peer)
	if kind != topology.Migrating || n == nil {
		return command.ErrChanging
	}
	return s.sendTo("ASK ", n, keySlot)
}

// sendTo is the MOVED or ASK to a node.
func (s *Server) sendTo(word string, n *topology.Node, keySlot uint16) error {
	host, _ := n.Endpoint(s.opts.Backend.Setting("cluster-preferred-endpoint-type"))
	text := make([]byte, 0, 64)
	text = append(text, word...)
	text = strconv.AppendUint(text, uint64(keySlot), 10)
	text = append(text, ' ')
	text = append(text, host...)
	text = append(text, ':')
	text = strconv.AppendUint(text, uint64(n.Address.Port), 10)
	return resp.Error(text)
}

// retry has those of a run's writes be due again that their shard has not run because of
// where their slot is. It returns when it is known where they belong, and reports whether
// there are any.
func (c *conn) retry(ops []op, until *time.Time) (again bool) {
	for i := range ops {
		o := &ops[i]
		o.due = o.due && o.cmd != nil && o.call.Err == nil && o.keyed && elsewhere(o.reply.Bytes())
		again = again || o.due
	}
	if !again {
		return false
	}
	again = false
	for i := range ops {
		o := &ops[i]
		if !o.due {
			continue
		}
		err := c.awaitFor(o, until, isAsk(o.reply.Bytes()))
		if err == nil && overtaken(ops[i:]) {
			err = command.ErrChanging
		}
		if err != nil {
			o.due = false
			o.reply.Fail(err)
		}
		again = again || o.due
	}
	return again
}

// elsewhere reports whether a reply is that of a shard which has not run a command because
// of where its slot is.
func elsewhere(encoded []byte) bool { return isChanging(encoded) || isAsk(encoded) }

// overtaken reports whether a write of the same slot as the first one stands behind it, and
// has run, perhaps.
func overtaken(ops []op) bool {
	for i := range ops {
		if o := &ops[i]; o.cmd != nil && !o.due && o.keyed && o.slot == ops[0].slot {
			return true
		}
	}
	return false
}

// settled returns the first of the reads given that its shard has not evaluated because of
// where its slot is; it and what is behind it are not in the output any more.
func (c *conn) settled(from, to int) int {
	out := &c.out.reply
	for i := from; i < to; i++ {
		o := &c.run.ops[i]
		if !o.bad || !o.keyed || o.cmd == nil {
			continue
		}
		if encoded := out.Bytes()[o.start:o.end]; elsewhere(encoded) {
			o.away = isAsk(encoded)
			out.Cut(o.start)
			return i
		}
	}
	return to
}

// await returns when a read is to be evaluated once more, or is refused.
func (c *conn) await(o *op, until *time.Time) {
	if err := c.awaitFor(o, until, o.away); err != nil {
		c.server.calls.of(o.cmd).Reject()
		o.cmd = nil
		o.refuse(c.session.Proto(), err)
	}
}
