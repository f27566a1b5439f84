package streams_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// words splits a line, and returns its command and subcommand.
func words(args []string) (name, sub string) {
	name = strings.ToLower(args[0])
	if len(args) > 1 {
		sub = strings.ToLower(args[1])
	}
	return name, sub
}

// differ says in what replies may differ from a server's.
func differ(server string) func(args []string, ours, theirs resp.Value) string {
	return func(args []string, ours, theirs resp.Value) string {
		name, sub := words(args)
		mine, his := string(ours.Str), string(theirs.Str)
		switch {
		case name == "xinfo" && sub == "help", name == "xgroup" && sub == "help":
			return "HELP texts are our own"
		case name == "xinfo" && sameInfo(server, ours, theirs):
			return "numbers that come from the clock, or that a version does not tell"
		case server == "redis-server" && (name == "xinfo" && sub == "consumers" || sub == "createconsumer") && ours.Kind == theirs.Kind:
			return "7.0 makes a consumer only when it gives him something"
		case strings.Contains(mine, "Unbalanced") && strings.Contains(his, "Unbalanced"):
			return "as 8.6 says it"
		case server != "redis-server-8" && (strings.Contains(mine, "KEEPREF") || newer(args)):
			return "of 8.2 and 8.4"
		}
		return ""
	}
}

// newer reports whether a command has something that came after 7.2.
func newer(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return slices.Contains([]string{"claim", "keepref", "delref", "acked", "+", "xdelex", "xackdel"}, strings.ToLower(arg))
	})
}

// sameInfo reports whether two replies of XINFO are the same but for what depends on
// clocks and versions.
func sameInfo(server string, ours, theirs resp.Value) bool {
	return ours.Kind == theirs.Kind && info(server, ours) == info(server, theirs)
}

func info(server string, v resp.Value) string {
	if len(v.Elems) == 0 {
		return fmt.Sprint(v.Kind, string(v.Str), v.Int)
	}
	leftOut := map[string]bool{
		"seen-time": true, "active-time": true, "idle": true, "inactive": true, "idmp-duration": true, "idmp-maxsize": true,
		"pids-tracked": true, "iids-tracked": true, "iids-added": true, "iids-duplicates": true,
	}
	if server == "redis-server" {
		leftOut["consumers"] = true // it makes one only when it gives him something
	}
	if server != "redis-server-8" {
		leftOut["entries-read"], leftOut["lag"] = true, true
	}
	var out strings.Builder
	out.WriteString("(")
	for i := 0; i < len(v.Elems); i++ {
		e := v.Elems[i]
		if leftOut[string(e.Str)] {
			i++
			continue
		}
		if string(e.Str) == "pending" && i+1 < len(v.Elems) {
			out.WriteString("pending " + strconv.Itoa(len(v.Elems[i+1].Elems)))
			i++
			continue
		}
		out.WriteString(info(server, e) + " ")
	}
	return out.String() + ")"
}

// drawing makes random commands on streams. Ids are small, as time would make others at
// each server.
type drawing struct {
	rnd    *rand.Rand
	server string
}

func (d *drawing) pick(words ...string) string { return words[d.rnd.IntN(len(words))] }

func (d *drawing) key() string { return d.pick("s1", "s1", "s1", "s2", "s2", "s3", "string") }

func (d *drawing) id() string {
	switch d.rnd.IntN(20) {
	case 0:
		return d.pick("x", "", "-", "+", "$", ">", "1-*", "*", "1-", "-1", "01", " 1", "5--01", "18446744073709551615", "18446744073709551616", "18446744073709551615-18446744073709551615", "0", "0-0", "1-1-1", "+1", "9223372036854775808")
	case 1:
		return strconv.Itoa(d.rnd.IntN(200))
	default:
		return fmt.Sprintf("%d-%d", d.rnd.IntN(200), d.rnd.IntN(3))
	}
}

func (d *drawing) ids(n int) (ids []string) {
	for range 1 + d.rnd.IntN(n) {
		ids = append(ids, d.id())
	}
	return ids
}

func (d *drawing) bound() string {
	if d.rnd.IntN(3) == 0 {
		return "(" + d.id()
	}
	return d.pick("-", "+", d.id(), d.id())
}

func (d *drawing) number() string {
	if d.rnd.IntN(12) == 0 {
		return d.pick("-1", "x", "", "9223372036854775807", "-9223372036854775808", "1.5")
	}
	return strconv.Itoa(d.rnd.IntN(12))
}

// idle is how long entries must have been idle: not so that it depends on the clock.
func (d *drawing) idle() string {
	if d.rnd.IntN(15) == 0 {
		return d.pick("-1", "x", "", "9223372036854775807")
	}
	return d.pick("0", "0", "0", "1000000")
}

