package multiraft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// lab is a cluster in one goroutine: it calls the step functions of manual
// hosts itself, under a virtual clock, with a network and disks in memory.
// Nothing happens unless the test makes it happen.
type lab struct {
	t     testing.TB
	rng   *rand.Rand
	now   time.Time
	nodes []*labNode // by id, from 1
	tune  func(*Options)
	start map[GroupID]*chain

	sent []packet // by the step that runs
	wire []packet // on their way
	seq  uint64
	cut  map[[2]uint64]bool
	// fate decides what becomes of a packet: the delay of each copy. Without it
	// one copy arrives in the next turn.
	fate func(p packet) []time.Duration
	// refuse, if set, says whether a transport does not take a frame.
	refuse func(from, to uint64, control bool) bool
	// pass, if set, sees every message that is sent; false drops it.
	pass func(from, to uint64, group GroupID, m *pb.Message) bool
	// broken, if set, is asked in the middle of reopening; true if it ended the
	// process.
	broken      func(n *labNode) bool
	generations uint64
	values      uint64 // the last that fill has written
	wished      Wish   // the last wish
	// trace is a running hash of all that was delivered and all that ended.
	trace uint64
	calls []*labCall
}

type packet struct {
	from, to uint64
	control  bool
	frame    []byte
	due      time.Time
	seq      uint64
}

// labNode is one process, its disk included.
type labNode struct {
	lab      *lab
	id       uint64
	disk     *crashfs.FS
	log      *wal.Log
	host     *Host
	replicas map[GroupID]*labReplica
	up       bool
	failure  error // what Fatal was told
	// holdDisk and holdApply keep persister and appliers from working.
	holdDisk, holdApply bool
	wake                time.Time // when the loop wants to be called
}

type labReplica struct {
	spec    Spec
	group   *Group
	machine *labMachine // nil if the member has none
	// pending is what the member becomes if the log says so: see reopen.
	pending *labReplica
}

// chain is the one order of entries that the members of a group must agree on,
// as far as any of them has applied it.
type chain struct {
	entries map[uint64]chainEntry
	place   map[uint64]uint64 // value → index
	last    uint64
}

type chainEntry struct {
	term   uint64
	values string
}

// labMachine holds an index only: what it has applied is that prefix of the
// chain, and Apply checks that it is. durable survives a crash of the machine.
type labMachine struct {
	chain            *chain
	applied, durable uint64
	err              error // what the next Apply returns
	syncErr          error
	batches          int
}

func (m *labMachine) Applied() uint64 { return m.applied }

func (m *labMachine) Apply(entries []Committed) error {
	if m.err != nil {
		return m.err
	}
	m.batches++
	for _, e := range entries {
		if e.Index != m.applied+1 {
			return fmt.Errorf("entry %d follows %d", e.Index, m.applied)
		}
		m.applied = e.Index
		if err := m.chain.extend(e); err != nil {
			return err
		}
	}
	return nil
}

func (m *labMachine) Check([]byte) (int, error) { return 0, nil }

func (m *labMachine) Sync(uint64) (uint64, error) {
	if m.syncErr == nil {
		m.durable = m.applied
	}
	return m.durable, m.syncErr
}

// extend adds an entry, or checks it against the one that is there.
func (c *chain) extend(e Committed) error {
	entry := chainEntry{e.Term, fmt.Sprintf("%x", e.Payloads)}
	if old, ok := c.entries[e.Index]; ok {
		if old != entry {
			return fmt.Errorf("two entries %d: %v and %v", e.Index, old, entry)
		}
		return nil
	}
	if e.Index != c.last+1 {
		return fmt.Errorf("the chain goes from %d to %d", c.last, e.Index)
	}
	c.entries[e.Index], c.last = entry, e.Index
	for _, p := range e.Payloads {
		value := binary.BigEndian.Uint64(p)
		if at, ok := c.place[value]; ok {
			return fmt.Errorf("value %d in the entries %d and %d", value, at, e.Index)
		}
		c.place[value] = e.Index
	}
	return nil
}

