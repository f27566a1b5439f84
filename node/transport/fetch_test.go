package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// pair are two connected nodes of a cluster; the second answers fetches by feed.
func pair(t *testing.T, feed func(ctx context.Context, from Identity, request []byte, to *Feed) error, change ...func(*Options, *testNode)) (a, b *testNode) {
	t.Helper()
	a, b = start(t, 7, 1), start(t, 7, 2, change...)
	b.feed = feed
	connect(t, a, b)
	return a, b
}

// drain reads a fetch to its end.
func drain(f *Fetch) (pieces int, size int64, err error) {
	for {
		piece, err := f.Next()
		if err != nil {
			return pieces, size, err
		}
		pieces++
		size += int64(len(piece))
	}
}

func TestFetch(t *testing.T) {
	outcome := make(chan error, 1)
	const pieces, size = 200, 256 << 10
	a, _ := pair(t, func(_ context.Context, from Identity, request []byte, to *Feed) error {
		if string(request) != "please" || from.NodeID != 1 || from.ClusterID != 7 {
			return fmt.Errorf("%d/%d asks %q", from.ClusterID, from.NodeID, request)
		}
		for i := range pieces {
			if err := to.Send(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return err
			}
		}
		outcome <- to.Finish()
		return nil
	})
	f, err := a.Fetch(t.Context(), 2, []byte("please"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range pieces {
		if piece, err := f.Next(); err != nil || !bytes.Equal(piece, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("piece %d: %d bytes, %v", i, len(piece), err)
		}
	}
	if _, err := f.Next(); err != io.EOF {
		t.Fatalf("after the last piece: %v", err)
	}
	select {
	case err := <-outcome:
		t.Fatalf("the sender was told of the end before it was confirmed: %v", err)
	default:
	}
	if err := f.Confirm(); err != nil {
		t.Fatal(err)
	}
	if err := <-outcome; err != nil {
		t.Errorf("the sender was told %v", err)
	}
}

// A receiver that gives up, at any point, is an error for the sender, at once.
func TestFetchThatBreaks(t *testing.T) {
	outcome := make(chan error, 1)
	a, b := pair(t, func(_ context.Context, _ Identity, request []byte, to *Feed) error {
		for range 2000 {
			if err := to.Send(make([]byte, 64<<10)); err != nil {
				outcome <- err
				return err
			}
			if string(request) == "short" {
				break
			}
		}
		err := to.Finish()
		outcome <- err
		return err
	})
	for request, read := range map[string]int{"long": 3, "short": 2} {
		f, err := a.Fetch(t.Context(), 2, []byte(request))
		if err != nil {
			t.Fatal(err)
		}
		for range read {
			_, _ = f.Next()
		}
		f.Close()
		if err := <-outcome; err == nil {
			t.Errorf("%s: the sender does not know", request)
		}
	}
	// And a sender that dies is one for the receiver.
	f, err := a.Fetch(t.Context(), 2, []byte("long"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	go b.Close()
	if _, _, err := drain(f); !errors.Is(err, ErrUnreachable) {
		t.Errorf("the sender closed: %v", err)
	}
	<-outcome
}

// A receiver that takes nothing for a while does not hold the sender's resources
// for ever.
func TestFetchThatStalls(t *testing.T) {
	outcome := make(chan error, 1)
	a, _ := pair(t, func(ctx context.Context, _ Identity, _ []byte, to *Feed) error {
		for {
			if err := to.Send(make([]byte, 1<<20)); err != nil {
				outcome <- context.Cause(ctx)
				return err
			}
		}
	}, func(o *Options, _ *testNode) { o.stall = 50 * time.Millisecond })
	f, err := a.Fetch(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := <-outcome; !errors.Is(err, errStalled) {
		t.Errorf("the sender ended with %v", err)
	}
	if pieces, _, err := drain(f); err == io.EOF || pieces > 64 {
		t.Errorf("%d pieces, %v", pieces, err)
	}
}

func TestFetchErrors(t *testing.T) {
	a, b := pair(t, func(_ context.Context, _ Identity, _ []byte, to *Feed) error {
		_ = to.Send([]byte("some"))
		return errors.New("no more of that")
	})
	f, err := a.Fetch(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	pieces, _, err := drain(f)
	f.Close()
	var remote *RemoteError
	if pieces != 1 || !errors.As(err, &remote) || remote.Text != "no more of that" {
		t.Errorf("%d pieces, then %v", pieces, err)
	}
	if _, err := a.Fetch(t.Context(), 3, nil); !errors.Is(err, ErrNotSent) {
		t.Errorf("from a stranger: %v", err)
	}
	// A node of another cluster has no business here.
	b.id.Store(&Identity{ClusterID: 8, NodeID: 2})
	f, err = a.Fetch(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := drain(f); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("from another cluster: %v", err)
	}
	f.Close()
	_ = b.Close()
	if f, err := a.Fetch(t.Context(), 2, nil); err == nil {
		if _, _, err := drain(f); err == io.EOF {
			t.Error("a dead node answered")
		}
		f.Close()
	}
	_ = a.Close()
	if _, err := a.Fetch(t.Context(), 2, nil); err == nil {
		t.Error("a fetch of a closed transport")
	}
}

// Close ends feeds that are under way.
func TestCloseEndsFeeds(t *testing.T) {
	ended := make(chan struct{})
	a, b := pair(t, func(ctx context.Context, _ Identity, _ []byte, to *Feed) error {
		defer close(ended)
		for to.Send(make([]byte, 1<<20)) == nil {
		}
		<-ctx.Done()
		return nil
	})
	f, err := a.Fetch(t.Context(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	select {
	case <-ended:
	default:
		t.Error("Close returned before the feed had ended")
	}
}

// A test's partition breaks a fetch at either end.
func TestFaultsBreakFetches(t *testing.T) {
	outcome := make(chan error, 1)
	a, b := pair(t, func(_ context.Context, _ Identity, _ []byte, to *Feed) error {
		for {
			if err := to.Send(make([]byte, 64<<10)); err != nil {
				outcome <- err
				return err
			}
		}
	})
	for _, n := range []*testNode{a, b} {
		f, err := a.Fetch(t.Context(), 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
		n.SetFaults(&Faults{To: []uint64{1, 2}})
		if _, _, err := drain(f); !errors.Is(err, ErrUnreachable) {
			t.Errorf("the receiver: %v", err)
		}
		f.Close()
		if err := <-outcome; err == nil {
			t.Error("the sender does not know")
		}
		n.SetFaults(nil)
	}
}
