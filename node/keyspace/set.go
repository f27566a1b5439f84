package keyspace

import (
	"encoding/binary"
	"iter"
	"slices"
)

// SetView reads a set: members, no two of which are the same, in an order that
// follows from what was done to the set. Integers alone are in the order of
// numbers, few others in that in which they came, as in Redis. The zero value and
// one of an absent key are empty.
//
// Slices that are handed out are shared and must not be changed. They stay what
// they are, whatever becomes of the set.
type SetView struct{ valueView }

// Set returns the set that key holds, and whether there is one; the error is
// ErrWrongType, of a key that holds something else.
func (v *View) Set(key []byte) (SetView, bool, error) {
	value, err := v.typed(key, TypeSet)
	return SetView{value}, value.rec != nil, err
}

// small returns the members of a set that is in its record, none if there is no
// set.
func (s SetView) small() smallSet {
	switch {
	case s.rec == nil:
		return inlineSet{}
	case s.rec.meta.Flags&flagIntegers != 0:
		return parseIntegerSet(s.rec.body)
	default:
		return parseInlineSet(s.rec.body)
	}
}

// smallSet is a set whose members are in its record.
type smallSet interface {
	len() int
	has(member []byte) bool
	// at returns the member at a position, which is there.
	at(n int) []byte
	each(yield func([]byte) bool)
	// without returns the body of the set without a member, which is there, in parts.
	without(member []byte) [3][]byte
}

// Len returns the number of members.
func (s SetView) Len() int64 {
	if b, ok := s.big(); ok {
		return b.members.Len()
	}
	return int64(s.small().len())
}

// Has reports whether the set has a member.
func (s SetView) Has(member []byte) bool {
	if b, ok := s.big(); ok {
		return b.has(member)
	}
	return s.small().has(member)
}

// At returns the member at a position, 0 ≤ n < Len, of the order of Members; nil if
// there is none.
func (s SetView) At(n int64) []byte {
	if b, ok := s.big(); ok {
		return b.at(n)
	}
	in := s.small()
	if n < 0 || n >= int64(in.len()) {
		return nil
	}
	return in.at(int(n))
}

// Members yields all members. The set must not be changed meanwhile.
func (s SetView) Members() iter.Seq[[]byte] {
	if b, ok := s.big(); ok {
		return b.each
	}
	return s.small().each
}

// Scan calls fn for at least count members from cursor on, or as many as there
// are, and returns the cursor to go on from. Cursor 0 is the beginning, and
// returned it is the end. Every member that is there from the first call to the
// last is shown, and none twice, unless the set outgrows what is shown at once
// meanwhile.
func (s SetView) Scan(cursor uint64, count int, fn func(member []byte)) (next uint64) {
	if b, ok := s.big(); ok {
		return s.view.scanTree(b.members, cursor, count, func(member, _ []byte) { fn(member) })
	}
	if cursor != 0 {
		return 0 // a small set is shown at once
	}
	for member := range s.Members() {
		fn(member)
	}
	return 0
}

// Set changes the set of a key, which comes into being with its first member and
// goes with its last. Its methods for reading see the changes. It is good for as
// long as the key is not changed in another way.
type Set struct {
	SetView
	value
	expected int
}

// Set returns the set that key holds, an empty one if the key is not there; the
// error is ErrWrongType, of a key that holds something else.
func (tx *Tx) Set(key []byte) (*Set, error) {
	view, value, err := tx.typed(key, TypeSet)
	return &Set{SetView: SetView{view}, value: value}, err
}

// Expect says that up to n members are about to be added. As in Redis, a set for
// which they would be too many is no listpack or intset any more with the first of
// them.
func (s *Set) Expect(n int) { s.expected = n }

// Add adds members and returns how many were none before.
func (s *Set) Add(members ...[]byte) (added int64) {
	for _, member := range members {
		if !s.fits(len(member)) {
			return 0
		}
	}
	switch {
	case !s.tx.begun():
		return 0
	case s.meta().Flags&flagPaged != 0:
		added = s.addToPages(members)
	case len(members) == 1:
		added = s.addOne(members[0])
	default:
		added = s.addSeveral(members)
	}
	if added > 0 {
		s.expected = 0
	}
	return added
}

// addOne adds a member to a small set.
func (s *Set) addOne(member []byte) (added int64) {
	in := s.small()
	if in.has(member) {
		return 0
	}
	meta := s.meta()
	meta.Flags = grown(meta.Flags, int64(in.len()), s.expected, member)
	if meta.Flags&flagIntegers != 0 {
		body := integerSet{}.of(in).with(member)
		s.store(meta, body[:]...)
		return 1
	}
	words := inlineSet{}.of(in)
	if len(words.items)+len(member) > s.tx.ks.inlineLimit {
		s.write(meta, append(membersOf(in), member))
		return 1
	}
	s.tx.own.scratch = appendElement(s.tx.own.scratch[:0], member)
	s.store(meta, binary.AppendUvarint(nil, uint64(words.count+1)), words.items, s.tx.own.scratch)
	return 1
}

