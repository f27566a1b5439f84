package command

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/slot"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

func TestLookupDoesNotAllocate(t *testing.T) {
	table := NewTable(All())
	for _, line := range []string{"GeT k", "set k v", "mget {a}1 {a}2", "MSET {a}1 x {a}2 y", "cluster INFO"} {
		args := words(t, line)
		n := testing.AllocsPerRun(100, func() {
			c, err := table.Lookup(args)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, cross := c.Slot(args); cross {
				t.Fatalf("%s: the keys hash to several slots", line)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

func TestLookupErrors(t *testing.T) {
	table := NewTable(All())
	long := strings.Repeat("x", 200)
	cases := map[string]string{
		"\x00tick":             "ERR unknown command '', with args beginning with: ",
		"\x00sweep 5":          "ERR unknown command '', with args beginning with: '5' ",
		long + " a":            "ERR unknown command '" + long[:128] + "', with args beginning with: 'a' ",
		"foo " + long + " b":   "ERR unknown command 'foo', with args beginning with: '" + long[:128] + "' ",
		"get":                  "ERR wrong number of arguments for 'get' command",
		"cluster " + long:      "ERR unknown subcommand '" + long[:128] + "'. Try CLUSTER HELP.",
		"CLUSTER addslots":     "ERR wrong number of arguments for 'cluster|addslots' command",
		"cluster|info":         "ERR unknown command 'cluster|info', with args beginning with: ",
		"config SET maxmemory": "ERR wrong number of arguments for 'config|set' command",
	}
	for line, want := range cases {
		var args [][]byte
		for _, word := range strings.Split(line, " ") {
			args = append(args, []byte(word))
		}
		if _, err := table.Lookup(args); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v\nwant %s", line, err, want)
		}
	}
}

func TestKeyArgs(t *testing.T) {
	table := NewTable(All())
	cases := map[string]string{
		"get a":                    "a",
		"set a v EX 5":             "a",
		"del a b c":                "a b c",
		"mset a 1 b 2":             "a b",
		"mset a 1 b":               "a b", // malformed, but no reason to panic
		"ping":                     "",
		"memory usage k SAMPLES 5": "k",
		"cluster keyslot k":        "",
		"object encoding k":        "k",
		"rename a b":               "a b",
		"copy a b DB 0":            "a b",
		"msetnx a 1 b 2":           "a b",
		"bitop and d a b":          "d a b",
		"lcs a b LEN":              "a b",
	}
	for line, want := range cases {
		args := words(t, line)
		c, err := table.Lookup(args)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := string(bytes.Join(c.KeyArgs(args), []byte(" "))); got != want {
			t.Errorf("%s: keys %q, want %q", line, got, want)
		}
		s, keyed, cross := c.Slot(args)
		if keyed != (want != "") || cross != (len(want) > 1) {
			t.Errorf("%s: Slot = %d, %v, %v", line, s, keyed, cross)
		}
		if len(want) == 1 && s != slot.Of([]byte(want)) {
			t.Errorf("%s: slot %d", line, s)
		}
	}
}

func TestArgs(t *testing.T) {
	payload := AppendArgs(nil, words(t, `SET "" "a\x00b"`))
	if payload[0] == 0 {
		t.Error("a command's payload begins with 0")
	}
	got, err := DecodeArgs(nil, payload)
	if err != nil || len(got) != 3 || string(got[0]) != "SET" || len(got[1]) != 0 || string(got[2]) != "a\x00b" {
		t.Errorf("decoded %q, %v", got, err)
	}
	for _, bad := range []string{
		"", "\x00", "\x01", "\x01\x02a", "\x01\x01ab", "\x02\x01a", "\x81\x00\x01a", "\x01\x81\x00a",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if got, err := DecodeArgs(nil, []byte(bad)); err == nil {
			t.Errorf("%q was decoded as %q", bad, got)
		}
	}
	for _, internal := range [][]byte{AppendTick(nil), AppendSweep(nil)} {
		args, err := DecodeArgs(nil, internal)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewTable(All()).Replicated(args); err != nil {
			t.Errorf("%q: %v", internal, err)
		}
	}
}

func FuzzDecodeArgs(f *testing.F) {
	f.Add(AppendTick(nil))
	f.Add(AppendArgs(nil, [][]byte{[]byte("SET"), []byte("k"), make([]byte, 300)}))
	f.Add([]byte{2, 1, 'a', 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		args, err := DecodeArgs(nil, payload)
		if err != nil {
			return
		}
		if again := AppendArgs(nil, args); !bytes.Equal(again, payload) {
			t.Fatalf("%q decodes to %q, which encodes to %q", payload, args, again)
		}
	})
}

func TestReplyModes(t *testing.T) {
	b := newBench(t)
	var got strings.Builder
	for _, line := range []string{
		"PING", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY OFF", "PING", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON", "PING",
	} {
		b.do(words(t, line))
		if b.env.Session.SuppressReply() {
			got.WriteByte('-')
		} else {
			got.WriteByte('+')
		}
	}
	if want := "+--+----++"; got.String() != want {
		t.Errorf("replies %s, want %s", got.String(), want)
	}
}

func TestSessionState(t *testing.T) {
	b := newBench(t)
	s := b.env.Session
	b.do(words(t, "READONLY"))
	b.do(words(t, "ASKING"))
	b.do(words(t, "HELLO 3"))
	if !s.ReadOnly.Load() || !s.Asking || s.Proto() != 3 {
		t.Errorf("ReadOnly %v, Asking %v, Proto %d", s.ReadOnly.Load(), s.Asking, s.Proto())
	}
	b.do(words(t, "RESET"))
	if s.ReadOnly.Load() || s.Asking || s.Proto() != 2 || !s.Authenticated {
		t.Errorf("after RESET: ReadOnly %v, Asking %v, Proto %d, Authenticated %v", s.ReadOnly.Load(), s.Asking, s.Proto(), s.Authenticated)
	}
	b.do(words(t, "CLIENT KILL ID 7 SKIPME no"))
	if !s.CloseAfterReply {
		t.Error("a client that kills itself stays")
	}
}

// TestInfoSections: INFO shows every section, and nothing that could be taken
// for data on an empty node.
func TestInfoSections(t *testing.T) {
	b := newBench(t)
	text := string(b.do(words(t, "INFO")).Str)
	for _, want := range []string{
		"# Server\r\n", "\r\nredis_version:7.0.15\r\n", "\r\naikv_version:1.2.3\r\n", "\r\ntcp_port:7001\r\n",
		"# Clients\r\n", "\r\nmaxclients:100\r\n", "# Memory\r\n", "# Persistence\r\nloading:0\r\n", "# Stats\r\n",
		"# Replication\r\nrole:master\r\n", "# CPU\r\n", "# Cluster\r\ncluster_enabled:1\r\n", "\r\ndb0:keys=3,",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
		t.Error("a line of INFO ends without CR")
	}
	b.node.info.Keys = 0
	if strings.Contains(string(b.do(words(t, "INFO")).Str), "db0:") {
		t.Error("INFO of an empty node mentions db0:")
	}
	if m := processMemory(); m.used == 0 || m.rss < m.used/2 {
		t.Errorf("memory %+v", m)
	}
}

func TestConfigConcurrency(t *testing.T) {
	c := NewConfig(ConfigOptions{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			_ = c.Set(t.Context(), toArgs([]string{"timeout", "5"}))
		}
	}()
	for range 100 {
		c.Get([]byte("*"))
		c.Value("timeout")
	}
	<-done
	if c.Value("timeout") != "5" {
		t.Errorf("timeout is %q", c.Value("timeout"))
	}
}

var update = flag.Bool("update", false, "rewrite the command table in README.md")

const tableStart, tableEnd = "<!-- table -->\n", "<!-- end of table -->\n"

// TestReadmeIsCurrent: README.md lists the commands that the table has.
func TestReadmeIsCurrent(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(readme), tableStart)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("README.md has lost its %q and %q", tableStart, tableEnd)
	}
	want := before + tableStart + tableText() + tableEnd + after
	if want == string(readme) {
		return
	}
	if !*update {
		t.Fatal("README.md is not current; run: go test ./node/command -run Readme -update")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tableText() string {
	var b strings.Builder
	b.WriteString("| command | arguments | kind | what it does |\n|---|---|---|---|\n")
	row := func(c *Command) {
		if c.Read == nil && c.Write == nil && c.Local == nil {
			return
		}
		kind := "local"
		switch {
		case c.Read != nil:
			kind = "read"
		case c.Write != nil:
			kind = "write"
		}
		name := strings.ToUpper(strings.ReplaceAll(c.FullName(), "|", " "))
		usage := strings.ReplaceAll(c.Doc.Usage, "|", "\\|")
		if usage != "" {
			usage = "`" + usage + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, usage, kind, c.Doc.Summary)
	}
	for _, c := range NewTable(All()).Commands() {
		row(c)
		for _, sub := range c.Subcommands {
			if sub.Name != "help" {
				row(sub)
			}
		}
	}
	return b.String()
}

// BenchmarkLookup measures what every command pays before it runs.
func BenchmarkLookup(b *testing.B) {
	table := NewTable(All())
	args := [][]byte{[]byte("GET"), []byte("key:000000000001")}
	b.ReportAllocs()
	for b.Loop() {
		c, err := table.Lookup(args)
		if err != nil {
			b.Fatal(err)
		}
		c.Slot(args)
	}
}

// Clients are not offered a replica that has yet to receive the data: SLOTS leaves
// it out, and SHARDS says that it loads.
func TestReplicaWithoutDataIsNotOffered(t *testing.T) {
	b := newBench(t)
	offered := func() (bool, string) {
		slots := resp.FormatCLI(b.do(words(t, "CLUSTER SLOTS")), false)
		shards := resp.FormatCLI(b.do(words(t, "CLUSTER SHARDS")), false)
		_, node, _ := strings.Cut(shards, topology.NodeID(3).String())
		_, health, _ := strings.Cut(node, "health")
		return strings.Contains(slots, topology.NodeID(3).String()), strings.Fields(health)[0]
	}
	if in, health := offered(); !in || health != "online" {
		t.Errorf("a synced replica: offered %v, %s", in, health)
	}
	members := b.node.view.Shards[0].Members
	for i := range members {
		members[i].Synced = members[i].Node != 3
	}
	if in, health := offered(); in || health != "loading" {
		t.Errorf("a replica without data: offered %v, %s", in, health)
	}
}

// Every command with subcommands tells of them.
func TestEveryContainerHasHelp(t *testing.T) {
	b := newBench(t)
	for _, c := range b.table.Commands() {
		if c.Subcommands == nil {
			continue
		}
		reply := b.do(words(t, c.Name+" HELP"))
		if reply.IsError() || len(reply.Elems) < 2*len(c.Subcommands) {
			t.Errorf("%s HELP: %s", c.Name, resp.FormatCLI(reply, false))
		}
	}
}
