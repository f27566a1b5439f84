package records

import (
	"fmt"

	"github.com/genuineh/aikv/node/storage"
)

// remain is a range of stored keys that no later state needs: that of a world which
// was flushed.
type remain struct {
	world        *space // nil: of a world before this program began
	number       uint64
	lower, upper []byte
}

// remainOf returns what a world may leave behind.
func remainOf(s *space) remain {
	r := remain{world: s, number: s.number, lower: []byte{outerEnd}, upper: []byte{worldEnd}}
	if s.number > 0 {
		r.lower, r.upper = worldPrefix(s.number), worldPrefix(s.number+1)
	}
	return r
}

// remainsBefore returns where a program that stopped may have left something of
// worlds before the one that counts.
func remainsBefore(number uint64) []remain {
	if number == 0 {
		return nil
	}
	return []remain{
		{lower: []byte{outerEnd}, upper: []byte{worldEnd}},
		{lower: []byte{worldEnd}, upper: worldPrefix(number)},
	}
}

// leave notes a world that was flushed. The caller holds mu.
func (m *Map) leave(s *space) {
	if s.stored.Load() || m.pending != nil && m.pending.world == s {
		m.remains = append(m.remains, remainOf(s))
	}
}

// nextRemain returns the index of a range that may be swept, -1 if there is none.
// What a checkpoint has made the world that counts, or is about to, or a view
// reads, may not. The caller holds mu.
func (m *Map) nextRemain() int {
	for i, r := range m.remains {
		switch {
		case r.world == nil:
			return i
		case r.number == m.checkpoints.world.Load(), r.world.viewed():
		case m.pending != nil && m.pending.world == r.world:
		default:
			return i
		}
	}
	return -1
}

func (m *Map) sweepable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nextRemain() >= 0 || m.ended.ready(m)
}

// viewed reports whether a view of the world is under way.
func (s *space) viewed() bool { return s.views[0].Load()+s.views[1].Load() > 0 }

// Sweep removes a piece of what nobody needs, and reports whether there may be
// more that can go now. The background does so by itself.
func (m *Map) Sweep() (more bool, err error) {
	err = m.sweep()
	return err == nil && m.sweepable(), err
}

// sweep removes a piece of what a flush has left, or of ranges that have ended, if
// there is something.
func (m *Map) sweep() error {
	c := &m.checkpoints
	c.turn.Lock()
	defer c.turn.Unlock()
	m.mu.Lock()
	i := m.nextRemain()
	var r remain
	if i >= 0 {
		r = m.remains[i]
	}
	m.mu.Unlock()
	switch {
	case c.failure() != nil:
		return c.failure()
	case i < 0:
		if err := m.ended.sweep(m); err != nil {
			return c.fail(err)
		}
		return nil
	}
	from, err := m.sweepRange(r.lower, r.upper)
	if err != nil {
		return c.fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// Others may have been added behind it meanwhile.
	if from != nil {
		m.remains[i].lower = from
		return nil
	}
	m.remains = append(m.remains[:i:i], m.remains[i+1:]...)
	return nil
}

// sweepRange removes the first records of a range, and returns where to go on, nil
// if nothing is left.
func (m *Map) sweepRange(lower, upper []byte) (from []byte, err error) {
	it := m.store.Iterate(lower, upper)
	defer it.Release()
	var tr storage.Transaction
	w := writer{}
	for n := 0; n < m.opts.SweepPiece && it.Next(); n++ {
		if tr == nil {
			if tr, err = m.store.Begin(); err != nil {
				return nil, err
			}
			defer tr.Discard()
		}
		w.pause()
		if err := tr.Delete(it.Key()); err != nil {
			return nil, err
		}
		from = append(append(from[:0], it.Key()...), 0)
	}
	switch {
	case it.Err() != nil:
		return nil, fmt.Errorf("sweeping: %w", it.Err())
	case tr == nil:
		return nil, nil
	}
	return from, tr.Commit()
}
