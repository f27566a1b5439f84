package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// errRecord is returned for bytes that are no record.
var errRecord = errors.New("malformed record")

// errPayload answers a payload that holds no command.
const errPayload = resp.Error("ERR the command cannot be read: too many arguments, or malformed")

const (
	recordMark = 0 // the first byte of this package's own payloads

	kindOwn  = 1
	kindSeal = 2
	// 3, 4 and 15 are package command's: see command.TransactionKind, AskingKind.
	kindWatch     = 6
	kindUnwatch   = 7
	kindImport    = 8
	kindPiece     = 9
	kindEndImport = 10
	kindDrop      = 11
	kindMark      = 12
)

// AppendOwn appends the payload with which the shard takes up slots. It acts on
// those slots alone whose epoch is below epoch.
func AppendOwn(dst []byte, slots slot.Set, epoch uint64) []byte {
	return appendRecord(dst, kindOwn, &slots, epoch)
}

// AppendSeal appends the payload with which the shard gives slots up. It acts
// on those slots alone whose epoch is below epoch.
func AppendSeal(dst []byte, slots slot.Set, epoch uint64) []byte {
	return appendRecord(dst, kindSeal, &slots, epoch)
}

// AppendWatch appends the payload with which the shard begins to log what changes in
// slots, for a job of migration. A job that watches already is left as it is.
func AppendWatch(dst []byte, job uint64, slots slot.Set) []byte {
	return appendRecord(dst, kindWatch, &slots, job)
}

// AppendUnwatch appends the payload that ends what AppendWatch began.
func AppendUnwatch(dst []byte, job uint64) []byte { return appendHead(dst, kindUnwatch, job) }

// AppendImport appends the payload with which the shard begins to import slots, for a
// job of migration: they are hidden from then on. It is answered with an error and
// changes nothing if the shard owns one of them, has it marked, holds keys of it, or
// imports it already.
func AppendImport(dst []byte, job uint64, slots slot.Set) []byte {
	return appendRecord(dst, kindImport, &slots, job)
}

// AppendPiece appends the payload with which the shard takes a piece of a job's slots. It
// acts if the job has come to the position from, and takes it to the position to; else
// it is answered with an error.
func AppendPiece(dst []byte, job uint64, from, to Position, p Piece) []byte {
	dst = appendHead(dst, kindPiece, job)
	// A position may have a large key in it: neither it nor the key of the last record
	// is written twice.
	before := from.Digest()
	dst = append(dst, before[:]...)
	last := byte(0)
	if len(to.After) > 0 && bytes.Equal(to.After, p.Last()) {
		last, to.After = 1, nil
	}
	dst = to.Append(append(dst, last))
	for _, n := range []uint64{p.Epoch, p.Complete, uint64(p.Now)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(dst, p.Records...)
}

// AppendEndImport appends the payload that forgets a job's import. What has come of slots
// that the shard does not own by then stays hidden, to be dropped.
func AppendEndImport(dst []byte, job uint64) []byte { return appendHead(dst, kindEndImport, job) }

// AppendDrop appends the payload that deletes up to limit keys of those of the slots that
// the shard does not own, whose epoch is not above epoch, and that no job imports and no
// mark opens. They are hidden until nothing of them is left. The reply is how many keys it
// has deleted.
func AppendDrop(dst []byte, slots slot.Set, epoch uint64, limit int) []byte {
	return binary.AppendUvarint(appendRecord(dst, kindDrop, &slots, epoch), uint64(limit))
}

// AppendMark appends the payload that marks slots, as CLUSTER SETSLOT does. It acts on
// those alone whose mark's epoch is below epoch.
func AppendMark(dst []byte, slots slot.Set, mark Mark, epoch uint64) []byte {
	return append(appendRecord(dst, kindMark, &slots, epoch), byte(mark))
}

func appendHead(dst []byte, kind byte, number uint64) []byte {
	return binary.AppendUvarint(append(dst, recordMark, kind), number)
}

func appendRecord(dst []byte, kind byte, slots *slot.Set, number uint64) []byte {
	return slot.Append(appendHead(dst, kind, number), slots)
}

// record is a decoded payload of this package.
type record struct {
	kind byte
	// number is an epoch, or a job.
	number uint64
	slots  slot.Set // of a piece: those that it has records of
	limit  int      // of a drop
	mark   Mark     // of a mark
	// from is the digest of the position before a piece, to the one behind it; to and
	// piece share the payload's memory.
	from  [sha256.Size]byte
	to    Position
	piece Piece
}

// decodeRecord reads a payload of this package, the mark included.
func decodeRecord(b []byte) (*record, error) {
	if len(b) < 2 || b[0] != recordMark {
		return nil, errRecord
	}
	r := &record{kind: b[1]}
	number, size := binary.Uvarint(b[2:])
	if size <= 0 {
		return nil, errRecord
	}
	r.number = number
	rest, ok := r.decodeRest(b[2+size:])
	if !ok || len(rest) != 0 {
		return nil, errRecord
	}
	return r, nil
}

// decodeRest reads what comes behind the number, and returns what comes after that.
func (r *record) decodeRest(b []byte) (rest []byte, ok bool) {
	switch r.kind {
	case kindUnwatch, kindEndImport:
		return b, true
	case kindPiece:
		return r.decodePiece(b)
	case kindOwn, kindSeal, kindWatch, kindImport, kindDrop, kindMark:
	default:
		return b, false
	}
	var err error
	if r.slots, b, err = slot.Take(b); err != nil {
		return b, false
	}
	switch r.kind {
	case kindDrop:
		limit, size := binary.Uvarint(b)
		if size <= 0 || limit > 1<<30 {
			return b, false
		}
		r.limit, b = int(limit), b[size:]
	case kindMark:
		if len(b) == 0 || b[0] > byte(MarkImporting) {
			return b, false
		}
		r.mark, b = Mark(b[0]), b[1:]
	}
	return b, true
}

func (r *record) decodePiece(b []byte) (rest []byte, ok bool) {
	if len(b) <= len(r.from) || b[len(r.from)] > 1 {
		return b, false
	}
	last := b[len(r.from)] == 1
	b = b[copy(r.from[:], b)+1:]
	if r.to, b, ok = keyspace.TakePosition(b); !ok {
		return b, false
	}
	var numbers [3]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<63-1 {
			return b, false
		}
		numbers[i], b = n, b[size:]
	}
	r.piece = Piece{Records: b, Epoch: numbers[0], Complete: numbers[1], Now: int64(numbers[2])}
	var err error
	if r.slots, err = r.piece.Check(); err != nil {
		return b, false
	}
	if last {
		if r.to.After != nil || len(b) == 0 {
			return b, false
		}
		r.to.After = r.piece.Last()
	}
	return nil, true
}
