package multiraft

import "testing"

// A wait for members ends when they store what there was when it began, counts
// neither arbiters nor the leader, and is lost with the leadership.
func TestAwaitStored(t *testing.T) {
	l := limited(t, 3, 1000, 1<<30)
	dataAndArbiter(l)
	a, b := l.node(1), l.node(2)
	l.fill(testGroup, 10)
	group := a.replicas[testGroup].group
	ended := 0
	await := func(n int) *StoredWait {
		w := group.AwaitStored(n > 0, n, func() { ended++ })
		l.drain()
		return w
	}
	want := func(w *StoredWait, stored int, done, lost bool) {
		t.Helper()
		if s, d, lo := w.State(); s != stored || d != done || lo != lost {
			t.Errorf("stored %d, done %v, lost %v; want %d, %v, %v", s, d, lo, stored, done, lost)
		}
	}
	want(await(0), 1, true, false)
	want(await(1), 1, true, false)
	two := await(2)
	want(two, 1, false, false) // the arbiter does not count
	if ended != 2 {
		t.Errorf("%d waits ended", ended)
	}

	if !two.Own() {
		t.Error("the leader has stored nothing itself")
	}

	l.isolate(b, true)
	l.fill(testGroup, 1)
	one := await(1)
	want(one, 0, false, false)
	stopped := await(1)
	stopped.Stop()
	l.isolate(b, false)
	l.until("the replica to store the last write", func() bool { _, done, _ := one.State(); return done })
	want(one, 1, true, false)
	want(stopped, 0, false, false)
	if ended != 3 {
		t.Errorf("%d waits ended", ended)
	}

	l.isolate(a, true)
	l.until("the end of the leadership", func() bool { _, _, lost := two.State(); return lost })
	want(await(1), 0, false, true)
	if n := len(group.storedWaits); n != 0 {
		t.Errorf("%d waits are left", n)
	}
}
