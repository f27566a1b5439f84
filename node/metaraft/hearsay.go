package metaraft

import (
	"context"
	"reflect"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// answer is what the node at a Raft address said.
type answer struct {
	whoamiReply
	addr string
}

// dissolvedSo reports whether this node may believe that its cluster dissolved in
// that way and give up what it has: a majority of the voters, asked at the
// addresses that this node knows of them, says the same. Where nothing would be
// lost, it is enough that a majority has gone and one of them says so, since a
// member that was restarted since does not remember how its former cluster ended.
func (n *Node) dissolvedSo(a *attachment, end *dissolution, answers []answer) bool {
	same, gone := 0, 0
	count := func(addr string, node topology.NodeID) {
		for _, r := range answers {
			switch {
			case r.addr != addr || node != 0 && r.Node != node:
			case r.Dissolved != nil && reflect.DeepEqual(r.Dissolved, end):
				same++
			case r.Status == whoamiElsewhere:
				gone++
			}
		}
	}
	if !a.ready() { // no state came yet: those that it was told of at its admission
		for _, addr := range a.id.Bootstrap {
			count(addr, 0)
		}
		return same > 0 && 2*(same+gone) > len(a.id.Bootstrap)
	}
	s := a.machine.State()
	voters := 0
	for _, m := range s.MetaMembers() {
		switch {
		case m.Voter && m.Node == a.id.Node:
			voters++
			gone++ // it has nothing to say against it, unless it has something to lose
		case m.Voter:
			voters++
			count(m.RaftAddr, m.Node)
		}
	}
	return 2*same > voters || same > 0 && 2*(same+gone) > voters && !s.OwnsSlots() && len(s.Residue) == 0
}

// hearDissolved acts on a peer's word that the cluster dissolved, once a majority
// confirms it.
func (n *Node) hearDissolved(ctx context.Context, a *attachment, end *dissolution) {
	ctx, cancel := n.within(ctx, n.opts.LeaveTimeout)
	defer cancel()
	retry := n.backoff(10*time.Millisecond, 500*time.Millisecond)
	for {
		if n.dissolvedSo(a, end, n.askAround(ctx, a)) {
			n.followDissolve(ctx, a, end)
			return
		}
		if current, _ := n.replica(); current != a || !retry.wait(ctx) {
			break
		}
	}
	n.log.Warn("MetaRaft was told that its cluster dissolved; no majority confirms it, so it stays", "cluster", a.id.Cluster, "target", end.Target)
}

// endOf returns how a cluster dissolved, nil if this node does not know it.
func (n *Node) endOf(a *attachment, cluster uint64) *dissolution {
	if s := a.machine.State(); s.ClusterID == cluster && s.Dissolved != nil {
		return s.dissolution()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dissolved.cluster == cluster {
		return n.dissolved.end
	}
	return nil
}
