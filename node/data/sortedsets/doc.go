// Package sortedsets holds the commands on sorted sets: ZADD, ZRANGE and all that
// begin with Z. Their elements stand in the order of their scores, those of the same
// score in that of their members' bytes, and are found by their position in it: see
// keyspace.SortedSet.
//
// Replies, errors and the treatment of numbers are those of Redis 7.0, down to what
// C's strtod takes for a number and what becomes of infinity times nothing.
package sortedsets

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(elementCommands(), rangeCommands(), removeCommands(), blockingCommands(), combineCommands())
}
