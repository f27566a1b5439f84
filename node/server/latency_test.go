package server

import (
	"path/filepath"
	"testing"

	"github.com/genuineh/aikv/node/command"
)

// The latency monitor hears of syncs, of files that are new and of others.
func TestSyncsAreTimed(t *testing.T) {
	var monitor command.LatencyMonitor
	monitor.SetThreshold(1)
	fs, path := timedFS{monitor: &monitor}, filepath.Join(t.TempDir(), "file")
	for _, open := range []func() error{
		func() error {
			f, err := fs.Create(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Sync()
		},
		func() error {
			f, err := fs.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Sync()
		},
	} {
		if err := open(); err != nil {
			t.Fatal(err)
		}
		if events := monitor.Summaries(); len(events) != 1 || events[0].Event != command.EventLogSync {
			t.Errorf("events %v", events)
		}
		monitor.Reset()
	}
	if f, err := fs.Open(path + "nosuch"); err == nil || f != nil {
		t.Errorf("a file that is not there: %v, %v", f, err)
	}
}
