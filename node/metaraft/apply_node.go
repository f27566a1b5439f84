package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// Init is the first change of a lone cluster; refused on any other state.
type Init struct {
	ClusterID uint64
	Node      topology.NodeID
	Address   topology.Address
	MetaID    uint64 // the node's Raft id in the MetaRaft group, not 0
	Feature   uint32
	// ConfigEpoch and Follows are what the node keeps of a cluster that
	// dissolved: see NodeRecord.
	ConfigEpoch uint64          `json:",omitempty"`
	Follows     topology.NodeID `json:",omitempty"`
	Incarnation Incarnation     `json:",omitzero"`
}

// Kind implements Change.
func (*Init) Kind() Kind { return "init" }

func (c *Init) apply(d *draft) Outcome {
	if d.s.ClusterID != 0 {
		return refuse("MetaRaft has a cluster already")
	}
	d.s.ClusterID, d.s.Feature, d.s.RaftID = c.ClusterID, c.Feature, c.MetaID
	d.s.Epoch = c.ConfigEpoch
	d.insertNode(NodeRecord{
		ID: c.Node, Address: c.Address, ConfigEpoch: c.ConfigEpoch, MetaID: c.MetaID, MetaVoter: true, Follows: c.Follows,
		Incarnation: c.Incarnation,
	})
	return Outcome{}
}

// SetAddress records where a node is reached, and its present incarnation. It is
// refused where the node's folder does not continue the recorded one.
type SetAddress struct {
	Node    topology.NodeID
	Address topology.Address
	Lineage Lineage `json:",omitempty"`
}

// Kind implements Change.
func (*SetAddress) Kind() Kind { return "set-address" }

func (c *SetAddress) apply(d *draft) Outcome {
	node := d.s.Node(c.Node)
	if node == nil {
		return unknownNode(c.Node)
	}
	if text := badAddress(&c.Address); text != "" {
		return Outcome{Error: text}
	}
	if !c.Lineage.Continues(node.Incarnation) {
		return Outcome{Error: "ERR " + OtherHolder(node)}
	}
	node.Address = c.Address
	if len(c.Lineage) > 0 {
		node.Incarnation = c.Lineage.Now()
	}
	return Outcome{}
}

// SetEndpointType sets State.EndpointType.
type SetEndpointType struct{ Type string }

// Kind implements Change.
func (*SetEndpointType) Kind() Kind { return "set-endpoint" }

func (c *SetEndpointType) apply(d *draft) Outcome {
	switch c.Type {
	case "ip", "hostname", "unknown-endpoint":
	default:
		return refuse("%q is no type of endpoint", c.Type[:min(len(c.Type), 32)])
	}
	d.s.EndpointType = c.Type
	return Outcome{}
}

// SetConfigEpoch sets the config epoch of a lone node that has none.
type SetConfigEpoch struct {
	Node  topology.NodeID
	Epoch uint64
}

// Kind implements Change.
func (*SetConfigEpoch) Kind() Kind { return "set-config-epoch" }

func (c *SetConfigEpoch) apply(d *draft) Outcome {
	node := d.s.Node(c.Node)
	switch {
	case node == nil:
		return unknownNode(c.Node)
	case !d.s.Lone():
		return refuse("The user can assign a config epoch only when the node does not know any other node.")
	case node.ConfigEpoch != 0:
		return refuse("Node config epoch is already non-zero")
	}
	node.ConfigEpoch = c.Epoch
	d.s.Epoch = max(d.s.Epoch, c.Epoch)
	return Outcome{Epoch: c.Epoch}
}

// BumpEpoch gives the node the highest config epoch of the cluster.
// Outcome.Epoch is its epoch, Outcome.Bumped whether it changed.
type BumpEpoch struct{ Node topology.NodeID }

// Kind implements Change.
func (*BumpEpoch) Kind() Kind { return "bump-epoch" }

func (c *BumpEpoch) apply(d *draft) Outcome {
	node := d.s.Node(c.Node)
	if node == nil {
		return unknownNode(c.Node)
	}
	highest := d.s.Epoch
	for i := range d.s.Nodes {
		highest = max(highest, d.s.Nodes[i].ConfigEpoch)
	}
	if node.ConfigEpoch != 0 && node.ConfigEpoch == highest {
		return Outcome{Epoch: node.ConfigEpoch}
	}
	d.s.Epoch = highest + 1
	node.ConfigEpoch = d.s.Epoch
	return Outcome{Epoch: node.ConfigEpoch, Bumped: true}
}

