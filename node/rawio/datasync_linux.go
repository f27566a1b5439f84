package rawio

import "syscall"

func datasync(fd uintptr) error { return syscall.Fdatasync(int(fd)) }
