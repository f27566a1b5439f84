package keyspace

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

// integerSet is a set of integers in the body of its metadata record, as Redis's
// intset: how many bytes each one has (1 byte: 2, 4 or 8), and then they in
// ascending order (big endian, the sign bit turned around, so that they sort).
// It never goes into pages: it has 512 members at most.
type integerSet struct {
	width int
	items []byte
}

// parseIntegerSet reads a body that checkIntegerSet has found sound.
func parseIntegerSet(body []byte) integerSet { return integerSet{int(body[0]), body[1:]} }

// checkIntegerSet reports whether a body of unknown origin is sound.
func checkIntegerSet(body []byte) bool {
	if len(body) < 2 || body[0] != 2 && body[0] != 4 && body[0] != 8 || (len(body)-1)%int(body[0]) != 0 {
		return false
	}
	in := parseIntegerSet(body)
	for i := 1; i < in.len(); i++ {
		if in.number(i-1) >= in.number(i) {
			return false
		}
	}
	return true
}

// widthOf returns how many bytes an integer needs.
func widthOf(n int64) int {
	switch {
	case n >= math.MinInt16 && n <= math.MaxInt16:
		return 2
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return 4
	default:
		return 8
	}
}

// appendInteger appends an integer in so many bytes, in which it fits.
func appendInteger(dst []byte, width int, n int64) []byte {
	u := uint64(n) ^ 1<<(8*width-1)
	switch width {
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(u))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(u))
	default:
		return binary.BigEndian.AppendUint64(dst, u)
	}
}

// integersOf returns the body of a set of members that are integers.
func integersOf(members [][]byte) []byte {
	numbers, width := make([]int64, len(members)), 2
	for i, member := range members {
		numbers[i], _ = integer(member)
		width = max(width, widthOf(numbers[i]))
	}
	slices.Sort(numbers)
	body := append(make([]byte, 0, 1+width*len(numbers)), byte(width))
	for _, n := range numbers {
		body = appendInteger(body, width, n)
	}
	return body
}

// of returns another set, which has integers alone, or nothing.
func (integerSet) of(other smallSet) integerSet {
	if in, ok := other.(integerSet); ok {
		return in
	}
	return integerSet{width: 2}
}

func (in integerSet) len() int { return len(in.items) / in.width }

func (in integerSet) number(i int) int64 {
	item := in.items[i*in.width:]
	switch in.width {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(item) ^ 1<<15))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(item) ^ 1<<31))
	default:
		return int64(binary.BigEndian.Uint64(item) ^ 1<<63)
	}
}

// find returns the position of a number, or of the first one above it.
func (in integerSet) find(n int64) (i int, ok bool) {
	from, to := 0, in.len()
	for from < to {
		middle := (from + to) / 2
		if in.number(middle) < n {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, from < in.len() && in.number(from) == n
}

func (in integerSet) has(member []byte) bool {
	n, ok := integer(member)
	if ok {
		_, ok = in.find(n)
	}
	return ok
}

func (in integerSet) at(n int) []byte { return strconv.AppendInt(nil, in.number(n), 10) }

func (in integerSet) each(yield func([]byte) bool) {
	const longest = len("-9223372036854775808")
	var digits []byte // of several members, each of which is handed out
	for i := range in.len() {
		if cap(digits)-len(digits) < longest {
			digits = make([]byte, 0, 256)
		}
		start := len(digits)
		digits = strconv.AppendInt(digits, in.number(i), 10)
		if !yield(digits[start:len(digits):len(digits)]) {
			return
		}
	}
}

// with returns the body of the set with a member more, an integer, in parts.
func (in integerSet) with(member []byte) [4][]byte {
	n, _ := integer(member)
	if width := widthOf(n); width > in.width {
		in = in.widened(width)
	}
	i, _ := in.find(n)
	at := i * in.width
	return [4][]byte{{byte(in.width)}, in.items[:at], appendInteger(nil, in.width, n), in.items[at:]}
}

// widened returns the set with more bytes for each member.
func (in integerSet) widened(width int) integerSet {
	wide := integerSet{width, make([]byte, 0, width*in.len())}
	for i := range in.len() {
		wide.items = appendInteger(wide.items, width, in.number(i))
	}
	return wide
}

func (in integerSet) without(member []byte) [3][]byte {
	n, _ := integer(member)
	i, _ := in.find(n)
	at := i * in.width
	return [3][]byte{{byte(in.width)}, in.items[:at], in.items[at+in.width:]}
}
