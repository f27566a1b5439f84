package shard

import (
	"math"
	"strconv"
	"strings"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/rdb"
)

// A few bytes of a command can make a value of half a gigabyte. What a thousand of
// them in one entry, or in entries that are applied together, would make is in memory
// at one time. So a command weighs what it may make beyond its own bytes: entries are
// packed, and transactions committed, by weight.

// unknownWeight is what a command weighs that copies values whose size it does not
// say: each goes by itself.
const unknownWeight = math.MaxInt32

// maxHeld is how much what is applied may weigh until it is committed: after the entry
// that reaches it. The state is a function of the log whatever the commits are.
const maxHeld = 64 << 20

// weight returns how many bytes a command may make beyond those of its arguments. It
// is an upper bound, but for the value that a key has already.
func weight(cmd *command.Command, args [][]byte) int {
	switch cmd.FullName() {
	case "setbit":
		return upTo(args, 2) / 8
	case "setrange":
		return upTo(args, 2)
	case "bitfield":
		largest := 0
		for i := 2; i+2 < len(args); i++ {
			switch strings.ToLower(string(args[i][:min(len(args[i]), 8)])) {
			case "set", "incrby":
				largest = max(largest, fieldEnd(args[i+1], args[i+2]))
			}
		}
		return largest
	case "restore":
		return rdb.Unpacked(args[3])
	case "bitop", "copy":
		return unknownWeight
	}
	return 0
}

// upTo returns the offset that the argument at i names, bounded; 0 if it names none,
// and the command will be refused.
func upTo(args [][]byte, i int) int {
	if i >= len(args) {
		return 0
	}
	n, err := strconv.ParseInt(string(args[i][:min(len(args[i]), 32)]), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return int(min(n, 8*unknownWeight))
}

// fieldEnd returns in which byte a field of BITFIELD ends at most: its offset is one in
// bits, or "#n" for n fields of its width.
func fieldEnd(kind, offset []byte) int {
	times := 1
	if len(offset) > 0 && offset[0] == '#' {
		offset = offset[1:]
		if len(kind) > 0 {
			times = max(upTo([][]byte{kind[1:]}, 0), 1)
		}
	}
	return min(upTo([][]byte{offset}, 0), 8*unknownWeight/min(times, 64))*min(times, 64)/8 + 8
}
