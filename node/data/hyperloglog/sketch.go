package hyperloglog

import (
	"bytes"
	"encoding/binary"

	"github.com/genuineh/aikv/node/resp"
)

const (
	indexBits = 14
	registers = 1 << indexBits
	hashBits  = 64 - indexBits // of a hash, beside the register's number

	headerSize = 16
	denseSize  = headerSize + registers*registerBits/8
)

const (
	errNoSketch = resp.Error("WRONGTYPE Key is not a valid HyperLogLog string value.")
	errCorrupt  = resp.Error("INVALIDOBJ Corrupted HLL object detected")
)

// The encodings of the registers, as the header says them.
const (
	dense  = 0
	sparse = 1
)

// sketch is a HyperLogLog as it is stored. Its methods that change it may change the
// bytes in place.
type sketch struct{ bytes []byte }

// newSketch returns an empty one.
func newSketch() *sketch {
	s := &sketch{append(make([]byte, 0, headerSize+8), "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)}
	s.bytes = opcode{n: registers}.append(s.bytes)
	return s
}

// parse returns the sketch that a string is. That is only sure of its header: see registers.
func parse(value []byte) (*sketch, error) {
	switch {
	case len(value) < headerSize || !bytes.HasPrefix(value, []byte("HYLL")),
		value[4] != dense && value[4] != sparse,
		value[4] == dense && len(value) != denseSize:
		return nil, errNoSketch
	default:
		return &sketch{value}, nil
	}
}

func (s *sketch) isDense() bool { return s.bytes[4] == dense }

// body returns what follows the header.
func (s *sketch) body() []byte { return s.bytes[headerSize:] }

// cached returns the estimate that the header has, unless it is out of date.
func (s *sketch) cached() (n uint64, ok bool) {
	n = binary.LittleEndian.Uint64(s.bytes[8:])
	return n, n>>63 == 0
}

// outdate says that the header's estimate is out of date.
func (s *sketch) outdate() { s.bytes[headerSize-1] |= 0x80 }

// runs calls yield for the values of the registers, from the first one on: so many have
// that value. It returns false if the registers make no sense.
func (s *sketch) runs(yield func(first, n int, value byte)) bool {
	if !s.isDense() {
		return sparseRuns(s.body(), yield)
	}
	const together, size = 4, 3 // registers, bytes
	for i, b := 0, s.body(); len(b) >= size; i, b = i+together, b[size:] {
		yield(i, 1, b[0]&registerMax)
		yield(i+1, 1, (b[0]>>6|b[1]<<2)&registerMax)
		yield(i+2, 1, (b[1]>>4|b[2]<<4)&registerMax)
		yield(i+3, 1, b[2]>>2)
	}
	return true
}

// valid reports whether the registers make sense.
func (s *sketch) valid() bool {
	return s.isDense() || sparseRuns(s.body(), func(int, int, byte) {})
}

// raise makes a register at least value, and reports whether it was less. The registers
// make sense.
func (s *sketch) raise(register int, value byte) bool {
	if !s.isDense() {
		return s.raiseSparse(register, value)
	}
	if denseRegister(s.body(), register) >= value {
		return false
	}
	setDense(s.body(), register, value)
	return true
}

// makeDense turns the sketch into a dense one, which keeps the header's estimate. The
// registers make sense.
func (s *sketch) makeDense() {
	if s.isDense() {
		return
	}
	grown := make([]byte, denseSize)
	copy(grown, s.bytes[:headerSize])
	grown[4] = dense
	s.runs(func(first, n int, value byte) {
		for i := first; value > 0 && i < first+n; i++ {
			setDense(grown[headerSize:], i, value)
		}
	})
	s.bytes = grown
}

// registerBits is how many bits a register of a dense sketch has. They stand behind each
// other, the lowest bit first.
const (
	registerBits = 6
	registerMax  = 1<<registerBits - 1
)

func denseRegister(body []byte, i int) byte {
	at, shift := i*registerBits/8, i*registerBits%8
	value := body[at] >> shift
	if shift > 8-registerBits {
		value |= body[at+1] << (8 - shift)
	}
	return value & registerMax
}

func setDense(body []byte, i int, value byte) {
	at, shift := i*registerBits/8, i*registerBits%8
	body[at] = body[at]&^(registerMax<<shift) | value<<shift
	if shift > 8-registerBits {
		body[at+1] = body[at+1]&^(registerMax>>(8-shift)) | value>>(8-shift)
	}
}
