package wal

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// quickSync is how long a sync may take to count as quick.
const quickSync = 2 * time.Millisecond

// syncData flushes the content of f, and its metadata only as far as reading
// the content needs it: with preallocated files that saves the journal commit.
//
// While syncs are quick, the runtime's scheduler is not told of the call. It
// would take the processor away from this goroutine after 20 µs, hand it to
// another thread, and poll at that pace all the while, which cost more CPU than
// the sync. The price is that the processor waits for the disk, and a
// collection of garbage for the processor; so one slow sync ends that.
func syncData(f *os.File, slow *atomic.Bool) error {
	begin := time.Now()
	err := retryInterrupted(func() error {
		if slow.Load() {
			return syscall.Fdatasync(int(f.Fd()))
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_FDATASYNC, f.Fd(), 0, 0); errno != 0 {
			return errno
		}
		return nil
	})
	slow.Store(time.Since(begin) > quickSync)
	if err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
