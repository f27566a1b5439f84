package metaraft

import (
	"context"

	"github.com/genuineh/aikv/node/topology"
)

// Address is what this node announces, or is about to.
func (n *Node) Address() topology.Address { return *n.address.Load() }

// Announce changes what this node announces, except for its Raft address, and
// returns when the cluster has recorded it: the next read on any node shows it.
// After an error, an uncertain one too, the node announces what it did before. One
// call at a time.
func (n *Node) Announce(ctx context.Context, address topology.Address) error {
	before := n.Address()
	address.Raft = before.Raft
	n.address.Store(&address)
	if _, err := n.Propose(ctx, &SetAddress{Node: n.self(), Address: address, Lineage: n.opts.Lineage()}); err != nil {
		n.address.Store(&before)
		n.wake() // the steward takes back what may have been recorded
		return err
	}
	n.log.Info("MetaRaft address announced", "node", n.self(), "host", address.Host, "port", address.Port,
		"hostname", address.Hostname, "name", address.Nodename)
	return nil
}

// called names a node in the log: by its id and what people call it.
func (n *Node) called(id topology.NodeID) []any {
	if node := n.Current().Node(id); node != nil && node.Address.Nodename != "" {
		return []any{"node", id, "name", node.Address.Nodename}
	}
	return []any{"node", id}
}

// SetEndpointType makes all nodes prefer a kind of endpoint in what they tell
// clients, whatever their configurations say.
func (n *Node) SetEndpointType(ctx context.Context, kind string) error {
	_, err := n.Propose(ctx, &SetEndpointType{Type: kind})
	return err
}
