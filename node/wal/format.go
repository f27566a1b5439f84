package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// The on-disk format. All integers are little-endian, all checksums CRC32C.
//
//	segment      = header batch... zeros
//	header       = magic[8] format[1] zero[7] seq[8] salt[8] prevEnd[8] prevChain[4] zero[16] crc[4]
//	batch        = batchHeader frame... commit
//	batchHeader  = magic[4] prev[4] salt[8] offset[8] length[8] durable[8] zero[4] crc[4]
//	frame        = length[4] kind[1] zero[3] group[8] payload[length]
//	commit       = a frame of kind commit whose payload is the chain value
//	entry record = crc[4] length[4] term[8] index[8] type[1] data[length]
//
// The chain value of a batch is the CRC of the whole batch, less the value
// itself, continued from the previous batch's value (in the first batch: from
// that of the salt). The first batch of a segment is its checkpoint. Magic,
// format and crc of the segment header stay where they are in all formats.
const (
	formatVersion = 1

	headerSize      = 64
	batchHeaderSize = 48
	frameHeaderSize = 16
	commitSize      = frameHeaderSize + 4
	recordHeader    = 25

	segmentMagic        = "AiKv-log"
	batchMagic   uint32 = 0xb47c4a1d
)

// maxPayload bounds a frame, and with it the entries of one Append.
const maxPayload = math.MaxUint32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kind says what a frame holds.
type kind uint8

const (
	kindSkip       kind = iota // never written: an operation that turned out to change nothing
	kindCheckpoint             // first frame of a segment's first batch; no payload
	kindIdentity               // payload: the process's blob
	kindCreate                 // payload: the group's meta
	kindDestroy                // no payload
	kindMeta                   // payload: the group's meta
	kindHardState              // payload: term[8] vote[8] commit[8]
	kindEntries                // payload: entry records, consecutive; they replace everything from the first on
	kindTruncate               // payload: index[8] term[8] flags[1] ConfState (protobuf)
	kindGroup                  // in a checkpoint: the group exists; payload: its meta
	kindCopy                   // payload: entry records that moved here from an older segment
	kindCommit     kind = 0xff
)

// Flags of kindTruncate.
const (
	truncateReset     = 1 << iota // the entries behind the point go too
	truncateConfState             // a ConfState follows
)

// segmentHeader is the decoded header of a segment.
type segmentHeader struct {
	seq  uint64
	salt uint64
	// prevEnd and prevChain say where the previous segment's last batch ends,
	// so that a batch lost from a closed segment's end is noticed.
	prevEnd   uint64
	prevChain uint32
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	b[8] = formatVersion
	binary.LittleEndian.PutUint64(b[16:], h.seq)
	binary.LittleEndian.PutUint64(b[24:], h.salt)
	binary.LittleEndian.PutUint64(b[32:], h.prevEnd)
	binary.LittleEndian.PutUint32(b[40:], h.prevChain)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// decodeSegmentHeader returns ErrNewerFormat for an intact header of a later
// format, and any other error for a damaged one.
func decodeSegmentHeader(b []byte) (segmentHeader, error) {
	if len(b) < headerSize {
		return segmentHeader{}, fmt.Errorf("the segment header is cut short")
	}
	if !bytes.Equal(b[:8], []byte(segmentMagic)) {
		return segmentHeader{}, fmt.Errorf("not a log segment")
	}
	if binary.LittleEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return segmentHeader{}, fmt.Errorf("the segment header's checksum does not match")
	}
	if b[8] > formatVersion {
		return segmentHeader{}, fmt.Errorf("%w: format %d, this version reads up to %d", ErrNewerFormat, b[8], formatVersion)
	}
	if b[8] == 0 {
		return segmentHeader{}, fmt.Errorf("format 0 does not exist")
	}
	return segmentHeader{
		seq:       binary.LittleEndian.Uint64(b[16:]),
		salt:      binary.LittleEndian.Uint64(b[24:]),
		prevEnd:   binary.LittleEndian.Uint64(b[32:]),
		prevChain: binary.LittleEndian.Uint32(b[40:]),
	}, nil
}

// chainStart is the chain value before a segment's first batch.
func chainStart(salt uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	return crc32.Checksum(b[:], castagnoli)
}

// batchHeader is the decoded header of a batch. Salt, offset and a checksum of
// its own make it recognisable wherever a scan for it starts.
type batchHeader struct {
	prev    uint32 // chain value before this batch
	length  int64  // of the whole batch, header and commit frame included
	durable int64  // everything before this offset was on stable storage when the batch was written
}

