//go:build !linux

package wal

import (
	"os"
	"sync/atomic"
)

func syncData(f *os.File, _ *atomic.Bool) error { return f.Sync() }
