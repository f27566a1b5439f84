package multiraft

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A group's clock is what its entries say, and decides what expires. Nodes' own
// clocks are set by people and daemons, and jump; one that was a day ahead for a
// single entry would expire what is alive, and hold the group's clock still for a
// day. So an entry's time is the proposer's clock only if that fits the time of
// the last entry and what has passed since, on a clock that nobody sets. If it
// does not, the group's clock runs on by itself, and approaches the node's by a
// tenth of the time that passes: a clock that was set right wins in the end.
//
// A member knows when the last entry came, so a successor goes on from there.
// After a restart it knows that only once it has heard of a new entry; until then
// nobody can say how much time has passed, and its clock is taken at its word,
// but not if it is behind the group's.
const (
	// clockStep is how far a node's clock may be ahead of what is due, or behind.
	clockStep = time.Second
	// clockSlew is the part of the time that passes by which the group's clock
	// approaches a node's that is off.
	clockSlew = 10
)

// groupClock keeps a group's time. It belongs to the loop, except now.
type groupClock struct {
	time int64         // of the last entry, unix ns; 0: not known
	at   time.Duration // when that was, on the host's steady clock
	off  time.Duration // how far the node's clock was from what was due at last; 0: it fits

	sample atomic.Pointer[clockSample]
}

// clockSample is the group's time at a moment.
type clockSample struct {
	at   time.Time // with Go's monotonic reading
	time int64     // unix ns
}

// due returns the group's time at a moment, and how far the node's clock is off:
// 0 if it fits.
func (c *groupClock) due(wall int64, at time.Duration) (now int64, off time.Duration) {
	if c.time == 0 {
		return wall, 0
	}
	passed := max(at-c.at, 0)
	now = c.time + int64(passed)
	switch off = time.Duration(wall - now); {
	case off > clockStep:
		return now + int64(passed/clockSlew), off
	case off < -clockStep:
		return now - int64(passed/clockSlew), off
	default:
		return max(wall, c.time), 0
	}
}

// learn takes in that an entry of that time exists.
func (c *groupClock) learn(unixMs int64, at time.Duration) {
	ns := unixMs * int64(time.Millisecond)
	if now, _ := c.due(0, at); c.time == 0 || ns > now {
		c.time, c.at = ns, at
	}
}

// steady returns the host's clock that nobody sets.
func (h *Host) steady(now time.Time) time.Duration {
	if h.opts.Steady != nil {
		return h.opts.Steady()
	}
	return now.Sub(h.begun)
}

// stamp returns the time of an entry that is proposed now, in unix ms.
func (g *Group) stamp(now time.Time) int64 {
	c, at := &g.clock, g.host.steady(now)
	if g.clockFloor != nil && (c.time == 0 || g.clockFloor() > c.time/int64(time.Millisecond)+1) {
		floor := g.clockFloor()
		if c.time != 0 || floor > now.UnixMilli() {
			c.learn(floor, at)
		}
	}
	ns, off := c.due(now.UnixNano(), at)
	c.time, c.at = ns, at
	g.noteClock(off)
	return ns / int64(time.Millisecond)
}

// noteClock tells when the node's clock begins not to fit, and when it does again.
func (g *Group) noteClock(off time.Duration) {
	switch was := g.clock.off; {
	case off != 0 && was == 0:
		g.host.opts.Logger.Warn("this node's clock does not fit the group's, which goes on by itself and approaches it slowly",
			"group", g.id, "ahead", off)
	case off == 0 && was != 0:
		g.host.opts.Logger.Info("this node's clock fits the group's again", "group", g.id)
	}
	g.clock.off = off
}

// noteTime learns the time from an append that brings new entries: one that is
// not committed yet was made just now.
func (g *Group) noteTime(m *pb.Message, now time.Time) {
	entries := m.GetEntries()
	if len(entries) == 0 {
		return
	}
	last := entries[len(entries)-1]
	if data := last.GetData(); last.GetType() == pb.EntryNormal && len(data) >= entryHeader && last.GetIndex() > m.GetCommit() {
		g.clock.learn(int64(binary.LittleEndian.Uint64(data[1:])), g.host.steady(now))
	}
}

// showClock lets other goroutines know the group's time.
func (g *Group) showClock(now time.Time) {
	ns, _ := g.clock.due(now.UnixNano(), g.host.steady(now))
	g.clock.sample.Store(&clockSample{now, ns})
}

// Clock returns the group's time in unix ms, as the next entry would have it, as
// far as this member knows. now is the host's clock. It costs an atomic load.
func (g *Group) Clock(now time.Time) int64 {
	s := g.clock.sample.Load()
	if s == nil {
		return now.UnixMilli()
	}
	return (s.time + int64(now.Sub(s.at))) / int64(time.Millisecond)
}
