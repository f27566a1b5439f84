package server

import (
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/wal"
)

// timedFS is the operating system's file system; the latency monitor hears how long
// syncs of its files take.
type timedFS struct {
	wal.OSFS
	monitor *command.LatencyMonitor
}

// Create implements wal.FS.
func (fs timedFS) Create(path string) (wal.File, error) { return fs.timed(fs.OSFS.Create(path)) }

// Open implements wal.FS.
func (fs timedFS) Open(path string) (wal.File, error) { return fs.timed(fs.OSFS.Open(path)) }

func (fs timedFS) timed(f wal.File, err error) (wal.File, error) {
	if err != nil {
		return nil, err
	}
	return timedFile{f, fs.monitor}, nil
}

type timedFile struct {
	wal.File
	monitor *command.LatencyMonitor
}

// Sync implements wal.File.
func (f timedFile) Sync() error {
	start := time.Now()
	err := f.File.Sync()
	end := time.Now()
	f.monitor.Sample(command.EventLogSync, end, end.Sub(start))
	return err
}

// Latency implements admin.Node.
func (b *backend) Latency() *command.LatencyMonitor { return &b.node.latency }
