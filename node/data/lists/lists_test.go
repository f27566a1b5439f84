package lists_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestFamilies plays testdata; TestAsRealServers compares the commands with real ones.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestAsRealServers plays commands on lists to real servers.
func TestAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		former := o.Name == "redis-server" // 7.0, in which every list is a quicklist
		game := &commandtest.Game{
			Bench: commandtest.New(t, data.Commands()), Oracle: o,
			Differ: func(args []string, ours, theirs resp.Value) string {
				if former && args[0] == "OBJECT" && string(ours.Str) == "listpack" && string(theirs.Str) == "quicklist" {
					return "Redis 7.2 has small lists as one listpack"
				}
				return ""
			},
		}
		game.Lines(fixedLines()...)
		if !former { // there, the numbers overflow
			game.Lines("RPUSH k a", "LREM k -9223372036854775808 a", "LPOS k a RANK -9223372036854775808")
		}
		game.Random(3000, drawList)
		if !former {
			game.Random(3000, drawTail())
		}
	})
}

// fixedLines are commands that show the order in which arguments and keys are judged.
func fixedLines() []string {
	return []string{
		"RPUSH k a b c", "SCAN 0 TYPE list", "LPUSH k z y", "LRANGE k 0 -1", "RPUSH s", "LPUSHX nosuch a", "RPUSHX nosuch a b", "LPUSHX k x w", "SET s v",
		"RPUSH s a", "LPUSHX s a", "LLEN s", "LLEN k", "LLEN nosuch", "LINDEX k x", "LINDEX nosuch x", "LINDEX s x", "LINDEX k -1",
		"LINDEX k -100", "LINDEX k 100", "LINDEX k 9223372036854775807", "LINDEX k -9223372036854775808", "LINDEX k 9223372036854775808",
		"LSET nosuch x v", "LSET s x v", "LSET k x v", "LSET k 100 v", "LSET k -100 v", "LSET k -1 last", "LSET k 0 7", "LRANGE k 0 -1",
		"LINSERT nosuch FOO a b", "LINSERT s BEFORE a b", "LINSERT nosuch AFTER a b", "LINSERT k BEFORE nosuch b",
		"LINSERT k before 7 6", "LINSERT k AFTER 7 8", "LINSERT k AFTER last end", "LRANGE k 0 -1", "LRANGE k 1 x", "LRANGE nosuch x 1",
		"LRANGE s 0 -1", "LRANGE nosuch 0 -1", "LRANGE k 3 1", "LRANGE k -100 1", "LRANGE k -3 100", "LRANGE k 0 -100", "LRANGE k 100 200",
		"LRANGE k -9223372036854775808 9223372036854775807", "LRANGE k 1 9223372036854775808",
		"LPOP nosuch", "LPOP nosuch 0", "LPOP nosuch 3", "LPOP nosuch -1", "LPOP s", "LPOP s 0", "LPOP s x", "LPOP k x", "LPOP k -1", "LPOP k 0",
		"RPOP k 0", "LPOP k 1 2", "RPOP k 1 2", "LPOP k", "RPOP k", "RPOP k 2", "LPOP k 2", "LPOP k 9223372036854775807", "EXISTS k",
		"RPUSH k a b a c a b", "LREM k x a", "LREM nosuch x a", "LREM nosuch 0 a", "LREM s 0 a", "LREM k 0 nosuch", "LREM k -1 a", "LRANGE k 0 -1",
		"LREM k 1 a", "LRANGE k 0 -1", "LREM k -9223372036854775807 b", "LREM k 9223372036854775807 c",
		"LREM k 0 a", "EXISTS k", "RPUSH k a b c d e", "LTRIM k x 1", "LTRIM nosuch 0 x", "LTRIM nosuch 0 1", "LTRIM s 0 1", "LTRIM k 1 -2",
		"LRANGE k 0 -1", "LTRIM k -100 100", "LTRIM k 5 2", "EXISTS k",
		"RPUSH k a b c 1 2 3 c c", "LPOS k c", "LPOS nosuch c", "LPOS s c", "LPOS s c RANK 0", "LPOS k 3", "LPOS k 03", "LPOS k c RANK 2", "LPOS k c RANK -1",
		"LPOS k c RANK 0", "LPOS k c RANK x", "LPOS k c COUNT 2", "LPOS k c COUNT 0", "LPOS k c COUNT -1",
		"LPOS k c COUNT x", "LPOS k c MAXLEN -1", "LPOS k c MAXLEN x", "LPOS k c MAXLEN 2", "LPOS k c MAXLEN 3", "LPOS k c MAXLEN 0 COUNT 0 RANK 2",
		"LPOS k c RANK -2 COUNT 0", "LPOS k c RANK -1 COUNT 2", "LPOS k c RANK -1 MAXLEN 1", "LPOS k c RANK 4", "LPOS k c RANK 4 COUNT 1", "LPOS k c COUNT",
		"LPOS k c FOO 1", "LPOS k c RANK 1 COUNT 1 RANK 2", "LPOS nosuch c COUNT 1", "LPOS nosuch c RANK x", "LPOS k nosuch COUNT 0",
		"LMOVE k d LEFT RIGHT", "LMOVE k d RIGHT LEFT", "LMOVE k d left left", "LMOVE k d RIGHT RIGHT", "LRANGE d 0 -1", "LMOVE k d FOO LEFT",
		"LMOVE k d LEFT FOO", "LMOVE nosuch s LEFT LEFT", "LMOVE s d LEFT LEFT", "LMOVE k s LEFT LEFT", "LMOVE nosuch d FOO LEFT", "LMOVE k k LEFT RIGHT",
		"LMOVE k k RIGHT LEFT", "LMOVE k k LEFT LEFT", "LRANGE k 0 -1", "RPOPLPUSH k d", "RPOPLPUSH k k", "RPOPLPUSH nosuch s", "RPOPLPUSH s d",
		"RPOPLPUSH k s", "LRANGE k 0 -1", "LRANGE d 0 -1", "DEL k", "RPUSH k one", "EXPIRE k 10000", "LMOVE k k LEFT LEFT", "RPOPLPUSH k k", "TTL k",
		"LMOVE k d LEFT RIGHT", "EXISTS k", "TTL d",
		"LMPOP 1 d LEFT", "LMPOP 2 nosuch d RIGHT COUNT 2", "LMPOP 1 nosuch LEFT", "LMPOP 0 d LEFT", "LMPOP x d LEFT", "LMPOP -1 d LEFT", "LMPOP 2 d LEFT",
		"LMPOP 1 d FOO", "LMPOP 1 d LEFT COUNT 0", "LMPOP 1 d LEFT COUNT x", "LMPOP 1 d LEFT COUNT", "LMPOP 1 d LEFT FOO", "LMPOP 1 d LEFT COUNT 1 COUNT 2",
		"LMPOP 2 nosuch s LEFT", "LMPOP 9223372036854775807 d LEFT", "LMPOP 1 d LEFT COUNT 9223372036854775807", "EXISTS d", "LMPOP 3 nosuch nosuch k LEFT",
		"RPUSH k a", "EXPIRE k 10000", "RPUSH k b", "LSET k 0 c", "LPOP k", "TTL k", "TYPE k", "OBJECT ENCODING k", "COPY k l", "TTL l", "LRANGE l 0 -1",
		"RENAME l m", "LRANGE m 0 -1", "GET m", "APPEND m x", "HGET m f", "ZADD m 1 a", "SET m v", "TYPE m",
		`RPUSH bin "\x00\xff\r\n" "" " "`, "LRANGE bin 0 -1", `LPOS bin "\x00\xff\r\n"`, `LREM bin 0 ""`, `LINSERT bin BEFORE " " ""`, "LPOP bin 3",
	}
}

