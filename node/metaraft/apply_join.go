package metaraft

import (
	"slices"
)

// Freeze stops every topology change of a lone cluster that is about to join
// the target. Outcome.Join is what the node brings along. Freezing again with
// the same token answers the same.
type Freeze struct {
	Token         uint64 // random, not 0
	TargetAddr    string // Raft address of a member of the target
	TargetCluster uint64
	Others        []string `json:",omitempty"` // the Raft addresses of its other members
}

// Kind implements Change.
func (*Freeze) Kind() Kind { return "freeze" }

func (c *Freeze) apply(d *draft) Outcome {
	if f := d.s.Frozen; f != nil && f.Token == c.Token {
		return Outcome{Join: d.joinBody(c.Token)}
	}
	if o := d.closed(); o != nil {
		return *o
	}
	switch {
	case !d.s.Lone():
		return Outcome{Error: "TRYAGAIN the node is not alone any more"}
	case len(d.s.Intents) > 0:
		return Outcome{Error: "TRYAGAIN slots are changing hands"}
	case len(d.s.Garbage) > 0: // the target knows nothing of it
		return Outcome{Error: "TRYAGAIN what the node had of slots that moved away is still being deleted"}
	}
	for i := range d.s.Shards {
		if len(d.s.Shards[i].Leaving) > 0 {
			return Outcome{Error: "TRYAGAIN forgotten nodes are still leaving the node's shard"}
		}
	}
	frozen := *c
	d.s.Frozen = &frozen
	return Outcome{Join: d.joinBody(c.Token)}
}

// joinBody returns what the lone node brings into the cluster that it joins.
func (d *draft) joinBody(token uint64) *Admit {
	node := &d.s.Nodes[0]
	body := &Admit{
		Token: token, Node: node.ID, Address: node.Address, ConfigEpoch: node.ConfigEpoch,
		MaxRaftID: d.s.RaftID, SlotEpoch: d.s.SlotEpoch, Epoch: d.s.Epoch, Follows: node.Follows,
	}
	runs := d.s.Slots.Runs()
	for _, shard := range d.s.Shards {
		shard.Members = slices.Clone(shard.Members)
		im := Import{Shard: shard}
		for _, run := range runs {
			if run.Group == shard.ID {
				im.Slots = append(im.Slots, run)
			}
		}
		for _, r := range d.s.Residue {
			if r.Group == shard.ID {
				im.Residue = r.Slots
			}
		}
		body.Shards = append(body.Shards, im)
	}
	return body
}

// Unfreeze ends the freeze with that token, if there is one.
type Unfreeze struct{ Token uint64 }

// Kind implements Change.
func (*Unfreeze) Kind() Kind { return "unfreeze" }

func (c *Unfreeze) apply(d *draft) Outcome {
	if d.s.Frozen != nil && d.s.Frozen.Token == c.Token {
		d.s.Frozen = nil
	}
	return Outcome{}
}

// Dissolve ends a cluster that owns no slots and no keys: every member becomes lone and
// joins the target by itself. Nothing can be changed afterwards.
type Dissolve struct {
	Token         uint64
	TargetAddr    string
	TargetCluster uint64
}

// Kind implements Change.
func (*Dissolve) Kind() Kind { return "dissolve" }

func (c *Dissolve) apply(d *draft) Outcome {
	if d.s.Dissolved != nil && d.s.Dissolved.Token == c.Token {
		return Outcome{}
	}
	if o := d.closed(); o != nil {
		return *o
	}
	if !d.s.empty() {
		return refuse("the cluster owns slots or keys; reset its nodes, or delete its slots and keys, before it can join another one")
	}
	dissolved := *c
	d.s.Dissolved = &dissolved
	return Outcome{}
}
