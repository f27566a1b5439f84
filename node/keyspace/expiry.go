package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/genuineh/aikv/node/storage"
)

// soonest keeps the smallest time of expiry of all keys and fields, and how many
// keys have one.
type soonest struct {
	mu sync.Mutex
	// at is exact, or, if stale, a lower bound. math.MaxInt64: none.
	at    int64
	stale bool
	// keys counts the keys that have a time of expiry.
	keys int64
}

// update takes in a transaction's changes, after they are written.
func (s *soonest) update(changes *changeSet, flushed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if flushed {
		s.at, s.stale, s.keys = math.MaxInt64, false, 0
	}
	for i := range changes.list {
		c := &changes.list[i]
		old, now := c.old.deadline(), c.now.deadline()
		if old.whole && !flushed {
			s.keys--
		}
		if now.whole {
			s.keys++
		}
		if old.at != 0 && old.at == s.at {
			s.stale = true
		}
		if now.at != 0 {
			s.at = min(s.at, now.at)
		}
	}
}

// count fills keys from the store's expiry index.
func (s *soonest) count(store storage.Store) error {
	it := store.Iterate([]byte{classExpiry}, []byte{classExpiry + 1})
	defer it.Release()
	for it.Next() {
		if len(it.Value()) == 0 {
			s.keys++
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("keyspace: %w", err)
	}
	return nil
}

// Expiring returns how many stored keys have a time of expiry, counted as Len
// does.
func (ks *Keyspace) Expiring() int64 {
	ks.expiry.mu.Lock()
	defer ks.expiry.mu.Unlock()
	return ks.expiry.keys
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
		// deleted before it. A commit that is written but not published yet is
		// seen or not; its update corrects either.
		it := ks.store.Iterate(expiryBound(s.at), []byte{classExpiry + 1})
		defer it.Release()
		if it.Next() {
			s.at, s.stale = expiryAt(it.Key()), false
		} else if it.Err() == nil {
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

// dueKey is a key that has expired, or of which a field has.
type dueKey struct {
	index []byte // its stored key in the expiry index, which gives the order
	key   []byte
}

// DeleteExpired deletes up to limit keys that have expired by Now, or of whose
// hashes fields have, which are removed: those that expired first first. It
// returns how many. Which ones these are depends on the keys alone, not on what
// the transaction has done before.
func (tx *Tx) DeleteExpired(limit int) int {
	if limit <= 0 || !tx.begun() {
		return 0
	}
	due := tx.dueInStore(limit)
	for _, c := range tx.own.changes.list {
		if at := c.now.deadline().at; at != 0 && at <= tx.now {
			index := appendExpiryKey(nil, at, c.stored)
			due = append(due, dueKey{index, c.stored.key()})
		}
	}
	slices.SortFunc(due, func(a, b dueKey) int { return bytes.Compare(a.index, b.index) })
	due = due[:min(len(due), limit)]
	for _, d := range due {
		r := tx.ref(d.key)
		rec := tx.load(&r)
		if rec == nil && tx.err == nil {
			tx.err = fmt.Errorf("keyspace: expiry entry of %q without the key", d.key)
		}
		if tx.err != nil {
			return 0
		}
		if at := rec.meta.ExpireAt; at != 0 && at <= tx.now {
			tx.set(&r, rec, nil)
			continue
		}
		h := Hash{HashView: HashView{&tx.View, rec}, tx: tx, r: r}
		h.expire()
	}
	return len(due)
}

// dueInStore returns the first limit keys of the store's expiry index that are
// due and that the transaction has not changed.
func (tx *Tx) dueInStore(limit int) []dueKey {
	if tx.own.flushed || tx.now == math.MaxInt64 {
		return nil
	}
	from := tx.ks.expiry.bound()
	if from > tx.now {
		return nil
	}
	it := tx.ks.store.Iterate(expiryBound(from), expiryBound(tx.now+1))
	defer it.Release()
	var due []dueKey
	for len(due) < limit && it.Next() {
		index := bytes.Clone(it.Key())
		d := dueKey{index, expiryKey(index)}
		if tx.own.changes.find(tx.ref(d.key).hash, d.key) == nil {
			due = append(due, d)
		}
	}
	if err := it.Err(); err != nil {
		tx.err = fmt.Errorf("keyspace: %w", err)
	}
	return due
}
