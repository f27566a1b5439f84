package keyspace

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/genuineh/aikv/node/slot"
)

// While a job watches slots, whatever an entry changes of their records is written
// down in the job's change log, by the stored keys. A key stands there once, at the
// last entry that changed it, so the log is never larger than what there is to copy:
//
//	60 log:12 0 index:8 number:4    the stored key of a record that entry has changed
//	60 log:12 1 key                 where that stands: index:8 number:4
//
// The changes of an entry are numbered in the order of their keys, at its end. So the
// log is a function of the entries, whatever they were committed with.
//
// A log has a number of its own (logID), never given again: what is left of one that
// nobody needs is swept as the pages of big values are, behind the record
//
//	50 ffff log:12

// logID is the number of a change log: the version of the change that began it.
type logID [8 + 4]byte

func newLogID(v Version) (id logID) {
	binary.BigEndian.PutUint64(id[:], v.Index)
	binary.BigEndian.PutUint32(id[8:], v.Op)
	return id
}

func (id logID) index() uint64 { return binary.BigEndian.Uint64(id[:]) }

const (
	byPlace = 0
	byKey   = 1
	// placeHeader is how many bytes stand before the place in a key of the log.
	placeHeader = 1 + len(logID{}) + 1
	placeSize   = 8 + 4
)

// appendLog appends what the keys of a part of the log begin with.
func (id logID) append(dst []byte, part byte) []byte {
	return append(append(append(dst, classChange), id[:]...), part)
}

func appendPlace(dst []byte, index uint64, number uint32) []byte {
	dst = binary.BigEndian.AppendUint64(dst, index)
	return binary.BigEndian.AppendUint32(dst, number)
}

// noSlot is where the remains of change logs are filed.
const noSlot = 0xffff

// slotOfRecord returns the slot of a record of a key, a page, or remains.
func slotOfRecord(stored []byte) uint16 {
	return binary.BigEndian.Uint16(stored[1:]) & (slot.Count - 1)
}

// touch notes that a record changes, of a key, a page or remains.
func (tx *Tx) touch(stored []byte) {
	w := tx.own
	if w.moves.watched.Has(slotOfRecord(stored)) {
		w.touched = append(w.touched, bytes.Clone(stored))
	}
}

// logChanges writes down what the entry has changed, at its end.
func (tx *Tx) logChanges() {
	w := tx.own
	if len(w.touched) == 0 {
		return
	}
	slices.SortFunc(w.touched, bytes.Compare)
	w.touched = slices.CompactFunc(w.touched, bytes.Equal)
	var watches []watching
	if w.moves != nil { // the last watch may have ended with the same entry
		watches = w.moves.watches
	}
	for i := range watches {
		job, number := &watches[i], uint32(0)
		if job.lost {
			continue
		}
		for _, stored := range w.touched {
			if job.slots.Has(slotOfRecord(stored)) {
				w.logChange(job.log, stored, number)
				number++
			}
		}
	}
	clear(w.touched)
	w.touched = w.touched[:0]
}

func (w *writeState) logChange(log logID, stored []byte, number uint32) {
	key := append(log.append(nil, byKey), stored...)
	place := appendPlace(nil, w.index, number)
	if was, ok := w.recs.Get(key); ok {
		w.recs.Erase(append(log.append(nil, byPlace), was...), stored)
		w.recs.Replace(key, was, place)
	} else {
		w.recs.Insert(key, place)
	}
	w.recs.Insert(append(log.append(nil, byPlace), place...), stored)
}

// BeginLog begins to log the changes of slots for a job, and returns whether it did: not
// if the job watches already.
func (tx *Tx) BeginLog(job uint64, slots *slot.Set) bool {
	w := tx.own
	if !tx.begun() || w.moves.watchOf(job) >= 0 {
		return false
	}
	next := w.moves.clone()
	next.watches = append(next.watches, watching{job: job, slots: *slots, log: newLogID(tx.nextVersion())})
	tx.setMoves(next)
	return true
}

// EndLog ends a job's log, and returns whether there was one.
func (tx *Tx) EndLog(job uint64) bool {
	w := tx.own
	i := w.moves.watchOf(job)
	if !tx.begun() || i < 0 {
		return false
	}
	next := w.moves.clone()
	if was := next.watches[i]; !was.lost {
		w.recs.Insert(append(remainsPrefix(noSlot), was.log[:]...), nil)
	}
	next.watches = slices.Delete(next.watches, i, i+1)
	tx.setMoves(next)
	return true
}

// setMoves makes next the moves of the transaction's state.
func (tx *Tx) setMoves(next *moves) {
	w := tx.own
	next.sort()
	w.moves, w.dirty = next.derive(), true
}
