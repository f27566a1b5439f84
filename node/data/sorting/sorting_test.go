package sorting_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestFamilies plays testdata, whose replies are what redis-server 8.6 answers.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestAsRealServers plays SORT to real servers. All keys have one hash tag: the servers
// are no clusters, and take any pattern.
func TestAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{
			Bench: commandtest.New(t, data.Commands()), Oracle: o,
			Unordered: func(args []string) bool { return strings.Join(args, " ") == "SORT {a}s BY nosort" }, // a set
			Differ: func(_ []string, _, theirs resp.Value) string {
				if o.Name != "redis-server" && strings.Contains(string(theirs.Str), "can't be converted") {
					return "newer servers take decimal numbers alone, and not as C's strtod does"
				}
				return ""
			},
		}
		game.Lines(
			"RPUSH {a}l 3 1 2 10", "SORT {a}l", "SORT {a}l DESC", "SORT {a}l ALPHA", "SORT {a}l alpha desc ASC", "SORT {a}l LIMIT 1 2", "SORT {a}l LIMIT -5 2",
			"SORT {a}l LIMIT 0 0", "SORT {a}l LIMIT 2 -1", "SORT {a}l LIMIT 9 2", "SORT {a}l LIMIT x 1", "SORT {a}l LIMIT 1 x", "SORT {a}l LIMIT 1",
			"SORT {a}l LIMIT 9223372036854775807 9223372036854775807", "SORT {a}l LIMIT 1 9223372036854775807", "SORT {a}l LIMIT -9223372036854775808 -9223372036854775808",
			"SORT {a}l FOO", "SORT {a}l BY", "SORT {a}l GET", "SORT {a}l STORE", "SORT_RO {a}l", "SORT_RO {a}l STORE {a}d", "SORT_RO {a}l DESC LIMIT 0 1",
			"SORT nosuch", "SORT nosuch STORE nosuch", "SET {a}str v", "SORT {a}str", "SORT {a}str FOO", "HSET {a}h f v", "SORT {a}h", "SORT", "SORT_RO",
			"MSET {a}w1 30 {a}w2 20 {a}w3 10", "HSET {a}h1 f x g 5", "HSET {a}h2 f y g 4", "SORT {a}l BY {a}w*", "SORT {a}l BY {a}w* DESC", "SORT {a}l BY {a}w* GET # GET {a}w*",
			"SORT {a}l BY {a}h*->g GET {a}h*->f", "SORT {a}l BY {a}h*->f ALPHA", "SORT {a}l BY {a}h*->f", "SORT {a}l BY {a}h*->", "SORT {a}l GET {a}h*->", "SORT {a}l GET {a}h*->nosuch",
			"SORT {a}l GET {a}w*->f", "SORT {a}l GET {a}h*", "SORT {a}l BY {a}nosuch* GET #", "SORT {a}l BY nosort", "SORT {a}l BY nosort DESC", "SORT {a}l BY nosort LIMIT 1 2",
			"SORT {a}l BY nosort DESC LIMIT 1 2", "SORT {a}l BY # DESC", "SORT {a}l GET {a}fixed", "SORT {a}l BY {a}w* BY nosort", "SORT {a}l BY nosort BY {a}w*",
			"ZADD {a}z 1 b 2 a 3 c", "SORT {a}z", "SORT {a}z ALPHA", "SORT {a}z BY nosort", "SORT {a}z BY nosort DESC", "SORT {a}z BY nosort DESC LIMIT 0 2",
			"SORT {a}z BY nosort LIMIT 1 1", "SORT {a}z BY nosort LIMIT 5 1", "SADD {a}s 5 3 x", "SORT {a}s", "SORT {a}s ALPHA", "SORT {a}s ALPHA DESC LIMIT 0 2", "SORT {a}s BY nosort",
			"SORT {a}s BY nosort STORE {a}d", "LRANGE {a}d 0 -1", "SORT {a}s BY nosort DESC STORE {a}d", "LRANGE {a}d 0 -1", "SORT {a}l STORE {a}d", "LRANGE {a}d 0 -1", "TYPE {a}d",
			"SORT {a}l BY {a}w* GET # GET {a}w* GET {a}nosuch* STORE {a}d", "LRANGE {a}d 0 -1", "SORT {a}l LIMIT 9 1 STORE {a}d", "EXISTS {a}d", "SORT {a}l STORE {a}l", "LRANGE {a}l 0 -1",
			"EXPIRE {a}l 100", "SORT {a}l DESC STORE {a}l", "TTL {a}l", "SORT {a}l STORE {a}str", "TYPE {a}str", "SORT {a}l STORE x STORE {a}e", "EXISTS x {a}e",
			"DEL {a}n", "RPUSH {a}n 1e2 0x10 -inf 5. .5", "SORT {a}n", `RPUSH {a}n ""`, "SORT {a}n", `RPUSH {a}n " 7"`, "SORT {a}n", "RPUSH {a}n nan",
			"SORT {a}n", "RPOP {a}n", "RPUSH {a}n 7x", "SORT {a}n", "SORT {a}n BY nosort", "SORT {a}n STORE {a}q", "EXISTS {a}q", "SORT {a}n LIMIT 0 0", "SORT {a}n LIMIT 0 0 STORE {a}q",
		)
		game.Differ = nil
		game.Random(3000, drawSort)
	})
}

