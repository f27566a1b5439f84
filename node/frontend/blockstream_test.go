package frontend

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// All clients that wait for the same entries with XREAD get them, each what is behind its
// own id; $ is what was the last one when the client came.
func TestBlockedOnEntries(t *testing.T) {
	f := start(t, nil)
	b := f.dial()
	b.want([]string{"XADD {s} 1-1 a b"}, "1-1")
	lines := []string{
		"XREAD BLOCK 0 STREAMS {s} $", "XREAD BLOCK 0 COUNT 1 STREAMS {s}o {s} $ $", "XREAD COUNT 1 BLOCK 100000 STREAMS {s} 1-1",
		"XREAD BLOCK 0 STREAMS {s} +", "XREAD BLOCK 0 STREAMS {s} 3-0",
	}
	b.want([]string{lines[3]}, "[[{s} [[1-1 [a b]]]]]") // + finds something at once
	lines[3] = "XREAD BLOCK 0 STREAMS {s}x {s} + 1-1"
	var waiting []*client
	for i, line := range lines {
		c := f.dial()
		c.send(line + "\r\n")
		f.blocked(int64(i + 1))
		waiting = append(waiting, c)
	}
	b.want([]string{"XADD {s} 2-1 c d"}, "2-1")
	for i, c := range waiting[:4] {
		if got := c.reply(); got != "[[{s} [[2-1 [c d]]]]]" {
			t.Errorf("%s: %s", lines[i], got)
		}
	}
	f.blocked(1)
	b.want([]string{"MULTI", "XADD {s} 3-0 e f", "XADD {s} 3-1 g h", "XADD {s} 3-2 i j", "EXEC"}, "OK", "QUEUED", "QUEUED", "QUEUED", "[3-0 3-1 3-2]")
	if got := waiting[4].reply(); got != "[[{s} [[3-1 [g h]] [3-2 [i j]]]]]" {
		t.Error(got)
	}
	f.blocked(0)
}

// What waits with XREAD outlives the stream, and is not disturbed by other types.
func TestStreamsComeAndGo(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	b.want([]string{"XADD s 5-1 a b"}, "5-1")
	a.send("XREAD BLOCK 0 STREAMS s $\r\n")
	f.blocked(1)
	b.want([]string{"DEL s", "SET s x", "DEL s", "FLUSHALL", "XADD s 5-1 c d"}, ":1", "OK", ":1", "OK", "5-1")
	f.blocked(1)
	b.want([]string{"XADD s 6-1 e f"}, "6-1")
	if got := a.reply(); got != "[[s [[6-1 [e f]]]]]" {
		t.Error(got)
	}
}

// Each group gets all entries, and within one they are shared out in the order in which
// its consumers came. That a consumer asks is noted at once.
func TestBlockedInGroups(t *testing.T) {
	f := start(t, nil)
	b := f.dial()
	b.want([]string{"XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h $"}, "OK", "OK")
	var waiting []*client
	for i, line := range []string{
		"XREADGROUP GROUP g one COUNT 1 BLOCK 0 STREAMS s >", "XREADGROUP GROUP g two COUNT 1 BLOCK 0 STREAMS s >",
		"XREADGROUP GROUP h one BLOCK 0 STREAMS s >", "XREADGROUP GROUP g three BLOCK 0 NOACK STREAMS s >",
	} {
		c := f.dial()
		c.send(line + "\r\n")
		f.blocked(int64(i + 1))
		waiting = append(waiting, c)
	}
	if got := b.do("XINFO CONSUMERS s g")[0]; strings.Count(got, "pending :0") != 3 {
		t.Errorf("consumers: %s", got)
	}
	b.want([]string{"XADD s 1-1 a 1"}, "1-1")
	for _, i := range []int{0, 2} {
		if got := waiting[i].reply(); got != "[[s [[1-1 [a 1]]]]]" {
			t.Errorf("client %d: %s", i, got)
		}
	}
	f.blocked(2)
	b.want([]string{"XACK s g 1-1", "MULTI", "XADD s 2-1 a 2", "XADD s 2-2 a 3", "EXEC"}, ":1", "OK", "QUEUED", "QUEUED", "[2-1 2-2]")
	for i, want := range map[int]string{1: "[[s [[2-1 [a 2]]]]]", 3: "[[s [[2-2 [a 3]]]]]"} {
		if got := waiting[i].reply(); got != want {
			t.Errorf("client %d: %s", i, got)
		}
	}
	b.want([]string{"XPENDING s g", "XPENDING s h"}, "[:1 2-1 2-1 [[two 1]]]", "[:1 1-1 1-1 [[one 1]]]")
	f.blocked(0)
}

