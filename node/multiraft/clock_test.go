package multiraft

import (
	"testing"
	"time"
)

// A node's clock that does not fit moves the group's by a tenth of the time that
// passes, whatever it says and for how many entries; one that fits is followed.
func TestGroupClock(t *testing.T) {
	const day = 24 * time.Hour
	start := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct {
		jump     time.Duration // for the second half
		entries  int
		slack    time.Duration // how far the group's clock may be from the true time
		backWith int           // entries after the clock is right again
	}{
		"right":                  {0, 1000, 0, 10},
		"a little ahead":         {clockStep / 2, 1000, clockStep / 2, 10},
		"a day ahead once":       {day, 1, 10 * time.Millisecond, 1},
		"a day ahead":            {day, 10_000, 2 * time.Second, 10},
		"a day behind once":      {-day, 1, 10 * time.Millisecond, 1},
		"a day behind":           {-day, 10_000, 2 * time.Second, 10},
		"behind before the time": {-start.Sub(time.Unix(0, 0)), 100, 2 * time.Second, 1},
	} {
		var clock groupClock
		up, last := time.Hour, int64(0)
		propose := func(jump, passed time.Duration) time.Duration {
			up += passed
			now := start.Add(up)
			ns, _ := clock.due(now.Add(jump).UnixNano(), up)
			clock.time, clock.at = ns, up
			if ns < last {
				t.Fatalf("%s: the clock went back by %v", name, time.Duration(last-ns))
			}
			last = ns
			return time.Duration(ns - now.UnixNano())
		}
		propose(0, 0)
		passed := 10 * time.Second / time.Duration(c.entries)
		if c.entries == 1 {
			passed = 10 * time.Millisecond
		}
		var off time.Duration
		for range c.entries {
			off = propose(c.jump, passed)
		}
		if off.Abs() > c.slack {
			t.Errorf("%s: the group's clock is off by %v", name, off)
		}
		for range c.backWith {
			off = propose(0, 3*time.Second)
		}
		if off.Abs() > c.slack || c.slack > 0 && off.Abs() > time.Second {
			t.Errorf("%s: afterwards the group's clock is off by %v", name, off)
		}
	}
}

// A node whose clock jumps for one entry, and its successor, go on from what the
// entries before said; what is in the entries is what members apply.
func TestClockThatJumps(t *testing.T) {
	const day = 24 * time.Hour
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	write := func(v uint64) int64 {
		leader := l.leader(testGroup)
		call := l.call(leader, testGroup, v)
		call.replica.group.Submit(&call.Call)
		l.finish(call)
		expect(t, "write", call, nil)
		return call.replica.group.clock.time
	}
	before := write(1)
	leader := l.leader(testGroup)
	g := leader.replicas[testGroup].group
	at := g.host.steady(g.host.now)
	if due, off := g.clock.due(g.host.now.Add(day).UnixNano(), at); off < day-time.Minute || time.Duration(due-before) > time.Minute {
		t.Errorf("a day ahead, the leader would write %v later than before; it is off by %v", time.Duration(due-before), off)
	}
	for _, f := range l.followers(testGroup, leader) {
		g := f.replicas[testGroup].group
		if due, off := g.clock.due(g.host.now.Add(day).UnixNano(), g.host.steady(g.host.now)); off < day-time.Minute || time.Duration(due-before) > time.Minute {
			t.Errorf("a day ahead, node %d would write %v later than before; it is off by %v", f.id, time.Duration(due-before), off)
		}
	}
	// A machine whose clock is ahead: it runs on, not still.
	ahead := l.now.Add(day).UnixMilli()
	g.clockFloor = func() int64 { return ahead }
	first := write(2)
	second := write(3)
	if first < ahead*int64(time.Millisecond) || second < first {
		t.Errorf("entries at %d and %d, the machine is at %d ms", first, second, ahead)
	}
}