// addSeveral adds members to a small set, which is written once.
func (s *Set) addSeveral(members [][]byte) (added int64) {
	all, meta := membersOf(s.small()), s.meta()
	seen := make(map[string]bool, len(all)+len(members))
	for _, member := range all {
		seen[string(member)] = true
	}
	for _, member := range members {
		if seen[string(member)] {
			continue
		}
		seen[string(member)] = true
		expected := s.expected
		if added > 0 {
			expected = 0
		}
		meta.Flags = grown(meta.Flags, int64(len(all)), expected, member)
		all = append(all, member)
		added++
	}
	if added > 0 {
		s.write(meta, all)
	}
	return added
}

func membersOf(in smallSet) [][]byte {
	members := make([][]byte, 0, in.len()+1)
	for member := range in.each {
		members = append(members, member)
	}
	return members
}

// addToPages adds members to a set that is in pages.
func (s *Set) addToPages(members [][]byte) (added int64) {
	c, meta := s.changePages(), s.meta()
	for _, member := range members {
		before := c.members.Len()
		if c.add(member) {
			meta.Flags = grown(meta.Flags, before, s.expected, member)
			added++
		}
	}
	if added > 0 {
		s.finish(c, meta)
	}
	return added
}

// grown returns the flags of a set of n members once another one is in it, where
// so many had been expected.
func grown(flags Flags, n int64, expected int, member []byte) Flags {
	_, isInteger := integer(member)
	if n == 0 && isInteger && expected <= largeIntegerSet {
		flags = flagIntegers
	}
	large := false
	switch {
	case flags&flagIntegers == 0:
		large = n >= largeSet || len(member) > largeElement || expected > largeSet
	case isInteger:
		large = n >= largeIntegerSet || expected > largeIntegerSet
	default:
		large = n >= largeSet || len(member) > largeElement
	}
	if !isInteger || large {
		flags &^= flagIntegers
	}
	if large {
		flags |= flagLarge
	}
	return flags
}

// Delete removes members and returns how many were some. The key goes with its last
// member.
func (s *Set) Delete(members ...[]byte) (deleted int64) {
	if !s.tx.begun() || s.rec == nil {
		return 0
	}
	if s.meta().Flags&flagPaged != 0 {
		return s.deleteFromPages(members)
	}
	in := s.small()
	if len(members) == 1 && in.len() > 1 {
		if !in.has(members[0]) {
			return 0
		}
		body := in.without(members[0])
		s.store(s.meta(), body[:]...)
		return 1
	}
	gone := make(map[string]bool, len(members))
	for _, member := range members {
		gone[string(member)] = true
	}
	left := slices.DeleteFunc(membersOf(in), func(member []byte) bool { return gone[string(member)] })
	if deleted = int64(in.len() - len(left)); deleted > 0 {
		s.write(s.meta(), left)
	}
	return deleted
}

// deleteFromPages removes members of a set that is in pages.
func (s *Set) deleteFromPages(members [][]byte) (deleted int64) {
	c := s.changePages()
	for _, member := range members {
		if c.remove(member) {
			deleted++
		}
	}
	switch {
	case c.members.Len() == 0:
		s.write(s.meta(), nil)
	case deleted > 0:
		s.finish(c, s.meta())
	}
	return deleted
}

// Fill makes members, no two of which are the same, the set's in place of those
// that it has. It costs what they are, and in the end the set is what it were if
// they had been added to an empty one.
func (s *Set) Fill(members [][]byte) { s.fill(members, true) }

// Keep is Fill for some of the members that the set has. It stays no intset if it
// was none.
func (s *Set) Keep(members [][]byte) {
	s.fill(members, s.meta().Flags&flagIntegers != 0)
}

func (s *Set) fill(members [][]byte, integers bool) {
	if !s.tx.begun() {
		return
	}
	meta := s.meta()
	meta.Flags = 0
	for i, member := range members {
		if !s.fits(len(member)) {
			return
		}
		if i > 0 || integers {
			meta.Flags = grown(meta.Flags, int64(i), 0, member)
		} else if len(member) > largeElement {
			meta.Flags = flagLarge
		}
	}
	s.write(meta, members)
}

// write makes members all that the set has, in the form that meta says, but for
// flagPaged: that is seen here. The key goes if there are none.
func (s *Set) write(meta Meta, members [][]byte) {
	meta.Flags &^= flagPaged
	size := 0
	for _, member := range members {
		size += len(member) + binary.MaxVarintLen16
	}
	switch {
	case len(members) == 0:
		if s.rec != nil {
			s.tx.remove(&s.r, s.rec)
		}
		s.rec = nil
	case meta.Flags&flagIntegers != 0:
		s.store(meta, integersOf(members))
	case size <= s.tx.ks.inlineLimit:
		s.tx.own.scratch = inlineSetOf(s.tx.own.scratch[:0], members)
		s.store(meta, s.tx.own.scratch)
	default:
		s.finish(s.buildPages(members), meta)
	}
}

// store makes a body, given in parts, the set's.
func (s *Set) store(meta Meta, body ...[]byte) {
	if rec := s.tx.replace(&s.r, s.rec, meta, 0, body...); rec != nil {
		s.rec = rec
	}
}