// decodeBatchHeader reports whether an intact header of this segment stands at
// data[pos:].
func decodeBatchHeader(data []byte, pos int64, salt uint64) (batchHeader, bool) {
	if int64(len(data))-pos < batchHeaderSize {
		return batchHeader{}, false
	}
	b := data[pos : pos+batchHeaderSize]
	if binary.LittleEndian.Uint32(b) != batchMagic ||
		binary.LittleEndian.Uint64(b[8:]) != salt ||
		binary.LittleEndian.Uint64(b[16:]) != uint64(pos) ||
		binary.LittleEndian.Uint32(b[44:]) != crc32.Checksum(b[:44], castagnoli) {
		return batchHeader{}, false
	}
	return batchHeader{
		prev:    binary.LittleEndian.Uint32(b[4:]),
		length:  int64(binary.LittleEndian.Uint64(b[24:])),
		durable: int64(binary.LittleEndian.Uint64(b[32:])),
	}, true
}

// frame is a decoded frame; payload aliases the segment's data.
type frame struct {
	kind    kind
	group   GroupID
	offset  int64 // of the payload in the segment
	payload []byte
}

// decodeFrame reads the frame at the start of b, which stands at offset in the
// segment, and returns the bytes after it.
func decodeFrame(b []byte, offset int64) (frame, []byte, error) {
	if len(b) < frameHeaderSize {
		return frame{}, nil, fmt.Errorf("a frame is cut short")
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b)-frameHeaderSize) {
		return frame{}, nil, fmt.Errorf("a frame is longer than its batch")
	}
	return frame{
		kind:    kind(b[4]),
		group:   binary.LittleEndian.Uint64(b[8:]),
		offset:  offset + frameHeaderSize,
		payload: b[frameHeaderSize : frameHeaderSize+n],
	}, b[frameHeaderSize+n:], nil
}

// hardState is a raftpb.HardState by value.
type hardState struct {
	term, vote, commit uint64
}

// truncation is a group's truncation point.
type truncation struct {
	index, term uint64
	conf        *raftpb.ConfState // immutable; nil until one was given
}

// ref says where an entry's record is. A zero ref is a hole, which exists only
// during recovery.
type ref struct {
	term uint64
	seq  uint64 // segment
	off  int64  // of the record in the segment
	size uint32 // of the record
}

// record is a decoded entry record; data aliases what it was decoded from.
type record struct {
	term, index uint64
	typ         raftpb.EntryType
	data        []byte
}

// decodeRecord reads the record at the start of b and returns the bytes after
// it. It does not verify the checksum; see verifyRecord.
func decodeRecord(b []byte) (record, []byte, error) {
	if len(b) < recordHeader {
		return record{}, nil, fmt.Errorf("an entry record is cut short")
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-recordHeader) {
		return record{}, nil, fmt.Errorf("an entry record is longer than its frame")
	}
	end := recordHeader + n
	return record{
		term:  binary.LittleEndian.Uint64(b[8:]),
		index: binary.LittleEndian.Uint64(b[16:]),
		typ:   raftpb.EntryType(b[24]),
		data:  b[recordHeader:end:end],
	}, b[end:], nil
}

// recordChecksum covers the group too, so that a misdirected read is noticed.
func recordChecksum(group GroupID, rec []byte) uint32 {
	return crc32.Update(uint32(group)^uint32(group>>32), castagnoli, rec[4:])
}

// verifyRecord reports whether rec is, byte for byte, the record of an entry
// of group at index.
func verifyRecord(group GroupID, index uint64, rec []byte) bool {
	return len(rec) >= recordHeader &&
		int64(binary.LittleEndian.Uint32(rec[4:])) == int64(len(rec)-recordHeader) &&
		binary.LittleEndian.Uint64(rec[16:]) == index &&
		binary.LittleEndian.Uint32(rec) == recordChecksum(group, rec)
}

// entry makes a raft entry of r, in one allocation for the struct and what its
// fields point to.
func (r record) entry() *raftpb.Entry {
	box := &struct {
		entry       raftpb.Entry
		term, index uint64
		typ         raftpb.EntryType
	}{term: r.term, index: r.index, typ: r.typ}
	box.entry.Term, box.entry.Index, box.entry.Type = &box.term, &box.index, &box.typ
	if len(r.data) > 0 {
		box.entry.Data = r.data
	}
	return &box.entry
}

