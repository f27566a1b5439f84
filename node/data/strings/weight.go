package strings

import (
	"strconv"

	"github.com/genuineh/aikv/node/command"
)

// What the commands weigh that make a long string of a large offset: see
// command.Command.

func setBitWeight(args [][]byte) int { return upTo(args, 2) / 8 }

func setRangeWeight(args [][]byte) int { return upTo(args, 2) }

func bitFieldWeight(args [][]byte) int {
	largest := 0
	for i := 2; i+2 < len(args); i++ {
		if command.Is(args[i], "set") || command.Is(args[i], "incrby") {
			largest = max(largest, fieldEnd(args[i+1], args[i+2]))
		}
	}
	return largest
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
	return int(min(n, 8*command.UnknownWeight))
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
	return min(upTo([][]byte{offset}, 0), 8*command.UnknownWeight/min(times, 64))*min(times, 64)/8 + 8
}
