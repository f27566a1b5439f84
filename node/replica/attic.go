package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Attic is where the data of replicas goes that are dropped, instead of being
// deleted on the word of one event. Each is a folder of its own, the database as it
// was, under the name of its time, shard and Raft id:
//
//	20261128T041500Z-00000000deadbeef-17
//
// It is deleted when it is older than Keep, the oldest ones also when the disk has
// less than MinFree bytes left.
type Attic struct {
	// Dir is the folder of folders; it is made when it is first needed.
	Dir string
	// Keep is for how long data is kept; 0: it is deleted at once.
	Keep time.Duration
	// MinFree is how much of the disk is kept free at the attic's cost; 0: none.
	MinFree int64
	// Free returns how many bytes the disk of that folder has left.
	Free func(dir string) (int64, error)
}

// atticTime begins the name of a folder in the attic, in UTC; names sort by time.
const atticTime = "20060102T150405Z"

// atticEvery is how often the attic is looked through.
const atticEvery = time.Minute

// droppedMark is a file in the folder of a replica that is about to be dropped, so
// that after a crash in between its data goes to the attic as well. Other folders
// that no replica has are unfinished fetches, or states that a newer one replaced.
const droppedMark = "DROPPED"

// keeper looks after an attic.
type keeper struct {
	Attic
	logger *slog.Logger
	next   time.Time // not before; owned by Manager.Run
	busy   atomic.Bool
}

// mark says in a replica's folder that its data is worth keeping when the replica
// is gone.
func (k *keeper) mark(dir string) error {
	if k.Keep == 0 {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, droppedMark), nil, 0o644)
}

// retire moves the folder of a replica that is gone to the attic if it was marked,
// and deletes it otherwise.
func (k *keeper) retire(dir string, now time.Time) error {
	if _, err := os.Stat(filepath.Join(dir, droppedMark)); k.Keep == 0 || errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(dir)
	} else if err != nil {
		return err
	}
	if err := os.MkdirAll(k.Dir, 0o755); err != nil {
		return err
	}
	name := now.UTC().Format(atticTime) + "-" + filepath.Base(dir)
	to := filepath.Join(k.Dir, name)
	for n := 2; ; n++ {
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		to = filepath.Join(k.Dir, fmt.Sprintf("%s_%d", name, n))
	}
	if err := os.Rename(dir, to); err != nil {
		return fmt.Errorf("keep the data of a dropped replica: %w", err)
	}
	k.logger.Warn("data of a dropped replica is kept for a while", "folder", to, "for", k.Keep)
	return nil
}

// due reports, once in a while, that it is time to tidy.
func (k *keeper) due(now time.Time) bool {
	if now.Before(k.next) || !k.busy.CompareAndSwap(false, true) {
		return false
	}
	k.next = now.Add(atticEvery)
	return true
}

// tidy deletes what is too old, and the oldest while the disk is too full. Only a
// warning tells of what cannot be deleted.
func (k *keeper) tidy(now time.Time) {
	defer k.busy.Store(false)
	entries, err := os.ReadDir(k.Dir) // by name, so by age
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.logger.Warn("cannot look through the attic", "error", err)
		}
		return
	}
	for _, e := range entries {
		stamp, _, _ := strings.Cut(e.Name(), "-")
		since, err := time.Parse(atticTime, stamp)
		if err != nil {
			continue // not ours
		}
		reason := "it is old"
		if now.Sub(since) < k.Keep {
			free, err := k.Free(k.Dir)
			if err != nil || free >= k.MinFree {
				return
			}
			reason = "the disk is nearly full"
		}
		path := filepath.Join(k.Dir, e.Name())
		if err := os.RemoveAll(path); err != nil {
			k.logger.Warn("cannot delete a dropped replica's data", "folder", path, "error", err)
			return
		}
		k.logger.Info("data of a dropped replica deleted", "folder", path, "reason", reason)
	}
}
