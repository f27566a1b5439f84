package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a call can fail with, besides a *RemoteError and ErrClosed. An error may
// wrap the context's error too.
var (
	// ErrUnreachable: no answer came. The other node may have acted, unless
	// the error is also ErrNotSent.
	ErrUnreachable = errors.New("peer unreachable")
	// ErrNotSent is an ErrUnreachable after which it is certain that the other
	// node's Serve never saw the request: nothing was sent.
	ErrNotSent = fmt.Errorf("%w (nothing was sent)", ErrUnreachable)
	// ErrRefused: the other node does not accept this node's token or hello. Its
	// Serve never saw the request.
	ErrRefused = errors.New("peer refuses this node")
)

// RemoteError is an error that the other node's Serve returned.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return e.Text }

// An answer begins with one of these.
const (
	answerOK    = 0
	answerError = 1
)

// Call sends request to the node at addr (host:port) and waits for its answer,
// at most as long as ctx allows; a ctx without a deadline waits for as long as
// the connection lives. Serve at the other end sees the same deadline.
// Connections are kept for later calls to the same address for a while.
func (t *Transport) Call(ctx context.Context, addr string, method uint8, request []byte) ([]byte, error) {
	if len(request) > t.opts.MaxFrame {
		return nil, fmt.Errorf("call %s: request of %d bytes is larger than the limit %d", addr, len(request), t.opts.MaxFrame)
	}
	if !t.begin() {
		return nil, ErrClosed
	}
	defer t.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()

	if t.cutOffAt(addr) {
		return nil, fmt.Errorf("call %s: %w", addr, silence(ctx))
	}
	answer, fresh, err := t.callOnce(ctx, addr, method, request)
	if !fresh && errors.Is(err, ErrNotSent) && ctx.Err() == nil {
		// The kept client knew of an older failure; the peer may be back.
		answer, _, err = t.callOnce(ctx, addr, method, request)
	}
	switch {
	case err != nil && t.ctx.Err() != nil:
		return nil, fmt.Errorf("call %s: %w", addr, ErrClosed)
	case err != nil:
		return nil, fmt.Errorf("call %s: %w", addr, err)
	case len(answer) > 0 && answer[0] == answerOK:
		return answer[1:], nil
	case len(answer) > 0 && answer[0] == answerError:
		return nil, &RemoteError{Text: string(answer[1:])}
	}
	return nil, fmt.Errorf("call %s: malformed answer", addr)
}

// callOnce makes one attempt; fresh says that it made a client of its own. A
// client whose connection failed is dropped, so that the next call dials at once
// instead of waiting out gRPC's backoff.
func (t *Transport) callOnce(ctx context.Context, addr string, method uint8, request []byte) (answer []byte, fresh bool, err error) {
	pc, fresh, err := t.calls.get(addr)
	if err != nil {
		return nil, fresh, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	answer, err = t.exchange(ctx, pc, method, request)
	failed := errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRefused)
	t.calls.put(pc, failed && ctx.Err() == nil)
	return answer, fresh, err
}

// exchange runs one call on a pooled client. It is spelled out as a stream so
// that a failure to connect can be told from a failure after sending.
func (t *Transport) exchange(ctx context.Context, pc *pooledClient, method uint8, request []byte) ([]byte, error) {
	stream, err := pc.cc.NewStream(ctx, &grpc.StreamDesc{}, callMethod)
	if err != nil {
		err = plainError(err)
		if ctx.Err() == nil {
			err = pc.dialer.explain(err)
		}
		var refused *refusal
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%w: %s", ErrRefused, refused.text)
		}
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	own := t.ownHello(classCall, 0)
	h := own.append(nil)
	head := append(binary.AppendUvarint(nil, uint64(len(h))), h...)
	head = append(head, method)
	if err := stream.SendMsg(&message{head: head, body: request}); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, plainError(err))
	}
	_ = stream.CloseSend()
	var m message
	if err := stream.RecvMsg(&m); err != nil {
		err = plainError(err)
		var refused *refusal
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%w: %s", ErrRefused, refused.text)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return m.body, nil
}

// serveCall is the other end of Call.
func (t *Transport) serveCall(ctx context.Context, body []byte) (*message, error) {
	head, rest, ok := cutText(body)
	if !ok || len(rest) == 0 {
		return nil, status.Error(codes.InvalidArgument, "malformed call")
	}
	h, err := decodeHello([]byte(head))
	if err == nil {
		err = t.admit(&h, h.checkAccess)
	}
	if err != nil {
		if t.logged.allow("call "+err.Error(), time.Now()) {
			t.log.Warn("transport: refused a call", "remote", h.raftAddr, "reason", err)
		}
		return nil, refuse(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	if t.losesTo(h.nodeID) || t.losesFrom(h.nodeID) {
		return nil, silence(ctx)
	}
	answer, err := t.opts.Handler.Serve(ctx, h.identity(), rest[0], rest[1:])
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, status.FromContextError(ctx.Err()).Err() // nobody waits, or we are closing
	case err != nil:
		return &message{head: []byte{answerError}, body: []byte(err.Error())}, nil
	}
	return &message{head: []byte{answerOK}, body: answer}, nil
}

// callPool keeps a gRPC client per address. The clients close their idle
// connections themselves; the pool forgets clients that are long unused.
type callPool struct {
	t *Transport

	mu      sync.Mutex
	clients map[string]*pooledClient
}

type pooledClient struct {
	addr   string
	cc     *grpc.ClientConn
	dialer *dialer

	// Guarded by callPool.mu.
	users   int
	lastUse time.Time
	dropped bool // no longer in the pool: the last user closes it
}

// forgetAfter is how long an unused client stays in the pool.
const forgetAfter = 5 * time.Minute

func newCallPool(t *Transport) *callPool {
	return &callPool{t: t, clients: make(map[string]*pooledClient)}
}

func (p *callPool) get(addr string) (pc *pooledClient, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pc = p.clients[addr]
	if pc == nil {
		p.forgetUnused(time.Now())
		fresh = true
		pc = &pooledClient{addr: addr, dialer: &dialer{}}
		if pc.cc, err = p.t.newClient(addr, pc.dialer, idleClose); err != nil {
			return nil, fresh, err
		}
		p.clients[addr] = pc
	}
	pc.users++
	return pc, fresh, nil
}

// put gives a client back; one that failed leaves the pool.
func (p *callPool) put(pc *pooledClient, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pc.users--
	pc.lastUse = time.Now()
	if failed && !pc.dropped {
		delete(p.clients, pc.addr)
		pc.dropped = true
	}
	if pc.dropped && pc.users == 0 {
		_ = pc.cc.Close()
	}
}

func (p *callPool) forgetUnused(now time.Time) {
	for addr, pc := range p.clients {
		if pc.users == 0 && now.Sub(pc.lastUse) > forgetAfter {
			delete(p.clients, addr)
			_ = pc.cc.Close()
		}
	}
}

// close is called when no call is running any more.
func (p *callPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, pc := range p.clients {
		delete(p.clients, addr)
		_ = pc.cc.Close()
	}
}
