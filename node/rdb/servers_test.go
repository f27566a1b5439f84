package rdb_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/rdb"
	"github.com/genuineh/aikv/node/resp"
)

var update = flag.Bool("update", false, "write what the servers dump to testdata/dumps.txt")

var loose = rdb.Limits{String: 64 << 20, Total: 256 << 20}

// shape is a value in a form of its own.
type shape struct {
	name string
	// config makes the servers choose the form. A server that does not know a
	// parameter does without.
	config []string
	// commands make the value, under the key k.
	commands []string
}

// far is a time at which a field expires after all tests.
const far = "4102444800000"

// shapes are values in all forms that the present servers write.
func shapes() []shape {
	long := strings.Repeat("abc ", 700)
	noise := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1, 7, 250, 3, 99}, 13))
	numbers := "0 12 13 -1 127 128 -128 -129 4095 4096 -4096 -4097 32767 -32768 32768 8388607 -8388608 8388608 2147483647 " +
		"-2147483648 2147483648 9223372036854775807 -9223372036854775808 9223372036854775808 007 -0 1.5"
	list := "RPUSH k a " + numbers + ` "" ` + noise + " " + strings.Repeat("x", 300) + " " + long[:len(long)-1]
	pairs := strings.Fields("a 1 b 2 c 300000 d -4 e " + noise)
	hash := "HSET k " + strings.Join(pairs, " ") + ` "" "" 12 "\x00\xff\r\n"`
	scores := "ZADD k 1 a -1.5 b inf c -inf d 1e300 e 0.1 f 3 12 3 13 -0 g 9007199254740993 h 5e-324 i 123456789012 j"
	few := func(kind string) []string {
		return []string{kind + "-max-listpack-entries 2", kind + "-max-listpack-value 64"}
	}
	return append(streamShapes(noise, long), []shape{
		{"string/empty", nil, []string{`SET k ""`}},
		{"string/text", nil, []string{"SET k hello"}},
		{"string/binary", nil, []string{`SET k "\x00\xff\r\n"`}},
		{"string/zeros", nil, []string{"SET k 007"}},
		{"string/int8", nil, []string{"SET k -128"}},
		{"string/int16", nil, []string{"SET k 32767"}},
		{"string/int32", nil, []string{"SET k -2147483648"}},
		{"string/int64", nil, []string{"SET k 2147483648"}},
		{"string/appended", nil, []string{"SET k 12", "APPEND k 3"}},
		{"string/long", nil, []string{`SET k "` + long + `"`}},
		{"string/noise", nil, []string{"SET k " + noise}},
		{"list/one", nil, []string{"RPUSH k a"}},
		{"list/listpack", nil, []string{list}},
		{"list/nodes", []string{"list-max-listpack-size 3"}, []string{list}},
		{"list/compressed", []string{"list-max-listpack-size 3", "list-compress-depth 1"}, []string{list, list, "LPOP k"}},
		{"list/plain", []string{"list-max-listpack-size -1"}, []string{"RPUSH k a b " + strings.Repeat("y", 9000) + " c"}},
		{"set/int16", nil, []string{"SADD k 5 -3 32767 -32768"}},
		{"set/int32", nil, []string{"SADD k 5 -3 32768"}},
		{"set/int64", nil, []string{"SADD k 5 -3 2147483648 -9223372036854775808"}},
		{"set/listpack", nil, []string{"SADD k 5 a b " + noise}},
		{"set/table", []string{"set-max-listpack-entries 2"}, []string{"SADD k 5 70000 a b c " + noise}},
		{"zset/listpack", nil, []string{scores}},
		{"zset/skiplist", few("zset"), []string{scores}},
		{"hash/listpack", nil, []string{hash}},
		{"hash/table", few("hash"), []string{hash}},
		{"hash/expiring", nil, []string{hash, "HPEXPIREAT k " + far + " FIELDS 2 a b", "HPEXPIREAT k 4102444900000 FIELDS 1 c"}},
		{"hash/expiringtable", few("hash"), []string{hash, "HPEXPIREAT k " + far + " FIELDS 2 a b", "HPEXPIREAT k 4102444900000 FIELDS 1 c"}},
		{"hash/persisted", nil, []string{hash, "HPEXPIREAT k " + far + " FIELDS 1 a", "HPERSIST k FIELDS 1 a"}},
		{"hash/persistedtable", few("hash"), []string{hash, "HPEXPIREAT k " + far + " FIELDS 1 a", "HPERSIST k FIELDS 1 a"}},
		{"hash/alwaysexpiring", few("hash"), []string{"HSET k a 1 b 2 c 3", "HPEXPIREAT k " + far + " FIELDS 3 a b c"}},
	}...)
}

