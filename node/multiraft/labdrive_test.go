package multiraft

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// busy says what parts of a node were woken, which is when their goroutines
// would call their step functions; a wake-up that is missing is missed here too.
func (n *labNode) busy() (loop, disk bool, appliers []*applier) {
	loop = len(n.host.inbox.wake) > 0 || !n.wake.IsZero() && !n.lab.now.Before(n.wake)
	disk = len(n.host.persist.queue.signal) > 0
	for _, g := range n.host.order {
		if len(g.applier.signal) > 0 {
			appliers = append(appliers, g.applier)
		}
	}
	return loop, disk, appliers
}

// woken takes a wake-up, if there is one.
func woken(signal chan struct{}) {
	select {
	case <-signal:
	default:
	}
}

func (n *labNode) stepLoop(tick bool) {
	woken(n.host.inbox.wake)
	n.wake = n.host.step(n.lab.now, tick)
	n.lab.dispatch()
}

func (n *labNode) stepDisk() {
	woken(n.host.persist.queue.signal)
	n.host.persist.step()
	n.lab.dispatch()
}

// stepErrands does what was left to goroutines beside the loop.
func (n *labNode) stepErrands() {
	errands := n.host.errands
	n.host.errands = nil
	for _, fn := range errands {
		fn()
	}
}

func (n *labNode) stepApplier(a *applier) {
	woken(a.signal)
	a.step()
}

// drain works until nothing is left to do at this moment.
func (l *lab) drain() {
	for again := true; again; {
		again = l.deliver()
		for _, n := range l.nodes {
			if !n.up || n.failure != nil {
				continue
			}
			loop, _, _ := n.busy()
			if loop {
				n.stepLoop(false)
			}
			_, disk, appliers := n.busy()
			if disk && !n.holdDisk {
				n.stepDisk()
			} else {
				disk = false
			}
			if n.holdApply {
				appliers = nil
			}
			for _, a := range appliers {
				n.stepApplier(a)
			}
			errands := len(n.host.errands) > 0
			n.stepErrands()
			again = again || loop || disk || errands || len(appliers) > 0
		}
	}
}

// tick lets one tick pass, in steps of a millisecond.
func (l *lab) tick() {
	l.drain()
	for range 10 {
		l.now = l.now.Add(time.Millisecond)
		l.drain()
	}
	for _, n := range l.nodes {
		if n.up && n.failure == nil {
			n.stepLoop(true)
		}
	}
	l.drain()
}

func (l *lab) ticks(n int) {
	for range n {
		l.tick()
	}
}

// until lets time pass until cond holds.
func (l *lab) until(what string, cond func() bool) {
	l.t.Helper()
	for range 2000 {
		if cond() {
			return
		}
		l.tick()
	}
	l.t.Fatalf("this never came: %s", what)
}

// labLink is a node's Transport.
type labLink struct{ from *labNode }

func (k labLink) Send(to uint64, control bool, frame []byte) bool {
	l := k.from.lab
	if l.refuse != nil && l.refuse(k.from.id, to, control) {
		return false
	}
	l.sent = append(l.sent, packet{from: k.from.id, to: to, control: control, frame: frame})
	return true
}

// dispatch puts what the last step sent on the wire.
func (l *lab) dispatch() {
	for _, p := range l.sent {
		if l.cut[[2]uint64{p.from, p.to}] || p.to > uint64(len(l.nodes)) {
			continue
		}
		if l.pass != nil {
			if p.frame = l.filter(p); p.frame == nil {
				continue
			}
		}
		l.post(p)
	}
	clear(l.sent)
	l.sent = l.sent[:0]
}

// post sends a packet, past all filters but fate.
func (l *lab) post(p packet) {
	delays := []time.Duration{0}
	if l.fate != nil {
		delays = l.fate(p)
	}
	for i, d := range delays {
		l.seq++
		p.seq, p.due = l.seq, l.now.Add(d)
		if i > 0 {
			p.frame = bytes.Clone(p.frame)
		}
		l.wire = append(l.wire, p)
	}
}

// filter returns the frame without the messages that may not pass.
func (l *lab) filter(p packet) []byte {
	out := appendFrameHeader(nil, testCluster)
	err := decodeFrame(p.frame, testCluster, func(id GroupID, m *pb.Message) {
		if l.pass(p.from, p.to, id, m) {
			out = appendMessage(out, id, m)
		}
	})
	if err != nil {
		l.t.Fatalf("node %d sent what cannot be decoded: %v", p.from, err)
	}
	if len(out) == frameHeader {
		return nil
	}
	return out
}

// deliver hands out what is due.
func (l *lab) deliver() bool {
	var due []packet
	rest := l.wire[:0]
	for _, p := range l.wire {
		if p.due.After(l.now) {
			rest = append(rest, p)
		} else {
			due = append(due, p)
		}
	}
	clear(l.wire[len(rest):])
	l.wire = rest
	slices.SortFunc(due, func(a, b packet) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.seq, b.seq))
	})
	for _, p := range due {
		l.note("frame", p.from, p.to, uint64(l.now.UnixNano()), p.frame)
		if n := l.node(p.to); n.up {
			n.host.Receive(p.from, p.frame)
		}
	}
	return len(due) > 0
}

// lossy loses percent of the packets and delays the others by up to 5 ms.
func lossy(l *lab, percent int) []time.Duration {
	if l.rng.Intn(100) < percent {
		return nil
	}
	return []time.Duration{time.Duration(l.rng.Intn(5000)) * time.Microsecond}
}

// jiggle lets one part of one node work, and now and then time pass.
func (l *lab) jiggle(i int) {
	l.deliver()
	n := l.nodes[l.rng.Intn(len(l.nodes))]
	loop, disk, appliers := n.busy()
	switch {
	case i%len(l.nodes) == 0 && l.rng.Intn(4) == 0:
		l.now = l.now.Add(time.Millisecond)
	case l.rng.Intn(30) == 0:
		n.stepLoop(true)
	case loop && l.rng.Intn(2) == 0:
		n.stepLoop(false)
	case disk && l.rng.Intn(2) == 0:
		n.stepDisk()
	case len(appliers) > 0:
		n.stepApplier(appliers[0])
	}
}
