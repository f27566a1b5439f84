package wal

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// frames makes frames out of arbitrary bytes, such as no checksum would let
// through: kinds, groups, lengths and payloads are the input's. Indexes are kept
// small, since recovery may believe that the entries before one are elsewhere.
func frames(in []byte) []byte {
	var out []byte
	for len(in) >= 4 {
		kind, group, n := in[0]%14, in[1]%4, int(binary.LittleEndian.Uint16(in[2:]))%96
		in = in[4:]
		payload := slices.Clone(in[:min(n, len(in))])
		in = in[len(payload):]
		for rest := payload; len(rest) >= recordHeader; {
			binary.LittleEndian.PutUint32(rest[4:], binary.LittleEndian.Uint32(rest[4:])%64)
			binary.LittleEndian.PutUint64(rest[16:], binary.LittleEndian.Uint64(rest[16:])%1000)
			rest = rest[min(len(rest), recordHeader+int(binary.LittleEndian.Uint32(rest[4:]))):]
		}
		h := make([]byte, frameHeaderSize)
		binary.LittleEndian.PutUint32(h, uint32(len(payload)))
		h[4], h[8] = kind, group
		out = append(append(out, h...), payload...)
	}
	return append(out, in...)
}

// FuzzReplay: frames that pass every checksum and still make no sense are an
// error, not a panic, and leave the groups readable.
func FuzzReplay(f *testing.F) {
	record := func(index uint64) []byte {
		var e encoder
		e.entries(1, []*raftpb.Entry{{Index: &index, Term: new(uint64(1)), Data: []byte("data")}}, 0)
		return e.buf[frameHeaderSize:]
	}
	frame := func(kind kind, payload []byte) []byte {
		return append([]byte{byte(kind), 1, byte(len(payload)), 0}, payload...)
	}
	var e encoder
	e.truncate(1, 2, 1, true, nil)
	start := append(frame(kindCheckpoint, nil), frame(kindCreate, []byte("meta"))...)
	f.Add(slices.Concat(start, frame(kindEntries, record(1)), frame(kindEntries, record(2)), frame(kindDestroy, nil)))
	f.Add(slices.Concat(start, frame(kindEntries, record(7)), frame(kindTruncate, e.buf[frameHeaderSize:]), frame(kindCopy, record(3))))
	f.Add(slices.Concat(start, frame(kindHardState, make([]byte, 24)), frame(kindMeta, []byte("m")), frame(kindGroup, []byte("g"))))
	f.Add(slices.Concat(start, frame(kindTruncate, append(e.buf[frameHeaderSize:len(e.buf)-1], truncateConfState, 1, 2, 3))))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := &segment{seq: 1, path: "segment"}
		l := &Log{
			opts: Options{Logger: slog.New(slog.DiscardHandler)}, groups: make(map[GroupID]*GroupLog),
			segments: map[uint64]*segment{1: s}, order: []*segment{s},
		}
		r := &recovery{log: l}
		err := r.batch(s, frames(in), headerSize+batchHeaderSize)
		if err == nil {
			err = l.checkHoles()
		}
		var corrupt *CorruptError
		if err != nil && (!errors.As(err, &corrupt) || corrupt.File != s.path) {
			t.Fatalf("%v", err)
		}
		for _, id := range l.Groups() {
			g := l.groups[id]
			first, _ := g.FirstIndex()
			last, _ := g.LastIndex()
			if last+1 < first {
				t.Fatalf("group %d: first %d, last %d", id, first, last)
			}
			if _, _, err := g.InitialState(); err != nil {
				t.Fatal(err)
			}
			for index := first; index <= last; index++ {
				if _, err := g.Term(index); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
