package keyspace

import (
	"encoding/binary"

	"github.com/genuineh/aikv/node/slot"
)

// decoder takes an encoding apart. After a failure it returns zero values.
type decoder struct {
	rest   []byte
	failed bool
}

func (r *decoder) fail() {
	r.failed, r.rest = true, nil
}

// bytes takes n bytes, which share the encoding's memory.
func (r *decoder) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *decoder) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *decoder) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *decoder) uvarint() uint64 {
	n, rest, ok := takeUvarint(r.rest)
	if !ok {
		r.fail()
		return 0
	}
	r.rest = rest
	return n
}

// count takes the number of things that follow, each of which takes a byte at least.
func (r *decoder) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

// prefixed takes a length and so many bytes.
func (r *decoder) prefixed() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	return r.bytes(int(n))
}

func (r *decoder) slots() slot.Set {
	set, rest, err := slot.Take(r.rest)
	if err != nil {
		r.fail()
		return slot.Set{}
	}
	r.rest = rest
	return set
}
