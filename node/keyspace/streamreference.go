package keyspace

// StreamReferences says what becomes of the references that groups have to entries that
// are removed: to those that are pending.
type StreamReferences uint8

const (
	// KeepReferences: the entries stay pending, though they are not there.
	KeepReferences StreamReferences = iota
	// DropReferences: they are pending no more.
	DropReferences
	// OnlyAcknowledged: entries to which there is a reference are not removed. One that
	// a group has yet to deliver counts as such.
	OnlyAcknowledged
)

// Referenced reports whether an entry is pending in a group, or has yet to be delivered
// to one.
func (s *StreamView) Referenced(id StreamID) (referenced bool) {
	s.Groups(func(g StreamGroup) bool {
		referenced = g.Last.Compare(id) < 0
		if !referenced {
			_, referenced = s.PendingAt(g, id)
		}
		return !referenced
	})
	return referenced
}

// DropReferences ends that an entry is pending in any group.
func (s *Stream) DropReferences(id StreamID) {
	var groups []StreamGroup
	s.Groups(func(g StreamGroup) bool {
		groups = append(groups, g)
		return true
	})
	for _, g := range groups {
		s.Acknowledge(g, id)
	}
}

// dropFirst is DropReferences for the first n entries.
func (s *Stream) dropFirst(n int64) {
	ids := make([]StreamID, 0, n)
	s.entries.ascend(0, func(key, _ []byte) bool {
		ids = append(ids, streamIDOf(key))
		return int64(len(ids)) < n
	})
	for _, id := range ids {
		s.DropReferences(id)
	}
}

// trimAcknowledged is Trim for entries to which there is no reference. As in Redis, it
// looks at all nodes that would go as a whole, and at the entries of the next one as far
// as they would go.
func (s *Stream) trimAcknowledged(t StreamTrim) int64 {
	var ids []StreamID
	length := s.entries.len()
	s.nodes.ascend(0, func(key, value []byte) bool {
		node, ok := decodeNode(key, value)
		if !ok {
			s.view.fail(errStreamItem)
		}
		removed := int64(len(ids))
		left := length - removed
		if !ok || !t.ByID && left <= t.Length || t.Limit > 0 && removed+node.live > t.Limit {
			return false
		}
		whole := t.ByID && node.last.Compare(t.MinID) < 0 || !t.ByID && left-node.live >= t.Length
		for e := range s.Entries(node.first, node.last, false) {
			if !whole && (t.ByID && e.ID.Compare(t.MinID) >= 0 || !t.ByID && length-int64(len(ids)) <= t.Length) {
				break
			}
			if !s.Referenced(e.ID) {
				ids = append(ids, e.ID)
			}
		}
		return whole
	})
	if len(ids) == 0 || !s.change() {
		return 0
	}
	for _, id := range ids {
		key := id.appendKey(make([]byte, 0, streamIDSize))
		s.entries.delete(key)
		s.forget(key)
	}
	return int64(len(ids))
}
