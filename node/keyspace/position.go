package keyspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// Position is how far the copy of a job's slots has come. First all records are gone
// over in their order, then those that have changed meanwhile, in the order of the
// change log. The zero value is the beginning.
type Position struct {
	// Changes says that the records have been gone over.
	Changes bool
	// Index and Number are the next change: the index of its entry, and its number
	// among those of the entry. Until the records have been gone over they say where
	// the changes will begin.
	Index  uint64
	Number uint32
	// After is the stored key of the last record that was gone over; nil: none was.
	After []byte
}

// Equal reports whether two positions are the same.
func (p Position) Equal(o Position) bool {
	return p.Changes == o.Changes && p.Index == o.Index && p.Number == o.Number && bytes.Equal(p.After, o.After)
}

// Digest returns what tells the position from all others, in few bytes.
func (p Position) Digest() [sha256.Size]byte { return sha256.Sum256(p.Append(nil)) }

// Append appends the encoding.
func (p Position) Append(dst []byte) []byte {
	dst = append(dst, flag(p.Changes, 1))
	dst = binary.AppendUvarint(dst, p.Index)
	dst = binary.AppendUvarint(dst, uint64(p.Number))
	dst = binary.AppendUvarint(dst, uint64(len(p.After)))
	return append(dst, p.After...)
}

// TakePosition takes a position's encoding off b, whose memory it shares, and returns
// what comes after; ok is false if there is none.
func TakePosition(b []byte) (p Position, rest []byte, ok bool) {
	d := decoder{rest: b}
	p = d.position()
	return p, d.rest, !d.failed
}

func (r *decoder) position() (p Position) {
	kind, number := r.byte(), uint64(0)
	p.Index, number = r.uvarint(), r.uvarint()
	if p.After = r.prefixed(); len(p.After) == 0 {
		p.After = nil
	}
	if kind > 1 || number > 1<<32-1 {
		r.fail()
	}
	if r.failed {
		return Position{}
	}
	p.Changes, p.Number = kind == 1, uint32(number)
	return p
}
