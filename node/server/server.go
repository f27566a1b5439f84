// Package server is the composition root of a node: it builds everything, ties
// it together and owns the order of start and stop.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/frontend"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/migration"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/rawio"
	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// node is a running node. What is built later comes later.
type node struct {
	cfg     config.Config
	log     *slog.Logger
	level   *slog.LevelVar
	address topology.Address

	clientListener, raftListener net.Listener

	sched sched.Sched
	// pauseLimit is for how long clients wait at most while slots are handed over.
	pauseLimit func() time.Duration
	steady     func() time.Duration // a clock that nobody sets; nil: there is none
	uptime     func() time.Duration // the clock for leases; nil: none are taken
	data       *dataDir
	past       *folderPast
	promise    *votePromise // nil in simulations
	handler    *peerHandler
	transport  network
	clients    metaraft.ClientPort // those of other nodes
	host       *multiraft.Host
	table      *command.Table // of what replicas run
	replicas   *replica.Manager
	mover      *migration.Mover
	snapshots  *snapshot.Exchange
	home       *home
	meta       *metaraft.Node
	front      *frontend.Server
	backend    *backend

	hearsay *hearsay
	beatNow chan struct{} // has sendBeats send at once
	company company

	// Frames to and from peers.
	sent, received atomic.Uint64

	latency   command.LatencyMonitor
	maxString atomic.Int64 // command.MaxString of the present proto-max-bulk-len

	// fatal receives the error that ends the node, quit how a client wants it to.
	fatal chan error
	quit  chan admin.Shutdown
	// unsaved leaves what is newer than the stores to the log when the node stops.
	unsaved bool
	work    *sched.Group

	processors lender
}

// Run runs a node until ctx ends, then stops it in order and returns nil. An
// error says in one line why the node cannot start or go on; nothing was
// damaged then.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger, level *slog.LevelVar) error {
	if path, err := filepath.Abs(cfg.Storage.DataDir); err == nil {
		cfg.Storage.DataDir = path // what is logged then says which folder it is
	}
	n := newNode(cfg, log, sched.System)
	n.level, n.uptime = level, leaseClock(cfg, log)
	if clock := rawio.NewUptime(); clock != nil {
		n.steady = clock.Now
	}
	n.fitClients()
	if err := cfg.CheckSecret(); err != nil {
		return err
	}
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.open(); err != nil {
		n.abandon()
		return err
	}
	running, stop := context.WithCancel(context.Background())
	release := context.AfterFunc(ctx, stop) // a start may have to wait for others
	if err := n.start(running); err != nil {
		stop()
		n.abandon()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	release()
	log.Info("node is ready", "node", n.home.Identity().Node, "client", n.clientListener.Addr(),
		"raft", n.raftListener.Addr(), "data", cfg.Storage.DataDir, "version", cfg.Version)
	var failure error
	select {
	case <-ctx.Done():
		log.Info("node is stopping")
		n.handOff()
	case how := <-n.quit:
		n.unsaved = how.Unsaved
		log.Info("node is stopping: a client has sent SHUTDOWN", "now", how.Abrupt, "nosave", how.Unsaved)
		if !how.Abrupt {
			n.handOff()
		}
	case failure = <-n.fatal:
	}
	return errors.Join(failure, n.stop(stop, failure))
}

func newNode(cfg config.Config, log *slog.Logger, s sched.Sched) *node {
	n := &node{
		cfg: cfg, log: log, sched: s, fatal: make(chan error, 1), quit: make(chan admin.Shutdown, 1), work: sched.NewGroup(s),
		hearsay: newHearsay(), beatNow: make(chan struct{}, 1),
	}
	n.clients, n.pauseLimit = clientPort{n}, n.configuredPause
	n.maxString.Store(int64(command.MaxString(int(cfg.Server.ProtoMaxBulkLen))))
	return n
}

// listen takes both ports before anything is touched, so that a second node
// started by mistake changes nothing.
func (n *node) listen() error {
	var err error
	if n.clientListener, err = bind(n.cfg.ClientListen(), "clients"); err != nil {
		return err
	}
	if n.raftListener, err = bind(n.cfg.RaftListen(), "Raft"); err != nil {
		n.clientListener.Close()
		return err
	}
	n.address = announcement{cfg: n.cfg}.address()
	return nil
}

// bind listens on addr.
func bind(addr, purpose string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen for %s: %s is in use by another program", purpose, addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen for %s: %w", purpose, err)
	}
	return ln, nil
}

