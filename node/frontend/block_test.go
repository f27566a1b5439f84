package frontend

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// submits counts how often a command was submitted since the last takeEvents.
func (r *testReplica) submits(name string) (n int) {
	for _, event := range r.takeEvents() {
		if event == "submit "+name {
			n++
		}
	}
	return n
}

// open opens the gate that holds calls back.
func (r *testReplica) open(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = nil
	close(gate)
}

func TestBlockingCommands(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	// Nothing waits where there is something.
	a.want([]string{"ZADD z 1 a 2 b 3 c", "BZPOPMIN z 0", "BZPOPMAX z 0", "BZMPOP 0 1 z MIN COUNT 5"},
		":3", "[z a 1]", "[z c 3]", "[z [[b 2]]]")

	// The commands behind one that waits run after it, and its own replies go out before.
	a.send("SET k 1\r\nBZPOPMIN {x}y {x}z 0\r\nINCR k\r\nBZMPOP 0 1 {x}z MAX\r\nINCR k\r\n")
	if got := a.reply(); got != "OK" {
		t.Errorf("before the wait: %s", got)
	}
	f.blocked(1)
	if got := b.do("CLIENT LIST")[0]; strings.Count(got, " flags=b ") != 1 || strings.Count(got, " cmd=bzpopmin ") != 1 {
		t.Errorf("CLIENT LIST: %s", got)
	}
	b.want([]string{"GET k", "SET {x}y s", "SET {x}z s", "DEL {x}y {x}z", "ZADD {x}z 5 m 6 n"}, "1", "OK", "OK", ":2", ":2")
	for _, want := range []string{"[{x}z m 5]", ":2", "[{x}z [[n 6]]]", ":3"} {
		if got := a.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	b.want([]string{"EXISTS {x}z"}, ":0")
	f.blocked(0)
}

// In a transaction nothing waits.
func TestBlockingInMulti(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	b.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	a.want([]string{"MULTI", "BZPOPMIN z 0", "ZADD z 1 m 2 n", "BZPOPMAX z 0", "BZMPOP 0 1 {z}y MIN", "BZPOPMIN z x", "EXEC"},
		"OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "QUEUED",
		"[(nil) :2 [z n 2] (nil) -ERR timeout is not a float or out of range]")
	if got := b.reply(); got != "[z m 1]" {
		t.Errorf("what a transaction has left: %s", got)
	}
}

// While nothing is there, nothing goes to the log, and nobody asks again.
func TestBlockedClientsAreQuiet(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	f.node.own.takeEvents()
	b := f.dial()
	for range 20 {
		b.want([]string{"SET z x", "DEL z", "ZADD other 1 m", "FLUSHALL"}, "OK", ":1", ":1", "OK")
	}
	c.send("PING\r\n")
	if events := f.node.own.takeEvents(); slices.Contains(events, "read bzpopmin") || slices.Contains(events, "barrier") {
		t.Errorf("events: %q", events)
	}
	b.want([]string{"ZADD z 1 m"}, ":1")
	if got := c.reply() + c.reply(); got != "[z m 1]PONG" {
		t.Error(got)
	}
	if n := f.node.own.submits("BZPOPMIN"); n != 1 {
		t.Errorf("%d pops", n)
	}
}

// What was waited for comes by any way in which a key comes to be.
func TestWhatWakes(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	for _, lines := range [][]string{
		{"ZADD {z} 1 m"},
		{"ZINCRBY {z} 1 m"},
		{"ZADD {z}o 1 m", "RENAME {z}o {z}"},
		{"ZADD {z}o 1 m", "RENAMENX {z}o {z}", "DEL {z}o"},
		{"ZADD {z}o 1 m", "COPY {z}o {z}", "DEL {z}o"},
		{"ZADD {z}o 1 m", "ZUNIONSTORE {z} 1 {z}o", "DEL {z}o"},
		{"ZADD {z}o 1 m", "ZRANGESTORE {z} {z}o 0 -1", "DEL {z}o"},
		{"SET {z} x", "ZADD {z}o 1 m", "COPY {z}o {z} REPLACE", "DEL {z}o"},
	} {
		a.send("BZPOPMIN {z} 0\r\n")
		f.blocked(1)
		b.do(lines...)
		if got := a.reply(); got != "[{z} m 1]" {
			t.Errorf("%q: %s", lines, got)
		}
		f.blocked(0)
	}
}

func TestBlockedOnLists(t *testing.T) {
	f := start(t, nil)
	a, b, c := f.dial(), f.dial(), f.dial()
	for _, lines := range [][]string{
		{"LPUSH {k} e"},
		{"RPUSH {k} e"},
		{"RPUSH {k}o e", "LMOVE {k}o {k} LEFT LEFT"},
		{"RPUSH {k}o e", "RPOPLPUSH {k}o {k}"},
		{"RPUSH {k}o e", "RENAME {k}o {k}"},
		{"RPUSH {k}o e", "COPY {k}o {k}", "DEL {k}o"},
	} {
		a.send("BLPOP {k} 0\r\n")
		f.blocked(1)
		b.do(lines...)
		if got := a.reply(); got != "[{k} e]" {
			t.Errorf("%q: %s", lines, got)
		}
		f.blocked(0)
	}

	// What one client moves another one waits for.
	a.send("BLMOVE {k} {k}d LEFT RIGHT 0\r\n")
	f.blocked(1)
	c.send("BRPOP {k}d 0\r\n")
	f.blocked(2)
	b.want([]string{"SET {k}d s", "DEL {k}d", "RPUSH {k} e"}, "OK", ":1", ":1")
	if got := a.reply() + " " + c.reply(); got != "e [{k}d e]" {
		t.Error(got)
	}

	// Nothing is moved to where it does not fit.
	a.send("BRPOPLPUSH {k} {k}d 0\r\n")
	f.blocked(1)
	b.want([]string{"SET {k}d s", "RPUSH {k} e", "LRANGE {k} 0 -1"}, "OK", ":1", "[e]")
	if got := a.reply(); got != "-WRONGTYPE Operation against a key holding the wrong kind of value" {
		t.Error(got)
	}
	b.want([]string{"BLMPOP 0 2 {k}x {k} RIGHT COUNT 3", "DEL {k}d", "BLMOVE {k} {k}d LEFT LEFT .001"}, "[{k} [e]]", ":1", "(nil)")
	a.send("BLMPOP 0 1 {k} LEFT COUNT 2\r\n")
	f.blocked(1)
	b.want([]string{"RPUSH {k} 1 2 3"}, ":3")
	if got := a.reply(); got != "[{k} [1 2]]" {
		t.Error(got)
	}
}

// The errors are answered at once; while a client waits, a key of another type does not
// disturb it until it looks for another reason.
func TestBlockedOnAnotherType(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	const wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value"
	a.want([]string{
		"SET {z}s x", "BZPOPMIN {z}s {z} 0", "BZPOPMIN {z} {z}s 0", "ZADD {z} 1 m", "BZPOPMIN {z} {z}s 0",
		"BZPOPMIN {z}s x", "BZPOPMIN {z}s -1", "BZMPOP x 0 {z}s MIN", "BZMPOP 0 0 {z}s MIN", "BZMPOP 0 5 {z}s MIN", "BZMPOP 0 1 {z}s MID",
		"BZMPOP 0 1 {z}s MIN COUNT 0", "BZPOPMIN {z}", "BZPOPMIN a b 0",
	}, "OK", wrong, wrong, ":1", "[{z} m 1]",
		"-ERR timeout is not a float or out of range", "-ERR timeout is negative", "-ERR numkeys should be greater than 0",
		"-ERR numkeys should be greater than 0", "-ERR syntax error", "-ERR syntax error", "-ERR count should be greater than 0",
		"-ERR wrong number of arguments for 'bzpopmin' command", "-CROSSSLOT Keys in request don't hash to the same slot")
	a.send("BZPOPMIN {z}1 {z}2 0\r\n")
	f.blocked(1)
	b.want([]string{"SET {z}1 x", "ZADD {z}2 1 m"}, "OK", ":1")
	if got := a.reply(); got != wrong {
		t.Errorf("as Redis 7.2, which runs the command again: %s", got)
	}
}

// Clients are served in the order in which they came, one element each, whoever pushes
// how many at once; one that comes later does not overtake those that wait.
func TestFirstComeFirstServed(t *testing.T) {
	f := start(t, nil)
	const clients = 20
	var waiting []*client
	for i := range clients {
		c := f.dial()
		c.send([]string{"BZPOPMIN z 0\r\n", "BZPOPMIN {z}y z 0\r\n"}[i%2])
		f.blocked(int64(i + 1))
		waiting = append(waiting, c)
	}
	b := f.dial()
	for i := 0; i < clients; {
		n, line := 1+i%4, "ZADD z"
		for j := range n {
			line += fmt.Sprintf(" %d m%02d", i+j, i+j)
		}
		b.want([]string{line}, fmt.Sprint(":", n))
		for ; n > 0; n-- {
			if i >= clients {
				break
			}
			if got, want := waiting[i].reply(), fmt.Sprintf("[z m%02d %d]", i, i); got != want {
				t.Errorf("client %d got %s, want %s", i, got, want)
			}
			i++
		}
	}
	f.blocked(0)
}

// A client that is gone gets nothing: those behind it do.
func TestBlockedClientsHangUp(t *testing.T) {
	f := start(t, nil)
	b := f.dial()
	var gone []*client
	for i := range 10 {
		c := f.dial()
		c.send("BZPOPMIN z 0\r\nPING\r\n" + strings.Repeat("GET k\r\n", 10*i))
		f.blocked(int64(i + 1))
		gone = append(gone, c)
	}
	last := f.dial()
	last.send("BZPOPMIN z 0\r\n")
	f.blocked(11)
	id := strings.TrimPrefix(b.do("CLIENT ID")[0], ":")
	for i, c := range gone {
		if i%3 == 0 {
			b.do("CLIENT KILL ADDR " + c.LocalAddr().String())
		} else {
			_ = c.Close()
		}
	}
	b.want([]string{"CLIENT ID", "ZADD z 1 m"}, ":"+id, ":1")
	if got := last.reply(); got != "[z m 1]" {
		t.Error(got)
	}
	f.blocked(0)
	eventually(t, "the end of their connections", func() bool { return len(f.server.List()) <= 2 })
}

// A client that hangs up after it was woken, before its pop is submitted, gets nothing.
func TestHangUpBeforeThePop(t *testing.T) {
	f := start(t, nil)
	own := f.node.own
	b, c := f.dial(), f.dial()
	c.send("BZPOPMIN z 0\r\nPING\r\n")
	f.blocked(1)
	f.server.mu.Lock()
	conn := f.server.conns[f.server.lastID]
	f.server.mu.Unlock()
	looks, gate := make(chan struct{}), make(chan struct{})
	own.on("barrier", func() error {
		own.gate = gate
		close(looks)
		return nil
	})
	b.send("ZADD z 1 m\r\n")
	<-looks
	_ = c.Close()
	eventually(t, "the hang-up", conn.hungUp)
	own.open(gate)
	if got := b.reply(); got != ":1" {
		t.Error(got)
	}
	f.blocked(0)
	b.want([]string{"ZCARD z"}, ":1")
	if n := own.submits("BZPOPMIN"); n != 0 {
		t.Errorf("%d pops for nobody", n)
	}
}

func TestBlockedTimeouts(t *testing.T) {
	var shift atomic.Int64 // of the server's clock
	f := start(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	})
	a, b := f.dial(), f.dial()
	for _, line := range []string{"BZPOPMIN z 0.001", "BZMPOP .001 1 z MIN"} {
		a.want([]string{line, "PING"}, "(nil)", "PONG")
	}
	a.send("HELLO 3\r\nBZPOPMAX z 0.001\r\n")
	_ = a.reply()
	if line, err := a.r.ReadString('\n'); err != nil || line != "_\r\n" {
		t.Errorf("RESP3: %q, %v", line, err)
	}
	a.send("HELLO 2\r\nBZPOPMAX z 0.001\r\n")
	_ = a.reply()
	if line, err := a.r.ReadString('\n'); err != nil || line != "*-1\r\n" {
		t.Errorf("RESP2: %q, %v", line, err)
	}

	// An hour passes: who has waited for so long goes.
	a.send("BZPOPMIN z 3000.5\r\n")
	f.blocked(1)
	b.send("BZPOPMIN z 99999999999\r\n")
	f.blocked(2)
	shift.Add(int64(time.Hour))
	f.server.mu.Lock()
	for _, c := range f.server.conns {
		c.rouse()
	}
	f.server.mu.Unlock()
	if got := a.reply(); got != "(nil)" {
		t.Error(got)
	}
	a.want([]string{"ZADD z 1 m"}, ":1")
	if got := b.reply(); got != "[z m 1]" {
		t.Error(got)
	}
}

