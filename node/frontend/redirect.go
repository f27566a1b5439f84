package frontend

import (
	"sync/atomic"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// What a client is told when nobody may run its command. Clients retry
// CLUSTERDOWN and TRYAGAIN by themselves: no text here may begin so after a
// write that could have been applied.
var (
	errNotServed   error = resp.Error("CLUSTERDOWN Hash slot not served")
	errDown        error = resp.Error("CLUSTERDOWN The cluster is down")
	errDownForRead error = resp.Error("CLUSTERDOWN The cluster is down and only accepts read commands")
	errNoLeader    error = resp.Error("CLUSTERDOWN The shard has no leader")
	errNoQuorum    error = resp.Error("CLUSTERDOWN The shard has no quorum")
	errClosing     error = resp.Error("CLUSTERDOWN The node is shutting down")
	errUndecided   error = resp.Error("CLUSTERDOWN The shard did not confirm the read in time")
	errCrossSlot   error = resp.Error("CROSSSLOT Keys in request don't hash to the same slot")
	errLeaving     error = resp.Error("CLUSTERDOWN The node is leaving its cluster")
	errLoading     error = resp.Error("LOADING The node has yet to receive the data of its shard")
	errReadOnly    error = resp.Error("READONLY You can't write against a read only replica.")
	errSuperseded  error = resp.Error("TRYAGAIN The write was superseded, it was not applied")
	errUncertain   error = resp.Error("UNCERTAIN the write may or may not have been applied")
	errTooLarge    error = resp.Error("ERR the command is too large")
	errAuthRequire error = resp.Error("NOAUTH Authentication required.")
)

// route is where a data command runs.
type route struct {
	replica Replica // nil: nowhere, the node holds no data
	// linear says that the replica leads: reads need its barrier.
	linear bool
	writes bool // the command goes through the log
	keyed  bool
	slot   uint16
	asking bool // the slot is being imported, and the client has sent ASKING
}

// demand is what decides where a command on data may run: it, or a transaction.
type demand struct {
	slot  uint16 // if keyed
	keyed bool
	cross bool // there are keys of other slots, too
	// writes says that it goes through the log.
	writes bool
	// asking says that it may run on a slot that is being imported.
	asking bool
	// mayWrite says that it is a write by its row, whatever its arguments are. Redis
	// goes by that: no replica serves it.
	mayWrite bool
}

func demandOf(cmd *command.Command, args [][]byte) (d demand) {
	d.writes, d.mayWrite = cmd.WritesWith(args), cmd.Flags&command.FlagWrite != 0
	d.slot, d.keyed, d.cross = cmd.Slot(args)
	d.asking = cmd.Asks || cmd.Flags&command.FlagAsking != 0
	return d
}

// join makes d that of another one, too, that runs together with it.
func (d *demand) join(other demand) {
	d.writes = d.writes || other.writes
	d.mayWrite = d.mayWrite || other.mayWrite
	d.asking = d.asking || other.asking
	d.cross = d.cross || other.cross || d.keyed && other.keyed && d.slot != other.slot
	if !d.keyed {
		d.slot, d.keyed = other.slot, other.keyed
	}
}

// healthCache remembers whether all slots are assigned in the view that was
// asked for last: counting them for every command would be slow.
type healthCache struct {
	last atomic.Pointer[health]
}

type health struct {
	view     *topology.View
	complete bool
}

func (h *healthCache) complete(v *topology.View) bool {
	last := h.last.Load()
	if last == nil || last.view != v {
		last = &health{view: v, complete: v.Assigned() == slot.Count}
		h.last.Store(last)
	}
	return last.complete
}

// routeTo decides where something runs, or why it does not. Leading the shard's group
// is what counts: MetaRaft's record of the master may be older. The order of the checks
// is Redis's.
func (s *Server) routeTo(session *command.Session, d demand) (route, error) {
	v := s.opts.Backend.LocalView()
	writes, keySlot := d.writes, d.slot
	if !d.keyed {
		return s.routeKeyless(v, writes)
	}
	shard := v.Owner[keySlot]
	switch {
	case shard == nil && d.asking:
		return route{}, errArriving // somebody has given it to a node, and sends keys: see changing.go
	case shard == nil:
		return route{}, errNotServed
	case d.cross:
		return route{}, errCrossSlot
	case !s.topology.complete(v) && s.fullCoverage():
		if !s.readsWhenDown() {
			return route{}, errDown
		}
		if d.mayWrite {
			return route{}, errDownForRead
		}
	}
	r := route{replica: s.opts.Backend.Replica(shard.ID), writes: writes, keyed: true, slot: keySlot}
	if r.replica != nil {
		if r.replica.Leads() {
			r.linear = true
			return r, nil
		}
		if !d.mayWrite && (session.ReadOnly.Load() && s.young(r.replica) || s.lastMaster(v, shard) && s.readsWhenDown()) {
			return r, nil
		}
		if !d.mayWrite && session.ReadOnly.Load() {
			return route{}, s.redirectReader(v, keySlot)
		}
		return route{}, s.redirect(v, keySlot)
	}
	return s.routeAway(v, d)
}

// routeAway is routeTo for a slot of another shard, which this node's may be about to get.
func (s *Server) routeAway(v *topology.View, d demand) (route, error) {
	own := s.own(v)
	if own == nil || !own.Leads() {
		return route{}, s.redirect(v, d.slot)
	}
	if kind, _ := v.Marked(v.Me().Shard.ID, d.slot); d.asking && kind == topology.Importing {
		return route{replica: own, linear: true, writes: d.writes, keyed: true, slot: d.slot, asking: true}, nil
	}
	if arriving(v, d.slot) {
		return route{}, errArriving
	}
	return route{}, s.redirect(v, d.slot)
}

// own returns the replica of the shard that a view gives to this node, or nil.
func (s *Server) own(v *topology.View) Replica {
	if me := v.Me(); me != nil && me.Shard != nil {
		return s.opts.Backend.Replica(me.Shard.ID)
	}
	return nil
}

// young reports whether a replica that follows may answer clients that sent
// READONLY: it has its data, and has kept up with its leader of late.
func (s *Server) young(r Replica) bool {
	age, ok := r.Age()
	return ok && (s.opts.MaxStaleness == 0 || age <= s.opts.MaxStaleness)
}

// fullCoverage is cluster-require-full-coverage: while a slot is unassigned, no slot is
// served.
func (s *Server) fullCoverage() bool {
	return s.opts.Backend.Setting("cluster-require-full-coverage") != "no"
}

// readsWhenDown is cluster-allow-reads-when-down.
func (s *Server) readsWhenDown() bool {
	return s.opts.Backend.Setting("cluster-allow-reads-when-down") == "yes"
}

// lastMaster reports whether this node is the shard's master by MetaRaft's record
// and nobody is known to lead. With cluster-allow-reads-when-down it then answers
// reads by what it has, as Redis's masters do in a minority: a successor that it
// cannot see may know better.
func (s *Server) lastMaster(v *topology.View, shard *topology.Shard) bool {
	return shard.Master == v.Self && s.opts.Backend.Live().Leader(shard.ID) == 0
}

// routeKeyless serves a command without keys from the node's own shard.
func (s *Server) routeKeyless(v *topology.View, writes bool) (route, error) {
	me := v.Me()
	switch {
	case me == nil:
		return route{}, errLeaving
	case me.Shard == nil:
		return route{writes: writes}, nil // a master without slots has no keys
	}
	r := route{replica: s.opts.Backend.Own(), writes: writes}
	r.linear = r.replica != nil && r.replica.Leads()
	switch {
	case r.linear:
		return r, nil
	case writes:
		return route{}, s.refuseWrite(v)
	case r.replica == nil || !hasData(me, r.replica):
		return route{}, errLoading
	}
	return r, nil
}

// hasData reports whether a replica that follows has received its shard's data:
// it has caught up with a leader since the node was started, or the leader said so
// before and it has everything again that it had then.
func hasData(me *topology.Node, r Replica) bool {
	if _, ok := r.Age(); ok {
		return true
	}
	m, _, _ := me.Shard.Member(me.ID)
	return m.Synced && r.Complete()
}

// refuseWrite tells why the node's own shard cannot take a write without keys:
// the node is a replica, or is to be the master and does not lead. That may be
// for a moment only, at the end of which it follows, leads or is forgotten: so it
// does not say that it were a replica.
func (s *Server) refuseWrite(v *topology.View) error {
	me := v.Me()
	switch {
	case me == nil:
		return errLeaving
	case me.Shard == nil || !me.Replica():
		return errNoLeader
	}
	if leader := s.leader(v, me.Shard); leader != nil && leader.ID != v.Self {
		return errReadOnly
	}
	return errNoLeader
}

// redirect returns the MOVED to whoever leads the slot's shard, never to this
// node: it calls redirect because it does not lead.
func (s *Server) redirect(v *topology.View, keySlot uint16) error {
	shard := v.Owner[keySlot]
	if shard == nil {
		return errNotServed
	}
	leader := s.leader(v, shard)
	if leader == nil || leader.ID == v.Self || leader.Address.Host == "" {
		return errNoLeader
	}
	return s.sendTo("MOVED ", leader, keySlot)
}

// redirectReader redirects a client that has sent READONLY from a replica that may
// not answer. That the replica does not hear its master tells nothing of the
// master if MetaRaft, as far as the replica knows, has it alive: it is the replica
// that is cut off, and the client may well reach the master.
func (s *Server) redirectReader(v *topology.View, keySlot uint16) error {
	shard := v.Owner[keySlot]
	if shard == nil || s.leader(v, shard) != nil {
		return s.redirect(v, keySlot)
	}
	master := v.Node(shard.Master)
	if master == nil || master.ID == v.Self || master.Failed || !v.Served(shard) || master.Address.Host == "" {
		return errNoLeader
	}
	return s.sendTo("MOVED ", master, keySlot)
}

// leader returns the node that clients of the shard belong to: the data member
// that is known to lead at this moment, else the recorded master while there is
// nothing that speaks against it; nil if nobody is known to serve.
func (s *Server) leader(v *topology.View, shard *topology.Shard) *topology.Node {
	live := s.opts.Backend.Live()
	if id := live.Leader(shard.ID); id != 0 {
		if m, _, ok := shard.Member(id); ok && m.Kind == topology.Data {
			if n := v.Node(id); n != nil {
				return n
			}
		}
	}
	master := v.Node(shard.Master)
	if master == nil || master.Failed || !v.Served(shard) || live.Contact(master.ID).Suspect {
		return nil
	}
	return master
}
