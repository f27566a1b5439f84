// Package crashfs is a file system in memory which forgets, in a crash, what
// was not synced, as disks do: unsynced sectors and directory changes survive or
// not independently of each other and of the order in which they were made. It
// lets tests and simulations of package wal crash the machine at any moment,
// repeatably.
package crashfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"sync"

	"github.com/genuineh/aikv/node/wal"
)

// Sector is the unit, in bytes, that a crash keeps or loses as a whole.
const Sector = 512

// Op names a call for FS.Fail.
type Op string

// The calls that can be made to fail.
const (
	OpCreate  Op = "create"
	OpOpen    Op = "open"
	OpRename  Op = "rename"
	OpRemove  Op = "remove"
	OpSyncDir Op = "syncdir"
	OpRead    Op = "read"
	OpWrite   Op = "write"
	OpSync    Op = "sync"
)

// FS implements wal.FS. It is safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	fail    func(op Op, path string) error
	names   map[string]*inode
	durable map[string]*inode
	pending []change // to the directory, not yet durable
	locks   map[string]bool
	dead    bool
}

// change is one directory operation: path now names to (nil: nothing).
type change struct {
	path string
	to   *inode
	// second is the other half of a rename, which happens with the first.
	second *change
}

type inode struct {
	data, durable []byte
	dirty         map[int64]bool // sectors of data that durable lacks
}

// New returns an empty file system.
func New() *FS {
	return &FS{names: make(map[string]*inode), durable: make(map[string]*inode), locks: make(map[string]bool)}
}

// Fail installs a function that is asked before each call; what it returns is
// the call's error. A write that fails has written half. What a failed sync was
// to make durable stays readable and is lost in the next crash, unless it is
// written again before: so Linux does it. nil removes the function.
func (f *FS) Fail(fn func(op Op, path string) error) {
	f.mu.Lock()
	f.fail = fn
	f.mu.Unlock()
}

// Crash returns the file system as the next start of the machine finds it. Of
// what was not synced, rng decides what survived. f and its open files fail
// from now on.
func (f *FS) Crash(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	next := New()
	maps.Copy(next.durable, f.durable)
	for _, c := range f.pending {
		if rng.Intn(2) == 0 {
			c.apply(next.durable)
		}
	}
	survivors := make(map[*inode]*inode)
	for _, path := range slices.Sorted(maps.Keys(next.durable)) {
		old := next.durable[path]
		if survivors[old] == nil {
			survivors[old] = old.crash(rng)
		}
		next.durable[path] = survivors[old]
	}
	maps.Copy(next.names, next.durable)
	return next
}

// Kill returns the file system as another process finds it after this one died
// and the machine did not: nothing is lost, but what was not synced still may
// be. f and its open files fail from now on.
func (f *FS) Kill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	next := New()
	next.names, next.durable, next.pending = f.names, f.durable, f.pending
	f.names, f.durable, f.pending = nil, nil, nil
	return next
}

// Clone returns another file system with the same content, all of it synced.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := New()
	copies := make(map[*inode]*inode)
	for path, n := range f.names {
		if copies[n] == nil {
			copies[n] = &inode{data: slices.Clone(n.data), durable: slices.Clone(n.data), dirty: make(map[int64]bool)}
		}
		next.names[path], next.durable[path] = copies[n], copies[n]
	}
	return next
}

func (c change) apply(names map[string]*inode) {
	if c.to == nil {
		delete(names, c.path)
	} else {
		names[c.path] = c.to
	}
	if c.second != nil {
		c.second.apply(names)
	}
}

func (n *inode) crash(rng *rand.Rand) *inode {
	data := slices.Clone(n.durable)
	luck := rng.Intn(101) // percent of the dirty sectors that survive
	for _, sector := range slices.Sorted(maps.Keys(n.dirty)) {
		if rng.Intn(100) >= luck {
			continue
		}
		from := sector * Sector
		to := min(from+Sector, int64(len(n.data)))
		if int64(len(data)) < to {
			data = append(data, make([]byte, to-int64(len(data)))...)
		}
		copy(data[from:to], n.data[from:to])
	}
	return &inode{data: data, durable: slices.Clone(data), dirty: make(map[int64]bool)}
}