// streamShapes are streams.
func streamShapes(noise, long string) []shape {
	var stream, claims []string
	for i := range 12 {
		stream = append(stream, fmt.Sprintf("XADD k 1526919030474-%d temperature %d place p%d", i, i*i*i*100-200, i%3))
	}
	for i := range 6 {
		claims = append(claims, fmt.Sprintf("XCLAIM k g c%d 0 1526919030474-%d TIME %d RETRYCOUNT %d FORCE", i%2, i, 1000+i, i))
	}
	groups := append(slices.Clone(stream), "XGROUP CREATE k g 1526919030474-5", `XGROUP CREATE k "" 0 ENTRIESREAD 0`, "XGROUP CREATECONSUMER k g idle")
	groups = append(groups, claims...)
	return []shape{
		{"stream/empty", nil, []string{"XGROUP CREATE k g $ MKSTREAM"}},
		{"stream/one", nil, []string{"XADD k 18446744073709551615-1 f v"}},
		{"stream/same", nil, stream},
		{"stream/fields", nil, []string{stream[0], "XADD k 1526919040474-0 a 0 b 127 c 128 -1 -4096 -4097 32768 8388608 2147483648 -9223372036854775808 01", "XADD k 1526919040475-0 temperature 5 place x", `XADD k 1526919050474-0 "" "" ` + noise + ` "\x00\xff\r\n"`}},
		{"stream/long", nil, append(slices.Clone(stream), `XADD k 1526919050474-0 f "`+long+`"`, "XADD k 1526919050475-0 f v")},
		{"stream/nodes", []string{"stream-node-max-entries 3"}, stream},
		{"stream/deleted", []string{"stream-node-max-entries 5"}, append(slices.Clone(stream), "XDEL k 1526919030474-0 1526919030474-4 1526919030474-7")},
		{"stream/trimmed", nil, append(slices.Clone(stream), "XTRIM k MAXLEN 7")},
		{"stream/emptied", nil, append(slices.Clone(stream), "XTRIM k MAXLEN 0", "XSETID k 1526919030474-99 ENTRIESADDED 77 MAXDELETEDID 1526919030474-9")},
		{"stream/groups", nil, groups},
		{"stream/readgroup", nil, append(slices.Clone(stream), "XGROUP CREATE k g 0", "XREADGROUP GROUP g c COUNT 5 STREAMS k >", "XACK k g 1526919030474-1", "XDEL k 1526919030474-2")},
	}
}

// make makes the value on a server, and reports whether that knows all commands.
func (s *shape) make(t *testing.T, o *commandtest.Oracle) bool {
	o.Ask("FLUSHALL")
	for _, line := range []string{
		"hash-max-listpack-entries 512", "set-max-listpack-entries 128", "zset-max-listpack-entries 128", "list-max-listpack-size -2",
		"list-compress-depth 0", "stream-node-max-entries 100",
	} {
		o.Ask(append([]string{"CONFIG", "SET"}, strings.Fields(line)...)...)
	}
	for _, line := range s.config {
		o.Ask(append([]string{"CONFIG", "SET"}, strings.Fields(line)...)...)
	}
	for _, line := range s.commands {
		var args []string
		for _, word := range commandtest.Words(t, line) {
			args = append(args, string(word))
		}
		if v := o.Ask(args...); v.IsError() {
			if strings.Contains(string(v.Str), "unknown command") {
				return false
			}
			t.Fatalf("%s: %s", line, v.Str)
		}
	}
	return true
}

