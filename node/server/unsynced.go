package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/rawio"
	"github.com/genuineh/aikv/node/topology"
)

// unsynced is a file that stands in the data folder while a node runs whose log is
// not synced at once (wal.fsync interval or never). It names the run of the machine.
// If a start finds that of another one, the machine stopped before the node had, and
// the log may have lost its end: votes that were given, entries that were
// acknowledged to a leader.
type unsynced struct {
	path string
	log  *slog.Logger
	// relaxed is set if this start does not sync at once either.
	relaxed bool
	// lost says that the log may have lost something.
	lost bool
}

// findUnsynced looks for the file. The folder is this process's own.
func findUnsynced(root, fsync string, log *slog.Logger) (*unsynced, error) {
	u := &unsynced{path: filepath.Join(root, "UNSYNCED"), log: log, relaxed: fsync != config.FsyncAlways}
	text, err := os.ReadFile(u.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		boot := rawio.BootID()
		u.lost = boot == "" || strings.TrimSpace(string(text)) != boot
	}
	if u.lost {
		return u, nil // the file stays as it is until it is known how the node goes on
	}
	return u, u.settle()
}

// settle says that all that the log has is on disk or in the memory of the present
// run of the machine.
func (u *unsynced) settle() error {
	u.lost = false
	if !u.relaxed {
		return u.clear()
	}
	f, err := os.OpenFile(u.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(rawio.BootID() + "\n")
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(u.path)))
}

// clear removes the file, if there is one: everything is synced.
func (u *unsynced) clear() error {
	if u == nil {
		return nil
	}
	err := os.Remove(u.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncFolder(filepath.Dir(u.path)))
}

// check refuses to open groups under Raft ids that may have forgotten what they
// promised. A replica that is alone in its group has promised nothing to anybody:
// it goes on with what is left.
func (u *unsynced) check(node topology.NodeID, stored []multiraft.Stored) error {
	if u == nil || !u.lost {
		return nil
	}
	for _, s := range stored {
		if s.Alone {
			continue
		}
		dir := filepath.Dir(u.path)
		return fmt.Errorf("the machine stopped while wal.fsync was not \"always\", so this node may have forgotten votes and entries that "+
			"others count on, and does not come back under its old ids: move %s away, start with an empty folder, then "+
			"CLUSTER MEET, CLUSTER REPLICATE, and CLUSTER FORGET %s at another node; if no other node has the data, remove the "+
			"file %s, which accepts that acknowledged writes are lost and that copies may differ", dir, node, u.path)
	}
	u.log.Warn("the machine stopped while wal.fsync was not \"always\": the last writes may be lost", "node", node)
	return nil
}
