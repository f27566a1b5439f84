package keyspace

import (
	"encoding/binary"
	"iter"
)

// What there is about a stream's groups is in one ordered map. Groups and consumers
// have numbers, which are never given again in the stream. The first byte of a key says
// what comes behind it:
//
//	1 name                       group: number, last id: ms, seq (uvarints), entries read (varint)
//	2 group:6 name               consumer: number (uvarint), seen, active (varints)
//	3 group:6 consumer:6         the consumer's name
//	4 group:6 id:16              pending entry: consumer (uvarint), delivered, deliveries (varints)
//	5 group:6 consumer:6 id:16   the same, by consumer: nothing
//	6 group:6 delivered:8 id:16  the same, by the time of its delivery: nothing
//
// Numbers in keys are big endian; a time has its upper bit turned, so that it sorts.
const (
	groupClass    = 1
	consumerClass = 2
	nameClass     = 3
	pendingClass  = 4
	ownedClass    = 5
	idleClass     = 6
)

const (
	numberSize = 6
	maxNumber  = 1<<(8*numberSize) - 1
)

// StreamGroup is a group of consumers, who share what it reads.
type StreamGroup struct {
	Name []byte
	// Last is the id of the last entry that was delivered.
	Last StreamID
	// Read is how many of the entries ever added are up to Last, -1 if nobody knows.
	Read   int64
	number uint64
}

// StreamConsumer is one of a group.
type StreamConsumer struct {
	Name []byte
	// Seen is when it tried to read, Active when it last was given something, in unix
	// ms; -1: never.
	Seen, Active int64
	number       uint64
}

// PendingEntry is an entry that was delivered, and not acknowledged.
type PendingEntry struct {
	ID StreamID
	// Delivered is when, in unix ms, Deliveries how often.
	Delivered, Deliveries int64
	owner                 uint64
}

// Owned reports whether a consumer of the group has the entry.
func (p PendingEntry) Owned(by StreamConsumer) bool { return p.owner == by.number }

func appendNumber(dst []byte, n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return append(dst, b[8-numberSize:]...)
}

// groupPrefix returns what keys of a class begin with that belong to a group.
func groupPrefix(class byte, group uint64) []byte {
	return appendNumber(append(make([]byte, 0, 64), class), group)
}

func pendingKey(group uint64, id StreamID) []byte {
	return id.appendKey(groupPrefix(pendingClass, group))
}

func ownedKey(group, consumer uint64, id StreamID) []byte {
	return id.appendKey(appendNumber(groupPrefix(ownedClass, group), consumer))
}

func idleKey(group uint64, delivered int64, id StreamID) []byte {
	return id.appendKey(binary.BigEndian.AppendUint64(groupPrefix(idleClass, group), uint64(delivered)^1<<63))
}

// takeVarint takes a number off b.
func takeVarint(b []byte) (n int64, rest []byte, ok bool) {
	n, size := binary.Varint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

func decodeGroup(key, value []byte) (g StreamGroup, ok bool) {
	number, value, ok1 := takeUvarint(value)
	ms, value, ok2 := takeUvarint(value)
	seq, value, ok3 := takeUvarint(value)
	read, value, ok4 := takeVarint(value)
	ok = ok1 && ok2 && ok3 && ok4 && len(value) == 0 && len(key) >= 1 && number <= maxNumber
	if !ok {
		return g, false
	}
	return StreamGroup{Name: key[1:], Last: StreamID{ms, seq}, Read: read, number: number}, true
}

func decodeConsumer(key, value []byte) (c StreamConsumer, ok bool) {
	number, value, ok1 := takeUvarint(value)
	seen, value, ok2 := takeVarint(value)
	active, value, ok3 := takeVarint(value)
	if !ok1 || !ok2 || !ok3 || len(value) > 0 || len(key) < 1+numberSize || number > maxNumber {
		return c, false
	}
	return StreamConsumer{Name: key[1+numberSize:], Seen: seen, Active: active, number: number}, true
}

func decodePending(key, value []byte) (p PendingEntry, ok bool) {
	owner, value, ok1 := takeUvarint(value)
	delivered, value, ok2 := takeVarint(value)
	deliveries, value, ok3 := takeVarint(value)
	if !ok1 || !ok2 || !ok3 || len(value) > 0 || len(key) != 1+numberSize+streamIDSize || owner > maxNumber {
		return p, false
	}
	return PendingEntry{ID: streamIDOf(key), Delivered: delivered, Deliveries: deliveries, owner: owner}, true
}

// soundGroupItem reports whether an item of unknown origin is one.
func soundGroupItem(key, value []byte) (ok bool) {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case groupClass:
		_, ok = decodeGroup(key, value)
	case consumerClass:
		_, ok = decodeConsumer(key, value)
	case nameClass:
		ok = len(key) == 1+2*numberSize
	case pendingClass:
		_, ok = decodePending(key, value)
	case ownedClass:
		ok = len(key) == 1+2*numberSize+streamIDSize && len(value) == 0
	case idleClass:
		ok = len(key) == 1+numberSize+8+streamIDSize && len(value) == 0
	}
	return ok
}

// sound is ok, and makes it the view's error if not.
func (s *StreamView) sound(ok bool) bool {
	if !ok {
		s.view.fail(errStreamItem)
	}
	return ok
}

// each calls fn with the items that are among those that begin with prefix, from a key
// on, until it returns false.
func (s *StreamView) each(prefix, from []byte, fn func(key, value []byte) bool) {
	position, _ := s.groups.find(from)
	s.groups.ascend(position, func(key, value []byte) bool {
		return hasPrefix(key, prefix) && fn(key, value)
	})
}

