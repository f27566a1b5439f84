package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/migration"
	"github.com/genuineh/aikv/node/shard"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/topology"
)

// methodPull asks a data member of a shard for a piece of the slots that move away from it:
// a migration.Request. The answer is migration.Serve's.
const methodPull = 35

// defaultPause is for how long clients wait at most while slots are handed over, where
// nothing else is configured: Redis's.
const defaultPause = 10 * time.Second

// configuredPause returns cluster-slot-migration-write-pause-timeout.
func (n *node) configuredPause() time.Duration {
	if n.backend == nil {
		return defaultPause
	}
	ms, err := strconv.Atoi(n.backend.config.Value("cluster-slot-migration-write-pause-timeout"))
	if err != nil {
		return defaultPause
	}
	return time.Duration(ms) * time.Millisecond
}

// mastersStay tells whether a master that has given its last slot away stays one.
func (n *node) mastersStay() bool {
	return n.backend != nil && n.backend.config.Value("cluster-allow-replica-migration") == "no"
}

func (n *node) moverOptions() migration.Options {
	return migration.Options{
		Topology: n.meta, Target: n.target, Pull: n.pull,
		Pace: snapshot.NewPace(int64(n.cfg.Migration.Rate), n.sched), PauseLimit: n.pauseLimit,
		Timeout: time.Duration(n.cfg.Raft.RequestTimeout), Sched: n.sched, Logger: n.log,
	}
}

// target implements migration.Options.Target.
func (n *node) target(id topology.GroupID) migration.Target {
	if r := n.replicas.Data(id); r != nil {
		return r
	}
	return nil
}

// pull implements migration.Options.Pull.
func (n *node) pull(ctx context.Context, view *topology.View, r migration.Request) (shard.Pulled, error) {
	s := view.Shard(r.Shard)
	if s == nil {
		return shard.Pulled{}, migration.ErrNotReady
	}
	request := r.Append(nil)
	err := errors.New("nobody has the source's data")
	for _, node := range n.sources(view, s) {
		var answer []byte
		if answer, err = n.transport.Call(ctx, node.Address.Raft, methodPull, request); err != nil {
			continue
		}
		var piece shard.Pulled
		if piece, err = migration.DecodeAnswer(answer); !errors.Is(err, migration.ErrNotReady) {
			return piece, err
		}
	}
	return shard.Pulled{}, err
}

// sources returns the other nodes with the data of a shard that can be asked: the one that
// leads it first.
func (n *node) sources(view *topology.View, s *topology.Shard) (nodes []*topology.Node) {
	leader := live{n}.Leader(s.ID)
	if leader == 0 {
		leader = s.Master
	}
	for _, m := range s.Members {
		node := view.Node(m.Node)
		switch {
		case m.Kind != topology.Data || node == nil || m.Node == view.Self:
		case m.Node == leader:
			nodes = append([]*topology.Node{node}, nodes...)
		case !node.Failed:
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// feed answers methodPull.
func (n *node) feed(ctx context.Context, request []byte) ([]byte, error) {
	r, err := migration.DecodeRequest(request)
	if err != nil {
		return nil, err
	}
	if from := n.replicas.Data(r.Shard); from != nil {
		return migration.Serve(ctx, n.sched, from, r)
	}
	return migration.Serve(ctx, n.sched, nil, r)
}

// View implements replica.Topology.
func (r reporter) View(ctx context.Context) *topology.View { return r.node.meta.View(ctx) }

// GarbageGone implements replica.Topology.
func (r reporter) GarbageGone(ctx context.Context, cluster uint64, shard topology.GroupID, slots slot.Set, epoch uint64) error {
	return r.node.meta.GarbageGone(ctx, cluster, shard, slots, epoch)
}

// HandBack implements replica.Topology.
func (r reporter) HandBack(ctx context.Context, cluster uint64, id topology.MigrationID, epoch uint64) error {
	return r.node.meta.HandBack(ctx, cluster, id, epoch)
}

// Migrating implements admin.Node.
func (b *backend) Migrating() admin.MigrationStatus {
	status := admin.MigrationStatus{LastPause: b.node.replicas.LastPause(), Copies: make(map[topology.MigrationID]admin.MigrationCopy)}
	for _, p := range b.node.mover.Progress() {
		status.Copies[p.ID] = admin.MigrationCopy{
			Keys: p.Keys, Bytes: p.Bytes, Rest: p.Rest, Failures: p.Failures, LastFailure: p.LastFailure,
		}
	}
	return status
}