func TestUnblockBlocked(t *testing.T) {
	f := start(t, nil)
	a, c := f.dial(), f.dial()
	id := strings.TrimPrefix(c.do("CLIENT ID")[0], ":")
	for how, want := range map[string]string{
		"": "(nil)", " TIMEOUT": "(nil)", " ERROR": "-UNBLOCKED client unblocked via CLIENT UNBLOCK",
	} {
		c.send("BZPOPMIN z 0\r\nPING\r\n")
		f.blocked(1)
		a.want([]string{"CLIENT UNBLOCK " + id + how, "ZADD z 1 m", "ZPOPMIN z"}, ":1", ":1", "[m 1]")
		if got := c.reply() + " " + c.reply(); got != want+" PONG" {
			t.Errorf("unblocked by%s: %s", how, got)
		}
		f.blocked(0)
	}
}

// While a pop is on its way, its outcome is what the client is told, whatever happens
// meanwhile.
func TestPopOnItsWay(t *testing.T) {
	f := start(t, nil)
	own := f.node.own
	a, c := f.dial(), f.dial()
	id := strings.TrimPrefix(c.do("CLIENT ID")[0], ":")
	c.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	gate := make(chan struct{})
	submitted := make(chan struct{})
	own.on("BZPOPMIN", func() error {
		own.gate = gate
		close(submitted)
		return nil
	})
	a.want([]string{"ZADD z 1 m"}, ":1")
	<-submitted
	a.want([]string{"CLIENT UNBLOCK " + id + " ERROR"}, ":1")
	own.open(gate)
	if got := c.reply(); got != "[z m 1]" {
		t.Error(got)
	}

	// Others take what there was: then it counts that the client was unblocked.
	c.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	gate, submitted = make(chan struct{}), make(chan struct{})
	own.on("BZPOPMIN", func() error {
		own.do("ZPOPMIN z")
		own.gate = gate
		close(submitted)
		return nil
	})
	a.want([]string{"ZADD z 1 m"}, ":1")
	<-submitted
	a.want([]string{"CLIENT UNBLOCK " + id}, ":1")
	own.open(gate)
	if got := c.reply(); got != "(nil)" {
		t.Error(got)
	}

	// And where it was not, it waits on, in its place.
	c.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	own.on("BZPOPMIN", func() error {
		own.do("ZPOPMIN z")
		return nil
	})
	a.want([]string{"ZADD z 1 m"}, ":1")
	eventually(t, "the theft", func() bool { return own.submits("BZPOPMIN") > 0 })
	a.want([]string{"ZADD z 2 n"}, ":1")
	if got := c.reply(); got != "[z n 2]" {
		t.Error(got)
	}
}

