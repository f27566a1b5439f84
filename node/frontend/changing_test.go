package frontend

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// mover is a node whose slots change hands.
type mover struct {
	*fixture
	late  atomic.Int64 // by which the server's clock is ahead
	epoch uint64
}

func startMover(t *testing.T) *mover {
	m := &mover{epoch: 1}
	m.fixture = start(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(m.late.Load())) }
	})
	return m
}

// view returns a view in which the shard of node 2, whose group is 20, has all slots, or
// that of this node, 10; intent is the shard that is about to get them, 0: none.
func (m *mover) view(owner, intent topology.GroupID) *topology.View {
	shards := []*topology.Shard{
		{ID: 10, Master: 1, Members: []topology.Member{{Node: 1}}}, {ID: 20, Master: 2, Members: []topology.Member{{Node: 2}}},
	}
	shards[owner/10-1].Slots = slot.Full()
	v := buildView(1, 2, shards...)
	if intent != 0 {
		v.Intents = []*topology.Intent{{ID: 1, Epoch: m.epoch + 1, Slots: slot.Full(), To: intent}}
	}
	return v
}

func (m *mover) seal() {
	m.epoch++
	m.node.own.log(shard.AppendSeal(nil, slot.Full(), m.epoch))
}

func (m *mover) takeUp() {
	m.epoch++
	m.node.own.log(shard.AppendOwn(nil, slot.Full(), m.epoch))
}

// submissions waits until so many writes have reached the group.
func (m *mover) submissions(what string) {
	m.t.Helper()
	var seen []string
	eventually(m.t, what+" is submitted", func() bool {
		seen = append(seen, m.node.own.takeEvents()...)
		return slices.Contains(seen, what)
	})
}

// What a sealed slot refuses is answered when the view says who has the slot.
func TestSealedSlot(t *testing.T) {
	moved := func(key string) string { return fmt.Sprintf("-MOVED %d 10.0.0.2:7002", slot.Of([]byte(key))) }
	for _, c := range []struct {
		lines    []string
		awaited  string
		elsewise []string // if the slot goes to the other shard
		here     []string // if it stays
	}{
		{[]string{"SET k 1"}, "submit SET", []string{moved("k")}, []string{"OK"}},
		{[]string{"GET k"}, "read get", []string{moved("k")}, []string{"old"}},
		{
			[]string{"SET k 1", "APPEND k 2", "GET k", "DEL k other{k}", "PING"},
			"submit SET APPEND",
			[]string{moved("k"), moved("k"), moved("k"), moved("k"), "PONG"},
			[]string{"OK", ":2", "12", ":1", "PONG"},
		},
		{[]string{"SET a 1", "SET b 1"}, "submit SET SET", []string{moved("a"), moved("b")}, []string{"OK", "OK"}},
		{
			[]string{"MULTI", "SET k 1", "GET k", "EXEC"},
			"submit (SET GET)",
			[]string{"OK", "QUEUED", "QUEUED", moved("k")},
			[]string{"OK", "QUEUED", "QUEUED", "[OK 1]"},
		},
		{
			[]string{"MULTI", "GET k", "STRLEN k", "EXEC", "GET k"},
			"read (GET STRLEN)",
			[]string{"OK", "QUEUED", "QUEUED", moved("k"), moved("k")},
			[]string{"OK", "QUEUED", "QUEUED", "[old :3]", "old"},
		},
		{[]string{"WATCH k", "MULTI", "SET k 1", "EXEC"}, "read watch", []string{moved("k"), "OK", "-MOVED", ""}, []string{"OK", "OK", "QUEUED", "[OK]"}},
		{[]string{"BLPOP list 0"}, "read blpop", []string{moved("list")}, []string{"[list x]"}},
		{[]string{"GET k", "PING", "GET other"}, "read get", []string{moved("k"), "PONG", moved("other")}, []string{"old", "PONG", "(nil)"}},
	} {
		t.Run(c.lines[0], func(t *testing.T) {
			for name, replies := range map[string][]string{"goes": c.elsewise, "stays": c.here} {
				m := startMover(t)
				m.t = t
				c2 := m.dial()
				c2.want([]string{"SET k old", "RPUSH list x"}, "OK", ":1")
				m.node.own.takeEvents()
				m.node.show(m.view(10, 20))
				m.seal()
				c2.send(strings.Join(c.lines, "\r\n") + "\r\n")
				m.submissions(c.awaited)
				if name == "goes" {
					m.node.show(m.view(20, 0))
				} else {
					m.node.show(m.view(10, 0))
					m.takeUp()
				}
				for i, want := range replies {
					got := c2.reply()
					if want != "-MOVED" && want != "" && got != want {
						t.Errorf("%s: %s: got %s, want %s", name, c.lines[i], got, want)
					}
				}
			}
		})
	}
}

