package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

var testDeadline = limit.Wait()

// eventually polls until ok, or fails the test.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testDeadline); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", testDeadline, what)
		}
		time.Sleep(time.Millisecond)
	}
}

type received struct {
	from  uint64
	class Class
	frame []byte
}

// testNode is a transport with a handler that records frames.
type testNode struct {
	*Transport
	id     atomic.Pointer[Identity]
	log    syncBuffer
	frames chan received
	hold   chan struct{} // not nil: Receive waits for it to be closed
	serve  func(ctx context.Context, from Identity, method uint8, request []byte) ([]byte, error)
	feed   func(ctx context.Context, from Identity, request []byte, to *Feed) error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (n *testNode) Receive(from uint64, class Class, frame []byte) {
	if n.hold != nil {
		<-n.hold
	}
	n.frames <- received{from, class, frame}
}

func (n *testNode) Serve(ctx context.Context, from Identity, method uint8, request []byte) ([]byte, error) {
	return n.serve(ctx, from, method, request)
}

func (n *testNode) Feed(ctx context.Context, from Identity, request []byte, to *Feed) error {
	return n.feed(ctx, from, request, to)
}

func (n *testNode) addr() string { return n.Addr().String() }

// start makes a node; change may adjust its options.
func start(t testing.TB, cluster, id uint64, change ...func(*Options, *testNode)) *testNode {
	t.Helper()
	n := &testNode{frames: make(chan received, 1<<16)}
	n.id.Store(&Identity{ClusterID: cluster, NodeID: id, RaftAddr: fmt.Sprintf("node%d:1", id)})
	opts := Options{
		Listen:   "127.0.0.1:0",
		Identity: func() Identity { return *n.id.Load() },
		Handler:  n,
		Logger:   slog.New(slog.NewTextHandler(&n.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&opts, n)
	}
	tr, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	n.Transport = tr
	t.Cleanup(func() { _ = tr.Close() })
	return n
}

func connect(t testing.TB, from *testNode, to ...*testNode) {
	t.Helper()
	peers := map[uint64]string{}
	for _, n := range to {
		peers[n.id.Load().NodeID] = n.addr()
	}
	from.SetPeers(peers)
	for id := range peers {
		eventually(t, fmt.Sprintf("connected to %d", id), func() bool {
			p := (*from.peers.Load())[id]
			for _, l := range p.links {
				if ok, _, _ := l.state(); !ok {
					return false
				}
			}
			return from.Contact(id).Connected
		})
	}
}

func (n *testNode) next(t testing.TB) received {
	t.Helper()
	select {
	case r := <-n.frames:
		return r
	case <-time.After(testDeadline):
		t.Fatal("no frame arrived")
		return received{}
	}
}

// arrives sends a frame, again and again if streams break meanwhile, until it
// has arrived.
func arrives(t testing.TB, from, to *testNode, frame string) {
	t.Helper()
	eventually(t, "frame "+frame, func() bool {
		from.Send(to.id.Load().NodeID, Bulk, []byte(frame))
		select {
		case r := <-to.frames:
			return string(r.frame) == frame
		default:
			return false
		}
	})
}

func TestFramesArriveInOrderPerClass(t *testing.T) {
	a, b, c := start(t, 7, 1), start(t, 7, 2), start(t, 7, 3)
	connect(t, a, b, c)
	connect(t, b, a)
	connect(t, c, b)

	const count = 3000
	for i := range uint64(count) {
		for class := range Class(classes) {
			for _, n := range []*testNode{a, c} {
				frame := binary.BigEndian.AppendUint64(nil, i)
				frame = append(frame, make([]byte, i%700)...)
				eventually(t, "queue takes a frame", func() bool { return n.Send(2, class, frame) })
			}
		}
	}
	type stream struct {
		from  uint64
		class Class
	}
	next := map[stream]uint64{}
	for range 4 * count {
		r := b.next(t)
		s := stream{r.from, r.class}
		i := binary.BigEndian.Uint64(r.frame)
		if i != next[s] || uint64(len(r.frame)) != 8+i%700 {
			t.Fatalf("%v: frame %d of %d bytes, want frame %d", s, i, len(r.frame), next[s])
		}
		next[s]++
	}
	if !b.Send(1, Control, []byte("back")) {
		t.Fatal("b cannot send to a")
	}
	if r := a.next(t); r.from != 2 || string(r.frame) != "back" {
		t.Fatalf("a received %v", r)
	}
	// A frame can arrive before the sender has noted that it is sent.
	eventually(t, "the contact is known", func() bool { return !b.Contact(1).LastSent.IsZero() })
	contact := b.Contact(1)
	if !contact.Connected || !contact.Inbound || contact.InboundSince.IsZero() || contact.LastReceived.IsZero() || contact.LastError != "" {
		t.Errorf("contact %+v", contact)
	}
	if b.Send(3, Control, nil) || b.Send(99, Control, nil) || b.Send(1, classes, nil) {
		t.Error("Send to a node that is no peer, or of an unknown class, reports true")
	}
}

func TestReconnectsToARestartedPeer(t *testing.T) {
	a, b := start(t, 7, 1), start(t, 7, 2)
	connect(t, a, b)
	addr := b.addr()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss is noticed", func() bool { return !a.Contact(2).Connected })
	if a.Send(2, Control, []byte("lost")) {
		t.Error("Send to a dead peer reports true")
	}
	eventually(t, "the error is told", func() bool { return strings.Contains(a.Contact(2).LastError, "refused") })

	// The same node comes back: streams too, by themselves.
	b = start(t, 7, 2, func(o *Options, _ *testNode) { o.Listen = addr })
	eventually(t, "connected again", func() bool { return a.Send(2, Control, []byte("again")) })
	if r := b.next(t); string(r.frame) != "again" {
		t.Fatalf("received %q", r.frame)
	}
	_ = b.Close()

	// Another node comes up at the address: it gets none of 2's frames.
	c := start(t, 7, 3, func(o *Options, _ *testNode) { o.Listen = addr })
	eventually(t, "refusal", func() bool { return strings.Contains(a.Contact(2).LastError, "looks for node") })
	if a.Send(2, Control, []byte("wrong")) {
		t.Error("Send reports true though another node is at the address")
	}
	connect(t, a, c)
	if !a.Send(3, Bulk, []byte("right")) {
		t.Fatal("cannot send to the new node")
	}
	if r := c.next(t); string(r.frame) != "right" {
		t.Fatalf("received %q", r.frame)
	}
}

func TestAPeersStreamEndsTheWait(t *testing.T) {
	a := start(t, 7, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	a.SetPeers(map[uint64]string{2: addr})
	link := (*a.peers.Load())[2].links[Control]
	eventually(t, "a failed attempt", func() bool { return a.Contact(2).LastError != "" })
	for range 3 { // whatever the wait has grown to, a kick makes an attempt
		link.mu.Lock()
		link.lastErr = ""
		link.mu.Unlock()
		begun := time.Now()
		link.kick()
		eventually(t, "another attempt", func() bool { return a.Contact(2).LastError != "" })
		if waited := time.Since(begun); waited > backoffMax/2 {
			t.Errorf("the attempt came %v after the kick", waited)
		}
	}
	b := start(t, 7, 2, func(o *Options, _ *testNode) { o.Listen = addr })
	connect(t, b, a)
	eventually(t, "the way back", func() bool { return a.Contact(2).Connected })
}

func TestRefusals(t *testing.T) {
	protocol := func(low, high uint16) func(*Options, *testNode) {
		return func(o *Options, _ *testNode) { o.protocol = [2]uint16{low, high} }
	}
	token := func(s string) func(*Options, *testNode) {
		return func(o *Options, _ *testNode) { o.Tokens = []string{s} }
	}
	for _, test := range []struct {
		name   string
		a, b   func(testing.TB) *testNode
		reason string
	}{
		{
			"cluster",
			func(t testing.TB) *testNode { return start(t, 7, 1) },
			func(t testing.TB) *testNode { return start(t, 8, 2) },
			"it belongs to cluster 0000000000000007, this node to 0000000000000008",
		},
		{
			"token",
			func(t testing.TB) *testNode { return start(t, 7, 1, token("one")) },
			func(t testing.TB) *testNode { return start(t, 7, 2, token("two")) },
			"its token is not this cluster's (config key raft.token)",
		},
		{
			"protocol",
			func(t testing.TB) *testNode { return start(t, 7, 1, protocol(1, 2)) },
			func(t testing.TB) *testNode { return start(t, 7, 2, protocol(3, 4)) },
			"it speaks protocols 1 to 2, this node 3 to 4: upgrade the older one",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := test.a(t), test.b(t)
			a.SetPeers(map[uint64]string{2: b.addr()})
			eventually(t, "refused", func() bool { return a.Contact(2).LastError == "refused: "+test.reason })
			if a.Send(2, Control, []byte("x")) {
				t.Error("Send reports true")
			}
			eventually(t, "logged by the refuser", func() bool { return strings.Contains(b.log.String(), test.reason) })
			eventually(t, "logged by the refused", func() bool { return strings.Contains(a.log.String(), test.reason) })
			if n := strings.Count(b.log.String(), test.reason); n > 1 {
				t.Errorf("logged %d times", n)
			}
			if b.Contact(1).Inbound || len(b.frames) > 0 {
				t.Error("the refused node left traces")
			}
		})
	}
}

func TestOverlappingProtocolsConnect(t *testing.T) {
	a := start(t, 7, 1, func(o *Options, _ *testNode) { o.protocol = [2]uint16{1, 3} })
	b := start(t, 7, 2, func(o *Options, _ *testNode) { o.protocol = [2]uint16{3, 9} })
	connect(t, a, b)
}

func TestIdentityChangeReopensStreams(t *testing.T) {
	a, b := start(t, 7, 1), start(t, 7, 2)
	connect(t, a, b)
	connect(t, b, a)

	// a moves to another cluster: b may no longer reach it, nor a b.
	a.id.Store(&Identity{ClusterID: 8, NodeID: 1})
	a.IdentityChanged()
	eventually(t, "both directions cut", func() bool {
		return !a.Contact(2).Connected && !b.Contact(1).Connected && !a.Contact(2).Inbound && !b.Contact(1).Inbound
	})
	// b follows: all is well again.
	b.id.Store(&Identity{ClusterID: 8, NodeID: 2})
	b.IdentityChanged()
	connect(t, b, a)
	// A stream that a opened between b's two steps is ended once more, and takes
	// the frames on it along.
	arrives(t, a, b, "new")
}

func TestBigFrames(t *testing.T) {
	a, b := start(t, 7, 1), start(t, 7, 2, func(o *Options, _ *testNode) { o.MaxFrame = 100 << 20 })
	connect(t, a, b)
	for _, size := range []int{0, 1, 256 << 10, 9 << 20, 100 << 20} {
		frame := make([]byte, size)
		_, _ = rand.Read(frame)
		want := bytes.Clone(frame)
		if !a.Send(2, Bulk, frame) {
			t.Fatalf("%d bytes: not taken", size)
		}
		if r := b.next(t); !bytes.Equal(r.frame, want) {
			t.Fatalf("%d bytes arrived as %d, or changed", size, len(r.frame))
		}
	}
	if a.Send(2, Bulk, make([]byte, a.opts.MaxFrame+1)) {
		t.Error("a frame beyond MaxFrame was taken")
	}
}

func TestQueueOverflowsAndRecovers(t *testing.T) {
	a := start(t, 7, 1, func(o *Options, _ *testNode) { o.QueueBytes, o.QueueFrames = 4<<20, 100 })
	b := start(t, 7, 2, func(_ *Options, n *testNode) { n.hold = make(chan struct{}) })
	connect(t, a, b)

	// b takes nothing: gRPC's window fills, then the queue.
	frame := make([]byte, 1<<20)
	sent := 0
	eventually(t, "the queue is full", func() bool {
		for a.Send(2, Bulk, frame) {
			sent++
		}
		frames, bytes := (*a.peers.Load())[2].links[Bulk].queue.size()
		return bytes == 4<<20 && frames == 4 && sent >= streamWindow>>20
	})
	if c := a.Contact(2); c.QueuedBytes != 4<<20 || c.QueuedFrames != 4 {
		t.Errorf("contact %+v", c)
	}
	if !a.Send(2, Control, []byte("urgent")) {
		t.Error("a full bulk queue stops control frames")
	}
	close(b.hold)
	for range sent + 1 {
		b.next(t)
	}
	eventually(t, "the queue is empty", func() bool { return a.Contact(2).QueuedBytes == 0 })
	if !a.Send(2, Bulk, []byte("after")) {
		t.Error("the queue did not recover")
	}
	if r := b.next(t); string(r.frame) != "after" {
		t.Errorf("received %q", r.frame)
	}
}

func TestQueueBounds(t *testing.T) {
	q := newQueue(2, 10)
	push := func(size int, want bool) {
		t.Helper()
		if q.push(make([]byte, size)) != want {
			t.Errorf("push of %d bytes: %v", size, !want)
		}
	}
	empty := func() {
		for _, f := range q.take(nil) {
			q.release(len(f))
		}
	}
	push(1, false) // closed
	q.open()
	push(11, true) // an oversized frame passes an empty queue
	push(0, false)
	empty()
	push(0, true)
	push(0, true)
	push(0, false) // the bound on frames
	empty()
	push(6, true)
	push(5, false) // the bound on bytes
	push(4, true)
	q.close()
	push(0, false)
	if frames, bytes := q.size(); frames != 0 || bytes != 0 {
		t.Errorf("closed with %d frames, %d bytes", frames, bytes)
	}
}

func TestANewerStreamReplacesTheOlder(t *testing.T) {
	b := start(t, 7, 2)
	a := start(t, 7, 1)
	connect(t, a, b)
	twin := start(t, 7, 1) // the same node, restarted before b noticed its end
	connect(t, twin, b)
	// a comes back too and takes its place in turn.
	arrives(t, twin, b, "twin")
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	serving := make(chan struct{}, 2)
	slow := func(ctx context.Context, _ Identity, _ uint8, _ []byte) ([]byte, error) {
		serving <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, b := start(t, 7, 1), start(t, 7, 2)
	a.serve, b.serve = slow, slow
	connect(t, a, b)
	connect(t, b, a)
	a.SetPeers(map[uint64]string{2: b.addr(), 9: "127.0.0.1:1"})

	results := make(chan error, 2)
	for _, addr := range []string{a.addr(), b.addr()} { // one inward, one outward
		caller := b
		if addr == b.addr() {
			caller = a
		}
		go func() {
			_, err := caller.Call(context.Background(), addr, 1, nil)
			results <- err
		}()
	}
	for range 2 {
		select {
		case <-serving:
		case <-time.After(testDeadline):
			t.Fatal("no call arrived")
		}
	}
	begun := time.Now()
	_ = a.Close()
	if took := time.Since(begun); took > testDeadline/2 {
		t.Errorf("Close took %v", took)
	}
	for range 2 {
		select {
		case err := <-results:
			if err == nil {
				t.Error("a call succeeded during Close")
			}
		case <-time.After(testDeadline):
			t.Fatal("a call outlives Close")
		}
	}
	if _, err := a.Call(context.Background(), b.addr(), 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("call after Close: %v", err)
	}
	if a.Send(2, Control, nil) {
		t.Error("Send after Close reports true")
	}
	a.SetPeers(map[uint64]string{2: b.addr()})
	a.IdentityChanged()
	_ = a.Close()
	_ = b.Close()
	eventually(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
}

func TestListenErrorNamesTheAddress(t *testing.T) {
	a := start(t, 7, 1)
	_, err := New(Options{Listen: a.addr(), Identity: func() Identity { return Identity{} }, Handler: a})
	if err == nil || !strings.Contains(err.Error(), a.addr()) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

func TestAPeerCanBeDropped(t *testing.T) {
	a, b := start(t, 7, 1), start(t, 7, 2)
	connect(t, a, b)
	a.SetPeers(nil)
	if a.Send(2, Control, nil) {
		t.Error("Send to a dropped peer reports true")
	}
	eventually(t, "b sees the end", func() bool { return b.Contact(1) == Contact{} })
	if c := a.Contact(2); c != (Contact{}) {
		t.Errorf("contact with a dropped peer %+v", c)
	}
}

// What a node promises to its leaders is known from its hello.
func TestVoteDelayIsTold(t *testing.T) {
	a := start(t, 1, 1, func(o *Options, _ *testNode) { o.VoteDelay = 300 * time.Millisecond })
	b := start(t, 1, 2)
	if d := b.VoteDelay(1); d != 0 {
		t.Errorf("before any stream: %v", d)
	}
	connect(t, a, b)
	if d := b.VoteDelay(1); d != 300*time.Millisecond {
		t.Errorf("told was 300ms, known is %v", d)
	}
	if d := a.VoteDelay(2); d != 0 {
		t.Errorf("node 2 has opened no stream, and is said to promise %v", d)
	}
}

// Faults lose frames in one direction or both, leave calls without an answer, and
// end without a trace.
func TestFaults(t *testing.T) {
	a, b := start(t, 1, 1), start(t, 1, 2)
	b.serve = func(context.Context, Identity, uint8, []byte) ([]byte, error) { return []byte("yes"), nil }
	a.serve = b.serve
	connect(t, a, b)
	connect(t, b, a)
	// What is to come has all the time it needs; nothing tells of what is lost.
	patience := func(comes bool) time.Duration {
		if comes {
			return testDeadline
		}
		return 200 * time.Millisecond
	}
	arrives := func(from, to *testNode, comes bool) bool {
		for len(to.frames) > 0 {
			<-to.frames
		}
		from.Send(to.id.Load().NodeID, Bulk, []byte("x"))
		select {
		case <-to.frames:
			return true
		case <-time.After(patience(comes)):
			return false
		}
	}
	for _, tc := range []struct {
		name        string
		faults      *Faults // of a
		there, back bool
	}{
		{"none", nil, true, true},
		{"out", &Faults{To: []uint64{2}}, false, true},
		{"in", &Faults{From: []uint64{2}}, true, false},
		{"both", &Faults{To: []uint64{2}, From: []uint64{2}}, false, false},
		{"another node", &Faults{To: []uint64{3}, From: []uint64{3}}, true, true},
		{"healed", nil, true, true},
	} {
		a.SetFaults(tc.faults)
		if there, back := arrives(a, b, tc.there), arrives(b, a, tc.back); there != tc.there || back != tc.back {
			t.Errorf("%s: there %v, back %v", tc.name, there, back)
		}
		whole := tc.there && tc.back
		ctx, cancel := context.WithTimeout(t.Context(), patience(whole))
		_, out := a.Call(ctx, b.addr(), 1, nil)
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), patience(whole))
		_, in := b.Call(ctx, a.addr(), 1, nil)
		cancel()
		if (out == nil) != whole || (in == nil) != whole {
			t.Errorf("%s: calls ended with %v and %v", tc.name, out, in)
		}
	}
}
