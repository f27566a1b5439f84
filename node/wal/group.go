package wal

import (
	"slices"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// GroupLog is one group's part of the log. It implements raft.Storage. All
// methods may be called concurrently with each other and with Log.Write; none
// holds a lock while it reads from disk. The state changes only inside
// Log.Write, after the change is as durable as the batch asked for. The handle
// of a destroyed group is empty; a group created again has a new handle.
type GroupLog struct {
	log *Log
	id  GroupID

	// mu protects what follows against readers. Only the holder of Log.io
	// changes it, and may therefore read it without mu.
	mu    sync.RWMutex
	meta  []byte
	hs    hardState
	trunc truncation
	// refs[i] is the entry at trunc.index+1+i.
	refs []ref
	// size is what the records of refs take on disk.
	size int64
	// confs are the indexes of the entries that change the configuration,
	// ascending.
	confs []uint64
	// tail is the last len(tail) entries, as long as they fit the cache.
	tail      []*raftpb.Entry
	tailBytes int64
}

var _ raft.Storage = (*GroupLog)(nil)

// Snapshot implements raft.Storage: it describes the state at the truncation
// point, without any data. Whoever needs that state has to get it elsewhere.
func (g *GroupLog) Snapshot() (*raftpb.Snapshot, error) {
	index, term, conf := g.Truncated()
	if index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: raftpb.EnsureConfState(conf), Index: &index, Term: &term,
	}}, nil
}

// InitialState implements raft.Storage: the HardState, nil if none was ever
// written, and the ConfState at the truncation point.
func (g *GroupLog) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	cs := &raftpb.ConfState{}
	if g.trunc.conf != nil {
		cs = proto.Clone(g.trunc.conf).(*raftpb.ConfState)
	}
	return g.hs.message(), cs, nil
}

// HardState returns the last HardState, nil if none was ever written. The
// caller owns it.
func (g *GroupLog) HardState() *raftpb.HardState {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.hs.message()
}

// Truncated returns the truncation point: index and term of the last entry
// that is gone and the configuration there, which the caller owns. All are
// zero and nil as long as nothing was truncated.
func (g *GroupLog) Truncated() (index, term uint64, cs *raftpb.ConfState) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.trunc.conf != nil {
		cs = proto.Clone(g.trunc.conf).(*raftpb.ConfState)
	}
	return g.trunc.index, g.trunc.term, cs
}

// FirstIndex implements raft.Storage.
func (g *GroupLog) FirstIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.trunc.index + 1, nil
}

// LastIndex implements raft.Storage.
func (g *GroupLog) LastIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.last(), nil
}

// Size returns how many entries the group has behind its truncation point, and
// how many bytes their records take.
func (g *GroupLog) Size() (entries int, bytes int64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.refs), g.size
}

// Tail returns the truncation point that would leave the most recent entries:
// as many as are within both limits.
func (g *GroupLog) Tail(entries int, bytes int64) uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	drop := max(0, len(g.refs)-entries)
	left := g.size
	for i, r := range g.refs {
		if i >= drop && left <= bytes {
			break
		}
		left -= int64(r.size)
		drop = max(drop, i+1)
	}
	return g.trunc.index + uint64(drop)
}

// Term implements raft.Storage.
func (g *GroupLog) Term(index uint64) (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	switch {
	case index < g.trunc.index:
		return 0, raft.ErrCompacted
	case index == g.trunc.index:
		return g.trunc.term, nil
	case index > g.last():
		return 0, raft.ErrUnavailable
	}
	return g.refs[index-g.trunc.index-1].term, nil
}

// Entries implements raft.Storage. Recent entries come from memory, older ones
// from disk; a *CorruptError says that the disk no longer has what was written.
func (g *GroupLog) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	g.mu.RLock()
	if err := g.checkRange(lo, hi); err != nil || lo == hi {
		g.mu.RUnlock()
		return nil, err
	}
	hi = g.limit(lo, hi, maxSize)
	entries := make([]*raftpb.Entry, 0, hi-lo)
	cached := max(lo, min(hi, g.last()+1-uint64(len(g.tail))))
	if cached == lo {
		entries = append(entries, g.cached(lo, hi)...)
		g.mu.RUnlock()
		return entries, nil
	}
	refs := slices.Clone(g.refs[lo-g.trunc.index-1 : cached-g.trunc.index-1])
	recent := slices.Clone(g.cached(cached, hi))
	// Pinned while the group still refers to the segments, so that they can
	// not go in between.
	pinned := g.log.pin(refs)
	g.mu.RUnlock()
	defer g.log.unpin(pinned)

	entries, err := readEntries(g.id, lo, refs, pinned, entries)
	if err != nil {
		return nil, err
	}
	return append(entries, recent...), nil
}

// ConfEntries returns the entries in [lo, hi) that change the configuration
// (EntryConfChange and EntryConfChangeV2), in order. Their indexes are kept, so
// this reads nothing else. Errors are those of Entries.
func (g *GroupLog) ConfEntries(lo, hi uint64) ([]*raftpb.Entry, error) {
	g.mu.RLock()
	if err := g.checkRange(lo, hi); err != nil {
		g.mu.RUnlock()
		return nil, err
	}
	from, _ := slices.BinarySearch(g.confs, lo)
	to, _ := slices.BinarySearch(g.confs, hi)
	indexes := slices.Clone(g.confs[from:to])
	g.mu.RUnlock()

	entries := make([]*raftpb.Entry, 0, len(indexes))
	for _, index := range indexes {
		one, err := g.Entries(index, index+1, 0)
		if err != nil {
			return nil, err
		}
		entries = append(entries, one...)
	}
	return entries, nil
}

