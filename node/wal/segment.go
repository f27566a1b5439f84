package wal

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const (
	segmentSuffix   = ".wal"
	temporarySuffix = ".tmp"
	lockName        = "LOCK"
)

// segment is one file of the log. Only the holder of Log.io uses the fields,
// except where it says otherwise.
type segment struct {
	seq  uint64
	path string
	file File
	salt uint64

	start     int64  // end of the checkpoint batch
	end       int64  // end of the last batch
	chain     uint32 // chain value at end
	durable   int64  // everything before it is on stable storage
	allocated int64  // length of the file; zeros from end on

	entries int   // live entries in it
	bytes   int64 // size of their records

	pins   int  // readers; protected by Log.mu
	closed bool // close the file when the last reader goes; protected by Log.mu
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016d%s", seq, segmentSuffix) }

// parseSegmentName returns the sequence number in a segment's name.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && segmentName(seq) == name
}

// createSegment writes the segment after the active one and makes it the
// active one. It starts with a checkpoint of the present state, so that nothing
// but entries is ever needed from older segments. The file gets its name only
// when all that is durable: a segment whose header or checkpoint is bad was
// damaged, not torn.
func (l *Log) createSegment() error {
	header := segmentHeader{seq: 1}
	if l.active != nil {
		// A batch may be missing only at the very end of the log.
		if err := l.syncActive(); err != nil {
			return err
		}
		header.seq = l.active.seq + 1
		header.prevEnd, header.prevChain = uint64(l.active.end), l.active.chain
	}
	var salt [8]byte
	if _, err := io.ReadFull(l.opts.Rand, salt[:]); err != nil {
		return fmt.Errorf("wal: drawing a salt: %w", err)
	}
	header.salt = binary.LittleEndian.Uint64(salt[:])

	s := &segment{
		seq:  header.seq,
		path: filepath.Join(l.opts.Dir, segmentName(header.seq)),
		salt: header.salt,
	}
	if err := l.encodeCheckpoint(); err != nil {
		return err
	}
	s.chain = l.aux.seal(s.salt, headerSize, headerSize, chainStart(s.salt))
	image := append(header.encode(), l.aux.buf...)
	s.start = int64(len(image))
	s.end, s.durable = s.start, s.start
	s.allocated = l.allocation(s.end)
	image = append(image, make([]byte, s.allocated-s.end)...)
	if err := l.writeSegment(s, image); err != nil {
		return fmt.Errorf("wal: creating %s: %w", s.path, err)
	}
	l.mu.Lock()
	l.segments[s.seq] = s
	l.mu.Unlock()
	l.order = append(l.order, s)
	l.active = s
	l.stats.segments.Add(1)
	l.stats.bytes.Add(s.end)
	return nil
}

func (l *Log) writeSegment(s *segment, image []byte) error {
	temporary := s.path + temporarySuffix
	file, err := l.fs.Create(temporary)
	if err != nil {
		return err
	}
	s.file = file
	if _, err = file.WriteAt(image, 0); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = l.fs.Rename(temporary, s.path)
	}
	if err == nil {
		err = l.fs.SyncDir(l.opts.Dir)
	}
	if err != nil {
		file.Close()
	}
	return err
}

// encodeCheckpoint puts all state that is not entries into l.aux.
func (l *Log) encodeCheckpoint() error {
	e := &l.aux
	e.reset()
	e.blob(kindCheckpoint, 0, nil)
	if l.identity != nil {
		e.blob(kindIdentity, 0, l.identity)
	}
	for _, id := range l.Groups() {
		g := l.groups[id]
		e.blob(kindGroup, id, g.meta)
		if g.hs != (hardState{}) {
			e.hardState(id, g.hs)
		}
		var conf []byte
		if g.trunc.conf != nil {
			var err error
			if conf, err = marshalConf(g.trunc.conf); err != nil {
				return err
			}
		}
		if g.trunc.index > 0 || conf != nil {
			e.truncate(id, g.trunc.index, g.trunc.term, false, conf)
		}
	}
	return nil
}

// marshalConf never returns nil without an error.
func marshalConf(cs *raftpb.ConfState) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, cs)
	if err != nil {
		return nil, fmt.Errorf("wal: encoding a ConfState: %w", err)
	}
	return b, nil
}

// allocation returns how long a segment's file is to be when its batches end
// at end: a whole number of preallocation steps, unless that is more than a
// segment's size and not needed.
func (l *Log) allocation(end int64) int64 {
	step := l.opts.Preallocate
	return max(end, min((end+step-1)/step*step, l.opts.SegmentSize))
}

