package frontend

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

func TestPipelineOrder(t *testing.T) {
	for _, tc := range []struct {
		name    string
		send    []string
		replies []string
		events  []string
	}{
		{
			"writes go together",
			[]string{"SET a 1", "SET b 2", "INCR a"},
			[]string{"OK", "OK", ":2"},
			[]string{"submit SET SET INCR"},
		},
		{
			"reads share a barrier",
			[]string{"GET a", "GET b", "EXISTS a"},
			[]string{"(nil)", "(nil)", ":0"},
			[]string{"barrier", "read get", "read get", "read exists"},
		},
		{
			"a read between writes",
			[]string{"SET k 1", "GET k", "SET k 2"},
			[]string{"OK", "1", "OK"},
			[]string{"submit SET", "barrier", "read get", "submit SET"},
		},
		{
			"errors do not cut",
			[]string{"SET k 1", "NOSUCH", "GET", "SET k 2", "MGET {a}1 {b}2", "SET k 3"},
			[]string{
				"OK", "-ERR unknown command 'NOSUCH', with args beginning with: ",
				"-ERR wrong number of arguments for 'get' command", "OK",
				"-CROSSSLOT Keys in request don't hash to the same slot", "OK",
			},
			[]string{"submit SET SET SET"},
		},
		{
			"a local command waits for its turn",
			[]string{"SET k 1", "PING", "GET k", "ECHO x", "SET k 2"},
			[]string{"OK", "PONG", "1", "x", "OK"},
			[]string{"submit SET", "barrier", "read get", "submit SET"},
		},
		{
			"keyless data commands",
			[]string{"SET k 1", "DBSIZE", "FLUSHALL", "DBSIZE"},
			[]string{"OK", ":1", "OK", ":0"},
			[]string{"submit SET", "barrier", "read dbsize", "submit FLUSHALL", "barrier", "read dbsize"},
		},
		{
			"errors alone",
			[]string{"NOSUCH", "GET"},
			[]string{
				"-ERR unknown command 'NOSUCH', with args beginning with: ",
				"-ERR wrong number of arguments for 'get' command",
			},
			nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, nil)
			f.dial().want(tc.send, tc.replies...)
			if events := f.node.own.takeEvents(); !slices.Equal(events, tc.events) {
				t.Errorf("events %q, want %q", events, tc.events)
			}
		})
	}
}

// A long pipeline is cut into runs of bounded size, and nothing gets lost or
// out of order.
func TestLongPipeline(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	const n = 5000
	var send strings.Builder
	for i := range n {
		fmt.Fprintf(&send, "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n*2\r\n$4\r\nECHO\r\n$4\r\n%04d\r\n", i)
	}
	go func() { _, _ = c.Write([]byte(send.String())) }()
	for i := range n {
		if got, want := c.reply(), fmt.Sprintf(":%d", i+1); got != want {
			t.Fatalf("reply %d is %s, want %s", i, got, want)
		}
		if got, want := c.reply(), fmt.Sprintf("%04d", i); got != want {
			t.Fatalf("echo %d is %s, want %s", i, got, want)
		}
	}
	send.Reset()
	for range n {
		send.WriteString("incr k\n")
	}
	go func() { _, _ = c.Write([]byte(send.String())) }()
	for i := range n {
		if got, want := c.reply(), fmt.Sprintf(":%d", n+i+1); got != want {
			t.Fatalf("reply %d is %s, want %s", i, got, want)
		}
	}
}

func TestFailedWrites(t *testing.T) {
	for _, tc := range []struct {
		err      error
		stepDown bool
		leader   topology.NodeID
		want     string
	}{
		{multiraft.ErrSuperseded, false, 0, "-TRYAGAIN The write was superseded, it was not applied"},
		{multiraft.ErrNoQuorum, false, 0, "-CLUSTERDOWN The shard has no quorum"},
		{multiraft.ErrUncertain, false, 0, "-UNCERTAIN the write may or may not have been applied"},
		{multiraft.ErrClosed, false, 0, "-CLUSTERDOWN The node is shutting down"},
		{multiraft.ErrNotLeader, true, 2, "-MOVED 7629 10.0.0.2:7002"},
		{multiraft.ErrNotLeader, true, 0, "-CLUSTERDOWN The shard has no leader"},
		{multiraft.ErrNotLeader, true, 3, "-CLUSTERDOWN The shard has no leader"}, // an arbiter
		// What is not known to be harmless is reported as such.
		{fmt.Errorf("wrapped: %w", multiraft.ErrUncertain), false, 0, "-UNCERTAIN the write may or may not have been applied"},
		{errTest, false, 0, "-UNCERTAIN the write may or may not have been applied"},
	} {
		t.Run(fmt.Sprintf("%v leader %d", tc.err, tc.leader), func(t *testing.T) {
			f := start(t, nil)
			f.node.view.Store(buildView(1, 3, threeMembers()))
			f.node.own.submitErrs = []error{nil, tc.err}
			f.node.own.stepDown = tc.stepDown
			c := f.dial()
			if tc.leader != 0 {
				f.node.leaders.Store(topology.GroupID(10), tc.leader)
			}
			// k hashes to 7629. Neighbours keep their own outcome.
			c.want([]string{"SET k 1", "SET k 2", "INCR k"}, "OK", tc.want, ":2")
			f.node.own.leads.Store(true)
			c.want([]string{"GET k"}, "2")
		})
	}
}