// content is what the server says that k holds, as show has it.
func content(o *commandtest.Oracle) string {
	switch kind := o.Ask("TYPE", "k"); string(kind.Str) {
	case "string":
		return fmt.Sprintf("string %q", o.Ask("GET", "k").Str)
	case "list":
		return "list " + strings.Join(texts(o.Ask("LRANGE", "k", "0", "-1")), " ")
	case "set":
		members := texts(o.Ask("SMEMBERS", "k"))
		slices.Sort(members)
		return "set " + strings.Join(members, " ")
	case "zset":
		var members []string
		for _, pair := range o.Ask("ZRANGE", "k", "0", "-1", "WITHSCORES").Elems {
			members = append(members, fmt.Sprintf("%q=%v", pair.Elems[0].Str, score(pair.Elems[1])))
		}
		slices.Sort(members)
		return "zset " + strings.Join(members, " ")
	case "hash":
		var fields []string
		all := o.Ask("HGETALL", "k").Elems
		for i := 0; i < len(all); i += 2 {
			at := int64(0)
			if v := o.Ask("HPEXPIRETIME", "k", "FIELDS", "1", string(all[i].Str)); len(v.Elems) == 1 {
				at = max(v.Elems[0].Int, 0)
			}
			fields = append(fields, fmt.Sprintf("%q=%q@%d", all[i].Str, all[i+1].Str, at))
		}
		slices.Sort(fields)
		return "hash " + strings.Join(fields, " ")
	case "stream":
		return streamContent(o)
	default:
		return string(kind.Str)
	}
}

// streamContent leaves out what depends on when the stream was made.
func streamContent(o *commandtest.Oracle) string {
	field := func(v resp.Value, name string) resp.Value {
		for i := 0; i+1 < len(v.Elems); i += 2 {
			if string(v.Elems[i].Str) == name {
				return v.Elems[i+1]
			}
		}
		return resp.Value{}
	}
	info := o.Ask("XINFO", "STREAM", "k", "FULL", "COUNT", "0")
	out := fmt.Sprintf("stream last %s deleted %s added %d\n", field(info, "last-generated-id").Str, field(info, "max-deleted-entry-id").Str, field(info, "entries-added").Int)
	for _, e := range field(info, "entries").Elems {
		out += fmt.Sprintf("%s %q\n", e.Elems[0].Str, texts(e.Elems[1]))
	}
	for _, g := range field(info, "groups").Elems {
		read := field(g, "entries-read")
		if read.Kind != resp.KindInt {
			read.Int = -1
		}
		out += fmt.Sprintf("group %q last %s read %d\n", field(g, "name").Str, field(g, "last-delivered-id").Str, read.Int)
		deliveries := make(map[string]int64)
		for _, p := range field(g, "pending").Elems {
			deliveries[string(p.Elems[0].Str)] = p.Elems[3].Int
		}
		for _, c := range field(g, "consumers").Elems {
			out += fmt.Sprintf("consumer %q\n", field(c, "name").Str)
			for _, p := range field(c, "pending").Elems {
				out += pendingContent(string(p.Elems[0].Str), p.Elems[1].Int, deliveries[string(p.Elems[0].Str)])
			}
		}
	}
	return out
}

func pendingContent(id string, delivered, deliveries int64) string {
	if delivered > 1_000_000_000_000 { // now
		delivered = 0
	}
	return fmt.Sprintf("pending %s %d %d\n", id, delivered, deliveries)
}

// showStream is streamContent of what was decoded.
func showStream(s *rdb.Stream) string {
	id := func(id rdb.StreamID) string { return fmt.Sprintf("%d-%d", id.MS, id.Seq) }
	out := fmt.Sprintf("stream last %s deleted %s added %d\n", id(s.Last), id(s.Deleted), s.Added)
	for _, n := range s.Nodes {
		for _, e := range n.Entries {
			var all []string
			for _, text := range e.Texts {
				all = append(all, strconv.Quote(string(text)))
			}
			out += fmt.Sprintf("%s %q\n", id(e.ID), all)
		}
	}
	groups := slices.Clone(s.Groups)
	slices.SortFunc(groups, func(a, b rdb.StreamGroup) int { return bytes.Compare(a.Name, b.Name) })
	for _, g := range groups {
		out += fmt.Sprintf("group %q last %s read %d\n", g.Name, id(g.Last), g.Read)
		for _, c := range g.Consumers {
			out += fmt.Sprintf("consumer %q\n", c.Name)
			for _, p := range c.Pending {
				out += pendingContent(id(p.ID), p.Delivered, p.Deliveries)
			}
		}
	}
	return out
}

