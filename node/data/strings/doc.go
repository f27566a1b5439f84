// Package strings holds the commands on strings: whole ones, parts of them, numbers
// and bits in them.
package strings

import (
	"slices"

	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows.
func Commands() []*command.Command {
	return slices.Concat(stringCommands(), newerCommands(), substringCommands(), counterCommands(), bitCommands())
}