// What becomes of a pop is told as it is, and nothing is tried again.
func TestPopsThatFail(t *testing.T) {
	f := start(t, nil)
	own := f.node.own
	a, c := f.dial(), f.dial()
	for _, failure := range []struct {
		err  error
		want string
	}{
		{multiraft.ErrUncertain, "-UNCERTAIN the write may or may not have been applied"},
		{errTest, "-UNCERTAIN the write may or may not have been applied"},
		{multiraft.ErrSuperseded, "-TRYAGAIN The write was superseded, it was not applied"},
		{multiraft.ErrNoQuorum, "-CLUSTERDOWN The shard has no quorum"},
		{multiraft.ErrClosed, "-CLUSTERDOWN The node is shutting down"},
		{multiraft.ErrNotLeader, "-CLUSTERDOWN The shard has no leader"},
	} {
		c.send("BZPOPMIN z 0\r\n")
		f.blocked(1)
		own.on("BZPOPMIN", func() error { return failure.err })
		own.takeEvents()
		a.want([]string{"ZADD z 1 m"}, ":1")
		if got := c.reply(); got != failure.want {
			t.Errorf("%v: %s", failure.err, got)
		}
		if n := own.submits("BZPOPMIN"); n != 1 {
			t.Errorf("%v: %d pops", failure.err, n)
		}
		a.want([]string{"ZPOPMIN z"}, "[m 1]")
	}
	own.mu.Lock()
	own.barrierErrs = []error{multiraft.ErrNoQuorum}
	own.mu.Unlock()
	c.want([]string{"BZPOPMIN z 0"}, "-CLUSTERDOWN The shard has no quorum")
}

