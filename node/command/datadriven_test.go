package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/testbed/limit"
)

// bench runs commands as a node does, on one keyspace with a clock of its own.
type bench struct {
	t     *testing.T
	table *Table
	keys  *keyspace.Keyspace
	index uint64
	now   int64 // unix ms: the time of entries and readers
	node  *testNode
	env   *Env

	behind bool // what the last read reported
	limit  int  // the node's proto-max-bulk-len
}

func newBench(t *testing.T) *bench {
	keys, err := keyspace.Open(storage.NewMemory(), keyspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, table: NewTable(All()), keys: keys, now: 1000000000, node: newTestNode(), limit: 64 << 20}
	session := &Session{ID: 7, Addr: "127.0.0.1:5555", LAddr: "127.0.0.1:7001", Created: time.Now(), Authenticated: true}
	other := &Session{ID: 9, Addr: "127.0.0.1:6666", LAddr: "127.0.0.1:7001", Created: time.Now(), Authenticated: true}
	b.node.sessions.list = []*Session{session, other}
	b.env = &Env{Node: b.node, Session: session, Table: b.table, Park: parkUntilReady, Wake: func() {}}
	return b
}

// do runs one command.
func (b *bench) do(args [][]byte) resp.Value {
	encoded := b.encoded(args, 3)
	v, err := resp.Parse(encoded)
	if err != nil {
		b.t.Fatalf("%q: %q: %v", args, encoded, err)
	}
	return v
}

// encoded runs one command, and returns its reply in a version of the protocol.
func (b *bench) encoded(args [][]byte, proto int) []byte {
	cmd, err := b.table.Lookup(args)
	if strings.HasPrefix(string(args[0]), "\x00") {
		cmd, err = b.table.Replicated(args)
	}
	var r resp.Reply
	r.Init(proto)
	if err != nil {
		r.Fail(err)
		return r.Bytes()
	}
	var words Args
	words.Set(cmd, args)
	switch {
	case cmd.WritesWith(args):
		b.index++
		tx := Tx{Tx: b.keys.Begin()}
		defer tx.Discard()
		tx.StartEntry(Entry{Index: b.index, Time: b.now, Seed: 1, MaxString: MaxString(b.limit)})
		tx.Run(&words, &r)
		if err := tx.Commit(); err != nil {
			b.t.Fatal(err)
		}
	case cmd.Read != nil:
		v := &View{View: b.keys.View(b.now), Reading: Reading{LocalNow: b.now, MaxString: MaxString(b.limit)}}
		defer v.Close()
		v.Run(&words, &r)
		b.behind = v.Behind()
	default:
		b.env.Session.LastCommand.Store(cmd)
		ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
		defer cancel()
		r.Begin()
		if err := cmd.Local(ctx, b.env, &words, &r); err != nil {
			r.Fail(err)
		}
	}
	return r.Bytes()
}

// words splits a line at spaces; a word in double quotes is a Go string.
func words(t *testing.T, line string) [][]byte {
	var args [][]byte
	for _, word := range regexp.MustCompile(`"(\\.|[^"\\])*"|\S+`).FindAllString(line, -1) {
		if strings.HasPrefix(word, `"`) {
			text, err := strconv.Unquote(word)
			if err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			word = text
		}
		args = append(args, []byte(word))
	}
	return args
}

// TestFamilies runs testdata/*.txt. Directives:
//
//	run [proto=3]     one command a line; shows each with its reply as redis-cli does on a terminal,
//	                  or encoded, and what the node was asked to do
//	advance ms=N      moves the clock
//	limit bytes=N     sets proto-max-bulk-len
//	refuse [off]      makes the node refuse changes
//	replica [off]     makes the node follow another one
func TestFamilies(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		b := newBench(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			off := len(d.CmdArgs) > 0 && d.CmdArgs[0].Key == "off"
			switch d.Cmd {
			case "run":
				return b.run(d)
			case "advance":
				var ms int
				d.ScanArgs(t, "ms", &ms)
				b.now += int64(ms)
				return ""
			case "limit":
				d.ScanArgs(t, "bytes", &b.limit)
				return ""
			case "refuse":
				if b.node.refuse = errRefused; off {
					b.node.refuse = nil
				}
				return ""
			case "replica":
				b.node.follow(!off)
				return ""
			default:
				t.Fatalf("unknown directive %s", d.Cmd)
				return ""
			}
		})
	})
}

// follow makes the node a replica of node 1, in node 3's place, or undoes it.
func (n *testNode) follow(yes bool) {
	if n.view.Self, n.shards[0].Role = 1, RoleLeader; yes {
		n.view.Self, n.shards[0].Role = 3, RoleFollower
	}
}

func (b *bench) run(d *datadriven.TestData) string {
	proto := 0
	if d.HasArg("proto") {
		d.ScanArgs(b.t, "proto", &proto)
	}
	var out strings.Builder
	for _, line := range strings.Split(d.Input, "\n") {
		b.node.log, b.node.sessions.killed, b.behind = nil, nil, false
		encoded := b.encoded(words(b.t, line), cmp.Or(proto, 3))
		fmt.Fprintf(&out, "> %s\n", line)
		for _, note := range b.node.log {
			fmt.Fprintf(&out, "[node: %s]\n", note)
		}
		if len(b.node.sessions.killed) > 0 {
			fmt.Fprintf(&out, "[killed: %d]\n", b.node.sessions.killed)
		}
		if b.behind {
			out.WriteString("[behind]\n")
		}
		if proto != 0 {
			fmt.Fprintf(&out, "%q\n", encoded)
			continue
		}
		v, err := resp.Parse(encoded)
		if err != nil {
			b.t.Fatalf("%s: %q: %v", line, encoded, err)
		}
		out.WriteString(resp.FormatCLI(v, true))
	}
	return strings.ReplaceAll(out.String(), "\r\n", "\\r\n")
}

// parkUntilReady waits for what is there already.
func parkUntilReady(_ time.Time, ready func() bool) error {
	if !ready() {
		return errors.New("it would wait")
	}
	return nil
}
