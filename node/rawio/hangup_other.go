//go:build !linux

package rawio

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// HungUp reports whether the peer of a socket sends no more, because it has closed its
// end, or the socket is closed. Here it is not seen behind what the peer has sent
// before and nobody has read.
func HungUp(socket syscall.RawConn) (hungUp bool) {
	err := socket.Control(func(fd uintptr) {
		var b [1]byte
		for {
			n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				hungUp = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
				return
			}
		}
	})
	return hungUp || err != nil
}
