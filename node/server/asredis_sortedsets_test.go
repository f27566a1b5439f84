package server

import "strings"

// sortedKey returns one of a few keys that mostly hold sorted sets, and
// sometimes one that holds something else.
func (g *generator) sortedKey() string {
	if g.rnd.IntN(25) == 0 {
		return g.key()
	}
	return g.pick("{a}z1", "{a}z2", "{a}z3", "{a}z\x00\xff")
}

// evenKey returns a key that only holds sorted sets whose scores are all the
// same: a range of members means something there.
func (g *generator) evenKey() string { return g.pick("{a}even1", "{a}even2") }

// member returns a member; few are long enough to change a set's encoding.
func (g *generator) member() string {
	switch g.rnd.IntN(40) {
	case 0:
		return strings.Repeat("x", 64)
	case 1:
		return g.pick(strings.Repeat("y", 65), "long"+strings.Repeat("z", 3000))
	case 2, 3:
		return g.pick("", "\x00", "\xff", "\r\n", "-1", "12", "1e5", "A")
	default:
		return g.pick("a", "b", "c", "d", "e", "ab", "abc") + g.pick("", "", "", "1", "2", "\x00", "z")
	}
}

// score returns a score, not always a valid one.
func (g *generator) score() string {
	switch g.rnd.IntN(10) {
	case 0:
		return g.decimal()
	case 1:
		return g.pick("inf", "-inf", "+inf", "0", "-0", "1e17", "1e308", "-1e308", "123456789012345678", "4611686018427387904", "3e-310", "0x1f")
	case 2:
		return g.pick("", "x", " 1", "1 ", "nan", "(1", "1e999", "-1e999", "1e-999", "1\x00")
	case 3, 4:
		return itoa(int64(g.rnd.IntN(20)-10)) + "." + itoa(int64(g.rnd.IntN(100)))
	default:
		return itoa(int64(g.rnd.IntN(20) - 10))
	}
}

func (g *generator) scoreBound() string {
	if g.rnd.IntN(4) == 0 {
		return g.pick("-inf", "inf", "(-inf", "(+inf", "", "(", "[1", "( 1", "nan", "1\x00", "1e999")
	}
	return g.pick("", "", "(") + g.score()
}

func (g *generator) lexBound() string {
	if g.rnd.IntN(3) == 0 {
		return g.pick("-", "+", "[", "(", "", "a", "+a", "-\x00")
	}
	return g.pick("[", "(") + g.member()
}

func (g *generator) rank() string {
	switch g.rnd.IntN(12) {
	case 0:
		return g.integer()
	case 1:
		return g.pick("0", "-1", "-1000", "1000", "130", "-130")
	default:
		return itoa(int64(g.rnd.IntN(30) - 15))
	}
}

func (g *generator) sorted() []string {
	kinds := []func() []string{
		g.zadd, g.zadd, g.zadd, g.zone, g.zone, g.zremove, g.zrange, g.zrange, g.zrangeOld, g.zpop, g.zcombine, g.zcombine, g.zlex, g.zlex, g.zwalk,
	}
	return kinds[g.rnd.IntN(len(kinds))]()
}

func (g *generator) zadd() []string {
	args := []string{"ZADD", g.sortedKey()}
	if g.rnd.IntN(3) == 0 {
		args = append(args, g.some(3, "NX", "XX", "GT", "LT", "CH", "INCR", "nx", "ch", "foo")...)
	}
	elements := 1 + g.rnd.IntN(4)
	switch g.rnd.IntN(60) {
	case 0:
		elements = 100 + g.rnd.IntN(60) // around where the encoding changes
	case 1:
		elements = 700
	}
	for i := range elements {
		if elements > 10 {
			args = append(args, itoa(int64(g.rnd.IntN(50))), "m"+itoa(int64(i*7%elements)))
		} else {
			args = append(args, g.score(), g.member())
		}
	}
	return args
}

