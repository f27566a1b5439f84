package transport

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/genuineh/aikv/node/rawio"
)

// Timing of connections. Raft's own heartbeats keep streams busy; the rest is
// for peers that vanish without a word.
const (
	dialTimeout   = 2 * time.Second
	helloTimeout  = 3 * time.Second // from the dial to the answer to the hello
	serverPing    = 2 * time.Second // of a connection on which nothing arrives
	clientPing    = 10 * time.Second
	silentTimeout = 3 * time.Second // after a ping, or with unacknowledged data (TCP_USER_TIMEOUT)
	idleClose     = time.Minute     // of a pooled connection without calls

	stallTimeout   = 10 * time.Second // of a fetch whose receiver takes nothing
	confirmTimeout = time.Minute
)

// Fixed flow control windows: gRPC's own estimate of them costs a ping with
// every few frames. A message larger than the window widens it by itself.
const (
	streamWindow = 8 << 20
	connWindow   = 16 << 20
	bufferSize   = 64 << 10 // gRPC's read and write buffers
	headRoom     = 64 << 10 // for a call's head, beyond MaxFrame
)

// dialer makes one gRPC client's connections and remembers why the last attempt,
// handshake included, failed, since gRPC only passes on a text.
type dialer struct {
	mu   sync.Mutex
	last error
}

func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	nd := net.Dialer{Timeout: dialTimeout}
	conn, err := nd.DialContext(ctx, "tcp", addr)
	d.mu.Lock()
	d.last = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return socket(conn), nil
}

// note remembers why the handshake on a connection that stood failed.
func (d *dialer) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = err
}

// socketListener hands gRPC connections that socket made.
type socketListener struct{ net.Listener }

func (l socketListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return socket(conn), nil
}

// socket returns conn as gRPC is to use it: with raw system calls, which a node
// makes two of for each frame, and with the timeout that gRPC itself sets on
// plain sockets only.
func socket(conn net.Conn) net.Conn {
	limitUnacknowledged(conn, silentTimeout)
	return rawio.NewConn(conn)
}

// explain returns the last dial's error if there is one, else err.
func (d *dialer) explain(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		return d.last
	}
	return err
}

// newClient returns a client of addr that connects when first used and resolves
// names at each dial. idle is the time after which it closes an unused
// connection, 0 for never.
func (t *Transport) newClient(addr string, d *dialer, idle time.Duration) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if t.opts.DialTLS != nil {
		creds = credentials.NewTLS(t.opts.DialTLS)
	}
	creds = &handshake{TransportCredentials: creds, secrets: t.secrets, dialer: d}
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithContextDialer(d.dial),
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 2, MaxDelay: time.Second},
			MinConnectTimeout: dialTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: clientPing, Timeout: silentTimeout}),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(bufferSize),
		grpc.WithWriteBufferSize(bufferSize),
		grpc.WithIdleTimeout(idle),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(rawCodec{}),
			grpc.MaxCallRecvMsgSize(t.opts.MaxFrame+headRoom),
			grpc.MaxCallSendMsgSize(t.opts.MaxFrame+headRoom),
		),
	)
}

// The service, declared by hand: messages are raw bytes.
const (
	serviceName  = "aikv.Node"
	framesMethod = "/" + serviceName + "/Frames"
	callMethod   = "/" + serviceName + "/Call"
	fetchMethod  = "/" + serviceName + "/Fetch"
)

func newServer(t *Transport) *grpc.Server {
	creds := insecure.NewCredentials()
	if t.opts.ListenTLS != nil {
		creds = credentials.NewTLS(t.opts.ListenTLS)
	}
	creds = &handshake{TransportCredentials: creds, secrets: t.secrets, door: &t.door, refused: t.logStranger}
	s := grpc.NewServer(
		grpc.Creds(creds),
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing, Timeout: silentTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPing / 2, PermitWithoutStream: true}),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.ReadBufferSize(bufferSize),
		grpc.WriteBufferSize(bufferSize),
		grpc.MaxRecvMsgSize(t.opts.MaxFrame+headRoom),
		grpc.MaxSendMsgSize(t.opts.MaxFrame+headRoom),
		grpc.MaxConcurrentStreams(1024),
		grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(helloTimeout),
		grpc.WaitForHandlers(true),
	)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Call",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var m message
				if err := decode(&m); err != nil {
					return nil, err
				}
				return t.serveCall(ctx, m.body)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName:    "Frames",
			ClientStreams: true,
			ServerStreams: true,
			Handler:       func(_ any, stream grpc.ServerStream) error { return t.serveFrames(stream) },
		}, {
			StreamName:    "Fetch",
			ClientStreams: true,
			ServerStreams: true,
			Handler:       func(_ any, stream grpc.ServerStream) error { return t.serveFetch(stream) },
		}},
	}, t)
	return s
}
