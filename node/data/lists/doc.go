// Package lists holds the commands on lists: LPUSH, LRANGE and their kin. See
// keyspace.List, in which elements are found by their position.
//
// Replies and errors are those of Redis 7.2.
package lists

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(endCommands(), elementCommands(), rangeCommands(), moveCommands(), blockingCommands())
}
