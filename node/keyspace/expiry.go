package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"sync"
)

// soonest keeps the smallest time of expiry of all keys and fields.
type soonest struct {
	mu sync.Mutex
	// at is exact, or, if stale, a lower bound. math.MaxInt64: none.
	at    int64
	stale bool
}

// update takes in a transaction's changes, after they are committed.
func (s *soonest) update(w *writeState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.flushed {
		s.at, s.stale = math.MaxInt64, false
	}
	if w.added != 0 {
		s.at = min(s.at, w.added)
	}
	if w.removed != 0 && w.removed <= s.at {
		s.stale = true
	}
	switch {
	case w.shown: // what expires next may be among it
		s.at, s.stale = 0, true
	case w.passed != 0 && s.stale:
		passed := w.passed
		if w.added != 0 {
			passed = min(passed, w.added)
		}
		s.at = max(s.at, passed)
	}
}

// bound returns a lower bound of all times of expiry.
func (s *soonest) bound() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// NextExpiry returns the soonest time at which a key or a field expires, in unix ms; ok is
// false if none does. It costs a look at the store only after the key that was
// the soonest has changed. An error of the store shows as no expiry here, and
// again wherever the store is used.
func (ks *Keyspace) NextExpiry() (at int64, ok bool) {
	s := &ks.expiry
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale {
		// Beginning at the old bound skips what goleveldb keeps of the entries
		// deleted before it. A commit that is not seen here has yet to update what
		// is found.
		v := ks.recs.View()
		defer v.Close()
		w := v.Walk(expiryBound(s.at), []byte{classExpiry + 1})
		defer w.Release()
		moves, _ := v.Mark().Note.(*moves)
		found := w.Next()
		for found && moves.hides(expirySlot(w.Key())) {
			found = w.Next()
		}
		if found {
			s.at, s.stale = expiryAt(w.Key()), false
		} else if v.Err() == nil {
			s.at, s.stale = math.MaxInt64, false
		} else {
			return 0, false
		}
	}
	if s.at == math.MaxInt64 {
		return 0, false
	}
	return s.at, true
}

// DeleteExpired deletes up to limit keys and fields of hashes that have expired by
// Now, and few more: those that expired first first. It returns how many. Which
// ones these are depends on the keys alone, not on what the transaction has done
// before. Keys that are hidden are left: whoever has their slots decides.
func (tx *Tx) DeleteExpired(limit int) (deleted int) {
	if limit <= 0 || !tx.begun() {
		return 0
	}
	due := tx.due(limit)
	for _, key := range due {
		if deleted >= limit {
			break
		}
		r := tx.ref(key)
		rec := tx.load(&r)
		if rec == nil && tx.Err() == nil {
			tx.err = fmt.Errorf("keyspace: expiry entry of %q without the key", key)
		}
		if tx.Err() != nil {
			return 0
		}
		if at := rec.meta.ExpireAt; at != 0 && at <= tx.now {
			tx.remove(&r, rec)
			deleted++
			continue
		}
		h := Hash{HashView{valueView{TypeHash, &tx.View, rec}}, value{tx, r}}
		deleted += h.expire(limit - deleted)
	}
	return deleted
}

// due returns the keys of the first limit expiry entries that are due.
func (tx *Tx) due(limit int) (keys [][]byte) {
	from := tx.ks.expiry.bound()
	if at := tx.own.added; at != 0 {
		from = min(from, at)
	}
	if from > tx.now || tx.now == math.MaxInt64 {
		return nil
	}
	w := tx.own.recs.Walk(expiryBound(from), expiryBound(tx.now+1))
	defer w.Release()
	first, hidden := tx.now+1, false
	for len(keys) < limit && w.Next() {
		if tx.own.moves.hides(expirySlot(w.Key())) {
			hidden = true
			continue
		}
		if len(keys) == 0 {
			first = expiryAt(w.Key())
		}
		keys = append(keys, bytes.Clone(expiryKey(w.Key())))
	}
	if hidden && tx.Err() == nil {
		// The next sweep need not pass the same ones again.
		tx.own.passed = first
	}
	return keys
}
