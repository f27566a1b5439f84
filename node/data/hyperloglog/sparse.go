package hyperloglog

import "slices"

// opcode is one element of a sparse sketch's registers: n registers in a row have that
// value.
//
//	00nnnnnn           n+1 registers are 0
//	01nnnnnn nnnnnnnn  the same for larger numbers
//	1vvvvvnn           n+1 registers are v+1
type opcode struct {
	n     int
	value byte
	size  int // in bytes
}

const (
	largeZero = 64 // registers; more zeros take two bytes
	mostSame  = 4  // registers other than 0 in one opcode
	maxValue  = 32 // of a register

	// sparseLimit is Redis's hll-sparse-max-bytes: a sketch that would become larger
	// becomes dense.
	sparseLimit = 3000
)

// read returns the opcode at the beginning of b, one without a size if there is none.
func read(b []byte) opcode {
	switch {
	case len(b) == 0:
		return opcode{}
	case b[0]&0x80 != 0:
		return opcode{n: int(b[0]&3) + 1, value: b[0]>>2&31 + 1, size: 1}
	case b[0]&0x40 == 0:
		return opcode{n: int(b[0]) + 1, size: 1}
	case len(b) == 1:
		return opcode{}
	default:
		return opcode{n: int(b[0]&63)<<8 + int(b[1]) + 1, size: 2}
	}
}

// append appends the opcode, whose size does not matter, if it has any registers.
func (o opcode) append(dst []byte) []byte {
	n := o.n - 1
	switch {
	case o.n == 0:
		return dst
	case o.value > 0:
		return append(dst, 0x80|(o.value-1)<<2|byte(n))
	case o.n <= largeZero:
		return append(dst, byte(n))
	default:
		return append(dst, 0x40|byte(n>>8), byte(n))
	}
}

// sparseRuns is sketch.runs.
func sparseRuns(body []byte, yield func(first, n int, value byte)) bool {
	first := 0
	for len(body) > 0 {
		o := read(body)
		if o.size == 0 || o.n > registers-first {
			return false
		}
		yield(first, o.n, o.value)
		first += o.n
		body = body[o.size:]
	}
	return first == registers
}

// raiseSparse is raise for a sparse sketch, which may become a dense one by it.
func (s *sketch) raiseSparse(register int, value byte) bool {
	if value > maxValue {
		s.makeDense()
		return s.raise(register, value)
	}
	body := s.body()
	at, before, first := 0, 0, 0 // before: where the opcode before this one begins
	o := read(body)
	for ; register >= first+o.n; o = read(body[at:]) {
		before, at, first = at, at+o.size, first+o.n
	}
	if o.value >= value {
		return false
	}
	var made [5]byte
	parts := opcode{n: register - first, value: o.value}.append(made[:0])
	parts = opcode{n: 1, value: value}.append(parts)
	parts = opcode{n: first + o.n - 1 - register, value: o.value}.append(parts)
	if more := len(parts) - o.size; more > 0 && len(s.bytes)+more > sparseLimit {
		s.makeDense()
		return s.raise(register, value)
	}
	at += headerSize
	s.bytes = slices.Replace(s.bytes, at, at+o.size, parts...)
	s.join(headerSize + before)
	return true
}

// join makes one opcode of neighbors that have the same value, other than 0, from a place
// on. It looks at as few as Redis does, so that the bytes are the same.
func (s *sketch) join(at int) {
	const looks = 5
	for range looks {
		o := read(s.bytes[at:])
		if o.size == 0 {
			return
		}
		next := read(s.bytes[at+o.size:])
		if o.value == 0 || next.value != o.value || o.n+next.n > mostSame {
			at += o.size
			continue
		}
		o.n += next.n
		s.bytes = slices.Delete(s.bytes, at, at+next.size)
		o.append(s.bytes[:at])
	}
}
