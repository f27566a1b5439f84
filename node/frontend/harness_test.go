package frontend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// patience is how long a test waits for what must happen.
var patience = limit.Wait()

// testReplica runs commands on a machine in memory, in place of a Raft group.
// What it is asked for, it notes in events.
type testReplica struct {
	table   *command.Table
	machine *shard.Machine
	leads   atomic.Bool
	age     atomic.Int64 // negative: it has not caught up yet
	empty   atomic.Bool  // it never had the data
	// local and entry are the two clocks, unix ms.
	local, entry atomic.Int64

	mu     sync.Mutex
	index  uint64
	events []string
	// submitErrs and barrierErrs are what the next calls end with, one each.
	submitErrs, barrierErrs []error
	// gate, if not nil, holds calls back until it is closed.
	gate chan struct{}
	// leases are what LeaseValid answers next; without any there is no lease.
	leases []bool
	// limit, if not nil, is what the node puts into its entries.
	limit func() int
	// stepDown makes the replica a follower when a call fails.
	stepDown bool

	// tamper, if not nil, is called with the name of each command that is submitted, and
	// with "barrier". An error is what it ends with.
	tamper func(name string) error
}

func newTestReplica(t *testing.T, table *command.Table) *testReplica {
	t.Helper()
	machine, err := shard.Open(storage.NewMemory(), table, shard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &testReplica{table: table, machine: machine}
	r.apply(&multiraft.Call{Payload: shard.AppendOwn(nil, slot.Full(), 1)})
	r.leads.Store(true)
	r.local.Store(1_000_000)
	r.entry.Store(1_000_000)
	return r
}

func (r *testReplica) Leads() bool { return r.leads.Load() }

func (r *testReplica) Age() (time.Duration, bool) {
	age := r.age.Load()
	return time.Duration(age), age >= 0
}

func (r *testReplica) Complete() bool { return !r.empty.Load() }

func (r *testReplica) Takes(s uint16, asking bool) bool {
	mark, _ := r.machine.Marked(s)
	return r.machine.Owns(s) || asking && mark == shard.MarkImporting
}

// log applies a payload of package shard's.
func (r *testReplica) log(payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applyRecord(payload)
}

// applyRecord is log for who holds r.mu.
func (r *testReplica) applyRecord(payload []byte) { r.apply(&multiraft.Call{Payload: payload}) }

// note records an event. r.mu is held.
func (r *testReplica) note(format string, args ...any) {
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *testReplica) takeEvents() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// later runs fn when the gate is open. r.mu is held.
func (r *testReplica) later(fn func()) {
	if gate := r.gate; gate != nil {
		go func() {
			<-gate
			fn()
		}()
		return
	}
	fn()
}

func take(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

func (r *testReplica) Submit(calls ...*multiraft.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, call := range calls {
		names = append(names, nameOf(call.Payload))
	}
	r.note("submit %s", strings.Join(names, " "))
	for i, call := range calls {
		if err := r.meddle(names[i]); err != nil {
			r.submitErrs = append([]error{err}, r.submitErrs...)
		}
		if err := take(&r.submitErrs); err != nil {
			if r.stepDown {
				r.leads.Store(false)
			}
			call.Err = err
			r.later(call.Done.Done)
			continue
		}
		call.Err = nil
		r.apply(call)
		r.later(call.Done.Done)
	}
}

// nameOf tells what a payload is.
func nameOf(payload []byte) string {
	payload, _ = command.CutAsking(payload)
	if command.IsTransaction(payload) {
		t, err := command.DecodeTransaction(payload)
		if err != nil || t.SkipWatched() != nil {
			panic(payload)
		}
		var names []string
		for {
			args, more, err := t.Command(nil)
			if err != nil {
				panic(err)
			}
			if !more {
				return "(" + strings.Join(names, " ") + ")"
			}
			names = append(names, string(args[0]))
		}
	}
	args, err := command.DecodeArgs(nil, payload)
	if err != nil {
		panic(err)
	}
	return strings.TrimPrefix(string(args[0]), "\x00")
}

func (r *testReplica) apply(call *multiraft.Call) {
	r.index++
	entry := command.Entry{Index: r.index, Time: r.entry.Load(), Level: command.Level, MaxString: command.MaxBulkLength}
	if r.limit != nil {
		entry.MaxString = r.limit()
	}
	reply, _ := call.Result.(*resp.Reply)
	err := r.machine.Apply([]shard.Entry{{Entry: entry, Commands: [][]byte{call.Payload}, Replies: []*resp.Reply{reply}}})
	if err != nil {
		panic(err)
	}
}

func (r *testReplica) Blocked() *blocking.Keys { return r.machine.Blocked() }

func (r *testReplica) meddle(name string) error {
	if r.tamper == nil {
		return nil
	}
	return r.tamper(name)
}

// on has fn called, once, when a command of that name is submitted. What it does to
// the replica comes before the command.
func (r *testReplica) on(name string, fn func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tamper = func(submitted string) error {
		if submitted != name {
			return nil
		}
		r.tamper = nil
		return fn()
	}
}

// do runs a command, as if somebody else had submitted it. r.mu is held.
func (r *testReplica) do(line string) {
	var args [][]byte
	for _, word := range strings.Fields(line) {
		args = append(args, []byte(word))
	}
	r.apply(&multiraft.Call{Payload: command.AppendArgs(nil, args)})
}

func (r *testReplica) Barrier(call *multiraft.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note("barrier")
	if err := r.meddle("barrier"); err != nil {
		r.barrierErrs = append([]error{err}, r.barrierErrs...)
	}
	if call.Err = take(&r.barrierErrs); call.Err != nil && r.stepDown {
		r.leads.Store(false)
	}
	r.later(call.Done.Done)
}

func (r *testReplica) Lease() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(min(len(r.leases), 1))
}

func (r *testReplica) LeaseValid(uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	holds := r.leases[0]
	r.leases = r.leases[1:]
	r.note("holds %v", holds)
	return holds
}

func (r *testReplica) Read(args *command.Args, v *command.View, reply *resp.Reply) (behind bool) {
	r.mu.Lock()
	r.note("read %s", args.Command().Name)
	r.mu.Unlock()
	if v.View == nil {
		v.LocalNow = r.local.Load()
	}
	return r.machine.Read(args, v, reply)
}

func (r *testReplica) Look(v *command.View) {
	if v.View == nil {
		v.LocalNow = r.local.Load()
	}
	r.machine.Look(v)
}

func (r *testReplica) Exec(payload []byte, v *command.View, reply *resp.Reply) (behind bool) {
	r.mu.Lock()
	r.note("read %s", nameOf(payload))
	r.mu.Unlock()
	if v.View == nil {
		v.LocalNow = r.local.Load()
	}
	return r.machine.Exec(payload, v, reply)
}

// testNode is a Backend with what the front end needs; other methods of
// admin.Node panic.
type testNode struct {
	admin.Node
	view    atomic.Pointer[topology.View]
	mu      sync.Mutex
	changed chan struct{} // closed by show; nil: nobody waits
	leaders sync.Map      // topology.GroupID → topology.NodeID
	// suspects are nodes that have not been heard of.
	suspects sync.Map
	own      *testReplica
	next     atomic.Pointer[testReplica] // takes own's place
	shard    atomic.Uint64               // whose data own holds; 0: it does not count
	waits    sync.Map                    // of *testWait
	config   *admin.Config
	server   *Server
}

func (n *testNode) LocalView() *topology.View { return n.view.Load() }
func (n *testNode) ViewChanged() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

// show makes v the node's view.
func (n *testNode) show(v *topology.View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.view.Store(v)
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

func (n *testNode) View(context.Context) *topology.View { return n.view.Load() }
func (n *testNode) Live() topology.Live                 { return n }

func (n *testNode) Contact(id topology.NodeID) topology.Contact {
	_, suspect := n.suspects.Load(id)
	return topology.Contact{Suspect: suspect}
}

func (n *testNode) Config() *admin.Config      { return n.config }
func (n *testNode) Setting(name string) string { return n.config.Value(name) }
func (n *testNode) Sessions() command.Sessions { return n.server }

func (n *testNode) ShardStatuses() []admin.ShardStatus { return nil }
func (n *testNode) Info() admin.NodeInfo               { return admin.NodeInfo{} }

func (n *testNode) Leader(group topology.GroupID) topology.NodeID {
	if id, ok := n.leaders.Load(group); ok {
		return id.(topology.NodeID)
	}
	return 0
}

func (n *testNode) Replica(shard topology.GroupID) Replica {
	if shard == 0 || topology.GroupID(n.shard.Load()) != shard {
		return nil
	}
	if next := n.next.Load(); next != nil {
		return next
	}
	return n.own
}

func (n *testNode) Own() Replica {
	return n.Replica(topology.GroupID(n.shard.Load()))
}

// AwaitReplicas returns a wait that ends when the test says so.
func (n *testNode) AwaitReplicas(_ bool, _ int, changed func()) admin.ReplicaWait {
	w := &testWait{node: n, changed: changed}
	n.waits.Store(w, true)
	return w
}

func (n *testNode) SlotKeys(s uint16) int64           { return n.own.machine.SlotKeys(s) }
func (n *testNode) SlotBytes(s uint16) (int64, error) { return n.own.machine.SlotBytes(s) }

// wait returns the one wait that there is, once there is one.
func (n *testNode) wait(t *testing.T) (found *testWait) {
	t.Helper()
	eventually(t, "a wait for replicas", func() bool {
		n.waits.Range(func(w, _ any) bool {
			found = w.(*testWait)
			return false
		})
		return found != nil
	})
	return found
}

// testWait is a admin.ReplicaWait; end ends it.
type testWait struct {
	node       *testNode
	changed    func()
	stored     atomic.Int64
	done, lost atomic.Bool
	asked      atomic.Int64 // how often the state was looked at
}

func (w *testWait) State() (int, bool, bool) {
	w.asked.Add(1)
	return int(w.stored.Load()), w.done.Load(), w.lost.Load()
}

func (w *testWait) Own() bool { return true }

func (w *testWait) Stop() { w.node.waits.Delete(w) }

func (w *testWait) end(stored int64, lost bool) {
	w.stored.Store(stored)
	w.lost.Store(lost)
	w.done.Store(!lost)
	w.changed()
}

// buildView makes a view of nodes 1..count, at 10.0.0.<id>:7000+id, and shards.
func buildView(self topology.NodeID, nodes int, shards ...*topology.Shard) *topology.View {
	v := &topology.View{Self: self, Shards: shards}
	for id := 1; id <= nodes; id++ {
		v.Nodes = append(v.Nodes, &topology.Node{
			ID:      topology.NodeID(id),
			Address: topology.Address{Host: fmt.Sprintf("10.0.0.%d", id), Port: uint16(7000 + id)},
		})
	}
	for _, s := range shards {
		for n := range s.Slots.All {
			v.Owner[n] = s
		}
		for _, m := range s.Members {
			if m.Kind == topology.Data {
				v.Node(m.Node).Shard = s
			}
		}
	}
	return v
}

// fixture is a running server with a client-side view of it.
type fixture struct {
	t      *testing.T
	node   *testNode
	server *Server
	served chan error
}

// start runs a server on a node that leads the one shard of its cluster.
func start(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	node := &testNode{}
	table := command.NewTable(data.Commands(), admin.Commands(node))
	node.own = newTestReplica(t, table)
	node.shard.Store(10)
	node.view.Store(buildView(1, 1, &topology.Shard{
		ID: 10, Master: 1, Members: []topology.Member{{Node: 1}}, Slots: slot.Full(),
	}))
	opts := Options{
		Address: "127.0.0.1:0", Backend: node, Table: table,
		RequirePass: func() string { return node.config.Value("requirepass") },
	}
	if change != nil {
		change(&opts)
	}
	node.config = admin.NewConfig(admin.ConfigOptions{
		ResetStat: func() { node.server.ResetStats() },
		Hooks: map[string]func(context.Context, string) error{
			"cluster-slot-stats-enabled": func(_ context.Context, value string) error {
				node.server.CountSlots(value != "no")
				return nil
			},
		},
	})
	server, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	node.server = server
	node.own.limit = func() int { return server.limits.Load().MaxBulk }
	f := &fixture{t: t, node: node, server: server, served: make(chan error, 1)}
	go func() { f.served <- server.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // deadline: what clients still do is cut short
		defer cancel()
		server.Close(ctx)
		if err := <-f.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return f
}

// client is a raw connection.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
	v *resp.Reader
}

func (f *fixture) dial() *client {
	f.t.Helper()
	return dialTo(f.t, f.server.Addr().String())
}

// dialTo connects to any server.
func dialTo(t *testing.T, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReaderSize(nc, 16<<10) // so large that resp.NewReader adds no buffer of its own
	return &client{t, nc, r, resp.NewReader(r)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply and shows it as one line.
func (c *client) reply() string {
	c.t.Helper()
	v, err := c.v.ReadValue()
	if err != nil {
		c.t.Fatalf("read a reply: %v", err)
	}
	return show(v)
}

// do sends inline commands as one pipeline and returns their replies.
func (c *client) do(lines ...string) []string {
	c.t.Helper()
	c.send(strings.Join(lines, "\r\n") + "\r\n")
	var replies []string
	for range lines {
		replies = append(replies, c.reply())
	}
	return replies
}

// want runs a pipeline and compares the replies.
func (c *client) want(lines []string, replies ...string) {
	c.t.Helper()
	if got := c.do(lines...); !slices.Equal(got, replies) {
		c.t.Errorf("%.2000q:\n got %.2000q\nwant %.2000q", lines, got, replies)
	}
}

// closed waits for the end of the connection and returns what came before.
func (c *client) closed() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Errorf("after %q: %v, not the end of the connection", rest, err)
	}
	return string(rest)
}

func show(v resp.Value) string {
	switch v.Kind {
	case resp.KindNull, resp.KindNullArray:
		return "(nil)"
	case resp.KindInt:
		return fmt.Sprintf(":%d", v.Int)
	case resp.KindError:
		return "-" + string(v.Str)
	case resp.KindArray, resp.KindMap, resp.KindSet:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, show(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return string(v.Str)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

var errTest = errors.New("an error that nobody has heard of")
