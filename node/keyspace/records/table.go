package records

import "sync"

// table holds the resident records of a space by key: all dirty ones, which stay
// until a checkpoint has cleaned them, and clean ones, which are a cache evicted by
// the clock algorithm. "Absent" is a record like another one.
//
// It is a hash table with linear probing, in shards of a plain mutex each: a hit
// costs a few loads and one store.
type table struct {
	limit  int64 // of a shard's clean bytes
	shards [shardCount]tableShard
}

const (
	shardCount = 32
	minEntries = 8
)

type tableShard struct {
	mu      sync.Mutex
	entries []entry // a power of two of them, or none
	used    int
	hand    int   // of the clock
	clean   int64 // bytes of clean records
	// changes counts the records that commits have put here.
	changes uint64
}

// entry is a resident record. pos is its place in its generation while it is dirty.
type entry struct {
	rec   Record
	pos   uint32
	state uint32 // tag << 3 | seen | code of the generation
}

const (
	codeClean = 0
	codeMask  = 3
	stateSeen = 4 // since the hand came by; a new clean record has to earn it
	tagShift  = 3
)

func (t *table) shard(hash uint64) *tableShard { return &t.shards[hash%shardCount] }

// tag is what an entry knows of its hash; its low bits say where it wants to be.
func tag(hash uint64) uint32 { return uint32(hash >> (32 + tagShift)) }

func (e *entry) tag() uint32  { return e.state >> tagShift }
func (e *entry) code() uint32 { return e.state & codeMask }

// get returns the record of a key, nil if it is not resident. Then changes is what
// fill wants to be told.
func (t *table) get(hash uint64, key []byte) (rec Record, changes uint64) {
	s := t.shard(hash)
	s.mu.Lock()
	if i := s.find(hash, key); i >= 0 {
		e := &s.entries[i]
		e.state |= stateSeen
		rec = e.rec
	} else {
		changes = s.changes
	}
	s.mu.Unlock()
	return rec, changes
}

// fill hands in what the store said after a get that found nothing, unless a commit
// has touched the shard since.
func (t *table) fill(hash uint64, rec Record, changes uint64) {
	if rec.memory() > t.limit/8 {
		return
	}
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes || s.find(hash, rec.Key()) >= 0 {
		return
	}
	s.add(entry{rec: rec, state: tag(hash) << tagShift})
	s.clean += rec.memory()
	s.evict(t.limit)
}

// put replaces the record of a key by what a commit has made of it, in the
// generation g, whose lock the caller holds. absent says that the key was absent
// before.
func (t *table) put(hash uint64, rec Record, g *generation, absent bool) {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	i := s.find(hash, rec.Key())
	if i < 0 {
		s.add(entry{rec: rec, pos: g.add(rec, absent), state: tag(hash)<<tagShift | g.code})
		return
	}
	e := &s.entries[i]
	switch e.code() {
	case g.code:
		g.set(e.pos, rec)
	case codeClean:
		s.clean -= e.rec.memory()
		e.pos = g.add(rec, e.rec.absent())
	default: // a checkpoint is writing the former record
		e.pos = g.add(rec, false)
	}
	e.state = e.state&^codeMask | g.code
	e.rec = rec
}

// cleaned says that a record of a generation is in the store.
func (t *table) cleaned(hash uint64, rec Record, code uint32) {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(hash, rec.Key())
	if i < 0 || s.entries[i].code() != code {
		return // changed since
	}
	if rec.memory() > t.limit/8 {
		s.remove(i)
		return
	}
	s.entries[i].state &^= codeMask
	s.clean += rec.memory()
	s.evict(t.limit)
}

// evict drops clean records until the rest is within the limit.
func (s *tableShard) evict(limit int64) {
	for s.clean > limit {
		s.hand &= len(s.entries) - 1
		e := &s.entries[s.hand]
		switch {
		case e.rec == nil || e.code() != codeClean:
			s.hand++
		case e.state&stateSeen != 0:
			e.state &^= stateSeen
			s.hand++
		default:
			s.clean -= e.rec.memory()
			s.remove(s.hand) // another entry may take its place
		}
	}
}

// find returns the index of a key's entry, -1 if it has none.
func (s *tableShard) find(hash uint64, key []byte) int {
	if s.used == 0 {
		return -1
	}
	mask, want := uint32(len(s.entries)-1), tag(hash)
	for i := want & mask; s.entries[i].rec != nil; i = (i + 1) & mask {
		if e := &s.entries[i]; e.tag() == want && e.rec.has(key) {
			return int(i)
		}
	}
	return -1
}

// add enters a record whose key has no entry.
func (s *tableShard) add(e entry) {
	if 4*(s.used+1) > 3*len(s.entries) {
		s.resize(max(2*len(s.entries), minEntries))
	}
	s.enter(e)
	s.used++
}

func (s *tableShard) enter(e entry) {
	mask := uint32(len(s.entries) - 1)
	i := e.tag() & mask
	for s.entries[i].rec != nil {
		i = (i + 1) & mask
	}
	s.entries[i] = e
}

func (s *tableShard) resize(size int) {
	old := s.entries
	s.entries = make([]entry, size)
	for i := range old {
		if old[i].rec != nil {
			s.enter(old[i])
		}
	}
}

// remove takes an entry out and moves those behind it that it was in the way of.
func (s *tableShard) remove(i int) {
	mask := len(s.entries) - 1
	for j := (i + 1) & mask; s.entries[j].rec != nil; j = (j + 1) & mask {
		home := int(s.entries[j].tag()) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.entries[i] = s.entries[j]
			i = j
		}
	}
	s.entries[i] = entry{}
	s.used--
	if len(s.entries) > minEntries && 8*s.used < len(s.entries) {
		s.resize(len(s.entries) / 2)
	}
}

// memory returns about how many bytes the clean records take.
func (t *table) memory() (clean int64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		clean += s.clean
		s.mu.Unlock()
	}
	return clean
}
