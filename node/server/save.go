package server

import (
	"context"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/admin"
)

// saves are the checkpoints that clients have asked for.
type saves struct {
	mu      sync.Mutex
	running bool // one of BGSAVE
	again   bool // another one is to follow it
	last    time.Time
}

// Save implements admin.Node.
func (b *backend) Save() error {
	if r := b.node.replicas.Own(); r != nil {
		if _, err := r.Machine().Sync(r.Machine().Applied()); err != nil {
			return err
		}
	}
	b.saves.mu.Lock()
	defer b.saves.mu.Unlock()
	b.saves.last = time.Now()
	return nil
}

// SaveInBackground implements admin.Node.
func (b *backend) SaveInBackground(schedule bool) admin.Saving {
	s := &b.saves
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.running && schedule:
		s.again = true
		return admin.SavingScheduled
	case s.running:
		return admin.SavingAlready
	}
	s.running = true
	b.node.work.Go("save", b.saveInBackground)
	return admin.SavingStarted
}

// saveInBackground saves for as long as somebody wants it.
func (b *backend) saveInBackground() {
	for more := true; more; {
		if err := b.Save(); err != nil {
			b.node.log.Error("BGSAVE has failed", "error", err)
		}
		b.saves.mu.Lock()
		more = b.saves.again
		b.saves.again, b.saves.running = false, more
		b.saves.mu.Unlock()
	}
}

// lastSave returns when a client's checkpoint has ended last, zero: none has; and whether
// one is under way.
func (b *backend) lastSave() (last time.Time, running bool) {
	b.saves.mu.Lock()
	defer b.saves.mu.Unlock()
	return b.saves.last, b.saves.running
}

// Shutdown implements admin.Node.
func (b *backend) Shutdown(_ context.Context, how admin.Shutdown) bool {
	select {
	case b.node.quit <- how:
		return true
	default:
		return false // another one is on its way
	}
}
