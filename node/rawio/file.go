package rawio

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// quick is how long a call on a file may take to count as quick.
	quick = 2 * time.Millisecond
	// wary is for how long a file's flushes hold up nobody after one that was not
	// quick: a disk's hiccups come in clusters.
	wary = 10 * time.Second
)

// File writes and syncs an open file, the raw way as long as that is quick: one
// slow write, and the next one goes through the scheduler; one slow flush, and
// those of the next seconds go on in the background, if the kernel can. Errors are
// of type *os.PathError. Its methods may be called concurrently, as far as the
// file's own may.
type File struct {
	name   string
	fd     uintptr
	opened time.Time
	slow   atomic.Bool
	hiccup atomic.Int64 // when a flush was slow last, since opened; 0: never

	mu      sync.Mutex
	flusher *flusher // nil before it is needed, and where there is none
	blocks  bool     // there is none, or no more
}

// Descriptor is what File needs of a file that somebody else opened and will
// close, such as an *os.File.
type Descriptor interface {
	Fd() uintptr
	Name() string
}

// NewFile returns a File for f, which must stay open and referenced as long as
// the File is used.
func NewFile(f Descriptor) *File { return &File{name: f.Name(), fd: f.Fd(), opened: time.Now()} }

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
	begun := time.Since(f.opened)
	err := f.datasync(begun)
	if took := time.Since(f.opened) - begun; took > quick {
		f.hiccup.Store(int64(begun + took))
	}
	return err
}

// datasync flushes at once, which is the cheapest, and what arrives meanwhile is
// handled together; after a hiccup it lets others go on.
func (f *File) datasync(now time.Duration) error {
	if last := f.hiccup.Load(); last != 0 && now-time.Duration(last) < wary {
		if flusher := f.background(); flusher != nil {
			switch err := flusher.flush(); {
			case err == nil:
				return nil
			case !errors.Is(err, errNotBegun): // else nothing was tried yet
				return &os.PathError{Op: "fdatasync", Path: f.name, Err: err}
			}
		}
	}
	return f.timed("fdatasync", func(slow bool) error {
		if slow {
			return datasync(f.fd)
		}
		return fdatasync(f.fd)
	})
}

// background returns the file's flusher, nil if it has none.
func (f *File) background() *flusher {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flusher == nil && !f.blocks {
		flusher, err := newFlusher(f.fd)
		if f.blocks = err != nil; !f.blocks {
			f.flusher = flusher
		}
	}
	return f.flusher
}

// Close gives up what flushes in the background have acquired: none may be under
// way, and none begins any more. The file itself is its owner's to close.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flusher != nil {
		f.flusher.close()
	}
	f.flusher, f.blocks = nil, true
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