// zone returns a command on single elements, or on a set as a whole.
func (g *generator) zone() []string {
	key := g.sortedKey()
	switch g.rnd.IntN(8) {
	case 0, 1:
		return []string{"ZINCRBY", key, g.score(), g.member()}
	case 2:
		return []string{"ZSCORE", key, g.member()}
	case 3:
		return []string{"ZMSCORE", key, g.member(), g.member(), "m5"}
	case 4:
		return []string{g.pick("ZRANK", "ZREVRANK"), key, g.pick(g.member(), g.member(), "m20")}
	case 5:
		return []string{"ZCOUNT", key, g.scoreBound(), g.scoreBound()}
	case 6:
		return []string{"OBJECT", "ENCODING", key}
	default:
		return []string{g.pick("ZCARD", "TYPE"), key}
	}
}

func (g *generator) zremove() []string {
	key := g.sortedKey()
	switch g.rnd.IntN(6) {
	case 0:
		return []string{"ZREMRANGEBYRANK", key, g.rank(), g.rank()}
	case 1:
		return []string{"ZREMRANGEBYSCORE", key, g.scoreBound(), g.scoreBound()}
	case 2:
		return []string{"DEL", key}
	default:
		return append([]string{"ZREM", key, g.member()}, g.some(3, "a", "b", "m1", "m2", "c1")...)
	}
}

// rangeArgs returns what follows the key of ZRANGE and ZRANGESTORE.
func (g *generator) rangeArgs() []string {
	var args []string
	switch g.rnd.IntN(3) {
	case 0:
		args = []string{g.scoreBound(), g.scoreBound(), "BYSCORE"}
	default:
		args = []string{g.rank(), g.rank()}
	}
	if g.rnd.IntN(3) == 0 {
		args = append(args, g.pick("REV", "rev"))
	}
	if g.rnd.IntN(3) == 0 {
		args = append(args, "LIMIT", g.rank(), g.pick(g.rank(), "-1"))
	}
	if g.rnd.IntN(10) == 0 {
		args = append(args, g.some(2, "REV", "BYSCORE", "LIMIT", "foo")...)
	}
	return args
}

func (g *generator) zrange() []string {
	if g.rnd.IntN(4) == 0 {
		return append([]string{"ZRANGESTORE", g.sortedKey(), g.sortedKey()}, g.rangeArgs()...)
	}
	return append(append([]string{"ZRANGE", g.sortedKey()}, g.rangeArgs()...), g.some(1, "WITHSCORES", "withscores")...)
}