func threeMembers() *topology.Shard {
	return &topology.Shard{
		ID: 10, Master: 1, Slots: slot.Full(),
		Members: []topology.Member{{Node: 1}, {Node: 2}, {Node: 3, Kind: topology.Arbiter}},
	}
}

func TestFailedReads(t *testing.T) {
	for _, tc := range []struct {
		err    error
		leader topology.NodeID
		want   []string // GET k, DBSIZE
	}{
		{multiraft.ErrNoQuorum, 0, []string{"-CLUSTERDOWN The shard has no quorum", "-CLUSTERDOWN The shard has no quorum"}},
		{multiraft.ErrClosed, 0, []string{"-CLUSTERDOWN The node is shutting down", "-CLUSTERDOWN The node is shutting down"}},
		{multiraft.ErrNotLeader, 2, []string{"-MOVED 7629 10.0.0.2:7002", ":1"}},
		{multiraft.ErrNotLeader, 0, []string{"-CLUSTERDOWN The shard has no leader", ":1"}},
		{multiraft.ErrUncertain, 0, []string{
			"-CLUSTERDOWN The shard did not confirm the read in time",
			"-CLUSTERDOWN The shard did not confirm the read in time",
		}},
	} {
		t.Run(fmt.Sprintf("%v leader %d", tc.err, tc.leader), func(t *testing.T) {
			f := start(t, nil)
			f.node.view.Store(buildView(1, 3, threeMembers()))
			c := f.dial()
			c.want([]string{"SET k 1"}, "OK")
			f.node.own.barrierErrs = []error{tc.err}
			if tc.leader != 0 {
				f.node.leaders.Store(topology.GroupID(10), tc.leader)
			}
			c.want([]string{"GET k", "DBSIZE"}, tc.want...)
		})
	}
}

// A key that has expired by the local clock only is reported gone after the
// replicated clock has passed its time too.
// Reads under a lease need no barrier, but they count only if it holds after
// they have been evaluated.
func TestReadUnderLease(t *testing.T) {
	for _, tc := range []struct {
		holds  bool
		events []string
	}{
		{true, []string{"read get", "read exists", "holds true"}},
		{false, []string{"read get", "read exists", "holds false", "barrier", "read get", "read exists"}},
	} {
		f := start(t, nil)
		f.node.own.leases = []bool{tc.holds}
		f.dial().want([]string{"GET a", "EXISTS a"}, "(nil)", ":0")
		if events := f.node.own.takeEvents(); !slices.Equal(events, tc.events) {
			t.Errorf("a lease that holds: %v: %q, want %q", tc.holds, events, tc.events)
		}
	}
}

// Writes that change nothing need no log, up to the first that does.
func TestIdleWrites(t *testing.T) {
	for _, tc := range []struct {
		name    string
		leases  []bool
		send    []string
		replies []string
		events  []string
	}{
		{
			"all",
			[]bool{true},
			[]string{"SETNX k 2", "DEL l", "SETNX k 3"},
			[]string{":0", ":0", ":0"},
			[]string{"read setnx", "read del", "read setnx", "holds true"},
		},
		{
			"some",
			[]bool{true},
			[]string{"SETNX k 2", "DEL k", "SETNX k 3"},
			[]string{":0", ":1", ":1"},
			[]string{"read setnx", "read del", "holds true", "submit DEL SETNX"},
		},
		{
			"a lease that ends",
			[]bool{false},
			[]string{"SETNX k 2", "NOSUCH", "DEL l"},
			[]string{":0", "-ERR unknown command 'NOSUCH', with args beginning with: ", ":0"},
			[]string{"read setnx", "read del", "holds false", "submit SETNX DEL"},
		},
		{
			"no lease", nil,
			[]string{"SETNX k 2"},
			[]string{":0"},
			[]string{"submit SETNX"},
		},
		{
			"among other writes",
			[]bool{true},
			[]string{"DEL l", "SET l 1", "DEL l"},
			[]string{":0", "OK", ":1"},
			[]string{"submit DEL SET DEL"},
		},
		{
			"between reads",
			[]bool{true, true, true},
			[]string{"GET l", "DEL l", "GET l"},
			[]string{"(nil)", ":0", "(nil)"},
			[]string{"read get", "holds true", "read del", "holds true", "read get", "holds true"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, nil)
			c := f.dial()
			c.want([]string{"SET k 1"}, "OK")
			f.node.own.takeEvents()
			f.node.own.leases = tc.leases
			c.want(tc.send, tc.replies...)
			if events := f.node.own.takeEvents(); !slices.Equal(events, tc.events) {
				t.Errorf("events %q, want %q", events, tc.events)
			}
		})
	}
}

