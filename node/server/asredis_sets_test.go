package server

import "strings"

// setKey returns one of a few keys that mostly hold sets, and sometimes one that holds
// something else.
func (g *generator) setKey() string {
	if g.rnd.IntN(25) == 0 {
		return g.pick(g.key(), g.sortedKey(), g.hashKey())
	}
	return g.pick("{a}s1", "{a}s2", "{a}s3", "{a}s4", "{a}s\x00\xff")
}

// setMember returns a member of a set: an integer, or anything.
func (g *generator) setMember() string {
	switch g.rnd.IntN(12) {
	case 0:
		return g.member()
	case 1:
		return g.integer()
	default:
		return itoa(int64(g.rnd.IntN(30) - 8))
	}
}

// upTo returns up to n of what one returns, at least one.
func (g *generator) upTo(n int, one func() string) (words []string) {
	for range 1 + g.rnd.IntN(n) {
		words = append(words, one())
	}
	return words
}

func (g *generator) sets() []string {
	kinds := []func() []string{g.sadd, g.sadd, g.sadd, g.smember, g.smember, g.sremove, g.scombine, g.scombine, g.swhole, g.swalk}
	return kinds[g.rnd.IntN(len(kinds))]()
}

func (g *generator) sadd() []string {
	args := []string{"SADD", g.setKey()}
	if g.rnd.IntN(50) > 0 {
		return append(args, g.upTo(5, g.setMember)...)
	}
	word, n := g.pick("", "m"), 110+g.rnd.IntN(40) // around where the encodings change
	if word == "" {
		n = 490 + g.rnd.IntN(40)
	}
	for i := range n {
		args = append(args, word+itoa(int64(i)))
	}
	return args
}

// smember returns a command that looks at some members.
func (g *generator) smember() []string {
	if g.rnd.IntN(3) == 0 {
		return append([]string{"SMISMEMBER", g.setKey()}, g.upTo(4, g.setMember)...)
	}
	return []string{"SISMEMBER", g.setKey(), g.setMember()}
}

func (g *generator) sremove() []string {
	switch g.rnd.IntN(8) {
	case 0:
		return []string{"DEL", g.setKey()}
	case 1:
		// Members that chance would choose make the servers go apart: all, or none.
		return append([]string{"SPOP", g.setKey()}, g.pick("0", "1000000", "-1", "x", "9223372036854775807"))
	case 2, 3:
		return []string{"SMOVE", g.setKey(), g.setKey(), g.setMember()}
	default:
		return append([]string{"SREM", g.setKey()}, g.upTo(5, g.setMember)...)
	}
}

func (g *generator) scombine() []string {
	keys := g.upTo(3, g.setKey)
	switch g.rnd.IntN(4) {
	case 0:
		return append([]string{g.pick("SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), g.setKey()}, keys...)
	case 1:
		args := append([]string{"SINTERCARD", itoa(int64(len(keys)))}, keys...)
		return append(args, g.some(3, "LIMIT", "limit", "0", "1", "2", "100", "-1", "x")...)
	case 2: // of sorted sets, which take sets as well
		args := append([]string{g.pick("ZUNION", "ZINTER", "ZDIFF"), itoa(int64(len(keys)))}, keys...)
		return append(args, g.some(1, "WITHSCORES")...)
	default:
		return append([]string{g.pick("SUNION", "SINTER", "SDIFF")}, keys...)
	}
}

// swhole returns a command on a set as a whole.
func (g *generator) swhole() []string {
	if g.rnd.IntN(3) == 0 {
		return []string{"OBJECT", "ENCODING", g.setKey()}
	}
	return []string{g.pick("SCARD", "SMEMBERS", "TYPE"), g.setKey()}
}

// swalk returns a command whose reply may be in any order.
func (g *generator) swalk() []string {
	key := g.setKey()
	switch g.rnd.IntN(4) {
	case 0, 1:
		return append([]string{"SRANDMEMBER", key}, g.some(2, "0", "1", "5", "1000", "-1", "-7", "x", "-9223372036854775808")...)
	case 2:
		return append([]string{"SSCAN", key, "0", "COUNT", "100000"}, g.some(4, "MATCH", "*", "1*", "[-m]?", "COUNT", "100000", "0", "x", "TYPE")...)
	default:
		return []string{"SSCAN", key, g.pick("x", "", " 0", "18446744073709551616"), "COUNT", strings.Repeat("9", 5)}
	}
}

// sort returns SORT without patterns, which Redis 7.0 denies in a cluster.
func (g *generator) sort() []string {
	args := []string{g.pick("SORT", "SORT", "SORT_RO"), g.pick(g.setKey(), g.setKey(), g.sortedKey(), g.listKey())}
	args = append(args, g.some(3, "ALPHA", "alpha", "DESC", "ASC")...)
	switch g.rnd.IntN(6) {
	case 0:
		args = append(args, "LIMIT", g.index(), g.index())
	case 1:
		args = append(args, g.some(2, "BY", "GET", "foo", "#", "{a}*", "LIMIT", "0")...)
	case 2:
		// With ALPHA: Redis may fail to read numbers, see differences.
		args = append(args, "ALPHA", "STORE", g.pick(g.listKey(), g.key()))
	}
	return args
}
