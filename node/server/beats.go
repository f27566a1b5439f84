package server

import (
	"context"
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// A beat is a frame by which a node tells every other one that it lives, how far
// it has applied the log of its own shard, and which shards it leads:
//
//	beat = 0 offset(uvarint) [group(8) term(8)]*
//
// Groups talk only to their members; with beats every pair of nodes knows of each
// other, and everyone of who serves. Frames of multiraft begin otherwise. Of a
// beat that is cut short, what can be read counts.
const beatFormat = 0

// maxClaims is how many shards a beat may speak of: a node leads one, and for a
// moment another.
const maxClaims = 64

func isBeat(frame []byte) bool { return len(frame) > 0 && frame[0] == beatFormat }

// appendBeat appends this node's beat.
func (n *node) appendBeat(dst []byte) []byte {
	dst = append(dst, beatFormat)
	var offset uint64
	if own := n.replicas.Own(); own != nil {
		offset = own.Machine().Applied()
	}
	dst = binary.AppendUvarint(dst, offset)
	for _, r := range n.replicas.All() {
		if r.Machine() == nil || !r.Leads() {
			continue // an arbiter does not serve
		}
		_, term := r.Group().Leader()
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Group().ID()))
		dst = binary.LittleEndian.AppendUint64(dst, term)
	}
	return dst
}

// sendBeats sends beats to all members until ctx ends: three in the time after
// which silence is suspicious, and one whenever a leadership may have changed. A
// time that CONFIG SET has raised does not count: the others may not know it.
func (n *node) sendBeats(ctx context.Context) {
	w := n.sched.Waiter()
	defer w.Stop()
	interval := func() time.Duration { return min(time.Duration(n.cfg.Cluster.NodeTimeout), n.meta.NodeTimeout()) / 3 }
	for w.Wait(n.sched.Now().Add(interval()), ctx.Done(), n.beatNow) != 0 {
		view := n.meta.Current()
		n.hearsay.prune(view)
		beat := n.appendBeat(nil)
		for _, peer := range view.Nodes {
			if peer.ID != view.Self {
				n.transport.Send(uint64(peer.ID), transport.Control, beat)
			}
		}
	}
}

// led returns when this node last knew of a data member that leads the shard.
func (n *node) led(group topology.GroupID) time.Time {
	if r := n.replicas.Data(group); r != nil && r.Leads() {
		return n.sched.Now()
	}
	leader, at := n.hearsay.led(group)
	shard := n.meta.Current().Shard(group)
	if shard == nil {
		return time.Time{}
	}
	if m, _, ok := shard.Member(leader); !ok || m.Kind != topology.Data {
		return time.Time{} // whoever says so does not serve
	}
	return at
}

// hearsay is what the others' beats have said. Its methods may be called
// concurrently.
type hearsay struct {
	mu      sync.Mutex
	leaders map[topology.GroupID]claim
	offsets map[topology.NodeID]uint64
}

// claim is what the leader of a shard last said of itself.
type claim struct {
	node topology.NodeID
	term uint64
	at   time.Time
	// leads is false once the node has said that it leads no more.
	leads bool
}

func newHearsay() *hearsay {
	return &hearsay{leaders: make(map[topology.GroupID]claim), offsets: make(map[topology.NodeID]uint64)}
}

// note takes in a beat.
func (h *hearsay) note(from topology.NodeID, beat []byte, now time.Time) {
	offset, size := binary.Uvarint(beat[1:])
	if size <= 0 {
		return
	}
	beat = beat[1+size:]
	beat = beat[:min(len(beat), 16*maxClaims)]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offsets[from] = offset
	for group, c := range h.leaders {
		if c.node == from {
			c.leads = false
			h.leaders[group] = c
		}
	}
	for ; len(beat) >= 16; beat = beat[16:] {
		group, term := topology.GroupID(binary.LittleEndian.Uint64(beat)), binary.LittleEndian.Uint64(beat[8:])
		if c, ok := h.leaders[group]; !ok || term >= c.term {
			h.leaders[group] = claim{node: from, term: term, at: now, leads: true}
		}
	}
}

// leader returns who said after since that it leads the shard, or 0.
func (h *hearsay) leader(group topology.GroupID, since time.Time) topology.NodeID {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.leaders[group]; c.leads && c.at.After(since) {
		return c.node
	}
	return 0
}

// led returns who last said that it leads the shard, and when.
func (h *hearsay) led(group topology.GroupID) (topology.NodeID, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.leaders[group]
	return c.node, c.at
}

// offset returns how far the node said that it has applied its shard's log.
func (h *hearsay) offset(node topology.NodeID) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.offsets[node]
}

// prune forgets what is not in the view.
func (h *hearsay) prune(v *topology.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.leaders, func(id topology.GroupID, _ claim) bool { return v.Shard(id) == nil })
	maps.DeleteFunc(h.offsets, func(id topology.NodeID, _ uint64) bool { return v.Node(id) == nil })
}