func (d *drawing) group() string    { return d.pick("g", "g", "g", "h", "") }
func (d *drawing) consumer() string { return d.pick("a", "a", "b", "c") }

// some returns the words now and then.
func (d *drawing) some(words ...string) []string {
	if d.rnd.IntN(3) > 0 {
		return nil
	}
	return words
}

func (d *drawing) references() []string {
	if d.server != "redis-server-8" || d.rnd.IntN(3) > 0 {
		return nil
	}
	return []string{d.pick("KEEPREF", "DELREF", "acked")}
}

func (d *drawing) trim() []string {
	args := []string{d.pick("MAXLEN", "maxlen", "MINID")}
	args = append(args, d.some(d.pick("~", "=", "~"))...)
	if strings.EqualFold(args[0], "minid") {
		args = append(args, d.id())
	} else {
		args = append(args, d.pick(d.number(), strconv.Itoa(d.rnd.IntN(400))))
	}
	args = append(args, d.some("LIMIT", d.pick("0", "10", "100", "150", d.number()))...)
	return append(args, d.references()...)
}

func (d *drawing) text() string {
	return d.pick("a", "b", "field", "12", "-5000", "123456789", strings.Repeat("x", d.rnd.IntN(400)))
}

func (d *drawing) command() []string {
	args := d.any()
	switch d.rnd.IntN(40) {
	case 0:
		args = args[:1+d.rnd.IntN(len(args))]
	case 1:
		args = append(args, d.pick("", "x", "0", "COUNT", "5-0"))
	}
	// What waits would hold up the game, and a group of 8.2's own is no concern of others.
	if slices.ContainsFunc(args, func(arg string) bool { return strings.EqualFold(arg, "block") }) {
		return []string{"XLEN", "s1"}
	}
	return args
}

func (d *drawing) any() []string {
	switch d.rnd.IntN(24) {
	case 0, 1, 2, 3, 4:
		return d.add()
	case 5:
		return append([]string{d.pick("XRANGE", "XREVRANGE"), d.key(), d.bound(), d.bound()}, d.some("COUNT", d.number())...)
	case 6:
		return append([]string{"XDEL", d.key()}, d.ids(4)...)
	case 7:
		return append([]string{"XTRIM", d.key()}, d.trim()...)
	case 8:
		return d.read()
	case 9, 10, 11, 12:
		return d.readGroup()
	case 13, 14:
		return d.xgroup()
	case 15:
		return append([]string{"XACK", d.key(), d.group()}, d.ids(4)...)
	case 16:
		return d.pending()
	case 17, 18:
		return d.claim()
	case 19:
		return append(append([]string{"XAUTOCLAIM", d.key(), d.group(), d.consumer(), d.idle(), d.bound()},
			d.some("COUNT", d.number())...), d.some("JUSTID")...)
	case 20:
		return append([]string{"XINFO", d.pick("STREAM", "GROUPS"), d.key()}, d.some("FULL", "COUNT", d.number())...)
	case 21:
		return []string{d.pick("XLEN", "TYPE", "DEL", "XLEN"), d.key()}
	case 22:
		if d.server == "redis-server-8" {
			return d.marked()
		}
		return []string{"XINFO", "CONSUMERS", d.key(), d.group()}
	default:
		if d.server == "redis-server" {
			return []string{"XLEN", d.key()} // 7.0 lets ids come again that were deleted
		}
		return append(append([]string{"XSETID", d.key(), d.id()}, d.some("ENTRIESADDED", d.pick(d.number(), "1000"))...), d.some("MAXDELETEDID", d.id())...)
	}
}

func (d *drawing) add() []string {
	args := append([]string{"XADD", d.key()}, d.some("NOMKSTREAM")...)
	if d.rnd.IntN(4) == 0 {
		args = append(args, d.trim()...)
	}
	id := d.pick(d.id(), strconv.Itoa(d.rnd.IntN(200))+"-*")
	if id == "*" || id == "" || strings.HasPrefix(id, "18446744073709551615") {
		id = "5-*"
	}
	args = append(args, id)
	for range 1 + d.rnd.IntN(2) {
		args = append(args, d.text(), d.text())
	}
	return args
}

func (d *drawing) streams(symbol string) []string {
	n := 1 + d.rnd.IntN(2)
	args := []string{"STREAMS"}
	for range n {
		args = append(args, d.key())
	}
	for range n {
		args = append(args, d.pick(symbol, symbol, d.id()))
	}
	return args
}

func (d *drawing) read() []string {
	return append(append([]string{"XREAD"}, d.some("COUNT", d.number())...), d.streams("0")...)
}

