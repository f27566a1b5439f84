package metaraft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// world is a network of nodes in one process. Each cluster's MetaRaft is a
// simGroup: one log, whose leader is any live voter while a majority lives, and
// which follows the wished membership at once. Everything above it is real.
type world struct {
	t   *testing.T
	log *slog.Logger

	mu     sync.Mutex
	groups map[uint64]*simGroup
	nodes  map[string]*simNode // by Raft address
	rng    *rand.Rand
	// unconfirmed counts departures that nobody confirmed in time, alone those
	// that the rest of the cluster does not know of.
	unconfirmed, alone atomic.Int64
	// fault decides about one call; nil means that it goes through.
	fault func(to *simNode, method uint8) fault
}

// fault is what happens to a call.
type fault struct{ dropRequest, dropReply, twice, unreachable bool }

func newWorld(t *testing.T, seed uint64) *world {
	level := slog.LevelError + 4
	if os.Getenv("METARAFT_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	w := &world{
		t:      t,
		groups: make(map[uint64]*simGroup), nodes: make(map[string]*simNode), rng: rand.New(rand.NewPCG(seed, 1)),
	}
	w.log = slog.New(witness{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}), w})
	t.Cleanup(func() {
		for _, n := range w.nodes {
			n.kill()
		}
	})
	return w
}

// witness counts the departures that had to go on without a confirmation.
type witness struct {
	slog.Handler
	w *world
}

func (h witness) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.Handler.Enabled(ctx, level)
}

func (h witness) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "have not confirmed") {
		h.w.unconfirmed.Add(1)
	}
	if strings.Contains(r.Message, "the node leaves alone") {
		h.w.alone.Add(1)
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h witness) WithAttrs(attrs []slog.Attr) slog.Handler {
	return witness{h.Handler.WithAttrs(attrs), h.w}
}

func (w *world) random() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Uint64()
}

func (w *world) group(id uint64) *simGroup {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.groups[id]
	if g == nil {
		g = &simGroup{id: id, changed: make(chan struct{}), replicas: make(map[uint64]*simReplica)}
		w.groups[id] = g
	}
	return g
}

// loseSome makes one call in so many lose its reply, as many its request, and
// delivers as many twice.
func (w *world) loseSome(in uint64) {
	w.setFault(func(*simNode, uint8) fault {
		switch w.random() % in {
		case 0:
			return fault{dropReply: true}
		case 1:
			return fault{dropRequest: true}
		case 2:
			return fault{twice: true}
		}
		return fault{}
	})
}

func (w *world) setFault(f func(to *simNode, method uint8) fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *world) node(addr string) (*simNode, func(*simNode, uint8) fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[addr], w.fault
}

// simNode is one machine: a disk that survives crashes, and the process.
type simNode struct {
	w    *world
	addr topology.Address

	mu      sync.Mutex
	id      Identity
	disk    map[uint64]*storage.Memory // a database per cluster
	keys    int64
	counted func() int64 // if not nil, how many keys there are
	mute    bool         // its shards' leaders do not answer
	idle    bool         // nor do they take up slots
	late    slot.Set     // where seals find keys
	messy   bool         // its shards' leaders do not delete garbage
	seeds   []string
	steps   func(step string) error
	tweak   func(*Options)
	// contact is what the node hears of others.
	contact func(topology.NodeID) topology.Contact

	node    *Node // nil while down
	replica *simReplica
	cancel  context.CancelFunc
	stopped sync.WaitGroup
}

// boot creates a node that was never started before and starts it.
func (w *world) boot(i int) *simNode { return w.bootAs(i, 0) }

// bootAs is boot with a given cluster id, which decides about directions.
func (w *world) bootAs(i int, cluster uint64) *simNode {
	n := &simNode{
		w: w, disk: make(map[uint64]*storage.Memory),
		addr: topology.Address{
			Host: "127.0.0.1", Port: uint16(7000 + i), BusPort: uint16(17000 + i), Raft: fmt.Sprintf("127.0.0.1:%d", 50000+i),
		},
	}
	if cluster == 0 {
		cluster = w.random()
	}
	n.id = Identity{Node: topology.NodeID(w.random()), Cluster: cluster, MetaID: 1}
	w.mu.Lock()
	w.nodes[n.addr.Raft] = n
	w.mu.Unlock()
	n.start()
	return n
}

