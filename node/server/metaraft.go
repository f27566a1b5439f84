package server

import (
	"context"
	"errors"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// metaMachine makes metaraft.Machine what multiraft applies to.
type metaMachine struct{ machine *metaraft.Machine }

// Applied implements multiraft.Machine.
func (m *metaMachine) Applied() uint64 { return m.machine.Applied() }

// Sync implements multiraft.Machine.
func (m *metaMachine) Sync(uint64) (uint64, error) { return m.machine.Sync() }

// Check implements multiraft.Machine.
func (m *metaMachine) Check(payload []byte) (weight int, err error) {
	_, err = metaraft.DecodeProposal(payload)
	return 0, err
}

// Apply implements multiraft.Machine.
func (m *metaMachine) Apply(committed []multiraft.Committed) error {
	entries := make([]metaraft.Entry, len(committed))
	for i, c := range committed {
		entries[i] = metaraft.Entry{Index: c.Index, Time: c.Time, Payloads: c.Payloads}
		if len(c.Calls) == 0 {
			continue
		}
		entries[i].Results = make([]*[]byte, len(c.Calls))
		for j, call := range c.Calls {
			entries[i].Results[j], _ = call.Result.(*[]byte)
		}
	}
	return m.machine.Apply(entries)
}

// metaRaft is the node's replica of the MetaRaft group; it implements
// metaraft.Raft.
type metaRaft struct {
	node  *node
	group *multiraft.Group
}

// Propose implements metaraft.Raft.
func (r metaRaft) Propose(ctx context.Context, payload []byte) ([]byte, error) {
	result := new([]byte)
	err := multiraft.Run(ctx, r.node.sched, &multiraft.Call{Payload: payload, Result: result}, func(c *multiraft.Call) { r.group.Submit(c) })
	switch {
	case err == nil:
		return *result, nil
	case errors.Is(err, multiraft.ErrUncertain), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, metaraft.ErrUncertain
	case errors.Is(err, multiraft.ErrRefused):
		return nil, err // another try would be refused too
	default: // certainly not applied
		return nil, metaraft.ErrNotLeader
	}
}

// Barrier implements metaraft.Raft.
func (r metaRaft) Barrier(ctx context.Context) error {
	return multiraft.Run(ctx, r.node.sched, new(multiraft.Call), r.group.Barrier)
}

// Leader implements metaraft.Raft.
func (r metaRaft) Leader() (uint64, bool) {
	leader, _ := r.group.Leader()
	return leader, leader != 0 && leader == r.group.RaftID()
}

// Progress implements metaraft.Raft.
func (r metaRaft) Progress() []metaraft.MemberProgress {
	ctx, cancel := r.node.sched.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status, err := r.group.Status(ctx)
	if err != nil {
		return nil
	}
	var members []metaraft.MemberProgress
	for _, m := range status.Members {
		members = append(members, metaraft.MemberProgress{
			MetaID: m.RaftID, Voter: m.Voter, Match: m.Match, Contact: m.Contact,
		})
	}
	return members
}

// reporter is MetaRaft as the replicas see it; it implements replica.Topology.
type reporter struct{ node *node }

// Current implements replica.Topology.
func (r reporter) Current() *topology.View { return r.node.meta.Current() }

// Recovered implements replica.Topology. A node that was forgotten has a view of
// the time when it was a member, which is older than the state it has applied.
func (r reporter) Recovered() bool {
	replica := r.node.home.replica.Load()
	if !replica.recovered() {
		return false
	}
	s, v := replica.machine.State(), r.Current()
	return v.ClusterID != s.ClusterID || v.Index >= s.Index
}

// Takeover implements replica.Topology.
func (r reporter) Takeover(ctx context.Context, cluster uint64, shard topology.GroupID, leader, term uint64) error {
	self := r.node.home.Identity().Node
	r.node.log.Info("MetaRaft is told of a master", "shard", shard, "node", self, "term", term)
	return r.propose(ctx, cluster, &metaraft.Takeover{Shard: shard, Node: self, RaftID: leader, Term: term})
}

// Report implements replica.Topology.
func (r reporter) Report(ctx context.Context, cluster uint64, shard topology.GroupID, leader, seq uint64, report *multiraft.Report) error {
	return r.propose(ctx, cluster, &metaraft.Report{
		Shard: shard, Leader: leader, Term: report.Term, Seq: seq,
		Voters: report.Voters, Outgoing: report.Outgoing, Synced: report.Synced, Behind: report.Behind,
	})
}

// MembershipDone implements replica.Topology.
func (r reporter) MembershipDone(ctx context.Context, cluster uint64, shard topology.GroupID, version uint64) error {
	return r.propose(ctx, cluster, &metaraft.MembershipDone{Shard: shard, Version: version})
}

// Sealed implements replica.Topology.
func (r reporter) Sealed(ctx context.Context, cluster, intent uint64, shard topology.GroupID, residue slot.Set) error {
	return r.propose(ctx, cluster, &metaraft.Sealed{Intent: intent, Group: shard, Residue: metaraft.Slots{Set: residue}})
}

// ClearResidue implements replica.Topology.
func (r reporter) ClearResidue(ctx context.Context, cluster uint64, shard topology.GroupID, slots slot.Set) error {
	return r.propose(ctx, cluster, &metaraft.ClearResidue{Group: shard, Slots: metaraft.Slots{Set: slots}})
}

func (r reporter) propose(ctx context.Context, cluster uint64, change metaraft.Change) error {
	_, err := r.node.meta.ProposeIn(ctx, cluster, change)
	return err
}

// clientError turns MetaRaft's refusals, which are exact texts, into replies.
func clientError(err error) error {
	var text metaraft.Error
	if errors.As(err, &text) {
		return resp.Error(text)
	}
	return err
}
