package rawio

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// quick is how long a call on a file may take to count as quick.
const quick = 2 * time.Millisecond

// File writes and syncs an open file, the raw way as long as that is quick: one
// slow call, and the next one goes through the scheduler. Errors are of type
// *os.PathError. Its methods may be called concurrently, as far as the file's
// own may.
type File struct {
	name string
	fd   uintptr
	slow atomic.Bool
}

// Descriptor is what File needs of a file that somebody else opened and will
// close, such as an *os.File.
type Descriptor interface {
	Fd() uintptr
	Name() string
}

// NewFile returns a File for f, which must stay open and referenced as long as
// the File is used.
func NewFile(f Descriptor) *File { return &File{name: f.Name(), fd: f.Fd()} }

// Write writes all of b where the file's offset is.
func (f *File) Write(b []byte) (int, error) {
	return f.writeAll(b, func(b []byte, _ int, slow bool) (int, error) {
		if slow {
			return syscall.Write(int(f.fd), b)
		}
		return write(f.fd, b)
	})
}

// WriteAt writes all of b at off.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	return f.writeAll(b, func(b []byte, done int, slow bool) (int, error) {
		if slow {
			return syscall.Pwrite(int(f.fd), b, off+int64(done))
		}
		return pwrite(f.fd, b, off+int64(done))
	})
}

func (f *File) writeAll(b []byte, call func(rest []byte, done int, slow bool) (int, error)) (int, error) {
	done := 0
	for done < len(b) {
		var n int
		if err := f.timed("write", func(slow bool) (err error) {
			n, err = call(b[done:], done, slow)
			return err
		}); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Datasync flushes the content, and the metadata only as far as reading the
// content needs it: with preallocated files that saves the journal commit.
func (f *File) Datasync() error {
	return f.timed("fdatasync", func(slow bool) error {
		if slow {
			return datasync(f.fd)
		}
		return fdatasync(f.fd)
	})
}

// timed makes a call, again if a signal interrupted it before it did anything,
// and remembers whether it was slow.
func (f *File) timed(op string, call func(slow bool) error) error {
	for {
		begin := time.Now()
		err := call(f.slow.Load())
		f.slow.Store(time.Since(begin) > quick)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return &os.PathError{Op: op, Path: f.name, Err: err}
		default:
			return nil
		}
	}
}
