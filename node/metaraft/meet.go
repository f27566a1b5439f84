package metaraft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/genuineh/aikv/node/topology"
)

// Meet brings this node's cluster and the one of the node at the client address
// host:port together, and returns when whoever had to move has applied the
// state of the common cluster. Meeting oneself or a fellow member does nothing.
// After the meet timeout it returns an error that names the phase reached; it
// begins with UNCERTAIN if the two may still come together, since a join that
// has begun goes on. busPort is what Redis calls the cluster bus; nothing
// listens there, so it is not used.
func (n *Node) Meet(ctx context.Context, host string, port, _ int) error {
	if host == "" || port < 1 || port > 65535 {
		return Error(fmt.Sprintf("ERR Invalid node address specified: %s:%d", host, port))
	}
	ctx, cancel := n.within(ctx, n.opts.MeetTimeout)
	defer cancel()
	if _, err := n.await(ctx, (*attachment).ready); err != nil {
		return errNoLeader
	}
	hostport := net.JoinHostPort(host, strconv.Itoa(port))
	m := meeting{n: n, name: hostport}
	var err error
	m.addr, m.member, err = n.find(ctx, host, port)
	if err != nil {
		n.log.Warn("MetaRaft meet: peer not found", "peer", hostport, "error", err)
		return err
	}
	return m.run(ctx)
}

// direction is what has to happen so that two nodes end up in one cluster.
type direction uint8

const (
	united        direction = iota // both are in the same cluster and know it
	selfMoving                     // wait until this node has arrived where it is going
	peerMoving                     // the same for the peer
	selfJoins                      // this node joins the peer's cluster
	peerComes                      // the peer (or its whole island) has to join this one's
	selfDissolves                  // this island has nothing to lose: its members join alone
	impossible                     // both islands own slots or keys
)

// directionOf decides who joins whom. Both sides come to the same result with the
// arguments swapped, and along the joins of lone nodes cluster ids only fall,
// so that there is no cycle in which everybody waits for somebody else.
func directionOf(self, peer PeerInfo) direction {
	switch {
	case !self.Staying:
		return selfMoving
	case !peer.Staying:
		return peerMoving
	case self.Cluster == peer.Cluster:
		return united
	case self.lone() && peer.lone():
		if cmp.Less(self.Cluster, peer.Cluster) {
			return peerComes
		}
		return selfJoins
	case self.lone():
		return selfJoins
	case peer.lone():
		return peerComes
	case self.empty() && (!peer.empty() || cmp.Less(peer.Cluster, self.Cluster)):
		return selfDissolves
	case peer.empty():
		return peerComes
	}
	return impossible
}

// mayCome reports whether the node may join the peer although the order of
// their cluster ids says the opposite: the order only prevents cycles, and an
// operator who names the direction makes none.
func mayCome(self, peer PeerInfo) bool {
	return directionOf(self, peer) == peerComes && self.lone() && peer.lone()
}

// errReevaluate: the situation changed, so the direction has to be decided again.
var errReevaluate = errors.New("metaraft: the direction of the join has to be decided again")

// unite brings this node and the node with Raft address addr into one cluster.
// Its error is one for the client.
func (n *Node) unite(ctx context.Context, addr, name string) error {
	m := meeting{n: n, addr: addr, name: name}
	return m.run(ctx)
}

// MetaAddLearner makes the node id, whose Raft address is addr, a member; of a
// member it is a no-op, since every member is at least a learner.
func (n *Node) MetaAddLearner(ctx context.Context, id topology.NodeID, addr string) error {
	ctx, cancel := n.within(ctx, n.opts.MeetTimeout)
	defer cancel()
	if n.View(ctx).Node(id) != nil {
		return nil
	}
	peer, err := n.identify(ctx, addr, true)
	if err != nil {
		dial, cancel := n.within(ctx, n.opts.CallTimeout)
		defer cancel()
		if info, portErr := n.opts.ClientPort.Identify(dial, addr); portErr == nil {
			return Error(fmt.Sprintf("ERR %s is a client port; the Raft address of that node is %s", addr, info.Address.Raft))
		}
		return Error(fmt.Sprintf("ERR Can't reach a node at the Raft address %s: %s", addr, oneLine(err)))
	}
	if peer.Node != id {
		return Error(fmt.Sprintf("ERR the node at %s is %s, not %s", addr, peer.Node, id))
	}
	if !peer.lone() {
		return Error(fmt.Sprintf("ERR node %s belongs to another cluster; CLUSTER RESET it first, or use CLUSTER MEET", id))
	}
	m := meeting{n: n, addr: addr, name: addr, invite: true}
	return m.run(ctx)
}
