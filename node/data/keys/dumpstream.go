package keys

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/rdb"
)

// dumpStream returns the payload of a stream, in the nodes that Redis would have.
func dumpStream(v *keyspace.View, key []byte) ([]byte, error) {
	s, _, err := v.Stream(key)
	if err != nil {
		return nil, err
	}
	head := s.Head()
	first, _ := s.First()
	nodes := int64(0)
	s.Nodes(func(n keyspace.StreamNode) bool {
		nodes += min(n.Live, 1)
		return true
	})
	content := rdb.Stream{Last: rdb.StreamID(head.Last), Deleted: rdb.StreamID(head.Deleted), Added: head.Added}
	s.Groups(func(g keyspace.StreamGroup) bool {
		content.Groups = append(content.Groups, dumpGroup(s, g))
		return true
	})
	return rdb.EncodeStream(&content, s.Len(), rdb.StreamID(first), nodes, func(yield func(*rdb.StreamNode) bool) {
		var node rdb.StreamNode
		s.Nodes(func(n keyspace.StreamNode) bool {
			if n.Live == 0 {
				return true
			}
			dumpNode(s, n, &node)
			return yield(&node)
		})
	}), nil
}

// dumpNode fills in a node, whose fields become those of its first entry that is there.
func dumpNode(s *keyspace.StreamView, n keyspace.StreamNode, node *rdb.StreamNode) {
	node.First, node.Fields, node.Entries = rdb.StreamID(n.First), nil, node.Entries[:0]
	for e := range s.Entries(n.First, n.Last, false) {
		texts := make([][]byte, 0, 2*e.Len())
		for text := range e.Texts {
			texts = append(texts, text)
		}
		node.Entries = append(node.Entries, rdb.StreamEntry{ID: rdb.StreamID(e.ID), Texts: texts})
	}
	if len(node.Entries) > 0 {
		for i := 0; i < len(node.Entries[0].Texts); i += 2 {
			node.Fields = append(node.Fields, node.Entries[0].Texts[i])
		}
	}
}

func dumpGroup(s *keyspace.StreamView, g keyspace.StreamGroup) rdb.StreamGroup {
	group := rdb.StreamGroup{Name: g.Name, Last: rdb.StreamID(g.Last), Read: g.Read}
	for c := range s.Consumers(g) {
		consumer := rdb.StreamConsumer{Name: c.Name, Seen: c.Seen, Active: c.Active}
		for p := range s.PendingOf(g, c, keyspace.StreamID{}) {
			consumer.Pending = append(consumer.Pending, rdb.StreamPending{ID: rdb.StreamID(p.ID), Delivered: p.Delivered, Deliveries: p.Deliveries})
		}
		group.Consumers = append(group.Consumers, consumer)
	}
	return group
}

// putStream makes key, which is not there, a stream.
func putStream(tx *command.Tx, key []byte, content *rdb.Stream) error {
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	for i := range content.Nodes {
		n := &content.Nodes[i]
		node := keyspace.StreamNode{
			First: keyspace.StreamID(n.First), Last: keyspace.StreamID(n.Last),
			Live: int64(len(n.Entries)), Deleted: int64(n.Deleted), Bytes: int64(n.Bytes),
		}
		s.FillNode(node, n.Fields, func(i int) (keyspace.StreamID, [][]byte) {
			return keyspace.StreamID(n.Entries[i].ID), n.Entries[i].Texts
		})
	}
	s.SetHead(keyspace.StreamHead{Last: keyspace.StreamID(content.Last), Deleted: keyspace.StreamID(content.Deleted), Added: content.Added})
	for i := range content.Groups {
		putGroup(s, &content.Groups[i])
	}
	s.End()
	return nil
}

func putGroup(s *keyspace.Stream, group *rdb.StreamGroup) {
	s.AddGroup(group.Name, keyspace.StreamID(group.Last), group.Read)
	g, _ := s.Group(group.Name)
	for i := range group.Consumers {
		consumer := &group.Consumers[i]
		c := s.AddConsumer(g, consumer.Name, consumer.Seen)
		if c.Active = consumer.Active; c.Active != -1 {
			s.SetConsumer(g, c)
		}
		for p := range slices.Values(consumer.Pending) {
			s.Deliver(g, c, keyspace.StreamID(p.ID), p.Delivered, p.Deliveries)
		}
	}
}
