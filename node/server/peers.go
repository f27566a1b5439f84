package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// network is what a node uses of a transport.Transport.
type network interface {
	Send(node uint64, class transport.Class, frame []byte) bool
	Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error)
	Contact(node uint64) transport.Contact
	SetPeers(addrs map[uint64]string)
	Reexamine()
	IdentityChanged()
	VoteDelay(node uint64) time.Duration
	SetFaults(f *transport.Faults)
	Fetch(ctx context.Context, node uint64, request []byte) (snapshot.In, error)
	Close() error
}

// wire makes a transport.Transport a network.
type wire struct {
	*transport.Transport
	processors *lender
}

// Fetch implements network.
func (w wire) Fetch(ctx context.Context, node uint64, request []byte) (snapshot.In, error) {
	giveBack := w.processors.lend()
	f, err := w.Transport.Fetch(ctx, node, request)
	if err != nil {
		giveBack()
		return nil, err
	}
	return inflow{f, giveBack}, nil
}

// raftTransport makes the transport what multiraft sends through.
type raftTransport struct{ node *node }

// Send implements multiraft.Transport.
func (t raftTransport) Send(node uint64, control bool, frame []byte) bool {
	t.node.sent.Add(1)
	if !control {
		return t.node.transport.Send(node, transport.Bulk, frame)
	}
	sent := t.node.transport.Send(node, transport.Control, frame)
	t.node.sendAlong(node)
	return sent
}

// peerHandler takes what peers send. It exists before what it hands things to,
// since the transport listens first: until it is opened, frames are dropped and
// calls wait.
type peerHandler struct {
	host  atomic.Pointer[multiraft.Host]
	node  *node
	ready chan struct{} // closed when node is complete
}

func newPeerHandler(n *node) *peerHandler { return &peerHandler{node: n, ready: make(chan struct{})} }

func (h *peerHandler) open() {
	h.host.Store(h.node.host)
	close(h.ready)
}

// Receive implements transport.Handler.
func (h *peerHandler) Receive(from uint64, _ transport.Class, frame []byte) {
	if isBeat(frame) {
		h.node.hearsay.note(topology.NodeID(from), frame, h.node.sched.Now())
		return
	}
	h.node.received.Add(1)
	if host := h.host.Load(); host != nil {
		host.Receive(from, frame)
	}
}

// Serve implements transport.Handler.
func (h *peerHandler) Serve(ctx context.Context, from transport.Identity, method uint8, request []byte) ([]byte, error) {
	if method == methodHolder {
		return nil, nil // the caller was let in: that is the answer
	}
	if sched.Wait(h.node.sched, time.Time{}, h.ready, ctx.Done()) == 1 {
		return nil, ctx.Err()
	}
	switch method {
	case methodMetaStatus:
		return json.Marshal(h.node.metaStatus(ctx))
	case methodHandOver:
		return h.node.handOver(ctx, request)
	case methodPull:
		return h.node.feed(ctx, request)
	default:
		return h.node.meta.Serve(ctx, from.NodeID, method, request)
	}
}

// Feed implements transport.Handler.
func (h *peerHandler) Feed(ctx context.Context, _ transport.Identity, request []byte, to *transport.Feed) error {
	if sched.Wait(h.node.sched, time.Time{}, h.ready, ctx.Done()) == 1 {
		return ctx.Err()
	}
	defer h.node.processors.lend()()
	return h.node.sendState(ctx, request, to)
}

// peers makes the transport what metaraft calls through.
type peers struct{ transport network }

// Call implements metaraft.Peers.
func (p peers) Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error) {
	reply, err := p.transport.Call(ctx, addr, method, request)
	if errors.Is(err, transport.ErrNotSent) {
		return nil, notSent{err}
	}
	return reply, err
}

// notSent marks an error after which the peer has certainly heard nothing.
type notSent struct{ error }

func (notSent) NotSent() bool   { return true }
func (e notSent) Unwrap() error { return e.error }

// clientPort asks whoever listens on a client port for its Raft address; it
// implements metaraft.ClientPort.
type clientPort struct{ node *node }

// Identify implements metaraft.ClientPort.
func (c clientPort) Identify(ctx context.Context, hostport string) (metaraft.PeerInfo, error) {
	client, err := resp.Dial(ctx, hostport)
	if err != nil {
		return metaraft.PeerInfo{}, err
	}
	defer client.Close()
	if password := c.node.backend.password(); password != "" {
		if reply, err := client.Do(ctx, "AUTH", password); err != nil || reply.IsError() {
			return metaraft.PeerInfo{}, fmt.Errorf("%s refused our password", hostport)
		}
	}
	reply, err := client.Do(ctx, "INFO", "server")
	if err != nil {
		return metaraft.PeerInfo{}, err
	}
	if reply.IsError() {
		return metaraft.PeerInfo{}, fmt.Errorf("%s answered %s", hostport, reply.Str)
	}
	for line := range strings.Lines(string(reply.Str)) {
		if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "raft_addr:"); ok && addr != "" {
			return metaraft.PeerInfo{Address: topology.Address{Raft: addr}}, nil
		}
	}
	return metaraft.PeerInfo{}, fmt.Errorf("%s is no aikv node", hostport)
}

// contact is what the node knows of its link to a peer.
func (n *node) contact(id topology.NodeID) topology.Contact {
	c := n.transport.Contact(uint64(id))
	heard := c.LastReceived
	return topology.Contact{
		Connected: c.Connected, Ping: c.LastSent, Pong: heard, Since: c.Since, SendBuffer: c.QueuedBytes, From: c.InboundSince,
		Offset:  n.hearsay.offset(id),
		Suspect: !heard.IsZero() && n.sched.Now().Sub(heard) > n.meta.NodeTimeout(),
	}
}

// live is what the node knows of the cluster at this moment; it implements
// topology.Live.
type live struct{ node *node }

// Messages implements topology.MessageCounter: it counts frames.
func (l live) Messages() (sent, received uint64) { return l.node.sent.Load(), l.node.received.Load() }

// Contact implements topology.Live.
func (l live) Contact(peer topology.NodeID) topology.Contact { return l.node.contact(peer) }

// Leader implements topology.Live: by this node's own replica, or by what the
// leader itself said.
func (l live) Leader(group topology.GroupID) topology.NodeID {
	leader, member := l.node.replicas.LeaderNode(group)
	if !member {
		return l.node.hearsay.leader(group, l.node.sched.Now().Add(-l.node.meta.NodeTimeout()))
	}
	// A replica that cannot be a candidate goes on naming a leader that is gone.
	if leader != l.node.home.Identity().Node && l.node.contact(leader).Suspect {
		return 0
	}
	return leader
}
