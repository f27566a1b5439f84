package metaraft

import (
	"context"
	"fmt"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// Farewell is a membership that this node ended by a RESET while the cluster could
// not record that: for the others it is a member that failed, until somebody tells
// them. The node does, for as long as it takes. MetaID makes a late one harmless to
// a node that came back, Lineage to one whose data folder this node's is a copy of.
type Farewell struct {
	Cluster uint64
	Node    topology.NodeID
	MetaID  uint64
	Lineage Lineage `json:",omitempty"`
	// Members are the Raft addresses of the others, as far as they were known.
	Members []string
}

// parting names a Farewell.
type parting struct{ cluster, metaID uint64 }

func (f *Farewell) parting() parting { return parting{f.Cluster, f.MetaID} }

// farewellReply answers a Farewell: Done means that the cluster has recorded the
// end of that membership, Elsewhere that the node is not in that cluster (any more).
type farewellReply struct {
	Done      bool `json:"done,omitempty"`
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// unsaid returns the farewells that nobody has confirmed since this process began.
// After a restart they are said once more, which changes nothing.
func (n *Node) unsaid(a *attachment) []Farewell {
	n.mu.Lock()
	defer n.mu.Unlock()
	var left []Farewell
	for _, f := range a.id.Farewells {
		if _, done := n.parted[f.parting()]; !done {
			left = append(left, f)
		}
	}
	return left
}

// sayFarewells starts a duty for each farewell that is left.
func (n *Node) sayFarewells(a *attachment) {
	for _, f := range n.unsaid(a) {
		n.duty(fmt.Sprintf("farewell %d %d", f.Cluster, f.MetaID), func(ctx context.Context) { n.sayFarewell(ctx, f) })
	}
}

func (n *Node) sayFarewell(ctx context.Context, f Farewell) {
	retry := n.backoff(50*time.Millisecond, 2*time.Second)
	for !n.tellFarewell(ctx, f) {
		if !retry.wait(ctx) {
			return
		}
	}
	n.log.Info("MetaRaft membership ended there too", "cluster", f.Cluster, "node", f.Node)
	n.mu.Lock()
	n.parted[f.parting()] = struct{}{}
	n.mu.Unlock()
}

// tellFarewell asks each member once. It returns true if one of them confirmed the
// end, or if all of them have left that cluster.
func (n *Node) tellFarewell(ctx context.Context, f Farewell) bool {
	gone := 0
	for _, addr := range f.Members {
		call, cancel := n.within(ctx, n.admissionTimeout())
		reply, err := ask[farewellReply](call, n.opts.Peers, addr, MethodFarewell, f)
		cancel()
		switch {
		case err != nil:
			n.log.Debug("MetaRaft farewell: no answer", "from", addr, "error", err)
		case reply.Done:
			return true
		case reply.Elsewhere:
			gone++
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return gone == len(f.Members)
}

// serveFarewell has this node's cluster record that a membership has ended. The
// data is gone there already, so there is nothing to guard.
func (n *Node) serveFarewell(ctx context.Context, f Farewell) farewellReply {
	a, _ := n.current()
	if a == nil || a.id.Cluster != f.Cluster {
		return farewellReply{Elsewhere: a != nil}
	}
	if !a.ready() {
		return farewellReply{}
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	_, err := n.proposeIn(ctx, a, &Leave{Node: f.Node, MetaID: f.MetaID, Lineage: f.Lineage, Gone: true})
	return farewellReply{Done: err == nil}
}
