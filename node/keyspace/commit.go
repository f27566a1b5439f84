package keyspace

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/genuineh/aikv/node/storage"
)

// Commit writes the transaction as one batch of the store, with the applied
// index and the clock, and then makes it visible to new views. It ends the
// transaction, whatever it returns. After an error that comes from the store,
// every later transaction fails with it too: the process has to stop.
func (tx *Tx) Commit() error {
	if tx.closed {
		return ErrEnded
	}
	defer tx.Discard()
	if tx.err != nil || !tx.own.dirty {
		return tx.err
	}
	if tx.own.flushed {
		// From here to the end no view is under way, so nobody needs the old
		// values, which may be many.
		tx.ks.views.Lock()
		defer tx.ks.views.Unlock()
	}
	return tx.commit()
}

func (tx *Tx) commit() error {
	ks := tx.ks
	const keepBatch = 1 << 20 // bytes
	if ks.batch.Size() > keepBatch {
		ks.batch = storage.Batch{}
	}
	ks.batch.Reset()
	if err := tx.fill(&ks.batch); err != nil {
		ks.failed = err
		return err
	}
	next, err := tx.successor()
	if err != nil {
		ks.failed = err
		return err
	}
	tx.base.next.Store(next)
	if err := ks.store.Write(&ks.batch); err != nil {
		ks.failed = fmt.Errorf("keyspace: commit: %w", err)
		return ks.failed
	}
	tx.publish(next)
	return nil
}

// successor returns the commit after base, with what views of base will need.
func (tx *Tx) successor() (*commit, error) {
	ks, w := tx.ks, tx.own
	next := &commit{applied: w.index, clock: tx.now, total: w.total}
	if w.flushed {
		return next, nil // there are no such views
	}
	next.changes = w.changes
	for s := range w.counts {
		next.counts = append(next.counts, slotCount{s, ks.counts[s].Load()})
	}
	for name := range w.named {
		old, err := ks.named(name)
		if err != nil {
			return nil, err
		}
		if next.named == nil {
			next.named = make(map[string][]byte, len(w.named))
		}
		next.named[name] = old
	}
	return next, nil
}

// fill turns the transaction into a batch, in an order that is a function of
// the entries alone.
func (tx *Tx) fill(b *storage.Batch) error {
	w := tx.own
	if w.flushed {
		if err := tx.ks.deleteAll(b); err != nil {
			return err
		}
	}
	var scratch []byte
	for i := range w.changes.list {
		scratch = w.changes.list[i].write(b, scratch)
	}
	for _, s := range slices.Sorted(maps.Keys(w.counts)) {
		n := w.counts[s]
		switch {
		case n == tx.ks.counts[s].Load() && !w.flushed:
		case n > 0:
			scratch = binary.AppendUvarint(scratch[:0], uint64(n))
			b.Put(countKey(s), scratch)
		default:
			b.Delete(countKey(s))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.named)) {
		if value := w.named[name]; value != nil {
			b.Put(namedKey(name), value)
		} else {
			b.Delete(namedKey(name))
		}
	}
	b.Put([]byte{classState}, encodeState(w.index, tx.now))
	return nil
}

// write adds the change of a metadata record and its expiry entry to the batch.
func (c *change) write(b *storage.Batch, scratch []byte) []byte {
	if c.old == c.now {
		return scratch
	}
	if c.now != nil {
		b.Put(c.stored, c.now.encoded)
	} else if c.old != nil {
		b.Delete(c.stored)
	}
	before, after := c.old.deadline(), c.now.deadline()
	if before == after {
		return scratch
	}
	if before.at != 0 && before.at != after.at {
		scratch = appendExpiryKey(scratch[:0], before.at, c.stored)
		b.Delete(scratch)
	}
	if after.at != 0 {
		scratch = appendExpiryKey(scratch[:0], after.at, c.stored)
		b.Put(scratch, after.entry())
	}
	return scratch
}

// deleteAll adds the deletion of every stored key to the batch, with all that
// belongs to it.
func (ks *Keyspace) deleteAll(b *storage.Batch) error {
	it := ks.store.Iterate([]byte{classCount}, []byte{classEnd})
	defer it.Release()
	for it.Next() {
		b.Delete(it.Key())
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("keyspace: %w", err)
	}
	return nil
}

// publish brings what is kept in memory up to the commit that has been written,
// and makes that visible.
func (tx *Tx) publish(next *commit) {
	ks, w := tx.ks, tx.own
	if w.flushed {
		ks.cache.clear()
		for s := range ks.counts {
			ks.counts[s].Store(0)
		}
	}
	for i := range w.changes.list {
		c := &w.changes.list[i]
		ks.cache.put(c.hash, c.stored, c.now)
	}
	for s, n := range w.counts {
		ks.counts[s].Store(n)
	}
	ks.expiry.update(w.changes, w.flushed)
	ks.expired.Add(w.expired)
	ks.latest.Store(next)
}
