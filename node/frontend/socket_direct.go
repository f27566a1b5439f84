//go:build linux && !race

package frontend

import (
	"syscall"
	"unsafe"
)

// readNow and writeNow are read and write on a socket that never blocks.
// Therefore the runtime's scheduler need not be told, which is what
// syscall.Read does: that wakes the runtime's monitor thread whenever a node
// has been idle for a moment, and costs more than the call itself.
func readNow(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_READ, fd, b) }

func writeNow(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_WRITE, fd, b) }

func call(number, fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
