package storage

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// goleveldb's journal format, which its manifest uses too. A file is a sequence
// of 32 KiB blocks, a block a sequence of chunks (CRC32C of type and payload,
// masked, 4 bytes; length, 2 bytes; type, 1 byte; payload; all little endian),
// and a record one full chunk or a first, any middle and a last one. Fewer than
// seven bytes at a block's end are padding.
const (
	journalBlock  = 32 << 10
	journalHeader = 7

	chunkFull   = 1
	chunkFirst  = 2
	chunkMiddle = 3
	chunkLast   = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journalReader takes the records of a journal file apart. Unlike goleveldb's
// reader it never skips anything, and it knows where each record ends.
type journalReader struct {
	data []byte // the whole file
	off  int    // of the next chunk
	rec  []byte // scratch for records of several chunks
}

// next returns the next record, which is valid until the following call.
// ok is false at the end of the file and at the first damaged or torn record;
// offset tells the two apart.
func (r *journalReader) next() (record []byte, ok bool) {
	off, first := r.off, true
	r.rec = r.rec[:0]
	for {
		payload, kind, end := chunkAt(r.data, off)
		if starts := kind == chunkFull || kind == chunkFirst; kind == 0 || starts != first {
			return nil, false
		}
		off, first = end, false
		if kind == chunkFull {
			r.off = off
			return payload, true
		}
		r.rec = append(r.rec, payload...)
		if kind == chunkLast {
			r.off = off
			return r.rec, true
		}
	}
}

// offset is where the last good record ends, skipping the padding after it.
// Once next has failed, anything from here on is damage.
func (r *journalReader) offset() int { return min(skipPadding(r.off), len(r.data)) }

// damaged reports, once next has failed, whether bytes remain that are no
// record.
func (r *journalReader) damaged() bool { return r.offset() < len(r.data) }

// recordFollows reports whether a whole chunk that starts a record lies
// somewhere after the current position. Then what stopped next was not the tail
// of a write that a crash cut off.
func (r *journalReader) recordFollows() bool {
	for off := r.offset() + 1; off+journalHeader <= len(r.data); off++ {
		if skipPadding(off) != off {
			continue
		}
		if _, kind, _ := chunkAt(r.data, off); kind == chunkFull || kind == chunkFirst {
			return true
		}
	}
	return false
}

// chunkAt reads the chunk at off. Its kind is 0 if there is none or it is
// damaged.
func chunkAt(data []byte, off int) (payload []byte, kind byte, end int) {
	off = skipPadding(off)
	if off+journalHeader > len(data) {
		return nil, 0, 0
	}
	header := data[off : off+journalHeader]
	start := off + journalHeader
	end = start + int(binary.LittleEndian.Uint16(header[4:]))
	blockEnd := off - off%journalBlock + journalBlock
	if end > min(blockEnd, len(data)) || header[6] < chunkFull || header[6] > chunkLast {
		return nil, 0, 0
	}
	if binary.LittleEndian.Uint32(header) != chunkChecksum(data[start-1:end]) {
		return nil, 0, 0
	}
	return data[start:end], header[6], end
}

// skipPadding returns off, or the start of the next block if a chunk does not
// fit between off and the end of its block.
func skipPadding(off int) int {
	if left := journalBlock - off%journalBlock; left < journalHeader {
		return off + left
	}
	return off
}

// chunkChecksum is the masked CRC32C of a chunk's type byte and payload.
func chunkChecksum(typeAndPayload []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(typeAndPayload, castagnoli), 17) + 0xa282ead8
}