func hasPrefix(key, prefix []byte) bool {
	return len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}

// bounds returns the positions [from, to) of the items that begin with prefix, whose
// last byte is not the largest one.
func (s *StreamView) bounds(prefix []byte) (from, to int64) {
	from, _ = s.groups.find(prefix)
	to, _ = s.groups.find(above(prefix))
	return from, to
}

// above returns the first key that is above all that begin with prefix.
func above(prefix []byte) []byte {
	key := append([]byte(nil), prefix...)
	for i := len(key) - 1; ; i-- {
		if key[i]++; key[i] != 0 {
			return key[:i+1]
		}
	}
}

func (s *StreamView) count(prefix []byte) int64 {
	from, to := s.bounds(prefix)
	return to - from
}

// Groups yields the groups.
func (s *StreamView) Groups(yield func(StreamGroup) bool) {
	prefix := []byte{groupClass}
	s.each(prefix, prefix, func(key, value []byte) bool {
		g, ok := decodeGroup(key, value)
		return s.sound(ok) && yield(g)
	})
}

// CountGroups returns how many there are.
func (s *StreamView) CountGroups() int64 { return s.count([]byte{groupClass}) }

// Group returns a group, and whether there is one.
func (s *StreamView) Group(name []byte) (g StreamGroup, ok bool) {
	key := append([]byte{groupClass}, name...)
	value, ok := s.groups.get(key)
	if !ok {
		return g, false
	}
	g, ok = decodeGroup(key, value)
	return g, s.sound(ok)
}

// Consumers yields the consumers of a group, by name.
func (s *StreamView) Consumers(g StreamGroup) iter.Seq[StreamConsumer] {
	prefix := groupPrefix(consumerClass, g.number)
	return func(yield func(StreamConsumer) bool) {
		s.each(prefix, prefix, func(key, value []byte) bool {
			c, ok := decodeConsumer(key, value)
			return s.sound(ok) && yield(c)
		})
	}
}

// CountConsumers returns how many there are of a group.
func (s *StreamView) CountConsumers(g StreamGroup) int64 {
	return s.count(groupPrefix(consumerClass, g.number))
}

// Consumer returns a consumer of a group, and whether there is one.
func (s *StreamView) Consumer(g StreamGroup, name []byte) (c StreamConsumer, ok bool) {
	key := append(groupPrefix(consumerClass, g.number), name...)
	value, ok := s.groups.get(key)
	if !ok {
		return c, false
	}
	c, ok = decodeConsumer(key, value)
	return c, s.sound(ok)
}

// Owner returns the name of the consumer who has a pending entry of a group.
func (s *StreamView) Owner(g StreamGroup, p PendingEntry) (name []byte) {
	name, ok := s.groups.get(appendNumber(groupPrefix(nameClass, g.number), p.owner))
	s.sound(ok)
	return name
}

// CountPending returns how many entries of a group are pending.
func (s *StreamView) CountPending(g StreamGroup) int64 {
	return s.count(groupPrefix(pendingClass, g.number))
}

// CountPendingOf returns how many of them a consumer has.
func (s *StreamView) CountPendingOf(g StreamGroup, c StreamConsumer) int64 {
	return s.count(appendNumber(groupPrefix(ownedClass, g.number), c.number))
}

// LastPending returns the pending entry of a group with the largest id, and whether there
// is one.
func (s *StreamView) LastPending(g StreamGroup) (p PendingEntry, ok bool) {
	from, to := s.bounds(groupPrefix(pendingClass, g.number))
	if from == to {
		return p, false
	}
	key, value, ok := s.groups.at(to - 1)
	if !ok {
		return p, false
	}
	p, ok = decodePending(key, value)
	return p, s.sound(ok)
}

// PendingAt returns a pending entry of a group, and whether there is one of that id.
func (s *StreamView) PendingAt(g StreamGroup, id StreamID) (p PendingEntry, ok bool) {
	key := pendingKey(g.number, id)
	value, ok := s.groups.get(key)
	if !ok {
		return p, false
	}
	p, ok = decodePending(key, value)
	return p, s.sound(ok)
}

// Pending yields the pending entries of a group, from an id on.
func (s *StreamView) Pending(g StreamGroup, from StreamID) iter.Seq[PendingEntry] {
	return func(yield func(PendingEntry) bool) {
		s.each(groupPrefix(pendingClass, g.number), pendingKey(g.number, from), func(key, value []byte) bool {
			p, ok := decodePending(key, value)
			return s.sound(ok) && yield(p)
		})
	}
}

// PendingOf yields the pending entries that a consumer has, from an id on.
func (s *StreamView) PendingOf(g StreamGroup, c StreamConsumer, from StreamID) iter.Seq[PendingEntry] {
	return func(yield func(PendingEntry) bool) {
		prefix := appendNumber(groupPrefix(ownedClass, g.number), c.number)
		s.each(prefix, ownedKey(g.number, c.number, from), func(key, _ []byte) bool {
			p, ok := s.PendingAt(g, streamIDOf(key))
			return s.sound(ok) && yield(p)
		})
	}
}

// PendingIdle yields the pending entries of a group, those first that were delivered
// first, by their ids where that was at the same time.
func (s *StreamView) PendingIdle(g StreamGroup) iter.Seq[PendingEntry] {
	return func(yield func(PendingEntry) bool) {
		prefix := groupPrefix(idleClass, g.number)
		s.each(prefix, prefix, func(key, _ []byte) bool {
			p, ok := s.PendingAt(g, streamIDOf(key))
			return s.sound(ok) && yield(p)
		})
	}
}
