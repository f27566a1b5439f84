package keyspace

import (
	"bytes"
	"sync"
)

const (
	cacheShards = 16
	// nodeBytes is about what an entry costs beside its key and value: the
	// node, the record and a place in the shard's map.
	nodeBytes = 240
)

// cache holds the records of recently used keys, and of keys known to be
// absent. What it holds is the current state of the store: a commit puts every
// record it changes, and a reader that had to ask the store hands in what it got
// only if no commit touched the shard meanwhile.
//
// Shards have a plain mutex and are evicted by the clock algorithm: a hit is a
// few loads and one store.
type cache struct{ shards [cacheShards]cacheShard }

type cacheShard struct {
	mu    sync.Mutex
	limit int64
	bytes int64
	// generation counts the commits that touched the shard.
	generation uint64
	nodes      map[uint64]*cacheNode // by hash
	hand       *cacheNode            // of the clock; nodes form a ring
}

type cacheNode struct {
	stored     storedKey
	rec        *record // nil: the key is absent
	bytes      int64
	hash       uint64
	used       bool       // since the hand came by; a new node has to earn it
	chain      *cacheNode // next one with the same hash
	prev, next *cacheNode
}

// newCache returns a cache of about limit bytes; below 1 it holds nothing.
func newCache(limit int64) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].limit = max(limit, 0) / cacheShards
		c.shards[i].nodes = make(map[uint64]*cacheNode)
	}
	return c
}

func (c *cache) shard(hash uint64) *cacheShard { return &c.shards[hash%cacheShards] }

// get returns the record of the key (nil if it is absent) and whether the cache
// knows it. If not, generation is what fill wants to be told.
func (c *cache) get(hash uint64, key []byte) (rec *record, hit bool, generation uint64) {
	s := c.shard(hash)
	s.mu.Lock()
	if n := s.find(hash, key); n != nil {
		n.used = true
		rec = n.rec
		s.mu.Unlock()
		return rec, true, 0
	}
	generation = s.generation
	s.mu.Unlock()
	return nil, false, generation
}

// fill hands in what the store said after a get that missed.
func (c *cache) fill(hash uint64, at storedKey, rec *record, generation uint64) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == generation && s.find(hash, at.key()) == nil {
		s.set(hash, at, rec)
	}
}

// put replaces the record of a key by what a commit has written.
func (c *cache) put(hash uint64, at storedKey, rec *record) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	if rec == nil {
		at = bytes.Clone(at) // at shares memory with the old value
	}
	s.set(hash, at, rec)
}

// clear forgets everything.
func (c *cache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.generation++
		clear(s.nodes)
		s.hand, s.bytes = nil, 0
		s.mu.Unlock()
	}
}

func (s *cacheShard) find(hash uint64, key []byte) *cacheNode {
	n := s.nodes[hash]
	for n != nil && !bytes.Equal(n.stored.key(), key) {
		n = n.chain
	}
	return n
}

// set enters a record, if it is small enough to share the shard with others.
func (s *cacheShard) set(hash uint64, at storedKey, rec *record) {
	size := int64(nodeBytes + len(at))
	if rec != nil {
		size += int64(len(rec.encoded))
	}
	n := s.find(hash, at.key())
	if size > s.limit/8 {
		if n != nil {
			s.remove(n)
		}
		return
	}
	if n == nil {
		n = &cacheNode{hash: hash, chain: s.nodes[hash]}
		s.nodes[hash] = n
		s.link(n)
	}
	s.bytes += size - n.bytes
	n.stored, n.rec, n.bytes = at, rec, size
	for s.bytes > s.limit {
		victim := s.hand
		s.hand = victim.next
		if victim.used {
			victim.used = false
			continue
		}
		s.remove(victim)
	}
}

// link puts the node where the hand comes last.
func (s *cacheShard) link(n *cacheNode) {
	if s.hand == nil {
		n.prev, n.next, s.hand = n, n, n
		return
	}
	n.prev, n.next = s.hand.prev, s.hand
	n.prev.next, n.next.prev = n, n
}

func (s *cacheShard) remove(n *cacheNode) {
	s.bytes -= n.bytes
	n.prev.next, n.next.prev = n.next, n.prev
	switch {
	case n.next == n:
		s.hand = nil
	case s.hand == n:
		s.hand = n.next
	}
	if s.nodes[n.hash] == n {
		if n.chain == nil {
			delete(s.nodes, n.hash)
		} else {
			s.nodes[n.hash] = n.chain
		}
		return
	}
	before := s.nodes[n.hash]
	for before.chain != n {
		before = before.chain
	}
	before.chain = n.chain
}
