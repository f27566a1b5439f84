package keyspace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/genuineh/aikv/node/slot"
)

// ErrPiece is the error of bytes that are no piece.
var ErrPiece = errors.New("keyspace: malformed piece of slots that move")

// Piece is a part of what slots hold, or of what has changed there: records, as they
// are stored where they come from.
type Piece struct {
	// Records is the encoding: see pieceWriter.
	Records []byte
	// Now is the replicated clock that the records come from, in unix ms.
	Now int64
	// Epoch is that of the last change of hands of the slots where they come from, as of
	// the state that the records are of: the newest one.
	Epoch uint64
	// Complete, if not 0, says that nothing is missing behind this piece of what was
	// there at a seal, and is the seal's epoch.
	Complete uint64
}

// Pulled is what Pull answers.
type Pulled struct {
	Piece
	// Next is the position behind the piece.
	Next Position
	// Rest is about how many records are left behind Next.
	Rest int64
	// Sealed is the epoch of the seal that covers all slots of the job in the state
	// that the piece comes from; 0: there is none.
	Sealed uint64
	// End says that nothing is behind Next in that state.
	End bool
}

// A record in a piece is a byte, 1 if the record is there and 0 if it is gone, its stored
// key behind its length, and, if it is there, its value behind its length.
const (
	pieceGone  = 0
	pieceThere = 1
)

func appendPieceRecord(dst, stored, value []byte, there bool) []byte {
	dst = append(dst, flag(there, pieceThere))
	dst = binary.AppendUvarint(dst, uint64(len(stored)))
	dst = append(dst, stored...)
	if there {
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		dst = append(dst, value...)
	}
	return dst
}

// pieceRecord is a record of a piece; it shares the piece's memory.
type pieceRecord struct {
	stored, value []byte
	there         bool
}

// takeRecord takes the next record off the encoding.
func (r *decoder) pieceRecord() (p pieceRecord) {
	kind := r.byte()
	p.stored = r.prefixed()
	if kind == pieceThere {
		p.value, p.there = r.prefixed(), true
	}
	if kind > pieceThere || r.failed {
		r.fail()
		return pieceRecord{}
	}
	return p
}

// check says what is wrong with the record.
func (p *pieceRecord) check() error {
	if len(p.stored) < 1+2 || binary.BigEndian.Uint16(p.stored[1:]) >= slot.Count {
		return ErrPiece
	}
	ok := false
	switch p.stored[0] {
	case classKey:
		if len(p.stored) < keyHeader {
			return ErrPiece
		}
		k := storedKey(p.stored)
		if ok = k.slot() == slot.Of(k.key()) && k.fingerprint() == fingerprint(k.key()); ok && p.there {
			if _, err := decodeRecord(k, p.value); err != nil {
				return fmt.Errorf("%w: %w", ErrPiece, err)
			}
		}
	case classPage:
		ok = len(p.stored) == pageKeySize
	case classRemains:
		ok = len(p.stored) == pageHeader && p.there && len(p.value) == 0
	}
	if !ok {
		return ErrPiece
	}
	return nil
}

// Check says what is wrong with a piece, and which slots its records are of. It knows
// values that this program knows.
func (p *Piece) Check() (slots slot.Set, err error) {
	r := decoder{rest: p.Records}
	for len(r.rest) > 0 {
		rec := r.pieceRecord()
		if r.failed {
			return slots, ErrPiece
		}
		if err := rec.check(); err != nil {
			return slots, err
		}
		slots.Add(slotOfRecord(rec.stored))
	}
	if r.failed || p.Now < 0 {
		return slots, ErrPiece
	}
	return slots, nil
}

// Last returns the stored key of the last record, nil if there is none.
func (p *Piece) Last() (stored []byte) {
	for r := (decoder{rest: p.Records}); len(r.rest) > 0; {
		stored = r.pieceRecord().stored
	}
	return stored
}

// Append appends the encoding, which travels between nodes; package transport protects
// none of it, so a checksum of all before ends it.
func (p *Pulled) Append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, flag(p.End, 1))
	dst = p.Next.Append(dst)
	for _, n := range []uint64{uint64(p.Rest), p.Sealed, p.Epoch, p.Complete, uint64(p.Now), uint64(len(p.Records))} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = append(dst, p.Records...)
	return binary.BigEndian.AppendUint32(dst, fingerprint(dst[from:]))
}

// DecodePulled reads what Append has made, whose memory it shares.
func DecodePulled(b []byte) (p Pulled, err error) {
	const sum = 4
	if len(b) < sum {
		return Pulled{}, ErrPiece
	}
	body := b[:len(b)-sum]
	if !bytes.Equal(binary.BigEndian.AppendUint32(nil, fingerprint(body)), b[len(body):]) {
		return Pulled{}, fmt.Errorf("%w: its checksum does not hold", ErrPiece)
	}
	r := decoder{rest: body}
	end := r.byte()
	p.End, p.Next = end == 1, r.position()
	p.Rest, p.Sealed = int64(r.uvarint()), r.uvarint()
	p.Epoch, p.Complete = r.uvarint(), r.uvarint()
	p.Now, p.Records = int64(r.uvarint()), r.prefixed()
	if r.failed || end > 1 || len(r.rest) != 0 || p.Rest < 0 || p.Now < 0 {
		return Pulled{}, ErrPiece
	}
	return p, nil
}