// append seals e and writes it at the end of the active segment, after making
// a new one if it does not fit, and returns where the batch starts. One write;
// one sync if asked for.
func (l *Log) append(e *encoder, sync bool) (*segment, int64, error) {
	size := e.size()
	if l.active.end+size > l.opts.SegmentSize && l.active.end > l.active.start {
		if err := l.createSegment(); err != nil {
			return nil, 0, err
		}
	}
	s := l.active
	start := s.end
	chain := e.seal(s.salt, start, s.durable, s.chain)
	end := start + size
	buf := e.buf
	if end > s.allocated {
		// The zeros ahead go out with the batch: the length of the file
		// changes only here.
		allocated := l.allocation(end)
		e.buf = append(e.buf, make([]byte, allocated-end)...)
		buf = e.buf
		s.allocated = allocated
	}
	if _, err := s.file.WriteAt(buf, start); err != nil {
		return nil, 0, fmt.Errorf("wal: writing %s: %w", s.path, err)
	}
	s.end, s.chain = end, chain
	l.stats.bytes.Add(size)
	l.stats.writes.Add(1)
	if sync {
		if err := l.syncActive(); err != nil {
			return nil, 0, err
		}
	}
	return s, start, nil
}

// syncActive makes the active segment durable. Older ones always are.
func (l *Log) syncActive() error {
	s := l.active
	if s.durable == s.end {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("wal: syncing %s: %w", s.path, err)
	}
	s.durable = s.end
	l.stats.syncs.Add(1)
	return nil
}

// retain and release count the live entries of segments.
func (l *Log) retain(r ref) {
	s := l.segment(r.seq)
	s.entries++
	s.bytes += int64(r.size)
	l.stats.live.Add(int64(r.size))
}

func (l *Log) release(refs []ref) {
	for _, r := range refs {
		if r.seq == 0 { // a hole
			continue
		}
		s := l.segment(r.seq)
		s.entries--
		s.bytes -= int64(r.size)
		l.stats.live.Add(-int64(r.size))
	}
}

// segment returns a segment that has live entries. The numbers in order are
// consecutive, so its place follows from its number.
func (l *Log) segment(seq uint64) *segment { return l.order[seq-l.order[0].seq] }

// pin keeps the segments of refs open for reading until unpin.
func (l *Log) pin(refs []ref) map[uint64]*segment {
	pinned := make(map[uint64]*segment, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range refs {
		if pinned[r.seq] == nil {
			s := l.segments[r.seq]
			s.pins++
			pinned[r.seq] = s
		}
	}
	return pinned
}

func (l *Log) unpin(pinned map[uint64]*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range pinned {
		s.pins--
		if s.pins == 0 && s.closed {
			s.file.Close() // only read from since; nothing is lost
		}
	}
}

// closeSegment closes a segment's file, or leaves that to its last reader.
func (l *Log) closeSegment(s *segment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.closed = true
	if s.pins > 0 {
		return nil
	}
	return s.file.Close()
}

// readSpan is how many bytes one read may fetch for several small records, and
// readGap how many it may fetch in vain between two of them.
const (
	readSpan = 1 << 20
	readGap  = 4 << 10
)

// readRecords reads the records of group's entries from first on, adjacent ones
// together, and calls fn for each after its checksum was verified. rec belongs
// to fn.
func readRecords(group GroupID, first uint64, refs []ref, segments map[uint64]*segment, fn func(i int, rec []byte) error) error {
	for i := 0; i < len(refs); {
		from, end := refs[i].off, refs[i].off+int64(refs[i].size)
		n := i + 1
		for ; n < len(refs) && refs[n].seq == refs[i].seq; n++ {
			r := refs[n]
			if r.off < end || r.off-end > readGap || r.off+int64(r.size)-from > readSpan {
				break
			}
			end = r.off + int64(r.size)
		}
		s := segments[refs[i].seq]
		buf := make([]byte, end-from)
		if _, err := s.file.ReadAt(buf, from); err != nil {
			return fmt.Errorf("wal: reading %s at offset %d: %w", s.path, from, err)
		}
		for ; i < n; i++ {
			r := refs[i]
			rec := buf[r.off-from:][:r.size:r.size]
			if !verifyRecord(group, first+uint64(i), rec) {
				return &CorruptError{File: s.path, Offset: r.off, Reason: fmt.Sprintf("the record of entry %d of group %d changed after it was written", first+uint64(i), group)}
			}
			if err := fn(i, rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// readEntries appends the entries of refs to dst.
func readEntries(group GroupID, first uint64, refs []ref, segments map[uint64]*segment, dst []*raftpb.Entry) ([]*raftpb.Entry, error) {
	err := readRecords(group, first, refs, segments, func(_ int, rec []byte) error {
		r, _, err := decodeRecord(rec)
		if err == nil {
			dst = append(dst, r.entry())
		}
		return err
	})
	return dst, err
}