// newLab returns a lab with nodes 1..count up and no groups.
func newLab(t testing.TB, count int, seed int64, tune func(*Options)) *lab {
	l := &lab{
		t: t, rng: rand.New(rand.NewSource(seed)), now: time.Unix(1_700_000_000, 0), tune: tune,
		start: make(map[GroupID]*chain), cut: make(map[[2]uint64]bool),
	}
	for i := range count {
		n := &labNode{lab: l, id: uint64(i + 1), disk: crashfs.New(), replicas: make(map[GroupID]*labReplica)}
		l.nodes = append(l.nodes, n)
		n.boot()
	}
	t.Cleanup(func() {
		for _, n := range l.nodes {
			if n.up {
				n.log.Close()
			}
		}
	})
	return l
}

func (l *lab) node(id uint64) *labNode { return l.nodes[id-1] }

// history returns a group's chain.
func (l *lab) history(group GroupID) *chain {
	c := l.start[group]
	if c == nil {
		c = &chain{entries: make(map[uint64]chainEntry), place: make(map[uint64]uint64)}
		l.start[group] = c
	}
	return c
}

// labRaftID is the Raft id of a node's first member.
func labRaftID(node uint64) uint64 { return node + 100 }

func labMembers(nodes ...uint64) []Member {
	members := make([]Member, len(nodes))
	for i, id := range nodes {
		members[i] = Member{RaftID: labRaftID(id), Node: id}
	}
	return members
}

