package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A piece of a fetch begins with one of these.
const (
	pieceData  = 0
	pieceEnd   = 1 // that was all
	pieceError = 2 // the rest is the error's text; nothing follows
)

// Fetch is a stream of pieces from another node: as much data as there is, on a
// connection of its own, as fast as the receiver takes it. It is used by one
// goroutine.
type Fetch struct {
	node   uint64
	stream grpc.ClientStream
	cc     *grpc.ClientConn
	ctx    context.Context
	cancel context.CancelFunc
	t      *Transport
	ended  bool
}

// Fetch asks a peer for a stream that Handler.Feed sends there. It ends with
// ctx at the latest; the caller closes it. The peer is checked as for a stream
// of frames.
func (t *Transport) Fetch(ctx context.Context, node uint64, request []byte) (*Fetch, error) {
	p := (*t.peers.Load())[node]
	if p == nil {
		return nil, fmt.Errorf("fetch from node %016x: %w: not a peer", node, ErrNotSent)
	}
	if !t.begin() {
		return nil, ErrClosed
	}
	f := &Fetch{t: t, node: node}
	f.ctx, f.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(t.ctx, f.cancel)
	cancel := f.cancel
	f.cancel = func() { stop(); cancel() }
	d := &dialer{}
	if err := f.open(p.addr, d, node, request); err != nil {
		f.Close()
		return nil, fmt.Errorf("fetch from %s: %w", p.addr, d.explain(err))
	}
	return f, nil
}

func (f *Fetch) open(addr string, d *dialer, node uint64, request []byte) (err error) {
	if f.cc, err = f.t.newClient(addr, d, 0); err != nil {
		return err
	}
	// A connection has to come about in a bounded time; the stream may last.
	late := time.AfterFunc(helloTimeout, f.cancel)
	defer late.Stop()
	f.stream, err = f.cc.NewStream(f.ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, fetchMethod)
	if err != nil {
		return plainError(err)
	}
	own := f.t.ownHello(classFetch, node)
	h := own.append(nil)
	head := append(binary.AppendUvarint(nil, uint64(len(h))), h...)
	// An error of SendMsg is io.EOF; the first piece then tells the reason.
	_ = f.stream.SendMsg(&message{head: head, body: request})
	return nil
}

// Next returns the next piece, io.EOF after the last one, or another error if
// the stream broke or the other node refused.
func (f *Fetch) Next() ([]byte, error) {
	if f.ended {
		return nil, io.EOF
	}
	var m message
	err := f.stream.RecvMsg(&m)
	if f.t.cutOff(f.node) {
		f.cancel()
		err = errCutOff
	}
	if err != nil {
		err = plainError(err)
		var refused *refusal
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%w: %s", ErrRefused, refused.text)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if len(m.body) == 0 {
		return nil, errors.New("malformed piece")
	}
	switch m.body[0] {
	case pieceData:
		return m.body[1:], nil
	case pieceEnd:
		f.ended = true
		return nil, io.EOF
	default:
		return nil, &RemoteError{Text: string(m.body[1:])}
	}
}

// Confirm tells the other node, after Next has returned io.EOF, that the pieces
// have served their purpose.
func (f *Fetch) Confirm() error {
	if err := f.stream.SendMsg(&message{}); err != nil {
		return plainError(err)
	}
	if err := f.stream.CloseSend(); err != nil {
		return plainError(err)
	}
	// The other node ends the stream when it has heard.
	if err := f.stream.RecvMsg(&message{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrUnreachable, plainError(err))
	}
	return nil
}

// Close ends the stream. Unless it was confirmed, the other node takes it for
// broken.
func (f *Fetch) Close() {
	f.cancel()
	if f.cc != nil {
		_ = f.cc.Close()
	}
	f.t.work.Done()
}

// Feed is the other end of a Fetch. It is used by one goroutine, Abort aside.
type Feed struct {
	t      *Transport
	node   uint64
	stream grpc.ServerStream
	cancel context.CancelCauseFunc
}

var (
	errStalled     = errors.New("the receiver has taken nothing for too long")
	errUnconfirmed = errors.New("the receiver has not confirmed in time")
	errCutOff      = errors.New("cut off by a test")
)

// Send sends a piece and takes it over. It waits for as long as the receiver is
// behind, but not for ever.
func (f *Feed) Send(piece []byte) error {
	return f.send(&message{head: []byte{pieceData}, body: piece})
}

// Abort ends the stream, also a Send or Finish that is under way. It may be
// called concurrently with them.
func (f *Feed) Abort(reason error) { f.cancel(reason) }

func (f *Feed) send(m *message) error {
	if f.t.cutOff(f.node) {
		f.cancel(errCutOff)
		return errCutOff
	}
	stalled := time.AfterFunc(f.t.opts.stall, func() { f.cancel(errStalled) })
	defer stalled.Stop()
	return f.stream.SendMsg(m)
}

// Finish says that this was all, and returns nil once the receiver has confirmed
// that it has put the pieces to use, for which it has a minute.
func (f *Feed) Finish() error {
	if err := f.send(&message{head: []byte{pieceEnd}}); err != nil {
		return err
	}
	late := time.AfterFunc(confirmTimeout, func() { f.cancel(errUnconfirmed) })
	defer late.Stop()
	return f.stream.RecvMsg(&message{})
}

// serveFetch is the handler of a fetch. Handler.Feed runs beside it, because
// gRPC aborts a pending SendMsg or RecvMsg only when the handler has returned.
func (t *Transport) serveFetch(stream grpc.ServerStream) error {
	if !t.begin() {
		return status.Error(codes.Unavailable, "the node is shutting down")
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errShuttingDown) })()
	done := make(chan error, 1)
	go func() {
		defer t.work.Done()
		done <- t.feed(ctx, cancel, stream)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return status.Error(codes.Aborted, context.Cause(ctx).Error())
	}
}

var errShuttingDown = errors.New("the node is shutting down")

func (t *Transport) feed(ctx context.Context, cancel context.CancelCauseFunc, stream grpc.ServerStream) error {
	late := time.AfterFunc(helloTimeout, func() { cancel(errors.New("no hello came")) })
	var m message
	err := stream.RecvMsg(&m)
	if !late.Stop() || err != nil {
		return err
	}
	head, request, ok := cutText(m.body)
	if !ok {
		return status.Error(codes.InvalidArgument, "malformed fetch")
	}
	h, err := decodeHello([]byte(head))
	if err == nil {
		err = t.admit(&h, h.checkPeer)
	}
	if err != nil {
		t.logRefusal(stream, err)
		return refuse(err)
	}
	f := &Feed{t: t, node: h.nodeID, stream: stream, cancel: cancel}
	if err := t.opts.Handler.Feed(ctx, h.identity(), request, f); err != nil && ctx.Err() == nil {
		return f.send(&message{head: []byte{pieceError}, body: []byte(err.Error())})
	}
	return nil
}
