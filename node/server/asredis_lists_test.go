package server

import "strings"

// listKey returns one of a few keys that mostly hold lists, and sometimes one that
// holds something else.
func (g *generator) listKey() string {
	if g.rnd.IntN(25) == 0 {
		return g.key()
	}
	return g.pick("{a}l1", "{a}l2", "{a}l3", "{a}l\x00\xff")
}

// listElement returns an element; most come again and again.
func (g *generator) listElement() string {
	switch g.rnd.IntN(20) {
	case 0:
		return g.value()
	case 1:
		return g.pick("", "\x00", "\xff", "\r\n", "-0", "01", strings.Repeat("x", 64), strings.Repeat("long", 1000))
	default:
		return g.pick("a", "b", "c", "1", "2", "300")
	}
}

func (g *generator) listElements(most int) (elements []string) {
	for range 1 + g.rnd.IntN(most) {
		elements = append(elements, g.listElement())
	}
	return elements
}

func (g *generator) listEnd() string { return g.pick("LEFT", "RIGHT", "left", "Right") }

func (g *generator) lists() []string {
	kinds := []func() []string{
		g.lpush, g.lpush, g.lpush, g.lpop, g.lelement, g.lelement, g.linsert, g.lpos, g.lpos, g.lrange, g.lremove, g.lmove, g.lmpop,
	}
	return kinds[g.rnd.IntN(len(kinds))]()
}

func (g *generator) lpush() []string {
	name, most := g.pick("LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX"), 8
	if g.rnd.IntN(20) == 0 {
		most = 2000 // more than one page
	}
	return append([]string{name, g.listKey()}, g.listElements(most)...)
}

func (g *generator) lpop() []string {
	args := []string{g.pick("LPOP", "RPOP"), g.listKey()}
	if g.rnd.IntN(2) == 0 {
		args = append(args, g.rank())
	}
	return args
}

// lelement returns a command on one element, or on none.
func (g *generator) lelement() []string {
	key := g.listKey()
	switch g.rnd.IntN(4) {
	case 0:
		return []string{"LLEN", key}
	case 1:
		return []string{"LSET", key, g.rank(), g.listElement()}
	default:
		return []string{"LINDEX", key, g.rank()}
	}
}

func (g *generator) linsert() []string {
	return []string{"LINSERT", g.listKey(), g.pick("BEFORE", "AFTER", "before"), g.listElement(), g.listElement()}
}

func (g *generator) lpos() []string {
	args := []string{"LPOS", g.listKey(), g.listElement()}
	for range g.rnd.IntN(4) {
		switch g.rnd.IntN(3) {
		case 0:
			args = append(args, "RANK", g.few())
		case 1:
			args = append(args, g.pick("COUNT", "count"), g.rank())
		default:
			args = append(args, "MAXLEN", g.rank())
		}
	}
	return args
}

// few returns a small number. (-2^63 overflows in Redis 7.0.)
func (g *generator) few() string {
	if g.rnd.IntN(10) == 0 {
		return g.pick("x", "", "1.5", "9223372036854775807", "9223372036854775808")
	}
	return itoa(int64(g.rnd.IntN(9) - 4))
}

func (g *generator) lrange() []string { return []string{"LRANGE", g.listKey(), g.rank(), g.rank()} }

func (g *generator) lremove() []string {
	if g.rnd.IntN(3) == 0 {
		return []string{"LTRIM", g.listKey(), g.pick("0", "0", "1", g.rank()), g.pick("-1", "-2", "100", g.rank())}
	}
	return []string{"LREM", g.listKey(), g.few(), g.listElement()}
}

func (g *generator) lmove() []string {
	if g.rnd.IntN(3) == 0 {
		return []string{"RPOPLPUSH", g.listKey(), g.listKey()}
	}
	return []string{"LMOVE", g.listKey(), g.listKey(), g.listEnd(), g.listEnd()}
}

func (g *generator) lmpop() []string {
	args := []string{"LMPOP", g.pick("1", "2", "2", "2", "3", "0", "x"), g.listKey(), g.listKey(), g.listEnd()}
	if g.rnd.IntN(2) == 0 {
		args = append(args, "COUNT", g.rank())
	}
	return args
}
