package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/genuineh/aikv/node/storage"
)

// space is a set of keys with its own resident table. There is one for the keys
// that a flush leaves, the outer space, and one for each world.
type space struct {
	m *Map
	// number tells the worlds of a store apart; prefix is what stored keys of this
	// one begin with.
	number uint64
	prefix []byte
	// filtered says that parts without a stored filter have no keys in the store.
	filtered bool

	table table
	// active takes what commits change. frozen is what a checkpoint is writing, or
	// nil. Both change under Map.mu.
	active, frozen atomic.Pointer[generation]
	// stored is set once the store may have something of this space.
	stored  atomic.Bool
	filters []atomic.Pointer[filter] // by part; nil: not looked at yet
	large   atomic.Int64             // bytes of those that are large
	// views counts the views that began in this world and have not ended, those of
	// odd ages and those of even ones: see ended.
	views [2]atomic.Int64
	age   atomic.Uint32
}

const (
	// outerEnd is above the first byte of all keys of the outer space. Those of
	// worlds are below filterClass.
	outerEnd    = 0x10
	filterClass = 0x70
	worldEnd    = 0x80
)

// isOuter reports whether a key is one that a flush leaves.
func isOuter(key []byte) bool { return len(key) > 0 && key[0] < outerEnd }

// newSpace returns a space of which nothing is in the store.
func (m *Map) newSpace(number uint64, filters int) *space {
	s := &space{m: m, number: number, prefix: worldPrefix(number), filtered: true}
	s.table.limit = max(m.opts.Cache, 0) / shardCount
	s.filters = make([]atomic.Pointer[filter], filters)
	s.active.Store(&generation{code: 1})
	return s
}

// worldPrefix is what stored keys of a world begin with: nothing in world 0, as in
// stores that know no worlds.
func worldPrefix(number uint64) []byte {
	if number == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64([]byte{worldEnd}, number)
}

// current returns the key's record in the newest state, as far as memory and store
// have it: while a commit is on its way, that may be its state already.
//
// What is dirty is in the table. So what the table does not have is in the store if
// it is anywhere: that is asked after.
func (s *space) current(hash uint64, key []byte) (Record, error) {
	rec, changes := s.table.get(hash, key)
	if rec != nil {
		return rec.known(), nil
	}
	if !s.stored.Load() {
		return nil, nil
	}
	if ruled, err := s.ruledOut(key); ruled || err != nil {
		return nil, err
	}
	value, err := s.m.store.Get(s.storedKey(key))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		rec = newAbsent(key)
	case err != nil:
		return nil, fmt.Errorf("records: %w", err)
	default:
		rec = New(key, value)
		if err := s.m.check(rec); err != nil {
			return nil, err
		}
	}
	s.table.fill(hash, rec, changes)
	return rec.known(), nil
}

func (s *space) storedKey(key []byte) []byte {
	if len(s.prefix) == 0 {
		return key
	}
	return append(append(make([]byte, 0, len(s.prefix)+len(key)), s.prefix...), key...)
}

// ruledOut reports whether a filter says that the store does not have the key.
func (s *space) ruledOut(key []byte) (bool, error) {
	if len(s.filters) == 0 {
		return false, nil
	}
	part, ok := s.m.opts.Part(key)
	if !ok {
		return false, nil
	}
	f, err := s.filter(part)
	return err == nil && f.absent(key), err
}

// filter returns the filter of a part.
func (s *space) filter(part uint16) (*filter, error) {
	at := &s.filters[part]
	if f := at.Load(); f != nil {
		return f, nil
	}
	f := &filter{kind: filterUnknown}
	if s.filtered {
		f.kind = filterKnown // empty
	}
	if s.stored.Load() {
		encoded, err := s.m.store.Get(s.storedKey(filterKey(part)))
		switch {
		case errors.Is(err, storage.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("records: %w", err)
		default:
			if f, err = decodeFilter(encoded); err != nil {
				return nil, err
			}
		}
	}
	// A checkpoint that writes another filter has looked at this one before, so
	// that nothing older can take the place of its own.
	if !at.CompareAndSwap(nil, f) {
		return at.Load(), nil
	}
	s.large.Add(f.large())
	return f, nil
}

func filterKey(part uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{filterClass}, part)
}

// bytes returns what is dirty: changed since the last freeze, and being written.
func (s *space) bytes() (active, frozen int64) {
	active = s.active.Load().size()
	if g := s.frozen.Load(); g != nil {
		frozen = g.size()
	}
	return active, frozen
}

// freeze begins a new generation and leaves the former one to a checkpoint. The
// caller holds Map.mu; nothing is frozen.
func (s *space) freeze() *generation {
	g := s.active.Load()
	s.frozen.Store(g)
	s.active.Store(&generation{code: 3 - g.code})
	return g
}
