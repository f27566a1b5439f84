package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// streamKey returns one of a few keys that mostly hold streams, and sometimes one that
// holds something else.
func (g *generator) streamKey() string {
	if g.rnd.IntN(25) == 0 {
		return g.key()
	}
	return g.pick("{a}x1", "{a}x2", "{a}x1", "{a}x\x00\xff")
}

// streamID returns an id; that of an entry is never a time, as each server has its own.
func (g *generator) streamID() string {
	switch g.rnd.IntN(15) {
	case 0:
		return g.pick("0", "0-0", "-", "x", "", "1-1-1", "01-1", "18446744073709551616", "5-x")
	case 1:
		return itoa(int64(g.rnd.IntN(300)))
	default:
		return fmt.Sprintf("%d-%d", g.rnd.IntN(300), g.rnd.IntN(3))
	}
}

func (g *generator) streamIDs(most int) (ids []string) {
	for range 1 + g.rnd.IntN(most) {
		ids = append(ids, g.streamID())
	}
	return ids
}

func (g *generator) streamBound() string {
	if g.rnd.IntN(3) == 0 {
		return g.pick("-", "+")
	}
	return g.pick("", "", "(") + g.streamID()
}

func (g *generator) streamGroup() string { return g.pick("g", "g", "h") }

func (g *generator) consumer() string { return g.pick("a", "a", "b", "c") }

func (g *generator) upTo7() string { return itoa(int64(g.rnd.IntN(8))) }

// maybe returns the words now and then.
func (g *generator) maybe(words ...string) []string {
	if g.rnd.IntN(3) > 0 {
		return nil
	}
	return words
}

func (g *generator) streams() []string {
	kinds := []func() []string{
		g.xadd, g.xadd, g.xadd, g.xadd, g.xrange, g.xtrim, g.xread, g.xreadgroup, g.xreadgroup, g.xreadgroup, g.xgroup, g.xgroup, g.xack,
		g.xpending, g.xclaim, g.xautoclaim, g.xinfo,
	}
	return kinds[g.rnd.IntN(len(kinds))]()
}

func (g *generator) xadd() []string {
	args := append([]string{"XADD", g.streamKey()}, g.maybe("NOMKSTREAM")...)
	if g.rnd.IntN(4) == 0 {
		args = append(args, g.trimming()...)
	}
	args = append(args, g.pick(g.streamID(), itoa(int64(g.rnd.IntN(300)))+"-*"))
	for range 1 + g.rnd.IntN(3) {
		args = append(args, g.pick("field", "f", "7"), g.pick("v", "12", strings.Repeat("x", g.rnd.IntN(500))))
	}
	return args
}

func (g *generator) trimming() []string {
	args := append([]string{"MAXLEN"}, g.maybe(g.pick("~", "="))...)
	if g.rnd.IntN(2) == 0 {
		return append(append(args, itoa(int64(g.rnd.IntN(30)))), g.maybe("LIMIT", g.upTo7())...)
	}
	args[0] = "MINID"
	return append(args, g.streamID())
}

func (g *generator) xrange() []string {
	switch key := g.streamKey(); g.rnd.IntN(5) {
	case 0:
		return []string{"XLEN", key}
	case 1:
		return append([]string{"XDEL", key}, g.streamIDs(3)...)
	default:
		return append([]string{g.pick("XRANGE", "XREVRANGE"), key, g.streamBound(), g.streamBound()}, g.maybe("COUNT", g.pick(g.upTo7(), "-1"))...)
	}
}

func (g *generator) xtrim() []string {
	return append([]string{"XTRIM", g.streamKey()}, g.trimming()...)
}

func (g *generator) xread() []string {
	return append(append([]string{"XREAD"}, g.maybe("COUNT", g.upTo7())...), "STREAMS", g.streamKey(), g.streamKey(), g.streamID(), g.streamID())
}

