//go:build !linux

package rawio

import "syscall"

func datasync(fd uintptr) error { return syscall.Fsync(int(fd)) }