// checkRange requires mu.
func (g *GroupLog) checkRange(lo, hi uint64) error {
	switch {
	case lo <= g.trunc.index:
		return raft.ErrCompacted
	case hi > g.last()+1 || lo > hi:
		return raft.ErrUnavailable
	}
	return nil
}

// limit returns the largest end up to hi for which the entries from lo on take
// at most maxSize bytes, but at least one entry. It requires mu.
func (g *GroupLog) limit(lo, hi, maxSize uint64) uint64 {
	var size uint64
	for i := lo; i < hi; i++ {
		r := g.refs[i-g.trunc.index-1]
		size += messageSize(r.term, i, uint64(r.size)-recordHeader)
		if size > maxSize && i > lo {
			return i
		}
	}
	return hi
}

// messageSize is the length of an entry as a protobuf message, in which raft
// counts maxSize.
func messageSize(term, index, data uint64) uint64 {
	size := 2 + 1 + varintSize(term) + 1 + varintSize(index)
	if data > 0 {
		size += 1 + varintSize(data) + data
	}
	return size
}

func varintSize(v uint64) uint64 {
	n := uint64(1)
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// cached returns the entries [lo, hi) of the tail, not copied; hi may be as low
// as lo, wherever that is. It requires mu.
func (g *GroupLog) cached(lo, hi uint64) []*raftpb.Entry {
	if lo >= hi {
		return nil
	}
	start := g.last() + 1 - uint64(len(g.tail))
	return g.tail[lo-start : hi-start]
}

func (g *GroupLog) last() uint64 { return g.trunc.index + uint64(len(g.refs)) }

// cut drops the entries from index on. It requires mu.
func (g *GroupLog) cut(index uint64) {
	keep := max(index, g.trunc.index+1) - g.trunc.index - 1
	if keep >= uint64(len(g.refs)) {
		return
	}
	dropped := g.refs[keep:]
	g.release(dropped)
	if n := min(len(dropped), len(g.tail)); n > 0 {
		gone := g.tail[len(g.tail)-n:]
		for _, e := range gone {
			g.tailBytes -= int64(len(e.Data))
		}
		clear(gone)
		g.tail = g.tail[:len(g.tail)-n]
	}
	g.refs = g.refs[:keep]
	from, _ := slices.BinarySearch(g.confs, index)
	g.confs = g.confs[:from]
}

// push adds the record of the entry after the last one. It requires mu.
func (g *GroupLog) push(r ref, typ raftpb.EntryType) {
	g.refs = append(g.refs, r)
	g.retain(r)
	if typ != raftpb.EntryNormal {
		g.confs = append(g.confs, g.last())
	}
}

// retain counts a record as live, release some as live no more. Both require mu.
func (g *GroupLog) retain(r ref) {
	g.size += int64(r.size)
	g.log.retain(r)
}

func (g *GroupLog) release(refs []ref) {
	for _, r := range refs {
		g.size -= int64(r.size)
	}
	g.log.release(refs)
}

// remember keeps the newest entries, which were just pushed, in memory and
// evicts the oldest ones. It requires mu.
func (g *GroupLog) remember(entries []*raftpb.Entry, capacity int64) {
	g.tail = append(g.tail, entries...)
	for _, e := range entries {
		g.tailBytes += int64(len(e.Data))
	}
	evict := 0
	for ; evict < len(g.tail) && g.tailBytes+entryOverhead*int64(len(g.tail)-evict) > capacity; evict++ {
		g.tailBytes -= int64(len(g.tail[evict].Data))
	}
	g.forget(evict)
}

// entryOverhead is about what an entry takes in memory besides its data.
const entryOverhead = 160

// forget lets go of the tail's first n entries, whose bytes are already
// subtracted. Reslicing is enough: the next growth copies what is left.
func (g *GroupLog) forget(n int) {
	clear(g.tail[:n])
	g.tail = g.tail[n:]
}

// truncate moves the truncation point to index, at or behind the present one.
// It requires mu.
func (g *GroupLog) truncate(point truncation, reset bool) {
	if point.conf == nil {
		point.conf = g.trunc.conf
	}
	if reset || point.index >= g.last() {
		g.cut(g.trunc.index + 1)
		g.trunc, g.refs, g.confs, g.tail = point, nil, nil, nil
		return
	}
	n := point.index - g.trunc.index
	g.release(g.refs[:n])
	g.refs = g.refs[n:]
	if extra := len(g.tail) - len(g.refs); extra > 0 {
		for _, e := range g.tail[:extra] {
			g.tailBytes -= int64(len(e.Data))
		}
		g.forget(extra)
	}
	from, _ := slices.BinarySearch(g.confs, point.index+1)
	g.confs = g.confs[from:]
	g.trunc = point
}

// drop empties the group.
func (g *GroupLog) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut(g.trunc.index + 1)
	g.meta, g.hs, g.trunc, g.refs, g.confs, g.tail = nil, hardState{}, truncation{}, nil, nil, nil
}

// message returns nil for a HardState that was never written.
func (hs hardState) message() *raftpb.HardState {
	if hs == (hardState{}) {
		return nil
	}
	return &raftpb.HardState{Term: &hs.term, Vote: &hs.vote, Commit: &hs.commit}
}
