package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/genuineh/aikv/node/rawio"
)

// FS is the file system that a log lives on. The default is the operating
// system's; a simulation supplies a disk that loses what was not synced, and
// tests one that fails.
type FS interface {
	// MkdirAll creates a directory and its parents; an existing one is fine.
	MkdirAll(dir string) error
	// ReadDir returns the names in dir, in any order.
	ReadDir(dir string) ([]string, error)
	// Create opens a new, empty file for reading and writing; an existing file
	// is emptied.
	Create(path string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Rename replaces newPath; it is durable after SyncDir. Files that are open
	// stay usable.
	Rename(oldPath, newPath string) error
	// Remove removes a file; files that are open stay readable.
	Remove(path string) error
	// SyncDir makes the creation, renaming and removal of dir's files durable.
	SyncDir(dir string) error
	// Lock takes the lock file at path for this process, without waiting. It
	// fails with an error that is ErrLocked if someone else holds it. Closing
	// the result, or the death of the process, gives it back.
	Lock(path string) (io.Closer, error)
}

// File is an open file of an FS. ReadAt may be called concurrently with
// everything.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the file's length in bytes.
	Size() (int64, error)
	// Sync makes the content (and the length needed to read it) durable, as
	// fdatasync does.
	Sync() error
}

// OSFS is the operating system's file system.
type OSFS struct{}

// MkdirAll implements FS.
func (OSFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// ReadDir implements FS.
func (OSFS) ReadDir(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// Create implements FS.
func (OSFS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f, rawio.NewFile(f)}, nil
}

// Open implements FS.
func (OSFS) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f, rawio.NewFile(f)}, nil
}

// Rename implements FS.
func (OSFS) Rename(oldPath, newPath string) error { return os.Rename(oldPath, newPath) }

// Remove implements FS.
func (OSFS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements FS.
func (OSFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Lock implements FS by flock. The file holds the holder's process id, for those
// who look for the process that runs on the folder; who holds the lock, only
// flock says.
func (OSFS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = retryInterrupted(func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s: %w%s", path, ErrLocked, holder(f))
	} else if err != nil {
		err = fmt.Errorf("locking %s: %w", path, err)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	// A full disk takes no pid, and is no reason not to start.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return lockFile{f}, nil
}

// lockFile is a lock that this process holds.
type lockFile struct{ f *os.File }

// Close gives the lock back; its file names nobody then.
func (l lockFile) Close() error {
	_ = l.f.Truncate(0)
	return l.f.Close()
}

// holder says which process the lock file names, as far as it is known.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	pid, perr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || perr != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

// osFile is a file of the operating system.
type osFile struct {
	*os.File
	raw *rawio.File
}

func (f osFile) WriteAt(b []byte, off int64) (int, error) { return f.raw.WriteAt(b, off) }

// Close implements File.
func (f osFile) Close() error {
	f.raw.Close()
	return f.File.Close()
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error {
	// gofail: var walSync string
	// return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: errors.New(walSync)}

	return f.raw.Datasync()
}

// retryInterrupted repeats a system call that a signal interrupted before it
// did anything.
func retryInterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
