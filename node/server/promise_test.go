package server

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// The longest promise is known after a restart with other settings, until it is over.
func TestPromise(t *testing.T) {
	root := t.TempDir()
	start := func(timeout, want time.Duration) *votePromise {
		t.Helper()
		p, err := openPromise(root, timeout)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.promised(); got != want {
			t.Errorf("with %v, %v are promised, not %v", timeout, got, want)
		}
		return p
	}
	start(40*time.Millisecond, 40*time.Millisecond)
	start(10*time.Millisecond, 40*time.Millisecond)
	p := start(20*time.Millisecond, 40*time.Millisecond) // the process ended before it was over
	if err := p.settle(t.Context(), sched.System); err != nil {
		t.Fatal(err)
	}
	start(20*time.Millisecond, 20*time.Millisecond)
	start(time.Second, time.Second)
	p = start(time.Millisecond, time.Second)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.settle(ended, sched.System); err != nil {
		t.Fatal(err)
	}
	start(time.Millisecond, time.Second)
	if err := os.WriteFile(filepath.Join(root, "PROMISE"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	start(time.Millisecond, time.Minute)
}
