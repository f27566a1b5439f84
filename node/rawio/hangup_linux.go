package rawio

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// HungUp reports whether the peer of a socket sends no more, because it has closed its
// end, or the socket is closed; also where there is something to read that it sent
// before.
func HungUp(socket syscall.RawConn) (hungUp bool) {
	err := socket.Control(func(fd uintptr) {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		for {
			n, err := unix.Poll(set, 0)
			if !errors.Is(err, unix.EINTR) {
				hungUp = n > 0 && set[0].Revents != 0
				return
			}
		}
	})
	return hungUp || err != nil
}
