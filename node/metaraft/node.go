package metaraft

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// attachment is the node's current part in MetaRaft: its Raft member, the state
// machine, and the identity that they belong to.
type attachment struct {
	raft    Raft
	machine *Machine
	id      Identity
	arrived atomic.Bool // the node's own membership was applied once
}

func (a *attachment) view() *topology.View { return a.machine.View(a.id.Node) }

// member returns the view, and whether it has the node's own membership: before
// that is applied, the state is empty or of the time before the node's
// admission. Two calls may see different states.
func (a *attachment) member() (v *topology.View, ok bool) {
	v = a.view()
	me := v.Me()
	ok = me != nil && me.MetaID == a.id.MetaID
	if ok {
		a.arrived.Store(true)
	}
	return v, ok
}

func (a *attachment) ready() bool {
	_, ok := a.member()
	return ok
}

// Node drives this node's part of MetaRaft: it forwards topology changes to the
// leader, brings the node into clusters and out of them, and does the leader's
// background duties. All methods may be called concurrently. Attach comes
// first, and Run has to run for anything to make progress.
//
// What it guarantees, and where that is tested:
//
//   - A change takes effect at most once, however often it is sent; an error
//     other than Uncertain means that it did not: TestForwardOnce,
//     TestForwardOutcomes, TestLostReplies.
//   - A node is in one cluster at a time. Once its token has left it, it neither
//     changes nor gives up its own cluster before the token is answered, or can
//     never be: TestCrashInJoin, TestTargetGoesAway, TestTargetResets. Only a
//     reset cuts that short: TestResetEscapes, TestResetWithdrawsJoin.
//   - Meets in any order, number and direction end in one cluster, unless two
//     islands own slots: TestJoinOrders, TestParallelMeets, TestMeetIslands.
//   - A MEET that answers OK was confirmed by a linearizable read; one that
//     answers an error other than an uncertain one will not have an effect later:
//     TestMeetAfterForget, TestMeetTimeout, TestStorms.
//   - Who follows whom survives a dissolution, and whoever was forgotten before
//     stays away: TestDissolveKeepsRoles, TestForgottenBeforeDissolve.
//   - What survives a crash is enough to go on: the steward derives everything
//     from durable state.
//   - A node gives its data up only when a peer confirmed by a linearizable read
//     that it is no member, when it applied that itself, when a majority confirms
//     that its cluster dissolved, or when its cluster can never act again and owns
//     nothing: TestForget, TestLastOfDeadCluster, TestForgedNotices.
type Node struct {
	opts     Options
	sched    sched.Sched
	log      *slog.Logger
	nonce    uint64
	sequence *sequence

	life context.Context // ends with Run
	stop context.CancelFunc
	work *sched.Group

	attached atomic.Pointer[attachment] // replaced with mu held

	mu      sync.Mutex
	closed  bool
	changed chan struct{} // closed at the next Attach
	join    *join         // the one that is running
	duties  map[string]struct{}
	parted  map[parting]struct{} // farewells that were confirmed
	// dissolved is where the members of a cluster that this node saw dissolve
	// went, for those who missed it.
	dissolved struct {
		cluster uint64
		end     *dissolution
	}

	orphaned int // see statelessInquiries; used by inquire alone

	// mayMove has a value in it unless somebody took that to move the node to another
	// cluster: one join, reset or departure at a time. See beginMove.
	mayMove chan struct{}
	kick    chan struct{} // wakes the steward

	address     atomic.Pointer[topology.Address] // what this node announces
	nodeTimeout atomic.Int64                     // Options.NodeTimeout, as SetNodeTimeout left it

	last      atomic.Pointer[topology.View] // the last view that has the node in it
	confirmed atomic.Pointer[confirmation]

	// checkpoint is called between the steps of a join; an error ends it there
	// as a crash would. Tests set it.
	checkpoint func(step string) error
}

