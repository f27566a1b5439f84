// Package hashes holds the commands on hashes, all of whose names begin with H: fields
// with values, and, for each field, a time of expiry. See keyspace.Hash.
//
// Replies and errors are those of Redis 7.0, and of 8.6 where it has commands that 7.0
// does not. A field that has expired is not there: unlike in Redis it is not counted
// either (HLEN, EXISTS), whether or not something has removed it.
package hashes

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	return slices.Concat(fieldCommands(), wholeCommands(), expiryCommands())
}
