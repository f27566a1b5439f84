package keyspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/genuineh/aikv/node/slot"
)

// What a job brings is written as it came, with two exceptions, both so that what the
// keyspace has promised to be unique stays so though a slot may leave and return:
//
//   - A key gets a version of the entry that took it.
//   - A big value gets another number, made of the job's and the one it had. Slots that
//     return would else bring numbers with them that were here before, and whose
//     pages may still be about to be swept. And all pages that a job has brought of a
//     slot are one range, so that one record of remains ends them when it is canceled.

// jobPrefix is how many bytes of a stored page, its class aside, are the slot and the
// job.
const jobPrefix = 2 + 8

// translated returns the number that an object gets here.
func translated(job uint64, id []byte) (to objectID) {
	binary.BigEndian.PutUint64(to[:], job)
	var from [8 + objectSize]byte
	binary.BigEndian.PutUint64(from[:], job)
	copy(from[8:], id)
	sum := sha256.Sum256(from[:])
	copy(to[8:], sum[:])
	return to
}

var (
	// ErrImportOverlaps is the error of an import of slots that are not free for it:
	// another one brings them, or keys of them are here.
	ErrImportOverlaps = errors.New("keyspace: the slots hold keys, or are under import")
	// ErrNoImport is the error of a piece for a job that brings nothing here.
	ErrNoImport = errors.New("keyspace: no such import")
	// ErrImportFailed is the error of a piece for an import that a flush has ended.
	ErrImportFailed = errors.New("keyspace: the keyspace was flushed during the import")
	// ErrOutOfStep is the error of a piece that does not go on where the last one
	// has ended.
	ErrOutOfStep = errors.New("keyspace: the piece does not follow the last one")
)

// Import begins a job that brings slots here: they are hidden from now on. It changes
// nothing if the job has begun already.
func (tx *Tx) Import(job uint64, slots *slot.Set) error {
	w := tx.own
	if !tx.begun() {
		return tx.Err()
	}
	if i := w.moves.importOf(job); i >= 0 {
		if w.moves.imports[i].slots != *slots {
			return ErrImportOverlaps
		}
		return nil
	}
	for s := range slots.All {
		if w.moves.hides(s) || tx.stored(s).keys > 0 {
			return ErrImportOverlaps
		}
	}
	next := w.moves.clone()
	next.imports = append(next.imports, importing{job: job, slots: *slots, left: *slots})
	tx.setMoves(next)
	return nil
}

// Take takes a piece of a job behind a position, of which from is the digest, up to another
// one; slots are what the piece's Check has said. After an error it has changed nothing.
func (tx *Tx) Take(job uint64, from [sha256.Size]byte, to Position, p *Piece, slots slot.Set) error {
	w := tx.own
	if !tx.begun() {
		return tx.Err()
	}
	i := w.moves.importOf(job)
	switch {
	case i < 0:
		return ErrNoImport
	case w.moves.imports[i].failed:
		return ErrImportFailed
	case w.moves.imports[i].at.Digest() != from:
		return ErrOutOfStep
	case w.moves.imports[i].complete >= p.Epoch && w.moves.imports[i].complete != 0:
		// Where it comes from, the slots were not taken up again since the seal.
		return ErrOutOfStep
	}
	if slots.Subtract(&w.moves.imports[i].left); !slots.Empty() {
		return ErrPiece
	}
	next := w.moves.clone()
	in := &next.imports[i]
	for r := (decoder{rest: p.Records}); len(r.rest) > 0; {
		rec := r.pieceRecord()
		tx.take(in, &rec)
	}
	in.at, in.complete, in.bytes = to, p.Complete, in.bytes+uint64(len(p.Records))
	in.at.After = bytes.Clone(to.After)
	tx.setMoves(next)
	tx.now = max(tx.now, min(p.Now, w.time+aheadLimit))
	return tx.Err()
}

// aheadLimit is by how much a piece may set the clock forward of its entry, in ms. What
// has expired where it comes from shall not be seen again here.
const aheadLimit = 1000

func (tx *Tx) take(in *importing, rec *pieceRecord) {
	w := tx.own
	switch rec.stored[0] {
	case classKey:
		tx.takeKey(in.job, rec)
	case classPage:
		in.paged.Add(slotOfRecord(rec.stored))
		id := translated(in.job, rec.stored[3:pageHeader])
		key := pageKey(slotOfRecord(rec.stored), id, binary.BigEndian.Uint32(rec.stored[pageHeader:]))
		if rec.there {
			w.recs.Put(key[:], rec.value)
		} else {
			w.recs.Delete(key[:])
		}
	case classRemains:
		w.recs.Put(remainsKey(slotOfRecord(rec.stored), translated(in.job, rec.stored[3:])), nil)
	}
}

// takeKey takes the record of a key. What becomes of the object of the one before is
// not its business: that comes by itself.
func (tx *Tx) takeKey(job uint64, rec *pieceRecord) {
	stored := storedKey(bytes.Clone(rec.stored))
	r := ref{key: stored.key(), stored: stored}
	old := tx.load(&r)
	if !rec.there {
		if old != nil {
			tx.set(&r, old, nil)
		}
		return
	}
	now, err := decodeRecord(stored, rec.value)
	if err != nil {
		tx.err = err // Check has read it
		return
	}
	body := now.body
	if id, big := now.object(); big {
		id = translated(job, id[:])
		body = append(id[:], body[objectSize:]...)
	}
	meta := now.meta
	meta.Version = tx.nextVersion()
	tx.set(&r, old, tx.newRecord(stored, meta, now.soonest, body))
}

// EndImport forgets a job, and returns whether there was one. Slots that it has not shown
// by then hold what is to be dropped.
func (tx *Tx) EndImport(job uint64) bool {
	w := tx.own
	i := w.moves.importOf(job)
	if !tx.begun() || i < 0 {
		return false
	}
	next := w.moves.clone()
	in := next.imports[i]
	next.imports = slices.Delete(next.imports, i, i+1)
	for s := range in.left.All {
		if in.paged.Has(s) {
			w.recs.Put(binary.BigEndian.AppendUint64(remainsPrefix(s), job), nil)
		}
		if tx.stored(s).keys > 0 {
			next.dropping.Add(s)
		}
	}
	tx.setMoves(next)
	return true
}

// Show shows slots that imports have brought, and returns those that it can not show: what
// is there of them is not complete as of the epoch, or to be dropped.
func (tx *Tx) Show(slots *slot.Set, epoch uint64) (refused slot.Set) {
	w := tx.own
	if w.moves == nil || !tx.begun() {
		return refused
	}
	next, shown := w.moves.clone(), slot.Set{}
	for s := range slots.All {
		switch i := w.moves.bringing(s); {
		case i >= 0 && w.moves.imports[i].complete == epoch && !w.moves.imports[i].failed:
			next.imports[i].left.Remove(s)
			shown.Add(s)
		case w.moves.hides(s):
			refused.Add(s)
		}
	}
	if !shown.Empty() {
		w.hidden -= tx.storedIn(&shown)
		w.shown = true
		tx.setMoves(next)
	}
	return refused
}

// bringing returns the index of the import that hides a slot, -1 if none does.
func (m *moves) bringing(s uint16) int {
	if !m.hides(s) {
		return -1
	}
	return slices.IndexFunc(m.imports, func(in importing) bool { return in.left.Has(s) })
}

// storedIn returns how many keys are stored of slots.
func (tx *Tx) storedIn(slots *slot.Set) (keys int64) {
	for s := range slots.All {
		keys += tx.stored(s).keys
	}
	return keys
}
