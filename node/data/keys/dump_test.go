package keys_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestDumpAsRealServers moves random values from AiKv to real servers and back, by
// DUMP and RESTORE: they hold the same there, in the encoding that Redis gives them. What is moved was
// made by the same commands on both.
func TestDumpAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		seed := rand.Uint64()
		m := &mover{t, commandtest.New(t, data.Commands()), o}
		rnd := rand.New(rand.NewPCG(seed, 0))
		for round := range 300 {
			usual := m.reset(rnd)
			kind, lines := drawValue(rnd)
			if kind == "expiring" && o.Name == "redis-server" {
				continue // 7.0 knows nothing of it
			}
			m.each(lines)
			name := fmt.Sprintf("seed %d, round %d, usual limits %v: %.100q", seed, round, usual, lines)
			m.toThem(name, kind, usual)
			m.toUs(name, kind, usual)
			if t.Failed() {
				return
			}
		}
	})
}

// mover moves the key k.
type mover struct {
	t     *testing.T
	ours  *commandtest.Bench
	their *commandtest.Oracle
}

// reset empties both, and has the server choose encodings otherwise than usual, or not.
func (m *mover) reset(rnd *rand.Rand) (usual bool) {
	m.ours.Do("FLUSHALL")
	m.their.Ask("FLUSHALL")
	usual = rnd.IntN(2) == 0
	few, value, size := 2, 4, "2"
	if usual {
		few, value, size = 128, 64, "-2"
	}
	for _, parameter := range []string{"zset-max-listpack-entries", "set-max-listpack-entries", "set-max-intset-entries"} {
		m.set(parameter, few)
	}
	m.set("hash-max-listpack-entries", 4*few)
	m.set("set-max-intset-entries", 4*few)
	m.set("zset-max-listpack-value", value)
	m.set("hash-max-listpack-value", value)
	m.set("set-max-listpack-value", value)
	m.set("list-max-listpack-size", size)
	m.set("rdbcompression", []string{"yes", "no"}[rnd.IntN(2)])
	return usual
}

// set sets a parameter of the server, if it has that.
func (m *mover) set(parameter string, value any) {
	m.their.Ask("CONFIG", "SET", parameter, fmt.Sprint(value))
}

// each runs the commands that make the value on both.
func (m *mover) each(lines [][]string) {
	for _, line := range lines {
		ours := m.run(line...)
		if theirs := m.their.Ask(line...); !same(ours, theirs) {
			m.t.Errorf("%.100q: %s", line, difference(ours, theirs))
		}
	}
}

func (m *mover) run(args ...string) resp.Value {
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	return m.ours.Run(words)
}

// toThem replaces the server's value by ours.
func (m *mover) toThem(name, kind string, usual bool) {
	m.t.Helper()
	// As it is with a payload of their own: a list may become a quicklist by it.
	m.their.Ask("RESTORE", "k", "0", string(m.their.Ask("DUMP", "k").Str), "REPLACE")
	want := m.their.Ask("OBJECT", "ENCODING", "k")
	payload := string(m.run("DUMP", "k").Str)
	if v := m.their.Ask("RESTORE", "k", "0", payload, "REPLACE"); v.IsError() {
		// Valkey has a form of its own of hashes whose fields expire.
		if kind != "expiring" || m.their.Name != "valkey-server-9" || !strings.Contains(string(v.Str), "version") {
			m.t.Errorf("%s: they say %s", name, v.Str)
		}
		return
	}
	m.compare(name+" to them", kind)
	if got := m.their.Ask("OBJECT", "ENCODING", "k"); usual && !same(got, want) {
		m.t.Errorf("%s: it is a %s there, not a %s", name, got.Str, want.Str)
	}
}

// toUs replaces our value by the server's.
func (m *mover) toUs(name, kind string, usual bool) {
	m.t.Helper()
	payload := string(m.their.Ask("DUMP", "k").Str)
	if v := m.run("RESTORE", "k", "0", payload, "REPLACE"); v.IsError() {
		m.t.Errorf("%s: we say %s of %q", name, v.Str, payload)
		return
	}
	m.compare(name+" to us", kind)
	if m.their.Name != "redis-server-8" || !usual || kind == "string" {
		return // its encodings are not ours
	}
	if got, want := m.run("OBJECT", "ENCODING", "k"), m.their.Ask("OBJECT", "ENCODING", "k"); !same(got, want) {
		m.t.Errorf("%s: it is a %s, not a %s", name, got.Str, want.Str)
	}
}

// compare compares what both hold.
func (m *mover) compare(name, kind string) {
	m.t.Helper()
	reads := map[string][]string{
		"string": {"GET k"}, "list": {"LRANGE k 0 -1"}, "set": {"SMEMBERS k", "SCARD k"}, "zset": {"ZRANGE k 0 -1 WITHSCORES"}, "hash": {"HGETALL k", "HLEN k"},
		"expiring": {"HGETALL k", "HLEN k", "HPEXPIRETIME k FIELDS 5 0 1 2 3 4"},
	}
	for _, read := range append(reads[kind], "TYPE k", "PTTL k") {
		args := strings.Fields(read)
		ours, theirs := m.run(args...), m.their.Ask(args...)
		sortElements(&ours)
		sortElements(&theirs)
		if !same(ours, theirs) {
			m.t.Errorf("%s: %s: %s", name, read, difference(ours, theirs))
		}
	}
}

