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
	// in the table, of which half is free, and what its memory is larger.
	overhead = 64
	// dirtyOverhead is what its place in the lists of its generation costs.
	dirtyOverhead = 48
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

// Draft makes a record without a value, whose memory has room for one. Whoever
// makes it may append up to that to it, until it is shared.
func Draft(key []byte, room int) Record {
	return draftIn(make(Record, 0, recordHeader+len(key)+room), key)
}

// draftIn is Draft in memory that is large enough.
func draftIn(memory Record, key []byte) Record {
	memory = memory[:recordHeader]
	binary.LittleEndian.PutUint32(memory, uint32(len(key))<<2)
	return append(memory, key...)
}

// Memory returns the memory of the value, as long as that may grow.
func (r Record) Memory() []byte { return r[r.keyEnd():cap(r)] }

// WithValue returns the record with the first bytes of that as its value.
func (r Record) WithValue(size int) Record { return r[:r.keyEnd()+size] }

func newAbsent(key []byte) Record {
	r := New(key)
	r[0] |= flagAbsent
	return r
}

func (r Record) keyEnd() int  { return recordHeader + int(binary.LittleEndian.Uint32(r)>>2) }
func (r Record) absent() bool { return r[0]&flagAbsent != 0 }

// Key returns the key, which must not be changed.
func (r Record) Key() []byte { end := r.keyEnd(); return r[recordHeader:end:end] }

// has reports whether the record is that of a key.
func (r Record) has(key []byte) bool {
	end := recordHeader + len(key)
	return len(r) >= end && r.keyEnd() == end && string(r[recordHeader:end]) == string(key)
}

// Value returns the value, which must not be changed.
func (r Record) Value() []byte { return r[r.keyEnd():len(r):len(r)] }

// known returns nil for the word that a key is absent.
func (r Record) known() Record {
	if r == nil || r.absent() {
		return nil
	}
	return r
}

// memory is about how many bytes the record takes where it is clean.
func (r Record) memory() int64 { return int64(cap(r)) + overhead }
