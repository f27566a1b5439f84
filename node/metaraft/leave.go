package metaraft

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// Reset makes this node a lone, empty cluster; hard also gives it a new id. It
// is refused on a master that holds keys. The node leaves its cluster in order
// if that is possible within the leave timeout, and alone otherwise: nothing of
// its old membership can come back, since cluster and Raft ids are new, and it
// tells the others as soon as they can record it (Farewell).
func (n *Node) Reset(ctx context.Context, hard bool) error {
	if a, _ := n.replica(); a == nil || a.machine.State().Frozen == nil {
		if err := n.mayDrop(ctx); err != nil {
			return err
		}
	}
	if err := n.interrupt(ctx); err != nil {
		return Error("ERR another change of this node's membership is under way: it is " + n.whereabouts())
	}
	defer n.release()
	a, _ := n.replica()
	if a == nil {
		return errNoLeader
	}
	f := a.machine.State().Frozen
	if f != nil {
		if err := n.cancelJoin(ctx, a, f); err != nil {
			return err
		}
		if err := n.mayDrop(ctx); err != nil {
			return err // but it is free again
		}
	}
	if !hard && f == nil && pristine(a) { // whoever was about to join may be a member there
		return nil
	}
	if err := n.awaitDispensable(ctx, a); err != nil {
		return err
	}
	if err := n.giveUpSlots(ctx, a); err != nil {
		return err
	}
	// gofail: var resetWithoutSlots struct{}
	alone, err := n.leave(ctx, a)
	if err != nil {
		return err
	}
	with := Beginning{Farewells: n.unsaid(a)}
	if alone {
		with.Farewells = append(with.Farewells, Farewell{
			Cluster: a.id.Cluster, Node: a.id.Node, MetaID: a.id.MetaID, Lineage: n.opts.Lineage(), Members: n.others(),
		})
	}
	// gofail: var resetLeft struct{}
	n.log.Info("MetaRaft reset", "node", a.id.Node, "hard", hard)
	// From here on not bounded by the client: the step is atomic.
	if err := n.opts.Home.BecomeLone(n.life, hard, with); err != nil {
		return Error("UNCERTAIN CLUSTER RESET failed halfway: " + oneLine(err))
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.await(ctx, (*attachment).ready); err != nil {
		return Error("UNCERTAIN the node was reset, but its new cluster of one has not started yet")
	}
	return nil
}

// cancelJoin ends a join that was interrupted, so that the node can be changed again,
// whether or not it holds keys. Where the target does not answer in time, it may
// have admitted the node: that member is then to be forgotten there.
func (n *Node) cancelJoin(ctx context.Context, a *attachment, f *Freeze) error {
	bounded, cancel := n.within(ctx, n.opts.LeaveTimeout)
	defer cancel()
	if !n.withdraw(bounded, a, f) {
		n.log.Warn("MetaRaft can't withdraw a join; if its target admitted this node, forget it there", "target", f.TargetAddr, "node", a.id.Node)
	}
	ctx, stop := n.within(ctx, n.opts.CommandTimeout)
	defer stop()
	_, err := n.proposeIn(ctx, a, &Unfreeze{Token: f.Token})
	return err
}

const errHoldsKeys = Error("ERR CLUSTER RESET can't be called with master nodes containing keys")

// mayDrop refuses a reset where a master's keys would be lost.
func (n *Node) mayDrop(ctx context.Context) error {
	if me := n.Current().Me(); me.Shard == nil || me.Replica() {
		return nil
	}
	keys, err := n.opts.Shards.Keys(ctx)
	switch {
	case err != nil:
		return Error("ERR can't tell whether this node holds keys: " + oneLine(err))
	case keys > 0:
		return errHoldsKeys
	}
	return nil
}

// giveUpSlots takes the slots from a node that is to be reset, if nobody else has
// the shard's data: no write may be acknowledged between the look at its keys
// and their loss. Where MetaRaft or the shard cannot do that in time, the look is
// repeated, and all that is known.
func (n *Node) giveUpSlots(ctx context.Context, a *attachment) error {
	s := a.machine.State()
	shard := s.ShardOf(a.id.Node)
	if shard == nil || shard.data() > 1 || !settled(s) {
		return nil
	}
	bounded, cancel := n.within(ctx, n.opts.LeaveTimeout/2)
	defer cancel()
	switch err := n.delSlotsIn(bounded, a, &DelSlots{Node: a.id.Node, Empty: true}); err {
	case nil:
		return nil
	case errNotEmpty:
		return errHoldsKeys
	}
	return n.mayDrop(ctx)
}

// awaitDispensable returns nil once no shard needs this node any more, as far as is
// known here: neither as the last that has the data nor for its majority. What
// does not pass by itself is refused at once. The last word is that of MetaRaft.
func (n *Node) awaitDispensable(ctx context.Context, a *attachment) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	var g *guarded
	_, _ = n.await(ctx, func(b *attachment) bool {
		g = a.needed()
		return b != a || g == nil || !g.passing
	})
	if g != nil {
		return Error(g.text)
	}
	return nil
}

