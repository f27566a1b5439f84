// Package keys holds the commands on keys whatever their values: names, times of
// expiry, walks, what is told of a key, and keys in the form of DUMP.
package keys

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows.
func Commands() []*command.Command {
	return slices.Concat(keyCommands(), expiryCommands(), scanCommands(), shardCommands(), dumpCommands(), moveCommands(), digestCommands())
}