// Blocked clients are told at once when the slot or the leadership has gone elsewhere.
func TestBlockedClientsMove(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	shard := &topology.Shard{ID: 10, Master: 1, Members: []topology.Member{{Node: 1}, {Node: 2}}, Slots: slot.Full()}
	other := &topology.Shard{ID: 11, Master: 3, Members: []topology.Member{{Node: 3}}, Slots: slot.Full()}
	all := func(string) bool { return false }
	await := func(want string) {
		t.Helper()
		f.node.own.Blocked().Review(all)
		if got := c.reply(); got != want {
			t.Error(got)
		}
		f.blocked(0)
	}
	begin := func() {
		f.node.view.Store(buildView(1, 3, shard))
		f.node.own.leads.Store(true)
		c.send("BZPOPMIN z 0\r\n")
		f.blocked(1)
		f.node.own.Blocked().Review(all) // for no reason: it goes on waiting
	}
	begin()
	f.node.own.leads.Store(false)
	await("-CLUSTERDOWN The shard has no leader")
	begin()
	f.node.leaders.Store(topology.GroupID(10), topology.NodeID(2))
	f.node.own.leads.Store(false)
	await("-MOVED 8157 10.0.0.2:7002")
	begin()
	f.node.view.Store(buildView(1, 3, other))
	await("-MOVED 8157 10.0.0.3:7003")
	begin()
	f.node.view.Store(buildView(1, 3))
	await("-CLUSTERDOWN Hash slot not served")

	// The node has lost the shard's data and got it again: the client waits there.
	begin()
	old := f.node.own
	next := newTestReplica(t, old.table)
	next.limit = old.limit
	f.node.next.Store(next)
	old.Blocked().Close()
	eventually(t, "a client that is blocked at the new replica", func() bool { return next.Blocked().Blocked() == 1 && old.Blocked().Blocked() == 0 })
	f.dial().want([]string{"ZADD z 1 m"}, ":1")
	if got := c.reply(); got != "[z m 1]" {
		t.Error(got)
	}
}

