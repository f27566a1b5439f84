package server

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator makes random commands, the same ones from the same seed.
type generator struct {
	rnd   *rand.Rand
	times int64 // how many times to live it has given
	plain bool  // only commands that all versions of Redis answer alike
}

// round returns pipelines that are played on empty servers.
func (g *generator) round() (pipelines [][][]string) {
	const commands = 300
	for n := 0; n < commands; {
		var commands [][]string
		for range 1 + g.rnd.IntN(20) {
			if g.rnd.IntN(12) == 0 {
				commands = append(commands, g.transaction()...)
			} else {
				commands = append(commands, g.command())
			}
		}
		pipelines = append(pipelines, commands)
		n += len(commands)
	}
	return pipelines
}

func (g *generator) command() []string {
	if g.plain {
		return g.plainly()
	}
	families := []func() []string{
		g.whole, g.whole, g.several, g.counter, g.counter, g.part, g.part, g.bit, g.bit, g.field, g.expiry, g.expiry, g.keys, g.keys, g.all,
		g.sorted, g.sorted, g.sorted, g.sorted, g.sorted, g.sorted, g.sorted, g.sorted, g.hashes, g.hashes, g.hashes, g.geo, g.geo, g.geo, g.hyperloglog, g.dumped,
		g.sets, g.sets, g.sets, g.sets, g.sort,
		g.lists, g.lists, g.lists, g.lists, g.lists,
		g.streams, g.streams, g.streams, g.streams, g.streams,
	}
	args := families[g.rnd.IntN(len(families))]()
	switch g.rnd.IntN(40) {
	case 0:
		if args[0] != "PFCOUNT" && args[0] != "SPOP" { // see hyperloglog and sremove
			args = args[:1+g.rnd.IntN(len(args))] // too few
		}
	case 1:
		args = append(args, g.pick("", "x", "0", "NX", "{a}1")) // too many
	case 2:
		if args[0] == "ZADD" && strings.HasPrefix(args[1], "{a}even") {
			break // its scores stay the same
		}
		// Nothing that could be a time to live that ends while the test runs.
		args[g.rnd.IntN(len(args))] = g.pick("", "x", "\x00\xff", "1.5", "99999999999999999999", "a b")
	}
	if g.rnd.IntN(4) == 0 {
		args[0] = strings.ToLower(args[0])
	}
	return args
}

func (g *generator) pick(words ...string) string { return words[g.rnd.IntN(len(words))] }

// some returns up to n of the words.
func (g *generator) some(n int, words ...string) []string {
	var chosen []string
	for range g.rnd.IntN(n + 1) {
		chosen = append(chosen, g.pick(words...))
	}
	return chosen
}

// key returns one of a few keys of one slot, and sometimes one of another.
func (g *generator) key() string {
	if g.rnd.IntN(30) == 0 {
		return g.pick("", "other", "{b}1")
	}
	return g.pick("{a}1", "{a}2", "{a}3", "{a}4", "{a}\x00\r\n\xff")
}

func (g *generator) value() string {
	switch g.rnd.IntN(6) {
	case 0:
		return g.pick("", "a", "hello world", "\x00", "\r\n", strings.Repeat("x", 44), strings.Repeat("y", 45))
	case 1:
		b := make([]byte, g.rnd.IntN(30))
		for i := range b {
			b[i] = g.pick("\x00", "\xff", "\x01", "\x80", string(rune('a'+g.rnd.IntN(26))))[0]
		}
		return string(b)
	case 2:
		return g.decimal()
	default:
		return g.integer()
	}
}

func (g *generator) integer() string {
	switch g.rnd.IntN(5) {
	case 0:
		return g.pick("9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
			"18446744073709551615", "9223372036854775806", "4294967296", "10000", "9999")
	case 1:
		return g.pick("", "x", "05", "+5", "-0", " 5", "5 ", "5.0", "1e3", "0x10", "-")
	default:
		return itoa(int64(g.rnd.IntN(100) - 50))
	}
}

// index returns a position or length of small strings.
func (g *generator) index() string {
	if g.rnd.IntN(8) == 0 {
		return g.integer()
	}
	return itoa(int64(g.rnd.IntN(60) - 25))
}

func (g *generator) decimal() string {
	switch g.rnd.IntN(8) {
	case 0:
		return g.pick("inf", "-Inf", "+infinity", "nan", "1e4932", "-1.2e4932", "1e4933", "1e-4951", "1e-4952", "-1e-4000", "0x1p16383",
			"0x1p-16446", "1e99999999999999999999", "0e9999", "-0", "+0.0")
	case 1:
		return g.pick("1e", "1e+", ".", "+", "1.2.3", "1,5", "0x", "0xg", "0x1p", "1_0", "1f", " 1.5", "1.5 ", "1.5\x00", "e5")
	case 2:
		return g.pick("+", "-", "") + "0x" + strconv.FormatUint(g.rnd.Uint64()>>g.rnd.IntN(64), 16) +
			g.pick("", ".", ".8", ".0001", ".fffffffffffffffff") + g.pick("", "p0", "p-70", "P+12")
	case 3:
		return strconv.FormatFloat(g.rnd.NormFloat64(), 'g', -1, 64)
	case 4:
		return strconv.FormatFloat(g.rnd.NormFloat64()*math.Pow(10, float64(g.rnd.IntN(50)-25)), 'e', g.rnd.IntN(25), 64)
	case 5:
		return itoa(g.rnd.Int64()-g.rnd.Int64()) + "." + itoa(g.rnd.Int64())
	default:
		return itoa(int64(g.rnd.IntN(2000)-1000)) + "." + itoa(int64(g.rnd.IntN(1000)))
	}
}