// Nobody waits for ever, and nobody when the server closes.
func TestSealedForLong(t *testing.T) {
	m := startMover(t)
	m.node.show(m.view(10, 20))
	m.seal()
	for _, line := range []string{"SET k 1", "GET k", "BLPOP k 0"} {
		c := m.dial()
		c.send(line + "\r\n")
		m.submissions(map[string]string{"SET k 1": "submit SET", "GET k": "read get", "BLPOP k 0": "read blpop"}[line])
		m.late.Add(int64(changeTime))
		m.node.show(m.view(10, 20)) // so that it looks at the clock
		if got := c.reply(); got != "-TRYAGAIN Slot is changing hands" {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// A write is not made up for behind one that came later, and has run.
func TestSealedOutOfOrder(t *testing.T) {
	m := startMover(t)
	c := m.dial()
	m.seal()
	m.node.own.on("APPEND", func() error {
		m.epoch++
		m.node.own.applyRecord(shard.AppendOwn(nil, slot.Full(), m.epoch))
		return nil
	})
	c.send("SET k 1\r\nAPPEND k 2\r\nSTRLEN k\r\n")
	for _, want := range []string{"-TRYAGAIN Slot is changing hands", ":1", ":1"} {
		if got := c.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A slot that is about to arrive is waited for: whoever has it yet would only send the
// client back here.
func TestArrivingSlot(t *testing.T) {
	m := startMover(t)
	m.seal()
	m.node.show(m.view(20, 10))
	first, second := m.dial(), m.dial()
	first.send("SET k 1\r\nGET k\r\n")
	second.send("MULTI\r\nSET k 2\r\nEXEC\r\n")
	m.node.show(m.view(10, 0))
	m.takeUp()
	for c, replies := range map[*client][]string{first: {"OK", "1"}, second: {"OK", "QUEUED", "[OK]"}} {
		for _, want := range replies {
			if got := c.reply(); got != want && !(got == "2" && want == "1") {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	m.seal()
	m.node.show(m.view(20, 10))
	first.send("SET k 3\r\n")
	m.late.Add(int64(changeTime))
	m.node.show(m.view(20, 10))
	if got, want := first.reply(), fmt.Sprintf("-MOVED %d 10.0.0.2:7002", slot.Of([]byte("k"))); got != want {
		t.Errorf("it waits for long: got %s, want %s", got, want)
	}
}

// Keys that are sent for a slot may come before the node knows that it has been given the
// slot, which nobody had.
func TestAskingEarly(t *testing.T) {
	m := startMover(t)
	unassigned := m.view(10, 0)
	unassigned.Owner[slot.Of([]byte("k"))] = nil
	m.node.show(unassigned)
	c, plain := m.dial(), m.dial()
	c.send("ASKING\r\nSET k 1\r\n")
	plain.want([]string{"SET k 1"}, "-CLUSTERDOWN Hash slot not served")
	m.node.show(m.view(10, 0))
	for _, want := range []string{"OK", "OK"} {
		if got := c.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	m.node.show(unassigned)
	c.send("ASKING\r\nSET k 1\r\n")
	m.late.Add(int64(changeTime))
	m.node.show(unassigned)
	for _, want := range []string{"OK", "-CLUSTERDOWN Hash slot not served"} {
		if got := c.reply(); got != want {
			t.Errorf("for long: got %s, want %s", got, want)
		}
	}
}