func drawList(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	key := func() string { return one("a", "b", "c") }
	number := func() string {
		if rnd.IntN(12) == 0 {
			return one("x", "", "1.5", "9223372036854775807", "-9223372036854775808", "9223372036854775808")
		}
		return fmt.Sprint(rnd.IntN(16) - 8)
	}
	end := func() string { return one("LEFT", "RIGHT", "left", "right", "LEFT", "RIGHT", "FOO") }
	text := func() string {
		switch rnd.IntN(30) {
		case 0:
			return strings.Repeat("x", rnd.IntN(300))
		case 1:
			return strings.Repeat("y", rnd.IntN(5000))
		case 2:
			return fmt.Sprint(rnd.Int64() >> rnd.IntN(64))
		case 3:
			return one("", "\x00", "\r\n", "01", "-0", "-9223372036854775808")
		}
		return fmt.Sprint(rnd.IntN(8))
	}
	some := func(most int) (words []string) {
		for range 1 + rnd.IntN(most) {
			words = append(words, text())
		}
		return words
	}
	switch rnd.IntN(22) {
	case 0, 1, 2:
		return append([]string{one("LPUSH", "RPUSH"), key()}, some(12)...)
	case 3:
		return append([]string{one("LPUSHX", "RPUSHX"), key()}, some(3)...)
	case 4:
		return []string{one("LPOP", "RPOP"), key()}
	case 5:
		return []string{one("LPOP", "RPOP"), key(), number()}
	case 6:
		return []string{"LINDEX", key(), number()}
	case 7:
		return []string{"LSET", key(), one("x", "0", "-1", "1", "-2", "5", "-7"), text()} // Redis takes 32 bits of it
	case 8, 9:
		return []string{"LINSERT", key(), one("BEFORE", "AFTER", "before", "FOO"), text(), text()}
	case 10:
		return []string{"LRANGE", key(), number(), number()}
	case 11:
		return []string{"LREM", key(), one("x", "0", "1", "2", "-1", "-3", "9223372036854775807"), text()}
	case 12:
		if rnd.IntN(4) > 0 {
			return []string{"LTRIM", key(), one("0", "1"), one("-1", "-2")}
		}
		return []string{"LTRIM", key(), number(), number()}
	case 13, 14:
		args := []string{"LPOS", key(), text()}
		for range rnd.IntN(4) {
			args = append(args, one("RANK", "COUNT", "MAXLEN", "rank"), fmt.Sprint(rnd.IntN(9)-4))
		}
		return args
	case 15, 16:
		return []string{"LMOVE", key(), key(), end(), end()}
	case 17:
		return []string{"RPOPLPUSH", key(), key()}
	case 18:
		args := []string{"LMPOP", one("1", "2", "2", "2", "3", "0", "x"), key(), key(), end()}
		if rnd.IntN(2) == 0 {
			args = append(args, "COUNT", number())
		}
		return args
	case 19:
		return []string{one("COPY", "RENAME"), key(), key()}
	case 20:
		return []string{one("LLEN", "TYPE", "DEL"), key()}
	default:
		return []string{"OBJECT", "ENCODING", key()}
	}
}

