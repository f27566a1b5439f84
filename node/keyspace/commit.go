package keyspace

import (
	"maps"
	"slices"

	"github.com/genuineh/aikv/node/keyspace/records"
)

// Commit makes the transaction visible to new views. It ends the transaction,
// whatever it returns. It changes memory alone: a checkpoint brings the changes to
// the store, later, and if one has failed every transaction fails with that.
func (tx *Tx) Commit() error {
	if tx.closed {
		return ErrEnded
	}
	defer tx.Discard()
	if tx.Err() != nil || !tx.own.dirty {
		return tx.Err()
	}
	ks, w := tx.ks, tx.own
	tx.logChanges()
	tx.putMoves()
	tx.putCounts()
	mark := records.Mark{
		Applied: w.index, Clock: tx.now,
		Sums: [3]int64{w.total.keys, w.total.expiring, w.hidden}, Note: w.moves,
	}
	if err := tx.publish(mark); err != nil {
		return err
	}
	if w.flushed {
		ks.clearCounts()
	}
	for s, n := range w.counts {
		ks.counts[s].set(n)
	}
	ks.expiry.update(w)
	ks.dropped = w.dropped
	ks.expired.Add(w.expired)
	return nil
}

// publish commits the records.
func (tx *Tx) publish(mark records.Mark) error {
	if sizes := tx.ks.sizes.Load(); sizes != nil {
		return sizes.commit(tx.own.recs, mark, tx.own.flushed)
	}
	return tx.own.recs.Commit(mark)
}

// putMoves makes a record of the moves, if they have changed.
func (tx *Tx) putMoves() {
	if was, _ := tx.own.recs.Mark().Note.(*moves); was != tx.own.moves {
		tx.PutMeta(movesName, tx.own.moves.encode())
	}
}

// putCounts makes records of the counts that have changed, in an order that is a
// function of the entries alone.
func (tx *Tx) putCounts() {
	w := tx.own
	var old, now []byte
	for _, s := range slices.Sorted(maps.Keys(w.counts)) {
		n, had := w.counts[s], slotCounts{}
		if !w.flushed {
			had = tx.ks.counts[s].get()
		}
		if n == had {
			continue
		}
		key := countKey(s)
		old, now = had.append(old[:0]), n.append(now[:0])
		switch {
		case had.keys == 0:
			w.recs.Insert(key, now)
		case n.keys == 0:
			w.recs.Erase(key, old)
		default:
			w.recs.Replace(key, old, now)
		}
	}
}
