package multiraft

import (
	"bytes"
	"cmp"
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

func (m *labMachine) Check([]byte) error { return nil }

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

// labLink is a node's Transport.
type labLink struct{ from *labNode }

func (k labLink) Send(to uint64, control bool, frame []byte) bool {
	l := k.from.lab
	if l.refuse != nil && l.refuse(k.from.id, to, control) {
		return false
	}
	l.sent = append(l.sent, packet{from: k.from.id, to: to, control: control, frame: frame})
	return true
}

// dispatch puts what the last step sent on the wire.
func (l *lab) dispatch() {
	for _, p := range l.sent {
		if l.cut[[2]uint64{p.from, p.to}] || p.to > uint64(len(l.nodes)) {
			continue
		}
		if l.pass != nil {
			if p.frame = l.filter(p); p.frame == nil {
				continue
			}
		}
		l.post(p)
	}
	clear(l.sent)
	l.sent = l.sent[:0]
}

// post sends a packet, past all filters but fate.
func (l *lab) post(p packet) {
	delays := []time.Duration{0}
	if l.fate != nil {
		delays = l.fate(p)
	}
	for i, d := range delays {
		l.seq++
		p.seq, p.due = l.seq, l.now.Add(d)
		if i > 0 {
			p.frame = bytes.Clone(p.frame)
		}
		l.wire = append(l.wire, p)
	}
}

// filter returns the frame without the messages that may not pass.
func (l *lab) filter(p packet) []byte {
	out := appendFrameHeader(nil, testCluster)
	err := decodeFrame(p.frame, testCluster, func(id GroupID, m *pb.Message) {
		if l.pass(p.from, p.to, id, m) {
			out = appendMessage(out, id, m)
		}
	})
	if err != nil {
		l.t.Fatalf("node %d sent what cannot be decoded: %v", p.from, err)
	}
	if len(out) == frameHeader {
		return nil
	}
	return out
}

// deliver hands out what is due.
func (l *lab) deliver() bool {
	var due []packet
	rest := l.wire[:0]
	for _, p := range l.wire {
		if p.due.After(l.now) {
			rest = append(rest, p)
		} else {
			due = append(due, p)
		}
	}
	clear(l.wire[len(rest):])
	l.wire = rest
	slices.SortFunc(due, func(a, b packet) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.seq, b.seq))
	})
	for _, p := range due {
		l.note("frame", p.from, p.to, uint64(l.now.UnixNano()), p.frame)
		if n := l.node(p.to); n.up {
			n.host.Receive(p.from, p.frame)
		}
	}
	return len(due) > 0
}

// note mixes an event into the trace.
func (l *lab) note(event ...any) {
	h := fnv.New64a()
	fmt.Fprint(h, l.trace)
	fmt.Fprint(h, event...)
	l.trace = h.Sum64()
}

// busy says what parts of a node were woken, which is when their goroutines
// would call their step functions; a wake-up that is missing is missed here too.
func (n *labNode) busy() (loop, disk bool, appliers []*applier) {
	loop = len(n.host.inbox.wake) > 0 || !n.wake.IsZero() && !n.lab.now.Before(n.wake)
	disk = len(n.host.persist.queue.signal) > 0
	for _, g := range n.host.order {
		if len(g.applier.signal) > 0 {
			appliers = append(appliers, g.applier)
		}
	}
	return loop, disk, appliers
}

// woken takes a wake-up, if there is one.
func woken(signal chan struct{}) {
	select {
	case <-signal:
	default:
	}
}

func (n *labNode) stepLoop(tick bool) {
	woken(n.host.inbox.wake)
	n.wake = n.host.step(n.lab.now, tick)
	n.lab.dispatch()
}

func (n *labNode) stepDisk() {
	woken(n.host.persist.queue.signal)
	n.host.persist.step()
	n.lab.dispatch()
}

// stepErrands does what was left to goroutines beside the loop.
func (n *labNode) stepErrands() {
	errands := n.host.errands
	n.host.errands = nil
	for _, fn := range errands {
		fn()
	}
}

func (n *labNode) stepApplier(a *applier) {
	woken(a.signal)
	a.step()
}

