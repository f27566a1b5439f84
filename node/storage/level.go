package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	ldb "github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// LevelOptions sizes a database on disk. A zero field means its default.
type LevelOptions struct {
	// WriteBuffer is how many bytes of batches are held in memory (twice that
	// at most) before they go to a table. Default 4 MiB, which measured better
	// than more.
	WriteBuffer int
	// BlockCache is how many bytes of table blocks are cached. Default 8 MiB;
	// negative: none.
	BlockCache int
	// BloomBits is how many bits a key the tables' filters have. Default 10
	// (1 % false positives); negative: no filters.
	BloomBits int
	// OpenFiles is how many tables are kept open. Default 128.
	OpenFiles int
	// Bulk, if not nil, is called when a transaction, or the writing of a table,
	// begins: something that computes for long. What it returns is called, once or
	// more often, when that has ended.
	Bulk func() (done func())
	// Compression compresses new blocks with Snappy.
	Compression bool
	// Logger takes warnings about recovery, and goleveldb's own log at level
	// debug. Default: neither is logged.
	Logger *slog.Logger
}

func (o LevelOptions) leveldb() *opt.Options {
	orDefault := func(v, d int) int {
		if v == 0 {
			return d
		}
		return v
	}
	options := &opt.Options{
		WriteBuffer:            orDefault(o.WriteBuffer, 4<<20),
		BlockCacheCapacity:     orDefault(o.BlockCache, 8<<20),
		OpenFilesCacheCapacity: orDefault(o.OpenFiles, 128),
		Compression:            opt.NoCompression,
		// prepare has already cut off what may be torn, so anything that
		// goleveldb still finds wrong is an error.
		Strict: opt.StrictAll,
		// There is one writer; merging would only make batches share a record.
		NoWriteMerge: true,
		// A batch larger than the write buffer would bypass the journal, and
		// with it the order that recovery relies on.
		DisableLargeBatchTransaction: true,
		// Compactions triggered by reads: unpredictable work for little gain
		// where filters answer most misses.
		DisableSeeksCompaction: true,
	}
	if o.Compression {
		options.Compression = opt.SnappyCompression
	}
	if bits := orDefault(o.BloomBits, 10); bits > 0 {
		options.Filter = filter.NewBloomFilter(bits)
	}
	return options
}

// Level is a Store on disk.
type Level struct {
	dir    string
	db     *leveldb.DB
	files  *files
	closed atomic.Bool
	// ending is held for writing by Close, so that no Sync runs into it.
	ending sync.RWMutex
}

var _ Store = (*Level)(nil)

// OpenLevel opens the database in dir, or creates it in an existing folder. What it finds after a
// crash is the result of a prefix of the batches, reaching at least to the last
// Sync. Errors: ErrLocked, ErrNewerFormat, ErrCorrupt, or the file system's.
func OpenLevel(dir string, opts LevelOptions) (*Level, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	base, err := ldb.OpenFile(dir, false)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	case err != nil:
		return nil, fmt.Errorf("storage: %w", err)
	}
	l := &Level{dir: dir, files: &files{Storage: base, dir: dir, logger: opts.Logger, bulk: opts.Bulk}}
	if err := prepare(dir, opts.Logger); err != nil {
		return nil, errors.Join(err, base.Close())
	}
	l.db, err = leveldb.Open(l.files, opts.leveldb())
	if err != nil {
		return nil, errors.Join(l.explain(err), base.Close())
	}
	return l, nil
}

// makeDir creates dir, durably, in its parent, which exists. Its name is synced
// even if it is there: a process that made it may have died before it did that.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("storage: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// explain gives goleveldb's errors their meaning here.
func (l *Level) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, leveldb.ErrNotFound) {
		return ErrNotFound
	}
	if failed := l.files.err(); failed != nil {
		return failed
	}
	var damaged *lerrors.ErrCorrupted
	switch {
	case errors.Is(err, leveldb.ErrClosed):
		return ErrClosed
	case errors.As(err, &damaged):
		path := l.dir
		if !damaged.Fd.Zero() {
			path = filepath.Join(l.dir, damaged.Fd.String())
		}
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, damaged.Err)
	default:
		return fmt.Errorf("storage: %s: %w", l.dir, err)
	}
}

// Get implements Store.
func (l *Level) Get(key []byte) ([]byte, error) {
	// Who asks keeps the record. The cache is for the tables' filters and indexes,
	// which a block for each record would wash out.
	value, err := l.db.Get(key, &opt.ReadOptions{DontFillCache: true})
	return value, l.explain(err)
}

// Has implements Store.
func (l *Level) Has(key []byte) (bool, error) {
	ok, err := l.db.Has(key, nil)
	return ok, l.explain(err)
}

// Iterate implements Store.
func (l *Level) Iterate(lower, upper []byte) Iterator {
	if lower != nil && upper != nil && bytes.Compare(lower, upper) > 0 {
		upper = lower // goleveldb panics on such a range
	}
	// A walk over everything would only wash what others need out of the cache.
	options := &opt.ReadOptions{DontFillCache: lower == nil && upper == nil}
	return levelIterator{l.db.NewIterator(&util.Range{Start: lower, Limit: upper}, options), l}
}

// Write implements Store.
func (l *Level) Write(b *Batch) error {
	if err := l.db.Write(&b.ops, nil); err != nil {
		return l.explain(err)
	}
	// goleveldb drops the error of a journal that could not be closed.
	return l.files.err()
}

// Begin implements Store.
func (l *Level) Begin() (Transaction, error) {
	tr, err := l.db.OpenTransaction()
	if err != nil {
		return nil, l.explain(err)
	}
	t := &levelTransaction{tr: tr, level: l, done: func() {}}
	if l.files.bulk != nil {
		t.done = l.files.bulk()
	}
	return t, nil
}

// levelTransaction is goleveldb's. Its tables are synced as they are written; one
// record of the manifest, synced too, makes them and their sequence numbers count.
// The journal, if it has anything, is in a table before the transaction begins.
type levelTransaction struct {
	tr    *leveldb.Transaction
	level *Level
	done  func() // what LevelOptions.Bulk has returned
}

func (t *levelTransaction) Put(key, value []byte) error {
	return t.level.explain(t.tr.Put(key, value, nil))
}

func (t *levelTransaction) Delete(key []byte) error {
	return t.level.explain(t.tr.Delete(key, nil))
}

func (t *levelTransaction) Commit() error {
	defer t.done()
	if err := t.tr.Commit(); err != nil {
		return t.level.explain(err)
	}
	return t.level.files.err()
}

func (t *levelTransaction) Discard() {
	defer t.done()
	t.tr.Discard()
}

// Sync implements Store. It syncs the journal that is being written, once, and
// does not hold up writers.
func (l *Level) Sync() error {
	l.ending.RLock()
	defer l.ending.RUnlock()
	if l.closed.Load() {
		return ErrClosed
	}
	return l.files.syncJournal()
}

// Close implements Store.
func (l *Level) Close() error {
	l.ending.Lock()
	defer l.ending.Unlock()
	if l.closed.Swap(true) {
		return ErrClosed
	}
	err := l.explain(l.db.Close())
	if err == nil {
		err = l.files.err()
	}
	return errors.Join(err, l.files.Storage.Close())
}

// levelIterator adapts goleveldb's iterator.
type levelIterator struct {
	iterator.Iterator
	level *Level
}

func (it levelIterator) Err() error { return it.level.explain(it.Error()) }
