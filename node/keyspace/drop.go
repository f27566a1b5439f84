package keyspace

import (
	"bytes"

	"github.com/genuineh/aikv/node/slot"
)

// Drop deletes up to limit keys of slots that nobody may look at any more: they are
// hidden until nothing of them is left. It leaves those alone that an import brings, and
// returns how many keys it has deleted.
func (tx *Tx) Drop(slots *slot.Set, limit int) (deleted int) {
	if !tx.begun() {
		return 0
	}
	tx.hide(slots)
	var done slot.Set
	for s := range slots.All {
		if deleted >= limit || tx.Err() != nil {
			break
		}
		if tx.own.moves == nil || !tx.own.moves.dropping.Has(s) {
			continue
		}
		deleted += tx.dropSlot(s, limit-deleted)
		if tx.stored(s).keys == 0 {
			done.Add(s)
		}
	}
	if !done.Empty() {
		next := tx.own.moves.clone()
		next.dropping.Subtract(&done)
		tx.setMoves(next)
	}
	return deleted
}

// hide hides those of slots that have keys, to be dropped.
func (tx *Tx) hide(slots *slot.Set) {
	w := tx.own
	var fresh slot.Set
	for s := range slots.All {
		if !w.moves.hides(s) && tx.stored(s).keys > 0 {
			fresh.Add(s)
		}
	}
	if fresh.Empty() {
		return
	}
	next := w.moves.clone()
	next.dropping.Union(&fresh)
	tx.setMoves(next)
	w.hidden += tx.storedIn(&fresh)
	w.dropped = dropped{}
}

// dropped is where dropSlot has come to in a slot. It says nothing of what is there, but
// where nothing is.
type dropped struct {
	slot  uint16
	after storedKey // nil: nowhere
}

// dropSlot deletes keys of a slot. Nobody puts any there meanwhile, so it goes on behind
// the last one: to find the first one again would cost more with each that is gone.
func (tx *Tx) dropSlot(s uint16, limit int) (deleted int) {
	w := tx.own
	lower := appendKeyPrefix(nil, s, 0)
	if w.dropped.slot == s && w.dropped.after != nil {
		lower = append(bytes.Clone(w.dropped.after), 0)
	}
	var found []storedKey
	walk := w.recs.Walk(lower, slotEnd(s))
	for len(found) < limit && walk.Next() {
		found = append(found, bytes.Clone(walk.Key()))
	}
	walk.Release()
	for _, stored := range found {
		r := ref{key: stored.key(), stored: stored}
		if rec := tx.load(&r); rec != nil {
			tx.remove(&r, rec)
			deleted++
		}
		w.dropped = dropped{s, stored}
	}
	if tx.stored(s).keys == 0 {
		w.dropped = dropped{}
	}
	return deleted
}