// confirmation remembers the copy of a view that says Quorum.
type confirmation struct{ base, view *topology.View }

// NewNode returns a Node without a part in MetaRaft; Attach gives it one.
func NewNode(opts Options) *Node {
	opts = opts.withDefaults()
	n := &Node{
		opts: opts, sched: opts.Sched, log: opts.Logger, nonce: opts.Random(), sequence: newSequence(opts.Sched),
		work:    sched.NewGroup(opts.Sched),
		changed: make(chan struct{}), duties: make(map[string]struct{}), parted: make(map[parting]struct{}), mayMove: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		checkpoint: func(string) error { return nil },
	}
	n.address.Store(&opts.Address)
	n.SetNodeTimeout(opts.NodeTimeout)
	n.mayMove <- struct{}{}
	n.life, n.stop = context.WithCancel(context.Background())
	return n
}

// Attach makes raft and machine the node's member of MetaRaft, with
// Home.Identity as of now. Home's methods call it, and the start of the node.
func (n *Node) Attach(raft Raft, machine *Machine) {
	a := &attachment{raft: raft, machine: machine, id: n.opts.Home.Identity()}
	n.mu.Lock()
	n.attached.Store(a)
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
}

// current returns the present attachment, nil before the first Attach, and a
// channel that is closed at the next one.
func (n *Node) current() (*attachment, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attached.Load(), n.changed
}

// await returns once cond is true of the current attachment, or with ctx's error.
// It looks again after each change of its state and each Attach.
func (n *Node) await(ctx context.Context, cond func(*attachment) bool) (*attachment, error) {
	for {
		a, changed := n.current()
		var watch <-chan struct{}
		if a != nil {
			watch = a.machine.Watch()
			if cond(a) {
				return a, nil
			}
		}
		switch sched.Wait(n.sched, time.Time{}, watch, changed, ctx.Done(), n.life.Done()) {
		case 2:
			return nil, ctx.Err()
		case 3:
			return nil, context.Canceled
		}
	}
}

// within is context.WithTimeout on the node's clock.
func (n *Node) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return n.sched.WithTimeout(ctx, d)
}

// Run does the node's background duties until ctx ends, and returns when
// everything the Node started has ended.
func (n *Node) Run(ctx context.Context) {
	n.spawn("steward", n.steward)
	n.spawn("keep time", n.keepTime)
	sched.Wait(n.sched, time.Time{}, ctx.Done())
	n.stop()
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.work.Wait()
}

// spawn runs fn in a goroutine that ends with Run; it reports false, and does
// nothing, after Run ended.
func (n *Node) spawn(name string, fn func(ctx context.Context)) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.work.Go(name, func() { fn(n.life) })
	return true
}

// wake makes the steward look at the node's situation again.
func (n *Node) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// Current returns what this node has applied, without asking anyone; it is
// cheap enough to be called for every command. The node itself is always in it:
// while the state of a cluster that it joined has not arrived, the view is the
// last one of its own.
func (n *Node) Current() *topology.View {
	a := n.attached.Load()
	if a != nil {
		if v := a.view(); v == n.last.Load() {
			return v
		}
		if v, ok := a.member(); ok {
			n.last.Store(v)
			return v
		}
	}
	id := n.identity(a)
	if v := n.last.Load(); v != nil && v.Self == id.Node && (v.ClusterID == id.Cluster || len(id.Bootstrap) > 0) {
		return v
	}
	me := &topology.Node{ID: id.Node, Address: n.Address(), MetaID: id.MetaID}
	return &topology.View{Self: id.Node, ClusterID: id.Cluster, Nodes: []*topology.Node{me}}
}

// Changed returns a channel that is closed when Current changes next, unless that is
// because the node has moved to another cluster.
func (n *Node) Changed() <-chan struct{} {
	a, changed := n.current()
	if a == nil {
		return changed
	}
	return a.machine.Watch()
}

