package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// OutputLimit is what client-output-buffer-limit says of one class of clients:
// they are closed when the replies that they have not taken reach Hard bytes,
// or Soft bytes for longer than SoftSeconds. 0 is no limit.
type OutputLimit struct{ Hard, Soft, SoftSeconds int64 }

// OutputLimits is the value of client-output-buffer-limit. The clients of AiKv
// are all of the class normal; what is set for the others is remembered.
type OutputLimits struct{ Normal, Replica, PubSub OutputLimit }

// String is the value as CONFIG GET shows it.
func (l OutputLimits) String() string {
	class := func(name string, o OutputLimit) string {
		return fmt.Sprintf("%s %d %d %d", name, o.Hard, o.Soft, o.SoftSeconds)
	}
	return class("normal", l.Normal) + " " + class("slave", l.Replica) + " " + class("pubsub", l.PubSub)
}

// ParseOutputLimits reads a value of client-output-buffer-limit. Classes that it
// does not name stay as they are in l. why says, in Redis's words, what is wrong.
func ParseOutputLimits(text string, l OutputLimits) (limits OutputLimits, why string) {
	if text == "" {
		return l, ""
	}
	words := strings.Split(text, " ")
	if len(words)%4 != 0 {
		return l, "Wrong number of arguments in buffer limit configuration."
	}
	for ; len(words) > 0; words = words[4:] {
		var class *OutputLimit
		switch strings.ToLower(words[0]) {
		case "normal":
			class = &l.Normal
		case "slave", "replica":
			class = &l.Replica
		case "pubsub":
			class = &l.PubSub
		default:
			return l, "Invalid client class specified in buffer limit configuration."
		}
		hard, ok1 := parseMemory(words[1])
		soft, ok2 := parseMemory(words[2])
		seconds, err := strconv.ParseInt(words[3], 10, 64)
		if !ok1 || !ok2 || err != nil || seconds < 0 || seconds > math.MaxInt32 {
			return l, "Error in hard, soft or soft_seconds setting in buffer limit configuration."
		}
		*class = OutputLimit{hard, soft, seconds}
	}
	return l, ""
}
