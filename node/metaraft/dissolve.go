package metaraft

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// dissolve ends this node's cluster, which owns nothing, in favour of peer's,
// and returns once this node is lone.
func (n *Node) dissolve(ctx context.Context, peer PeerInfo) error {
	a, _ := n.current()
	_, err := n.proposeIn(ctx, a, &Dissolve{Token: n.token(), TargetAddr: peer.Address.Raft, TargetCluster: peer.Cluster})
	// gofail: var joinDissolved struct{}
	if err != nil {
		// Refused, or uncertain: this node may be on its way all the same.
		return fmt.Errorf("%w: dissolve: %w", errReevaluate, unquoted(err))
	}
	_, err = n.await(ctx, func(b *attachment) bool { return b != a && b.ready() })
	return err
}

// dissolution returns how a dissolved cluster ended.
func (s *State) dissolution() *dissolution {
	end := &dissolution{Target: s.Dissolved.TargetAddr}
	for _, node := range s.Nodes {
		m := formerMember{Node: node.ID, MetaID: node.MetaID, ConfigEpoch: node.ConfigEpoch, Follows: node.Follows}
		if shard := s.ShardOf(node.ID); shard != nil && shard.Master != node.ID {
			m.Follows = shard.Master
		}
		end.Members = append(end.Members, m)
	}
	return end
}

// followDissolve makes this member of a dissolved cluster lone; Run then brings
// it to the target. The others are told first: whoever has not applied the
// dissolution will not find a quorum any more. A node that was forgotten before
// stays alone.
func (n *Node) followDissolve(ctx context.Context, a *attachment, end *dissolution) {
	me := end.member(a.id)
	if me == nil {
		n.depart(ctx, a, "it was forgotten before its cluster dissolved", false)
		return
	}
	if n.beginMove(ctx) != nil {
		return
	}
	defer n.endMove()
	if current, _ := n.current(); current != a {
		return
	}
	n.mu.Lock()
	n.dissolved.cluster, n.dissolved.end = a.id.Cluster, end
	n.mu.Unlock()
	n.tell(ctx, n.others(), notice{Cluster: a.id.Cluster, Dissolved: end})
	n.log.Info("MetaRaft cluster dissolved", "cluster", a.id.Cluster, "target", end.Target)
	// gofail: var joinFollow struct{}
	with := Beginning{PendingTarget: end.Target, ConfigEpoch: me.ConfigEpoch, Follows: me.Follows, Farewells: n.unsaid(a)}
	if err := n.opts.Home.BecomeLone(n.life, false, with); err != nil {
		n.log.Error("MetaRaft can't become lone", "error", err)
	}
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
	return 2*same > voters || same > 0 && 2*(same+gone) > voters && s.empty()
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
		if current, _ := n.current(); current != a || !retry.wait(ctx) {
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
