package metaraft

import (
	"context"
	"fmt"
	"sync"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// inquire finds out whether a node without a leader, or one that was told so,
// has missed the end of its membership, and draws the conclusion.
func (n *Node) inquire(ctx context.Context) {
	a, _ := n.current()
	if a == nil || a.ready() && a.machine.State().Lone() {
		return
	}
	replies := n.askAround(ctx, a)
	inside := false
	elsewhere, stateless := make(map[topology.NodeID]bool), 0
	for _, r := range replies {
		if r.Dissolved != nil && n.dissolvedSo(a, r.Dissolved, replies) {
			n.followDissolve(ctx, a, r.Dissolved)
			return
		}
		switch r.Status {
		case whoamiForgotten: // by a read that a majority took part in
			n.depart(ctx, a, fmt.Sprintf("node %s says that it was forgotten", r.Node), true)
			return
		case whoamiElsewhere:
			elsewhere[r.Node] = true
		case whoamiStateless:
			stateless++
		default:
			inside = true
		}
	}
	if !inside && n.abandoned(ctx, a, elsewhere, stateless) {
		n.depart(ctx, a, "a majority of its voters went elsewhere", false)
	}
}

// answer is what the node at a Raft address said.
type answer struct {
	whoamiReply
	addr string
}

// askAround asks all known members whether they still know this node.
func (n *Node) askAround(ctx context.Context, a *attachment) []answer {
	// The callee confirms with a read; give it the time for that.
	ctx, cancel := n.within(ctx, n.opts.ReadTimeout+n.opts.CallTimeout)
	defer cancel()
	request := whoamiRequest{Cluster: a.id.Cluster, Node: a.id.Node, MetaID: a.id.MetaID}
	var (
		mu      sync.Mutex
		replies []answer
	)
	asking := sched.NewGroup(n.sched)
	for _, addr := range n.others() {
		asking.Go("ask around", func() {
			reply, err := ask[whoamiReply](ctx, n.opts.Peers, addr, MethodWhoami, request)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				replies = append(replies, answer{reply, addr})
			}
		})
	}
	asking.Wait()
	return replies
}

// statelessInquiries is how many inquiries in a row have to find nobody who has
// the state of the node's cluster: a member that has just restarted may have it
// in its log.
const statelessInquiries = 5

// abandoned reports whether the node's cluster can never make progress again,
// since a majority of its voters has dropped its state, and whether nothing
// is lost with it.
func (n *Node) abandoned(ctx context.Context, a *attachment, elsewhere map[topology.NodeID]bool, stateless int) bool {
	if !a.ready() {
		// Admitted, but the state never came: go only if everybody is gone who
		// had it, and with them what this node brought along.
		if len(elsewhere) == 0 || len(elsewhere)+stateless < len(n.others()) {
			n.orphaned = 0
			return false
		}
		n.orphaned++
		keys, err := n.opts.Shards.Keys(ctx)
		return err == nil && keys == 0 && (stateless == 0 || n.orphaned >= statelessInquiries)
	}
	s := a.machine.State()
	voters, gone := 0, 0
	for _, m := range s.MetaMembers() {
		if m.Voter {
			voters++
			if elsewhere[m.Node] {
				gone++
			}
		}
	}
	return 2*gone > voters && !s.OwnsSlots() && len(s.Residue) == 0
}

// serveWhoami tells a node whether it is still a member. "Forgotten" is only
// said after a linearizable read: this node may lag.
func (n *Node) serveWhoami(ctx context.Context, request whoamiRequest) whoamiReply {
	a, _ := n.current()
	if a == nil {
		return whoamiReply{Status: whoamiUnknown}
	}
	reply := whoamiReply{Status: whoamiUnknown, Node: a.id.Node}
	reply.Dissolved = n.endOf(a, request.Cluster)
	if a.id.Cluster != request.Cluster {
		reply.Status = whoamiElsewhere
		return reply
	}
	known := func() bool {
		node := a.machine.State().Node(request.Node)
		return node != nil && node.MetaID == request.MetaID
	}
	if known() {
		reply.Status = whoamiMember
		return reply
	}
	ctx, cancel := n.within(ctx, n.opts.ReadTimeout)
	defer cancel()
	if !a.ready() {
		reply.Status = whoamiStateless
		return reply
	}
	if a.raft.Barrier(ctx) != nil || !a.ready() {
		return reply
	}
	reply.Status = whoamiForgotten
	if known() {
		reply.Status = whoamiMember
	}
	return reply
}

// tell sends a notice to the nodes at addrs, once.
func (n *Node) tell(ctx context.Context, addrs []string, message notice) {
	ctx, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	telling := sched.NewGroup(n.sched)
	for _, addr := range addrs {
		telling.Go("tell", func() { _, _ = n.opts.Peers.Call(ctx, addr, MethodNotice, encodeRPC(message)) })
	}
	telling.Wait()
}

// serveNotice acts on what this node may have missed, in the background.
func (n *Node) serveNotice(_ context.Context, message notice) struct{} {
	a, _ := n.current()
	if a == nil || a.id.Cluster != message.Cluster {
		return struct{}{}
	}
	if message.Dissolved != nil {
		n.duty("hear of a dissolution", func(ctx context.Context) { n.hearDissolved(ctx, a, message.Dissolved) })
	} else {
		n.duty("inquire", n.inquire)
	}
	return struct{}{}
}
