package sortedsets_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestBlockingAsRedis plays the commands that may wait to real servers, with times that
// are over at once: what is answered then, and every error.
func TestBlockingAsRedis(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		o.Ask("CONFIG", "SET", "hz", "500") // how often it looks whose time is over
		g := &commandtest.Game{
			Bench: commandtest.New(t, data.Commands()), Oracle: o,
			Differ: func(_ []string, ours, _ resp.Value) string {
				if o.Name == "redis-server" && string(ours.Str) == "ERR timeout is out of range" {
					return "7.0 computes with a number that has overflown, and calls it negative or waits"
				}
				return ""
			},
		}
		g.Lines(
			"SET s x", "HSET h f v", "ZADD z 1 a 2 b 3 c",
			"BZPOPMIN nosuch 0.001", "BZPOPMAX nosuch .001", "BZMPOP 0.001 1 nosuch MIN", "BZMPOP 1e-3 2 nosuch nosuch MAX COUNT 3",
			"BZPOPMIN z 0", "BZPOPMAX nosuch z 0", "BZMPOP 0 3 nosuch z s MIN COUNT 10", "EXISTS z",
			"BZPOPMIN s z 0", "BZPOPMIN z h 0", "BZMPOP 0 2 h z MAX",
			"ZADD z 1 a", "BZPOPMIN z s 0", "BZPOPMIN", "BZPOPMIN z", "BZPOPMAX z", "BZMPOP 0 1 z", "BZMPOP 0 1",
			"BZPOPMIN s x", "BZPOPMIN s \"\"", "BZPOPMIN s -1", "BZPOPMIN s -0.5", "BZPOPMIN s -0.001", "BZPOPMIN s -0.0001", "BZPOPMIN s -0.0015", "BZPOPMIN s -inf", "BZPOPMIN s inf", "BZPOPMIN s nan",
			"BZPOPMIN s 1e400", "BZPOPMIN s 1e5000", "BZPOPMIN s 9223372036854775807", "BZPOPMIN s 9223372036854775",
			"BZPOPMIN s 9223372036854776", "BZPOPMIN s 9223372036854774", "BZPOPMIN s -9223372036854775807", "BZPOPMIN s -1e400", "BZPOPMIN s 1e-400",
			"BZPOPMIN s 0x1p-3", "BZPOPMIN s \" 1\"", "BZPOPMIN s \"1 \"", "BZPOPMIN s +1", "BZPOPMIN s 1_0", "BZPOPMIN s 01", "BZPOPMIN s \"1\\x00\"",
			"BZMPOP x 0 s MID", "BZMPOP -1 0 s MID", "BZMPOP 0 0 s MIN", "BZMPOP 0 -1 s MIN", "BZMPOP 0 x s MIN", "BZMPOP 0 5 s MIN",
			"BZMPOP 0 1 s MID", "BZMPOP 0 1 s MIN COUNT", "BZMPOP 0 1 s MIN COUNT 0", "BZMPOP 0 1 s MIN COUNT -1", "BZMPOP 0 1 s MIN COUNT x",
			"BZMPOP 0 1 s MIN COUNT 1 COUNT 1", "BZMPOP 0 1 s MIN MAX", "BZMPOP 0 1 s COUNT 1 MIN", "BZMPOP 0 1 s min count 1",
		)
		g.Random(1000, func(rnd *rand.Rand) []string {
			pick := func(words ...string) string { return words[rnd.IntN(len(words))] }
			key := func() string { return pick("z1", "z2", "z3", "s") }
			timeout := func() string {
				if rnd.IntN(10) == 0 {
					return pick("x", "-1", "-0.1", "1e30", "", "nan")
				}
				return pick("0.001", ".001", "1e-3", "0.0001")
			}
			switch rnd.IntN(6) {
			case 0, 1:
				return []string{"ZADD", key(), strconv.Itoa(rnd.IntN(9)), pick("a", "b", "c", "d")}
			case 2:
				return []string{pick("SET", "DEL"), "s", "x"}[:2+rnd.IntN(2)]
			case 3:
				return []string{pick("BZPOPMIN", "BZPOPMAX"), key(), timeout()}
			case 4:
				return []string{pick("BZPOPMIN", "BZPOPMAX"), key(), key(), key(), timeout()}
			default:
				args := []string{"BZMPOP", timeout(), pick("1", "2", "2", "3", "0"), key(), key(), pick("MIN", "MAX", "min")}
				if rnd.IntN(2) == 0 {
					args = append(args, pick("COUNT", "count"), pick("1", "2", "5", "0"))
				}
				return args
			}
		})
	})
}
