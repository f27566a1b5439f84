package records

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/genuineh/aikv/node/storage"
)

// ended sweeps the ranges that records have ended (Options.Ended). The store is its
// queue: such a record is removed behind all of its range.
//
// A record that a checkpoint has brought to the store is visible to every view that
// begins from then on, and so is everything that was done to its range. So the sweep
// takes records from the store, begins another age of the world, and waits until all
// views of the ages before have ended: those that might still need the range. There
// are two counts of views, for odd and even ages, so that an age begins only when no
// view of the last one but one is left.
type ended struct {
	// any is set if there may be such records in the store.
	any atomic.Bool

	// What follows is guarded by Map.mu, and changed by the holder of the turn.
	world *space
	age   uint32   // that began after the records were taken
	keys  [][]byte // the records that were taken; none: there are to be
	from  []byte   // where to go on in the range of the first one; nil: at its lower end
}

// endedPiece is how many records are taken at a time.
const endedPiece = 1024

// ready reports whether sweep has something to do that it may do. The caller holds
// Map.mu.
func (e *ended) ready(m *Map) bool {
	if !e.any.Load() {
		return false
	}
	world := m.latest.Load().world
	switch {
	case world.number != m.checkpoints.world.Load():
		return false // a checkpoint makes it the world that counts, first
	case e.world != world || len(e.keys) == 0:
		return world.views[(world.age.Load()+1)&1].Load() == 0
	default:
		return world.views[(e.age+1)&1].Load() == 0
	}
}

// sweep takes records, or removes a piece of the ranges of those that were taken. The
// caller holds the turn.
func (e *ended) sweep(m *Map) error {
	m.mu.Lock()
	ready, world := e.ready(m), m.latest.Load().world
	m.mu.Unlock()
	if !ready {
		return nil
	}
	if e.world != world || len(e.keys) == 0 {
		return e.take(m, world)
	}
	return e.remove(m)
}

// take reads records from the store.
func (e *ended) take(m *Map, world *space) error {
	lower, upper := m.opts.EndedRange()
	e.any.Store(false) // no checkpoint runs meanwhile
	it := m.store.Iterate(world.storedKey(lower), world.storedKey(upper))
	defer it.Release()
	var keys [][]byte
	for len(keys) < endedPiece && it.Next() {
		keys = append(keys, bytes.Clone(it.Key()[len(world.prefix):]))
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("sweeping: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.world, e.keys, e.from = world, keys, nil
	if len(keys) > 0 {
		e.any.Store(true)
		e.age = world.age.Add(1)
	}
	return nil
}

// remove removes the first records of the ranges.
func (e *ended) remove(m *Map) error {
	tr, err := m.store.Begin()
	if err != nil {
		return err
	}
	defer tr.Discard()
	w := writer{}
	left, keys, from := m.opts.SweepPiece, e.keys, e.from
	for left > 0 && len(keys) > 0 {
		lower, upper := m.opts.Ended(keys[0])
		if from == nil {
			from = lower
		}
		if from, err = e.removeRange(m, tr, &w, from, upper, &left); err != nil {
			return err
		}
		if from != nil {
			break
		}
		if err := tr.Delete(e.world.storedKey(keys[0])); err != nil {
			return err
		}
		keys = keys[1:]
		left--
	}
	if err := tr.Commit(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.keys, e.from = keys, from
	return nil
}

// removeRange removes up to left records of a range, and returns where to go on, nil
// if nothing remains.
func (e *ended) removeRange(
	m *Map, tr storage.Transaction, w *writer, lower, upper []byte, left *int,
) (from []byte, err error) {
	it := m.store.Iterate(e.world.storedKey(lower), e.world.storedKey(upper))
	defer it.Release()
	for ; it.Next(); *left-- {
		if *left == 0 {
			return bytes.Clone(it.Key()[len(e.world.prefix):]), nil
		}
		w.pause()
		if err := tr.Delete(it.Key()); err != nil {
			return nil, err
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("sweeping: %w", err)
	}
	return nil, nil
}