// begin takes the lock; the caller releases it even after an error.
func (f *FS) begin(op Op, path string) error {
	f.mu.Lock()
	if f.dead {
		return fmt.Errorf("%s %s: the machine has crashed", op, path)
	}
	if f.fail != nil {
		if err := f.fail(op, path); err != nil {
			return fmt.Errorf("%s %s: %w", op, path, err)
		}
	}
	return nil
}

// MkdirAll implements wal.FS. Directories need not exist here.
func (f *FS) MkdirAll(string) error { return nil }

// ReadDir implements wal.FS.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, path := range slices.Sorted(maps.Keys(f.names)) {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, filepath.Base(path))
		}
	}
	return names, nil
}

// Create implements wal.FS.
func (f *FS) Create(path string) (wal.File, error) {
	err := f.begin(OpCreate, path)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n := &inode{dirty: make(map[int64]bool)}
	f.change(change{path: path, to: n})
	return &file{fs: f, path: path, inode: n}, nil
}

func (f *FS) change(c change) {
	c.apply(f.names)
	f.pending = append(f.pending, c)
}

// Open implements wal.FS.
func (f *FS) Open(path string) (wal.File, error) {
	err := f.begin(OpOpen, path)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n := f.names[path]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return &file{fs: f, path: path, inode: n}, nil
}

// Rename implements wal.FS.
func (f *FS) Rename(oldPath, newPath string) error {
	err := f.begin(OpRename, newPath)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	n := f.names[oldPath]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldPath, Err: fs.ErrNotExist}
	}
	f.change(change{path: oldPath, second: &change{path: newPath, to: n}})
	return nil
}

// Remove implements wal.FS.
func (f *FS) Remove(path string) error {
	err := f.begin(OpRemove, path)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if f.names[path] == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	f.change(change{path: path})
	return nil
}

// SyncDir implements wal.FS. It makes all directories durable.
func (f *FS) SyncDir(dir string) error {
	err := f.begin(OpSyncDir, dir)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	for _, c := range f.pending {
		c.apply(f.durable)
	}
	f.pending = nil
	return nil
}

// Lock implements wal.FS. The lock file itself does not show up.
func (f *FS) Lock(path string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil, fmt.Errorf("lock %s: the machine has crashed", path)
	}
	if f.locks[path] {
		return nil, fmt.Errorf("%s: %w", path, wal.ErrLocked)
	}
	f.locks[path] = true
	return &lock{fs: f, path: path}, nil
}

type lock struct {
	fs   *FS
	path string
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.path)
	return nil
}

type file struct {
	fs    *FS
	path  string
	inode *inode
	shut  bool
}

func (f *file) begin(op Op) error {
	err := f.fs.begin(op, f.path)
	if err == nil && f.shut {
		err = &fs.PathError{Op: string(op), Path: f.path, Err: fs.ErrClosed}
	}
	return err
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	err := f.begin(OpRead)
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	err := f.begin(OpWrite)
	defer f.fs.mu.Unlock()
	if err != nil {
		b = b[:len(b)/2]
	}
	if f.fs.dead || f.shut {
		return 0, err
	}
	n := f.inode
	end := off + int64(len(b))
	if short := end - int64(len(n.data)); short > 0 {
		n.data = append(n.data, make([]byte, short)...)
	}
	copy(n.data[off:], b)
	for s := off / Sector; s*Sector < end; s++ {
		n.dirty[s] = true
	}
	return len(b), err
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.inode.data)), nil
}

func (f *file) Sync() error {
	err := f.begin(OpSync)
	defer f.fs.mu.Unlock()
	n := f.inode
	if err != nil {
		if !f.fs.dead && !f.shut {
			clear(n.dirty)
		}
		return err
	}
	if short := len(n.data) - len(n.durable); short > 0 {
		n.durable = append(n.durable, make([]byte, short)...)
	}
	for s := range n.dirty {
		from := s * Sector
		to := min(from+Sector, int64(len(n.data)))
		copy(n.durable[from:to], n.data[from:to])
	}
	clear(n.dirty)
	return nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.shut {
		return &fs.PathError{Op: "close", Path: f.path, Err: fs.ErrClosed}
	}
	f.shut = true
	return nil
}
