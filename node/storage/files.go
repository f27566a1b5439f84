package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	ldb "github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/genuineh/aikv/node/rawio"
)

// files stands between goleveldb and its file storage to give three promises that
// goleveldb does not give:
//
//   - A table's name is on stable storage before the manifest speaks of it.
//     (goleveldb syncs the folder after the manifest. A crash in between could
//     leave a manifest that names a table that is not there.)//
//   - A journal is on stable storage before a later one receives its first
//     batch. Otherwise a crash could lose the end of one journal and keep the
//     next: a hole. (goleveldb closes a full journal without syncing it.)
//   - Once a sync has failed, every later write and sync fails too. What a
//     failed fsync leaves in the page cache is unknown, so it is not retried.
//     (goleveldb retries, and ignores what closing a journal returns.)
type files struct {
	ldb.Storage
	dir    string
	logger *slog.Logger
	// bulk is LevelOptions.Bulk.
	bulk func() (done func())
	// reached is a test's: it is told of points, see reach.
	reached func(point string, fd ldb.FileDesc)

	mu      sync.Mutex
	failed  error        // first failed sync
	unnamed bool         // a table was made whose name may not be on stable storage
	journal *journalFile // the one being written, nil before the first
}

// Log implements ldb.Storage: goleveldb's own log goes to ours.
func (f *files) Log(line string) {
	f.logger.Log(context.Background(), slog.LevelDebug, "goleveldb", "dir", f.dir, "line", line)
}

// Create implements ldb.Storage.
func (f *files) Create(fd ldb.FileDesc) (ldb.Writer, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	if fd.Type != ldb.TypeJournal {
		return f.createSynced(fd)
	}
	// goleveldb closes the old journal only after it has created the new one,
	// and does so under a lock that readers need; syncing here keeps that short.
	if err := f.syncJournal(); err != nil {
		return nil, err
	}
	w, err := f.Storage.Create(fd)
	if err != nil {
		return nil, err
	}
	j := &journalFile{Writer: w, files: f}
	if d, ok := w.(rawio.Descriptor); ok {
		j.raw = rawio.NewFile(d)
	}
	f.mu.Lock()
	f.journal = j
	f.mu.Unlock()
	return j, nil
}

// createSynced creates a manifest or a table.
func (f *files) createSynced(fd ldb.FileDesc) (ldb.Writer, error) {
	f.reach(pointCreate, fd)
	w, err := f.Storage.Create(fd)
	if err != nil {
		return nil, err
	}
	if fd.Type == ldb.TypeManifest {
		return &manifestFile{syncedFile{Writer: w, files: f, fd: fd}}, nil
	}
	f.mu.Lock()
	f.unnamed = true
	f.mu.Unlock()
	t := &tableFile{syncedFile: syncedFile{Writer: w, files: f, fd: fd}}
	if f.bulk != nil {
		t.done = f.bulk()
	}
	return t, nil
}

// nameTables makes the names of all tables durable.
func (f *files) nameTables() error {
	f.mu.Lock()
	unnamed, err := f.unnamed, f.failed
	f.unnamed = false
	f.mu.Unlock()
	if err != nil || !unnamed {
		return err
	}
	if err := syncDir(f.dir); err != nil {
		return f.fail(err)
	}
	f.reach(pointNamed, ldb.FileDesc{})
	return nil
}

// Points that files comes by, for tests that crash there.
const (
	pointCreate = "create" // a manifest or table is about to be made
	pointSync   = "sync"   // one is about to be synced
	pointSynced = "synced" // it is
	pointNamed  = "named"  // the folder is synced
	pointWrite  = "write"  // the manifest has a record more, not synced
)

func (f *files) reach(point string, fd ldb.FileDesc) {
	if f.reached != nil {
		f.reached(point, fd)
	}
}

