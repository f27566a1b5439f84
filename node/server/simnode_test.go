package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// simNode is one machine: a disk that outlives processes, and at most one
// process, which is a node without client port.
type simNode struct {
	c     *simCluster
	index int
	addr  topology.Address
	disk  *simDisk

	proc *seeded.Process
	node *node    // nil until the process has opened the log
	link *simLink // of the process
	// slowDisk is how long a sync takes at most.
	slowDisk time.Duration
	broken   bool // the disk fails
	// original is the node whose folder this one's is a copy of, nil for all but
	// simCluster.twin.
	original *simNode
	ended    time.Time // when its last process did
}

// simDisk is what a machine has on its disk.
type simDisk struct {
	root   string // a real folder
	log    *crashfs.FS
	stores map[string]*simStore // by folder in root
	past   []byte               // the file of that in root, as of the last process's end
}

// up reports whether the node takes part: its process runs and has started.
func (n *simNode) up() bool { return n.node != nil }

// boot starts a process.
func (n *simNode) boot() {
	n.proc = n.c.world.Start(fmt.Sprintf("node %d", n.index))
	n.proc.SetRate(0.955 + 0.09*n.c.rng.Float64())
	n.proc.Delay = n.delay
	proc := n.proc
	n.proc.Go("boot", func() {
		switch err := n.start(proc); {
		case err == nil:
		case n.original != nil && strings.Contains(err.Error(), "cannot use the data folder"):
			n.c.note("node %d, a copy, does not start: %v", n.index, err)
			n.c.stats.copies++
			n.c.world.After(0, n.kill)
		default:
			n.c.fail("node %d cannot start: %v", n.index, err)
		}
	})
}

// delay is how long the parts of a node take for a step.
func (n *simNode) delay(name string) time.Duration {
	switch name {
	case "persister":
		return n.c.upTo(n.slowDisk)
	case "raft loop", "applier":
		return n.c.upTo(200 * time.Microsecond)
	default:
		return 0
	}
}

// start does what Run does, over the simulated disk and network.
func (n *simNode) start(proc *seeded.Process) error {
	log, err := wal.Open(wal.Options{
		Dir: "wal", FS: n.disk.log, SegmentSize: 256 << 10, Preallocate: 16 << 10,
		Rand: n.c.rng, Logger: n.c.logger,
	})
	if err != nil {
		return err
	}
	node := newNode(n.c.config(), n.c.logger.With("node", n.index), proc)
	node.address, node.clients = n.addr, noClientPorts{}
	node.pauseLimit = func() time.Duration { return 100 * time.Millisecond }
	node.uptime = func() time.Duration { return proc.Now().Sub(simStart) }
	node.data = &dataDir{
		cfg: node.cfg, logger: node.log, log: log,
		meta: filepath.Join(n.disk.root, "meta"), shards: filepath.Join(n.disk.root, "shards"),
		openStore: n.disk.open,
	}
	for _, dir := range []string{node.data.meta, node.data.shards} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if node.past, err = openPast(n.disk.root, node.log); err != nil {
		return err
	}
	node.handler = newPeerHandler(node)
	node.home = newHome(node)
	if err := node.home.load(); err != nil {
		return err
	}
	n.link = newSimLink(n, proc)
	node.transport, node.table = n.link, n.c.table
	node.build()
	n.node = node
	return node.takePart(context.Background())
}

// simStart is when a run begins.
var simStart = time.Unix(1_700_000_000, 0)

// crash cuts the machine's power, kill ends the process only.
func (n *simNode) crash() { n.end((*simDisk).crash) }
func (n *simNode) kill()  { n.end((*simDisk).kill) }

func (n *simNode) end(how func(*simDisk, *rand.Rand) *simDisk) {
	if n.proc == nil {
		return
	}
	n.proc.Kill()
	n.disk = how(n.disk, n.c.rng)
	n.proc, n.node, n.link, n.broken = nil, nil, nil, false
	n.ended = n.c.world.Now()
}

// breakDisk makes one kind of operation fail from now on.
func (n *simNode) breakDisk(op crashfs.Op) {
	n.broken = true
	n.disk.log.Fail(func(o crashfs.Op, _ string) error {
		if o == op {
			return errors.New("the disk is broken")
		}
		return nil
	})
}

// failed returns what ended the process, if anything did.
func (n *simNode) failed() error {
	select {
	case err := <-n.node.fatal:
		return err
	default:
		return nil
	}
}

// noClientPorts is a network without client ports: nodes find each other by
// their seeds.
type noClientPorts struct{}

// Identify implements metaraft.ClientPort.
func (noClientPorts) Identify(context.Context, string) (metaraft.PeerInfo, error) {
	return metaraft.PeerInfo{}, errors.New("connection refused")
}

