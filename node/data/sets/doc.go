// Package sets holds the commands on sets: SADD, SINTER and all that begin with S and
// are about sets. Members are found by what they are and by their position, see
// keyspace.Set.
//
// Replies and errors are those of Redis 7.2.
package sets

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(memberCommands(), randomCommands(), combineCommands())
}