func (g *generator) xreadgroup() []string {
	args := append([]string{"XREADGROUP", "GROUP", g.streamGroup(), g.consumer()}, g.maybe("COUNT", g.upTo7())...)
	args = append(args, g.maybe("NOACK")...)
	return append(args, "STREAMS", g.streamKey(), g.pick(">", ">", g.streamID()))
}

func (g *generator) xgroup() []string {
	key, group := g.streamKey(), g.streamGroup()
	switch g.rnd.IntN(7) {
	case 0:
		return []string{"XGROUP", "DESTROY", key, group}
	case 1:
		return []string{"XGROUP", "SETID", key, group, g.pick("$", g.streamID())}
	case 2:
		return []string{"XGROUP", g.pick("CREATECONSUMER", "DELCONSUMER"), key, group, g.consumer()}
	default:
		return append([]string{"XGROUP", "CREATE", key, group, g.pick("$", "0", g.streamID())}, g.maybe("MKSTREAM")...)
	}
}

func (g *generator) xack() []string {
	return append([]string{"XACK", g.streamKey(), g.streamGroup()}, g.streamIDs(4)...)
}

func (g *generator) xpending() []string {
	args := []string{"XPENDING", g.streamKey(), g.streamGroup()}
	if g.rnd.IntN(2) == 0 {
		args = append(append(args, g.streamBound(), g.streamBound(), g.upTo7()), g.maybe(g.consumer())...)
	}
	return args
}

func (g *generator) xclaim() []string {
	args := append([]string{"XCLAIM", g.streamKey(), g.streamGroup(), g.consumer(), g.pick("0", "0", "10000000")}, g.streamIDs(4)...)
	args = append(append(args, g.maybe("FORCE")...), g.maybe("RETRYCOUNT", g.upTo7())...)
	return append(append(args, g.maybe("LASTID", g.streamID())...), g.maybe("JUSTID")...)
}

func (g *generator) xautoclaim() []string {
	args := []string{"XAUTOCLAIM", g.streamKey(), g.streamGroup(), g.consumer(), g.pick("0", "0", "10000000"), g.streamBound()}
	return append(append(args, g.maybe("COUNT", g.upTo7())...), g.maybe("JUSTID")...)
}

func (g *generator) xinfo() []string {
	switch key := g.streamKey(); g.rnd.IntN(3) {
	case 0:
		return []string{"XINFO", "GROUPS", key}
	case 1:
		return []string{"XINFO", "CONSUMERS", key, g.streamGroup()}
	default:
		return append([]string{"XINFO", "STREAM", key}, g.maybe("FULL", "COUNT", g.upTo7())...)
	}
}

// samePending reports whether two listings of XPENDING are the same but for the times.
func samePending(ours, theirs resp.Value) bool {
	return slices.EqualFunc(ours.Elems, theirs.Elems, func(a, b resp.Value) bool {
		return len(a.Elems) == 4 && len(b.Elems) == 4 && string(a.Elems[0].Str) == string(b.Elems[0].Str) &&
			string(a.Elems[1].Str) == string(b.Elems[1].Str) && a.Elems[3].Int == b.Elems[3].Int
	})
}

// sameStream reports whether two replies of XINFO are the same but for times, for who has
// been made a consumer, and for what 7.0 counts otherwise.
func sameStream(ours, theirs resp.Value) bool { return told(ours) == told(theirs) }

// told is a reply of XINFO without all that.
func told(v resp.Value) string {
	if len(v.Elems) == 0 {
		return fmt.Sprintf("%v %q %d", v.Kind, v.Str, v.Int)
	}
	if string(v.Elems[0].Str) == "name" && len(v.Elems) >= 6 && string(v.Elems[2].Str) == "pending" {
		return "a consumer"
	}
	out := ""
	for i := 0; i < len(v.Elems); i++ {
		switch string(v.Elems[i].Str) {
		case "consumers", "entries-read", "lag", "pending":
			i++
		default:
			out += " (" + told(v.Elems[i]) + ")"
		}
	}
	return out
}
