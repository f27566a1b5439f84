package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func lockPath(dir string) string { return filepath.Join(dir, lockName) }

// recovery rebuilds a Log's state from its segments. It changes nothing on
// disk before it has accepted all of them.
type recovery struct {
	log     *Log
	headers []segmentHeader
	buf     []byte // content of the segment being read
	batches int
	// tail describes the last segment behind its last good batch.
	tailDirty bool
	tailBytes int64 // up to the last byte that is not zero
	// hint is what the last good batch says was durable before it.
	hint int64
}

// recover opens the directory's segments, or makes the first one.
func (l *Log) recover() error {
	seqs, leftovers, err := l.listSegments()
	if err != nil {
		return err
	}
	r := &recovery{log: l}
	if err := r.openAll(seqs); err != nil {
		return err
	}
	for i := range l.order {
		if err := r.segment(i); err != nil {
			return err
		}
	}
	if err := l.checkHoles(); err != nil {
		return err
	}
	// Everything is accepted; from here on files change.
	for _, name := range leftovers {
		if err := l.fs.Remove(filepath.Join(l.opts.Dir, name)); err != nil {
			return fmt.Errorf("wal: %w", err)
		}
	}
	if len(seqs) == 0 {
		if err := l.fs.SyncDir(filepath.Dir(filepath.Clean(l.opts.Dir))); err != nil {
			return fmt.Errorf("wal: %w", err)
		}
		return l.createSegment()
	}
	if err := r.repair(); err != nil {
		return err
	}
	l.opts.Logger.Info("log recovered", slog.String("dir", l.opts.Dir), slog.Int("segments", len(l.order)),
		slog.Int("groups", len(l.groups)), slog.Int("batches", r.batches))
	return nil
}

// listSegments returns the numbers of the segments, ascending, and the names of
// segments that never got their final name.
func (l *Log) listSegments() (seqs []uint64, leftovers []string, err error) {
	names, err := l.fs.ReadDir(l.opts.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("wal: %w", err)
	}
	for _, name := range names {
		if seq, ok := parseSegmentName(name); ok {
			seqs = append(seqs, seq)
		} else if base, ok := strings.CutSuffix(name, temporarySuffix); ok {
			if _, ok := parseSegmentName(base); ok {
				leftovers = append(leftovers, name)
			}
		}
	}
	slices.Sort(seqs)
	for i := 1; i < len(seqs); i++ {
		if missing := seqs[i-1] + 1; seqs[i] != missing {
			return nil, nil, &CorruptError{File: filepath.Join(l.opts.Dir, segmentName(missing)), Reason: "the segment is missing, though later ones exist"}
		}
	}
	return seqs, leftovers, nil
}

// openAll opens all segments and reads their headers, so that a newer format
// anywhere is found before anything else is judged.
func (r *recovery) openAll(seqs []uint64) error {
	l := r.log
	var newer, damaged error
	for _, seq := range seqs {
		s := &segment{seq: seq, path: filepath.Join(l.opts.Dir, segmentName(seq))}
		file, err := l.fs.Open(s.path)
		if err != nil {
			return fmt.Errorf("wal: %w", err)
		}
		s.file = file
		l.order = append(l.order, s)
		l.segments[seq] = s
		if s.allocated, err = file.Size(); err != nil {
			return fmt.Errorf("wal: %w", err)
		}
		b := make([]byte, min(headerSize, s.allocated))
		if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("wal: reading %s: %w", s.path, err)
		}
		header, err := decodeSegmentHeader(b)
		if err == nil && header.seq != seq {
			err = fmt.Errorf("the header belongs to segment %d", header.seq)
		}
		switch {
		case errors.Is(err, ErrNewerFormat):
			newer = fmt.Errorf("wal: %s: %w", s.path, err)
		case err != nil && damaged == nil:
			damaged = &CorruptError{File: s.path, Reason: err.Error()}
		}
		s.salt = header.salt
		r.headers = append(r.headers, header)
	}
	if newer != nil {
		return newer
	}
	if damaged != nil {
		return damaged
	}
	if n := len(l.order); n > 0 {
		l.active = l.order[n-1]
	}
	return nil
}

