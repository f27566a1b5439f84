package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCalls(t *testing.T) {
	a, b := start(t, 7, 1), start(t, 8, 2)
	b.serve = func(ctx context.Context, from Identity, method uint8, request []byte) ([]byte, error) {
		switch method {
		case 1:
			return fmt.Appendf(nil, "%d/%d/%s %s", from.ClusterID, from.NodeID, from.RaftAddr, request), nil
		case 2:
			return nil, errors.New("ERR zoë said\r\n\x00\xff no")
		case 3:
			<-ctx.Done()
			return nil, ctx.Err()
		case 4:
			deadline, _ := ctx.Deadline()
			return []byte(time.Until(deadline).String()), nil
		default:
			return nil, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()

	// A foreign cluster's call is let in, and says who it is.
	answer, err := a.Call(ctx, b.addr(), 1, []byte("hello"))
	if err != nil || string(answer) != "7/1/node1:1 hello" {
		t.Errorf("answer %q, %v", answer, err)
	}
	var remote *RemoteError
	if _, err := a.Call(ctx, b.addr(), 2, nil); !errors.As(err, &remote) || remote.Text != "ERR zoë said\r\n\x00\xff no" {
		t.Errorf("remote error %q", err)
	}
	if errors.Is(err, ErrUnreachable) {
		t.Error("a remote error counts as unreachable")
	}
	if answer, err := a.Call(ctx, b.addr(), 5, nil); err != nil || len(answer) != 0 {
		t.Errorf("empty answer %q, %v", answer, err)
	}
	big := make([]byte, 5<<20)
	if answer, err := a.Call(ctx, b.addr(), 1, big); err != nil || len(answer) < len(big) {
		t.Errorf("big call: %d bytes, %v", len(answer), err)
	}

	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	_, err = a.Call(short, b.addr(), 3, nil)
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after its deadline: %v", err)
	}
	answer, err = a.Call(ctx, b.addr(), 4, nil)
	if left, perr := time.ParseDuration(string(answer)); err != nil || perr != nil || left <= 0 || left > testDeadline {
		t.Errorf("the deadline did not pass through: %q, %v", answer, err)
	}

	// Nobody listens, then somebody does: the next call gets through at once.
	addr := b.addr()
	_ = b.Close()
	// The first call may find the old connection not yet known to be dead, and
	// then cannot say that nothing was sent. It is not kept for a second one.
	if _, err = a.Call(ctx, addr, 1, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	_, err = a.Call(ctx, addr, 1, nil)
	if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	c := start(t, 9, 3, func(o *Options, _ *testNode) { o.Listen = addr })
	c.serve = b.serve
	if _, err := a.Call(ctx, addr, 1, nil); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestCallsNeedTheToken(t *testing.T) {
	a := start(t, 7, 1, func(o *Options, _ *testNode) { o.Tokens = []string{"wrong"} })
	b := start(t, 7, 2, func(o *Options, _ *testNode) { o.Tokens = []string{"right"} })
	b.serve = func(context.Context, Identity, uint8, []byte) ([]byte, error) {
		t.Error("served")
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	if _, err := a.Call(ctx, b.addr(), 1, nil); !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnreachable) {
		t.Errorf("wrong token: %v", err)
	}
}
