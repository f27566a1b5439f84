package rdb

import "encoding/binary"

// What Redis wrote before it had listpacks, and its sets of numbers.

// A ziplist is
//
//	bytes:4 start of the last element:4 elements:2 element… ff
//
// little endian; 65535 elements are that many or more. An element is the length of the
// one before it (a byte, or fe and 4 bytes), a head, and its bytes:
//
//	00xxxxxx …                a string of up to 63 bytes
//	01xxxxxx x …              a string of up to 16383 bytes, big endian
//	10000000 xxxx …           a string with a length of 32 bits, big endian
//	11000000 xx               a signed number of 16 bits
//	11010000 xxxx             of 32
//	11100000 xxxxxxxx         of 64
//	11110000 xxx              of 24
//	11111110 x                of 8
//	1111xxxx                  the number x-1, from 0 to 12
const ziplistHead = 4 + 4 + 2

// ziplist reads a string that is a ziplist, and appends its elements, of which there
// may be none.
func (r *reader) ziplist(elements [][]byte) [][]byte {
	blob := r.blob()
	if r.err != nil {
		return elements
	}
	if len(blob) <= ziplistHead || uint64(binary.LittleEndian.Uint32(blob)) != uint64(len(blob)) || blob[len(blob)-1] != packEnd {
		r.fail(ErrFormat)
		return elements
	}
	told, before := int(binary.LittleEndian.Uint16(blob[8:])), len(elements)
	last, length := ziplistHead, 0
	for at := ziplistHead; at < len(blob)-1; at += length {
		head, sound := lengthBefore(blob[at:len(blob)-1], length)
		element, size := []byte(nil), 0
		if sound {
			element, size = r.ziplistElement(blob[at+head : len(blob)-1])
		}
		if size == 0 {
			r.fail(ErrFormat)
		}
		if len(element) > r.limits.String {
			r.fail(ErrString)
		}
		if r.err != nil || !r.spend(perElement) {
			return elements
		}
		elements, last, length = append(elements, element), at, head+size
	}
	if uint64(binary.LittleEndian.Uint32(blob[4:])) != uint64(last) || told != packMany && told != len(elements)-before {
		r.fail(ErrFormat)
	}
	return elements
}

// lengthBefore reports how long the length is that an element begins with, and whether
// it is want and something follows it.
func lengthBefore(b []byte, want int) (size int, ok bool) {
	const long = 0xfe
	switch {
	case b[0] < long:
		return 1, int(b[0]) == want && len(b) > 1
	case b[0] == long && len(b) > 5:
		return 5, uint64(binary.LittleEndian.Uint32(b[1:])) == uint64(want)
	default:
		return 0, false
	}
}

// textElement returns the n bytes behind the head of an element that b begins with, and
// how long both are; 0 if b is too short. Listpacks and ziplists have it alike.
func textElement(b []byte, head int, n uint64) (element []byte, size int) {
	if len(b) < head || n > uint64(len(b)-head) {
		return nil, 0
	}
	return b[head : head+int(n) : head+int(n)], head + int(n)
}

// numberElement is textElement for a number of so many bytes behind a head of one.
func (r *reader) numberElement(b []byte, bytes int) (element []byte, size int) {
	if len(b) <= bytes {
		return nil, 0
	}
	return r.number(signed(b[1 : 1+bytes])), 1 + bytes
}

// ziplistElement returns the element whose head b begins with, and how long both are;
// 0 if there is none.
func (r *reader) ziplistElement(b []byte) (element []byte, size int) {
	text := func(head int, n uint64) ([]byte, int) { return textElement(b, head, n) }
	number := func(bytes int) ([]byte, int) { return r.numberElement(b, bytes) }
	switch first := b[0]; {
	case first>>6 == 0:
		return text(1, uint64(first&0x3f))
	case first>>6 == 1 && len(b) >= 2:
		return text(2, uint64(first&0x3f)<<8|uint64(b[1]))
	case first == 0x80 && len(b) >= 5:
		return text(5, uint64(binary.BigEndian.Uint32(b[1:])))
	case first == 0xc0:
		return number(2)
	case first == 0xd0:
		return number(4)
	case first == 0xe0:
		return number(8)
	case first == 0xf0:
		return number(3)
	case first == 0xfe:
		return number(1)
	case first > 0xf0 && first < 0xfe:
		return r.number(int64(first&0x0f) - 1), 1
	default:
		return nil, 0
	}
}

// zipmap reads a string that is a zipmap: the number of fields (a byte; from fe on they
// are that many or more), for each field its length and bytes, the value's length, a
// byte that says how many are free behind the value, and these; and ff. A length is a
// byte, or fe and 4 bytes, little endian.
func (r *reader) zipmap(elements [][]byte) [][]byte {
	const many = 0xfe
	blob := r.blob()
	if r.err != nil {
		return elements
	}
	if len(blob) < 2 || blob[len(blob)-1] != packEnd {
		r.fail(ErrFormat)
		return elements
	}
	in := reader{rest: blob[1 : len(blob)-1], limits: r.limits, total: r.total}
	told, fields := int(blob[0]), 0
	for ; len(in.rest) > 0; fields++ {
		field := in.take(in.zipmapLength())
		length, free := in.zipmapLength(), uint64(in.byte())
		value := in.take(length)
		in.take(free)
		if len(field) > in.limits.String || len(value) > in.limits.String {
			in.fail(ErrString)
		}
		if in.spend(2 * perElement); in.err != nil {
			break
		}
		elements = append(elements, field, value)
	}
	if told < many && told != fields {
		in.fail(ErrFormat)
	}
	if r.total = in.total; in.err != nil {
		r.fail(in.err)
	}
	return elements
}

func (r *reader) zipmapLength() uint64 {
	const long = 0xfe
	switch n := r.byte(); n {
	case long:
		if b := r.take(4); b != nil {
			return uint64(binary.LittleEndian.Uint32(b))
		}
	case packEnd:
		r.fail(ErrFormat)
	default:
		return uint64(n)
	}
	return 0
}

// intsetHead is the bytes of a number (4; 2, 4 or 8) and the number of numbers (4),
// which follow in ascending order, all little endian.
const intsetHead = 4 + 4

// intset reads a string that is an intset.
func (r *reader) intset(elements [][]byte) [][]byte {
	blob := r.blob()
	if r.err != nil {
		return elements
	}
	if len(blob) < intsetHead {
		r.fail(ErrFormat)
		return elements
	}
	width, count := uint64(binary.LittleEndian.Uint32(blob)), uint64(binary.LittleEndian.Uint32(blob[4:]))
	numbers := blob[intsetHead:]
	if width != 2 && width != 4 && width != 8 || count == 0 || count*width != uint64(len(numbers)) {
		r.fail(ErrFormat)
		return elements
	}
	for last := int64(0); len(numbers) > 0; numbers = numbers[width:] {
		n := signed(numbers[:width])
		if len(elements) > 0 && n <= last {
			r.fail(ErrFormat)
		}
		if r.err != nil || !r.spend(perElement) {
			return elements
		}
		elements, last = append(elements, r.number(n)), n
	}
	return elements
}
