package lists_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestBlockingAsRealServers plays the commands that may wait to real servers, with times
// that are over at once: what is answered then, and every error.
func TestBlockingAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		o.Ask("CONFIG", "SET", "hz", "500") // how often it looks whose time is over
		game := &commandtest.Game{
			Bench: commandtest.New(t, data.Commands()), Oracle: o,
			Differ: func(args []string, ours, theirs resp.Value) string {
				if (args[0] == "BLMOVE" || args[0] == "BRPOPLPUSH") && ours.Kind == resp.KindNull && theirs.Kind == resp.KindNullArray {
					return "the bench does not wait, as in a transaction: the end of the time is another null in RESP2"
				}
				return ""
			},
		}
		game.Lines(
			"SET s v", "RPUSH k a b c d e f", "BLPOP nosuch 0.001", "BRPOP nosuch nosuch .001", "BLMPOP 0.001 1 nosuch LEFT",
			"BLMOVE nosuch d LEFT LEFT 0.001", "BRPOPLPUSH nosuch d 0.001", "BLMOVE nosuch s LEFT LEFT 0.001", "BRPOPLPUSH nosuch s 0.001",
			"BLPOP k 0", "BRPOP nosuch k 0", "BLMPOP 0 3 nosuch k s RIGHT COUNT 2", "BLMOVE k d RIGHT LEFT 0", "BRPOPLPUSH k d 0", "EXISTS k",
			"LRANGE d 0 -1", "BLMOVE d d LEFT RIGHT 0", "BRPOPLPUSH d d 0", "LRANGE d 0 -1", "BLMOVE d s LEFT LEFT 0", "BRPOPLPUSH d s 0",
			"BLPOP s d 0", "BLPOP nosuch s 0", "BLPOP d s 0", "BLMPOP 0 2 s d LEFT", "BLMOVE s d LEFT LEFT 0", "BRPOPLPUSH s d 0",
			"BLPOP", "BLPOP d", "BLPOP s x", "BLPOP s -1", "BLPOP s \"\"", "BRPOP s nan", "BLMOVE s d LEFT FOO x", "BLMOVE s d FOO LEFT x",
			"BLMOVE s d LEFT LEFT x", "BLMOVE s d LEFT LEFT -1", "BLMOVE s d LEFT LEFT", "BLMOVE s d LEFT LEFT 0 0", "BRPOPLPUSH s d x", "BRPOPLPUSH s d -1",
			"BRPOPLPUSH s d", "BLMPOP x 0 s LEFT", "BLMPOP x 1 s FOO", "BLMPOP x 1 s LEFT", "BLMPOP -1 1 s LEFT", "BLMPOP 0 5 s LEFT",
			"BLMPOP 0 1 s LEFT COUNT 0", "BLMPOP 0 1 s LEFT COUNT", "BLMPOP 0 1 s LEFT COUNT 1 COUNT 1", "LRANGE d 0 -1",
		)
		game.Random(1000, drawBlocking)
	})
}

func drawBlocking(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	key := func() string { return one("a", "b", "c", "s") }
	end := func() string { return one("LEFT", "RIGHT", "left", "right", "LEFT", "RIGHT", "LEFT", "RIGHT", "FOO") }
	timeout := func() string {
		if rnd.IntN(10) == 0 {
			return one("x", "-1", "-0.1", "", "nan")
		}
		return one("0.001", ".001", "1e-3", "0.0001")
	}
	switch rnd.IntN(8) {
	case 0, 1, 2:
		return []string{one("LPUSH", "RPUSH"), key(), fmt.Sprint(rnd.IntN(9)), "x"}
	case 3:
		return []string{one("SET", "DEL", "LRANGE"), "s", "0", "-1"}[:1+rnd.IntN(4)]
	case 4:
		return []string{one("BLPOP", "BRPOP"), key(), timeout()}
	case 5:
		return []string{one("BLPOP", "BRPOP"), key(), key(), key(), timeout()}
	case 6:
		if rnd.IntN(3) == 0 {
			return []string{"BRPOPLPUSH", key(), key(), timeout()}
		}
		return []string{"BLMOVE", key(), key(), end(), end(), timeout()}
	default:
		args := []string{"BLMPOP", timeout(), one("1", "2", "2", "3", "0"), key(), key(), end()}
		if rnd.IntN(2) == 0 {
			args = append(args, one("COUNT", "count"), one("1", "2", "5", "0"))
		}
		return args
	}
}