// A client whose group is gone, or the stream, is told so.
func TestBlockedInAGroupThatGoes(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	const none = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
	for line, want := range map[string]string{
		"XGROUP DESTROY s g":  none,
		"DEL s":               none,
		"FLUSHALL":            none,
		"SET s x":             "-WRONGTYPE Operation against a key holding the wrong kind of value",
		"PEXPIREAT s 1":       none,
		"RENAME s {s}o":       none,
		"ZADD {s}z 1 m":       "",
		"XGROUP DESTROY s h":  "",
		"XGROUP CREATE s i 0": "",
	} {
		b.do("FLUSHALL", "XGROUP CREATE s g $ MKSTREAM")
		a.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n")
		f.blocked(1)
		b.do(line)
		if want == "" {
			f.blocked(1)
			b.do("XADD s 1-1 a b")
			want = "[[s [[1-1 [a b]]]]]"
		}
		if got := a.reply(); got != want {
			t.Errorf("%s: %s", line, got)
		}
		f.blocked(0)
	}
}

// Nothing waits that finds something, has an error, is in a transaction, or does not say
// so.
func TestStreamsThatDoNotWait(t *testing.T) {
	f := start(t, nil)
	a := f.dial()
	a.want([]string{
		"XREAD STREAMS s 0", "XREAD BLOCK 1 STREAMS s $", "XADD s 1-1 a b", "XREAD BLOCK 0 STREAMS s 0", "XGROUP CREATE s g 0",
		"XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "XREADGROUP GROUP g c STREAMS s >", "XREADGROUP GROUP g c BLOCK 1 STREAMS s >",
		"XREADGROUP GROUP g c BLOCK 0 STREAMS s 0", "XREAD BLOCK x STREAMS s $", "XREAD BLOCK -1 STREAMS s $", "XREAD BLOCK 0 STREAMS s t $ $",
		"XREADGROUP GROUP h c BLOCK 0 STREAMS s >", "MULTI", "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g d BLOCK 0 STREAMS s >", "EXEC",
	}, "(nil)", "(nil)", "1-1", "[[s [[1-1 [a b]]]]]", "OK",
		"[[s [[1-1 [a b]]]]]", "(nil)", "(nil)",
		"[[s [[1-1 [a b]]]]]", "-ERR timeout is not an integer or out of range", "-ERR timeout is negative", "-CROSSSLOT Keys in request don't hash to the same slot",
		"-NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option", "OK", "QUEUED", "QUEUED", "[(nil) (nil)]")
}

// A client that claims what is pending is served when it has been so for long enough,
// though nobody adds anything.
func TestBlockedUntilItMayClaim(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	b.want([]string{"XGROUP CREATE s g $ MKSTREAM", "XADD s 1-1 a b", "XREADGROUP GROUP g dead STREAMS s >"}, "OK", "1-1", "[[s [[1-1 [a b]]]]]")
	begun := time.Now()
	a.send("XREADGROUP GROUP g alive BLOCK 0 CLAIM 300 STREAMS s >\r\n")
	f.blocked(1)
	f.node.own.entry.Add(400)
	f.node.own.local.Add(400)
	if got := a.reply(); got != "[[s [[1-1 [a b] :400 :1]]]]" {
		t.Error(got)
	}
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	b.want([]string{"XPENDING s g"}, "[:1 1-1 1-1 [[alive 1]]]")
}

// A replica's clients wait for what it is sent, if they said READONLY.
func TestBlockedOnAReplica(t *testing.T) {
	f := start(t, nil)
	own := f.node.own
	own.leads.Store(false)
	c := f.dial()
	c.want([]string{"READONLY"}, "OK")
	c.send("XREAD BLOCK 0 STREAMS s $\r\n")
	f.blocked(1)
	own.mu.Lock()
	own.do("XADD s 1-1 a b")
	own.mu.Unlock()
	if got := c.reply(); got != "[[s [[1-1 [a b]]]]]" {
		t.Error(got)
	}
	if events := own.takeEvents(); slices.Contains(events, "barrier") {
		t.Errorf("events: %q", events)
	}
}

// While nothing is there, nothing goes to the log but that a consumer asks, and what does
// not concern those who wait does not wake them.
func TestBlockedReadersAreQuiet(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	b.want([]string{"XADD s 1-1 a b", "XGROUP CREATE s g $"}, "1-1", "OK")
	a.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n")
	f.blocked(1)
	eventually(t, "the look", func() bool { return f.server.counters.blocked.Load() == 1 })
	f.node.own.takeEvents()
	for range 10 {
		b.want([]string{"XACK s g 1-1", "XDEL s 9-9", "XGROUP CREATECONSUMER s g d", "XGROUP DELCONSUMER s g d", "XADD t 1-* a b"}[:4], ":0", ":0", ":1", ":0")
	}
	for _, event := range f.node.own.takeEvents() {
		if strings.Contains(strings.ToLower(event), "xreadgroup") || event == "barrier" {
			t.Errorf("event: %s", event)
		}
	}
	b.want([]string{"XADD s 2-1 c d"}, "2-1")
	if got := a.reply(); got != "[[s [[2-1 [c d]]]]]" {
		t.Error(got)
	}
	if n := f.node.own.submits("XREADGROUP"); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}
