package metaraft

import (
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// BurnToken makes sure that no Admit with this token succeeds from now on.
// Outcome.Admit says "burned", or "admitted" if it was too late.
type BurnToken struct{ Token uint64 }

// Kind implements Change.
func (*BurnToken) Kind() Kind { return "burn-token" }

func (c *BurnToken) apply(d *draft) Outcome {
	if d.s.ClusterID == 0 {
		return *d.closed()
	}
	if o := d.tokenOutcome(c.Token); o != nil {
		return Outcome{Admit: o}
	}
	return Outcome{Admit: d.endToken(Token{Token: c.Token, Status: Burned})}
}

// Admit takes a lone node with everything it owns into the cluster. It is the
// one commit point of a join and idempotent by Token; Outcome.Admit says how it
// ended. Freeze makes its body.
type Admit struct {
	Token       uint64 // random, not 0
	Node        topology.NodeID
	Address     topology.Address
	ConfigEpoch uint64
	Shards      []Import
	// MaxRaftID, SlotEpoch and Epoch are the joiner's counters: no Raft id up
	// to MaxRaftID may be given out again.
	MaxRaftID uint64
	SlotEpoch uint64
	Epoch     uint64
	// Follows is the joiner's NodeRecord.Follows. NewGroup is a random id, used
	// if this join reunites a replica with a master that has no shard yet.
	Follows  topology.NodeID  `json:",omitempty"`
	NewGroup topology.GroupID `json:",omitempty"`
	Lineage  Lineage          `json:",omitempty"`
}

// Import is a shard that comes with a joining node.
type Import struct {
	Shard ShardRecord
	// Slots are the shard's slots with their epochs.
	Slots []SlotRun
	// Residue are slots that the shard does not own but holds keys of.
	Residue Slots
}

// Kind implements Change.
func (*Admit) Kind() Kind { return "admit" }

func (c *Admit) apply(d *draft) Outcome {
	if d.s.ClusterID == 0 {
		return *d.closed()
	}
	if o := d.tokenOutcome(c.Token); o != nil {
		return Outcome{Admit: o}
	}
	if d.closed() != nil {
		o := d.endToken(Token{Token: c.Token, Node: c.Node, Status: Burned})
		o.Status = Retry
		return Outcome{Admit: o}
	}
	if text := d.admit(c); text != "" {
		d.undo()
		return Outcome{Admit: d.endToken(Token{Token: c.Token, Node: c.Node, Status: Refused, Text: text})}
	}
	return Outcome{Admit: d.endToken(Token{Token: c.Token, Node: c.Node, Status: Admitted})}
}

// tokenOutcome returns how the token ended before, nil if it is new.
func (d *draft) tokenOutcome(token uint64) *AdmitOutcome {
	for _, t := range d.s.Tokens {
		if t.Token != token {
			continue
		}
		if t.Status != Admitted {
			return &AdmitOutcome{Status: t.Status, Text: t.Text}
		}
		if node := d.s.Node(t.Node); node == nil || node.Token != token {
			// It was a member and is none any more: the token is used up.
			return &AdmitOutcome{Status: Burned}
		}
		return d.admitted(t.Node)
	}
	return nil
}

// endToken records how the token ended and returns that as an outcome.
func (d *draft) endToken(t Token) *AdmitOutcome {
	d.s.Tokens = append(d.s.Tokens, t)
	if extra := len(d.s.Tokens) - joinTokens; extra > 0 {
		d.s.Tokens = slices.Delete(d.s.Tokens, 0, extra)
	}
	if t.Status == Admitted {
		return d.admitted(t.Node)
	}
	return &AdmitOutcome{Status: t.Status, Text: t.Text}
}

// admitted returns what a member that was admitted has to know. Voters may
// still change when what follows is derived, hence they are not told here.
func (d *draft) admitted(id topology.NodeID) *AdmitOutcome {
	o := &AdmitOutcome{
		Status: Admitted, ClusterID: d.s.ClusterID, MetaID: d.s.Node(id).MetaID, Index: d.index,
	}
	for _, m := range d.s.MetaMembers() {
		if m.Node != id {
			o.Peers = append(o.Peers, m)
		}
	}
	return o
}

// implausible returns what is wrong with a joiner's word by itself, empty if
// nothing is.
func implausible(c *Admit) string {
	highest := max(c.MaxRaftID, c.SlotEpoch, c.Epoch, c.ConfigEpoch)
	for _, im := range c.Shards {
		highest = max(highest, im.Shard.MasterTerm, im.Shard.Version)
		for _, m := range slices.Concat(im.Shard.Members, im.Shard.Leaving) {
			highest = max(highest, m.RaftID)
		}
		for _, run := range im.Slots {
			highest = max(highest, run.Epoch)
		}
	}
	switch {
	case highest >= maxCounter:
		return fmt.Sprintf("ERR node %s counts to %d, which cannot be", c.Node, highest)
	case len(c.Shards) > 1:
		return fmt.Sprintf("ERR node %s has more than one shard", c.Node)
	}
	return badAddress(&c.Address)
}

// secondHolder returns why a joiner is not the member of the same id that left
// without this cluster's knowledge, empty if it may be. The process that left
// comes back under its own incarnation; one that was started since is only
// believed when nobody answers for the member any more.
func (d *draft) secondHolder(member *NodeRecord, joiner Lineage) string {
	switch {
	case joiner.Now() == member.Incarnation:
		return ""
	case !joiner.Continues(member.Incarnation):
		return "ERR " + OtherHolder(member)
	case !member.Failed && member.Incarnation.Start != 0:
		return "ERR " + OtherHolder(member) + " (If it is the same node, which left alone: MEET again when it is shown as failed.)"
	}
	return ""
}

// admit takes the node in, or returns why it cannot.
func (d *draft) admit(c *Admit) string {
	if text := implausible(c); text != "" {
		return text
	}
	if old := d.s.Node(c.Node); old != nil {
		if d.s.Lone() {
			return fmt.Sprintf("ERR node id %s is this cluster's only node", c.Node)
		}
		if text := d.secondHolder(old, c.Lineage); text != "" {
			return text
		}
		// The node left without this cluster's knowledge, dropped its data and
		// comes back. Its old memberships must not be taken for its new ones.
		d.removeNode(c.Node)
		for i := range d.s.Shards {
			for j := range d.s.Shards[i].Leaving {
				if m := &d.s.Shards[i].Leaving[j]; m.Node == c.Node {
					m.Node = 0
				}
			}
		}
	}
	if text := d.importConflict(c); text != "" {
		return text
	}
	d.s.RaftID = max(d.s.RaftID, c.MaxRaftID)
	for i := range c.Shards {
		for _, m := range slices.Concat(c.Shards[i].Shard.Members, c.Shards[i].Shard.Leaving) {
			d.s.RaftID = max(d.s.RaftID, m.RaftID)
		}
	}
	d.s.SlotEpoch = max(d.s.SlotEpoch, c.SlotEpoch)
	d.s.Epoch = max(d.s.Epoch, c.Epoch, c.ConfigEpoch)
	node := NodeRecord{
		ID: c.Node, Address: c.Address, ConfigEpoch: c.ConfigEpoch,
		MetaID: d.freshRaftID(), Token: c.Token, Follows: c.Follows, Incarnation: c.Lineage.Now(),
	}
	if slices.ContainsFunc(d.s.Nodes, func(n NodeRecord) bool { return n.ConfigEpoch == c.ConfigEpoch }) {
		// As Redis resolves it when two masters meet with one epoch.
		d.s.Epoch++
		node.ConfigEpoch = d.s.Epoch
	}
	d.insertNode(node)
	if i, ok := slices.BinarySearch(d.s.Tombstones, c.Node); ok {
		d.s.Tombstones = slices.Delete(d.s.Tombstones, i, i+1)
	}
	for i := range c.Shards {
		d.importShard(&c.Shards[i])
	}
	d.reunite(c.NewGroup)
	return ""
}

// reunite makes nodes replicas again of those that they followed in a cluster
// that dissolved, as far as both are here. One that cannot be any more, such as
// one that has got slots since, stays what it is.
func (d *draft) reunite(newGroup topology.GroupID) {
	for i := range d.s.Nodes {
		node := &d.s.Nodes[i]
		if node.Follows == 0 || d.s.Node(node.Follows) == nil {
			continue
		}
		replicate := Replicate{Node: node.ID, Master: node.Follows, NewGroup: newGroup}
		node.Follows = 0
		replicate.apply(d) // a refusal changes nothing
	}
}

// importConflict returns why what the node brings does not go together with
// what is here, empty if it does.
func (d *draft) importConflict(c *Admit) string {
	const wayOut = "delete those slots or keys, or CLUSTER RESET the node, then MEET again"
	for i := range c.Shards {
		im := &c.Shards[i]
		if text := malformed(im, c.Node); text != "" {
			return text
		}
		if d.s.Shard(im.Shard.ID) != nil {
			return fmt.Sprintf("ERR shard %s is part of this cluster already; CLUSTER RESET HARD node %s, then MEET again",
				im.Shard.ID, c.Node)
		}
		owned := slotsOf(im.Slots)
		for n := range owned.All {
			if group := d.s.Slots[n].Group; group != 0 {
				return fmt.Sprintf("ERR Slot %d is owned by node %s here and by the joining node %s; %s",
					n, d.s.Shard(group).Master, c.Node, wayOut)
			}
		}
		if n, holder, ok := d.s.residueIn(&owned, 0); ok {
			return fmt.Sprintf("ERR Slot %d of the joining node %s still holds keys on node %s; %s",
				n, c.Node, d.s.Shard(holder).Master, wayOut)
		}
		for n := range im.Residue.All {
			if group := d.s.Slots[n].Group; group != 0 {
				return fmt.Sprintf("ERR Slot %d of node %s still holds keys on the joining node %s; %s",
					n, d.s.Shard(group).Master, c.Node, wayOut)
			}
		}
	}
	return ""
}

// malformed returns what is wrong with an import by itself: a lone node has one
// shard at most, which is its own.
func malformed(im *Import, node topology.NodeID) string {
	members := im.Shard.Members
	if im.Shard.ID == 0 || im.Shard.Master != node ||
		len(members) != 1 || members[0].Node != node || members[0].Kind != topology.Data {
		return fmt.Sprintf("ERR shard %s is not that of node %s alone", im.Shard.ID, node)
	}
	for _, run := range im.Slots {
		if run.Start > run.End || run.End >= slot.Count {
			return fmt.Sprintf("ERR Invalid or out of range slot in shard %s", im.Shard.ID)
		}
	}
	return ""
}

// importShard adds a shard with its slots; there is no conflict.
func (d *draft) importShard(im *Import) {
	shard := im.Shard
	shard.Members = slices.Clone(shard.Members)
	shard.Leaving = slices.Clone(shard.Leaving)
	shard.Unled = false // this cluster has yet to listen
	d.insertShard(shard)
	for _, run := range im.Slots {
		for n := run.Start; n <= run.End; n++ {
			owner := SlotOwner{shard.ID, run.Epoch}
			if before := d.s.Slots[n].Epoch; before >= owner.Epoch {
				// A slot's epoch rises with every change of hands; its
				// owner takes it up again with the new one.
				owner.Epoch = 0
			}
			d.slots()[n] = owner
		}
	}
	var stale slot.Set
	for n := range d.s.Slots {
		if o := d.s.Slots[n]; o.Group == shard.ID && o.Epoch == 0 {
			stale.Add(uint16(n))
		}
	}
	if !stale.Empty() {
		d.assign(&stale, shard.ID, d.freshSlotEpoch())
	}
	d.addResidue(shard.ID, &im.Residue.Set)
}
