package server

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocateFile makes a file that takes its bytes on the disk without writing them.
func allocateFile(path string, bytes int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, bytes)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fill(f, bytes)
	}
	return errors.Join(err, f.Close())
}
