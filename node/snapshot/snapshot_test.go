package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/testbed/limit"
)

// source is a state in a store.
type source struct {
	applied uint64
	store   storage.Store
	view    *view
}

// view counts its release.
type view struct {
	storage.Iterator
	mu       sync.Mutex
	released int
	err      error
}

func (v *view) Release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.released++
	v.Iterator.Release()
}

func (v *view) Err() error {
	if v.err != nil {
		return v.err
	}
	return v.Iterator.Err()
}

func (s *source) Export() (uint64, storage.Iterator, error) {
	s.view = &view{Iterator: s.store.Iterate(nil, nil)}
	return s.applied, s.view, nil
}

// tape is a stream that was recorded; it is In and Out.
type tape struct {
	pieces [][]byte
	fail   error // of Next after the last piece; nil: io.EOF
	closed bool
}

func (t *tape) Send(piece []byte) error {
	t.pieces = append(t.pieces, piece)
	return nil
}

func (t *tape) Finish() error { return nil }
func (t *tape) Abort(error)   {}

func (t *tape) Next() ([]byte, error) {
	if len(t.pieces) == 0 {
		if t.fail != nil {
			return nil, t.fail
		}
		return nil, io.EOF
	}
	piece := t.pieces[0]
	t.pieces = t.pieces[1:]
	return piece, nil
}

func (t *tape) Confirm() error { return nil }
func (t *tape) Close()         { t.closed = true }

func (t *tape) copy() *tape {
	c := &tape{fail: t.fail}
	for _, p := range t.pieces {
		c.pieces = append(c.pieces, bytes.Clone(p))
	}
	return c
}

// filled returns a store with count random records, some of them big.
func filled(t *testing.T, rng *rand.Rand, count int) storage.Store {
	t.Helper()
	store := storage.NewMemory()
	var b storage.Batch
	for i := range count {
		value := make([]byte, rng.Intn(2000))
		if i == count/2 {
			value = make([]byte, 3*pieceSize)
		}
		rng.Read(value)
		b.Put(fmt.Appendf(nil, "%08x", rng.Uint32()), value)
	}
	if count > 0 {
		b.Put([]byte("~empty"), nil)
	}
	if err := store.Write(&b); err != nil {
		t.Fatal(err)
	}
	return store
}

