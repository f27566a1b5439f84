package records

import "encoding/binary"

// Record is a key and its value, or the word that the key is absent, in one piece
// of memory that does not change once it is shared:
//
//	length of the key << 2 | flags (4 bytes), key, value
//
// A nil Record says that nothing is known, or, where something is, that the key
// is absent.
type Record []byte

const (
	recordHeader = 4
	// flagAbsent: the key is not there.
	flagAbsent = 1

	// overhead is about what a record costs in memory beside its bytes: its place
	// in the table, and in the lists of its generation.
	overhead = 96
)

// New makes the record of a key whose value is given in parts. All are copied.
func New(key []byte, value ...[]byte) Record {
	size := recordHeader + len(key)
	for _, part := range value {
		size += len(part)
	}
	r := make(Record, recordHeader, size)
	binary.LittleEndian.PutUint32(r, uint32(len(key))<<2)
	r = append(r, key...)
	for _, part := range value {
		r = append(r, part...)
	}
	return r
}

func newAbsent(key []byte) Record {
	r := New(key)
	r[0] |= flagAbsent
	return r
}

func (r Record) keyEnd() int  { return recordHeader + int(binary.LittleEndian.Uint32(r)>>2) }
func (r Record) absent() bool { return r[0]&flagAbsent != 0 }

// Key returns the key, which must not be changed.
func (r Record) Key() []byte { end := r.keyEnd(); return r[recordHeader:end:end] }

// Value returns the value, which must not be changed.
func (r Record) Value() []byte { return r[r.keyEnd():] }

// known returns nil for the word that a key is absent.
func (r Record) known() Record {
	if r == nil || r.absent() {
		return nil
	}
	return r
}

// memory is about how many bytes the record takes.
func (r Record) memory() int64 { return int64(len(r)) + overhead }
