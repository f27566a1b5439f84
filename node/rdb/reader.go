package rdb

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Limits bound what a payload may become.
type Limits struct {
	// String is how many bytes one string may have.
	String int
	// Total is how many bytes the value may take in memory, about.
	Total int
}

// perElement is what an element takes beside its bytes until it is stored, about.
const perElement = 64

// reader reads what a payload's value is made of. Errors stick: after one, everything
// that is read is empty.
type reader struct {
	rest   []byte
	err    error
	limits Limits
	total  int
	digits []byte // memory for numbers as text
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// spend counts memory, and reports whether there may be so much.
func (r *reader) spend(n int) bool {
	if n > r.limits.Total-r.total {
		r.fail(ErrTotal)
		return false
	}
	r.total += n
	return true
}

// take takes n bytes, nil if there are not so many.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail(ErrFormat)
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// What a length can be instead: the form of a string.
const (
	formInt8  = 0
	formInt16 = 1
	formInt32 = 2
	formLZF   = 3
)

// lengthOrForm reads a length or, if special, the form of a string.
func (r *reader) lengthOrForm() (n uint64, special bool) {
	const length32, length64 = 0x80, 0x81
	first := r.byte()
	switch {
	case first>>6 == 0:
		return uint64(first), false
	case first>>6 == 1:
		return uint64(first&0x3f)<<8 | uint64(r.byte()), false
	case first>>6 == 3:
		return uint64(first & 0x3f), true
	case first == length32:
		if b := r.take(4); b != nil {
			return uint64(binary.BigEndian.Uint32(b)), false
		}
	case first == length64:
		if b := r.take(8); b != nil {
			return binary.BigEndian.Uint64(b), false
		}
	default:
		r.fail(ErrFormat)
	}
	return 0, false
}

// length reads a length, or another number.
func (r *reader) length() uint64 {
	n, special := r.lengthOrForm()
	if special {
		r.fail(ErrFormat)
		return 0
	}
	return n
}

// count reads the number of elements that follow, each of which takes a byte at least:
// a count that lies costs nothing. There is one at least.
func (r *reader) count() int {
	n := r.length()
	if n == 0 || n > uint64(len(r.rest)) {
		r.fail(ErrFormat)
		return 0
	}
	return int(n)
}

// string reads a string that is an element.
func (r *reader) string() []byte {
	s := r.blob()
	if len(s) > r.limits.String {
		r.fail(ErrString)
		return nil
	}
	r.spend(perElement)
	return s
}

// blob reads a string that may hold many elements.
func (r *reader) blob() []byte {
	n, special := r.lengthOrForm()
	switch {
	case r.err != nil:
		return nil
	case !special:
		return r.take(n)
	case n == formInt8:
		return r.number(int64(int8(r.byte())))
	case n == formInt16:
		if b := r.take(2); b != nil {
			return r.number(int64(int16(binary.LittleEndian.Uint16(b))))
		}
	case n == formInt32:
		if b := r.take(4); b != nil {
			return r.number(int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case n == formLZF:
		return r.compressed()
	default:
		r.fail(ErrFormat)
	}
	return nil
}

// compressed reads a compressed string behind its form.
func (r *reader) compressed() []byte {
	from, to := r.length(), r.length()
	packed := r.take(from)
	switch {
	case r.err != nil:
		return nil
	case to > uint64(len(packed))*lzfLargestRatio:
		r.fail(ErrFormat)
		return nil
	case to > math.MaxInt32 || !r.spend(int(to)):
		r.fail(ErrTotal)
		return nil
	}
	s, ok := decompress(packed, int(to))
	if !ok {
		r.fail(ErrFormat)
	}
	return s
}

// number returns the text of a number.
func (r *reader) number(n int64) []byte {
	const longest = 20
	if cap(r.digits)-len(r.digits) < longest {
		r.digits = make([]byte, 0, min(max(2*cap(r.digits), longest), 4096))
	}
	at := len(r.digits)
	r.digits = strconv.AppendInt(r.digits, n, 10)
	return r.digits[at:len(r.digits):len(r.digits)]
}
