package metaraft

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// watchdog decides which nodes are failed and which shards are without a leader,
// on the MetaRaft leader. It is a step function: time and what is known of the
// others come from outside.
type watchdog struct {
	timeout time.Duration
	// met and begun are when the watch first saw each node and shard, which counts
	// as contact: a new leader, or a process that was suspended, knows nothing yet,
	// and a node that has just been admitted has not had the time to speak.
	met   map[topology.NodeID]time.Time
	begun map[topology.GroupID]time.Time
	last  time.Time // of the previous step
}

// step returns what changed. It is called regularly while this node leads; a
// gap as long as the timeout begins a new watch.
func (w *watchdog) step(now time.Time, v *topology.View, contact func(topology.NodeID) topology.Contact,
	led func(topology.GroupID) time.Time,
) (change Liveness, any bool) {
	if w.last.IsZero() || now.Sub(w.last) >= w.timeout || now.Before(w.last) {
		w.met, w.begun = make(map[topology.NodeID]time.Time), make(map[topology.GroupID]time.Time)
	}
	w.last = now
	w.watchNodes(now, v, contact, &change)
	w.watchShards(now, v, led, &change)
	return change, len(change.Failed)+len(change.Alive)+len(change.Unled)+len(change.Led) > 0
}

func (w *watchdog) watchNodes(now time.Time, v *topology.View, contact func(topology.NodeID) topology.Contact, change *Liveness) {
	maps.DeleteFunc(w.met, func(id topology.NodeID, _ time.Time) bool { return v.Node(id) == nil })
	for _, node := range v.Nodes {
		met, ok := w.met[node.ID]
		if !ok {
			met = now
			w.met[node.ID] = met
		}
		heard := contact(node.ID).Pong
		silent := now.Sub(heard) >= w.timeout
		switch {
		case node.ID == v.Self:
			if node.Failed {
				change.Alive = append(change.Alive, node.ID)
			}
		case !node.Failed && silent && now.Sub(met) >= w.timeout:
			change.Failed = append(change.Failed, node.ID)
		case node.Failed && !silent:
			change.Alive = append(change.Alive, node.ID)
		}
	}
}

// watchShards notices shards without a leader whoever of their voters lives: a
// majority may be gone, cut off from the rest, or of arbiters alone.
func (w *watchdog) watchShards(now time.Time, v *topology.View, led func(topology.GroupID) time.Time, change *Liveness) {
	maps.DeleteFunc(w.begun, func(id topology.GroupID, _ time.Time) bool { return v.Shard(id) == nil })
	for _, shard := range v.Shards {
		begun, ok := w.begun[shard.ID]
		if !ok {
			begun = now
			w.begun[shard.ID] = begun
		}
		unled := now.Sub(led(shard.ID)) >= w.timeout
		switch {
		case !shard.Unled && unled && now.Sub(begun) >= w.timeout:
			change.Unled = append(change.Unled, Leaderless{shard.ID, shard.MasterTerm})
		case shard.Unled && !unled:
			change.Led = append(change.Led, shard.ID)
		}
	}
}

// stop ends the watch; the next step begins a new one.
func (w *watchdog) stop() { w.last = time.Time{} }

// vigil tells for which of some things a condition has held for the whole time. It
// is a step function as well. Its memory is the leader's: with a new one the time
// begins again.
type vigil[K comparable] struct {
	after time.Duration
	since map[K]time.Time
}

// step takes those for which the condition holds now, and returns those for which
// it has held long enough.
func (v *vigil[K]) step(now time.Time, holding []K) (due []K) {
	if v.since == nil {
		v.since = make(map[K]time.Time)
	}
	maps.DeleteFunc(v.since, func(k K, _ time.Time) bool { return !slices.Contains(holding, k) })
	for _, k := range holding {
		since, known := v.since[k]
		switch {
		case !known || now.Before(since):
			v.since[k] = now
		case now.Sub(since) >= v.after:
			due = append(due, k)
		}
	}
	return due
}

// stop forgets what is known; the next step begins anew.
func (v *vigil[K]) stop() { v.since = nil }

// overdue returns the nodes that have been failed for the whole time and have a
// duty that another node can take over.
func overdue(v *vigil[topology.NodeID], now time.Time, s *State) []topology.NodeID {
	var failed []topology.NodeID
	for i := range s.Nodes {
		if s.Nodes[i].Failed {
			failed = append(failed, s.Nodes[i].ID)
		}
	}
	return slices.DeleteFunc(v.step(now, failed), func(id topology.NodeID) bool { return !s.relieves(s.Node(id)) })
}

