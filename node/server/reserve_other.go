//go:build !linux

package server

import (
	"errors"
	"os"
)

// allocateFile makes a file that takes its bytes on the disk.
func allocateFile(path string, bytes int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(fill(f, bytes), f.Close())
}