// CLIENT PAUSE keeps blocked clients from popping.
func TestPausedPops(t *testing.T) {
	f := start(t, nil)
	a, c := f.dial(), f.dial()
	c.send("BZPOPMIN z 0\r\n")
	f.blocked(1)
	for _, how := range []string{"end", "unpause"} {
		pause := "CLIENT PAUSE 20 WRITE"
		if how == "unpause" {
			pause = "CLIENT PAUSE 1000000 WRITE"
		}
		a.want([]string{pause}, "OK")
		f.node.own.mu.Lock()
		f.node.own.do("ZADD z 1 m") // it was on its way
		f.node.own.mu.Unlock()
		if got := a.do("ZCARD z")[0]; got != ":1" && how == "unpause" {
			t.Errorf("popped during the pause: %s", got)
		}
		if how == "unpause" {
			a.want([]string{"CLIENT UNPAUSE"}, "OK")
		}
		if got := c.reply(); got != "[z m 1]" {
			t.Errorf("%s: %s", how, got)
		}
		c.send("BZPOPMIN z 0\r\n")
		f.blocked(1)
	}
}

// A server that stops tells blocked clients so.
func TestCloseUnblocks(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.send("BZPOPMIN z 0\r\nSET k 1\r\n")
	f.blocked(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	f.server.Close(ctx)
	if got := c.closed(); got != "-CLUSTERDOWN The node is shutting down\r\n+OK\r\n" {
		t.Errorf("%q", got)
	}
}