// A connection whose writes always change something is not tried any more, but for a
// look now and then.
func TestTriesEnd(t *testing.T) {
	var tr tries
	vain := 0
	for range 1000 {
		if tr.worth() {
			tr.note(true, false)
			vain++
		} else {
			tr.note(false, false)
		}
	}
	if vain < 20 || vain > 40 {
		t.Errorf("%d of 1000 runs were tried in vain", vain)
	}
	for !tr.worth() {
		tr.note(false, false)
	}
	tr.note(true, true)
	if !tr.worth() {
		t.Error("not tried, though the last try saved a write")
	}
}

func TestReadBehindClock(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"SET k v PX 1000", "SET l v"}, "OK", "OK")
	f.node.own.takeEvents()
	f.node.own.local.Add(1500)
	f.node.own.entry.Add(1500)
	c.want([]string{"GET l", "GET k"}, "v", "(nil)")
	want := []string{"barrier", "read get", "read get", "submit tick", "read get"}
	if events := f.node.own.takeEvents(); !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}

	// An entry's clock that stays behind does not keep the client for ever.
	c.want([]string{"SET m v PX 1000"}, "OK")
	f.node.own.local.Add(5000)
	c.want([]string{"GET m"}, "v")

	// Without a leader's tick the key cannot be reported gone.
	f.node.own.submitErrs = []error{multiraft.ErrNoQuorum}
	c.want([]string{"GET m"}, "-CLUSTERDOWN The shard has no quorum")
}

// Memory that a group may still hold after an unknown outcome is not reused.
func TestUncertainMemoryIsLeft(t *testing.T) {
	c := &conn{run: &run{}, session: newSession(), server: newBareServer()}
	c.out = &output{}
	replica := &capture{}
	join := func(value string) {
		cmd, err := c.server.opts.Table.Lookup([][]byte{[]byte("set"), []byte("k"), []byte(value)})
		if err != nil {
			t.Fatal(err)
		}
		c.run.join(runWrites, route{replica: replica, keyed: true}, cmd, [][]byte{[]byte("set"), []byte("k"), []byte(value)})
	}
	replica.err = multiraft.ErrUncertain
	join("first")
	c.finish()
	before := string(replica.calls[0].Payload)
	lost := replica.calls[0]
	replica.err = nil
	join("other")
	c.finish()
	if replica.calls[0] == lost {
		t.Error("the call was reused")
	}
	if string(lost.Payload) != before {
		t.Errorf("the payload of an undecided write changed from %q to %q", before, lost.Payload)
	}

	// After a known outcome all of it is.
	known := replica.calls[0]
	join("third")
	c.finish()
	if replica.calls[0] != known {
		t.Error("the call was not reused")
	}
}

func TestRunAccepts(t *testing.T) {
	a, b := Replica(&capture{}), Replica(&capture{})
	reads := func(r Replica, linear bool) *run {
		queued := &run{}
		queued.add() // an error takes its place in any run
		if !queued.accepts(runReads, route{replica: r, linear: linear}) {
			t.Error("a run of replies alone accepts anything")
		}
		queued.join(runReads, route{replica: r, linear: linear}, nil, nil)
		return queued
	}
	for _, tc := range []struct {
		run  *run
		kind runKind
		to   route
		want bool
	}{
		{reads(a, true), runReads, route{replica: a, linear: true, slot: 7}, true},
		{reads(a, true), runWrites, route{replica: a, linear: true}, false},
		{reads(a, true), runReads, route{replica: b, linear: true}, false},
		// The leadership came or went in the middle of the pipeline: a read that
		// needs the barrier must not join those that do without.
		{reads(a, false), runReads, route{replica: a, linear: true}, false},
		{reads(a, true), runReads, route{replica: a}, false},
	} {
		if got := tc.run.accepts(tc.kind, tc.to); got != tc.want {
			t.Errorf("kind %d to %+v: %v", tc.kind, tc.to, got)
		}
	}
}
