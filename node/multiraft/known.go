package multiraft

import (
	"slices"

	"github.com/genuineh/aikv/node/wal"
)

// A member finds its peers by itself after a restart. What the last wish said of
// the members (on which node each of them lives, which are arbiters) is kept in the
// log with the group. So a group whose voters live elects a leader, and an arbiter
// that wins hands over to a member that serves, whether or not anybody is there who
// could say again what is wished.

// recall takes up what the log remembers of the members.
func (g *Group) recall(spec Spec) error {
	stored, err := decodeRecord(g.host.opts.Log.GroupMeta(uint64(spec.ID)))
	if err != nil {
		return err
	}
	g.record = stored
	members := knownMembers(spec.Members, stored.members)
	g.setMembers(members)
	g.members.wish, g.members.recalled = Wish{Voters: members}, true
	g.members.publish()
	return nil
}

// knownMembers returns old ones and newer ones; of two with the same Raft id the
// newer counts, but for an address that only the older has.
func knownMembers(old, newer []Member) []Member {
	members := slices.Clone(newer)
	for _, m := range old {
		i := slices.IndexFunc(members, func(n Member) bool { return n.RaftID == m.RaftID })
		switch {
		case i < 0:
			members = append(members, m)
		case members[i].Addr == "":
			members[i].Addr = m.Addr
		}
	}
	return members
}

// remember makes the members known, and the log remember them: those of a new
// wish, and those that the configuration still has. A crash may take that back;
// then the wish before is remembered.
func (m *membership) remember(members []Member) {
	g := m.group
	members = knownMembers(m.configured(), members)
	g.setMembers(members)
	if slices.Equal(members, g.record.members) {
		return
	}
	g.record.members = members
	m.publish()
	id, record := uint64(g.id), g.record.encode()
	g.host.persist.add(appendTask{group: g, record: func(b *wal.Batch) error {
		b.SetGroupMeta(id, record)
		return nil
	}})
	g.host.persist.wake()
}

// configured returns those of the remembered members that the group has.
func (m *membership) configured() (members []Member) {
	for _, o := range m.group.record.members {
		if slices.Contains(m.conf.GetVoters(), o.RaftID) || slices.Contains(m.conf.GetVotersOutgoing(), o.RaftID) ||
			slices.Contains(m.conf.GetLearners(), o.RaftID) || slices.Contains(m.conf.GetLearnersNext(), o.RaftID) {
			members = append(members, o)
		}
	}
	return members
}

// publish makes the members visible to other goroutines.
func (m *membership) publish() {
	members := m.configured()
	m.known.Store(&members)
}

// Members returns those who are in the group's configuration, as far as this
// member was told who they are. Until they are gone their votes may be needed,
// whatever is wished.
func (g *Group) Members() []Member { return *g.members.known.Load() }
