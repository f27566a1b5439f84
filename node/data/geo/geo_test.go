package geo_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestFamilies plays testdata.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestAsRealServers plays most of testdata, and random commands, to real servers.
func TestAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{Bench: commandtest.New(t, data.Commands()), Oracle: o, Differ: func(args []string, ours, theirs resp.Value) string {
			return differs(o.Name, args, ours, theirs)
		}}
		game.Lines(commandtest.Script(t, "testdata/places.txt")...)
		game.Lines(commandtest.Script(t, "testdata/search.txt")...)
		game.Random(5000, func(rnd *rand.Rand) []string { return (&generator{rnd}).command() })
	})
}

// differs says in which ways a server may differ from Redis 7.2 on an x86 processor with
// exact trigonometry.
func differs(server string, args []string, ours, theirs resp.Value) string {
	text := string(theirs.Str)
	within := func(relative, absolute float64) bool {
		return same(ours, theirs, func(a, b float64) bool { return a == b || math.Abs(a-b) <= max(math.Abs(a)*relative, absolute) })
	}
	switch {
	case strings.HasPrefix(text, "ERR member ") || strings.Contains(text, "BYPOLYGON"):
		return "Valkey has texts of its own"
	case args[0] == "ZRANGE" && within(0x1p-51, 0):
		return "a distance that was stored differs in its last bits"
	case server == "redis-server" && within(0, 1.5e-4):
		return "Redis 7.0 rounds the exact distance, and not ten thousand times of it"
	case server == "redis-server-8" && within(0, 1e-14):
		return "Redis 8 writes coordinates with the least number of digits"
	}
	return ""
}

// same reports whether two replies are the same but for numbers, which are to be equal.
func same(ours, theirs resp.Value, equal func(a, b float64) bool) bool {
	if len(ours.Elems) != len(theirs.Elems) || ours.Int != theirs.Int || ours.Kind != theirs.Kind {
		return false
	}
	for i := range ours.Elems {
		if !same(ours.Elems[i], theirs.Elems[i], equal) {
			return false
		}
	}
	a, err1 := strconv.ParseFloat(string(ours.Str), 64)
	b, err2 := strconv.ParseFloat(string(theirs.Str), 64)
	if err1 != nil || err2 != nil {
		return bytes.Equal(ours.Str, theirs.Str)
	}
	return equal(a, b)
}

// generator draws commands.
type generator struct{ rnd *rand.Rand }

func (g *generator) one(words ...string) string { return words[g.rnd.IntN(len(words))] }

func (g *generator) key() string {
	if g.rnd.IntN(60) == 0 {
		return g.one("none", "string")
	}
	return g.one("a", "b")
}

func (g *generator) member() string {
	if g.rnd.IntN(40) == 0 {
		return "nosuch"
	}
	return "m" + strconv.Itoa(g.rnd.IntN(300))
}

// place returns a longitude and a latitude: often ones that others have, too, near to
// others, or at an edge of the map.
func (g *generator) place() []string {
	switch g.rnd.IntN(12) {
	case 0:
		return []string{g.one("180", "-180", "179.9999999", "0", "-0", "90"), g.one("85.05112878", "-85.05112878", "0", "66.5", "-80.1")}
	case 1:
		if g.rnd.IntN(10) == 0 {
			return []string{g.one("180.1", "x", "1e300", "inf", "10"), g.one("85.06", "-90", "nan", "", "10")}
		}
		fallthrough
	case 2, 3, 4:
		return []string{strconv.Itoa(g.rnd.IntN(3)), strconv.Itoa(g.rnd.IntN(3))}
	case 5, 6, 7, 8:
		return []string{fmt.Sprint(10 + g.rnd.Float64()/10), fmt.Sprint(40 + g.rnd.Float64()/10)}
	default:
		return []string{fmt.Sprint(g.rnd.Float64()*360 - 180), fmt.Sprint(g.rnd.Float64()*170 - 85)}
	}
}

func (g *generator) unit() string { return g.one("m", "km", "KM", "km", "ft", "mi", "km", "m", "xx") }

