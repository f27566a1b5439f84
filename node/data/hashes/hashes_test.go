package hashes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/storage"
)

// TestHashes plays testdata/*.txt, whose replies to commands that Redis has are what
// redis-server 7.0 and 8.6 answer. Directives:
//
//	run [proto=2]    one command a line, with its reply as it is encoded
//	advance ms=N     moves the clock
func TestHashes(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		keys, err := keyspace.Open(storage.NewMemory(), keyspace.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := &player{t: t, table: command.NewTable(Commands()), keys: keys, now: 1_000_000_000_000}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "run":
				proto := 3
				if d.HasArg("proto") {
					d.ScanArgs(t, "proto", &proto)
				}
				var out strings.Builder
				for line := range strings.SplitSeq(d.Input, "\n") {
					fmt.Fprintf(&out, "%s\n  %q\n", line, p.play(strings.Fields(line), proto))
				}
				return out.String()
			case "advance":
				var ms int64
				d.ScanArgs(t, "ms", &ms)
				p.now += ms
				return ""
			default:
				t.Fatalf("unknown directive %s", d.Cmd)
				return ""
			}
		})
	})
}

// player runs commands as a node does, on one keyspace with a clock of its own.
type player struct {
	t     *testing.T
	table *command.Table
	keys  *keyspace.Keyspace
	index uint64
	now   int64 // unix ms
}

func (p *player) play(words []string, proto int) []byte {
	var all [][]byte
	for _, word := range words {
		all = append(all, []byte(word))
	}
	var r resp.Reply
	r.Init(proto)
	cmd, err := p.table.Lookup(all)
	if err != nil {
		r.Fail(err)
		return r.Bytes()
	}
	var args command.Args
	args.Set(cmd, all)
	switch {
	case cmd.WritesWith(all):
		p.write(func(tx *command.Tx) { tx.Run(&args, &r) })
	case !p.read(&args, &r):
		p.write(func(*command.Tx) {}) // which advances the clock
		r.Init(proto)
		args.Set(cmd, all)
		p.read(&args, &r)
	}
	return r.Bytes()
}

// read reports whether the reply depends on nothing that the replicated clock has
// yet to let expire.
func (p *player) read(args *command.Args, r *resp.Reply) bool {
	v := &command.View{View: p.keys.View(p.now), Reading: command.Reading{LocalNow: p.now}}
	defer v.Close()
	v.Run(args, r)
	return !v.Behind()
}

// write runs an entry of the log.
func (p *player) write(run func(*command.Tx)) {
	p.index++
	tx := command.Tx{Tx: p.keys.Begin()}
	tx.StartEntry(command.Entry{Index: p.index, Time: p.now, Seed: 1})
	run(&tx)
	if err := tx.Commit(); err != nil {
		p.t.Fatal(err)
	}
}
