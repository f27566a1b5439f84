package multiraft

import (
	"errors"
	"time"
)

// simFetch is a snapshot on its way to a node, whose owner the simulation is.
type simFetch struct {
	offer   *Offer
	host    *Host // the receiving process
	source  *simNode
	from    *Host // the sending process
	sending *Sending
	point   Point
	due     time.Time
}

// fetch lets a node's owner do something about offers.
func (s *sim) fetch(n *simNode) {
	for _, id := range []GroupID{simPrompt, simData} {
		f := n.fetches[id]
		switch {
		case f != nil && (f.host != n.host || !n.up || n.failure != nil):
			s.endFetch(n, id, false) // the receiver died
		case f != nil:
			s.goOn(n, id, f)
		case n.up && n.failure == nil && (s.calm || s.chance(200)):
			if o := n.replicas[id].group.Offer(); o != nil {
				s.beginFetch(n, id, o)
			}
		}
	}
}

// beginFetch takes an offer: an arbiter goes on from its point at once, others
// ask the sender for its state.
func (s *sim) beginFetch(n *simNode, id GroupID, o *Offer) {
	r, source := n.replicas[id], s.state[o.Node-1]
	if r.machine == nil {
		s.install(n, id, nil, o.Point, &s.stats.skipped)
		r.group.Decline(o)
		return
	}
	if !source.up || source.failure != nil || s.cut[[2]uint64{n.id, source.id}] || s.cut[[2]uint64{source.id, n.id}] {
		s.stats.broken++
		r.group.Decline(o)
		return
	}
	sending, err := source.replicas[id].group.sender.start(r.group.raftID)
	if err != nil {
		s.stats.broken++
		r.group.Decline(o)
		return
	}
	source.wake = s.now
	point, err := sending.Point(source.replicas[id].machine.applied)
	if err != nil {
		s.fatal("node %d, group %d: the place of the state is unknown: %v", source.id, id, err)
	}
	n.fetches[id] = &simFetch{
		offer: o, host: n.host, source: source, from: source.host, sending: sending, point: point, due: s.now.Add(s.ms(400)),
	}
}

// goOn lets a stream break, or come to its end.
func (s *sim) goOn(n *simNode, id GroupID, f *simFetch) {
	cut := s.cut[[2]uint64{n.id, f.source.id}] || s.cut[[2]uint64{f.source.id, n.id}]
	if f.source.host != f.from || !f.source.up || cut && s.chance(50) || !s.calm && s.chance(1) {
		n.replicas[id].group.Decline(f.offer)
		s.endFetch(n, id, false)
		return
	}
	if s.now.Before(f.due) {
		return
	}
	machine := &labMachine{chain: s.history(id), applied: f.point.Index, durable: f.point.Index}
	ok := s.install(n, id, machine, f.point, &s.stats.snapshots)
	if !ok {
		n.replicas[id].group.Decline(f.offer)
	}
	s.endFetch(n, id, ok)
}

func (s *sim) endFetch(n *simNode, id GroupID, ok bool) {
	f := n.fetches[id]
	delete(n.fetches, id)
	if !ok {
		s.stats.broken++
	}
	f.sending.End(ok)
	f.source.wake = s.now
}

// stopSending ends the streams of a node that stops.
func (s *sim) stopSending(source *simNode) {
	for _, n := range s.state {
		for _, id := range []GroupID{simPrompt, simData} {
			if f := n.fetches[id]; f != nil && f.source == source {
				s.endFetch(n, id, false)
				if n.host == f.host {
					n.replicas[id].group.Decline(f.offer)
				}
			}
		}
	}
}

// install reopens a member over fetched state.
func (s *sim) install(n *simNode, id GroupID, machine *labMachine, at Point, count *int) (ok bool) {
	err := n.reopen(id, machine, &at)
	switch {
	case err == nil:
		*count++
		g := s.raft[id]
		delete(g.told, n.id)
		n.replicas[id].group.setMembers(s.members(g))
	case errors.Is(err, ErrObsolete):
		s.stats.broken++
	case n.failure == nil && !errors.Is(err, errBroken):
		s.fatal("node %d, group %d: reopen: %v", n.id, id, err)
	}
	return err == nil
}

// tear ends a process between the write of an install and its end.
func (s *sim) tear(n *labNode) bool {
	if s.calm || !s.chance(200) {
		return false
	}
	node := s.state[n.id-1]
	if s.chance(500) {
		s.end(node, node.crash)
	} else {
		s.end(node, node.kill)
	}
	s.stats.torn++
	return true
}
