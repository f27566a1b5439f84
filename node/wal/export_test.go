package wal

import (
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/raft/v3/raftpb"
)

// Layout describes a segment's content for tests that damage it.
type Layout struct {
	Batches []int64 // where each batch starts; the first is the checkpoint
	Frames  []int64 // where each frame starts
	End     int64   // end of the last batch
}

// ReadLayout parses an undamaged segment.
func ReadLayout(data []byte) Layout {
	header, err := decodeSegmentHeader(data)
	if err != nil {
		panic(err)
	}
	l := Layout{End: headerSize}
	for chain := chainStart(header.salt); ; {
		h, bad := checkBatch(data, l.End, header.salt, chain)
		if bad != "" {
			return l
		}
		l.Batches = append(l.Batches, l.End)
		b := data[l.End : l.End+h.length]
		for rest, at := b[batchHeaderSize:], l.End+batchHeaderSize; len(rest) > 0; {
			l.Frames = append(l.Frames, at)
			_, next, err := decodeFrame(rest, at)
			if err != nil {
				panic(err)
			}
			at += int64(len(rest) - len(next))
			rest = next
		}
		chain = binary.LittleEndian.Uint32(b[len(b)-4:])
		l.End += h.length
	}
}

// SetFormat makes an intact segment header of another format.
func SetFormat(data []byte, format byte) {
	data[8] = format
	binary.LittleEndian.PutUint32(data[60:], crc32.Checksum(data[:60], castagnoli))
}

// SegmentName returns a segment's file name.
func SegmentName(seq uint64) string { return segmentName(seq) }

// RecordSize is what an entry takes in a segment.
func RecordSize(e *raftpb.Entry) int64 { return recordsSize([]*raftpb.Entry{e}) }
