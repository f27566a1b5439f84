package multiraft

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
)

// leaseRead is a read of applied state that counts if the lease still holds at a
// later time.
type leaseRead struct {
	node        *simNode
	host        *Host
	group       *Group
	token       uint64
	seen, floor uint64
	check       time.Time
}

// readUnderLeases reads wherever there is a lease, above all where there should
// be none.
func (s *sim) readUnderLeases() {
	g := s.raft[simData]
	for _, n := range s.state {
		r := n.replicas[simData]
		if !n.up || n.failure != nil || r == nil || r.machine == nil || !s.chance(300) {
			continue
		}
		if token := r.group.Lease(); token != 0 {
			read := leaseRead{n, n.host, r.group, token, r.machine.applied, g.floor, s.now}
			if s.chance(100) {
				read.check = s.now.Add(s.ms(200))
			}
			s.leased = append(s.leased, read)
		}
	}
}

// checkLeased checks the reads whose lease is looked at now.
func (s *sim) checkLeased() {
	s.leased = slices.DeleteFunc(s.leased, func(r leaseRead) bool {
		switch {
		case r.node.host != r.host: // it died before it could answer
			return true
		case s.now.Before(r.check):
			return false
		case r.group.LeaseValid(r.token):
			s.stats.leased++
			s.note("leased", r.node.id, r.seen)
			if r.seen < r.floor {
				s.t.Errorf("seed %d: node %d read %d under a lease, acknowledged was %d", s.seed, r.node.id, r.seen, r.floor)
			}
		}
		return true
	})
}

// checkGroups checks what a node's members say after a step of the loop.
func (s *sim) checkGroups(n *simNode) {
	for _, id := range []GroupID{simPrompt, simData} {
		g, r := s.raft[id], n.replicas[id].group
		if st := r.rn.BasicStatus(); st.RaftState == raft.StateLeader {
			switch other := g.leaders[st.GetTerm()]; other {
			case 0:
				g.leaders[st.GetTerm()] = r.raftID
				s.stats.leaders++
			case r.raftID:
			default:
				s.fatal("group %d: %d and %d lead in term %d", id, other, r.raftID, st.GetTerm())
			}
		}
		if start := r.LogStart(); start > n.starts[id] {
			n.starts[id] = start
			s.stats.cuts++
		}
		conf := r.members.conf
		if key := fmt.Sprint(conf); !g.confs[key] {
			g.confs[key] = true
			s.stats.configs++
			if !g.mayBe(conf.GetVoters()) {
				s.fatal("group %d: nobody wished for the configuration %v", id, conf)
			}
		}
	}
}

// mayBe: the voters are the founder, a wish, or a wish and a leader that has yet
// to leave.
func (g *simGroup) mayBe(voters []uint64) bool {
	voters = slices.Sorted(slices.Values(voters))
	if len(voters) == 0 || len(voters) == 1 && voters[0] == g.first || g.wished[fmt.Sprint(voters)] {
		return true
	}
	for i, id := range voters {
		rest := slices.Delete(slices.Clone(voters), i, i+1)
		if g.wished[fmt.Sprint(rest)] && slices.Contains(slices.Collect(maps.Values(g.leaders)), id) {
			return true
		}
	}
	return false
}

// checkCalls looks at the calls that are not known to have ended.
func (s *sim) checkCalls() {
	open := s.calls[:0]
	for _, c := range s.calls {
		if !s.checkCall(c) {
			open = append(open, c)
		}
	}
	clear(s.calls[len(open):])
	s.calls = open
}

// checkCall checks a call that ended, and that one which did not has a reason.
// A call of a dead process ends never, or ended before.
func (s *sim) checkCall(c *labCall) (over bool) {
	g := s.raft[c.group]
	alive := c.node.host == c.host && c.node.up && c.node.failure == nil
	if c.ended == 0 {
		// A write may wait for one timeout to be appended and another to be
		// decided.
		if limit := 2*c.host.requestTicks() + 2; alive && c.host.ticks-c.asked > limit {
			s.fatal("a call (value %d) has not ended after %d ticks", c.value, limit)
		}
		return !alive
	}
	if c.ended > 1 {
		s.fatal("a call (value %d) ended %d times", c.value, c.ended)
	}
	if c.value == 0 {
		s.checkRead(g, c)
		return true
	}
	place := g.place(s, c.value)
	switch {
	case c.Err == nil:
		if place == 0 {
			s.fatal("write %d was acknowledged and not applied", c.value)
		}
		g.floor = max(g.floor, place)
		s.stats.acked++
	case errors.Is(c.Err, ErrUncertain):
		s.stats.uncertain++
	case errors.Is(c.Err, ErrNotLeader), errors.Is(c.Err, ErrSuperseded), errors.Is(c.Err, ErrNoQuorum), errors.Is(c.Err, ErrClosed):
		if errors.Is(c.Err, ErrSuperseded) {
			s.stats.superseded++
		}
		s.stats.refused++
		g.failed = append(g.failed, c.value)
	default:
		s.fatal("write %d ended with %v", c.value, c.Err)
	}
	return true
}

func (s *sim) checkRead(g *simGroup, c *labCall) {
	switch {
	case c.Err == nil:
		if c.seen < c.floor {
			s.fatal("node %d, group %d: a read saw %d, but %d was acknowledged before", c.node.id, g.id, c.seen, c.floor)
		}
		g.floor = max(g.floor, c.seen)
		s.stats.read++
	case errors.Is(c.Err, ErrNotLeader), errors.Is(c.Err, ErrNoQuorum), errors.Is(c.Err, ErrClosed):
		s.stats.refused++
	default:
		s.fatal("a barrier ended with %v", c.Err)
	}
}

// place returns the index at which a value was applied, or 0.
func (g *simGroup) place(s *sim, value uint64) uint64 { return s.history(g.id).place[value] }

// recovered: a leader that serves, the wished membership, and all members as
// far as the leader.
func (s *sim) recovered(g *simGroup) bool {
	l := s.leader(g.id)
	if l == nil || len(s.calls) > 0 {
		return false
	}
	st := l.replicas[g.id].group.status()
	if !st.Settled || st.WishVersion != g.wish.Version || l.replicas[g.id].machine == nil {
		return false
	}
	for _, m := range g.wish.Voters {
		if r := s.node(m.Node).replicas[g.id]; !s.node(m.Node).up || r.group.Applied() != st.Applied || st.Applied != st.Last {
			return false
		}
	}
	return true
}

// finalChecks: the group takes writes, and what was refused never happened.
func (s *sim) finalChecks() {
	for _, id := range []GroupID{simPrompt, simData} {
		g := s.raft[id]
		for i := 0; ; i++ {
			s.value++
			c := s.write(s.leader(id), id, s.value)
			b := s.barrier(s.leader(id), id)
			b.floor = g.floor
			for c.ended == 0 || b.ended == 0 {
				s.millisecond()
			}
			if c.Err == nil && b.Err == nil {
				break
			}
			if i == 10 {
				s.fatal("the recovered group %d refuses: %v, %v", id, c.Err, b.Err)
			}
			s.until("a leader", func() bool { return s.leader(id) != nil })
		}
		for _, value := range g.failed {
			if at := g.place(s, value); at != 0 {
				s.fatal("write %d was refused and is in entry %d", value, at)
			}
		}
		// The machines are prefixes of one chain: see labMachine.
		if l := s.leader(id); l != nil && l.replicas[id].machine.applied < g.floor {
			s.fatal("group %d: the leader has applied %d, acknowledged was %d", id, l.replicas[id].machine.applied, g.floor)
		}
	}
}