// needed returns why the node may not leave its cluster, nil if it may.
func (a *attachment) needed() *guarded {
	if s := a.machine.State(); a.ready() && settled(s) && !s.Lone() {
		return s.mayRemove(a.id.Node, true)
	}
	return nil
}

// pristine reports whether a soft reset has nothing to do.
func pristine(a *attachment) bool {
	if !a.ready() || a.id.PendingTarget != "" {
		return false
	}
	s := a.machine.State()
	return s.Lone() && len(s.Shards) == 0 && len(s.Residue) == 0 && len(s.Tombstones) == 0 && s.Nodes[0].Follows == 0 && settled(s)
}

// interrupt is hold for a reset, which stops a running join where it is. Such a
// join does not end by itself while its target is unreachable, and the steward
// may resume it at once, so this goes on until it gets the right.
func (n *Node) interrupt(ctx context.Context) error {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	for {
		n.mu.Lock()
		j := n.join
		n.mu.Unlock()
		if j != nil {
			j.cancel()
		}
		try, stop := n.within(ctx, 20*time.Millisecond)
		err := n.hold(try)
		stop()
		if err == nil || ctx.Err() != nil || n.life.Err() != nil {
			return err
		}
	}
}

// leave takes the node out of its cluster in order, as far as that is possible
// within the leave timeout. alone means that the others may not know that it left; an
// error that it may not leave.
func (n *Node) leave(ctx context.Context, a *attachment) (alone bool, err error) {
	ctx, cancel := n.within(ctx, n.opts.LeaveTimeout)
	defer cancel()
	s := a.machine.State()
	if s.Dissolved != nil || a.ready() && s.Lone() {
		return false, nil
	}
	peers := n.others()
	// The group may drop this replica before it hears that the entry is
	// committed, so there is no waiting for it here.
	outcome, err := n.submit(ctx, a, &Leave{Node: a.id.Node, MetaID: a.id.MetaID})
	switch {
	case err == errLastNode: // it has been alone all along
		return false, nil
	case outcome.Error != "":
		return false, err
	case err != nil:
		n.log.Warn("MetaRaft can't leave in order, so the node leaves alone and tells the others later", "error", err)
		return true, nil
	}
	if !n.awaitDeparted(ctx, a, peers) {
		n.log.Warn("MetaRaft left, but its voters have not confirmed that they go on without this node")
	}
	return false, nil
}

// withdraw makes sure that the target of a join does not admit a node that is no
// more, or does not keep it. It reports false if nobody there can say so in time.
func (n *Node) withdraw(ctx context.Context, a *attachment, f *Freeze) bool {
	request := burnRequest{Cluster: f.TargetCluster, Token: f.Token, Node: a.id.Node}
	members := slices.Concat([]string{f.TargetAddr}, f.Others)
	retry := n.backoff(5*time.Millisecond, 100*time.Millisecond)
	for {
		gone := 0
		for _, addr := range members {
			call, cancel := n.within(ctx, n.opts.CallTimeout)
			reply, err := ask[joinReply](call, n.opts.Peers, addr, MethodBurn, request)
			cancel()
			switch {
			case err == nil && (reply.Ended || reply.Admit != nil):
				return true
			case err == nil && reply.Elsewhere:
				gone++
			case ctx.Err() != nil:
				return false
			}
		}
		if gone == len(members) {
			return true
		}
		if !retry.wait(ctx) {
			return false
		}
	}
}