// boot opens the log and every member that it holds.
func (n *labNode) boot() {
	l := n.lab
	var err error
	n.log, err = wal.Open(wal.Options{
		Dir: "wal", FS: n.disk, SegmentSize: 256 << 10, Preallocate: 8 << 10, Rand: l.rng,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		l.t.Fatalf("node %d: %v", n.id, err)
	}
	opts := Options{
		Log: n.log, Transport: labLink{n}, Cluster: testCluster,
		Tick: 10 * time.Millisecond, ElectionTicks: 10, HeartbeatTicks: 2,
		Gather: time.Millisecond, MaxEntryBytes: 4 << 10, InflightEntries: 1,
		RequestTimeout: time.Second, CommitDelay: 2 * time.Millisecond,
		LogEntries: 1 << 20, LogBytes: 1 << 30,
		Now:    func() time.Time { return l.now },
		Sched:  sched.System,
		Uptime: func() time.Duration { return l.now.Sub(time.Unix(1_700_000_000, 0)) },
		Logger: slog.New(slog.DiscardHandler),
		Fatal:  func(err error) { n.failure = err },
		manual: true,
	}
	if l.tune != nil {
		l.tune(&opts)
	}
	n.host, n.up, n.failure, n.wake = New(opts), true, nil, time.Time{}
	stored, err := StoredGroups(n.log)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range stored {
		r := n.replicas[s.ID]
		if r != nil && r.pending != nil && bytes.Equal(r.pending.spec.Meta, s.Meta) {
			r.spec, r.machine = r.pending.spec, r.pending.machine
		}
		if r != nil {
			r.pending = nil
		}
		if r == nil || r.spec.RaftID != s.RaftID || r.machine != nil != s.Data {
			l.t.Fatalf("node %d: the log holds %+v, created was %+v", n.id, s, r)
		}
		n.open(r)
	}
}

// create makes a member; it does by hand what Host.Apply does.
func (n *labNode) create(spec Spec, data bool) *labReplica {
	r := &labReplica{spec: spec}
	if data {
		r.machine = &labMachine{chain: n.lab.history(spec.ID)}
		r.spec.Machine = r.machine
	}
	n.change(Change{Create: []Spec{r.spec}})
	n.replicas[spec.ID] = r
	n.open(r)
	return r
}

// reopen makes a member go on from another state (nil: none) as of at; it does
// by hand what Host.Reopen does. A crash on the way leaves it to the log which of
// the two states the member has: the meta says so.
func (n *labNode) reopen(id GroupID, machine *labMachine, at *Point) error {
	r := n.replicas[id]
	next := &labReplica{spec: r.spec, machine: machine}
	next.spec.Bootstrap, next.spec.Machine = false, nil
	if machine != nil {
		next.spec.Machine = machine
	}
	next.spec.Meta = binary.BigEndian.AppendUint64(nil, n.lab.generation())
	if err := n.host.mayReopen(next.spec, at); err != nil {
		return err
	}
	old := n.host.detach(id)
	r.pending = next
	o := newOutcome()
	n.host.persist.add(appendTask{record: func(b *wal.Batch) error { return old.reopening(b, next.spec, at) }, outcome: o})
	n.stepDisk()
	if <-o.done; o.err != nil {
		return o.err
	}
	if n.lab.broken != nil && n.lab.broken(n) {
		return errBroken
	}
	r.spec, r.machine, r.pending = next.spec, machine, nil
	n.open(r)
	return nil
}

// errBroken: the process ended in the middle.
var errBroken = errors.New("crashed")

// generation returns a number that no state had before.
func (l *lab) generation() uint64 {
	l.generations++
	return l.generations
}

// destroy removes a member, its state included.
func (n *labNode) destroy(group GroupID) {
	n.host.detach(group)
	n.change(Change{Remove: []GroupID{group}})
	delete(n.replicas, group)
	n.stepLoop(false)
}

func (n *labNode) change(c Change) {
	o := newOutcome()
	n.host.persist.add(appendTask{record: c.record, outcome: o})
	n.host.persist.step()
	<-o.done
	if o.err != nil {
		n.lab.t.Fatalf("node %d: %v", n.id, o.err)
	}
	n.lab.dispatch()
}

func (n *labNode) open(r *labReplica) {
	g, err := newGroup(n.host, r.spec)
	if err != nil {
		n.lab.t.Fatalf("node %d: %v", n.id, err)
	}
	n.host.attach(g)
	r.group = g
	n.wake = n.lab.now
}

// crash cuts the power: unsynced pages and applied entries are lost or not.
func (n *labNode) crash() {
	n.up = false
	n.disk = n.disk.Crash(n.lab.rng)
	for _, id := range slices.Sorted(maps.Keys(n.replicas)) {
		if m := n.replicas[id].machine; m != nil {
			m.applied = m.durable + uint64(n.lab.rng.Int63n(int64(m.applied-m.durable)+1))
		}
	}
}

// kill ends the process only.
func (n *labNode) kill() {
	n.up = false
	n.disk = n.disk.Kill()
}

// close ends the process in an orderly way.
func (n *labNode) close() {
	n.stepErrands()
	n.host.stop()
	n.host.persist.step()
	n.lab.dispatch()
	n.up = false
	if err := n.log.Close(); err != nil {
		n.lab.t.Fatalf("node %d: %v", n.id, err)
	}
}

// note mixes an event into the trace.
func (l *lab) note(event ...any) {
	h := fnv.New64a()
	fmt.Fprint(h, l.trace)
	fmt.Fprint(h, event...)
	l.trace = h.Sum64()
}

// found makes a group on the first of the nodes, with members on all of them
// and a wish that all are voters, and waits until that is so.
func (l *lab) found(id GroupID, prompt bool, nodes ...uint64) {
	l.t.Helper()
	for i, node := range nodes {
		l.node(node).create(Spec{
			ID: id, RaftID: labRaftID(node), Bootstrap: i == 0, Prompt: prompt, Members: labMembers(nodes...),
		}, true)
	}
	l.wish(id, Wish{Version: 1, Voters: labMembers(nodes...)})
	l.until("the founded group to settle", func() bool {
		n := l.leader(id)
		return n != nil && n.replicas[id].group.status().Settled
	})
}

// wish tells every running node.
func (l *lab) wish(id GroupID, w Wish) {
	l.wished = w
	for _, n := range l.nodes {
		if r := n.replicas[id]; n.up && r != nil {
			r.group.SetWish(w)
		}
	}
	l.drain()
}

// leader returns the node that leads a group and serves, or nil. Of several,
// the one of the latest term counts.
func (l *lab) leader(id GroupID) *labNode {
	var best *labNode
	var term uint64
	for _, n := range l.nodes {
		if r := n.replicas[id]; n.up && n.failure == nil && r != nil && r.group.Leads() {
			if _, at := r.group.Leader(); at > term {
				best, term = n, at
			}
		}
	}
	return best
}

// followers returns the other nodes of a group.
func (l *lab) followers(id GroupID, leader *labNode) (nodes []*labNode) {
	for _, n := range l.nodes {
		if n != leader && n.replicas[id] != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// isolate cuts a node off, or brings it back.
func (l *lab) isolate(n *labNode, off bool) {
	for _, o := range l.nodes {
		l.cut[[2]uint64{n.id, o.id}] = off
		l.cut[[2]uint64{o.id, n.id}] = off
	}
}
