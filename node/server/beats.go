package server

import (
	"context"
	"encoding/binary"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/sched"
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
// which silence is suspicious, and one at once whenever a leadership may have
// changed. A time that CONFIG SET has raised does not count: the others may not
// know it.
func (n *node) sendBeats(ctx context.Context) {
	w := n.sched.Waiter()
	defer w.Stop()
	until, waiting := n.nextBeat(), false // for company, until then
	for {
		which := w.Wait(until, ctx.Done(), n.beatNow)
		if which == 0 {
			return
		}
		if !waiting || which != sched.Timeout {
			n.makeBeat()
		}
		if waiting = !waiting && which == sched.Timeout; waiting {
			until = n.sched.Now().Add(n.companyTime())
			continue
		}
		n.sendRest()
		until = n.nextBeat()
	}
}

// beatInterval is whole ticks, if it is that long: less wakes an idle node.
func (n *node) beatInterval() time.Duration {
	third := min(time.Duration(n.cfg.Cluster.NodeTimeout), n.meta.NodeTimeout()) / 3
	if tick := time.Duration(n.cfg.Raft.Tick); third > tick {
		return third.Truncate(tick)
	}
	return third
}

func (n *node) nextBeat() time.Time { return sched.Next(n.sched, n.beatInterval()) }

// companyTime is how long a beat waits for a frame to go along with: those who are
// in a group together exchange heartbeats in that time.
func (n *node) companyTime() time.Duration {
	r := &n.cfg.Raft
	return min(time.Duration(r.Tick)*time.Duration(r.HeartbeatTicks+1), n.beatInterval()/2)
}

// makeBeat has a beat wait for company to all other members.
func (n *node) makeBeat() {
	view := n.meta.Current()
	n.hearsay.prune(view)
	n.company.wait(n.appendBeat(nil), view)
}

// sendRest sends the beat to those to whom nothing else went meanwhile.
func (n *node) sendRest() {
	for _, peer := range n.meta.Current().Nodes {
		n.sendAlong(uint64(peer.ID))
	}
}

// sendAlong sends the beat that waits for company to a node, if there is one.
func (n *node) sendAlong(to uint64) {
	if beat := n.company.take(to); beat != nil {
		n.transport.Send(to, transport.Control, beat)
	}
}

// company is a beat that waits for other frames to go along with: together they
// cost one write, and wake the other node once. Its methods may be called
// concurrently.
type company struct {
	waiting atomic.Int32 // len(to)
	mu      sync.Mutex
	beat    []byte
	to      map[uint64]bool
}

// wait has a beat wait for all other nodes of the view, in place of an older one.
func (c *company) wait(beat []byte, view *topology.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beat, c.to = beat, make(map[uint64]bool, len(view.Nodes))
	for _, peer := range view.Nodes {
		if peer.ID != view.Self {
			c.to[uint64(peer.ID)] = true
		}
	}
	c.waiting.Store(int32(len(c.to)))
}

// take returns the beat for a node, once.
func (c *company) take(node uint64) []byte {
	if c.waiting.Load() == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.to[node] {
		return nil
	}
	delete(c.to, node)
	c.waiting.Add(-1)
	return c.beat
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