// drain works until nothing is left to do at this moment.
func (l *lab) drain() {
	for again := true; again; {
		again = l.deliver()
		for _, n := range l.nodes {
			if !n.up || n.failure != nil {
				continue
			}
			loop, _, _ := n.busy()
			if loop {
				n.stepLoop(false)
			}
			_, disk, appliers := n.busy()
			if disk && !n.holdDisk {
				n.stepDisk()
			} else {
				disk = false
			}
			if n.holdApply {
				appliers = nil
			}
			for _, a := range appliers {
				n.stepApplier(a)
			}
			errands := len(n.host.errands) > 0
			n.stepErrands()
			again = again || loop || disk || errands || len(appliers) > 0
		}
	}
}

// tick lets one tick pass, in steps of a millisecond.
func (l *lab) tick() {
	l.drain()
	for range 10 {
		l.now = l.now.Add(time.Millisecond)
		l.drain()
	}
	for _, n := range l.nodes {
		if n.up && n.failure == nil {
			n.stepLoop(true)
		}
	}
	l.drain()
}

func (l *lab) ticks(n int) {
	for range n {
		l.tick()
	}
}

// until lets time pass until cond holds.
func (l *lab) until(what string, cond func() bool) {
	l.t.Helper()
	for range 2000 {
		if cond() {
			return
		}
		l.tick()
	}
	l.t.Fatalf("this never came: %s", what)
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

// labCall is a Call that watches over itself.
type labCall struct {
	Call
	lab     *lab
	node    *labNode
	host    *Host // the process that it was given to
	replica *labReplica
	group   GroupID
	value   uint64 // 0: a barrier
	asked   int64  // ticks of the host
	// floor is what a barrier must see: the place of the last write that was
	// acknowledged, and of whatever was read, before it was asked.
	floor uint64
	seen  uint64
	ended int
}

// Done implements Call's Done.
func (c *labCall) Done() {
	c.ended++
	if m := c.replica.machine; m != nil {
		c.seen = m.applied
	}
	c.lab.note("end", c.node.id, c.value, c.Err, c.seen)
}

func (l *lab) call(n *labNode, group GroupID, value uint64) *labCall {
	c := &labCall{
		lab: l, node: n, host: n.host, replica: n.replicas[group], group: group, value: value, asked: n.host.ticks,
	}
	c.Call.Done = c
	if value != 0 {
		c.Payload = payload(value)
	}
	l.calls = append(l.calls, c)
	return c
}

// write submits a value; barrier asks for a barrier. Neither waits.
func (l *lab) write(n *labNode, group GroupID, value uint64) *labCall {
	c := l.call(n, group, value)
	c.replica.group.Submit(&c.Call)
	return c
}

func (l *lab) barrier(n *labNode, group GroupID) *labCall {
	c := l.call(n, group, 0)
	c.replica.group.Barrier(&c.Call)
	return c
}

// finish waits for the end of calls and fails unless each ended once.
func (l *lab) finish(calls ...*labCall) {
	l.t.Helper()
	l.until("the end of the calls", func() bool {
		return !slices.ContainsFunc(calls, func(c *labCall) bool { return c.ended == 0 })
	})
	l.ticks(3)
	for _, c := range calls {
		if c.ended != 1 {
			l.t.Errorf("a call ended %d times", c.ended)
		}
	}
}

// lossy loses percent of the packets and delays the others by up to 5 ms.
func lossy(l *lab, percent int) []time.Duration {
	if l.rng.Intn(100) < percent {
		return nil
	}
	return []time.Duration{time.Duration(l.rng.Intn(5000)) * time.Microsecond}
}

// jiggle lets one part of one node work, and now and then time pass.
func (l *lab) jiggle(i int) {
	l.deliver()
	n := l.nodes[l.rng.Intn(len(l.nodes))]
	loop, disk, appliers := n.busy()
	switch {
	case i%len(l.nodes) == 0 && l.rng.Intn(4) == 0:
		l.now = l.now.Add(time.Millisecond)
	case l.rng.Intn(30) == 0:
		n.stepLoop(true)
	case loop && l.rng.Intn(2) == 0:
		n.stepLoop(false)
	case disk && l.rng.Intn(2) == 0:
		n.stepDisk()
	case len(appliers) > 0:
		n.stepApplier(appliers[0])
	}
}
