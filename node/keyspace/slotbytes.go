package keyspace

import (
	"sync"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/keyspace/tree"
	"github.com/genuineh/aikv/node/slot"
)

// slotBytes is about how many bytes the keys of each slot take. A slot is counted by a
// walk over its keys when somebody first asks for it, and from then on by what commits
// change; of a keyspace that nobody has asked there is none. It is this process's own
// and no part of the state.
type slotBytes struct {
	// mu is held while a commit is published, and while a slot's count begins.
	mu      sync.Mutex
	counted slot.Set
	flushes uint64
	bytes   [slot.Count]int64
}

const (
	// keyOverhead is about what a key takes beside itself and its value: the header of
	// its record, an index entry, and its share of tables and filters.
	keyOverhead = 48
	// usualPage is about how many bytes a page of a big value has.
	usualPage = tree.DefaultPageSize * 3 / 4
)

// takes returns about how many bytes a key takes with its value, as its record tells.
func (r *record) takes() int64 {
	n := int64(len(r.stored.key())+len(r.body)) + keyOverhead
	for _, root := range r.roots() {
		n += int64(root.Pages) * usualPage
	}
	return n
}

// SlotBytes returns about how many bytes the keys of a slot take, expired ones included
// until they are swept. The first time, it looks at each of them.
func (ks *Keyspace) SlotBytes(s uint16) (int64, error) {
	b := ks.sizes.Load()
	if b == nil {
		b = ks.beginSizes()
	}
	b.mu.Lock()
	if b.counted.Has(s) {
		defer b.mu.Unlock()
		return b.bytes[s], nil
	}
	view, flushes := ks.View(0), b.flushes
	defer view.Close()
	b.counted.Add(s)
	b.bytes[s] = 0 // commits from here on change it
	b.mu.Unlock()

	total := int64(0)
	w := view.walk(appendKeyPrefix(nil, s, 0), slotEnd(s))
	w.hidden = nil // commits count what is hidden as well
	for w.next() {
		total += w.rec.takes()
	}
	w.release()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := view.Err(); err != nil {
		b.counted.Remove(s)
		return 0, err
	}
	if b.flushes == flushes { // else what was found is gone
		b.bytes[s] += total
	}
	return b.bytes[s], nil
}

// ForgetSlotBytes ends the counting that SlotBytes has begun.
func (ks *Keyspace) ForgetSlotBytes() { ks.sizes.Store(nil) }

// beginSizes has commits count. None is under way when it does: each knows of it, or
// is in what the first walk sees.
func (ks *Keyspace) beginSizes() *slotBytes {
	tx := ks.recs.Begin()
	defer tx.Discard()
	ks.sizes.CompareAndSwap(nil, new(slotBytes))
	return ks.sizes.Load()
}

// commit commits a transaction, and counts what it changes.
func (b *slotBytes) commit(tx *records.Tx, mark records.Mark, flushed bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if flushed {
		b.flushes++
		b.bytes = [slot.Count]int64{}
	}
	tx.Changes(func(old, now records.Record) {
		for n, rec := range [...]records.Record{old, now} {
			if rec == nil || rec.Key()[0] != classKey {
				continue
			}
			var r record
			s := storedKey(rec.Key()).slot()
			if !b.counted.Has(s) || r.readKept(rec) != nil {
				continue
			}
			if n == 0 {
				b.bytes[s] -= r.takes()
			} else {
				b.bytes[s] += r.takes()
			}
		}
	})
	return tx.Commit(mark)
}