func drawSort(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	number := func() string { return strconv.Itoa(rnd.IntN(20)) }
	key := func() string { return one("{a}l", "{a}m", "{a}z", "{a}t", "{a}str", "{a}nosuch") }
	element := func() string {
		if rnd.IntN(12) == 0 {
			return one("x", "1.5", "-3", "inf", "abc") // 1e400 leaves its error to later commands of Redis's, so the lines have none either
		}
		return number()
	}
	switch rnd.IntN(10) {
	case 0:
		return []string{"RPUSH", one("{a}l", "{a}m"), element(), element()}
	case 1:
		return []string{one("LPOP", "RPOP"), one("{a}l", "{a}m")}
	case 2:
		return []string{"ZADD", "{a}z", number(), element()}
	case 3:
		return []string{one("SADD", "SADD", "SREM"), "{a}t", element()}
	case 4:
		return []string{"SET", one("{a}w", "{a}str") + number(), element()}
	case 5:
		return []string{"HSET", "{a}h" + number(), one("f", "g"), element()}
	case 6:
		return []string{"LRANGE", one("{a}l", "{a}d"), "0", "-1"}
	default:
		args := []string{one("SORT", "SORT", "SORT_RO"), key()}
		if alphabetic := rnd.IntN(3) == 0; alphabetic {
			args = append(args, "ALPHA")
		} else if rnd.IntN(2) == 0 {
			args = append(args, "BY", one("{a}w*", "{a}h*->f", "{a}h*->g", "{a}w*", "{a}*"))
		}
		if args[1] != "{a}t" && rnd.IntN(8) == 0 {
			args = append(args, "BY", "nosort")
		}
		for range rnd.IntN(3) {
			args = append(args, "GET", one("#", "{a}w*", "{a}h*->f", "{a}h*->", "{a}w"))
		}
		if rnd.IntN(3) == 0 {
			args = append(args, one("DESC", "ASC", "desc"))
		}
		if rnd.IntN(3) == 0 {
			args = append(args, "LIMIT", one("0", "1", "3", "-1", "100"), one("0", "1", "2", "-1", "100"))
		}
		if rnd.IntN(4) == 0 {
			args = append(args, one("STORE", "FOO", "STORE"), "{a}d") // which may have empty elements, and is not sorted
		}
		return args
	}
}

// TestKeys: the keys of SORT are what is sorted, and the last one that it is told to
// store in.
func TestKeys(t *testing.T) {
	table := commandtest.New(t, data.Commands()).Table
	for line, want := range map[string]string{
		"SORT a": "a", "SORT a STORE b": "a b", "SORT a BY store STORE b STORE c": "a c", "SORT a GET STORE b": "a", "SORT a LIMIT STORE 1 STORE b": "a b",
		"SORT a STORE": "a", "SORT_RO a BY x* GET y*": "a", "SORT_RO a STORE b": "a",
	} {
		args := commandtest.Words(t, line)
		cmd, err := table.Lookup(args)
		if err != nil {
			t.Fatal(err)
		}
		keys, ok := cmd.KeyArgs(args)
		if got := string(bytes.Join(keys, []byte(" "))); got != want || !ok || cmd.WritesWith(args) != (len(keys) > 1) {
			t.Errorf("%s: %s, writes: %v; want %s", line, got, cmd.WritesWith(args), want)
		}
	}
}
