package metaraft

import (
	"context"
	"maps"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// watchdog decides which nodes are failed, on the MetaRaft leader. It is a step
// function: time and contacts come from outside.
type watchdog struct {
	timeout time.Duration
	// met is when the watch first saw each node, which counts as contact: a new
	// leader, or a process that was suspended, knows nothing yet, and a node
	// that has just been admitted has not had the time to speak.
	met  map[topology.NodeID]time.Time
	last time.Time // of the previous step
}

// step returns what changed. It is called regularly while this node leads; a
// gap as long as the timeout begins a new watch.
func (w *watchdog) step(now time.Time, v *topology.View, contact func(topology.NodeID) topology.Contact) (change Liveness, any bool) {
	if w.last.IsZero() || now.Sub(w.last) >= w.timeout || now.Before(w.last) {
		w.met = make(map[topology.NodeID]time.Time)
	}
	w.last = now
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
	return change, len(change.Failed)+len(change.Alive) > 0
}

// stop ends the watch; the next step begins a new one.
func (w *watchdog) stop() { w.last = time.Time{} }

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

// keepTime does what depends on time passing until ctx ends.
func (n *Node) keepTime(ctx context.Context) {
	dog := watchdog{timeout: n.opts.NodeTimeout}
	orphan := orphanage{after: n.opts.OrphanAfter}
	interval := min(max(n.opts.NodeTimeout/10, 10*time.Millisecond), 250*time.Millisecond)
	for sched.Sleep(ctx, n.sched, interval) {
		a, _ := n.replica()
		if a == nil {
			continue
		}
		now := n.sched.Now()
		leader, self := a.raft.Leader()
		if orphan.step(now, leader != 0 && a.ready()) {
			n.duty("inquire", n.inquire)
		}
		if !self || !a.ready() || !settled(a.machine.State()) {
			dog.stop()
			continue
		}
		if change, any := dog.step(now, a.view(), n.opts.Contact); any {
			n.duty("liveness", func(ctx context.Context) { n.commitLiveness(ctx, a, change) })
		}
		n.expireIntents(a, now)
	}
}

func (n *Node) commitLiveness(ctx context.Context, a *attachment, change Liveness) {
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	if _, err := n.proposeIn(ctx, a, &change); err != nil {
		return // the next step sees the same again
	}
	for _, id := range change.Failed {
		n.log.Warn("MetaRaft node failed", "node", id)
	}
	for _, id := range change.Alive {
		n.log.Info("MetaRaft node is back", "node", id)
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
