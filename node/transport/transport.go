package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// Class separates streams to the same peer.
type Class uint8

// The classes of frames.
const (
	Control Class = iota // votes, heartbeats and other small, urgent frames
	Bulk                 // entries and everything big

	classes = 2
)

func (c Class) String() string {
	switch c {
	case Control:
		return "control"
	case Bulk:
		return "bulk"
	default:
		return fmt.Sprintf("class(%d)", uint8(c))
	}
}

// Identity is what a node says about itself.
type Identity struct {
	ClusterID uint64
	NodeID    uint64
	RaftAddr  string // the announced Raft address, host:port
	// Incarnation tells the processes apart that claim to be one node; what it
	// says is for Options.Admit to read. 64 KB at most.
	Incarnation string
}

// Presence is what is known of a node when a hello comes in its name.
type Presence struct {
	// Incarnation is that of its last stream that was let in, empty if there was
	// none, and Standing says whether such a stream stands.
	Incarnation string
	Standing    bool
	// Reached is the incarnation of who is at the other end of this node's own
	// control stream to it, empty while there is none; Apart is for how long there
	// has been none; 0 for a node that is no peer (yet).
	Reached string
	Apart   time.Duration
}

// Handler receives what other nodes send.
type Handler interface {
	// Receive takes over frame. It runs on one goroutine per sender and class
	// and should return soon: while it runs, that stream waits.
	Receive(from uint64, class Class, frame []byte)
	// Serve answers a call. The caller knows a token, but may be of any
	// cluster or, while joining, lone. ctx ends with the caller's deadline, when
	// the caller gives up, and when the transport closes. An error reaches the
	// caller as a *RemoteError with its text.
	Serve(ctx context.Context, from Identity, method uint8, request []byte) ([]byte, error)
	// Feed sends what a peer's fetch asks for. ctx ends when the stream does. An
	// error reaches the peer as a *RemoteError with its text.
	Feed(ctx context.Context, from Identity, request []byte, to *Feed) error
}

// DefaultMaxFrame is Options.MaxFrame's default: the largest entry of the log
// (multiraft.MaxPayload) and the largest record (keyspace.MaxRecord) fit into it.
const DefaultMaxFrame = 128 << 20

// Options of New. Zero values mean the default.
type Options struct {
	Listen   string       // host:port to listen on, unless Listener is given
	Listener net.Listener // taken over, also when New fails

	// Identity is asked for every hello, sent or received, sometimes with
	// internal locks held: it must be quick and not call the transport.
	Identity func() Identity
	// Tokens are the secrets of the cluster, two at most: a peer has to know one of
	// them. Without any, a peer has to have none.
	Tokens []string
	// Admit says why a node is not let in that has the same cluster id and a token,
	// or nil. It is asked of every hello, sometimes with internal locks held: it
	// must be quick and not call the transport. nil lets everybody in.
	Admit func(from Identity, known Presence) error
	// VoteDelay is told to peers, which ask with Transport.VoteDelay: for how long
	// this node votes for nobody else after it has heard of a leader. Whole
	// milliseconds count.
	VoteDelay time.Duration
	Handler   Handler
	Logger    *slog.Logger // default: no logging

	ListenTLS *tls.Config // nil: no TLS
	DialTLS   *tls.Config // nil: no TLS; an empty ServerName means the address's host

	MaxFrame    int // bytes of the largest frame, request and answer; default DefaultMaxFrame
	QueueFrames int // waiting frames per peer and class; default 4096
	QueueBytes  int // waiting bytes per peer and class; default 64 MiB

	protocol [2]uint16     // for tests: instead of ProtocolMin and ProtocolMax
	stall    time.Duration // for tests: instead of stallTimeout
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Admit == nil {
		o.Admit = func(Identity, Presence) error { return nil }
	}
	if o.MaxFrame <= 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.QueueFrames <= 0 {
		o.QueueFrames = 4096
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 64 << 20
	}
	if o.protocol == [2]uint16{} {
		o.protocol = [2]uint16{ProtocolMin, ProtocolMax}
	}
	if o.stall <= 0 {
		o.stall = stallTimeout
	}
}

// ErrClosed is returned by calls on a closed transport.
var ErrClosed = errors.New("transport: closed")