func (g *generator) length() string {
	switch g.rnd.IntN(12) {
	case 0:
		return g.one("0", "-1", "x", "1e400", "inf", "1e-300")
	case 1:
		return g.one("20037726.37", "1e7", "3e4", "1e300")
	default:
		return fmt.Sprint(float64(g.rnd.IntN(1000)) * []float64{0.01, 1, 10, 100}[g.rnd.IntN(4)])
	}
}

func (g *generator) command() []string {
	switch g.rnd.IntN(12) {
	case 0, 1, 2:
		return g.add()
	case 3:
		return append([]string{"GEODIST", g.key(), g.member(), g.member()}, g.some(1, g.unit())...)
	case 4:
		return []string{g.one("GEOHASH", "GEOPOS"), g.key(), g.member(), g.member()}
	case 5:
		return g.other()
	case 6:
		return append(append([]string{g.one("GEORADIUS", "GEORADIUS_RO"), g.key()}, g.place()...), g.circle()...)
	case 7:
		return append([]string{g.one("GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"), g.key(), g.member()}, g.circle()...)
	default:
		return g.search()
	}
}

func (g *generator) some(n int, words ...string) (chosen []string) {
	for range g.rnd.IntN(n + 1) {
		chosen = append(chosen, g.one(words...))
	}
	return chosen
}

func (g *generator) add() []string {
	args := append([]string{"GEOADD", g.key()}, g.some(1, "NX", "XX", "CH", "ch")...)
	for range 1 + g.rnd.IntN(20) {
		args = append(append(args, g.place()...), g.member())
	}
	return args
}

// other returns a command that makes scores that are no places, and others.
func (g *generator) other() []string {
	switch g.rnd.IntN(5) {
	case 0:
		return []string{"ZADD", g.key(), g.one("-1", "1e300", "inf", "-inf", "1.5", "4503599627370496", "18446744073709551615", "9223372036854775808", "-9e30"), g.member()}
	case 1:
		return []string{"SET", "string", "x"}
	case 2:
		return []string{"ZRANGE", g.key(), "0", "-1", "WITHSCORES"}
	default:
		return []string{"ZREM", g.key(), g.member()}
	}
}

func (g *generator) circle() []string {
	args := append([]string{g.length(), g.unit()}, g.options()...)
	if g.rnd.IntN(3) == 0 {
		args = append(args, g.one("STORE", "STOREDIST", "store"), g.key())
	}
	return args
}

func (g *generator) options() []string {
	var args []string
	for range g.rnd.IntN(4) {
		switch g.rnd.IntN(5) {
		case 0:
			args = append(args, "COUNT", g.one("1", "3", "7", "20", "20", "60", "0", "x", "9223372036854775807"))
		case 1:
			args = append(args, "COUNT", g.one("1", "5", "40"), "ANY")
		case 2:
			args = append(args, g.one("ASC", "DESC", "asc", "ANY", "FOO", "STORE"))
		default:
			args = append(args, g.one("WITHDIST", "WITHHASH", "WITHCOORD"))
		}
	}
	return args
}

func (g *generator) search() []string {
	args := []string{"GEOSEARCH", g.key()}
	if g.rnd.IntN(4) == 0 {
		args = []string{"GEOSEARCHSTORE", g.key(), g.key()}
	}
	parts := [][]string{
		append([]string{"FROMLONLAT"}, g.place()...), {"BYRADIUS", g.length(), g.unit()},
	}
	if g.rnd.IntN(2) == 0 {
		parts[0] = []string{"FROMMEMBER", g.member()}
	}
	if g.rnd.IntN(2) == 0 {
		parts[1] = []string{"BYBOX", g.length(), g.length(), g.unit()}
	}
	if g.rnd.IntN(30) == 0 {
		parts = append(parts, parts[g.rnd.IntN(2)])
	}
	if g.rnd.IntN(30) == 0 {
		parts = parts[1:]
	}
	g.rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	for _, part := range parts {
		args = append(args, part...)
	}
	if args[0] == "GEOSEARCHSTORE" {
		return append(args, g.some(2, "STOREDIST", "ASC", "WITHDIST", "STORE")...)
	}
	return append(args, g.options()...)
}