// seconds returns a time to live that no other command of the round has.
func (g *generator) seconds() int64 {
	g.times++
	if g.times%2 == 0 {
		return 500_000 + timeStep*g.times
	}
	return 500_000 - timeStep*g.times
}

// ttl returns a time to live: in milliseconds if unit is 1000, and not always a
// valid one. None of them passes while the test runs.
func (g *generator) ttl(unit int64) string {
	if g.rnd.IntN(5) == 0 {
		return g.pick("0", "-1", "x", "", "9223372036854775807", "9223372036854775", "-9223372036854775808", "9223372036854775808")
	}
	return itoa(g.seconds() * unit)
}

// moment is the same for a point in time: far away, or long over.
func (g *generator) moment(unit int64) string {
	if g.rnd.IntN(4) == 0 {
		return g.pick("0", "1", "-1", "1000000", "x", "9223372036854775807", "9223372036854775", "-9223372036854775808")
	}
	return itoa((farAway + int64(g.rnd.IntN(farRange))) * unit)
}

// expiryOptions returns options of SET and GETEX that set a time of expiry, or
// something like it.
func (g *generator) expiryOptions() []string {
	switch g.rnd.IntN(8) {
	case 0:
		return []string{g.pick("EX", "ex"), g.ttl(1)}
	case 1:
		return []string{"PX", g.ttl(1000)}
	case 2:
		return []string{"EXAT", g.moment(1)}
	case 3:
		return []string{"pxat", g.moment(1000)}
	case 4:
		return []string{"EX", g.ttl(1), "EX", g.ttl(1)}
	case 5:
		return g.some(3, "EX", "PX", "KEEPTTL", "PERSIST", "1000000000", "GET")
	default:
		return nil
	}
}

func (g *generator) whole() []string {
	key, value := g.key(), g.value()
	switch g.rnd.IntN(9) {
	case 0, 1:
		return []string{"SET", key, value}
	case 2:
		options := append(g.expiryOptions(), g.some(3, "NX", "xx", "GET", "KEEPTTL", "foo", "Persist")...)
		return append([]string{"SET", key, value}, options...)
	case 3:
		return []string{g.pick("GETSET", "SETNX"), key, value}
	case 4:
		return []string{"SETEX", key, g.ttl(1), value}
	case 5:
		return []string{"PSETEX", key, g.ttl(1000), value}
	case 6:
		return append([]string{"GETEX", key}, g.expiryOptions()...)
	case 7:
		return []string{"GETEX", key, "PERSIST"}
	default:
		return []string{g.pick("GET", "GET", "GETDEL", "STRLEN"), key}
	}
}

func (g *generator) several() []string {
	args := []string{g.pick("MSET", "MSETNX", "MGET", "MGET", "EXISTS", "TOUCH", "DEL", "UNLINK")}
	for range 1 + g.rnd.IntN(3) {
		args = append(args, g.key())
		if args[0] == "MSET" || args[0] == "MSETNX" {
			args = append(args, g.value())
		}
	}
	return args
}

func (g *generator) counter() []string {
	switch g.rnd.IntN(4) {
	case 0:
		return []string{g.pick("INCR", "DECR"), g.key()}
	case 1:
		return []string{g.pick("INCRBY", "DECRBY"), g.key(), g.integer()}
	case 2:
		return []string{"SET", g.key(), g.decimal()}
	default:
		return []string{"INCRBYFLOAT", g.key(), g.decimal()}
	}
}

func (g *generator) part() []string {
	const edge = 1 << 20 // of the longest string
	switch g.rnd.IntN(7) {
	case 0:
		return append([]string{"LCS", g.key(), g.key()}, g.some(3, "LEN", "IDX", "idx", "WITHMATCHLEN", "MINMATCHLEN", "2", "-1", "foo")...)
	case 1, 2:
		return []string{"APPEND", g.key(), g.value()}
	case 3:
		if g.rnd.IntN(30) == 0 {
			return []string{"SETRANGE", g.key(), itoa(edge - 20 + int64(g.rnd.IntN(25))), g.value()}
		}
		return []string{"SETRANGE", g.key(), g.index(), g.value()}
	case 4:
		return []string{"STRLEN", g.key()}
	default:
		return []string{g.pick("GETRANGE", "GETRANGE", "SUBSTR"), g.key(), g.index(), g.index()}
	}
}

