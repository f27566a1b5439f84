package multiraft

import (
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Offer is a leader's word that its log begins behind the end of this member's.
type Offer struct {
	// Node is where the state can be had.
	Node uint64
	// Point is the leader's truncation point. The state to fetch is not older.
	Point Point
}

// receiver is the other end of a sender: what a member knows of the snapshots that
// leaders offered to it. It belongs to the loop, but for what is atomic.
type receiver struct {
	group *Group
	last  atomic.Pointer[Offer]
}

// offered takes an offer in. One that this member does not need is raft's to
// answer, so that the leader learns where it stands.
func (r *receiver) offered(node uint64, m *pb.Message) {
	g := r.group
	meta := m.GetSnapshot().GetMetadata()
	if meta.GetIndex() <= g.rn.BasicStatus().GetCommit() {
		_ = g.rn.Step(m)
		return
	}
	r.last.Store(&Offer{
		Node:  node,
		Point: Point{Index: meta.GetIndex(), Term: meta.GetTerm(), Conf: pb.EnsureConfState(meta.GetConfState())},
	})
	g.host.notify(g.id)
}

// Offer returns the last offer, nil if there is none that the member needs.
func (g *Group) Offer() *Offer { return g.receiver.last.Load() }

// Decline forgets an offer that could not be taken: if it is still needed there
// will be another.
func (g *Group) Decline(o *Offer) { g.receiver.last.CompareAndSwap(o, nil) }

// review forgets an offer that the log has caught up with.
func (r *receiver) review() {
	if o := r.last.Load(); o != nil && o.Point.Index <= r.group.rn.BasicStatus().GetCommit() {
		r.last.Store(nil)
	}
}