func (d *drawing) readGroup() []string {
	args := append([]string{"XREADGROUP", "GROUP", d.group(), d.consumer()}, d.some("NOACK")...)
	if claims := d.some("CLAIM", d.idle()); claims != nil && d.server == "redis-server-8" {
		args = append(args, claims...) // which of them COUNT takes is up to the clock
	} else {
		args = append(args, d.some("COUNT", d.number())...)
	}
	return append(args, d.streams(">")...)
}

func (d *drawing) xgroup() []string {
	key, group := d.key(), d.group()
	switch d.rnd.IntN(7) {
	case 0, 1, 2:
		return append(append([]string{"XGROUP", "CREATE", key, group, d.pick("$", "0", d.id())}, d.some("MKSTREAM")...), d.some("ENTRIESREAD", d.number())...)
	case 3:
		return append([]string{"XGROUP", "SETID", key, group, d.pick("$", "0", d.id())}, d.some("ENTRIESREAD", d.number())...)
	case 4:
		return []string{"XGROUP", "DESTROY", key, group}
	case 5:
		return []string{"XGROUP", "CREATECONSUMER", key, group, d.consumer()}
	default:
		return []string{"XGROUP", "DELCONSUMER", key, group, d.consumer()}
	}
}

// pending leaves out how long entries have been idle.
func (d *drawing) pending() []string {
	if d.rnd.IntN(2) == 0 {
		return []string{"XPENDING", d.key(), d.group()}
	}
	args := append([]string{"XPENDING", d.key(), d.group()}, d.some("IDLE", d.pick("1000000", "-1", "x"))...)
	return append(append(args, d.bound(), d.bound(), d.number()), d.some(d.consumer())...)
}

func (d *drawing) claim() []string {
	args := append([]string{"XCLAIM", d.key(), d.group(), d.consumer(), d.idle()}, d.ids(5)...)
	args = append(args, d.some("RETRYCOUNT", d.number())...)
	args = append(args, d.some("FORCE")...)
	args = append(args, d.some("LASTID", d.id())...)
	args = append(args, d.some(d.pick("IDLE", "TIME"), d.pick("0", "-1", "x", "9223372036854775807"))...)
	return append(args, d.some("JUSTID")...)
}

func (d *drawing) marked() []string {
	ids := d.ids(3)
	args := []string{"XDELEX", d.key()}
	if d.rnd.IntN(2) == 0 {
		args = []string{"XACKDEL", d.key(), d.group()}
	}
	args = append(args, d.references()...)
	args = append(args, "IDS", d.pick(strconv.Itoa(len(ids)), strconv.Itoa(len(ids)), strconv.Itoa(len(ids)), d.number()))
	return append(append(args, ids...), d.references()...)
}

// TestAsRedis plays streams to real servers.
func TestAsRedis(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		b := commandtest.New(t, data.Commands())
		allow := differ(o.Name)
		g := &commandtest.Game{Bench: b, Oracle: o, Differ: func(args []string, ours, theirs resp.Value) string {
			if strings.EqualFold(args[0], "xpending") && idle(ours) == idle(theirs) {
				return "idle times"
			}
			if strings.EqualFold(args[0], "xreadgroup") && newer(args) && claimed(ours) == claimed(theirs) {
				return "idle times"
			}
			return allow(args, ours, theirs)
		}}
		steps := 6000
		if testing.Short() {
			steps = 1500
		}
		g.Random(steps, func(rnd *rand.Rand) []string {
			d := &drawing{rnd, o.Name}
			if rnd.IntN(60) == 0 {
				return []string{d.pick("SET", "DEL"), "string", "x"}[:2+rnd.IntN(2)]
			}
			return d.command()
		})
	})
}

// idle is a listing of XPENDING without the time.
func idle(v resp.Value) (text string) {
	for _, e := range v.Elems {
		if len(e.Elems) != 4 {
			return "something else " + fmt.Sprint(v)
		}
		text += fmt.Sprintf("%s %s %d\n", e.Elems[0].Str, e.Elems[1].Str, e.Elems[3].Int)
	}
	return text
}

// claimed is a reply without what is idle; entries are in any order, as that of CLAIM is up
// to the clock.
func claimed(v resp.Value) string {
	if len(v.Elems) == 4 && v.Elems[2].Kind == resp.KindInt {
		v.Elems = append(slices.Clone(v.Elems[:2]), v.Elems[3])
	}
	var parts []string
	for _, e := range v.Elems {
		parts = append(parts, claimed(e))
	}
	if len(parts) > 0 && len(v.Elems[0].Elems) == 4 {
		slices.Sort(parts)
	}
	return fmt.Sprintf("%v %s %d %q", v.Kind, v.Str, v.Int, parts)
}