// identity returns the identity that goes with a, which may be nil.
func (n *Node) identity(a *attachment) Identity {
	if a == nil {
		return n.opts.Home.Identity()
	}
	return a.id
}

// View returns the topology after a linearizable read. When MetaRaft has no
// quorum within the read timeout it returns what this node has applied, with
// Quorum unset.
func (n *Node) View(ctx context.Context) *topology.View {
	ctx, cancel := n.within(ctx, n.opts.ReadTimeout)
	defer cancel()
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return n.Current()
	}
	if leader, _ := a.raft.Leader(); leader == 0 {
		// Most likely there is no quorum; an election takes less than that.
		ctx, cancel = n.within(ctx, n.opts.ReadTimeout/2)
		defer cancel()
	}
	if a.raft.Barrier(ctx) != nil {
		return n.Current()
	}
	v, ok := a.member()
	if !ok {
		return n.Current()
	}
	n.last.Store(v)
	if c := n.confirmed.Load(); c != nil && c.base == v {
		return c.view
	}
	// A View is large; one copy per change of the topology is cheap.
	quorum := *v
	quorum.Quorum = true
	n.confirmed.Store(&confirmation{base: v, view: &quorum})
	return &quorum
}

// Info returns what this node tells peers about itself.
func (n *Node) Info() PeerInfo {
	a, _ := n.current()
	if a == nil || !a.ready() {
		id := n.identity(a)
		return PeerInfo{Node: id.Node, Cluster: id.Cluster, MetaID: id.MetaID, Address: n.Address(), Members: id.Bootstrap, Lineage: n.opts.Lineage()}
	}
	v, s := a.view(), a.machine.State()
	p := PeerInfo{
		Node: a.id.Node, Cluster: a.id.Cluster, MetaID: a.id.MetaID, Address: n.Address(),
		Nodes: len(v.Nodes), Slots: v.Assigned(), Residue: s.holdsStrays(),
		Staying: staying(s), Members: members(v), Lineage: n.opts.Lineage(),
	}
	switch {
	case s.Frozen != nil:
		p.Joining = s.Frozen.TargetAddr
	case s.Dissolved != nil:
		p.Joining = s.Dissolved.TargetAddr
	}
	return p
}

// members returns the Raft addresses of the view's nodes.
func members(v *topology.View) []string {
	addrs := make([]string, len(v.Nodes))
	for i, node := range v.Nodes {
		addrs[i] = node.Address.Raft
	}
	return addrs
}

// others returns the Raft addresses of all other members as far as this node
// knows them, in random order.
func (n *Node) others() []string {
	addrs := members(n.Current())
	if a, _ := n.current(); a != nil {
		addrs = append(addrs, a.id.Bootstrap...)
		// A node that was restarted after it applied its own removal is shown none of
		// them, and has to ask somebody.
		for _, m := range a.machine.State().MetaMembers() {
			addrs = append(addrs, m.RaftAddr)
		}
	}
	return n.shuffled(addrs, n.opts.Address.Raft)
}

// shuffle is Fisher-Yates with the injected randomness.
func (n *Node) shuffle(length int, swap func(i, j int)) {
	for i := length - 1; i > 0; i-- {
		swap(i, int(n.opts.Random()%uint64(i+1)))
	}
}

// token returns a random number that is not zero.
func (n *Node) token() uint64 {
	for {
		if t := n.opts.Random(); t != 0 {
			return t
		}
	}
}

// backoff is a delay that doubles from first to last.
type backoff struct {
	sched             sched.Sched
	first, last, next time.Duration
}

func (n *Node) backoff(first, last time.Duration) backoff {
	return backoff{sched: n.sched, first: first, last: last, next: first}
}

// wait reports false when ctx ended first.
func (b *backoff) wait(ctx context.Context) bool {
	ok := sched.Sleep(ctx, b.sched, b.next)
	b.next = min(2*b.next, b.last)
	return ok
}