// open opens the data folder and builds what needs no peers.
func (n *node) open() error {
	var err error
	if n.data, err = openDataDir(n.cfg, n.log, timedFS{monitor: &n.latency}); err != nil {
		return err
	}
	if n.past, err = openPast(n.cfg.Storage.DataDir, n.log); err != nil {
		return fmt.Errorf("cannot use the data folder: %w", err)
	}
	r := n.cfg.Raft
	if n.promise, err = openPromise(n.cfg.Storage.DataDir, time.Duration(r.ElectionTicks)*time.Duration(r.Tick)); err != nil {
		return fmt.Errorf("cannot use the data folder: %w", err)
	}
	n.data.recovered, n.data.bulk, n.data.latency = n.handlerPanicked, n.processors.lend, &n.latency
	n.handler = newPeerHandler(n)
	n.home = newHome(n)
	if err := n.home.load(); err != nil {
		return err
	}
	secrets, err := tokens(n.cfg.Raft, n.log)
	if err != nil {
		return err
	}
	t, err := transport.New(transport.Options{
		Listener: n.raftListener, Identity: n.home.hello, Tokens: secrets, Admit: n.home.admit,
		Handler: n.handler, Logger: n.log,
		VoteDelay: multiraft.VoteDelay(time.Duration(n.cfg.Raft.Tick), n.cfg.Raft.ElectionTicks),
	})
	if err != nil {
		return fmt.Errorf("cannot start the Raft listener: %w", err)
	}
	n.transport = wire{t, &n.processors}
	n.table = replicaTable()
	n.build()
	return nil
}

// replicaTable returns the table of what replicas run.
func replicaTable() *command.Table { return command.NewTable(data.Commands(), admin.DataCommands()) }

// build ties the parts together that stand on data, home, transport and table.
func (n *node) build() {
	n.snapshots = &snapshot.Exchange{
		Open: n.transport.Fetch, Pace: snapshot.NewPace(int64(n.cfg.Raft.SnapshotRate), n.sched), Sched: n.sched,
	}
	n.host = multiraft.New(n.hostOptions())
	n.replicas = replica.NewManager(n.replicaOptions())
	n.meta = metaraft.NewNode(n.metaOptions())
	n.mover = migration.NewMover(n.moverOptions())
}

func (n *node) hostOptions() multiraft.Options {
	r := n.cfg.Raft
	return multiraft.Options{
		NodeName: func(id uint64) string { return topology.NodeID(id).String() },
		Uptime:   n.uptime, Steady: n.steady, VoteDelay: n.transport.VoteDelay,
		Log: n.data.log, Lossy: n.data.unsynced != nil && n.data.unsynced.lost, Transport: raftTransport{n}, Cluster: n.home.Identity().Cluster,
		Promised: n.promise.promised(),
		Tick:     time.Duration(r.Tick), ElectionTicks: r.ElectionTicks, HeartbeatTicks: r.HeartbeatTicks,
		Gather: time.Duration(r.Gather), MaxEntryBytes: int(r.MaxEntryBytes), InflightEntries: r.InflightEntries,
		Header:         n.header(),
		RequestTimeout: time.Duration(r.RequestTimeout), CommitDelay: time.Duration(r.CommitDelay),
		LogEntries: n.cfg.WAL.GroupEntries, LogBytes: int64(n.cfg.WAL.GroupSize),
		Now: n.sched.Now, Sched: n.sched, Logger: n.log, Fatal: n.fail,
		Elected: func(without time.Duration) { n.latency.Took(command.EventElection, without) },
		Notify: func(id multiraft.GroupID) {
			if id == n.home.current.Load().metaGroup() {
				n.home.wake()
			}
			n.replicas.Wake()
			n.mover.Wake()
			select {
			case n.beatNow <- struct{}{}:
			default:
			}
		},
	}
}

// header returns what makes the headers of entries, with seeds that no other node and
// no other start gives. One goroutine calls it.
func (n *node) header() func() multiraft.Header {
	seeds := rand.NewPCG(uint64(n.home.Identity().Node), uint64(n.sched.Now().UnixNano()))
	return func() multiraft.Header {
		return multiraft.Header{Seed: seeds.Uint64(), Level: command.Level, MaxString: uint64(n.maxString.Load())}
	}
}

// leaseClock returns the clock for leases, nil for none.
func leaseClock(cfg config.Config, log *slog.Logger) func() time.Duration {
	if cfg.Cluster.Reads != config.ReadsLease {
		return nil
	}
	clock := rawio.NewUptime()
	if clock == nil {
		log.Warn("no leases: this system has no clock that counts while the machine sleeps", "reads", config.ReadsQuorum)
		return nil
	}
	return clock.Now
}

func (n *node) replicaOptions() replica.Options {
	return replica.Options{
		Host: n.host, Topology: reporter{n}, Table: n.table, Dir: n.data.shards, Attic: n.data.attic(),
		OpenStore: n.data.openShard, Shard: n.data.shardOptions(), Snapshots: n.snapshots,
		ReportTimeout: time.Duration(n.cfg.Cluster.CommandTimeout), PauseLimit: n.pauseLimit,
		Sched: n.sched, Logger: n.log, Fatal: n.fail,
	}
}