// start starts the process over the disk.
func (n *simNode) start() {
	n.mu.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	opts := Options{
		Home: n, Peers: n, Shards: n, ClientPort: n, Address: n.addr, Seeds: n.seeds,
		Contact: func(id topology.NodeID) topology.Contact {
			if n.contact == nil {
				return topology.Contact{Pong: time.Now(), Connected: true}
			}
			return n.contact(id)
		},
		CommandTimeout: 10 * time.Second, MeetTimeout: 30 * time.Second, OrphanAfter: 50 * time.Millisecond,
		NodeTimeout: time.Second, CallTimeout: 500 * time.Millisecond, LeaveTimeout: time.Second,
		ReadTimeout: 2 * time.Second,
		Random:      n.w.random, Logger: n.w.log.With("port", n.addr.Port),
	}
	if n.tweak != nil {
		n.tweak(&opts)
	}
	node := NewNode(opts)
	node.checkpoint = func(step string) error {
		n.mu.Lock()
		steps := n.steps
		n.mu.Unlock()
		if steps != nil {
			return steps(step)
		}
		return nil
	}
	n.node, n.cancel = node, cancel
	n.attachLocked()
	replica := n.replica
	n.mu.Unlock()
	node.Attach(replica, replica.machine)
	n.stopped.Add(2)
	go func() { defer n.stopped.Done(); node.Run(ctx) }()
	go func() { defer n.stopped.Done(); n.serveShards(ctx, node) }()
}

// attachLocked starts the member that the identity names.
func (n *simNode) attachLocked() {
	if n.disk[n.id.Cluster] == nil {
		n.disk[n.id.Cluster] = storage.NewMemory()
	}
	n.replica = n.w.group(n.id.Cluster).start(n.id.MetaID, n.disk[n.id.Cluster], len(n.id.Bootstrap) == 0)
}

// kill ends the process; the disk stays.
func (n *simNode) kill() {
	n.mu.Lock()
	node, replica, cancel := n.node, n.replica, n.cancel
	n.node, n.replica = nil, nil
	n.mu.Unlock()
	if node == nil {
		return
	}
	cancel()
	n.stopped.Wait()
	replica.close()
}