// drawTail draws commands that let a list grow and shrink at its end, past the sizes at
// which its encoding changes.
func drawTail() func(rnd *rand.Rand) []string {
	shrinks := false
	return func(rnd *rand.Rand) []string {
		if rnd.IntN(40) == 0 {
			shrinks = !shrinks
		}
		switch {
		case rnd.IntN(2) == 0:
			return []string{"OBJECT", "ENCODING", "k"}
		case shrinks && rnd.IntN(4) == 0:
			return []string{"LTRIM", "k", "0", fmt.Sprint(-2 - rnd.IntN(3))}
		case shrinks:
			return []string{"RPOP", "k", fmt.Sprint(1 + rnd.IntN(9))}
		}
		args := []string{"RPUSH", "k"}
		for range 1 + rnd.IntN(12) {
			element := fmt.Sprint(rnd.Int64() >> rnd.IntN(64))
			switch rnd.IntN(5) {
			case 0:
				element = strings.Repeat("x", rnd.IntN(200))
			case 1:
				element = strings.Repeat("x", rnd.IntN(200)*rnd.IntN(30))
			}
			args = append(args, element)
		}
		return args
	}
}

// TestLongList: what is done to a list of many pages is what is done to a slice.
func TestLongList(t *testing.T) {
	b := commandtest.New(t, data.Commands())
	var want []string
	do := func(words ...string) resp.Value {
		args := make([][]byte, len(words))
		for i, word := range words {
			args[i] = []byte(word)
		}
		return b.Run(args)
	}
	check := func() {
		t.Helper()
		if n := do("LLEN", "k").Int; n != int64(len(want)) {
			t.Fatalf("%d elements, not %d", n, len(want))
		}
		for from := 0; from < len(want); from += 5000 {
			part := want[from:min(from+5000, len(want))]
			reply := do("LRANGE", "k", fmt.Sprint(from), fmt.Sprint(from+len(part)-1))
			if got := texts(reply); !slices.Equal(got, part) {
				t.Fatalf("from %d on: %.100q", from, got)
			}
		}
	}
	for i := range 100 {
		args := []string{"RPUSH", "k"}
		for j := range 500 {
			args = append(args, fmt.Sprint((i*500+j)%7, ":", i))
		}
		want = append(want, args[2:]...)
		do(args...)
	}
	want = append(want, "pivot", strings.Repeat("long", 50_000))
	do("RPUSH", "k", "pivot", want[len(want)-1])
	check()
	do("LINSERT", "k", "AFTER", "pivot", "behind")
	do("LSET", "k", "25000", "set")
	do("LREM", "k", "-3", "1:7")
	want = slices.Insert(want, len(want)-1, "behind")
	want[25_000] = "set"
	for range 3 {
		last := len(want) - 1
		for want[last] != "1:7" {
			last--
		}
		want = slices.Delete(want, last, last+1)
	}
	check()
	do("LTRIM", "k", "1000", "-11")
	want = want[1000 : len(want)-10]
	check()
	removed := do("LREM", "k", "0", "3:50").Int
	kept := slices.DeleteFunc(slices.Clone(want), func(e string) bool { return e == "3:50" })
	if removed == 0 || removed != int64(len(want)-len(kept)) {
		t.Fatalf("%d of %d elements are removed", removed, len(want))
	}
	want = kept
	check()
	popped := texts(do("RPOP", "k", "40000"))
	slices.Reverse(popped)
	if !slices.Equal(popped, want[len(want)-40_000:]) {
		t.Fatal("other elements are popped")
	}
	want = want[:len(want)-40_000]
	check()
}

func texts(v resp.Value) (texts []string) {
	for _, e := range v.Elems {
		texts = append(texts, string(e.Str))
	}
	return texts
}
