package records

import "bytes"

// change is what a transaction has done to one key.
type change struct {
	hash uint64
	old  Record // committed before the transaction; nil: absent
	now  Record // in the transaction
	// saved is the number of the last Save for which Undo knows what to do.
	saved uint32
	// own: nobody but the transaction knows now. See Tx.Own.
	own bool
}

// changeSet is the set of a transaction's changes, one a key, in the order of
// first touch. A committed transaction's set never changes again, and serves
// views that are older than it. The zero value is empty, and so is nil.
type changeSet struct {
	list []change
	// table is a hash table with linear probing: 0 or 1 + index in list.
	table []int32
}

// newChangeSet returns an empty set with room for about so many changes: transactions
// that follow one another are mostly of one size.
func newChangeSet(room int) *changeSet {
	const most = 256 // which is 16 KB
	return &changeSet{list: make([]change, 0, min(room, most))}
}

// index returns the place of the key's change in the list, -1 if it has none.
func (s *changeSet) index(hash uint64, key []byte) int {
	if s == nil || len(s.list) == 0 {
		return -1
	}
	mask := uint64(len(s.table) - 1)
	for i := hash & mask; s.table[i] != 0; i = (i + 1) & mask {
		at := int(s.table[i] - 1)
		if c := &s.list[at]; c.hash == hash && bytes.Equal(c.now.Key(), key) {
			return at
		}
	}
	return -1
}

// find returns the change of key, or nil. It is valid until the next add.
func (s *changeSet) find(hash uint64, key []byte) *change {
	if i := s.index(hash, key); i >= 0 {
		return &s.list[i]
	}
	return nil
}

// add enters a change of a key that has none yet.
func (s *changeSet) add(c change) {
	if 2*len(s.list) >= len(s.table) {
		s.grow()
	}
	s.list = append(s.list, c)
	s.enter(len(s.list) - 1)
}

func (s *changeSet) enter(index int) {
	mask := uint64(len(s.table) - 1)
	i := s.list[index].hash & mask
	for s.table[i] != 0 {
		i = (i + 1) & mask
	}
	s.table[i] = int32(index + 1)
}

func (s *changeSet) grow() {
	s.table = make([]int32, max(2*len(s.table), 64))
	for i := range s.list {
		s.enter(i)
	}
}

// cut drops all changes but the first n.
func (s *changeSet) cut(n int) {
	if n == len(s.list) {
		return
	}
	clear(s.list[n:])
	s.list = s.list[:n]
	clear(s.table)
	for i := range s.list {
		s.enter(i)
	}
}
