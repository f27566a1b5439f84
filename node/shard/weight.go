package shard

import "github.com/genuineh/aikv/node/command"

// A few bytes of a command can make a value of half a gigabyte. What a thousand of
// them in one entry, or in entries that are applied together, would make is in memory
// at one time. So a command weighs what it may make beyond its own bytes: entries are
// packed, and transactions committed, by weight.

const unknownWeight = command.UnknownWeight

// maxHeld is how much what is applied may weigh until it is committed: after the entry
// that reaches it. The state is a function of the log whatever the commits are.
const maxHeld = 64 << 20

// weight returns how many bytes a command may make beyond those of its arguments. It
// is an upper bound, but for the value that a key has already.
func weight(cmd *command.Command, args [][]byte) int {
	if cmd.Weight == nil {
		return 0
	}
	return cmd.Weight(args)
}