// sortElements sorts the elements of a set, and the pairs of a map, which come in any
// order.
func sortElements(v *resp.Value) {
	size := 1
	switch v.Kind {
	case resp.KindSet:
	case resp.KindMap:
		size = 2
	default:
		return
	}
	elements := slices.Collect(slices.Chunk(v.Elems, size))
	slices.SortFunc(elements, func(a, b []resp.Value) int { return bytes.Compare(a[0].Str, b[0].Str) })
	v.Elems = slices.Concat(elements...)
}

func same(a, b resp.Value) bool {
	if a.Kind == resp.KindDouble && b.Kind == resp.KindDouble { // whose texts are another matter
		x, _ := command.ParseFloat(a.Str)
		y, _ := command.ParseFloat(b.Str)
		return x == y
	}
	return a.Kind == b.Kind && a.Int == b.Int && bytes.Equal(a.Str, b.Str) && slices.EqualFunc(a.Elems, b.Elems, same)
}

// difference shows the first place at which replies differ.
func difference(ours, theirs resp.Value) string {
	for i := range min(len(ours.Elems), len(theirs.Elems)) {
		if !same(ours.Elems[i], theirs.Elems[i]) {
			return fmt.Sprintf("element %d: %s", i, difference(ours.Elems[i], theirs.Elems[i]))
		}
	}
	return fmt.Sprintf("ours is %.100q, theirs %.100q", resp.Append(nil, ours, 3), resp.Append(nil, theirs, 3))
}

// drawValue returns commands that make a value under k.
func drawValue(rnd *rand.Rand) (kind string, lines [][]string) {
	count := func() int { return 1 + rnd.IntN(1<<rnd.IntN(10)) }
	text := func() string {
		switch rnd.IntN(8) {
		case 0:
			return fmt.Sprint(int64(rnd.Uint64()) >> rnd.IntN(64))
		case 1:
			return strings.Repeat(string([]byte{byte(rnd.IntN(256))}), rnd.IntN(200))
		case 2:
			return string([]byte{byte(rnd.IntN(256)), byte(rnd.IntN(256)), '\r', '\n'})
		case 3:
			return fmt.Sprintf("%x", rnd.Uint64()) + strings.Repeat("word ", rnd.IntN(30))
		default:
			return fmt.Sprint("text", rnd.IntN(1000))
		}
	}
	switch rnd.IntN(6) {
	case 0:
		value := text()
		if rnd.IntN(5) == 0 {
			value = strings.Repeat(value, count())
		}
		return "string", [][]string{{"SET", "k", value}}
	case 1:
		line := []string{"ZADD", "k"}
		scores := []string{"-inf", "+inf", "0", "1", "-1.5", "3.0000000000000001e20", "0.1", "5e-324", "1e17", "123456789"}
		for range count() {
			line = append(line, scores[rnd.IntN(len(scores))], text())
		}
		return "zset", [][]string{line}
	case 2:
		line := []string{"RPUSH", "k"}
		for range count() {
			line = append(line, text())
		}
		if rnd.IntN(5) == 0 {
			line = append(line, strings.Repeat(text(), count()), text())
		}
		return "list", [][]string{line}
	case 3:
		line := []string{"SADD", "k"}
		numbers := rnd.IntN(2) == 0
		for range count() {
			member := fmt.Sprint(int64(rnd.Uint64()) >> rnd.IntN(64))
			if !numbers {
				member = text()
			}
			line = append(line, member)
		}
		return "set", [][]string{line}
	case 4:
		line := []string{"HSET", "k"}
		for range count() {
			line = append(line, text(), text())
		}
		return "hash", [][]string{line}
	default:
		line := []string{"HSET", "k"}
		for i := range max(count(), 5) {
			line = append(line, fmt.Sprint(i), text())
		}
		lines = [][]string{line}
		for i := range rnd.IntN(4) {
			lines = append(lines, []string{"HPEXPIREAT", "k", fmt.Sprint(4102444800000 + int64(rnd.IntN(1<<rnd.IntN(30)))), "FIELDS", "1", fmt.Sprint(i)})
		}
		return "expiring", lines
	}
}

// TestRestoreAsRealServers: options, what is wrong and in which order it is found.
func TestRestoreAsRealServers(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		game := &commandtest.Game{Bench: commandtest.New(t, data.Commands()), Oracle: o}
		const hello = `"\x00\x05hello\n\x00cr\xdfve4 \n"`
		lines := []string{"DUMP nosuch", "DUMP", "DUMP k x", "RESTORE k 0", "SET k v"}
		for _, rest := range []string{
			"0 P", "0 P REPLACE", "x P", "x P REPLACE", "-1 P REPLACE", "1 P REPLACE ABSTTL", "1 P ABSTTL", "0 P", "0 P", "0 P REPLACE IDLETIME 5",
			"0 P REPLACE IDLETIME -1", "0 P REPLACE IDLETIME x", "0 P REPLACE IDLETIME", "0 P REPLACE FREQ 255", "0 P REPLACE FREQ 256",
			"0 P REPLACE FREQ -1", "0 P REPLACE FREQ 1.5", "0 P FREQ", "0 P FREQ 1 IDLETIME 1", "0 P IDLETIME 1 FREQ 1", "0 P NX", "0 x NX",
			"0 x REPLACE", "-1 x REPLACE", "0 P REPLACE REPLACE ABSTTL", "99999999999999 P REPLACE ABSTTL", `0 "" REPLACE`,
			`0 "\x00\x05hellO\n\x00cr\xdfve4 \n" REPLACE`, `0 "\x04\x00\x0a\x00\x931\x96\xc0'\x92\x95\xbf" REPLACE`,
		} {
			lines = append(lines, "RESTORE k "+strings.Replace(rest, " P", " "+hello, 1), "GET k", "PEXPIRETIME k", "EXISTS k")
		}
		game.Lines(lines...)
	})
}
