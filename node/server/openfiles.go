package server

import (
	"fmt"
	"syscall"
)

// reservedFiles is how many open files a node needs beside its clients: four
// stores with 128 tables each and what they write, the log, the other nodes. It
// must have them, for a store that cannot open a file ends the node.
const reservedFiles = 640

// fitClients makes room for the clients that the configuration wants or, as far
// as there is none, lowers their number.
func (n *node) fitClients() {
	wanted := n.cfg.Server.MaxClients
	switch clients, limit, err := clientsAllowed(wanted); {
	case err != nil:
		n.log.Warn(err.Error())
	case clients < wanted:
		n.log.Warn("maxclients is lowered to what the limit of open files allows: raise it with ulimit -n",
			"maxclients", clients, "wanted", wanted, "open_files", limit)
		n.cfg.Server.MaxClients = clients
	}
}

// clientsAllowed raises the limit of open files to what so many clients take, as
// far as the process may, and returns how many it can have, wanted at most.
func clientsAllowed(wanted int) (clients int, limit uint64, err error) {
	var have syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &have); err != nil {
		return 0, 0, fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	need := uint64(wanted) + reservedFiles
	if have.Cur < need {
		// Only a privileged process may go beyond the hard limit.
		raised := syscall.Rlimit{Cur: need, Max: max(have.Max, need)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			have = raised
		} else if raised = (syscall.Rlimit{Cur: min(need, have.Max), Max: have.Max}); raised.Cur > have.Cur &&
			syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			have = raised
		}
	}
	return clientsWithin(wanted, have.Cur), have.Cur, nil
}

// clientsWithin returns how many clients fit into a limit of open files: what the
// node does not need for itself or, where that leaves little, half.
func clientsWithin(wanted int, limit uint64) int {
	room := limit / 2
	if limit > 2*reservedFiles {
		room = limit - reservedFiles
	}
	return int(max(min(uint64(wanted), room), 1))
}
