package strings

import (
	"encoding/binary"
	"math/bits"
)

// The constants of XXH3, by its specification.
const (
	prime32x1 = 0x9e3779b1
	prime32x2 = 0x85ebca77
	prime32x3 = 0xc2b2ae3d
	prime64x1 = 0x9e3779b185ebca87
	prime64x2 = 0xc2b2ae3d27d4eb4f
	prime64x3 = 0x165667b19e3779f9
	prime64x4 = 0x85ebca77c2b2ae63
	prime64x5 = 0x27d4eb2f165667c5
	primeMix1 = 0x165667919e3779f9
	primeMix2 = 0x9fb21c651e98df25

	secretSize = 192
)

// secret is the specification's.
var secret = []byte("\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe\x7c\x01\x81\x2c\xf7\x21\xad\x1c\xde\xd4\x6d\xe9\x83\x90\x97\xdb" +
	"\x72\x40\xa4\xa4\xb7\xb3\x67\x1f\xcb\x79\xe6\x4e\xcc\xc0\xe5\x78\x82\x5a\xd0\x7d\xcc\xff\x72\x21" +
	"\xb8\x08\x46\x74\xf7\x43\x24\x8e\xe0\x35\x90\xe6\x81\x3a\x26\x4c\x3c\x28\x52\xbb\x91\xc3\x00\xcb" +
	"\x88\xd0\x65\x8b\x1b\x53\x2e\xa3\x71\x64\x48\x97\xa2\x0d\xf9\x4e\x38\x19\xef\x46\xa9\xde\xac\xd8" +
	"\xa8\xfa\x76\x3f\xe3\x9c\x34\x3f\xf9\xdc\xbb\xc7\xc7\x0b\x4f\x1d\x8a\x51\xe0\x4b\xcd\xb4\x59\x31" +
	"\xc8\x9f\x7e\xc9\xd9\x78\x73\x64\xea\xc5\xac\x83\x34\xd3\xeb\xc3\xc5\x81\xa0\xff\xfa\x13\x63\xeb" +
	"\x17\x0d\xdd\x51\xb7\xf0\xda\x49\xd3\x16\x55\x26\x29\xd4\x68\x9e\x2b\x16\xbe\x58\x7d\x47\xa1\xfc" +
	"\x8f\xf8\xb8\xd1\x7a\xd0\x31\xce\x45\xcb\x3a\x8f\x95\x16\x04\x28\xaf\xd7\xfb\xca\xbb\x4b\x40\x7e")

// xxh3 is XXH3 with 64 bits and without a seed.
func xxh3(b []byte) uint64 {
	switch n := len(b); {
	case n <= 16:
		return xxh3Short(b)
	case n <= 128:
		return xxh3Medium(b)
	case n <= 240:
		return xxh3Longer(b)
	default:
		return xxh3Long(b)
	}
}

func word32(b []byte) uint64   { return uint64(binary.LittleEndian.Uint32(b)) }
func word(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func secretWord(at int) uint64 { return word(secret[at:]) }

// fold returns the two halves of a product of 128 bits, added without carries.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func avalanche(h uint64) uint64 {
	h = (h ^ h>>37) * primeMix1
	return h ^ h>>32
}

// avalanche64 is that of XXH64.
func avalanche64(h uint64) uint64 {
	h = (h ^ h>>33) * prime64x2
	h = (h ^ h>>29) * prime64x3
	return h ^ h>>32
}

func xxh3Short(b []byte) uint64 {
	n := uint64(len(b))
	switch {
	case n > 8:
		low := word(b) ^ secretWord(24) ^ secretWord(32)
		high := word(b[n-8:]) ^ secretWord(40) ^ secretWord(48)
		return avalanche(n + bits.ReverseBytes64(low) + high + fold(low, high))
	case n > 3:
		h := word32(b[n-4:]) + word32(b)<<32
		h ^= secretWord(8) ^ secretWord(16)
		h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
		h *= primeMix2
		h ^= h>>35 + n
		h *= primeMix2
		return h ^ h>>28
	case n > 0:
		h := uint64(b[0])<<16 | uint64(b[n/2])<<24 | uint64(b[n-1]) | n<<8
		return avalanche64(h ^ word32(secret) ^ word32(secret[4:]))
	default:
		return avalanche64(secretWord(56) ^ secretWord(64))
	}
}

// mix16 mixes 16 bytes with those of the secret from a place on.
func mix16(b []byte, at int) uint64 {
	return fold(word(b)^secretWord(at), word(b[8:])^secretWord(at+8))
}

func xxh3Medium(b []byte) uint64 {
	n := len(b)
	h := uint64(n) * prime64x1
	for i := (n - 1) / 32; i >= 0; i-- {
		h += mix16(b[16*i:], 32*i) + mix16(b[n-16*(i+1):], 32*i+16)
	}
	return avalanche(h)
}

func xxh3Longer(b []byte) uint64 {
	const first, offset, lastOffset = 8, 3, 119
	h, last := uint64(len(b))*prime64x1, mix16(b[len(b)-16:], lastOffset)
	for i := range len(b) / 16 {
		switch {
		case i < first:
			h += mix16(b[16*i:], 16*i)
		default:
			last += mix16(b[16*i:], 16*(i-first)+offset)
		}
	}
	return avalanche(avalanche(h) + last)
}

func xxh3Long(b []byte) uint64 {
	const (
		stripe   = 64
		perBlock = (secretSize - stripe) / 8
		block    = perBlock * stripe
	)
	acc := [8]uint64{prime32x3, prime64x1, prime64x2, prime64x3, prime64x4, prime32x2, prime64x5, prime32x1}
	rest := b
	for ; len(rest) > block; rest = rest[block:] {
		for i := range perBlock {
			accumulate(&acc, rest[stripe*i:], 8*i)
		}
		for i := range acc {
			acc[i] = (acc[i] ^ acc[i]>>47 ^ secretWord(secretSize-stripe+8*i)) * prime32x1
		}
	}
	for i := range (len(rest) - 1) / stripe {
		accumulate(&acc, rest[stripe*i:], 8*i)
	}
	accumulate(&acc, b[len(b)-stripe:], secretSize-stripe-7)
	h := uint64(len(b)) * prime64x1
	for i := 0; i < len(acc); i += 2 {
		h += fold(acc[i]^secretWord(11+8*i), acc[i+1]^secretWord(11+8*i+8))
	}
	return avalanche(h)
}

// accumulate takes in a stripe with the secret from a place on.
func accumulate(acc *[8]uint64, stripe []byte, at int) {
	for i := range acc {
		data := word(stripe[8*i:])
		key := data ^ secretWord(at+8*i)
		acc[i^1] += data
		acc[i] += (key & 0xffffffff) * (key >> 32)
	}
}
