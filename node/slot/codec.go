package slot

import (
	"encoding/binary"
	"errors"
)

// ErrEncoding is returned for bytes that Append did not write.
var ErrEncoding = errors.New("slot: malformed set")

const rangeSize = 4

// Append appends a set's encoding: the number of its ranges as a uvarint, and the ends
// of each, two bytes with the higher one first.
func Append(dst []byte, s *Set) []byte {
	ranges := s.Ranges()
	dst = binary.AppendUvarint(dst, uint64(len(ranges)))
	for _, r := range ranges {
		dst = binary.BigEndian.AppendUint16(dst, r.Start)
		dst = binary.BigEndian.AppendUint16(dst, r.End)
	}
	return dst
}

// Take takes a set's encoding off b, and returns what comes after.
func Take(b []byte) (s Set, rest []byte, err error) {
	count, size := binary.Uvarint(b)
	if size <= 0 || count > Count {
		return Set{}, nil, ErrEncoding
	}
	b = b[size:]
	if uint64(len(b)) < count*rangeSize {
		return Set{}, nil, ErrEncoding
	}
	for range count {
		r := Range{Start: binary.BigEndian.Uint16(b), End: binary.BigEndian.Uint16(b[2:])}
		if r.Start > r.End || r.End >= Count {
			return Set{}, nil, ErrEncoding
		}
		s.AddRange(r)
		b = b[rangeSize:]
	}
	return s, b, nil
}