// Liveness records which nodes the MetaRaft leader has lost and found, and which
// shards it has missed, and found, a leader of.
type Liveness struct {
	Failed, Alive []topology.NodeID
	Unled         []Leaderless       `json:",omitempty"`
	Led           []topology.GroupID `json:",omitempty"`
}

// Leaderless is a shard that nobody is known to lead. It says nothing of a shard
// that has been taken over since MasterTerm.
type Leaderless struct {
	Shard      topology.GroupID
	MasterTerm uint64
}

// Kind implements Change.
func (*Liveness) Kind() Kind { return "liveness" }

func (c *Liveness) apply(d *draft) Outcome {
	for _, id := range c.Failed {
		if node := d.s.Node(id); node != nil {
			node.Failed = true
		}
	}
	for _, id := range c.Alive {
		if node := d.s.Node(id); node != nil {
			node.Failed = false
		}
	}
	for _, l := range c.Unled {
		if shard := d.s.Shard(l.Shard); shard != nil && shard.MasterTerm == l.MasterTerm {
			shard.Unled = true
		}
	}
	for _, id := range c.Led {
		if shard := d.s.Shard(id); shard != nil {
			shard.Unled = false
		}
	}
	return Outcome{}
}

// Relieve takes from nodes that have been failed for long the duties that others
// can do: their places as arbiters, and their votes in MetaRaft unless they were
// promoted by hand. Data stays where it is, and what no node that lives can take
// over stays too.
type Relieve struct{ Nodes []topology.NodeID }

// Kind implements Change.
func (*Relieve) Kind() Kind { return "relieve" }

func (c *Relieve) apply(d *draft) Outcome {
	for _, id := range c.Nodes {
		node := d.s.Node(id)
		if node == nil || !node.Failed {
			continue // it came back
		}
		for i := range d.s.Shards {
			if shard := &d.s.Shards[i]; d.s.relievesArbiter(shard, id) {
				shard.remove(id)
			}
		}
		if d.s.relievesVoter(node) {
			node.MetaVoter = false
		}
		// One node at a time: whoever has taken over is not free for the next.
		d.deriveArbiters()
		d.deriveVoters()
	}
	return Outcome{}
}

// relievesArbiter reports whether another node, which lives, can be the shard's
// arbiter in the failed node's place.
func (s *State) relievesArbiter(shard *ShardRecord, failed topology.NodeID) bool {
	m, ok := shard.member(failed)
	return ok && m.Kind == topology.Arbiter && !s.lastCopy(shard, m) && slices.ContainsFunc(s.Nodes, func(n NodeRecord) bool {
		_, member := shard.member(n.ID)
		return !n.Failed && !member
	})
}

// relievesVoter reports whether another node, which lives, can vote in MetaRaft
// in the failed node's place.
func (s *State) relievesVoter(failed *NodeRecord) bool {
	return failed.MetaVoter && !failed.Pinned &&
		slices.ContainsFunc(s.Nodes, func(n NodeRecord) bool { return !n.Failed && !n.MetaVoter })
}

// relieves reports whether Relieve would take something from a failed node.
func (s *State) relieves(failed *NodeRecord) bool {
	return s.relievesVoter(failed) || slices.ContainsFunc(s.Shards, func(r ShardRecord) bool { return s.relievesArbiter(&r, failed.ID) })
}

// Promote makes nodes voters of MetaRaft until they are forgotten.
// Outcome.Warning is set if that makes the number of voters even.
type Promote struct{ Nodes []topology.NodeID }

// Kind implements Change.
func (*Promote) Kind() Kind { return "promote" }

func (c *Promote) apply(d *draft) Outcome {
	before := d.s.voters()
	for _, id := range c.Nodes {
		node := d.s.Node(id)
		if node == nil {
			return unknownNode(id)
		}
		node.Pinned, node.MetaVoter = true, true
	}
	var o Outcome
	if after := d.s.voters(); after != before && after%2 == 0 {
		o.Warning = "the number of MetaRaft voters is even now: one voter more or less survives as many failures"
	}
	return o
}

// voters returns how many members vote in MetaRaft.
func (s *State) voters() int {
	n := 0
	for i := range s.Nodes {
		if s.Nodes[i].MetaVoter {
			n++
		}
	}
	return n
}

// Feature raises the feature level that replicated behaviour follows.
type Feature struct{ Level uint32 }

// Kind implements Change.
func (*Feature) Kind() Kind { return "feature" }

func (c *Feature) apply(d *draft) Outcome {
	if c.Level < d.s.Feature {
		return refuse("the feature level is %d already and cannot fall", d.s.Feature)
	}
	d.s.Feature = c.Level
	return Outcome{}
}