// encoder builds one batch in a buffer that is reused. Offsets in refs are
// relative to the start of the batch until it is known where that goes.
type encoder struct {
	buf    []byte
	refs   []ref // of every entry record, in the order of encoding
	frames int
}

// maxRetained is the largest buffer, in bytes, kept for the next batch.
const maxRetained = 8 << 20

func (e *encoder) reset() {
	if cap(e.buf) > maxRetained {
		e.buf = nil
	}
	e.buf = append(e.buf[:0], make([]byte, batchHeaderSize)...)
	e.refs = e.refs[:0]
	e.frames = 0
}

// size returns the length that the batch will have when sealed.
func (e *encoder) size() int64 { return int64(len(e.buf)) + commitSize }

// begin starts a frame and returns where it is; end completes it.
func (e *encoder) begin(k kind, group GroupID) int {
	at := len(e.buf)
	var h [frameHeaderSize]byte
	h[4] = byte(k)
	binary.LittleEndian.PutUint64(h[8:], group)
	e.buf = append(e.buf, h[:]...)
	e.frames++
	return at
}

func (e *encoder) end(at int) {
	binary.LittleEndian.PutUint32(e.buf[at:], uint32(len(e.buf)-at-frameHeaderSize))
}

func (e *encoder) blob(k kind, group GroupID, payload []byte) {
	at := e.begin(k, group)
	e.buf = append(e.buf, payload...)
	e.end(at)
}

func (e *encoder) hardState(group GroupID, hs hardState) {
	at := e.begin(kindHardState, group)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, hs.term)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, hs.vote)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, hs.commit)
	e.end(at)
}

// truncate encodes a truncation point; conf is a marshalled ConfState, nil for
// "as before".
func (e *encoder) truncate(group GroupID, index, term uint64, reset bool, conf []byte) {
	at := e.begin(kindTruncate, group)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, index)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, term)
	var flags byte
	if reset {
		flags |= truncateReset
	}
	if conf != nil {
		flags |= truncateConfState
	}
	e.buf = append(append(e.buf, flags), conf...)
	e.end(at)
}

func (e *encoder) entries(group GroupID, entries []*raftpb.Entry, size int64) {
	e.buf = slices.Grow(e.buf, int(size)+frameHeaderSize)
	at := e.begin(kindEntries, group)
	for _, entry := range entries {
		start := len(e.buf)
		var h [recordHeader]byte
		binary.LittleEndian.PutUint32(h[4:], uint32(len(entry.Data)))
		binary.LittleEndian.PutUint64(h[8:], entry.GetTerm())
		binary.LittleEndian.PutUint64(h[16:], entry.GetIndex())
		h[24] = byte(entry.GetType())
		e.buf = append(e.buf, h[:]...)
		e.buf = append(e.buf, entry.Data...)
		rec := e.buf[start:]
		binary.LittleEndian.PutUint32(rec, recordChecksum(group, rec))
		e.refs = append(e.refs, ref{term: entry.GetTerm(), off: int64(start), size: uint32(len(rec))})
	}
	e.end(at)
}

// raw appends a record that is already encoded.
func (e *encoder) raw(term uint64, rec []byte) {
	e.refs = append(e.refs, ref{term: term, off: int64(len(e.buf)), size: uint32(len(rec))})
	e.buf = append(e.buf, rec...)
}

// seal completes the batch for its place in a segment and returns the chain
// value after it.
func (e *encoder) seal(salt uint64, offset, durable int64, chain uint32) uint32 {
	at := e.begin(kindCommit, 0)
	e.buf = append(e.buf, 0, 0, 0, 0)
	e.end(at)
	b := e.buf
	binary.LittleEndian.PutUint32(b, batchMagic)
	binary.LittleEndian.PutUint32(b[4:], chain)
	binary.LittleEndian.PutUint64(b[8:], salt)
	binary.LittleEndian.PutUint64(b[16:], uint64(offset))
	binary.LittleEndian.PutUint64(b[24:], uint64(len(b)))
	binary.LittleEndian.PutUint64(b[32:], uint64(durable))
	binary.LittleEndian.PutUint32(b[44:], crc32.Checksum(b[:44], castagnoli))
	chain = crc32.Update(chain, castagnoli, b[:len(b)-4])
	binary.LittleEndian.PutUint32(b[len(b)-4:], chain)
	return chain
}

// recordsSize returns the length of the entries' records.
func recordsSize(entries []*raftpb.Entry) int64 {
	var n int64
	for _, e := range entries {
		n += recordHeader + int64(len(e.Data))
	}
	return n
}