// segment replays the batches of l.order[i].
func (r *recovery) segment(i int) error {
	s := r.log.order[i]
	if err := r.load(s); err != nil {
		return err
	}
	s.chain = chainStart(s.salt)
	reason := ""
	for s.end = headerSize; ; r.batches++ {
		header, bad := checkBatch(r.buf, s.end, s.salt, s.chain)
		if bad != "" {
			reason = bad
			break
		}
		batch := r.buf[s.end : s.end+header.length]
		if err := r.batch(s, batch[batchHeaderSize:len(batch)-commitSize], s.end+batchHeaderSize); err != nil {
			return err
		}
		s.end += header.length
		s.chain = binary.LittleEndian.Uint32(batch[len(batch)-4:])
		if s.start == 0 {
			s.start = s.end
		}
		r.hint = header.durable
	}
	corrupt := &CorruptError{File: s.path, Offset: s.end, Reason: reason}
	r.log.stats.segments.Add(1)
	r.log.stats.bytes.Add(s.end)
	if s.start == 0 { // durable before the file got its name
		return corrupt
	}
	if i+1 < len(r.headers) {
		// Durable before the next segment was made.
		s.durable = s.end
		if next := r.headers[i+1]; next.prevEnd != uint64(s.end) || next.prevChain != s.chain {
			corrupt.Reason += fmt.Sprintf(" (the next segment says that this one ends at %d)", next.prevEnd)
			return corrupt
		}
		return nil
	}
	return r.judgeTail(s, corrupt)
}

// load reads the whole segment into r.buf.
func (r *recovery) load(s *segment) error {
	if s.allocated > math.MaxInt {
		return fmt.Errorf("wal: %s does not fit into memory", s.path)
	}
	r.buf = slices.Grow(r.buf[:0], int(s.allocated))[:s.allocated]
	n, err := s.file.ReadAt(r.buf, 0)
	if err != nil && !(errors.Is(err, io.EOF) && n == len(r.buf)) {
		return fmt.Errorf("wal: reading %s: %w", s.path, err)
	}
	return nil
}

// checkBatch returns the header of the batch at data[pos:], or why there is no
// good batch.
func checkBatch(data []byte, pos int64, salt uint64, chain uint32) (batchHeader, string) {
	header, ok := decodeBatchHeader(data, pos, salt)
	switch {
	case !ok:
		return header, "no batch starts here"
	case header.prev != chain:
		return header, "the batch does not continue the one before"
	case header.length < batchHeaderSize+commitSize || header.length > int64(len(data))-pos:
		return header, "the batch is cut short"
	}
	b := data[pos : pos+header.length]
	if crc32.Update(chain, castagnoli, b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return header, "the batch's checksum does not match"
	}
	return header, ""
}

// judgeTail decides what the bytes behind the last good batch are: zeros that
// were never written, a torn end of the log, or damage to what was durable.
func (r *recovery) judgeTail(s *segment, corrupt *CorruptError) error {
	tail := r.buf[s.end:]
	used := len(bytes.TrimRight(tail, "\x00"))
	if used == 0 {
		return nil
	}
	if r.log.opts.Sync == Always {
		if at, ok := provesLoss(r.buf, s); ok {
			corrupt.Reason += fmt.Sprintf(" (it was complete when the batch at offset %d was written)", at)
			return corrupt
		}
	}
	r.tailDirty, r.tailBytes = true, int64(used)
	return nil
}

// provesLoss looks for the intact header of a batch which was written when the
// bad one at s.end was durable already, or which stands there and continues
// another batch than the last good one. It returns where that is.
//
// Without sync between them, later batches may reach the disk before earlier
// ones; so the mere presence of a later batch proves nothing.
func provesLoss(data []byte, s *segment) (int64, bool) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], batchMagic)
	for pos := s.end; ; pos++ {
		n := bytes.Index(data[pos:], magic[:])
		if n < 0 {
			return 0, false
		}
		pos += int64(n)
		header, ok := decodeBatchHeader(data, pos, s.salt)
		if ok && (header.durable > s.end || pos == s.end && header.prev != s.chain) {
			return pos, true
		}
	}
}

// repair makes the accepted part of the last segment durable and the rest
// zero, so that what was dropped cannot come back behind later batches.
//
// The batches that may not have been durable are written again, not only
// synced: after a failed sync the kernel may hold pages that look clean and
// are not on disk.
func (r *recovery) repair() error {
	s := r.log.active
	if r.tailDirty {
		r.log.opts.Logger.Warn("log: dropping a torn end", slog.String("file", s.path),
			slog.Int64("offset", s.end), slog.Int64("bytes", r.tailBytes))
	}
	from := min(max(r.hint, headerSize), s.end)
	image := r.buf[from : s.end+r.tailBytes]
	clear(image[s.end-from:])
	if len(image) > 0 {
		if _, err := s.file.WriteAt(image, from); err != nil {
			return fmt.Errorf("wal: repairing %s: %w", s.path, err)
		}
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("wal: syncing %s: %w", s.path, err)
	}
	s.durable = s.end
	return nil
}

// batch replays the frames of one batch.
func (r *recovery) batch(s *segment, b []byte, offset int64) error {
	for len(b) > 0 {
		f, rest, err := decodeFrame(b, offset)
		if err == nil && s.start == 0 && offset == headerSize+batchHeaderSize && f.kind != kindCheckpoint {
			err = errors.New("the segment does not start with a checkpoint")
		}
		if err == nil {
			err = r.frame(s, f)
		}
		if err != nil {
			// The checksum matched, so these bytes are what was written.
			return &CorruptError{File: s.path, Offset: offset, Reason: err.Error()}
		}
		offset += int64(len(b) - len(rest))
		b = rest
	}
	return nil
}

