package multiraft

// client writes or reads somewhere: mostly, but not always, where it makes sense.
func (s *sim) client() {
	g := s.raft[1+GroupID(s.rng.Intn(2))]
	n := s.state[s.rng.Intn(len(s.state))]
	if l := s.leader(g.id); l != nil && s.chance(700) {
		n = s.state[l.id-1]
	}
	r := n.replicas[g.id]
	if !n.up || n.failure != nil || r == nil {
		return
	}
	if s.chance(400) {
		if r.machine != nil {
			c := s.call(n.labNode, g.id, 0)
			c.floor = g.floor
			r.group.Barrier(&c.Call)
		}
		return
	}
	for range 1 + s.rng.Intn(4) {
		s.value++
		c := s.call(n.labNode, g.id, s.value)
		c.Payload = append(c.Payload, make([]byte, s.rng.Intn(100))...)
		r.group.Submit(&c.Call)
	}
}
