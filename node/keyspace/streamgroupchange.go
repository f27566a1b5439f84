package keyspace

import (
	"bytes"
	"encoding/binary"
)

// number gives the next number to a group or a consumer. In the worst case, at a
// million of them a second, the last one is given after nine years; then the change is
// refused as too large.
func (s *Stream) number() uint64 {
	if s.numbers == maxNumber {
		s.tx.own.large = true
		return s.numbers
	}
	s.numbers++
	return s.numbers
}

// AddGroup makes a group, and reports whether there was none of its name.
func (s *Stream) AddGroup(name []byte, last StreamID, read int64) bool {
	if _, ok := s.Group(name); ok || !s.fits(len(name)) || !s.change() {
		return false
	}
	s.SetGroup(StreamGroup{Name: name, Last: last, Read: read, number: s.number()})
	return true
}

// SetGroup changes what a group, which is there, has read.
func (s *Stream) SetGroup(g StreamGroup) {
	if !s.change() {
		return
	}
	value := binary.AppendUvarint(make([]byte, 0, 32), g.number)
	value = binary.AppendUvarint(binary.AppendUvarint(value, g.Last.MS), g.Last.Seq)
	s.groups.put(append([]byte{groupClass}, g.Name...), binary.AppendVarint(value, g.Read))
}

// RemoveGroup removes a group with everything of it, and reports whether there was one.
func (s *Stream) RemoveGroup(name []byte) bool {
	g, ok := s.Group(name)
	if !ok || !s.change() {
		return false
	}
	for class := byte(consumerClass); class <= idleClass; class++ {
		s.groups.deleteRange(s.bounds(groupPrefix(class, g.number)))
	}
	s.groups.delete(append([]byte{groupClass}, name...))
	s.noticed = true
	return true
}

// AddConsumer makes a consumer of a group, which has none of that name, and returns it.
func (s *Stream) AddConsumer(g StreamGroup, name []byte, seen int64) StreamConsumer {
	c := StreamConsumer{Name: bytes.Clone(name), Seen: seen, Active: -1}
	if !s.fits(len(name)) || !s.change() {
		return c
	}
	c.number = s.number()
	s.SetConsumer(g, c)
	s.groups.put(appendNumber(groupPrefix(nameClass, g.number), c.number), c.Name)
	return c
}

// SetConsumer changes the times of a consumer, which is there.
func (s *Stream) SetConsumer(g StreamGroup, c StreamConsumer) {
	if !s.change() {
		return
	}
	value := binary.AppendUvarint(make([]byte, 0, 32), c.number)
	value = binary.AppendVarint(binary.AppendVarint(value, c.Seen), c.Active)
	s.groups.put(append(groupPrefix(consumerClass, g.number), c.Name...), value)
}

// RemoveConsumer removes a consumer, with the entries that are pending with it.
func (s *Stream) RemoveConsumer(g StreamGroup, c StreamConsumer) {
	if !s.change() {
		return
	}
	var pending []PendingEntry
	for p := range s.PendingOf(g, c, StreamID{}) {
		pending = append(pending, p)
	}
	for _, p := range pending {
		s.drop(g, p)
	}
	s.groups.delete(append(groupPrefix(consumerClass, g.number), c.Name...))
	s.groups.delete(appendNumber(groupPrefix(nameClass, g.number), c.number))
}

// Deliver makes an entry pending with a consumer, whoever had it, if anybody did.
func (s *Stream) Deliver(g StreamGroup, c StreamConsumer, id StreamID, delivered, deliveries int64) {
	if !s.change() {
		return
	}
	old, had := s.PendingAt(g, id)
	if had && old.Delivered != delivered {
		s.groups.delete(idleKey(g.number, old.Delivered, id))
	}
	if had && old.owner != c.number {
		s.groups.delete(ownedKey(g.number, old.owner, id))
	}
	if !had || old.Delivered != delivered {
		s.groups.put(idleKey(g.number, delivered, id), nil)
	}
	if !had || old.owner != c.number {
		s.groups.put(ownedKey(g.number, c.number, id), nil)
	}
	value := binary.AppendUvarint(make([]byte, 0, 32), c.number)
	value = binary.AppendVarint(binary.AppendVarint(value, delivered), deliveries)
	s.groups.put(pendingKey(g.number, id), value)
}

// Acknowledge ends that an entry is pending, and reports whether it was.
func (s *Stream) Acknowledge(g StreamGroup, id StreamID) bool {
	p, ok := s.PendingAt(g, id)
	if !ok || !s.change() {
		return false
	}
	s.drop(g, p)
	return true
}

// drop removes a pending entry.
func (s *Stream) drop(g StreamGroup, p PendingEntry) {
	s.groups.delete(pendingKey(g.number, p.ID))
	s.groups.delete(ownedKey(g.number, p.owner, p.ID))
	s.groups.delete(idleKey(g.number, p.Delivered, p.ID))
}