func (g *generator) zrangeOld() []string {
	var args []string
	switch g.rnd.IntN(3) {
	case 0:
		args = []string{"ZREVRANGE", g.sortedKey(), g.rank(), g.rank()}
	default:
		args = []string{g.pick("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), g.sortedKey(), g.scoreBound(), g.scoreBound()}
		if g.rnd.IntN(3) == 0 {
			args = append(args, "LIMIT", g.rank(), g.rank())
		}
	}
	return append(args, g.some(1, "WITHSCORES", "withscores", "REV", "BYLEX", "LIMIT")...)
}

func (g *generator) zpop() []string {
	switch g.rnd.IntN(4) {
	case 0:
		return []string{g.pick("ZPOPMIN", "ZPOPMAX"), g.sortedKey()}
	case 1:
		return []string{g.pick("ZPOPMIN", "ZPOPMAX"), g.sortedKey(), g.pick("0", "1", "2", "5", "1000", "-1", "x", "9223372036854775807")}
	case 2:
		args := g.keyed("ZMPOP")
		args = append(args, g.pick("MIN", "MAX", "min", "foo"))
		return append(args, g.pickList(nil, nil, []string{"COUNT"}, []string{"1"}, []string{"COUNT", g.pick("1", "3", "0", "x")})...)
	default:
		return append(g.keyed("ZMPOP"), g.pick("MIN", "MAX"), "COUNT", g.pick("1", "2", "10", "0", "-1"))
	}
}

// keyed returns the command with a number of keys and the keys behind it; the
// number is not always right.
func (g *generator) keyed(command ...string) []string {
	n := 1 + g.rnd.IntN(3)
	number := itoa(int64(n))
	if g.rnd.IntN(20) == 0 {
		number = g.pick("0", "-1", "1", "2", "4", "x", "", "9223372036854775807")
	}
	args := append(command, number)
	for range n {
		args = append(args, g.sortedKey())
	}
	return args
}

func (g *generator) zcombine() []string {
	var args []string
	store := g.rnd.IntN(2) == 0
	operation := g.pick("ZUNION", "ZINTER", "ZDIFF", "ZUNION", "ZINTER", "ZINTERCARD")
	switch {
	case operation == "ZINTERCARD":
		return append(g.keyed(operation), g.pickList(nil, nil, []string{"LIMIT", g.pick("0", "1", "2", "-1", "x")}, []string{"WITHSCORES"}, []string{"LIMIT"})...)
	case store:
		args = g.keyed(operation+"STORE", g.sortedKey())
	default:
		args = g.keyed(operation)
	}
	if operation != "ZDIFF" && g.rnd.IntN(2) == 0 {
		args = append(args, g.pick("WEIGHTS", "weights"), g.score())
		args = append(args, g.some(2, "2", "0", "-1", "inf", "0.1", "x")...)
	}
	if g.rnd.IntN(3) == 0 {
		args = append(args, "AGGREGATE", g.pick("SUM", "MIN", "MAX", "max", "foo"))
	}
	if !store && g.rnd.IntN(2) == 0 || g.rnd.IntN(20) == 0 {
		args = append(args, "WITHSCORES")
	}
	return args
}

func (g *generator) pickList(lists ...[]string) []string { return lists[g.rnd.IntN(len(lists))] }

// zlex returns a command on a set whose scores are all the same.
func (g *generator) zlex() []string {
	key := g.evenKey()
	limit := g.pickList(nil, nil, []string{"LIMIT", g.rank(), g.rank()}, []string{"WITHSCORES"}, []string{"limit", "0", "-1"})
	switch g.rnd.IntN(10) {
	case 0, 1, 2:
		args := []string{"ZADD", key}
		for range 1 + g.rnd.IntN(5) {
			args = append(args, "0", g.member())
		}
		return args
	case 3:
		if g.rnd.IntN(10) == 0 {
			return []string{"ZREMRANGEBYLEX", key, g.lexBound(), g.lexBound()}
		}
		return []string{"ZREM", key, g.member()}
	case 4:
		return []string{"ZLEXCOUNT", key, g.lexBound(), g.lexBound()}
	case 5:
		return append([]string{"ZRANGEBYLEX", key, g.lexBound(), g.lexBound()}, limit...)
	case 6:
		return append([]string{"ZREVRANGEBYLEX", key, g.lexBound(), g.lexBound()}, limit...)
	case 7:
		return append([]string{"ZRANGESTORE", g.sortedKey(), key, g.lexBound(), g.lexBound(), "BYLEX"}, limit...)
	default:
		return append(append([]string{"ZRANGE", key, g.lexBound(), g.lexBound(), "BYLEX"}, g.some(1, "REV")...), limit...)
	}
}

// zwalk returns a command whose reply may be in any order.
func (g *generator) zwalk() []string {
	key := g.sortedKey()
	switch g.rnd.IntN(4) {
	case 0:
		return append([]string{"ZRANDMEMBER", key}, g.some(1, "0", "1", "5", "1000", "-1", "-7", "x", "-9223372036854775808")...)
	case 1:
		return []string{"ZRANDMEMBER", key, g.pick("0", "1", "5", "1000", "-7", "9223372036854775807"), g.pick("WITHSCORES", "withscores", "foo")}
	case 2:
		return append([]string{"ZSCAN", key, "0", "COUNT", "100000"}, g.some(4, "MATCH", "*", "a*", "[bc]?", "COUNT", "100000", "0", "x", "TYPE")...)
	default:
		return []string{"ZSCAN", key, g.pick("x", "", " 0", "18446744073709551616"), "COUNT", "100000"}
	}
}
