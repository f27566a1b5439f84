package rdb

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// A listpack is
//
//	bytes:4 elements:2 element… ff
//
// little endian; 65535 elements are that many or more. An element is a head that says
// what it is, its bytes, and how long both are, so that it can be read backwards:
//
//	0xxxxxxx                   a number of 7 bits
//	10xxxxxx …                 a string of up to 63 bytes
//	110xxxxx x                 a signed number of 13 bits
//	1110xxxx x …               a string of up to 4095 bytes
//	11110000 xxxx …            a string with a length of 32 bits
//	11110001 xx  to  11110100  signed numbers of 16, 24, 32 and 64 bits
const (
	listpackHead = 4 + 2
	packEnd      = 0xff // of listpacks, ziplists and zipmaps
	packMany     = math.MaxUint16
)

// listpack reads a string that is a listpack, and appends its elements, of which there
// may be none.
func (r *reader) listpack(elements [][]byte) [][]byte { return r.unpack(r.blob(), elements) }

// unpack is listpack for a string that was read.
func (r *reader) unpack(blob []byte, elements [][]byte) [][]byte {
	if r.err != nil {
		return elements
	}
	if len(blob) <= listpackHead || uint64(binary.LittleEndian.Uint32(blob)) != uint64(len(blob)) || blob[len(blob)-1] != packEnd {
		r.fail(ErrFormat)
		return elements
	}
	told, before := int(binary.LittleEndian.Uint16(blob[4:])), len(elements)
	for rest := blob[listpackHead : len(blob)-1]; len(rest) > 0; {
		element, size := r.listpackElement(rest)
		if size == 0 {
			r.fail(ErrFormat)
		}
		if len(element) > r.limits.String {
			r.fail(ErrString)
		}
		if r.err != nil || !r.spend(perElement) {
			return elements
		}
		back := appendBack(make([]byte, 0, 5), size)
		if !bytes.HasPrefix(rest[size:], back) {
			r.fail(ErrFormat)
			return elements
		}
		elements, rest = append(elements, element), rest[size+len(back):]
	}
	if told != packMany && told != len(elements)-before {
		r.fail(ErrFormat)
	}
	return elements
}

// listpackElement returns the element that b begins with, and how long it is without
// its length at the end; 0 if there is none.
func (r *reader) listpackElement(b []byte) (element []byte, size int) {
	text := func(head int, n uint64) ([]byte, int) { return textElement(b, head, n) }
	number := func(bytes int) ([]byte, int) { return r.numberElement(b, bytes) }
	switch first := b[0]; {
	case first>>7 == 0:
		return r.number(int64(first)), 1
	case first>>6 == 2:
		return text(1, uint64(first&0x3f))
	case len(b) < 2:
		return nil, 0
	case first>>5 == 6:
		return r.number(int64(int16(uint16(first)<<11|uint16(b[1])<<3) >> 3)), 2
	case first>>4 == 14:
		return text(2, uint64(first&0x0f)<<8|uint64(b[1]))
	case first == 0xf0 && len(b) >= 5:
		return text(5, uint64(binary.LittleEndian.Uint32(b[1:])))
	case first == 0xf1:
		return number(2)
	case first == 0xf2:
		return number(3)
	case first == 0xf3:
		return number(4)
	case first == 0xf4:
		return number(8)
	default:
		return nil, 0
	}
}

// signed returns a signed number of up to 8 bytes, little endian.
func signed(b []byte) int64 {
	n := uint64(0)
	for i, x := range b {
		n |= uint64(x) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(n<<shift) >> shift
}

// appendBack appends how long an element is as it stands behind it: 7 bits a byte, the
// highest ones first, and all bytes but the first with their upper bit set.
func appendBack(dst []byte, size int) []byte {
	digits := 1
	for rest := size >> 7; rest > 0; rest >>= 7 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		b := byte(size>>(7*i)) & 0x7f
		if i < digits-1 {
			b |= 0x80
		}
		dst = append(dst, b)
	}
	return dst
}

// listpackWriter makes a listpack. It begins with the first element.
type listpackWriter struct {
	b []byte
	n int
}

// add appends an element: as a number if it is one.
func (w *listpackWriter) add(element []byte) {
	if n, ok := integer(element); ok {
		w.addInt(n)
		return
	}
	at := w.begin()
	switch n := len(element); {
	case n < 1<<6:
		w.b = append(w.b, 0x80|byte(n))
	case n < 1<<12:
		w.b = append(w.b, 0xe0|byte(n>>8), byte(n))
	default:
		w.b = binary.LittleEndian.AppendUint32(append(w.b, 0xf0), uint32(n))
	}
	w.b = append(w.b, element...)
	w.end(at)
}

// addInt appends a number.
func (w *listpackWriter) addInt(n int64) {
	at := w.begin()
	switch {
	case n >= 0 && n < 1<<7:
		w.b = append(w.b, byte(n))
	case n >= -1<<12 && n < 1<<12:
		w.b = append(w.b, 0xc0|byte(n>>8)&0x1f, byte(n))
	case n == int64(int16(n)):
		w.b = binary.LittleEndian.AppendUint16(append(w.b, 0xf1), uint16(n))
	case n >= -1<<23 && n < 1<<23:
		w.b = append(w.b, 0xf2, byte(n), byte(n>>8), byte(n>>16))
	case n == int64(int32(n)):
		w.b = binary.LittleEndian.AppendUint32(append(w.b, 0xf3), uint32(n))
	default:
		w.b = binary.LittleEndian.AppendUint64(append(w.b, 0xf4), uint64(n))
	}
	w.end(at)
}

func (w *listpackWriter) begin() (at int) {
	if len(w.b) == 0 {
		w.b = append(w.b, make([]byte, listpackHead)...)
	}
	return len(w.b)
}

func (w *listpackWriter) end(at int) {
	w.b = appendBack(w.b, len(w.b)-at)
	w.n++
}

// bytes ends the listpack, and returns it.
func (w *listpackWriter) bytes() []byte {
	w.begin()
	w.b = append(w.b, packEnd)
	binary.LittleEndian.PutUint32(w.b, uint32(len(w.b)))
	binary.LittleEndian.PutUint16(w.b[4:], uint16(min(w.n, packMany)))
	return w.b
}

// reset begins another listpack in the same memory.
func (w *listpackWriter) reset() { w.b, w.n = w.b[:0], 0 }

// integer returns the number that b is the text of, if strconv would write it so.
func integer(b []byte) (n int64, ok bool) {
	const longest = 20
	if len(b) == 0 || len(b) > longest || b[0] != '-' && (b[0] < '0' || b[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var text [longest]byte
	return n, bytes.Equal(strconv.AppendInt(text[:0], n, 10), b)
}