func dump(t *testing.T, store storage.Store) string {
	t.Helper()
	var b bytes.Buffer
	it := store.Iterate(nil, nil)
	defer it.Release()
	for it.Next() {
		fmt.Fprintf(&b, "%q=%x\n", it.Key(), it.Value())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var somewhere = multiraft.Point{Index: 77, Term: 5, Conf: &pb.ConfState{
	Voters: []uint64{1, 2, 3}, Learners: []uint64{9}, AutoLeave: new(false),
}}

func pointOf(uint64) (multiraft.Point, error) { return somewhere, nil }

// record sends a store's content to a tape.
func record(t *testing.T, store storage.Store) *tape {
	t.Helper()
	out, s := &tape{}, &source{applied: somewhere.Index, store: store}
	if err := send(t.Context(), pointOf, s, out, NewPace(0, sched.System)); err != nil {
		t.Fatal(err)
	}
	if s.view.released != 1 {
		t.Errorf("the view was released %d times", s.view.released)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, count := range []int{0, 1, 10, 3000} {
		from, to := filled(t, rng, count), storage.NewMemory()
		out := record(t, from)
		for i, p := range out.pieces {
			if len(p) > pieceSize+64 && len(p) < 3*pieceSize {
				t.Errorf("piece %d has %d bytes", i, len(p))
			}
		}
		at, err := receive(out, to)
		if err != nil {
			t.Fatalf("%d records: %v", count, err)
		}
		if at.Index != somewhere.Index || at.Term != somewhere.Term || !proto.Equal(at.Conf, somewhere.Conf) {
			t.Errorf("the state is of %v", at)
		}
		if got, want := dump(t, to.Synced()), dump(t, from); got != want {
			t.Errorf("%d records: what is durable differs from what was sent", count)
		}
	}
}

// Whatever happens to a stream on its way, what is accepted is what was sent.
func TestDamagedStreams(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	whole := record(t, filled(t, rng, 400))
	if len(whole.pieces) < 5 {
		t.Fatalf("only %d pieces", len(whole.pieces))
	}
	refused := func(what string, damage func(*tape)) {
		t.Helper()
		c := whole.copy()
		damage(c)
		if _, err := receive(c, storage.NewMemory()); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for i := range whole.pieces {
		for range 40 {
			at, bit := rng.Intn(len(whole.pieces[i])), byte(1<<rng.Intn(8))
			refused(fmt.Sprintf("piece %d, byte %d, bit %x flipped", i, at, bit), func(c *tape) { c.pieces[i][at] ^= bit })
		}
		refused(fmt.Sprintf("piece %d is missing", i), func(c *tape) { c.pieces = slices.Delete(c.pieces, i, i+1) })
		refused(fmt.Sprintf("piece %d is there twice", i), func(c *tape) { c.pieces = slices.Insert(c.pieces, i, c.pieces[i]) })
		refused(fmt.Sprintf("piece %d is short", i), func(c *tape) { c.pieces[i] = c.pieces[i][:rng.Intn(len(c.pieces[i]))] })
		if i > 0 {
			refused(fmt.Sprintf("piece %d comes before", i), func(c *tape) { c.pieces[i], c.pieces[i-1] = c.pieces[i-1], c.pieces[i] })
		}
	}
	// Pieces that are whole in themselves, of another stream of the same length.
	other := record(t, filled(t, rng, 400))
	refused("a piece of another stream", func(c *tape) { c.pieces[2] = other.pieces[2] })
	refused("another end", func(c *tape) { c.pieces[len(c.pieces)-1] = other.pieces[len(other.pieces)-1] })
}

func TestCutStreams(t *testing.T) {
	whole := record(t, filled(t, rand.New(rand.NewSource(3)), 400))
	broken := errors.New("the connection broke")
	for n := range len(whole.pieces) {
		c := whole.copy()
		c.pieces = c.pieces[:n]
		if _, err := receive(c, storage.NewMemory()); !errors.Is(err, ErrDamaged) {
			t.Errorf("ended after %d pieces: %v", n, err)
		}
		c = whole.copy()
		c.pieces, c.fail = c.pieces[:n], broken
		if _, err := receive(c, storage.NewMemory()); !errors.Is(err, broken) {
			t.Errorf("broken after %d pieces: %v", n, err)
		}
	}
	c := whole.copy()
	c.fail = broken
	if _, err := receive(c, storage.NewMemory()); !errors.Is(err, broken) {
		t.Errorf("broken before the end was confirmed: %v", err)
	}
}

// Pieces with a good checksum that nobody of ours has sent.
func TestMalformedPieces(t *testing.T) {
	head := func(number uint32) []byte {
		return sealPiece(multiraft.AppendPoint(beginPiece(kindHead, number, 0), somewhere))
	}
	piece := func(k kind, payload ...byte) []byte { return sealPiece(append(beginPiece(k, 1, 0), payload...)) }
	newer := head(0)
	newer[0]++
	for name, pieces := range map[string][][]byte{
		"a key longer than the piece": {head(0), piece(kindRecords, 0xff, 0xff, 0x03, 'x')},
		"a record without a value":    {head(0), piece(kindRecords, 1, 'x')},
		"an endless length":           {head(0), piece(kindRecords, bytes.Repeat([]byte{0xff}, 12)...)},
		"two heads":                   {head(0), head(1)},
		"an unknown kind":             {head(0), piece(9)},
		"no head":                     {sealPiece(beginPiece(kindRecords, 0, 0))},
		"a head of nothing":           {sealPiece(beginPiece(kindHead, 0, 0))},
		"a newer format":              {newer},
		"an empty piece":              {{}},
	} {
		if _, err := receive(&tape{pieces: pieces}, storage.NewMemory()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A store that cannot be read or written is the caller's to know.
func TestFailingStores(t *testing.T) {
	rng := rand.New(rand.NewSource(4))
	failed := errors.New("the disk is broken")
	s := &source{applied: 1, store: filled(t, rng, 10)}
	err := send(t.Context(), func(uint64) (multiraft.Point, error) {
		s.view.err = failed
		return somewhere, nil
	}, s, &tape{}, NewPace(0, sched.System))
	if !errors.Is(err, failed) || s.view.released != 1 {
		t.Errorf("reading: %v, released %d times", err, s.view.released)
	}
	to := storage.NewMemory()
	to.Close()
	if _, err := receive(record(t, filled(t, rng, 10)), to); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("writing: %v", err)
	}
}

func TestRequests(t *testing.T) {
	want := Request{Group: 1<<63 + 5, To: 17}
	b := want.Append(nil)
	if got, err := DecodeRequest(b); err != nil || got != want {
		t.Errorf("%v came back as %v, %v", want, got, err)
	}
	for n := range b {
		if _, err := DecodeRequest(b[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
	if _, err := DecodeRequest(binary.LittleEndian.AppendUint64(nil, 0)); err == nil {
		t.Error("something else was taken")
	}
}

// Two streams together are as fast as the node may send, and not faster.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, begun := NewPace(1<<20, sched.System), time.Now()
		var streams sync.WaitGroup
		for range 2 {
			streams.Go(func() {
				for range 8 {
					if err := pace.Wait(t.Context(), 256<<10); err != nil {
						t.Error(err)
					}
				}
			})
		}
		streams.Wait()
		// The last piece need not wait for its own time.
		if took := time.Since(begun); took != 3750*time.Millisecond {
			t.Errorf("4 MB at 1 MB/s took %v", took)
		}
		// A pause is not saved up.
		time.Sleep(time.Minute)
		begun = time.Now()
		for range 4 {
			_ = pace.Wait(t.Context(), 1<<20)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("after a pause, 4 MB took %v", took)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("stopped")
		time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
		if err := pace.Wait(ctx, 1); err != reason {
			t.Errorf("a wait that was ended: %v", err)
		}
	})
}

// stuck is a receiver that takes nothing.
type stuck struct {
	tape
	entered, aborted chan struct{}
}

func (s *stuck) Send([]byte) error {
	s.entered <- struct{}{}
	<-s.aborted
	return errors.New("aborted")
}

func (s *stuck) Abort(error) { close(s.aborted) }

// counter is a state machine that holds nothing but its applied index.
type counter struct {
	mu      sync.Mutex
	applied uint64
}

func (c *counter) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

func (c *counter) Check([]byte) (int, error) { return 0, nil }

func (c *counter) Sync(uint64) (uint64, error) { return c.Applied(), nil }

func (c *counter) Apply(entries []multiraft.Committed) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = entries[len(entries)-1].Index
	return nil
}

type nowhere struct{}

func (nowhere) Send(uint64, bool, []byte) bool { return false }

// host starts a host with one group of one voter.
func host(t *testing.T) (*multiraft.Host, *multiraft.Group, *counter) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	log, err := wal.Open(wal.Options{Dir: filepath.Join(t.TempDir(), "wal"), SegmentSize: 1 << 20, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	h := multiraft.New(multiraft.Options{
		Log: log, Transport: nowhere{}, Cluster: 1, Tick: 10 * time.Millisecond, ElectionTicks: 10, HeartbeatTicks: 2,
		MaxEntryBytes: 1 << 20, InflightEntries: 1, RequestTimeout: time.Second, LogEntries: 1000, LogBytes: 1 << 20,
		Now: time.Now, Sched: sched.System, Logger: quiet, Fatal: func(err error) { t.Error(err) },
	})
	h.Start()
	t.Cleanup(func() { h.Close(); log.Close() })
	m := &counter{}
	groups, err := h.Apply(t.Context(), multiraft.Change{Create: []multiraft.Spec{{ID: 7, RaftID: 1, Machine: m, Bootstrap: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(limit.Wait()); !groups[0].Leads(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody leads")
		}
	}
	return h, groups[0], m
}

// A stream from one exchange to another, over a group.
func TestExchange(t *testing.T) {
	_, group, m := host(t)
	from := filled(t, rand.New(rand.NewSource(5)), 500)
	out := &tape{}
	x := &Exchange{Pace: NewPace(0, sched.System), Sched: sched.System}
	if err := x.Serve(t.Context(), group, &source{applied: m.Applied(), store: from}, 2, out); err != nil {
		t.Fatal(err)
	}
	x.Open = func(_ context.Context, node uint64, request []byte) (In, error) {
		if r, err := DecodeRequest(request); node != 3 || err != nil || r != (Request{Group: 7, To: 2}) {
			return nil, fmt.Errorf("node %d is asked %v, %v", node, r, err)
		}
		return out, nil
	}
	to := storage.NewMemory()
	f, err := x.Fetch(t.Context(), 3, Request{Group: 7, To: 2}, to)
	if err != nil {
		t.Fatal(err)
	}
	if f.At.Index != m.Applied() || !slices.Equal(f.At.Conf.GetVoters(), []uint64{1}) || dump(t, from) != dump(t, to) {
		t.Errorf("another state arrived: of %v", f.At)
	}
	if err := f.Use(); err != nil || !out.closed {
		t.Errorf("Use: %v", err)
	}
	if sent, received := x.Counts(); sent != 1 || received != 1 {
		t.Errorf("%d sent, %d received", sent, received)
	}
	// What the log does not know cannot be placed.
	s := &source{applied: m.Applied() + 100, store: from}
	if err := x.Serve(t.Context(), group, s, 2, &tape{}); err == nil || s.view.released != 1 {
		t.Errorf("a state from nowhere: %v", err)
	}
}

// A replica that stops does not wait for a receiver that takes nothing.
func TestStoppedReplica(t *testing.T) {
	h, group, m := host(t)
	s := &source{applied: m.Applied(), store: filled(t, rand.New(rand.NewSource(6)), 10)}
	out := &stuck{entered: make(chan struct{}), aborted: make(chan struct{})}
	x := &Exchange{Pace: NewPace(0, sched.System), Sched: sched.System}
	served := make(chan error, 1)
	go func() { served <- x.Serve(context.Background(), group, s, 2, out) }()
	<-out.entered
	h.Close()
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	if s.view.released != 1 {
		t.Error("the host closed while the state was being read")
	}
	if err := <-served; err == nil {
		t.Error("the stream ended well")
	}
}
