package strings_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestAsRealServers plays random commands on strings to real servers.
func TestAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{
			Bench: commandtest.New(t, data.Commands()), Oracle: o,
			Differ: func(args []string, ours, theirs resp.Value) string {
				ofBits := (args[0] == "BITCOUNT" || args[0] == "BITPOS") && (ours.IsError() || theirs.IsError())
				switch {
				case o.Name == "redis-server" && ofBits:
					return "before 7.2, the key is looked at before the range"
				case o.Name == "valkey-server-9" && ofBits:
					return "Valkey's BITCOUNT needs no end"
				}
				return ""
			},
		}
		game.Lines(
			"SET k v", "GET k", "SET k w NX GET", "SET k w XX KEEPTTL", "GETEX k", "GETEX k PERSIST", "GETEX k EX", "GETEX k EX x",
			"GETEX k EX 5 PERSIST", "MSET a 1 b", "MGET a k nosuch", "LCS a k IDX", "LCS k k IDX WITHMATCHLEN", "LCS k k LEN IDX",
			"BITFIELD k GET u8 0", "BITFIELD k GET u8", "BITFIELD k SET u8 0 300 OVERFLOW FAIL INCRBY u8 0 300", "BITFIELD k",
			"BITFIELD_RO k SET u8 0 1", "SETRANGE k -1 x", "GETRANGE k x 1", "BITPOS k 2", "BITPOS k 1 0 x BYTE", "BITCOUNT k 0",
			"BITCOUNT k 0 -1 FOO", "BITOP NOT d k a", "BITOP FOO d k", "INCRBYFLOAT n 1.5e3", "INCRBYFLOAT n x", "DECRBY n -9223372036854775808",
		)
		game.Random(2000, drawString)
	})
}

func drawString(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	key := func() string { return one("a", "b", "c") }
	number := func() string { return one("0", "1", "-1", "7", "300", "-40", "x", "9223372036854775807") }
	text := func() string { return one("", "a", "abc", "12", "-5", "3.25", "zzzzzzzz") }
	switch rnd.IntN(18) {
	case 0:
		return []string{"SET", key(), text(), one("NX", "XX", "GET", "KEEPTTL", "FOO"), one("GET", "NX", "XX")}
	case 1:
		return []string{"SET", key(), text()}
	case 2:
		return []string{"APPEND", key(), text()}
	case 3:
		return []string{one("GETSET", "SETNX"), key(), text()}
	case 4:
		return []string{"SETRANGE", key(), one("0", "1", "5", "-1", "x"), text()}
	case 5:
		return []string{one("GETRANGE", "SUBSTR"), key(), number(), number()}
	case 6:
		return []string{one("INCRBY", "DECRBY", "INCRBYFLOAT"), key(), number()}
	case 7:
		return []string{one("INCR", "DECR", "GET", "STRLEN", "GETDEL", "GETEX", "BITCOUNT", "BITFIELD"), key()}
	case 8:
		return []string{"MGET", key(), key(), key()}
	case 9:
		return []string{one("MSET", "MSETNX"), key(), text(), key(), text()}
	case 10:
		return []string{"SETBIT", key(), one("0", "7", "20", "-1"), one("0", "1", "2")}
	case 11:
		return []string{"BITCOUNT", key(), number(), number(), one("BIT", "BYTE", "FOO")}
	case 12:
		return []string{"BITPOS", key(), one("0", "1", "2"), number(), number(), one("BIT", "BYTE", "FOO")}
	case 13:
		return []string{"BITOP", one("AND", "OR", "XOR", "NOT"), key(), key(), key()}
	case 14:
		return []string{
			"BITFIELD", key(), one("GET", "SET", "INCRBY"), fmt.Sprint(one("u", "i"), 1+rnd.IntN(65)), one("0", "3", "#1", "#x"),
			one("1", "-1", "200"), "OVERFLOW", one("WRAP", "SAT", "FAIL"), "INCRBY", "u4", "2", number(),
		}
	case 15:
		letters := make([]byte, rnd.IntN(30))
		for i := range letters {
			letters[i] = "abc"[rnd.IntN(3)]
		}
		return []string{"SET", key(), string(letters)}
	default:
		args := []string{"LCS", key(), key()}
		for range rnd.IntN(4) {
			args = append(args, one("LEN", "IDX", "IDX", "WITHMATCHLEN"))
		}
		if rnd.IntN(2) == 0 {
			args = append(args, "MINMATCHLEN", one("0", "1", "2", "3", "-1", "x"))
		}
		return args
	}
}
