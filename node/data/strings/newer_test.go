package strings_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestNewerAsRealServers plays what came after Redis 7.2 to the servers that have it.
// INCREX is in none of them yet: its cases are those of Redis 8.8's own test.
func TestNewerAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{Bench: commandtest.New(t, data.Commands()), Oracle: o}
		switch o.Name {
		case "redis-server-8":
			game.Lines(slices.DeleteFunc(commandtest.Script(t, "testdata/conditions.txt"), func(line string) bool {
				return strings.HasPrefix(line, "DELIFEQ") // Valkey's
			})...)
			game.Random(5000, drawNewer)
		case "valkey-server-9":
			game.Differ = func(args []string, ours, theirs resp.Value) string {
				if args[0] == "MSETEX" && ours.IsError() && theirs.IsError() {
					return "Valkey has texts of its own"
				}
				return ""
			}
			game.Random(5000, func(rnd *rand.Rand) []string {
				for {
					args := drawNewer(rnd)
					if rnd.IntN(5) == 0 {
						args = []string{"DELIFEQ", args[1], args[len(args)-1]}
					}
					if valkeyHas(args) {
						return args
					}
				}
			})
		default:
			t.Skip("it has none of these commands")
		}
	})
}

// valkeyHas reports whether Valkey has a command with these options.
func valkeyHas(args []string) bool {
	unknown := []string{"IFNE", "IFDEQ", "IFDNE"}
	conditions := 0
	for _, arg := range args {
		if slices.Contains(unknown, arg) {
			return false
		}
		if slices.Contains([]string{"IFEQ", "NX", "XX"}, arg) {
			conditions++
		}
	}
	return args[0] != "DELEX" && args[0] != "DIGEST" && conditions < 2
}

func drawNewer(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	key := func() string { return one("a", "b", "c", "z") }
	value := func() string {
		if rnd.IntN(4) > 0 {
			return one("", "v", "w", "12", "NX", "EX")
		}
		b := make([]byte, rnd.IntN(1<<rnd.IntN(14)))
		for i := range b {
			b[i] = byte(rnd.Uint64())
		}
		return string(b)
	}
	condition := func() string { return one("IFEQ", "IFNE", "IFDEQ", "IFDNE") }
	digest := func() string {
		return one("v", "w", "12", "f7042be43fb80714", "F7042BE43FB80714", "2d06800538d394c2", "zzzzzzzzzzzzzzzz", "")
	}
	switch rnd.IntN(10) {
	case 0, 1, 2:
		args := []string{"SET", key(), value()}
		for range rnd.IntN(3) {
			args = append(args, one("NX", "XX", "GET", "KEEPTTL", "EX", "PX", "1000", "PXAT", "FOO"))
		}
		for range 1 + rnd.IntN(10)/9 {
			args = append(args, condition(), digest())
		}
		args = append(args, one("GET", "XX", "NX", "KEEPTTL"))[:len(args)+rnd.IntN(2)]
		if slices.Contains(args, "GET") {
			// With GET, Redis answers to a digest of the wrong length twice.
			return slices.DeleteFunc(args, func(arg string) bool { return arg == "IFDEQ" || arg == "IFDNE" })
		}
		return args
	case 3:
		return []string{"DIGEST", key()}
	case 4:
		return []string{"DELEX", key(), condition(), digest()}[:2+2*rnd.IntN(2)]
	case 5, 6:
		args := []string{"MSETEX", one("1", "2", "2", "2", "3", "0", "x")}
		for range 1 + rnd.IntN(3) {
			args = append(args, key(), value())
		}
		for range rnd.IntN(4) {
			args = append(args, one("NX", "XX", "KEEPTTL", "EX", "1000", "PXAT", "1"))
		}
		return args
	case 7:
		return []string{"ZADD", "z", "1", "a"}
	default:
		return []string{one("GET", "EXISTS", "TYPE"), key()}
	}
}
