package transport

import (
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// inbound is one stream from another node. Its gRPC handler waits while a
// receiving goroutine reads, so that a stream can be ended from this side: gRPC
// aborts a pending RecvMsg only when the handler has returned.
type inbound struct {
	first    chan message  // the hello, once
	accepted chan struct{} // closed when the hello was accepted
	stop     chan struct{} // closed when the stream is to end
	done     chan struct{} // closed when the receiving goroutine has ended

	once   sync.Once
	reason error // why stop was closed
	err    error // what RecvMsg ended with; valid once done is closed
	from   *node // valid once accepted is closed
	class  Class
	since  time.Time // when it was accepted; as from
}

var errSuperseded = errors.New("a newer stream took the place of this one")

func (in *inbound) end(reason error) {
	in.once.Do(func() {
		in.reason = reason
		close(in.stop)
	})
}

// serveFrames handles one stream from its hello to its end.
func (t *Transport) serveFrames(stream grpc.ServerStream) error {
	in := &inbound{
		first:    make(chan message, 1),
		accepted: make(chan struct{}),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	if !t.begin() {
		return status.Error(codes.Unavailable, "the node is shutting down")
	}
	go func() {
		defer t.work.Done()
		defer close(in.done)
		in.err = t.receive(in, stream)
	}()
	defer in.end(nil) // lets the receiver go if the hello was refused

	hello, err := t.awaitHello(in)
	if err != nil {
		t.logRefusal(stream, err)
		return refuse(err)
	}
	previous, err := t.register(in, hello)
	if err != nil {
		t.logRefusal(stream, err)
		return refuse(err)
	}
	defer t.unregister(in)
	if previous != nil {
		// Frames of the old stream come before those of the new one.
		previous.end(errSuperseded)
		<-previous.done
	}
	own := t.ownHello(in.class, hello.nodeID)
	if err := stream.SendMsg(&message{body: own.append(nil)}); err != nil {
		return err
	}
	close(in.accepted)
	if p := (*t.peers.Load())[hello.nodeID]; p != nil {
		p.kick()
	}
	select {
	case <-in.stop:
		return status.Error(codes.Aborted, in.reason.Error())
	case <-in.done:
		return in.err
	}
}

// begin counts a goroutine into t.work, unless the transport is closing.
func (t *Transport) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.work.Add(1)
	return true
}

// receive is the receiving goroutine: the hello first, then, once that was
// accepted, frames.
func (t *Transport) receive(in *inbound, stream grpc.ServerStream) error {
	var m message
	if err := stream.RecvMsg(&m); err != nil {
		return err
	}
	in.first <- m
	select {
	case <-in.accepted:
	case <-in.stop:
		return nil
	}
	for {
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		select {
		case <-in.stop:
			return nil
		default:
		}
		if t.losesFrom(in.from.id) {
			continue
		}
		in.from.lastReceived.Store(t.now())
		t.opts.Handler.Receive(in.from.id, in.class, m.body)
	}
}

func (t *Transport) awaitHello(in *inbound) (hello, error) {
	timer := time.NewTimer(helloTimeout)
	defer timer.Stop()
	select {
	case m := <-in.first:
		return decodeHello(m.body)
	case <-in.done:
		return hello{}, errors.New("the stream ended before its hello")
	case <-timer.C:
		return hello{}, errors.New("no hello came")
	}
}

// register checks the hello and enters the stream, in one step with respect to
// IdentityChanged. It returns the stream whose place it took.
func (t *Transport) register(in *inbound, h hello) (previous *inbound, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.ownHello(0, 0)
	if err := h.checkStream(&own); err != nil {
		return nil, err
	}
	if err := t.admitLocked(&h, &own); err != nil {
		return nil, err
	}
	n := t.nodeLocked(h.nodeID)
	in.from, in.class, in.since = n, h.class, time.Now()
	n.voteDelay, n.incarnation, n.addr = h.voteDelay, h.incarnation, h.raftAddr
	previous = n.inbound[h.class]
	n.inbound[h.class] = in
	return previous, nil
}

// admitLocked asks the owner about a node of the same cluster; t.mu is held, so that
// of two hellos in one name the second is judged after the first.
func (t *Transport) admitLocked(h, own *hello) error {
	if h.clusterID != own.clusterID {
		return nil
	}
	var known Presence
	if n := t.nodes[h.nodeID]; n != nil {
		known.Incarnation = n.incarnation
		known.Standing = n.inbound != [classes]*inbound{}
	}
	if p := (*t.peers.Load())[h.nodeID]; p != nil {
		known.Reached, known.Apart = p.links[Control].across()
	}
	return t.opts.Admit(h.identity(), known)
}

// admit is checkAccess and what the owner says about a member's call or fetch.
func (t *Transport) admit(h *hello, check func(own *hello) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.ownHello(h.class, 0)
	if err := check(&own); err != nil {
		return err
	}
	return t.admitLocked(h, &own)
}

// Reexamine is to be called when Options.Admit may have begun to give another
// answer about who was let in: it ends the streams, in both directions, of those
// who would not be any more.
func (t *Transport) Reexamine() {
	t.mu.Lock()
	defer t.mu.Unlock()
	cluster := t.opts.Identity().ClusterID
	refused := func(id uint64, addr, incarnation string) error {
		from := Identity{ClusterID: cluster, NodeID: id, RaftAddr: addr, Incarnation: incarnation}
		return t.opts.Admit(from, Presence{Apart: math.MaxInt64})
	}
	for id, n := range t.nodes {
		for _, in := range n.inbound {
			if in == nil {
				continue
			}
			if err := refused(id, n.addr, n.incarnation); err != nil {
				in.end(err)
			}
		}
	}
	for id, p := range *t.peers.Load() {
		for _, l := range p.links {
			if reached, apart := l.across(); apart == 0 && refused(id, p.addr, reached) != nil {
				l.reopen()
			}
		}
	}
}

func (t *Transport) unregister(in *inbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if in.from.inbound[in.class] == in {
		in.from.inbound[in.class] = nil
		t.forgetIfUnused(in.from.id)
	}
}

func (t *Transport) logRefusal(stream grpc.ServerStream, reason error) {
	remote := "unknown"
	if p, ok := grpcpeer.FromContext(stream.Context()); ok {
		remote = p.Addr.String()
	}
	if t.ctx.Err() == nil && t.logged.allow("refused "+reason.Error(), time.Now()) {
		t.log.Warn("transport: refused a stream", "remote", remote, "reason", fmt.Sprint(reason))
	}
}

// logStranger tells of a connection that did not prove that it knows the token.
func (t *Transport) logStranger(remote net.Addr, reason error) {
	if t.ctx.Err() == nil && t.logged.allow("stranger "+reason.Error(), time.Now()) {
		t.log.Warn("transport: refused a connection", "remote", remote.String(), "reason", reason)
	}
}
