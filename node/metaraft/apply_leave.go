package metaraft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/topology"
)

// Forget removes a member for good and leaves a tombstone. What a guard refuses
// (guard.go) is done with Force, and Outcome.Warning says what is lost by that: a
// shard of which no whole copy stays is dropped, and one that has lost its majority
// goes on from a copy that lives (topology.Shard.Refound).
type Forget struct {
	Node  topology.NodeID
	Force bool `json:",omitempty"`
}

// Kind implements Change.
func (*Forget) Kind() Kind { return "forget" }

func (c *Forget) apply(d *draft) Outcome {
	if o := d.forgettable(c.Node); o != nil {
		return *o
	}
	if c.Force {
		return d.forgetByForce(c.Node)
	}
	if d.s.Node(c.Node) != nil {
		if g := d.s.mayRemove(c.Node, false); g != nil {
			return g.outcome()
		}
	}
	d.forget(c.Node)
	return Outcome{}
}

// Leave is how a member removes itself (CLUSTER RESET). It ends the membership
// with that MetaRaft id alone: a late one does nothing to a node that came back.
// The node has made sure that it holds no keys that only it has. Gone says that it
// has dropped its data already, so that there is nothing left to guard. Lineage, if
// there is one, is that of the folder which left: the member of another is kept.
type Leave struct {
	Node    topology.NodeID
	MetaID  uint64
	Gone    bool    `json:",omitempty"`
	Lineage Lineage `json:",omitempty"`
}

// Kind implements Change.
func (*Leave) Kind() Kind { return "leave" }

func (c *Leave) apply(d *draft) Outcome {
	node := d.s.Node(c.Node)
	if node == nil || node.MetaID != c.MetaID || len(c.Lineage) > 0 && !c.Lineage.Continues(node.Incarnation) {
		return Outcome{}
	}
	if o := d.forgettable(c.Node); o != nil {
		return *o
	}
	if !c.Gone {
		if g := d.s.mayRemove(c.Node, true); g != nil {
			return g.outcome()
		}
	}
	d.forget(c.Node)
	return Outcome{}
}

// errLastNode is what Redis says where a node is to be forgotten by itself.
const errLastNode = Error("ERR I tried hard but I can't forget myself...")

// forgettable returns the refusal of Redis's for a node that is none, or that is
// the last one.
func (d *draft) forgettable(id topology.NodeID) *Outcome {
	var o Outcome
	switch member := d.s.Node(id) != nil; {
	case !member && !d.s.Tombstone(id):
		o = unknownNode(id)
	case member && d.s.Lone():
		o = Outcome{Error: string(errLastNode)}
	default:
		return nil
	}
	return &o
}

// forget removes a node, which is a member or was one.
func (d *draft) forget(id topology.NodeID) {
	if d.s.Node(id) != nil {
		d.dropStuck(id)
		d.removeNode(id)
	}
	for i := range d.s.Nodes {
		if node := &d.s.Nodes[i]; node.Follows == id {
			node.Follows = 0
		}
	}
	if i, ok := slices.BinarySearch(d.s.Tombstones, id); !ok {
		d.s.Tombstones = slices.Insert(d.s.Tombstones, i, id)
	}
}

// dropStuck drops the shards that have nothing to lose and would be without a
// majority for ever without the node: their members become masters without slots.
func (d *draft) dropStuck(id topology.NodeID) {
	var stuck []topology.GroupID
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		if shard.part(id) && !d.s.bears(shard) && d.s.guardMajority(shard, id, true) != nil {
			stuck = append(stuck, shard.ID)
		}
	}
	for _, group := range stuck {
		d.dropShard(group)
	}
}

// forgetByForce removes a node, whatever is lost by that, and says what.
func (d *draft) forgetByForce(id topology.NodeID) Outcome {
	var losses []string
	var dropped []topology.GroupID
	heirs := make(map[topology.GroupID]topology.NodeID)
	for i := range d.s.Shards {
		shard := &d.s.Shards[i]
		if !shard.part(id) || !d.s.bears(shard) {
			continue
		}
		own, wished := shard.member(id)
		sole := wished && own.Kind == topology.Data && shard.data() == 1
		heir := d.s.heir(shard, id)
		switch {
		case sole && heir != nil:
			return refuse("Node %s has a copy of slots %s, but only as an arbiter: CLUSTER REPLICATE %s on a node without slots makes another one", heir.Node, d.owned(shard), id)
		case sole, wished && own.Synced && heir == nil && !shard.syncedBeside(id):
			dropped = append(dropped, shard.ID)
			losses = append(losses, fmt.Sprintf("slots %s have no owner now, and their keys are lost", d.owned(shard)))
		case heir == nil:
			losses = append(losses, fmt.Sprintf("no node that answers has all data of slots %s", d.owned(shard)))
		case d.s.lostMajority(shard):
			heirs[shard.ID] = heir.Node
			losses = append(losses, fmt.Sprintf("slots %s go on from node %s, and writes that it has not received are lost", d.owned(shard), heir.Node))
		}
	}
	for _, group := range dropped {
		d.dropShard(group)
	}
	d.forget(id)
	for i := range d.s.Shards {
		if heir, ok := heirs[d.s.Shards[i].ID]; ok {
			d.refound(&d.s.Shards[i], heir)
		}
	}
	return Outcome{Warning: strings.Join(losses, "; ")}
}

// owned returns the slots of a shard for a message.
func (d *draft) owned(shard *ShardRecord) Slots { return Slots{d.s.Slots.Of(shard.ID)} }

// syncedBeside reports whether a member on another node has all of the data, be it
// alive or not.
func (r *ShardRecord) syncedBeside(id topology.NodeID) bool {
	return slices.ContainsFunc(r.Members, func(m topology.Member) bool { return m.Node != id && m.Synced })
}

// refound gives the shard's group up and begins another one with the copy that the
// node has: see topology.Shard.Refound. Arbiters are chosen anew.
func (d *draft) refound(shard *ShardRecord, from topology.NodeID) {
	d.failMigrationsOf(shard.ID, "has begun again from a copy") // the copy may lack what its logs said of them
	shard.Members = slices.DeleteFunc(shard.Members, func(m topology.Member) bool { return !m.HoldsState() })
	for i := range shard.Members {
		m := &shard.Members[i]
		m.RaftID = d.freshRaftID()
		m.Synced = m.Node == from
		if !m.Synced {
			continue
		}
		shard.Refound, shard.Voters = m.RaftID, []uint64{m.RaftID}
		if m.Kind == topology.Data {
			shard.Master = from
		}
	}
	shard.Leaving, shard.Outgoing = nil, nil
	shard.ReportTerm, shard.ReportSeq = 0, 0
	shard.membersChanged = true
}
