package multiraft

import (
	"fmt"
	"slices"
)

// simGroup is what the simulation knows of a group.
type simGroup struct {
	id      GroupID
	wish    Wish
	nextID  uint64
	ids     map[uint64]uint64 // node → Raft id of its member
	told    map[uint64]uint64 // node → version of the wish that it was told
	leaders map[uint64]uint64 // term → Raft id
	first   uint64            // the founder's Raft id
	wished  map[string]bool   // voters that were wished for, ever
	confs   map[string]bool   // configurations seen
	floor   uint64            // what a barrier asked now must see
	failed  []uint64          // values that were certainly not applied
}

// found makes a group with a member on every node.
func (s *sim) found(id GroupID, first int) {
	g := &simGroup{
		id: id, nextID: uint64(id) * 1000, ids: make(map[uint64]uint64), told: make(map[uint64]uint64),
		leaders: make(map[uint64]uint64), wished: make(map[string]bool), confs: make(map[string]bool),
	}
	s.raft[id] = g
	for i := range s.state {
		s.addReplica(g, s.state[i], i == first)
	}
	g.first = g.ids[s.state[first].id]
	s.newWish(g)
}

func (s *sim) addReplica(g *simGroup, n *simNode, bootstrap bool) {
	g.nextID++
	g.ids[n.id] = g.nextID
	delete(g.told, n.id)
	n.create(Spec{
		ID: g.id, RaftID: g.nextID, Bootstrap: bootstrap, Prompt: g.id == simPrompt, Members: s.members(g),
	}, !n.arbiter || g.id == simPrompt)
}

// members are all present members of a group.
func (s *sim) members(g *simGroup) (members []Member) {
	for _, n := range s.state {
		if id := g.ids[n.id]; id != 0 {
			members = append(members, Member{RaftID: id, Node: n.id, Arbiter: n.arbiter && g.id == simData})
		}
	}
	return members
}

// newWish wishes for one, three or five random voters, among them one that
// serves.
func (s *sim) newWish(g *simGroup) {
	members := s.members(g)
	s.rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	serving := slices.IndexFunc(members, func(m Member) bool { return !m.Arbiter })
	members[0], members[serving] = members[serving], members[0]
	count := 3
	switch {
	case s.chance(200):
		count = 1
	case len(members) == 5 && s.chance(300):
		count = 5
	}
	voters := members[:count]
	others := members[count:]
	slices.SortFunc(voters, func(a, b Member) int { return int(a.RaftID) - int(b.RaftID) })
	ids := make([]uint64, count)
	for i, m := range voters {
		ids[i] = m.RaftID
	}
	g.wished[fmt.Sprint(ids)] = true
	g.wish = Wish{Version: g.wish.Version + 1, Voters: voters, Others: others}
}

// replace gives a node that is no member any more a new member of the group,
// as after a reset.
func (s *sim) replace(g *simGroup) {
	l := s.leader(g.id)
	if l == nil {
		return
	}
	// Settled must be true of the wish that leaves the member out.
	st := l.replicas[g.id].group.status()
	if !st.Settled || st.WishVersion != g.wish.Version {
		return
	}
	for _, n := range s.state {
		if n.up && !n.broken && !slices.Contains(st.Voters, g.ids[n.id]) && !slices.Contains(st.Learners, g.ids[n.id]) {
			n.destroy(g.id)
			delete(n.starts, g.id)
			s.addReplica(g, n, false)
			s.stats.replaced++
			return
		}
	}
}

// tell spreads the wish, which takes its time.
func (s *sim) tell(g *simGroup, perMille int) {
	for _, n := range s.state {
		if n.up && n.failure == nil && g.told[n.id] != g.wish.Version && s.chance(perMille) {
			g.told[n.id] = g.wish.Version
			n.replicas[g.id].group.SetWish(g.wish)
		}
	}
}
