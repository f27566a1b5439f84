package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	return u, u.markWhole()
}

// markWhole says that all that the log has is on disk or in the memory of the present
// run of the machine.
func (u *unsynced) markWhole() error {
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

// forgetful reports whether the node must not open its groups under the Raft ids that
// it has, since it may have forgotten what it promised under them. A replica that is
// alone in its group has promised nothing to anybody: it goes on with what is left.
func (u *unsynced) forgetful(stored []multiraft.Stored) bool {
	return u != nil && u.lost && slices.ContainsFunc(stored, func(s multiraft.Stored) bool { return !s.Alone })
}

// advice is what to do about a node that does not come back, for that reason.
func (u *unsynced) advice(node topology.NodeID, reason error) error {
	return fmt.Errorf("the machine stopped while wal.fsync was not \"always\", so this node may have forgotten votes and entries that "+
		"others count on: it comes back under new Raft ids, and has not within %v (%w). Start the other nodes, and start it again. "+
		"If it was forgotten, or for a new beginning: move %s away, start with an empty folder, then CLUSTER MEET, CLUSTER REPLICATE, and CLUSTER FORGET %s at another node. "+
		"If all nodes that have the data lost their power at once, remove the file %s on each, which accepts that acknowledged writes are lost and that copies may differ",
		comeBackPatience, reason, filepath.Dir(u.path), node, u.path)
}
