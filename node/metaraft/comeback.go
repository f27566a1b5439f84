package metaraft

import (
	"context"
	"fmt"

	"github.com/genuineh/aikv/node/topology"
)

// A member whose log may have lost its end has forgotten, perhaps, whom it voted for
// and what it acknowledged. It must not act under its Raft ids any more. It comes back
// as itself, and as a new member of all its groups: those take its former ids out, and
// send it their state.

// ComeBack gives a member that has lost part of its log new Raft ids: one in MetaRaft,
// and one in each shard's group that it is to be in, where it has no data yet. It is
// refused while a shard would depend on what the member has forgotten: while no other
// member that lives has all of the data, or the others that live are no majority.
// Outcome.Admit is what the node has to know. Once more answers the same, until the
// node comes back from its new id.
type ComeBack struct {
	Node    topology.NodeID
	MetaID  uint64 // the id that it gives up
	Lineage Lineage
}

// Kind implements Change.
func (*ComeBack) Kind() Kind { return "come-back" }

func (c *ComeBack) apply(d *draft) Outcome {
	if o := d.closed(); o != nil {
		return *o
	}
	node := d.s.Node(c.Node)
	switch {
	case node == nil:
		return refuse("node %s is no member any more: it was forgotten", c.Node)
	case !c.Lineage.Continues(node.Incarnation):
		return refuse("%s", OtherHolder(node))
	case node.MetaID != c.MetaID && node.Gave != c.MetaID:
		return refuse("node %s has come back already", c.Node)
	case d.s.Lone():
		return refuse("node %s is alone", c.Node)
	}
	if node.MetaID != c.MetaID {
		return Outcome{Admit: d.admitted(c.Node)}
	}
	for i := range d.s.Shards {
		if g := d.s.mayForgetLog(&d.s.Shards[i], c.Node); g != nil {
			return g.outcome()
		}
	}
	var empty []topology.GroupID
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		own, ok := shard.member(c.Node)
		switch {
		case !ok:
		case !d.s.bears(shard) && (own.Kind == topology.Data && shard.data() == 1 || d.s.guardMajority(shard, c.Node, true) != nil):
			empty = append(empty, shard.ID) // nothing is lost, and nobody could go on with it
		default:
			own.RaftID, own.Synced = d.freshRaftID(), false
			shard.remove(c.Node)
			// Nobody votes under the former id any more, though the node lives.
			gone := &shard.Leaving[len(shard.Leaving)-1]
			gone.Node, gone.Synced = 0, false
			shard.add(own)
		}
	}
	for _, group := range empty {
		d.dropShard(group)
	}
	node.Gave, node.MetaID = c.MetaID, d.freshRaftID()
	if len(c.Lineage) > 0 {
		node.Incarnation = c.Lineage.Now()
	}
	return Outcome{Admit: d.admitted(c.Node)}
}

// mayForgetLog returns why the shard needs what the node has of it, nil if it does not.
func (s *State) mayForgetLog(shard *ShardRecord, node topology.NodeID) *guarded {
	if !shard.part(node) || !s.bears(shard) {
		return nil
	}
	slots := Slots{s.Slots.Of(shard.ID)}
	if own, ok := shard.member(node); ok && own.HoldsState() && s.heir(shard, node) == nil {
		return &guarded{text: fmt.Sprintf("ERR no other node that answers has all data of slots %s", slots), passing: true}
	}
	for _, electorate := range shard.electorates() {
		if _, stay, in := s.votes(shard, electorate, node); in && 2*stay <= len(electorate) {
			return &guarded{text: fmt.Sprintf("ERR the other voters of the shard of slots %s that answer are no majority", slots), passing: true}
		}
	}
	return nil
}

// comeBackReply answers ComeBack: what it came to, or why not.
type comeBackReply struct {
	Admit *AdmitOutcome `json:"admit,omitempty"`
	Text  string        `json:"text,omitempty"`
}

type comeBackRequest struct {
	Cluster uint64   `json:"cluster"`
	Change  ComeBack `json:"change"`
}

// AskComeBack asks one member, at its Raft address, to have the caller come back to
// that cluster. An error says why that did not come about; it may be asked again.
func AskComeBack(ctx context.Context, peers Peers, addr string, cluster uint64, change ComeBack) (AdmitOutcome, error) {
	reply, err := ask[comeBackReply](ctx, peers, addr, MethodComeBack, comeBackRequest{cluster, change})
	switch {
	case err != nil:
		return AdmitOutcome{}, err
	case reply.Admit == nil:
		return AdmitOutcome{}, Error(reply.Text)
	}
	return *reply.Admit, nil
}

// serveComeBack has the node's cluster take a member back. Nobody asks for another.
func (n *Node) serveComeBack(ctx context.Context, from uint64, request comeBackRequest) comeBackReply {
	a, _ := n.current()
	switch {
	case uint64(request.Change.Node) != from:
		return comeBackReply{Text: "ERR it asks for another node"}
	case a == nil || a.id.Cluster != request.Cluster:
		return comeBackReply{Text: "ERR the node that was asked is in another cluster"}
	case !a.ready():
		return comeBackReply{Text: string(errNoLeader)}
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	outcome, err := n.proposeIn(ctx, a, &request.Change)
	if outcome.Admit == nil || err != nil {
		return comeBackReply{Text: fmt.Sprint(err)}
	}
	n.log.Warn("MetaRaft member that has lost part of its log comes back under new Raft ids", "node", request.Change.Node,
		"former", request.Change.MetaID, "now", outcome.Admit.MetaID)
	return comeBackReply{Admit: outcome.Admit}
}