// uncopied returns the shards whose arbiters have had too few copies of the data,
// or too many, for the whole time.
func uncopied(v *vigil[topology.GroupID], now time.Time, s *State) []topology.GroupID {
	var shards []topology.GroupID
	for i := range s.Shards {
		if superfluous, next := s.copyChange(&s.Shards[i]); next != 0 || len(superfluous) > 0 {
			shards = append(shards, s.Shards[i].ID)
		}
	}
	return v.step(now, shards)
}

// orphanage notices that this node has been without a leader, or without its
// own membership, for too long. It is a step function too.
type orphanage struct {
	after time.Duration
	since time.Time // zero: all is well
}

// step reports whether it is time to ask around; then it starts over.
func (o *orphanage) step(now time.Time, fine bool) bool {
	switch {
	case fine:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = now
	case now.Sub(o.since) >= o.after:
		o.since = now
		return true
	}
	return false
}

// NodeTimeout is how long a node is not heard of until it counts as failed.
func (n *Node) NodeTimeout() time.Duration { return time.Duration(n.nodeTimeout.Load()) }

// SetNodeTimeout changes it. What MetaRaft's leader has counts.
func (n *Node) SetNodeTimeout(d time.Duration) { n.nodeTimeout.Store(int64(d)) }

// keepTime does what depends on time passing until ctx ends.
func (n *Node) keepTime(ctx context.Context) {
	var dog watchdog
	failed := vigil[topology.NodeID]{after: n.opts.RelieveAfter}
	short := vigil[topology.GroupID]{after: n.opts.RelieveAfter}
	orphan := orphanage{after: n.opts.OrphanAfter}
	interval := func() time.Duration { return min(max(n.NodeTimeout()/10, 10*time.Millisecond), 250*time.Millisecond) }
	for sched.Every(ctx, n.sched, interval()) {
		dog.timeout = n.NodeTimeout()
		a, _ := n.current()
		if a == nil {
			continue
		}
		now := n.sched.Now()
		leader, self := a.raft.Leader()
		if orphan.step(now, leader != 0 && a.ready()) {
			n.duty("inquire", n.inquire)
		}
		if !self || !a.ready() || !staying(a.machine.State()) {
			dog.stop()
			failed.stop()
			short.stop()
			continue
		}
		if change, any := dog.step(now, a.view(), n.opts.Contact, n.opts.Led); any {
			n.duty("liveness", func(ctx context.Context) { n.commitLiveness(ctx, a, change) })
		}
		if due := overdue(&failed, now, a.machine.State()); len(due) > 0 {
			n.duty("relieve", func(ctx context.Context) { n.commitRelief(ctx, a, due) })
		}
		if due := uncopied(&short, now, a.machine.State()); len(due) > 0 {
			n.duty("copies", func(ctx context.Context) { n.commitCopies(ctx, a, due) })
		}
		n.expireIntents(a, now)
	}
}

func (n *Node) commitRelief(ctx context.Context, a *attachment, due []topology.NodeID) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.proposeIn(ctx, a, &Relieve{Nodes: due}); err != nil {
		return // the next step sees the same again
	}
	for _, id := range due {
		n.log.Warn("MetaRaft gives the duties of a failed node to others", "node", id, "failed_for", n.opts.RelieveAfter)
	}
}

func (n *Node) commitCopies(ctx context.Context, a *attachment, due []topology.GroupID) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.proposeIn(ctx, a, &AdjustCopies{Shards: due}); err != nil {
		return // the next step sees the same again
	}
	for _, id := range due {
		if shard := a.machine.State().Shard(id); shard != nil {
			n.log.Info("MetaRaft decided which arbiters keep a copy of a shard's data", "shard", id, "copies", shard.copyNodes())
		}
	}
}

func (n *Node) commitLiveness(ctx context.Context, a *attachment, change Liveness) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.proposeIn(ctx, a, &change); err != nil {
		return // the next step sees the same again
	}
	for _, id := range change.Failed {
		n.log.Warn("MetaRaft node failed", n.called(id)...)
	}
	for _, id := range change.Alive {
		n.log.Info("MetaRaft node is back", n.called(id)...)
	}
	for _, l := range change.Unled {
		n.log.Warn("MetaRaft shard has no leader", "shard", l.Shard)
	}
	for _, id := range change.Led {
		n.log.Info("MetaRaft shard has a leader again", "shard", id)
	}
}

// expireIntents cancels intents whose proposer should have done so long ago.
func (n *Node) expireIntents(a *attachment, now time.Time) {
	for _, in := range a.machine.State().Intents {
		if now.UnixMilli()-in.Created < 2*n.opts.CommandTimeout.Milliseconds() {
			continue
		}
		n.duty("intent", func(ctx context.Context) {
			ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
			defer cancel()
			_, err := n.proposeIn(ctx, a, &CancelIntent{Intent: in.ID})
			n.log.Warn("MetaRaft cancelled a change of slot ownership that nobody finished", "intent", in.ID, "slots", in.Slots.String(), "result", err)
		})
		return
	}
}