// awaitDeparted returns true once the MetaRaft leader confirms that its group's
// configuration, and those of the shards, are rid of this node: only then does
// its vanishing cost the others nothing, even if it was a voter or the leader
// itself.
func (n *Node) awaitDeparted(ctx context.Context, a *attachment, peers []string) bool {
	request := departedRequest{Cluster: a.id.Cluster, MetaID: a.id.MetaID, Node: a.id.Node}
	n.opts.Shards.HandOff(ctx) // whoever stays has to make the changes
	retry := n.backoff(2*time.Millisecond, 50*time.Millisecond)
	for {
		if _, self := a.raft.Leader(); !self {
			for _, addr := range peers {
				call, cancel := n.within(ctx, n.opts.CallTimeout)
				reply, err := ask[departedReply](call, n.opts.Peers, addr, MethodDeparted, request)
				cancel()
				if err == nil && reply.Departed {
					return true
				}
				if ctx.Err() != nil {
					return false
				}
			}
		}
		if !retry.wait(ctx) {
			return false
		}
	}
}

// serveDeparted answers for the MetaRaft leader whether a member is gone.
func (n *Node) serveDeparted(_ context.Context, request departedRequest) departedReply {
	a, _ := n.replica()
	if a == nil || a.id.Cluster != request.Cluster {
		return departedReply{}
	}
	if _, self := a.raft.Leader(); !self {
		return departedReply{}
	}
	progress := a.raft.Progress()
	for _, m := range progress {
		if m.MetaID == request.MetaID {
			return departedReply{}
		}
	}
	for _, m := range a.machine.State().MetaMembers() {
		if m.MetaID == request.MetaID {
			return departedReply{}
		}
	}
	for _, shard := range a.machine.State().Shards {
		for _, m := range shard.Leaving {
			if m.Node == request.Node {
				return departedReply{}
			}
		}
	}
	return departedReply{Departed: len(progress) > 0}
}

// depart makes a node lone whose membership ended. With wait, its former
// fellows get the time to go on without it.
func (n *Node) depart(ctx context.Context, a *attachment, why string, wait bool) {
	if n.hold(ctx) != nil {
		return
	}
	defer n.release()
	if current, _ := n.replica(); current != a {
		return // it went somewhere else already
	}
	n.log.Warn("MetaRaft membership ended: the node becomes a lone, empty cluster", "cluster", a.id.Cluster, "reason", why)
	if wait {
		bounded, cancel := n.within(ctx, n.opts.LeaveTimeout)
		n.awaitDeparted(bounded, a, n.others())
		cancel()
	}
	if ctx.Err() != nil {
		return
	}
	if err := n.opts.Home.BecomeLone(n.life, false, Beginning{Farewells: n.unsaid(a)}); err != nil {
		n.log.Error("MetaRaft can't become lone", "error", err)
	}
}

// inquire finds out whether a node without a leader, or one that was told so,
// has missed the end of its membership, and draws the conclusion.
func (n *Node) inquire(ctx context.Context) {
	a, _ := n.replica()
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
// since a majority of its voters has dropped its replicas, and whether nothing
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
// said after a linearizable read: this replica may lag.
func (n *Node) serveWhoami(ctx context.Context, request whoamiRequest) whoamiReply {
	a, _ := n.replica()
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

// dissolve ends this node's cluster, which owns nothing, in favour of peer's,
// and returns once this node is lone.
func (n *Node) dissolve(ctx context.Context, peer PeerInfo) error {
	a, _ := n.replica()
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
	if n.hold(ctx) != nil {
		return
	}
	defer n.release()
	if current, _ := n.replica(); current != a {
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
	a, _ := n.replica()
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
