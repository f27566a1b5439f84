package keyspace

import "strconv"

// Redis keeps a list as one listpack up to largeList bytes, and a larger one as a
// quicklist until it has shrunk to half of that.
const (
	largeList     = 8 << 10 // list-max-listpack-size -2
	listpackFrame = 6 + 1   // header and end
)

// packedSize returns how many bytes an element takes in a listpack.
func packedSize(element []byte) int64 {
	size := int64(len(element))
	switch n, ok := integer(element); {
	case ok && 0 <= n && n < 1<<7:
		return 1 + 1
	case ok:
		size = integerSize(n)
	case size < 1<<6:
		size++
	case size < 1<<12:
		size += 2
	default:
		size += 5
	}
	switch { // and the same again, to go back
	case size < 1<<7:
		return size + 1
	case size < 1<<14-1:
		return size + 2
	case size < 1<<21-1:
		return size + 3
	case size < 1<<28-1:
		return size + 4
	default:
		return size + 5
	}
}

// integerSize returns how many bytes a number takes that does not fit into one.
func integerSize(n int64) int64 {
	for _, size := range []int64{2, 3, 4, 5} {
		bits := 8 * (size - 1)
		if size == 2 {
			bits = 13
		}
		if limit := int64(1) << (bits - 1); -limit <= n && n < limit {
			return size
		}
	}
	return 9
}

// integer returns the number that an element is the one way of writing.
func integer(element []byte) (n int64, ok bool) {
	const longest = len("-9223372036854775808")
	if len(element) == 0 || len(element) > longest || element[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(element), 10, 64)
	var digits [longest]byte
	return n, err == nil && string(strconv.AppendInt(digits[:0], n, 10)) == string(element)
}
