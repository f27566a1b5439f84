package rdb

// LZF, as Marc Lehmann's liblzf writes it. A compressed string is made of literal runs
// and of references back into what has been written:
//
//	000nnnnn                      n+1 bytes follow as they are
//	nnnooooo oooooooo             n+2 bytes (n from 1 to 6), from o+1 bytes back
//	111ooooo nnnnnnnn oooooooo    n+9 bytes, likewise
const (
	lzfRun      = 32      // longest literal run
	lzfShortest = 3       // shortest reference
	lzfLongest  = 255 + 9 // longest
	lzfDistance = 1 << 13 // farthest

	// lzfLargestRatio is how many bytes one compressed byte can stand for at most.
	lzfLargestRatio = lzfLongest / 3
)

// decompress returns the n bytes that src stands for, and whether these are what it
// stands for. n is not above what src can stand for.
func decompress(src []byte, n int) (dst []byte, ok bool) {
	dst = make([]byte, 0, n)
	for len(src) > 0 {
		control := int(src[0])
		src = src[1:]
		if control < lzfRun {
			run := control + 1
			if run > len(src) || run > n-len(dst) {
				return nil, false
			}
			dst, src = append(dst, src[:run]...), src[run:]
			continue
		}
		length := control >> 5
		if length == 7 {
			if len(src) == 0 {
				return nil, false
			}
			length, src = length+int(src[0]), src[1:]
		}
		length += 2
		if len(src) == 0 {
			return nil, false
		}
		from := len(dst) - (control&0x1f<<8 | int(src[0])) - 1
		src = src[1:]
		if from < 0 || length > n-len(dst) {
			return nil, false
		}
		for range length { // a reference may go on into what it writes
			dst = append(dst, dst[from])
			from++
		}
	}
	return dst, len(dst) == n
}

// compressor compresses strings. It remembers where three bytes have been last: its
// table holds positions, counted on from string to string, so that those of an earlier
// string are too small to be mistaken.
type compressor struct {
	table []uint32
	base  uint32
}

const lzfTableBits = 13

// compress appends what stands for src to dst, and reports whether that has limit
// bytes at most. If not, what was appended is nothing.
func (c *compressor) compress(dst, src []byte, limit int) (compressed []byte, ok bool) {
	if len(src) > 1<<31 {
		return dst, false
	}
	if c.table == nil || c.base > 1<<31 {
		c.table, c.base = make([]uint32, 1<<lzfTableBits), 1
	}
	start, literals, at := len(dst), 0, 0
	for at+lzfShortest <= len(src) {
		if len(dst)-start > limit {
			return dst[:start], false
		}
		length, distance := c.reference(src, at)
		if length == 0 {
			at++
			continue
		}
		dst = appendReference(appendLiterals(dst, src[literals:at]), length, distance)
		at += length
		literals = at
	}
	dst = appendLiterals(dst, src[literals:])
	c.base += uint32(len(src))
	if len(dst)-start > limit {
		return dst[:start], false
	}
	return dst, true
}

// reference looks for a reference at a position of src; the length is 0 if there is
// none. It notes the position.
func (c *compressor) reference(src []byte, at int) (length, distance int) {
	next := uint32(src[at])<<16 | uint32(src[at+1])<<8 | uint32(src[at+2])
	slot := &c.table[next*2654435761>>(32-lzfTableBits)]
	seen := int(int64(*slot) - int64(c.base))
	*slot = c.base + uint32(at)
	distance = at - seen
	if seen < 0 || distance > lzfDistance {
		return 0, 0
	}
	for length < lzfLongest && at+length < len(src) && src[seen+length] == src[at+length] {
		length++
	}
	if length < lzfShortest {
		return 0, 0
	}
	return length, distance
}

func appendLiterals(dst, literals []byte) []byte {
	for len(literals) > 0 {
		run := min(len(literals), lzfRun)
		dst = append(append(dst, byte(run-1)), literals[:run]...)
		literals = literals[run:]
	}
	return dst
}

func appendReference(dst []byte, length, distance int) []byte {
	high, low := byte((distance-1)>>8), byte(distance-1)
	if length -= 2; length < 7 {
		return append(dst, byte(length)<<5|high, low)
	}
	return append(dst, 7<<5|high, byte(length-7), low)
}
