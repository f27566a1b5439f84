//go:build linux && !race

package rawio

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flusher has the kernel flush a file in the background (aio_fsync), and waits for
// that as for a socket: meanwhile the processor runs whatever else is to be done,
// and no thread of the process blocks.
type flusher struct {
	mu      sync.Mutex // one flush at a time
	context uintptr
	event   *os.File // an eventfd; the kernel adds to it when a flush has ended
	raw     syscall.RawConn

	// What the kernel is shown. It keeps none of it beyond the calls.
	request  request
	requests [1]*request
	result   result64
}

// request is the kernel's struct iocb. What is not named is zero.
type request struct {
	_      uint64 // data
	_, _   uint32 // key, rw_flags
	opcode uint16
	_      int16 // reqprio
	file   uint32
	_, _   uint64 // buf, nbytes
	_      int64  // offset
	_      uint64 // reserved
	flags  uint32
	notify uint32 // resfd
}

// result64 is the kernel's struct io_event.
type result64 struct {
	data, request uint64
	code, more    int64
}

const (
	opDatasync   = 3 // IOCB_CMD_FDSYNC
	notifyByFile = 1 // IOCB_FLAG_RESFD
)

// newFlusher fails where the kernel has no such thing, does not let this process
// use it, or has no more to give.
func newFlusher(fd uintptr) (*flusher, error) {
	f := &flusher{}
	if _, _, errno := syscall.RawSyscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&f.context)), 0); errno != 0 {
		return nil, errno
	}
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		f.close()
		return nil, err
	}
	f.event = os.NewFile(uintptr(event), "eventfd")
	if f.raw, err = f.event.SyscallConn(); err != nil {
		f.close()
		return nil, err
	}
	f.request = request{opcode: opDatasync, file: uint32(fd), flags: notifyByFile, notify: uint32(event)}
	f.requests[0] = &f.request
	return f, nil
}

// errNotBegun: nothing was asked of the disk yet.
var errNotBegun = errors.New("the flush was not begun")

// flush returns once the file is flushed, or why it is not: as fdatasync(2) does.
func (f *flusher) flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	begun := false
	failure := errNotBegun
	err := f.raw.Read(func(uintptr) (done bool) {
		if !begun {
			// The poller watches since Read was called, so the end cannot be missed.
			n, _, errno := syscall.RawSyscall(unix.SYS_IO_SUBMIT, f.context, 1, uintptr(unsafe.Pointer(&f.requests)))
			begun = errno == 0 && n == 1
			return !begun
		}
		n, _, errno := syscall.RawSyscall6(unix.SYS_IO_GETEVENTS, f.context, 0, 1, uintptr(unsafe.Pointer(&f.result)), 0, 0)
		switch {
		case errno == syscall.EINTR, errno == 0 && n == 0:
			return false
		case errno != 0:
			failure = errno
		case f.result.code < 0:
			failure = syscall.Errno(-f.result.code)
		default:
			failure = nil
		}
		return true
	})
	if err != nil && begun {
		return err
	}
	return failure
}

func (f *flusher) close() {
	// It waits for a flush that is under way.
	_, _, _ = syscall.Syscall(unix.SYS_IO_DESTROY, f.context, 0, 0)
	if f.event != nil {
		_ = f.event.Close()
	}
}
