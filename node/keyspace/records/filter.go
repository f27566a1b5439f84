package records

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/genuineh/aikv/node/storage"
)

// filter knows of the keys of one part which ones the store does not have: a Bloom
// filter that grows in layers, each twice as large as the one before. It never
// changes: adding makes another one. A key that was deleted stays in it, which
// costs a question to the store, until the checkpoint that deletes most of what is left
// makes the filter anew.
type filter struct {
	layers []layer
	// kind is filterKnown, or why the filter says nothing.
	kind byte
}

const (
	filterKnown   = 1 // stored
	filterLarge   = 2 // stored: the part has too many keys for a filter
	filterUnknown = 0 // not stored: nobody has counted the part's keys yet
)

type layer struct {
	keys int // entered
	bits []byte
}

const (
	firstLayer = 32 // keys
	filterBits = 10 // a key: 1 % of absent keys get through
	filterHits = 7  // bits that a key sets
	// freeFilter is up to how many bytes every filter may grow. A larger one, such as
	// that of a part in which all keys share a hash tag, counts against the budget of
	// all large ones. maxFilter bounds it anyway. Where that is not enough, the
	// filters of the store's own tables have to do.
	freeFilter = 2 << 10
	maxFilter  = 2 << 20
	// freeKeys is about how many keys are in a filter of freeFilter bytes.
	freeKeys = freeFilter * 8 / filterBits / 2
)

func (l *layer) room() int { return len(l.bits) * 8 / filterBits }

// filterHash is stored with the filters: it must stay as it is.
func filterHash(key []byte) uint64 {
	const m1, m2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	h := uint64(len(key)) * m1
	for ; len(key) >= 8; key = key[8:] {
		h = bits.RotateLeft64(h^binary.LittleEndian.Uint64(key)*m2, 27) * m1
	}
	var last [8]byte
	copy(last[:], key)
	h = (h ^ binary.LittleEndian.Uint64(last[:])) * m2
	h ^= h >> 32
	h *= m2
	return h ^ h>>29
}

// visit calls fn with the bits of a key in a layer until it returns false.
func (l *layer) visit(hash uint64, fn func(at uint64) bool) bool {
	size := uint64(len(l.bits)) * 8
	step := hash>>33 | 1
	for range filterHits {
		if !fn(hash % size) {
			return false
		}
		hash += step<<31 | step
	}
	return true
}

func (l *layer) has(hash uint64) bool {
	return l.visit(hash, func(at uint64) bool { return l.bits[at/8]&(1<<(at%8)) != 0 })
}

// absent reports whether the store certainly does not have the key.
func (f *filter) absent(key []byte) bool {
	if f.kind != filterKnown {
		return false
	}
	return !f.admits(filterHash(key))
}

// admits reports whether one of the keys may have that hash.
func (f *filter) admits(hash uint64) bool {
	for i := range f.layers {
		if f.layers[i].has(hash) {
			return true
		}
	}
	return false
}

// keys returns how many keys were entered.
func (f *filter) keys() (n int) {
	for i := range f.layers {
		n += f.layers[i].keys
	}
	return n
}

// with returns the filter with more keys, given by their hashes: itself if it admits
// them all. One that would need more than limit bytes is given up.
func (f *filter) with(hashes []uint64, limit int) *filter {
	if f.kind != filterKnown || !slices.ContainsFunc(hashes, func(h uint64) bool { return !f.admits(h) }) {
		return f
	}
	next := &filter{kind: filterKnown, layers: append([]layer(nil), f.layers...)}
	owned, size := false, f.size()
	for _, hash := range hashes {
		if next.admits(hash) {
			continue
		}
		n := len(next.layers)
		switch {
		case n == 0 || next.layers[n-1].keys >= next.layers[n-1].room():
			fresh := layer{bits: make([]byte, firstLayer*filterBits/8<<n)}
			if size += len(fresh.bits); size > limit {
				return &filter{kind: filterLarge}
			}
			next.layers, owned = append(next.layers, fresh), true
		case !owned:
			next.layers[n-1].bits, owned = append([]byte(nil), next.layers[n-1].bits...), true
		}
		l := &next.layers[len(next.layers)-1]
		l.visit(hash, func(at uint64) bool { l.bits[at/8] |= 1 << (at % 8); return true })
		l.keys++
	}
	return next
}

func (f *filter) size() (n int) {
	for i := range f.layers {
		n += len(f.layers[i].bits)
	}
	return n
}

// large returns the filter's bytes if it is one that counts against the budget of
// those, else 0.
func (f *filter) large() int64 {
	if size := f.size(); size > freeFilter {
		return int64(size)
	}
	return 0
}

// encode makes the stored form: the kind, then for each layer its number of keys
// and its bits, whose size follows from its place.
func (f *filter) encode(dst []byte) []byte {
	dst = append(dst, f.kind)
	for i := range f.layers {
		dst = binary.AppendUvarint(dst, uint64(f.layers[i].keys))
		dst = append(dst, f.layers[i].bits...)
	}
	return dst
}

func decodeFilter(b []byte) (*filter, error) {
	bad := fmt.Errorf("records: %w: a filter", storage.ErrCorrupt)
	if len(b) == 0 || b[0] != filterKnown && b[0] != filterLarge {
		return nil, bad
	}
	f := &filter{kind: b[0]}
	for b = b[1:]; len(b) > 0; {
		keys, n := binary.Uvarint(b)
		size := firstLayer * filterBits / 8 << len(f.layers)
		if n <= 0 || size > maxFilter || len(b) < n+size || keys > uint64(size)*8/filterBits {
			return nil, bad
		}
		f.layers = append(f.layers, layer{keys: int(keys), bits: b[n : n+size : n+size]})
		b = b[n+size:]
	}
	return f, nil
}
