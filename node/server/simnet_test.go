package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// simNetwork decides what becomes of what nodes send each other.
type simNetwork struct {
	cut map[[2]int]bool // from, to
	// lossy, slow: per mille of the packets that are lost or late.
	lossy, slow int
}

// fate returns the delay of each copy of a packet that arrives.
func (c *simCluster) fate(from, to *simNode) []time.Duration {
	net := &c.net
	if net.cut[[2]int{from.index, to.index}] || c.chance(net.lossy) {
		return nil
	}
	delay := 50*time.Microsecond + c.upTo(400*time.Microsecond)
	switch {
	case net.slow == 0:
	case c.chance(net.slow):
		delay += c.upTo(40 * time.Millisecond)
	case c.chance(2):
		delay += c.upTo(700 * time.Millisecond) // arrives terms later
	case c.chance(10):
		return []time.Duration{delay, c.upTo(50 * time.Millisecond)}
	}
	return []time.Duration{delay}
}

// byAddr returns the node with that Raft address.
func (c *simCluster) byAddr(addr string) *simNode {
	for _, n := range c.nodes {
		if n.addr.Raft == addr {
			return n
		}
	}
	if c.twin != nil && c.twin.addr.Raft == addr {
		return c.twin
	}
	return nil
}

// simLink is the transport of one process.
type simLink struct {
	n     *simNode
	proc  *seeded.Process
	peers map[uint64]string
	heard map[uint64]time.Time // on the process's clock, by node id
	sent  map[uint64]time.Time
	let   map[uint64]simStranger // who was let in last, by node id
	began time.Time
}

// simStranger is a process that was let in in some node's name.
type simStranger struct {
	proc        *seeded.Process
	incarnation string
	addr        string
}

func newSimLink(n *simNode, proc *seeded.Process) *simLink {
	return &simLink{
		n: n, proc: proc, began: n.c.world.Now(),
		heard: make(map[uint64]time.Time), sent: make(map[uint64]time.Time), let: make(map[uint64]simStranger),
	}
}

// letIn judges a process as a transport does, and whether that is right: what
// comes from a copy of a member's folder, while the member is there or was there
// a moment ago, must not count.
func (l *simLink) letIn(sender *simNode, proc *seeded.Process, from transport.Identity) error {
	c, home := l.n.c, l.n.node.home
	if from.ClusterID != home.Identity().Cluster {
		return nil
	}
	var known transport.Presence
	if s, ok := l.let[from.NodeID]; ok {
		known.Incarnation, known.Standing = s.incarnation, !s.proc.Dead()
	}
	if at := c.byAddr(l.peers[from.NodeID]); at != nil {
		known.Apart = min(c.world.Now().Sub(at.ended), c.world.Now().Sub(l.began))
		if at.up() && uint64(at.node.home.Identity().Node) == from.NodeID && !c.net.cut[[2]int{l.n.index, at.index}] {
			known.Reached, known.Apart = at.node.home.hello().Incarnation, 0
		}
	}
	if err := home.admit(from, known); err != nil {
		return err
	}
	member := home.metaMachine().State().Node(topology.NodeID(from.NodeID))
	if sender.original != nil && member != nil && member.Address == sender.original.addr {
		c.fail("node %d let in a copy of node %d", l.n.index, sender.original.index)
	}
	return nil
}

var _ network = (*simLink)(nil)

// Send implements network.
func (l *simLink) Send(node uint64, class transport.Class, frame []byte) bool {
	c := l.n.c
	to := c.byAddr(l.peers[node])
	if to == nil || l.proc.Dead() {
		return false
	}
	l.sent[node] = l.proc.Now()
	hello, proc := l.n.node.home.hello(), l.proc
	from := hello.NodeID
	for i, delay := range c.fate(l.n, to) {
		if i > 0 {
			frame = bytes.Clone(frame)
		}
		c.world.After(delay, func() {
			if to.up() && uint64(to.node.home.Identity().Node) == node {
				if to.link.let[from].proc != proc {
					if to.link.letIn(l.n, proc, hello) != nil {
						return
					}
					to.link.let[from] = simStranger{proc, hello.Incarnation, hello.RaftAddr}
				}
				to.link.heard[from] = to.proc.Now()
				to.node.handler.Receive(from, class, frame)
				to.proc.Wake()
			}
		})
	}
	return true
}