func (n *node) metaOptions() metaraft.Options {
	c := n.cfg.Cluster
	return metaraft.Options{
		Home: n.home, Peers: peers{n.transport}, Shards: n.replicas, ClientPort: n.clients,
		Contact: n.contact, Led: n.led, Address: n.address, Seeds: n.cfg.Raft.Seeds, Feature: featureLevel,
		MastersStay:    n.mastersStay,
		CommandTimeout: time.Duration(c.CommandTimeout), MeetTimeout: time.Duration(c.MeetTimeout),
		NodeTimeout: time.Duration(c.NodeTimeout), RelieveAfter: time.Duration(c.ArbiterGrace),
		Lineage: n.past.lineage, Recorded: n.past.recorded,
		Sched: n.sched, Random: randomID, Logger: n.log,
	}
}

// handlerPanicked logs a mistake of the program that a command has met.
func (n *node) handlerPanicked(command string, reason any, stack []byte) {
	n.log.Error("internal error: a command's handler has panicked; the node goes on, and a write was undone",
		"command", command, "reason", reason, "stack", string(stack))
}

// featureLevel is the replicated behaviour that this version brings to a
// cluster that it founds.
const featureLevel = 1

// start sets everything going. After it, the node answers clients.
func (n *node) start(ctx context.Context) error {
	if err := n.takePart(ctx); err != nil {
		return err
	}
	n.backend = newBackend(n)
	front, err := frontend.New(n.frontOptions())
	if err != nil {
		return err
	}
	n.front = front
	n.backend.attach(front)
	n.work.Go("memory", func() { n.giveBack(ctx) })
	n.work.Go("clients", func() {
		if err := front.Serve(); err != nil {
			n.fail(fmt.Errorf("serve clients: %w", err))
		}
	})
	return nil
}

// takePart makes the node part of its cluster again, or founds one.
func (n *node) takePart(ctx context.Context) error {
	n.host.Start()
	if err := n.home.restore(ctx); err != nil {
		return err
	}
	if u := n.data.unsynced; u != nil && u.lost { // what is left is in the log now
		if err := errors.Join(n.data.log.Sync(), u.markWhole()); err != nil {
			return fmt.Errorf("cannot use the data folder: %w", err)
		}
	}
	n.handler.open()
	n.work.Go("metaraft", func() { n.meta.Run(ctx) })
	n.work.Go("home", func() { n.home.follow(ctx) })
	n.work.Go("replicas", func() { n.replicas.Run(ctx) })
	n.work.Go("mover", func() { n.mover.Run(ctx) })
	n.work.Go("blocked", func() { n.replicas.AttendBlocked(ctx) })
	n.work.Go("beats", func() { n.sendBeats(ctx) })
	n.work.Go("promise", func() {
		if err := n.promise.settle(ctx, n.sched); err != nil {
			n.log.Warn("cannot note that a longer promise of votes is over; the next start waits for it once more", "error", err)
		}
	})
	n.work.Go("holder", func() { n.watchHolder(ctx) })
	return nil
}

func (n *node) frontOptions() frontend.Options {
	return frontend.Options{
		Listener: n.clientListener, Backend: n.backend, Table: command.NewTable(data.Commands(), admin.Commands(n.backend)), Limits: n.backend.limits,
		RequirePass: n.backend.password, MaxStaleness: time.Duration(n.cfg.Cluster.ReplicaMaxStaleness),
		// A little more than the commands' own limits: their errors say more.
		CommandTimeout: max(time.Duration(n.cfg.Cluster.CommandTimeout), time.Duration(n.cfg.Cluster.MeetTimeout)) + time.Second,
		Logger:         n.log, Recovered: n.handlerPanicked, Latency: &n.latency,
	}
}

// fail ends the node: the first error counts.
func (n *node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// handOff lets other replicas lead, so that nobody has to wait for an election.
func (n *node) handOff() {
	ctx, cancel := n.sched.WithTimeout(context.Background(), time.Duration(n.cfg.Cluster.HandoffTimeout))
	defer cancel()
	n.host.HandOff(ctx)
}

// drainTimeout is how long a stopping node lets running commands finish.
const drainTimeout = 2 * time.Second

// stop stops a node that was started, in the reverse order. After a failure the
// state of the replicas is not trusted, and nothing more is written.
func (n *node) stop(cancel context.CancelFunc, failure error) error {
	ctx, done := context.WithTimeout(context.Background(), drainTimeout)
	defer done()
	if failure != nil {
		// The host does nothing any more: its calls would never end, and with them
		// the connections that wait for them.
		n.host.Close()
	}
	n.front.Close(ctx)
	cancel()
	n.host.Close()
	n.work.Wait()
	err := n.transport.Close()
	if failure != nil {
		n.data.release()
		return nil
	}
	closeReplicas := n.replicas.Close
	if n.unsaved {
		closeReplicas = n.replicas.Abandon
	}
	return errors.Join(err, closeReplicas(), n.home.close(), n.data.close())
}

// abandon gives up a node that could not start.
func (n *node) abandon() {
	if n.host != nil {
		n.host.Close()
	}
	if n.transport != nil {
		n.transport.Close()
	} else {
		n.raftListener.Close()
	}
	n.clientListener.Close()
	if n.data != nil {
		n.data.release()
	}
}