// set changes what the test decides about the node.
func (n *simNode) set(change func(*simNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// running returns the process, nil while it is down.
func (n *simNode) running() *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.node
}

// serveShards plays the leaders of the shards that this node is master of, and
// reports changes of membership done.
func (n *simNode) serveShards(ctx context.Context, node *Node) {
	for {
		a, changed := node.current()
		var watch <-chan struct{}
		var again <-chan time.Time // while a report may have been lost
		if a != nil {
			watch = a.machine.Watch()
			n.mu.Lock()
			mute := n.mute
			if n.messy { // until it is told to tidy up
				again = time.After(5 * time.Millisecond)
			}
			n.mu.Unlock()
			for _, report := range n.reports(a.machine.State(), a.id.Node) {
				if _, err := node.ProposeIn(ctx, a.id.Cluster, report); err != nil {
					again = time.After(5 * time.Millisecond)
				}
			}
			for _, shard := range a.machine.State().Shards {
				if _, member := shard.member(a.id.Node); !mute && member && len(shard.Leaving) > 0 {
					// All members report, each beside its other duties: any of them
					// may be the one that does not know the leader yet.
					n.stopped.Go(func() {
						_, _ = node.ProposeIn(ctx, a.id.Cluster, &MembershipDone{Shard: shard.ID, Version: shard.Version})
					})
					again = time.After(5 * time.Millisecond)
				}
			}
		}
		select {
		case <-watch:
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// reports returns what the leaders of the shards that the node is master of have to say
// of slots.
func (n *simNode) reports(s *State, self topology.NodeID) (reports []Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	leads := func(group topology.GroupID) bool {
		shard := s.Shard(group)
		return !n.mute && shard != nil && shard.Master == self
	}
	for _, in := range s.Intents {
		for _, g := range in.Pending {
			if in.Migration == 0 && leads(g) {
				reports = append(reports, &Sealed{Intent: in.ID, Group: g, Residue: Slots{n.late}})
			}
		}
	}
	for _, r := range s.Residue {
		for slot := range n.late.All {
			r.Slots.Remove(slot)
		}
		if leads(r.Group) && !r.Slots.Empty() {
			reports = append(reports, &ClearResidue{Group: r.Group, Slots: r.Slots})
		}
	}
	for _, g := range s.Garbage {
		if leads(g.Group) && !n.messy {
			reports = append(reports, &GarbageGone{Group: g.Group, Slots: g.Slots, Epoch: g.Epoch})
		}
	}
	return reports
}

// Identity implements Home.
func (n *simNode) Identity() Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// Adopt implements Home.
func (n *simNode) Adopt(_ context.Context, admit AdmitOutcome) error {
	id := Identity{Node: n.Identity().Node, Cluster: admit.ClusterID, MetaID: admit.MetaID, Former: n.Identity().Cluster}
	id.Farewells = n.Identity().Farewells
	for _, p := range admit.Peers {
		id.Bootstrap = append(id.Bootstrap, p.RaftAddr)
	}
	return n.move(id)
}

// BecomeLone implements Home.
func (n *simNode) BecomeLone(_ context.Context, newID bool, with Beginning) error {
	id := Identity{Node: n.Identity().Node, Cluster: n.w.random(), MetaID: 1, Beginning: with, Former: n.Identity().Former}
	if newID {
		id.Node = topology.NodeID(n.w.random())
	}
	n.mu.Lock()
	n.keys = 0
	n.mu.Unlock()
	return n.move(id)
}

func (n *simNode) move(id Identity) error {
	n.mu.Lock()
	node, old := n.node, n.replica
	n.mu.Unlock()
	if node == nil {
		return errors.New("the process is down")
	}
	old.close()
	n.mu.Lock()
	n.id = id
	n.disk = make(map[uint64]*storage.Memory)
	n.attachLocked()
	replica := n.replica
	n.mu.Unlock()
	node.Attach(replica, replica.machine)
	return nil
}

// HandOff implements Shards.
func (n *simNode) HandOff(context.Context) {}

// AwaitOwned implements Shards.
func (n *simNode) AwaitOwned(ctx context.Context, _ topology.GroupID, _ slot.Set, _ uint64) error {
	n.mu.Lock()
	idle := n.idle
	n.mu.Unlock()
	if !idle {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// Keys implements Shards.
func (n *simNode) Keys(context.Context) (int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counted != nil {
		return n.counted(), nil
	}
	return n.keys, nil
}

// callError implements NotSent.
type callError struct{ sent bool }

func (e callError) Error() string { return fmt.Sprintf("connection refused (sent: %v)", e.sent) }
func (e callError) NotSent() bool { return !e.sent }

// Call implements Peers.
func (n *simNode) Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error) {
	peer, decide := n.w.node(addr)
	if peer == nil {
		return nil, callError{}
	}
	var f fault
	if decide != nil {
		f = decide(peer, method)
	}
	if f.unreachable {
		return nil, callError{}
	}
	if f.dropRequest {
		return nil, callError{sent: true}
	}
	node := peer.running()
	if node == nil {
		return nil, callError{}
	}
	if f.twice {
		_, _ = node.Serve(ctx, uint64(n.Identity().Node), method, slices.Clone(request))
	}
	reply, err := node.Serve(ctx, uint64(n.Identity().Node), method, slices.Clone(request))
	if err != nil {
		return nil, err
	}
	if f.dropReply || peer.running() != node {
		return nil, callError{sent: true}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return reply, nil
}

// Identify implements ClientPort: it dials a client port.
func (n *simNode) Identify(_ context.Context, hostport string) (PeerInfo, error) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	for _, peer := range n.w.nodes {
		if fmt.Sprintf("%s:%d", peer.addr.Host, peer.addr.Port) == hostport {
			return PeerInfo{Address: peer.addr}, nil
		}
	}
	return PeerInfo{}, errors.New("dial tcp " + hostport + ": connection refused")
}

func (n *simNode) meet(peer *simNode) error {
	return n.running().Meet(n.w.t.Context(), peer.addr.Host, int(peer.addr.Port), 0)
}

func (n *simNode) view() *topology.View { return n.running().View(n.w.t.Context()) }

// eventually fails the test when cond stays false until a generous deadline.
func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(limit.Wait())
	for !cond() {
		if time.Now().After(deadline) {
			for _, n := range w.nodes {
				if node := n.running(); node != nil {
					w.t.Logf("%s: %+v", n.addr.Raft, node.Info())
				}
			}
			w.t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// together reports whether all nodes stay as members of one cluster that
// has exactly them.
func together(nodes []*simNode) bool {
	first := nodes[0].running().Info()
	for _, n := range nodes {
		info := n.running().Info()
		if !info.Staying || info.Cluster != first.Cluster || info.Nodes != len(nodes) {
			return false
		}
		v := n.running().Current()
		for _, m := range nodes {
			if v.Node(m.Identity().Node) == nil {
				return false
			}
		}
	}
	return true
}

func (w *world) mustBeTogether(nodes []*simNode) {
	w.t.Helper()
	w.eventually("all nodes in one cluster", func() bool { return together(nodes) })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func slotRange(first, last uint16) slot.Set {
	return slot.FromRanges([]slot.Range{{Start: first, End: last}})
}