// Transport connects one node with its peers. All methods may be called
// concurrently.
type Transport struct {
	opts   Options
	addr   net.Addr
	server *grpc.Server
	served chan struct{} // closed when the accept loop has ended
	start  time.Time     // zero of the monotonic contact times
	log    *slog.Logger
	logged *limiter
	calls  *callPool

	secrets [][]byte
	door    door

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // links, inbound receivers, calls, fetches and feeds

	peers  atomic.Pointer[map[uint64]*peer] // an immutable map, by node id
	faults atomic.Pointer[Faults]           // nil unless a test set some

	mu     sync.Mutex // guards what follows, and is held to replace peers
	closed bool
	nodes  map[uint64]*node // all that are peers or have inbound streams
}

// peer is a node that streams are kept to. It is immutable.
type peer struct {
	addr  string
	links [classes]*link
}

// node is another node: one that we send to, or that sends to us, or both.
type node struct {
	id           uint64
	lastSent     atomic.Int64 // since Transport.start; 0: never
	lastReceived atomic.Int64
	voteDelay    time.Duration     // from the last hello; guarded by Transport.mu
	incarnation  string            // the same
	addr         string            // the same
	inbound      [classes]*inbound // guarded by Transport.mu
}

// New listens and begins to serve. Peers come with SetPeers.
func New(opts Options) (*Transport, error) {
	opts.setDefaults()
	listener := opts.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", opts.Listen); err != nil {
			return nil, fmt.Errorf("transport: cannot listen on %s: %w", opts.Listen, err)
		}
	}
	if opts.Identity == nil || opts.Handler == nil {
		_ = listener.Close()
		return nil, errors.New("transport: Identity and Handler are required")
	}
	t := &Transport{
		opts:   opts,
		addr:   listener.Addr(),
		served: make(chan struct{}),
		start:  time.Now().Add(-time.Nanosecond), // so that 0 is free for "never"
		log:    opts.Logger,
		logged: newLimiter(refusalLogInterval),
		nodes:  make(map[uint64]*node),

		secrets: newSecrets(opts.Tokens),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.peers.Store(&map[uint64]*peer{})
	t.calls = newCallPool(t)
	t.server = newServer(t)
	go func() {
		defer close(t.served)
		if err := t.server.Serve(socketListener{listener}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.log.Error("transport: no longer accepting connections", "err", err)
		}
	}()
	return t, nil
}

// Addr is the address that the transport listens on.
func (t *Transport) Addr() net.Addr { return t.addr }

// ownHello is this node's introduction.
func (t *Transport) ownHello(class Class, target uint64) hello {
	id := t.opts.Identity()
	return hello{
		protocolMin: t.opts.protocol[0], protocolMax: t.opts.protocol[1],
		features:  Features,
		clusterID: id.ClusterID, nodeID: id.NodeID, raftAddr: id.RaftAddr,
		incarnation: id.Incarnation,
		target:      target, class: class, voteDelay: t.opts.VoteDelay,
	}
}

// SetPeers keeps streams to exactly these nodes, by node id, at these addresses
// (host:port; a name is resolved at each dial). A changed address is dialled
// anew, and a change of any kind ends all waiting between attempts. The node
// itself is left out if it is among them.
func (t *Transport) SetPeers(addrs map[uint64]string) {
	self := t.opts.Identity().NodeID
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	old := *t.peers.Load()
	peers := make(map[uint64]*peer, len(addrs))
	changed := false
	for id, addr := range addrs {
		if id == self {
			continue
		}
		p := old[id]
		if p == nil || p.addr != addr {
			p = t.startPeer(id, addr)
			changed = true
		}
		peers[id] = p
	}
	for id, p := range old {
		if peers[id] != p {
			changed = true
			p.stop()
		}
	}
	if !changed {
		return
	}
	t.peers.Store(&peers)
	for id := range old {
		t.forgetIfUnused(id)
	}
	for _, p := range peers {
		p.kick()
	}
}

// startPeer is called with t.mu held.
func (t *Transport) startPeer(id uint64, addr string) *peer {
	p := &peer{addr: addr}
	n := t.nodeLocked(id)
	for c := range p.links {
		l := newLink(t, n, Class(c), addr)
		p.links[c] = l
		t.work.Go(l.run)
	}
	return p
}

