package transport

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The owner's word decides about streams, calls and fetches of its cluster's
// nodes, and about who answers where a node is to be reached.
func TestOwnerAdmits(t *testing.T) {
	var judged atomic.Pointer[Presence]
	strict := func(o *Options, _ *testNode) {
		o.Admit = func(from Identity, known Presence) error {
			judged.Store(&known)
			if from.Incarnation == "copy" {
				return errors.New("it is a copy")
			}
			return nil
		}
	}
	as := func(incarnation string) func(*Options, *testNode) {
		return func(_ *Options, n *testNode) {
			id := *n.id.Load()
			id.Incarnation = incarnation
			n.id.Store(&id)
		}
	}
	b := start(t, 7, 2, strict)
	b.serve = func(_ context.Context, from Identity, _ uint8, _ []byte) ([]byte, error) {
		return []byte(from.Incarnation), nil
	}
	b.feed = func(context.Context, Identity, []byte, *Feed) error { t.Error("fed"); return nil }

	imposter := start(t, 7, 1, as("copy"))
	imposter.SetPeers(map[uint64]string{2: b.addr()})
	eventually(t, "its stream is refused", func() bool { return imposter.Contact(2).LastError == "refused: it is a copy" })
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	if _, err := imposter.Call(ctx, b.addr(), 1, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "it is a copy") {
		t.Errorf("its call: %v", err)
	}
	if f, err := imposter.Fetch(ctx, 2, nil); err == nil {
		if _, err := f.Next(); !errors.Is(err, ErrRefused) {
			t.Errorf("its fetch: %v", err)
		}
		f.Close()
	}
	// A call of another cluster is none of the owner's business.
	if _, err := start(t, 8, 1, as("copy")).Call(ctx, b.addr(), 1, nil); err != nil {
		t.Errorf("a foreign call: %v", err)
	}
	b.SetPeers(map[uint64]string{1: imposter.addr()})
	eventually(t, "nor is it sent to", func() bool { return strings.Contains(b.Contact(1).LastError, "it is a copy") })

	original := start(t, 7, 1, as("first"))
	b.SetPeers(map[uint64]string{1: original.addr()})
	connect(t, original, b)
	eventually(t, "both ways", func() bool { return b.Contact(1).Connected })
	if answer, err := original.Call(ctx, b.addr(), 1, nil); err != nil || string(answer) != "first" {
		t.Fatalf("%q, %v", answer, err)
	}
	if p := *judged.Load(); p.Incarnation != "first" || !p.Standing || p.Reached != "first" || p.Apart != 0 {
		t.Errorf("known of the original: %+v", p)
	}
	_ = original.Close()
	eventually(t, "it is gone", func() bool { return !b.Contact(1).Connected && !b.Contact(1).Inbound })
	_, _ = imposter.Call(ctx, b.addr(), 1, nil)
	if p := *judged.Load(); p.Incarnation != "first" || p.Standing || p.Reached != "" || p.Apart <= 0 || p.Apart > time.Minute {
		t.Errorf("known when it has gone: %+v", p)
	}
}

// Whoever is in goes when the owner would not let it in any more.
func TestReexamine(t *testing.T) {
	var banned atomic.Pointer[string]
	judge := func(o *Options, _ *testNode) {
		o.Admit = func(from Identity, _ Presence) error {
			if b := banned.Load(); b != nil && from.Incarnation == *b {
				return errors.New("it is out of date")
			}
			return nil
		}
	}
	as := func(incarnation string) func(*Options, *testNode) {
		return func(_ *Options, n *testNode) {
			id := *n.id.Load()
			id.Incarnation = incarnation
			n.id.Store(&id)
		}
	}
	a, b, c := start(t, 7, 1, as("a")), start(t, 7, 2, judge), start(t, 7, 3, as("c"))
	for _, n := range []*testNode{a, c} {
		connect(t, n, b)
	}
	connect(t, b, a, c)
	name := "a"
	banned.Store(&name)
	b.Reexamine()
	eventually(t, "both directions end", func() bool {
		return !b.Contact(1).Inbound && !b.Contact(1).Connected && strings.Contains(a.Contact(2).LastError, "it is out of date")
	})
	if !b.Contact(3).Inbound || !b.Contact(3).Connected {
		t.Error("another node's streams ended too")
	}
}
