package streams

import "github.com/genuineh/aikv/node/keyspace"

// holed reports whether an entry may have been removed by itself behind an id.
func holed(s *keyspace.StreamView, from keyspace.StreamID) bool {
	deleted := s.Head().Deleted
	return s.Len() > 0 && deleted != (keyspace.StreamID{}) && from.Compare(deleted) <= 0
}

// readUpTo returns how many of the entries ever added are up to an id, unknown if that
// cannot be told without counting.
func readUpTo(s *keyspace.StreamView, id keyspace.StreamID) int64 {
	head, zero := s.Head(), keyspace.StreamID{}
	first, _ := s.First()
	switch {
	case head.Added == 0:
		return 0
	case s.Len() == 0 && id.Compare(head.Last) <= 0:
		return int64(head.Added)
	case id != zero && id.Compare(head.Deleted) < 0:
		return unknown
	case id == head.Last:
		return int64(head.Added)
	case id.Compare(head.Last) > 0:
		return unknown
	}
	if head.Deleted == zero || head.Deleted.Compare(first) < 0 {
		switch id.Compare(first) {
		case -1:
			return int64(head.Added) - s.Len()
		case 0:
			return int64(head.Added) - s.Len() + 1
		}
	}
	return unknown
}

// lag returns how many entries a group has yet to deliver; known is false if that cannot
// be told without counting. It may be negative, as clients may say what a group has read.
func lag(s *keyspace.StreamView, g keyspace.StreamGroup) (n int64, known bool) {
	head := s.Head()
	first, any := s.First()
	switch {
	case head.Added == 0 || !any:
		return 0, true
	case g.Last.Compare(first) < 0 && head.Deleted.Compare(first) < 0:
		return s.Len(), true
	case g.Read != unknown && !holed(s, g.Last):
		return int64(head.Added) - g.Read, true
	}
	if read := readUpTo(s, g.Last); read != unknown {
		return int64(head.Added) - read, true
	}
	return 0, false
}

// advance notes that a group has delivered an entry behind those before.
func advance(s *keyspace.StreamView, g *keyspace.StreamGroup, id keyspace.StreamID) {
	first, _ := s.First()
	switch {
	case g.Read != unknown && g.Last.Compare(first) >= 0 && !holed(s, g.Last):
		g.Read++
	case s.Head().Added > 0:
		g.Read = readUpTo(s, id)
	}
	g.Last = id
}
