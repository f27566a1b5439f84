// Package streams holds the commands on streams: XADD, XREADGROUP and their kin. See
// keyspace.Stream, which knows entries, groups, and the nodes in which Redis would keep
// the entries.
//
// Ids and times of delivery come from the clock of the log's entry, so they are the same
// on all replicas. Replies and errors are those of Redis 7.2; what 8.2 and 8.4 have
// besides (XDELEX, XACKDEL, references that go or count, CLAIM of XREADGROUP, the id +) is
// theirs.
package streams

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(entryCommands(), readCommands(), groupCommands(), pendingCommands())
}