// syncJournal returns once everything that was written to journals before is on
// stable storage.
func (f *files) syncJournal() error {
	f.mu.Lock()
	j, err := f.journal, f.failed
	f.mu.Unlock()
	if err != nil || j == nil {
		return err
	}
	return j.Sync()
}

// err returns the first failed sync.
func (f *files) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// fail records a failed sync and returns the first one.
func (f *files) fail(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = fmt.Errorf("storage: sync in %s: %w", f.dir, err)
	}
	return f.failed
}

// syncedFile is a manifest or a table.
type syncedFile struct {
	ldb.Writer
	files *files
	fd    ldb.FileDesc
}

func (s *syncedFile) Sync() error {
	if err := s.files.err(); err != nil {
		return err
	}
	s.files.reach(pointSync, s.fd)
	if err := syncFile(s.Writer); err != nil {
		return s.files.fail(err)
	}
	s.files.reach(pointSynced, s.fd)
	return nil
}

// manifestFile is a manifest. What it says of tables is true from the moment that
// it may be on disk.
type manifestFile struct{ syncedFile }

func (m *manifestFile) Write(p []byte) (int, error) {
	if err := m.files.nameTables(); err != nil {
		return 0, err
	}
	n, err := m.Writer.Write(p)
	m.files.reach(pointWrite, m.fd)
	return n, err
}

// tableFile is a table that is being written, which costs some computing. In
// between it lets others run.
type tableFile struct {
	syncedFile
	since int    // bytes since it last did that
	done  func() // nil: nobody is told
}

// yieldEvery is how many bytes of a table are written between two looks at who else
// wants to run.
const yieldEvery = 32 << 10

func (t *tableFile) Write(p []byte) (int, error) {
	if t.since += len(p); t.since >= yieldEvery {
		t.since = 0
		runtime.Gosched()
	}
	return t.Writer.Write(p)
}

func (t *tableFile) Close() error {
	if t.done != nil {
		t.done()
	}
	return t.Writer.Close()
}

// journalFile is a journal. Write is called by one goroutine at a time; Sync
// may run next to it.
type journalFile struct {
	ldb.Writer
	raw   *rawio.File // the same file, nil if it is no file of the system
	files *files

	mu       sync.Mutex
	written  int64 // bytes written
	synced   int64 // of those, how many are on stable storage
	linked   bool  // the directory entry is, too
	closed   bool
	syncLock sync.Mutex // held during a sync, so that Close waits for it
}

func (j *journalFile) Write(p []byte) (int, error) {
	if err := j.files.err(); err != nil {
		return 0, err
	}
	write := j.Writer.Write
	if j.raw != nil {
		write = j.raw.Write
	}
	n, err := write(p)
	j.mu.Lock()
	j.written += int64(n)
	j.mu.Unlock()
	return n, err
}

// Sync puts what is written so far on stable storage. A closed journal is.
func (j *journalFile) Sync() error {
	j.syncLock.Lock()
	defer j.syncLock.Unlock()
	return j.syncLocked()
}

func (j *journalFile) syncLocked() error {
	if err := j.files.err(); err != nil {
		return err
	}
	j.mu.Lock()
	written, done := j.written, j.closed || j.synced == j.written
	j.mu.Unlock()
	if done {
		return nil
	}
	if err := syncFile(j.Writer); err != nil {
		return j.files.fail(err)
	}
	if !j.linked {
		if err := syncDir(j.files.dir); err != nil {
			return j.files.fail(err)
		}
		j.linked = true
	}
	j.mu.Lock()
	j.synced = written
	j.mu.Unlock()
	return nil
}

// Close syncs and closes the journal. goleveldb ignores the result, which is
// why a failure sticks.
func (j *journalFile) Close() error {
	j.syncLock.Lock()
	defer j.syncLock.Unlock()
	err := j.syncLocked()
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	return errors.Join(err, j.Writer.Close())
}

func syncFile(w ldb.Writer) error {
	// gofail: var storageSync string
	// return errors.New(storageSync)

	return w.Sync()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