// Call implements network.
func (l *simLink) Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error) {
	c := l.n.c
	to := c.byAddr(addr)
	if to == nil || !to.up() {
		// The connection is refused, which takes a moment.
		sched.Sleep(ctx, l.proc, time.Millisecond)
		return nil, fmt.Errorf("call %s: %w", addr, transport.ErrNotSent)
	}
	var reply []byte
	var failure error
	done := make(chan struct{})
	answer := func(b []byte, err error) {
		if delays := c.fate(to, l.n); len(delays) > 0 {
			c.world.After(delays[0], func() {
				reply, failure = b, err
				close(done)
				l.proc.Wake()
			})
		}
	}
	from, proc := l.n.node.home.hello(), l.proc
	deadline, bounded := ctx.Deadline()
	left := deadline.Sub(l.proc.Now())
	if delays := c.fate(l.n, to); len(delays) > 0 {
		c.world.After(delays[0], func() {
			if !to.up() {
				return
			}
			if err := to.link.letIn(l.n, proc, from); err != nil {
				answer(nil, fmt.Errorf("%w: %w", transport.ErrRefused, err))
			} else {
				to.serveCall(from, method, bytes.Clone(request), left, bounded, answer)
			}
		})
	}
	if sched.Wait(l.proc, time.Time{}, done, ctx.Done()) == 1 {
		return nil, fmt.Errorf("call %s: %w", addr, transport.ErrUnreachable)
	}
	if errors.Is(failure, transport.ErrRefused) {
		return nil, failure
	}
	if failure != nil {
		return nil, &transport.RemoteError{Text: failure.Error()}
	}
	return reply, nil
}

// serveCall answers a call that has arrived, within the caller's time.
func (n *simNode) serveCall(from transport.Identity, method uint8, request []byte, left time.Duration, bounded bool, answer func([]byte, error)) {
	proc, node := n.proc, n.node
	proc.Go("serve", func() {
		ctx := context.Background()
		if bounded {
			var cancel context.CancelFunc
			ctx, cancel = proc.WithTimeout(ctx, left)
			defer cancel()
		}
		answer(node.handler.Serve(ctx, from, method, request))
	})
}

// Contact implements network.
func (l *simLink) Contact(node uint64) transport.Contact {
	return transport.Contact{
		Connected: l.peers[node] != "", LastSent: l.sent[node], LastReceived: l.heard[node],
	}
}

// VoteDelay implements network.
func (l *simLink) VoteDelay(uint64) time.Duration {
	r := l.n.node.cfg.Raft
	return multiraft.VoteDelay(time.Duration(r.Tick), r.ElectionTicks)
}

// SetPeers implements network.
func (l *simLink) SetPeers(addrs map[uint64]string) { l.peers = addrs }

// Reexamine implements network.
func (l *simLink) Reexamine() {
	for id, s := range l.let {
		from := transport.Identity{ClusterID: l.n.node.home.Identity().Cluster, NodeID: id, RaftAddr: s.addr, Incarnation: s.incarnation}
		if l.n.node.home.admit(from, transport.Presence{Apart: math.MaxInt64}) != nil {
			delete(l.let, id)
		}
	}
}

// IdentityChanged implements network.
func (l *simLink) IdentityChanged() {}

// SetFaults implements network. The simulation has faults of its own.
func (l *simLink) SetFaults(*transport.Faults) {}

// Close implements network.
func (l *simLink) Close() error { return errors.New("a simulated process is killed, not closed") }
