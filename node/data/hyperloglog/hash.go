package hyperloglog

import (
	"encoding/binary"
	"math/bits"
)

// murmur64 is MurmurHash64A with Redis's seed.
func murmur64(b []byte) uint64 {
	const (
		seed  = 0xadc83b19
		m     = 0xc6a4a7935bd1e995
		shift = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k = (k ^ k>>shift) * m
		h = (h ^ k) * m
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		h = (h ^ binary.LittleEndian.Uint64(rest[:])) * m
	}
	h = (h ^ h>>shift) * m
	return h ^ h>>shift
}

// place returns which register an element belongs to, and what it has to be at least:
// one more than the number of zeros at the end of the rest of the hash.
func place(element []byte) (register int, value byte) {
	h := murmur64(element)
	rest := h>>indexBits | 1<<hashBits
	return int(h % registers), byte(bits.TrailingZeros64(rest)) + 1
}
