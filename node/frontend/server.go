// Package frontend serves Redis clients: it reads their pipelines, decides for
// each command who may run it (this node, another one, nobody), hands writes
// and reads to the replica of the shard, and answers in order.
//
// A connection is one goroutine. Its pipeline is cut into runs of writes and
// runs of reads: a run's writes are submitted together before any is awaited,
// a run's reads share one barrier. Nothing of a later run starts before the
// earlier one is done, so a client sees its own commands in its own order.
//
// Commands between MULTI and EXEC are queued, in the form in which they go to the log.
// EXEC is one write of a run, or one read, so transactions and what is around them are
// submitted together: see transaction.
//
// What a shard refuses because the slot is changing hands waits for what comes of that: see
// changing.go. Writes to keys that MIGRATE is copying wait until they are gone: see hold.go.
//
// There is one way to wait for something that may never come, as WAIT, BLPOP and what
// CLIENT PAUSE holds back do: conn.park. It polls nothing and ends when the client
// hangs up, with CLIENT KILL and UNBLOCK, and when the server drains. See package
// blocking for who gets an element.
package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/command"
)

// Options configures a Server.
type Options struct {
	// Address is where to listen, "127.0.0.1:6379"; ignored if Listener is set.
	Address string
	// Listener, if not nil, is used and closed by the server.
	Listener net.Listener
	// TLS, if not nil, is spoken on every connection.
	TLS *tls.Config

	Backend Backend
	Table   *command.Table
	Limits  Limits
	// RequirePass returns the password that clients must give, "" for none;
	// nil means none. It is called often, by any goroutine.
	RequirePass func() string
	// MaxStaleness is for how long a replica that does not hear its leader, or does
	// not keep up with it, still answers clients that sent READONLY; 0: for ever.
	MaxStaleness time.Duration
	// CommandTimeout is the deadline of commands such as CLUSTER MEET; five
	// seconds by default.
	CommandTimeout time.Duration
	Logger         *slog.Logger
	// Recovered is told when a Local handler has panicked. Without it the panic goes
	// on, as it should in tests.
	Recovered func(command string, reason any, stack []byte)
	// Latency is told how long commands took; nil: nobody is.
	Latency *command.LatencyMonitor
	// Now is the clock for ages and idle times; time.Now by default.
	Now func() time.Time
}

// Server accepts clients and serves them. It is the node's command.Sessions.
type Server struct {
	opts     Options
	limits   atomic.Pointer[Limits]
	reads    readMemory
	listener net.Listener
	counters counters
	calls    callStats
	logs     [command.LogKinds]command.CommandLog
	monitors atomic.Pointer[[]*conn] // who is told of every command; nil: nobody
	// inspection is what is looked at of every command; nil: nothing.
	inspection atomic.Pointer[inspection]
	scratch    sync.Pool // of *scratch
	topology   healthCache
	pause      pause
	holds      holds

	ctx    context.Context // of Local commands; ends when Close stops waiting
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and the sampler

	mu       sync.Mutex
	conns    map[uint64]*conn
	lastID   uint64
	draining bool
	drained  chan struct{} // closed when draining begins
}

// New returns a server that listens; Serve makes it accept.
func New(opts Options) (*Server, error) {
	ln := opts.Listener
	if ln == nil {
		var err error
		if ln, err = listen(opts.Address); err != nil {
			return nil, err
		}
	}
	if opts.TLS != nil {
		ln = tls.NewListener(ln, opts.TLS)
	}
	if opts.RequirePass == nil {
		opts.RequirePass = func() string { return "" }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	defaultTo(&opts.CommandTimeout, 5*time.Second)
	s := &Server{
		opts:     opts,
		listener: ln,
		conns:    make(map[uint64]*conn),
		drained:  make(chan struct{}),
	}
	s.calls = newCallStats(opts.Table)
	s.inspection.Store(noInspection())
	s.scratch.New = func() any { return &scratch{input: make([]byte, firstBuffer), run: &run{}} }
	s.SetLimits(opts.Limits)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen for clients: %s is in use by another process: %w", address, err)
	case err != nil:
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	return ln, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// SetLimits changes the limits, for the connections that there are as well.
func (s *Server) SetLimits(l Limits) {
	l = l.withDefaults()
	s.limits.Store(&l)
	s.reads.resize(int64(l.ReadMemory))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.wake() // it may wait with the old limits
	}
}

// Serve accepts clients until Close. It returns nil then, or the error that
// keeps it from accepting.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return nil
	}
	s.wg.Add(1)
	s.mu.Unlock()
	go s.sample()

	const maxDelay = time.Second
	delay := 5 * time.Millisecond
	for {
		nc, err := s.listener.Accept()
		if err == nil {
			delay = 5 * time.Millisecond
			s.accept(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			if s.isDraining() {
				return nil
			}
			return fmt.Errorf("accept clients: %w", err)
		}
		// Out of file descriptors, or a client that was gone already: others
		// may do better in a moment.
		s.opts.Logger.Warn("cannot accept a client", "error", err, "retry_in", delay)
		select {
		case <-time.After(delay):
		case <-s.drained:
			return nil
		}
		delay = min(2*delay, maxDelay)
	}
}

func (s *Server) isDraining() bool {
	select {
	case <-s.drained:
		return true
	default:
		return false
	}
}

// accept starts to serve a client, or turns it away.
func (s *Server) accept(nc net.Conn) {
	s.counters.connections.Add(1)
	limits := s.limits.Load()
	s.mu.Lock()
	full := len(s.conns) >= limits.MaxClients
	if s.draining || full {
		s.mu.Unlock()
		if full {
			s.counters.rejected.Add(1)
			_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = nc.Write([]byte("-ERR max number of clients reached\r\n"))
		}
		_ = nc.Close()
		return
	}
	s.lastID++
	c := newConn(s, nc, s.lastID)
	s.conns[c.session.ID] = c
	s.wg.Add(1)
	s.mu.Unlock()
	go c.serve()
}

// remove ends a connection's registration; its goroutine calls it last.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c.session.ID)
	s.mu.Unlock()
	s.wg.Done()
}

// Close stops accepting, lets pipelines that run finish until ctx is done,
// then cuts them off. It returns once every goroutine of the server has ended,
// except Serve's caller, whose Serve returns.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	first := !s.draining
	s.draining = true
	if first {
		close(s.drained)
	}
	for _, c := range s.conns {
		c.wake()
	}
	s.mu.Unlock()
	_ = s.listener.Close()

	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.nc.Close()
	}
	s.mu.Unlock()
	<-ended
}
