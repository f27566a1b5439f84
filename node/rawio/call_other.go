//go:build !linux || race

package rawio

import "syscall"

func read(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

func write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

func pwrite(fd uintptr, b []byte, off int64) (int, error) { return syscall.Pwrite(int(fd), b, off) }

func fdatasync(fd uintptr) error { return datasync(fd) }
