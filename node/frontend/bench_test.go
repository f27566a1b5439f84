package frontend

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// instantNode is a backend without a group behind it: what remains is the cost
// of the front end.
type instantNode struct {
	testNode
	blocked blocking.Keys
}

func (n *instantNode) Replica(topology.GroupID) Replica { return n }
func (n *instantNode) Leads() bool                      { return true }
func (n *instantNode) Takes(uint16, bool) bool          { return true }
func (n *instantNode) Age() (time.Duration, bool)       { return 0, true }
func (n *instantNode) Complete() bool                   { return true }
func (n *instantNode) Barrier(call *multiraft.Call)     { call.Done.Done() }
func (n *instantNode) Lease() uint64                    { return 1 }
func (n *instantNode) Blocked() *blocking.Keys          { return &n.blocked }
func (n *instantNode) LeaseValid(uint64) bool           { return true }

func (n *instantNode) Submit(calls ...*multiraft.Call) {
	for _, call := range calls {
		reply := call.Result.(*resp.Reply)
		reply.Begin()
		reply.OK()
		call.Done.Done()
	}
}

func (n *instantNode) Read(_ *command.Args, _ *command.View, r *resp.Reply) bool {
	r.Begin()
	r.OK()
	return false
}

func (*instantNode) Look(*command.View) {}

func (n *instantNode) Exec(_ []byte, _ *command.View, r *resp.Reply) bool { return n.Read(nil, nil, r) }

// replay is a connection on which the same pipeline arrives again and again.
type replay struct {
	net.Conn
	text string
}

func (c *replay) Read(p []byte) (int, error) {
	if len(p) < len(c.text) {
		return 0, io.ErrShortBuffer
	}
	return copy(p, c.text), nil
}

func newReplay(text string) *conn {
	node := &instantNode{testNode: testNode{config: admin.NewConfig(admin.ConfigOptions{})}}
	node.view.Store(buildView(1, 1, &topology.Shard{
		ID: 10, Master: 1, Members: []topology.Member{{Node: 1}}, Slots: slot.Full(),
	}))
	table := command.NewTable(data.Commands(), admin.Commands(node))
	s := &Server{opts: Options{Table: table, Backend: node, RequirePass: func() string { return "" }, Now: time.Now}}
	s.calls = newCallStats(table)
	s.SetLimits(Limits{})
	s.inspection.Store(noInspection())
	s.SetLogThreshold(command.LogSlow, 10000) // as a node has it by default
	s.SetLogThreshold(command.LogLargeRequest, 1<<20)
	s.SetLogThreshold(command.LogLargeReply, 1<<20)
	c := &conn{
		server: s, session: &command.Session{Authenticated: true}, run: &run{},
		in:  input{conn: &replay{text: text}, maxQuery: 1 << 20},
		out: &output{},
	}
	c.out.reply.Meter(c.grant.meter.Reply)
	return c
}

// serveOne does what loop does, but for the socket.
func (c *conn) serveOne() error {
	if err := c.in.fill(); err != nil {
		return err
	}
	if err := c.pipeline(); err != nil {
		return err
	}
	c.finish()
	c.out.reply.Reset(keepBuffer)
	return nil
}

const (
	setCommand = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$3\r\nxxx\r\n"
	multi      = "*1\r\n$5\r\nMULTI\r\n"
	execIt     = "*1\r\n$4\r\nEXEC\r\n"
	getCommand = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000012345\r\n"
)

// In the steady state a pipeline of plain commands allocates nothing.
func TestNoAllocations(t *testing.T) {
	for name, text := range map[string]string{
		"SET": setCommand, "GET": getCommand,
		"16 SET": strings.Repeat(setCommand, 16), "16 GET": strings.Repeat(getCommand, 16),
		"a transaction": multi + setCommand + getCommand + execIt,
		"transactions":  strings.Repeat(multi+strings.Repeat(setCommand, 10)+execIt+setCommand, 3),
		"of reads":      strings.Repeat(multi+getCommand+getCommand+execIt, 3),
	} {
		c := newReplay(text)
		if n := testing.AllocsPerRun(100, func() {
			if err := c.serveOne(); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %.1f allocations", name, n)
		}
	}
}

func BenchmarkPipeline(b *testing.B) {
	for name, text := range map[string]string{
		"SET": setCommand, "GET": getCommand,
		"16xSET": strings.Repeat(setCommand, 16), "16xGET": strings.Repeat(getCommand, 16),
		"MULTI 16xSET EXEC": multi + strings.Repeat(setCommand, 16) + execIt,
	} {
		b.Run(name, func(b *testing.B) {
			c := newReplay(text)
			b.ReportAllocs()
			for b.Loop() {
				if err := c.serveOne(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
