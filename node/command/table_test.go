package command_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/slot"
)

// wholeTable has the commands of all families.
func wholeTable() *command.Table {
	return command.NewTable(data.Commands(), admin.Commands(nil))
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := wholeTable()
	for _, line := range []string{"GeT k", "set k v", "mget {a}1 {a}2", "MSET {a}1 x {a}2 y", "cluster INFO"} {
		args := commandtest.Words(t, line)
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
	table := wholeTable()
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
	table := wholeTable()
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
		args := commandtest.Words(t, line)
		c, err := table.Lookup(args)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		keys, _ := c.KeyArgs(args)
		if got := string(bytes.Join(keys, []byte(" "))); got != want {
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
	payload := command.AppendArgs(nil, commandtest.Words(t, `SET "" "a\x00b"`))
	if payload[0] == 0 {
		t.Error("a command's payload begins with 0")
	}
	got, err := command.DecodeArgs(nil, payload)
	if err != nil || len(got) != 3 || string(got[0]) != "SET" || len(got[1]) != 0 || string(got[2]) != "a\x00b" {
		t.Errorf("decoded %q, %v", got, err)
	}
	for _, bad := range []string{
		"", "\x00", "\x01", "\x01\x02a", "\x01\x01ab", "\x02\x01a", "\x81\x00\x01a", "\x01\x81\x00a",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if got, err := command.DecodeArgs(nil, []byte(bad)); err == nil {
			t.Errorf("%q was decoded as %q", bad, got)
		}
	}
	for _, internal := range [][]byte{command.AppendTick(nil), command.AppendSweep(nil)} {
		args, err := command.DecodeArgs(nil, internal)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wholeTable().Replicated(args); err != nil {
			t.Errorf("%q: %v", internal, err)
		}
	}
}

func FuzzDecodeArgs(f *testing.F) {
	f.Add(command.AppendTick(nil))
	f.Add(command.AppendArgs(nil, [][]byte{[]byte("SET"), []byte("k"), make([]byte, 300)}))
	f.Add([]byte{2, 1, 'a', 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		args, err := command.DecodeArgs(nil, payload)
		if err != nil {
			return
		}
		if again := command.AppendArgs(nil, args); !bytes.Equal(again, payload) {
			t.Fatalf("%q decodes to %q, which encodes to %q", payload, args, again)
		}
	})
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
	row := func(c *command.Command) {
		if c.Read == nil && c.Write == nil && c.Local == nil && c.Subcommands != nil {
			return
		}
		kind := "local"
		switch {
		case c.Writes != nil:
			kind = "read or write"
		case c.Read != nil && c.Blocks == nil:
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
	for _, c := range wholeTable().Commands() {
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
	table := wholeTable()
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