func (g *generator) bit() []string {
	const edge = 8 << 20
	offset := func() string {
		switch g.rnd.IntN(12) {
		case 0:
			return g.pick("8388608", "-1", "9223372036854775807", "x", "", "4294967296", "05")
		case 1:
			if g.rnd.IntN(10) == 0 {
				return itoa(edge - 1 - int64(g.rnd.IntN(10)))
			}
		}
		return itoa(int64(g.rnd.IntN(250)))
	}
	unit := func() []string { return g.some(1, "BIT", "bit", "BYTE", "foo") }
	switch g.rnd.IntN(7) {
	case 6:
		args := []string{"BITOP", g.pick("AND", "or", "XOR", "xor", "NOT", "NOT", "foo"), g.key(), g.key()}
		if args[1] != "NOT" || g.rnd.IntN(4) == 0 {
			args = append(args, g.key(), g.key())
		}
		return args
	case 0, 1:
		return []string{"SETBIT", g.key(), offset(), g.pick("0", "1", "1", "1", "2", "x")}
	case 2:
		return []string{"GETBIT", g.key(), offset()}
	case 3:
		if g.rnd.IntN(4) == 0 {
			return append([]string{"BITCOUNT", g.key()}, g.some(1, "0", "x")...)
		}
		return append([]string{"BITCOUNT", g.key(), g.index(), g.index()}, unit()...)
	case 4:
		return append([]string{"BITPOS", g.key(), g.pick("0", "1", "0", "1", "2", "x"), g.index(), g.index()}, unit()...)
	default:
		return append([]string{"BITPOS", g.key(), g.pick("0", "1")}, g.some(1, g.index())...)
	}
}

func (g *generator) field() []string {
	args := []string{g.pick("BITFIELD", "BITFIELD", "BITFIELD", "BITFIELD_RO"), g.key()}
	for range 1 + g.rnd.IntN(4) {
		kind := g.pick("u", "i", "u", "i", "U") + itoa(int64(1+g.rnd.IntN(64)))
		if g.rnd.IntN(10) == 0 {
			kind = g.pick("u63", "u64", "i64", "i65", "i0", "u-1", "u", "", "x8", "i08")
		}
		offset := g.pick(itoa(int64(g.rnd.IntN(100))), "#"+itoa(int64(g.rnd.IntN(10))), "#-1", "#", "#x", "#9000000", g.index())
		switch g.rnd.IntN(7) {
		case 0:
			args = append(args, "OVERFLOW", g.pick("WRAP", "SAT", "sat", "FAIL", "fail", "foo"))
		case 1, 2:
			args = append(args, g.pick("SET", "set"), kind, offset, g.integer())
		case 3, 4:
			args = append(args, "INCRBY", kind, offset, g.integer())
		default:
			args = append(args, "GET", kind, offset)
		}
	}
	return args
}

func (g *generator) expiry() []string {
	conditions := func() []string { return g.some(2, "NX", "XX", "GT", "LT", "lt", "foo") }
	switch g.rnd.IntN(7) {
	case 0:
		return append([]string{"EXPIRE", g.key(), g.ttl(1)}, conditions()...)
	case 1:
		return append([]string{"PEXPIRE", g.key(), g.ttl(1000)}, conditions()...)
	case 2:
		return append([]string{"EXPIREAT", g.key(), g.moment(1)}, conditions()...)
	case 3:
		return append([]string{"PEXPIREAT", g.key(), g.moment(1000)}, conditions()...)
	case 4:
		return []string{"PERSIST", g.key()}
	default:
		return []string{g.pick("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), g.key()}
	}
}

func (g *generator) keys() []string {
	switch g.rnd.IntN(6) {
	case 0:
		return []string{"RENAME", g.key(), g.key()}
	case 1:
		return []string{"RENAMENX", g.key(), g.key()}
	case 2:
		options := g.some(2, "REPLACE", "replace", "DB", "0", "1", "16", "-1", "foo", "99999999999")
		return append([]string{"COPY", g.key(), g.key()}, options...)
	case 3:
		return []string{"COPY", g.key(), g.key(), "DB", g.pick("0", "0", "1", "15", "16", "x"), "REPLACE"}
	case 4:
		return []string{"OBJECT", g.pick("ENCODING", "encoding", "FREQ", "IDLETIME", "REFCOUNT", "HELP", "foo"), g.key()}
	default:
		return []string{"TYPE", g.key()}
	}
}

// all returns commands that look at all keys; of SCAN, a step that sees them all.
func (g *generator) all() []string {
	switch g.rnd.IntN(4) {
	case 0:
		return []string{"RANDOMKEY"}
	case 1:
		return []string{"KEYS", g.pick("*", "{a}?", "{a}[1-3]", "nosuch*", "{a}\x00*", "other")}
	case 2:
		return append([]string{"SCAN", "0", "COUNT", "100000"}, g.some(4, "MATCH", "*", "{a}?", "TYPE", "string", "hash", "STRING", "zset", "ZSET", "set", "nosuch",
			"COUNT", "100000", "0", "-1", "x")...)
	default:
		return []string{"SCAN", g.pick("x", "", "-", " 0", "0 ", "+", "18446744073709551616", "1e3", "0x0"), "COUNT", "100000"}
	}
}
