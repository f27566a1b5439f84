package records

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"sync"
	"time"
)

// generation is the set of records of a space that were changed between two
// checkpoints: each key once, as it was left. It only grows, until it is frozen;
// then nothing in it changes any more.
//
// Whoever commits holds mu for writing, whoever walks next to it for reading.
type generation struct {
	code  uint32    // tells it from the one before and after; never codeClean
	since time.Time // of the first change

	mu     sync.RWMutex
	chunks [][]Record // by position
	// fresh tells, by position, of keys that the store does not have: nothing need
	// be deleted there.
	fresh []uint64
	count uint32
	bytes int64
	// blocks hold the positions in the order of keys, in blocks of at most
	// blockSize. firsts are the prefixes of their first places: a search for the block
	// looks at these alone, which lie together.
	blocks [][]place
	firsts []uint64
}

// place is a record's position, with the beginning of its key, so that most
// comparisons need not look at the record.
type place struct {
	prefix uint64
	pos    uint32
}

const (
	chunkSize = 512
	blockSize = 256
)

func (g *generation) record(pos uint32) Record { return g.chunks[pos/chunkSize][pos%chunkSize] }

// add enters a record of a key that the generation does not have; fresh says that
// the store does not have it either.
func (g *generation) add(rec Record, fresh bool) (pos uint32) {
	pos = g.count
	if pos%64 == 0 {
		g.fresh = append(g.fresh, 0)
	}
	if fresh {
		g.fresh[pos/64] |= 1 << (pos % 64)
	}
	if pos%chunkSize == 0 {
		g.chunks = append(g.chunks, make([]Record, 0, chunkSize))
	}
	last := &g.chunks[len(g.chunks)-1]
	*last = append(*last, rec)
	g.count++
	g.bytes += rec.memory() + dirtyOverhead
	g.arrange(rec.Key(), pos)
	return pos
}

// set replaces the record at a position by one of the same key.
func (g *generation) set(pos uint32, rec Record) {
	at := &g.chunks[pos/chunkSize][pos%chunkSize]
	g.bytes += rec.memory() - at.memory()
	*at = rec
}

// arrange puts a position where it belongs in the order of keys.
func (g *generation) arrange(key []byte, pos uint32) {
	p := place{prefixOf(key), pos}
	if len(g.blocks) == 0 {
		g.blocks = append(g.blocks, append(make([]place, 0, blockSize), p))
		g.firsts = append(g.firsts, p.prefix)
		return
	}
	b := g.blockOf(p.prefix, key)
	block := g.blocks[b]
	i := g.within(block, p.prefix, key)
	if len(block) == blockSize {
		cut := blockSize / 2
		if b == len(g.blocks)-1 && i == blockSize {
			cut = blockSize // keys that come in order fill their blocks
		}
		tail := append(make([]place, 0, blockSize), block[cut:]...)
		g.blocks[b] = block[:cut]
		first := p.prefix // of an empty tail, which p begins
		if len(tail) > 0 {
			first = tail[0].prefix
		}
		g.blocks = slices.Insert(g.blocks, b+1, tail)
		g.firsts = slices.Insert(g.firsts, b+1, first)
		if i >= cut {
			b, i = b+1, i-cut
		}
		block = g.blocks[b]
	}
	block = append(block, p)
	copy(block[i+1:], block[i:])
	block[i] = p
	g.blocks[b], g.firsts[b] = block, block[0].prefix
}

// blockOf returns the block that a key belongs to; there is one.
func (g *generation) blockOf(prefix uint64, key []byte) int {
	n, alike := slices.BinarySearch(g.firsts, prefix)
	if alike {
		n += sort.Search(len(g.blocks)-n, func(i int) bool { return g.compare(g.blocks[n+i][0], prefix, key) > 0 })
	}
	return max(n-1, 0)
}

// within returns the index of the first place of a block that is not before key.
func (g *generation) within(block []place, prefix uint64, key []byte) int {
	return sort.Search(len(block), func(i int) bool { return g.compare(block[i], prefix, key) >= 0 })
}

func (g *generation) compare(p place, prefix uint64, key []byte) int {
	switch {
	case p.prefix < prefix:
		return -1
	case p.prefix > prefix:
		return 1
	default:
		return bytes.Compare(g.record(p.pos).Key(), key)
	}
}

// prefixOf returns the first eight bytes of a key as a number that orders keys as
// they are ordered, as far as it can tell them apart.
func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// collect appends up to limit records, in order, whose keys are not before from
// and before upper.
func (g *generation) collect(dst []Record, from, upper []byte, limit int) []Record {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if len(g.blocks) == 0 {
		return dst
	}
	prefix := prefixOf(from)
	b := g.blockOf(prefix, from)
	i := g.within(g.blocks[b], prefix, from)
	for ; b < len(g.blocks); b, i = b+1, 0 {
		for ; i < len(g.blocks[b]); i++ {
			rec := g.record(g.blocks[b][i].pos)
			if len(dst) == limit || bytes.Compare(rec.Key(), upper) >= 0 {
				return dst
			}
			dst = append(dst, rec)
		}
	}
	return dst
}

// each calls fn for the records of a frozen generation, in order, until fn fails;
// fresh says that the store does not have the key.
func (g *generation) each(fn func(rec Record, fresh bool) error) error {
	for _, block := range g.blocks {
		for _, p := range block {
			fresh := g.fresh[p.pos/64]&(1<<(p.pos%64)) != 0
			if err := fn(g.record(p.pos), fresh); err != nil {
				return err
			}
		}
	}
	return nil
}

// size returns how many bytes the generation takes.
func (g *generation) size() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.bytes
}
