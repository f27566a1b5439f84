package hyperloglog_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
)

// TestFamilies plays testdata.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestAsRealServers plays most of testdata and random commands to real servers, and
// compares values as well. There, PFCOUNT is only asked of copies, as it changes them.
func TestAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{Bench: commandtest.New(t, data.Commands()), Oracle: o}
		game.Lines(commandtest.Script(t, "testdata/sketches.txt")...)
		game.Random(4000, drawSketch)
	})
}

func drawSketch(rnd *rand.Rand) []string {
	one := func(words ...string) string { return words[rnd.IntN(len(words))] }
	key := func() string { return one("a", "b", "c", "d") }
	keys := func() (keys []string) {
		for range 1 + rnd.IntN(4) {
			keys = append(keys, key())
		}
		return keys
	}
	switch rnd.IntN(24) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		args := []string{"PFADD", key()}
		most := []int{1, 3, 30, 300}[rnd.IntN(4)]
		for range rnd.IntN(most + 1) {
			args = append(args, element(rnd))
		}
		return args
	case 8:
		args := []string{"PFADD", "many"}
		for range 2000 {
			args = append(args, element(rnd))
		}
		return args
	case 9, 10:
		return append([]string{"PFMERGE", key()}, keys()...)
	case 11:
		return []string{"PFMERGE", one("e", "many"), key()}
	case 12:
		return []string{"PFMERGE", key(), "many"}
	case 13:
		return []string{"DEL", one("a", "b", "c", "d", "e", "f", "many")}
	case 14:
		return []string{"COPY", one("a", "b", "c", "d", "many"), "copy", "REPLACE"}
	case 15:
		return []string{"PFCOUNT", "copy"}
	case 16, 17:
		return append([]string{"PFCOUNT", key()}, append(keys(), one("many", "nosuch"))...)
	case 18:
		return []string{"PFDEBUG", one("DECODE", "encoding", "todense", "GETREG", "FOO"), one("copy", "f", key())}
	case 19:
		return []string{"PFADD", "f", element(rnd)}
	default:
		return []string{"GET", one("a", "b", "c", "d", "e", "f", "many")}
	}
}

// element returns an element, often one that others are, too.
func element(rnd *rand.Rand) string {
	if rnd.IntN(8) == 0 {
		return strings.Repeat("x", rnd.IntN(20)) + strconv.Itoa(rnd.IntN(100))
	}
	return strconv.Itoa(rnd.IntN(1 << rnd.IntN(20)))
}