// score is one without the sign of zero, which nobody sees but those who print it.
func score(v resp.Value) float64 {
	f, _ := strconv.ParseFloat(string(v.Str), 64)
	if f == 0 {
		return 0
	}
	return f
}

func texts(v resp.Value) (all []string) {
	for _, e := range v.Elems {
		all = append(all, strconv.Quote(string(e.Str)))
	}
	return all
}

// show is the content of a value, on one line.
func show(v *rdb.Value) string {
	if v.Kind == rdb.Streams {
		return showStream(v.Stream)
	}
	var all []string
	for i := range v.Len() {
		switch v.Kind {
		case rdb.Hash:
			field, value, at := v.Field(i)
			all = append(all, fmt.Sprintf("%q=%q@%d", field, value, at))
		case rdb.SortedSet:
			member, score := v.Member(i)
			if score == 0 {
				score = 0 // of -0 as well
			}
			all = append(all, fmt.Sprintf("%q=%v", member, score))
		default:
			all = append(all, fmt.Sprintf("%q", v.Elements[i]))
		}
	}
	if v.Kind != rdb.List {
		slices.Sort(all)
	}
	names := map[rdb.Kind]string{rdb.String: "string ", rdb.List: "list ", rdb.Set: "set ", rdb.SortedSet: "zset ", rdb.Hash: "hash "}
	return names[v.Kind] + strings.Join(all, " ")
}

// TestServersDumps decodes what real servers dump, of every shape, compressed and not.
func TestServersDumps(t *testing.T) {
	corpus := make(map[string]string)
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		for _, compression := range []string{"yes", "no"} {
			o.Ask("CONFIG", "SET", "rdbcompression", compression)
			for _, s := range shapes() {
				if !s.make(t, o) {
					continue
				}
				payload, want := o.Ask("DUMP", "k").Str, content(o)
				v, err := rdb.Decode(payload, loose)
				if err != nil {
					t.Errorf("%s (compression %s): %v: %q", s.name, compression, err, payload)
					continue
				}
				if got := show(v); got != want {
					t.Errorf("%s (compression %s) is\n%s, not\n%s", s.name, compression, got, want)
				}
				if len(payload) < 4096 {
					corpus[o.Name+" "+s.name+" "+base64.StdEncoding.EncodeToString(payload)] = digest(want)
				}
			}
		}
	})
	if *update {
		var out bytes.Buffer
		for _, line := range slices.Sorted(maps.Keys(corpus)) {
			fmt.Fprintf(&out, "%s %s\n", line, corpus[line])
		}
		if err := os.WriteFile("testdata/dumps.txt", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }

// dump is a line of the corpus.
type dump struct {
	server, shape string
	payload       []byte
	digest        string
}

// corpus returns what real servers have dumped: see TestServersDumps.
func corpus(t testing.TB) (dumps []dump) {
	file, err := os.Open("testdata/dumps.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		payload, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			t.Fatal(err)
		}
		dumps = append(dumps, dump{words[0], words[1], payload, words[3]})
	}
	if lines.Err() != nil || len(dumps) < 100 {
		t.Fatalf("%d dumps, %v", len(dumps), lines.Err())
	}
	return dumps
}

// TestCorpus decodes what real servers have dumped once.
func TestCorpus(t *testing.T) {
	for _, d := range corpus(t) {
		v, err := rdb.Decode(d.payload, loose)
		if err != nil {
			t.Errorf("%s %s: %v", d.server, d.shape, err)
		} else if digest(show(v)) != d.digest {
			t.Errorf("%s %s is %s", d.server, d.shape, show(v))
		}
	}
}
