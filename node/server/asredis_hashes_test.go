package server

import "strings"

// hashKey returns one of a few keys that mostly hold hashes, and sometimes one that
// holds something else.
func (g *generator) hashKey() string {
	if g.rnd.IntN(25) == 0 {
		return g.key()
	}
	return g.pick("{a}h1", "{a}h2", "{a}h3", "{a}h\x00\xff")
}

// hashValue returns a value of a field; few are long enough to change a hash's
// encoding.
func (g *generator) hashValue() string {
	if g.rnd.IntN(60) == 0 {
		return g.pick(strings.Repeat("v", 64), strings.Repeat("w", 65), strings.Repeat("long", 1000))
	}
	return g.value()
}

func (g *generator) hashes() []string {
	kinds := []func() []string{g.hset, g.hset, g.hset, g.hfield, g.hfield, g.hcount, g.hremove, g.hwhole, g.hwalk}
	return kinds[g.rnd.IntN(len(kinds))]()
}

func (g *generator) hset() []string {
	args := []string{g.pick("HSET", "HSET", "HMSET"), g.hashKey()}
	fields := 1 + g.rnd.IntN(4)
	switch g.rnd.IntN(60) {
	case 0:
		fields = 480 + g.rnd.IntN(60) // around where the encoding changes
	case 1:
		return []string{"HSETNX", g.hashKey(), g.member(), g.hashValue()}
	}
	for i := range fields {
		if fields > 10 {
			args = append(args, "m"+itoa(int64(i*7%fields)), itoa(int64(i)))
		} else {
			args = append(args, g.member(), g.hashValue())
		}
	}
	return args
}

// hfield returns a command that looks at some fields.
func (g *generator) hfield() []string {
	key := g.hashKey()
	switch g.rnd.IntN(6) {
	case 0:
		return []string{"HSETNX", key, g.member(), g.hashValue()}
	case 1:
		return []string{"HMGET", key, g.member(), "m5", g.member()}
	default:
		return []string{g.pick("HGET", "HGET", "HEXISTS", "HSTRLEN"), key, g.pick(g.member(), g.member(), "m20")}
	}
}

func (g *generator) hcount() []string {
	if g.rnd.IntN(2) == 0 {
		return []string{"HINCRBY", g.hashKey(), g.member(), g.integer()}
	}
	return []string{"HINCRBYFLOAT", g.hashKey(), g.member(), g.decimal()}
}

func (g *generator) hremove() []string {
	if g.rnd.IntN(10) == 0 {
		return []string{"DEL", g.hashKey()}
	}
	return append([]string{"HDEL", g.hashKey(), g.member()}, g.some(3, "a", "b", "m1", "m2", "c1")...)
}

// hwhole returns a command on a hash as a whole.
func (g *generator) hwhole() []string {
	switch g.rnd.IntN(3) {
	case 0:
		return []string{"OBJECT", "ENCODING", g.hashKey()}
	default:
		return []string{g.pick("HLEN", "HGETALL", "HKEYS", "HVALS", "TYPE"), g.hashKey()}
	}
}

// hwalk returns a command whose reply may be in any order.
func (g *generator) hwalk() []string {
	key := g.hashKey()
	switch g.rnd.IntN(4) {
	case 0:
		return append([]string{"HRANDFIELD", key}, g.some(1, "0", "1", "5", "1000", "-1", "-7", "x", "-9223372036854775808")...)
	case 1:
		return []string{"HRANDFIELD", key, g.pick("0", "1", "5", "1000", "-7", "9223372036854775807"), g.pick("WITHVALUES", "withvalues", "foo")}
	case 2:
		return append([]string{"HSCAN", key, "0", "COUNT", "100000"}, g.some(4, "MATCH", "*", "a*", "[bc]?", "COUNT", "100000", "0", "x", "TYPE")...)
	default:
		return []string{"HSCAN", key, g.pick("x", "", " 0", "18446744073709551616"), "COUNT", "100000"}
	}
}
