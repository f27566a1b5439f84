package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Waiting between attempts to open a stream.
const (
	backoffMin = 10 * time.Millisecond
	backoffMax = time.Second
)

// link keeps one stream of one class to one peer: it opens it, feeds it from
// the queue, and opens it again when it breaks.
type link struct {
	t      *Transport
	node   *node
	class  Class
	addr   string
	queue  *queue
	ctx    context.Context // ends when the peer is dropped or the transport closes
	cancel context.CancelFunc
	kicked chan struct{} // holds a token when waiting should end

	mu         sync.Mutex
	connected  bool
	since      time.Time // of the last change of connected
	reached    string    // the incarnation of who is connected
	lastErr    string
	endSession context.CancelCauseFunc // of the stream that stands or is being opened
}

func newLink(t *Transport, n *node, class Class, addr string) *link {
	l := &link{
		t: t, node: n, class: class, addr: addr,
		queue:  newQueue(t.opts.QueueFrames, t.opts.QueueBytes),
		kicked: make(chan struct{}, 1),
		since:  time.Now(),
	}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	return l
}

// kick ends the waiting between two attempts and starts it over at its
// shortest.
func (l *link) kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

var errIdentityChanged = errors.New("this node's identity changed")

// reopen ends the present stream, if any, and opens one at once.
func (l *link) reopen() {
	l.mu.Lock()
	if l.endSession != nil {
		l.endSession(errIdentityChanged)
	}
	l.mu.Unlock()
	l.kick()
}

func (l *link) state() (connected bool, since time.Time, lastErr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connected, l.since, l.lastErr
}

// across returns the incarnation of who is at the other end, or for how long
// nobody has been.
func (l *link) across() (incarnation string, apart time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected {
		return l.reached, 0
	}
	return "", time.Since(l.since)
}

func (l *link) setState(connected bool, lastErr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected != connected {
		l.connected, l.since = connected, time.Now()
	}
	l.lastErr = lastErr
}

// run is the link's goroutine.
func (l *link) run() {
	defer l.cancel()
	wait := backoffMin
	for l.ctx.Err() == nil {
		begun := time.Now()
		established, err := l.session()
		l.queue.close()
		l.setState(false, err.Error())
		if l.ctx.Err() != nil {
			return
		}
		l.logFailure(established, err)
		// A stream that broke at once counts as a failed attempt: two nodes that
		// claim the same id would otherwise push each other out without pause.
		if established && time.Since(begun) > backoffMax {
			wait = backoffMin
		}
		timer := time.NewTimer(wait)
		select {
		case <-l.ctx.Done():
		case <-l.kicked:
			wait = backoffMin
		case <-timer.C:
			wait = min(2*wait, backoffMax)
		}
		timer.Stop()
	}
}

// session opens a stream and feeds it until it ends, which is always with an
// error. established says whether the peer had accepted it.
func (l *link) session() (established bool, err error) {
	ctx, end := context.WithCancelCause(l.ctx)
	defer end(nil)
	l.mu.Lock()
	l.endSession = end // before the hello is made, or reopen could miss an old one
	l.mu.Unlock()

	d := &dialer{}
	cc, err := l.t.newClient(l.addr, d, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = cc.Close() }()

	late := time.AfterFunc(helloTimeout, func() { end(errors.New("no answer to the hello")) })
	stream, err := l.greet(ctx, cc)
	late.Stop()
	if cause := context.Cause(ctx); cause != nil {
		return false, d.explain(cause)
	}
	if err != nil {
		return false, d.explain(err)
	}

	// The peer sends nothing more: this receive ends when the stream does.
	l.t.work.Go(func() {
		err := stream.RecvMsg(&message{})
		if err == nil {
			err = errors.New("the peer broke the protocol")
		}
		end(plainError(err))
	})
	l.queue.open()
	l.setState(true, "")
	l.t.logged.forget(l.logKey())
	l.t.log.Debug("transport: stream to peer opened", "node", fmt.Sprintf("%016x", l.node.id), "addr", l.addr, "class", l.class)
	return true, l.pump(ctx, stream)
}

// greet opens the stream and exchanges hellos.
func (l *link) greet(ctx context.Context, cc *grpc.ClientConn) (grpc.ClientStream, error) {
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, framesMethod)
	if err != nil {
		return nil, plainError(err)
	}
	own := l.t.ownHello(l.class, l.node.id)
	// An error of SendMsg is io.EOF; RecvMsg then tells the reason.
	_ = stream.SendMsg(&message{body: own.append(nil)})
	var answer message
	if err := stream.RecvMsg(&answer); err != nil {
		return nil, plainError(err)
	}
	h, err := decodeHello(answer.body)
	if err != nil {
		return nil, fmt.Errorf("its answer to the hello: %w", err)
	}
	// It is where the node is to be reached, but perhaps an old state of it.
	if err := l.t.opts.Admit(h.identity(), Presence{Apart: math.MaxInt64}); err != nil {
		return nil, fmt.Errorf("its answer to the hello: %w", err)
	}
	l.mu.Lock()
	l.reached = h.incarnation
	l.mu.Unlock()
	return stream, nil
}

// pump sends what the queue holds until the stream ends.
func (l *link) pump(ctx context.Context, stream grpc.ClientStream) error {
	var frames [][]byte
	var m message
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.queue.wake:
		}
		frames = l.queue.take(frames)
		for i, frame := range frames {
			m.body = frame
			if err := stream.SendMsg(&m); err != nil {
				<-ctx.Done() // the receiving side knows the reason
				return context.Cause(ctx)
			}
			frames[i] = nil
			l.queue.release(len(frame))
			l.node.lastSent.Store(l.t.now())
		}
		m.body = nil
	}
}

func (l *link) logKey() string { return "link " + l.addr + " " + l.class.String() }

// logFailure tells that a stream broke or could not be opened: a refusal as a
// warning, a lost stream as information, attempts at a dead peer for debugging;
// the same only once in a while.
func (l *link) logFailure(established bool, err error) {
	attrs := []any{"node", fmt.Sprintf("%016x", l.node.id), "addr", l.addr, "class", l.class, "err", err}
	var refused *refusal
	switch {
	case errors.Is(err, errIdentityChanged):
	case errors.As(err, &refused):
		if l.t.logged.allow(l.logKey()+refused.text, time.Now()) {
			l.t.log.Warn("transport: peer refuses this node", attrs...)
		}
	case established && l.t.logged.allow(l.logKey()+"lost", time.Now()):
		l.t.log.Info("transport: stream to peer lost", attrs...)
	case established:
		l.t.log.Debug("transport: stream to peer lost again", attrs...)
	case l.t.logged.allow(l.logKey(), time.Now()):
		l.t.log.Debug("transport: peer not reachable, retrying", attrs...)
	}
}

// refusal is the peer's word that it does not let this node in.
type refusal struct{ text string }

func (r *refusal) Error() string { return "refused: " + r.text }

// refuse makes the status that plainError turns into a refusal at the other end.
func refuse(reason error) error { return status.Error(codes.PermissionDenied, reason.Error()) }

// plainError takes the wrapping of gRPC off an error.
func plainError(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.PermissionDenied:
		return &refusal{text: s.Message()}
	case codes.Canceled:
		return context.Canceled
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	}
	return errors.New(s.Message())
}
