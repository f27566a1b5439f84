package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// bench runs commands on a testNode.
type bench struct {
	*commandtest.Bench
	node *testNode
}

func newBench(t *testing.T) *bench {
	node := newTestNode()
	b := &bench{commandtest.New(t, data.Commands(), Commands(node)), node}
	other := &command.Session{ID: 9, Addr: "127.0.0.1:6666", LAddr: "127.0.0.1:7001", Created: time.Now(), Authenticated: true}
	node.sessions.list = []*command.Session{b.Env.Session, other}
	return b
}

// do runs one command.
func (b *bench) do(args [][]byte) resp.Value { return b.Run(args) }

func words(t *testing.T, line string) [][]byte { return commandtest.Words(t, line) }

// TestFamilies runs testdata with commandtest's directives, and
//
//	refuse [off]      the node refuses what changes the topology
//	replica [off]     the node is a replica
//	cost slot=N …     a command on a slot has cost so many bytes in and out
//	migrations        what the view has: an id a line, and fields
//
// The node's calls are shown before a command's reply.
func TestFamilies(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		b := newBench(t)
		b.Before = func() { b.node.log, b.node.sessions.killed = nil, nil }
		b.After = b.notes
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			off := len(d.CmdArgs) > 0 && d.CmdArgs[0].Key == "off"
			switch d.Cmd {
			case "refuse":
				if b.node.refuse = errRefused; off {
					b.node.refuse = nil
				}
				return ""
			case "migrations":
				b.node.view.Migrations = parseMigrations(t, d.Input)
				return ""
			case "cost":
				var n, in, out int
				d.ScanArgs(t, "slot", &n)
				d.ScanArgs(t, "in", &in)
				d.ScanArgs(t, "out", &out)
				b.node.sessions.load.Add(uint16(n), command.SlotUse{CPU: time.Duration(in) * time.Microsecond, In: int64(in), Out: int64(out)})
				return ""
			case "replica":
				b.node.follow(!off)
				return ""
			default:
				return b.Directive(t, d)
			}
		})
	})
}

// notes says what the last command has asked of the node.
func (b *bench) notes() string {
	var out strings.Builder
	for _, note := range b.node.log {
		fmt.Fprintf(&out, "[node: %s]\n", note)
	}
	if len(b.node.sessions.killed) > 0 {
		fmt.Fprintf(&out, "[killed: %d]\n", b.node.sessions.killed)
	}
	return out.String()
}

// follow makes the node a replica of node 1, in node 3's place, or undoes it.
func (n *testNode) follow(yes bool) {
	if n.view.Self, n.shards[0].Role = 1, RoleLeader; yes {
		n.view.Self, n.shards[0].Role = 3, RoleFollower
	}
}
