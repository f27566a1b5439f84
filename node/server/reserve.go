package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// reserve is a file that holds space on the disk of the data folder for the day
// when that is full. A node whose disk is full cannot go on; at its next start it
// gives the reserve back: enough to open its databases, to cut its log where that
// can be cut, and to serve reads meanwhile. When there is room again, the start
// after that takes a new one.
type reserve struct {
	path string
	// free and total return the bytes of the disk; allocate makes a file that
	// really takes its bytes.
	free, total func(dir string) (int64, error)
	allocate    func(path string, bytes int64) error
	log         *slog.Logger
}

// maxReserve is how large a reserve is, unless the disk is small: then it is the
// eighth part of that.
const (
	maxReserve  = 16 << 20
	reservePart = 8
	minReserve  = 1 << 20 // less would not help
)

func newReserve(root string, log *slog.Logger) reserve {
	return reserve{path: filepath.Join(root, "RESERVE"), free: freeBytes, total: diskSize, allocate: allocateFile, log: log}
}

// prepare gives the reserve back if the disk is full, or takes one if there is none
// and room for it. Errors only say that the node has none.
func (r reserve) prepare() {
	dir := filepath.Dir(r.path)
	free, err := r.free(dir)
	total, err2 := r.total(dir)
	if err := errors.Join(err, err2); err != nil {
		r.log.Debug("no reserve: the disk's size is not known", "error", err)
		return
	}
	size := min(maxReserve, total/reservePart)
	if size < minReserve {
		return
	}
	info, err := os.Stat(r.path)
	switch {
	case err == nil && free < size/2:
		if err := os.Remove(r.path); err != nil {
			r.log.Warn("the disk is full, and the reserve cannot be given back", "file", r.path, "error", err)
			return
		}
		r.log.Warn(fmt.Sprintf("the disk is full: the node starts with a reserve of %d MB that it gives back, and cuts its log where it can; "+
			"it needs more room to go on", info.Size()>>20), "folder", dir, "free", free)
	case err == nil:
	case free < size/2:
		r.log.Warn(fmt.Sprintf("the disk is full and there is no reserve left: make %d MB free", (size-free)>>20+1), "folder", dir, "free", free)
	case free >= 2*size:
		if err := r.allocate(r.path, size); err != nil {
			r.log.Debug("no reserve", "error", errors.Join(err, os.Remove(r.path)))
		}
	}
}

// fill writes bytes to a file.
func fill(f *os.File, bytes int64) error {
	piece := make([]byte, 1<<20)
	for ; bytes > 0; bytes -= int64(len(piece)) {
		piece = piece[:min(int64(len(piece)), bytes)]
		if _, err := f.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
