package multiraft

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/testbed/limit"
)

const testCluster = 0xc1

// testNetwork delivers frames between hosts of one process; links can be cut.
type testNetwork struct {
	mu    sync.Mutex
	hosts map[uint64]*Host
	cut   map[[2]uint64]bool
}

// isolate cuts a node off, or brings it back.
func (n *testNetwork) isolate(node uint64, off bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.hosts {
		n.cut[[2]uint64{node, other}] = off
		n.cut[[2]uint64{other, node}] = off
	}
}

type testLink struct {
	net  *testNetwork
	from uint64
}

func (l testLink) Send(to uint64, control bool, frame []byte) bool {
	l.net.mu.Lock()
	host, cut := l.net.hosts[to], l.net.cut[[2]uint64{l.from, to}]
	l.net.mu.Unlock()
	if host == nil || cut {
		return false
	}
	host.Receive(l.from, frame)
	return true
}

// sumMachine counts and sums the payloads that it applied, and remembers the
// order; its state survives a restart because the test keeps the value.
type sumMachine struct {
	mu      sync.Mutex
	applied uint64
	order   []uint64
	gate    func() // called by each Apply
}

func (m *sumMachine) Applied() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

func (m *sumMachine) Apply(entries []Committed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gate != nil {
		m.gate()
	}
	for _, e := range entries {
		if e.Index <= m.applied {
			return fmt.Errorf("entry %d again after %d", e.Index, m.applied)
		}
		m.applied = e.Index
		for i, p := range e.Payloads {
			m.order = append(m.order, binary.BigEndian.Uint64(p))
			if e.Calls != nil && e.Calls[i].Result != nil {
				*e.Calls[i].Result.(*int) = len(m.order)
			}
		}
	}
	return nil
}

func (m *sumMachine) Check([]byte) (int, error) { return 0, nil }

func (m *sumMachine) Sync(uint64) (uint64, error) { return m.Applied(), nil }

func (m *sumMachine) values() []uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]uint64(nil), m.order...)
}

// testNode is one process of a test cluster.
type testNode struct {
	t       *testing.T
	id      uint64
	dir     string
	net     *testNetwork
	log     *wal.Log
	host    *Host
	group   *Group
	machine *sumMachine
}

func (n *testNode) start() {
	n.t.Helper()
	log, err := wal.Open(wal.Options{Dir: n.dir, SegmentSize: 4 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		n.t.Fatal(err)
	}
	level := slog.LevelError
	if os.Getenv("MULTIRAFT_DEBUG") != "" {
		level = slog.LevelDebug
	}
	n.log = log
	n.host = New(Options{
		Log: log, Transport: testLink{n.net, n.id}, Cluster: testCluster,
		Tick: 10 * time.Millisecond, ElectionTicks: 10, HeartbeatTicks: 2,
		Gather: time.Millisecond, MaxEntryBytes: 256 << 10, InflightEntries: 1,
		RequestTimeout: 2 * time.Second, CommitDelay: 2 * time.Millisecond,
		LogEntries: 1 << 20, LogBytes: 1 << 30,
		Now:    time.Now,
		Sched:  sched.System,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", n.id),
		Fatal:  func(err error) { n.t.Errorf("node %d: %v", n.id, err) },
	})
	n.net.mu.Lock()
	n.net.hosts[n.id] = n.host
	n.net.mu.Unlock()
	n.host.Start()
}

func (n *testNode) stop() {
	n.net.mu.Lock()
	delete(n.net.hosts, n.id)
	n.net.mu.Unlock()
	n.host.Close()
	if err := n.log.Close(); err != nil {
		n.t.Error(err)
	}
}

const testGroup GroupID = 7

func (n *testNode) spec() Spec {
	return Spec{ID: testGroup, RaftID: n.id + 100, Machine: n.machine}
}

// reopen opens the group after a restart.
func (n *testNode) reopen(members []Member) {
	n.t.Helper()
	spec := n.spec()
	spec.Members = members
	g, err := n.host.Open(context.Background(), spec)
	if err != nil {
		n.t.Fatal(err)
	}
	n.group = g
}

// newCluster starts nodes 1..count with a group that node 1 founded and that
// has all of them as voters.
func newCluster(t *testing.T, count int) []*testNode {
	t.Helper()
	net := &testNetwork{hosts: make(map[uint64]*Host), cut: make(map[[2]uint64]bool)}
	nodes := make([]*testNode, count)
	members := make([]Member, count)
	for i := range nodes {
		id := uint64(i + 1)
		nodes[i] = &testNode{t: t, id: id, dir: filepath.Join(t.TempDir(), "wal"), net: net, machine: &sumMachine{}}
		members[i] = Member{RaftID: id + 100, Node: id}
		nodes[i].start()
	}
	for i, n := range nodes {
		spec := n.spec()
		spec.Bootstrap = i == 0
		spec.Members = members
		groups, err := n.host.Apply(context.Background(), Change{Create: []Spec{spec}})
		if err != nil {
			t.Fatal(err)
		}
		n.group = groups[0]
	}
	for _, n := range nodes {
		n.group.SetWish(Wish{Version: 1, Voters: members})
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			n.stop()
		}
	})
	eventually(t, "the membership to settle", func() bool {
		l := leaderOf(nodes)
		return l != nil && status(t, l).Settled
	})
	return nodes
}

// eventually polls until cond holds; there is a deadline, and no fixed wait.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit.Wait()); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func leaderOf(nodes []*testNode) *testNode {
	for _, n := range nodes {
		if n.group.Leads() {
			return n
		}
	}
	return nil
}

func status(t *testing.T, n *testNode) Status {
	t.Helper()
	s, err := n.group.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func payload(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// write submits one value and waits for the outcome.
func write(n *testNode, v uint64) error {
	var wg sync.WaitGroup
	var result int
	wg.Add(1)
	c := &Call{Payload: payload(v), Result: &result, Done: &wg}
	n.group.Submit(c)
	wg.Wait()
	return c.Err
}

func barrier(n *testNode) error {
	var wg sync.WaitGroup
	wg.Add(1)
	c := &Call{Done: &wg}
	n.group.Barrier(c)
	wg.Wait()
	return c.Err
}
