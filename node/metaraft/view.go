package metaraft

import (
	"slices"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// buildView returns the state as node self sees it. It shares nothing with s that
// ever changes.
func buildView(s *State, self topology.NodeID) *topology.View {
	v := &topology.View{
		Self: self, ClusterID: s.ClusterID, Index: s.Index, Epoch: s.Epoch, Feature: s.Feature, EndpointType: s.EndpointType,
		LastSlotEpoch: s.SlotEpoch,
		Residue:       make(map[topology.GroupID]slot.Set, len(s.Residue)),
	}
	if s.Frozen != nil {
		v.Joining = s.Frozen.TargetAddr
	}
	shards := make(map[topology.GroupID]*topology.Shard, len(s.Shards))
	holds := make(map[topology.NodeID]*topology.Shard, len(s.Nodes))
	for _, r := range s.Shards {
		shard := &topology.Shard{
			ID: r.ID, Master: r.Master, MasterTerm: r.MasterTerm, Version: r.Version,
			Members: slices.Clone(r.Members), Leaving: slices.Clone(r.Leaving),
			Voters: r.Voters, Outgoing: r.Outgoing, ReportTerm: r.ReportTerm, Refound: r.Refound, Unled: r.Unled,
		}
		v.Shards = append(v.Shards, shard)
		shards[r.ID] = shard
		for _, m := range r.Members {
			if m.Kind == topology.Data {
				holds[m.Node] = shard
			}
		}
	}
	var last topology.GroupID
	var shard *topology.Shard
	for n := range s.Slots {
		owner := s.Slots[n]
		v.SlotEpoch[n] = owner.Epoch
		if owner.Group != last {
			last, shard = owner.Group, shards[owner.Group]
		}
		if shard != nil {
			v.Owner[n] = shard
			shard.Slots.Add(uint16(n))
		}
	}
	for _, n := range s.Nodes {
		v.Nodes = append(v.Nodes, &topology.Node{
			ID: n.ID, Address: n.Address, ConfigEpoch: n.ConfigEpoch, Failed: n.Failed,
			Shard: holds[n.ID], MetaID: n.MetaID, MetaVoter: n.MetaVoter,
		})
	}
	for _, in := range s.Intents {
		v.Intents = append(v.Intents, &topology.Intent{
			ID: in.ID, Epoch: in.Epoch, Slots: in.Slots.Set, Pending: slices.Clone(in.Pending), To: in.To, Migration: in.Migration,
		})
	}
	addMoves(v, s)
	for _, r := range s.Residue {
		v.Residue[r.Group] = r.Slots.Set
	}
	return v
}

// addMoves adds to a view what goes on with slots that move.
func addMoves(v *topology.View, s *State) {
	ended := 0
	for i := range s.Migrations {
		m := &s.Migrations[i]
		shown := &topology.Migration{
			ID: m.ID, Slots: m.Slots.Set, From: m.From, To: m.To, Source: m.Source, Dest: m.Dest, Face: m.Face,
			State: m.State, Error: m.Error, Retries: m.Retries, Epoch: m.Epoch,
			Created: m.Created, Changed: m.Changed, Ended: m.Ended, Paused: m.Paused,
		}
		v.Migrations = append(v.Migrations, shown)
		if !m.active() {
			ended++
		}
	}
	slices.Reverse(v.Migrations[len(v.Migrations)-ended:])
	for _, g := range s.Garbage {
		v.Garbage = append(v.Garbage, &topology.Garbage{Group: g.Group, Slots: g.Slots.Set, Epoch: g.Epoch})
	}
	for _, m := range s.Marks {
		mark := topology.Mark{Group: m.Group, Slot: m.Slot, Kind: m.Kind, Epoch: m.Epoch}
		if peer := s.Shard(m.Peer); peer != nil {
			mark.Peer = peer.Master
		}
		v.Marks = append(v.Marks, mark)
	}
}
