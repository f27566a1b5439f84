package records

import (
	"fmt"

	"github.com/genuineh/aikv/node/storage"
)

// Export returns all records of one committed state, in order, and its applied
// index. An empty store that gets the same records holds the same map. The state is
// the newest when Export was called, or a later one, and is in the store by then.
// The caller releases the iterator, soon: the store keeps what has changed since.
//
// The records are those of a store of the former format, whatever this one is: what
// a replica of an earlier version can read.
func (m *Map) Export() (applied uint64, records storage.Iterator, err error) {
	if _, err := m.Sync(m.Mark().Applied); err != nil {
		return 0, nil, err
	}
	c := &m.checkpoints
	c.turn.Lock() // the store does not change between the iterators
	defer c.turn.Unlock()
	s := c.written
	if s.format == 0 {
		return 0, nil, ErrEmpty
	}
	s.format = formerFormat
	lower, upper := []byte{outerEnd}, []byte{filterClass}
	prefix := worldPrefix(s.world)
	if prefix != nil {
		lower, upper = append(prefix[:len(prefix):len(prefix)], lower...), append(prefix[:len(prefix):len(prefix)], upper...)
	}
	return s.applied, &exported{
		state:  s.encode(),
		outer:  m.store.Iterate([]byte{stateKey()[0] + 1}, []byte{outerEnd}),
		inner:  m.store.Iterate(lower, upper),
		prefix: len(prefix),
	}, nil
}

// exported goes over the state record, the outer space and a world.
type exported struct {
	state        []byte
	outer, inner storage.Iterator
	prefix       int
	step         int // 0: before the state record, 1: at it, 2: outer, 3: inner
}

// Next implements storage.Iterator.
func (e *exported) Next() bool {
	switch e.step {
	case 0:
		e.step = 1
		return true
	case 1:
		e.step = 2
		fallthrough
	case 2:
		if e.outer.Next() {
			return true
		}
		if e.outer.Err() != nil {
			return false
		}
		e.step = 3
	}
	return e.inner.Next()
}

// Key implements storage.Iterator.
func (e *exported) Key() []byte {
	switch e.step {
	case 1:
		return stateKey()
	case 2:
		return e.outer.Key()
	default:
		return e.inner.Key()[e.prefix:]
	}
}

// Value implements storage.Iterator.
func (e *exported) Value() []byte {
	switch e.step {
	case 1:
		return e.state
	case 2:
		return e.outer.Value()
	default:
		return e.inner.Value()
	}
}

// Err implements storage.Iterator.
func (e *exported) Err() error {
	err := e.outer.Err()
	if err == nil {
		err = e.inner.Err()
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// Release implements storage.Iterator.
func (e *exported) Release() {
	e.outer.Release()
	e.inner.Release()
}
