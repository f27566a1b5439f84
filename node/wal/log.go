package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// GroupID names a Raft group.
type GroupID = uint64

// Errors of Open and of the Log's methods.
var (
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("in use by another process")
	// ErrNewerFormat: a later version wrote the log. Nothing was touched.
	ErrNewerFormat = errors.New("the log was written by a newer version")
	// ErrClosed: the Log is closed.
	ErrClosed = errors.New("wal: closed")
	// ErrUnknownGroup and ErrGroupExists: a batch that names a group which is
	// not there, or creates one that is. Nothing was written.
	ErrUnknownGroup = errors.New("wal: no such group")
	ErrGroupExists  = errors.New("wal: the group exists")
	// ErrBadBatch: entries that do not follow each other, or that would leave a
	// gap, or too many bytes for one Append (4 GB). Nothing was written.
	ErrBadBatch = errors.New("wal: bad batch")
)

// CorruptError says that the log on disk is not what was written.
type CorruptError struct {
	File   string // path
	Offset int64  // of the first byte that cannot be trusted
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("wal: %s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}

// SyncPolicy says when written batches become durable.
type SyncPolicy uint8

const (
	// Always syncs each batch that asks for it before Write returns.
	Always SyncPolicy = iota
	// Interval syncs every Options.SyncInterval: a crash of the machine may
	// lose what was written since, but for votes, memberships and the like,
	// which are always synced.
	Interval
	// Never leaves it to the operating system, with the same exceptions. Full
	// segments are synced all the same, and so is the log when it is closed.
	Never
)

// ParseSyncPolicy returns the policy for "always", "interval" or "never".
func ParseSyncPolicy(s string) (SyncPolicy, error) {
	switch s {
	case "always":
		return Always, nil
	case "interval":
		return Interval, nil
	case "never":
		return Never, nil
	}
	return Always, fmt.Errorf("wal: unknown sync policy %q", s)
}

// Options configure a Log. Zero values stand for the defaults.
type Options struct {
	// Dir is the log's directory. It is created if missing.
	Dir string
	// FS is what Dir is on; the operating system's files by default.
	FS FS
	// SegmentSize, in bytes, is how long a segment grows before the next one
	// is made; 64 MB by default. A batch larger than that gets a segment of
	// its own size.
	SegmentSize int64
	// Preallocate, in bytes, is the step in which a segment's file is extended
	// with zeros ahead of the batches; 1 MB by default.
	Preallocate int64
	// Sync is the policy, and SyncInterval the period of Interval; 100 ms by
	// default.
	Sync         SyncPolicy
	SyncInterval time.Duration
	// CacheBytes bounds the recent entries kept in memory for each group; 8 MB
	// by default. Older ones are read from disk.
	CacheBytes int64
	// Rand supplies the segments' salts; crypto/rand by default.
	Rand io.Reader
	// Logger receives what recovery found; slog.Default by default.
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = OSFS{}
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = 64 << 20
	}
	if o.Preallocate <= 0 {
		o.Preallocate = 1 << 20
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = 100 * time.Millisecond
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 8 << 20
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Log is the Raft log of all groups of the process.
type Log struct {
	opts  Options
	fs    FS
	lock  io.Closer
	stats counters

	// io serializes Write, Sync and Close, and protects what follows.
	io     sync.Mutex
	err    error // what poisoned the log
	closed bool
	order  []*segment // oldest first, numbered without gaps
	active *segment   // the last one, which is written to
	enc    encoder    // of the batch being written
	aux    encoder    // of checkpoints and copies
	plans  map[GroupID]plan

	// mu protects what follows against readers; the holder of io, who alone
	// changes it (pins apart), reads it without. No I/O happens under it, but
	// for the closing of files. It may be taken while holding GroupLog.mu.
	mu       sync.RWMutex
	groups   map[GroupID]*GroupLog
	identity []byte
	segments map[uint64]*segment

	stop    chan struct{}
	stopped sync.WaitGroup
}

type counters struct {
	segments, bytes, live, writes, syncs atomic.Int64
}

// Stats are sizes and counts for reports.
type Stats struct {
	Segments  int   // files
	Bytes     int64 // used in them, preallocated zeros not counted
	LiveBytes int64 // of entries that are not truncated
	Writes    int64 // since Open
	Syncs     int64 // since Open, of batches
}

// Stats returns the present numbers. It may be called at any time.
func (l *Log) Stats() Stats {
	return Stats{
		Segments:  int(l.stats.segments.Load()),
		Bytes:     l.stats.bytes.Load(),
		LiveBytes: l.stats.live.Load(),
		Writes:    l.stats.writes.Load(),
		Syncs:     l.stats.syncs.Load(),
	}
}

// Open recovers the log in opts.Dir, or starts an empty one, and keeps the
// directory locked until Close. Everything that it returns is durable. Errors
// besides those of the file system: ErrLocked, ErrNewerFormat, *CorruptError;
// after them the log's files are as they were. A torn batch at the log's end is
// dropped, which is logged; see the package comment for what that can hide.
func Open(opts Options) (*Log, error) {
	opts.setDefaults()
	l := &Log{
		opts:     opts,
		fs:       opts.FS,
		plans:    make(map[GroupID]plan),
		groups:   make(map[GroupID]*GroupLog),
		segments: make(map[uint64]*segment),
		stop:     make(chan struct{}),
	}
	if err := l.fs.MkdirAll(opts.Dir); err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	lock, err := l.fs.Lock(lockPath(opts.Dir))
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	l.lock = lock
	if err := l.recover(); err != nil {
		for _, s := range l.order {
			s.file.Close()
		}
		lock.Close()
		return nil, err
	}
	if opts.Sync == Interval {
		l.stopped.Add(1)
		go l.syncPeriodically()
	}
	return l, nil
}

// syncPeriodically runs until Close. An error poisons the log, so the next
// Write reports it.
func (l *Log) syncPeriodically() {
	defer l.stopped.Done()
	ticker := time.NewTicker(l.opts.SyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			if err := l.Sync(); err != nil {
				return
			}
		}
	}
}

// Write makes a batch part of the log: one write, and one sync if the batch
// needs it and the policy is Always. When it returns nil, Storage and the other
// readers show the batch. There is one caller at a time.
//
// ErrUnknownGroup, ErrGroupExists and ErrBadBatch mean that nothing happened.
// Any other error poisons the log: whether the batch is on disk is unknown, no
// write or sync is tried again, and every later call returns the same error.
// The process must end; recovery finds out.
func (l *Log) Write(b *Batch) error {
	l.io.Lock()
	defer l.io.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.plan(b); err != nil {
		return err
	}
	l.enc.reset()
	if err := l.encode(b); err != nil {
		return err
	}
	sync := b.NeedsSync() && (l.opts.Sync == Always || l.binds(b))
	if l.enc.frames == 0 {
		// What made the batch void may itself not be durable yet.
		if sync {
			return l.poison(l.syncActive())
		}
		return nil
	}
	s, start, err := l.append(&l.enc, sync)
	if err != nil {
		return l.poison(err)
	}
	l.apply(b, s, start)
	return l.poison(l.reclaim())
}

// binds reports whether a batch decides who is in a group or what was voted: that
// is rare, and synced whatever the policy, so that a crash of the machine takes
// back commands at most.
func (l *Log) binds(b *Batch) bool {
	for i := range b.ops {
		o := &b.ops[i]
		switch o.kind {
		case kindIdentity, kindCreate, kindDestroy, kindMeta:
			return true
		case kindEntries:
			if g := l.groups[o.group]; o.hasHS && (g == nil || g.hs.term != o.hs.term || g.hs.vote != o.hs.vote) {
				return true
			}
			for _, e := range o.entries {
				if e.GetType() != raftpb.EntryNormal {
					return true
				}
			}
		}
	}
	return false
}

// Sync makes everything written durable, whatever the policy.
func (l *Log) Sync() error {
	l.io.Lock()
	defer l.io.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	return l.poison(l.syncActive())
}

// Close syncs the log, unless it is poisoned, and gives up files and lock. It
// returns what poisoned the log, if anything. Entries that are only on disk
// cannot be read any more.
func (l *Log) Close() error {
	l.io.Lock()
	if l.closed {
		l.io.Unlock()
		return ErrClosed
	}
	l.closed = true
	if l.err == nil {
		if err := l.syncActive(); err != nil {
			l.err = err
		}
	}
	err := l.err
	for _, s := range l.order {
		if cerr := l.closeSegment(s); err == nil {
			err = cerr
		}
	}
	if cerr := l.lock.Close(); err == nil {
		err = cerr
	}
	l.io.Unlock()
	close(l.stop)
	l.stopped.Wait()
	return err
}

func (l *Log) usable() error {
	if l.err != nil {
		return l.err
	}
	if l.closed {
		return ErrClosed
	}
	return nil
}

// poison makes an error, if it is one, the answer to every later call.
func (l *Log) poison(err error) error {
	l.err = err
	return err
}

// Identity returns the process's blob, nil if none was ever set. Nobody may
// change it.
func (l *Log) Identity() []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.identity
}

// Groups returns the ids of all groups, ascending.
func (l *Log) Groups() []GroupID {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Sorted(maps.Keys(l.groups))
}

// GroupMeta returns the host's blob for a group, nil if there is no such group.
// Nobody may change it.
func (l *Log) GroupMeta(group GroupID) []byte {
	g := l.Storage(group)
	if g == nil {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.meta
}

// Storage returns a group's log, nil if there is no such group.
func (l *Log) Storage(group GroupID) *GroupLog {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.groups[group]
}