func newSimDisk(root string) *simDisk {
	return &simDisk{root: root, log: crashfs.New(), stores: make(map[string]*simStore)}
}

// open opens a database. Its folder is a real one, so that whoever removes that
// removes the database.
func (d *simDisk) open(dir string, _ storage.LevelOptions) (storage.Store, error) {
	s := &simStore{Memory: storage.NewMemory()}
	name := strings.TrimPrefix(dir, d.root)
	if old := d.stores[name]; old != nil && d.holds(name) {
		s.Memory = old.Clone()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d.stores[name] = s
	return s, nil
}

// holds reports whether a database was not removed.
func (d *simDisk) holds(name string) bool {
	_, err := os.Stat(d.root + name)
	return err == nil
}

// crash returns what is left after a power cut, kill what the next process finds
// when only the last one died.
func (d *simDisk) crash(rng *rand.Rand) *simDisk {
	next := &simDisk{root: d.root, log: d.log.Crash(rng), stores: make(map[string]*simStore), past: d.readPast()}
	for _, name := range slices.Sorted(maps.Keys(d.stores)) {
		next.stores[name] = &simStore{Memory: d.stores[name].crash(rng)}
	}
	return next
}

func (d *simDisk) kill(*rand.Rand) *simDisk {
	next := &simDisk{root: d.root, log: d.log.Kill(), stores: make(map[string]*simStore), past: d.readPast()}
	for name, s := range d.stores {
		next.stores[name] = &simStore{Memory: s.Clone(), versions: s.versions}
	}
	return next
}

// readPast returns the folder's lineage: each write of it is complete or is not.
func (d *simDisk) readPast() []byte {
	text, _ := os.ReadFile(d.root + pastFile)
	return text
}

// clone returns a disk with the same content, all of it synced, whose databases
// have their folders in root.
func (d *simDisk) clone(root string) (*simDisk, error) {
	next := &simDisk{root: root, log: d.log.Clone(), stores: make(map[string]*simStore), past: d.past}
	if err := errors.Join(os.MkdirAll(root, 0o755), os.WriteFile(root+pastFile, d.past, 0o644)); err != nil {
		return nil, err
	}
	for name, s := range d.stores {
		if err := os.MkdirAll(root+name, 0o755); err != nil {
			return nil, err
		}
		next.stores[name] = &simStore{Memory: s.Clone()}
	}
	return next, nil
}

// simStore is a database whose last batches a crash may take back.
type simStore struct {
	*storage.Memory
	versions []*storage.Memory // after each batch since the last Sync
}

// Write implements storage.Store.
func (s *simStore) Write(b *storage.Batch) error {
	err := s.Memory.Write(b)
	s.versions = append(s.versions, s.Clone())
	return err
}

// Sync implements storage.Store.
func (s *simStore) Sync() error {
	s.versions = nil
	return s.Memory.Sync()
}

// Begin implements storage.Store.
func (s *simStore) Begin() (storage.Transaction, error) {
	tr, err := s.Memory.Begin()
	return simTransaction{tr, s}, err
}

// simTransaction makes what was written before it as durable as itself.
type simTransaction struct {
	storage.Transaction
	store *simStore
}

// Commit implements storage.Transaction.
func (t simTransaction) Commit() error {
	t.store.versions = nil
	return t.Transaction.Commit()
}

// crash returns what is left: the result of a prefix of the batches.
func (s *simStore) crash(rng *rand.Rand) *storage.Memory {
	if i := rng.Intn(len(s.versions) + 1); i > 0 {
		return s.versions[i-1]
	}
	return s.Synced()
}

// config is that of all nodes.
func (c *simCluster) config() config.Config {
	cfg := config.Default()
	r, cl := &cfg.Raft, &cfg.Cluster
	r.Tick, r.ElectionTicks, r.HeartbeatTicks = config.Duration(10*time.Millisecond), 8, 2
	r.Gather, r.MaxEntryBytes, r.InflightEntries = config.Duration(c.gather), 4<<10, c.inflight
	r.RequestTimeout = config.Duration(500 * time.Millisecond)
	cl.NodeTimeout = config.Duration(200 * time.Millisecond)
	cl.ArbiterGrace = config.Duration(c.arbiterGrace)
	cl.CommandTimeout = config.Duration(time.Second)
	cl.HandoffTimeout = config.Duration(50 * time.Millisecond)
	cfg.WAL.GroupEntries = c.logEntries
	cfg.Storage.CacheSize, cfg.Storage.DirtySize = 64<<10, 16<<10
	cfg.Storage.CheckpointInterval = config.Duration(200 * time.Millisecond)
	r.Seeds = c.seeds
	return cfg
}

// simLogger is silent unless a failing seed is looked at.
func simLogger(out io.Writer) *slog.Logger {
	if out == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