// frame replays one frame. What it keeps of the payload it copies.
func (r *recovery) frame(s *segment, f frame) error {
	l := r.log
	switch f.kind {
	case kindCheckpoint:
		return nil
	case kindIdentity:
		l.setIdentity(bytes.Clone(f.payload))
		return nil
	}
	g := l.groups[f.group]
	switch f.kind {
	case kindCreate:
		if g != nil {
			return fmt.Errorf("group %d is created twice", f.group)
		}
		l.addGroup(f.group, bytes.Clone(f.payload))
		return nil
	case kindGroup:
		if g == nil {
			g = l.addGroup(f.group, nil)
		}
		g.meta = bytes.Clone(f.payload)
		return nil
	}
	if g == nil {
		return fmt.Errorf("a record of kind %d for group %d, which does not exist", f.kind, f.group)
	}
	switch f.kind {
	case kindDestroy:
		l.removeGroup(f.group)
	case kindMeta:
		g.meta = bytes.Clone(f.payload)
	case kindHardState:
		if len(f.payload) != 24 {
			return fmt.Errorf("a HardState of %d bytes", len(f.payload))
		}
		g.hs = hardState{
			term:   binary.LittleEndian.Uint64(f.payload),
			vote:   binary.LittleEndian.Uint64(f.payload[8:]),
			commit: binary.LittleEndian.Uint64(f.payload[16:]),
		}
	case kindEntries, kindCopy:
		return g.replayRecords(s, f)
	case kindTruncate:
		return g.replayTruncate(f.payload)
	default:
		return fmt.Errorf("a record of unknown kind %d", f.kind)
	}
	return nil
}

func (g *GroupLog) replayRecords(s *segment, f frame) error {
	for b := f.payload; len(b) > 0; {
		rec, rest, err := decodeRecord(b)
		if err != nil {
			return err
		}
		if last := g.last(); rec.index > last && rec.index-last > maxHoles {
			return fmt.Errorf("entry %d of group %d is far beyond entry %d before it", rec.index, g.id, last)
		}
		if rec.index <= g.trunc.index {
			return fmt.Errorf("entry %d of group %d is below the truncation point %d", rec.index, g.id, g.trunc.index)
		}
		at := ref{term: rec.term, seq: s.seq, off: f.offset + int64(len(f.payload)-len(b)), size: uint32(len(b) - len(rest))}
		if f.kind == kindEntries {
			g.cut(rec.index)
		}
		g.extend(rec.index - 1)
		switch {
		case rec.index > g.last():
			g.push(at, rec.typ)
		default: // a copy
			g.place(rec.index, at)
			if rec.typ != raftpb.EntryNormal {
				if i, found := slices.BinarySearch(g.confs, rec.index); !found {
					g.confs = slices.Insert(g.confs, i, rec.index)
				}
			}
		}
		b = rest
	}
	return nil
}

// maxHoles is how many entries in a row may be missing during recovery: more
// than the segments that are gone can have held.
const maxHoles = 1 << 28

// extend fills the log with holes up to index. The entries that belong there
// were in segments that are gone, so a later truncation or copy covers them.
func (g *GroupLog) extend(index uint64) {
	if index > g.last() {
		g.refs = append(g.refs, make([]ref, index-g.last())...)
	}
}

func (g *GroupLog) replayTruncate(b []byte) error {
	if len(b) < 17 {
		return fmt.Errorf("a truncation record of %d bytes", len(b))
	}
	point := truncation{index: binary.LittleEndian.Uint64(b), term: binary.LittleEndian.Uint64(b[8:])}
	flags := b[16]
	if flags&truncateConfState != 0 {
		point.conf = &raftpb.ConfState{}
		if err := proto.Unmarshal(b[17:], point.conf); err != nil {
			return fmt.Errorf("a ConfState: %w", err)
		}
	}
	if point.index < g.trunc.index {
		return fmt.Errorf("group %d's truncation point goes back from %d to %d", g.id, g.trunc.index, point.index)
	}
	g.truncate(point, flags&truncateReset != 0)
	return nil
}

// checkHoles verifies that every group has all entries behind its truncation
// point.
func (l *Log) checkHoles() error {
	for _, id := range l.Groups() {
		g := l.groups[id]
		for i, r := range g.refs {
			if r.seq == 0 {
				return &CorruptError{File: l.order[0].path, Reason: fmt.Sprintf("entry %d of group %d is missing: it was in a segment before this one", g.trunc.index+1+uint64(i), id)}
			}
		}
	}
	return nil
}