func (p *peer) stop() {
	for _, l := range p.links {
		l.cancel()
	}
}

func (p *peer) kick() {
	for _, l := range p.links {
		l.kick()
	}
}

// nodeLocked finds or makes the record of a node; t.mu is held.
func (t *Transport) nodeLocked(id uint64) *node {
	n := t.nodes[id]
	if n == nil {
		n = &node{id: id}
		t.nodes[id] = n
	}
	return n
}

// forgetIfUnused drops the record of a node that neither side has a stream to;
// t.mu is held.
func (t *Transport) forgetIfUnused(id uint64) {
	n := t.nodes[id]
	if n != nil && (*t.peers.Load())[id] == nil && n.inbound == [classes]*inbound{} {
		delete(t.nodes, id)
	}
}

// Send queues frame for a peer and takes it over. It never blocks: it reports
// false, and the frame is gone, if the peer is not connected, its queue is full
// or the frame is larger than MaxFrame. True does not mean delivered.
func (t *Transport) Send(to uint64, class Class, frame []byte) bool {
	p := (*t.peers.Load())[to]
	if p == nil || class >= classes {
		return false
	}
	if t.losesTo(to) {
		return true
	}
	if len(frame) > t.opts.MaxFrame {
		if t.logged.allow("frame too large", time.Now()) {
			t.log.Error("transport: frame larger than the limit dropped", "size", len(frame), "limit", t.opts.MaxFrame)
		}
		return false
	}
	return p.links[class].queue.push(frame)
}

// Contact is what is known about the streams from and to one node.
type Contact struct {
	Connected    bool      // a control stream to it stands
	Inbound      bool      // a control stream from it stands
	InboundSince time.Time // since when
	Since        time.Time // of the last change of Connected; zero: not a peer
	LastSent     time.Time // a frame of any class was handed to the network; zero: never
	LastReceived time.Time // a frame of any class arrived; zero: never
	QueuedFrames int       // waiting to be sent, all classes
	QueuedBytes  int
	LastError    string // why the control stream is not connected; empty if it is
}

// Contact describes the contact with a node; it is zero for an unknown one.
func (t *Transport) Contact(id uint64) Contact {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[id]
	if n == nil {
		return Contact{}
	}
	c := Contact{
		LastSent:     t.at(n.lastSent.Load()),
		LastReceived: t.at(n.lastReceived.Load()),
	}
	if in := n.inbound[Control]; in != nil {
		c.Inbound, c.InboundSince = true, in.since
	}
	if p := (*t.peers.Load())[id]; p != nil {
		c.Connected, c.Since, c.LastError = p.links[Control].state()
		for _, l := range p.links {
			frames, bytes := l.queue.size()
			c.QueuedFrames += frames
			c.QueuedBytes += bytes
		}
	}
	return c
}

// VoteDelay returns what the node said when it last opened a stream to this one,
// 0 if there is none.
func (t *Transport) VoteDelay(id uint64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil {
		return n.voteDelay
	}
	return 0
}

// now is the present on the contact clock, never 0.
func (t *Transport) now() int64 { return int64(time.Since(t.start)) }

func (t *Transport) at(since int64) time.Time {
	if since == 0 {
		return time.Time{}
	}
	return t.start.Add(time.Duration(since))
}

// IdentityChanged is to be called after Identity has begun to give another
// answer. It ends all streams, in both directions; those to peers are opened
// again at once, with the new hello.
func (t *Transport) IdentityChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		for _, in := range n.inbound {
			if in != nil {
				in.end(errIdentityChanged)
			}
		}
	}
	for _, p := range *t.peers.Load() {
		for _, l := range p.links {
			l.reopen()
		}
	}
}

// Close ends all streams and calls and waits for their goroutines, Receive and
// Serve and Feed included; a Fetch has to be closed by whoever began it.
// Afterwards Send reports false, Call and Fetch return ErrClosed.
func (t *Transport) Close() error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	if first {
		t.cancel()
		t.server.Stop()
		t.peers.Store(&map[uint64]*peer{})
	}
	<-t.served
	t.work.Wait()
	t.calls.close()
	return nil
}
