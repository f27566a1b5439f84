package keyspace

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
)

// StreamID names an entry of a stream: a time in unix ms, and a number among those of
// the same time. Entries are in the order of their ids. The zero value is that of no
// entry.
type StreamID struct{ MS, Seq uint64 }

// MaxStreamID is the last id.
var MaxStreamID = StreamID{math.MaxUint64, math.MaxUint64}

// Compare returns -1, 0 or 1: whether the id is before, the same as, or behind another.
func (id StreamID) Compare(other StreamID) int {
	return cmp.Or(cmp.Compare(id.MS, other.MS), cmp.Compare(id.Seq, other.Seq))
}

// Next returns the id behind this one; there is none behind MaxStreamID.
func (id StreamID) Next() (next StreamID, ok bool) {
	switch {
	case id.Seq < math.MaxUint64:
		return StreamID{id.MS, id.Seq + 1}, true
	case id.MS < math.MaxUint64:
		return StreamID{id.MS + 1, 0}, true
	default:
		return StreamID{}, false
	}
}

// Before returns the id before this one; there is none before the zero value.
func (id StreamID) Before() (before StreamID, ok bool) {
	switch {
	case id.Seq > 0:
		return StreamID{id.MS, id.Seq - 1}, true
	case id.MS > 0:
		return StreamID{id.MS - 1, math.MaxUint64}, true
	default:
		return MaxStreamID, false
	}
}

// Append appends the id as text: 1526919030474-55.
func (id StreamID) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, id.MS, 10), '-')
	return strconv.AppendUint(dst, id.Seq, 10)
}

func (id StreamID) String() string { return string(id.Append(nil)) }

// streamIDSize is how long ids are as keys.
const streamIDSize = 16

// appendKey appends the id so that it sorts.
func (id StreamID) appendKey(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, id.MS)
	return binary.BigEndian.AppendUint64(dst, id.Seq)
}

// streamIDOf reads what appendKey has written at the end of a key.
func streamIDOf(key []byte) StreamID {
	if len(key) < streamIDSize {
		return StreamID{}
	}
	key = key[len(key)-streamIDSize:]
	return StreamID{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}
}
