package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/frontend"
	"github.com/genuineh/aikv/node/resp"
)

// processInfo is what stays the same for as long as the process runs.
type processInfo struct {
	runID   string
	started time.Time
}

func newProcessInfo() processInfo {
	return processInfo{
		runID:   fmt.Sprintf("%016x%016x%08x", randomID(), randomID(), uint32(randomID())),
		started: time.Now(),
	}
}

// Info implements admin.Node.
func (b *backend) Info() admin.NodeInfo {
	cfg := &b.node.cfg
	info := admin.NodeInfo{
		Version: cfg.Version, RunID: b.info.runID, Started: b.info.started,
		Port: cfg.Server.Port, RaftAddr: b.node.address.Raft, ConfigFile: cfg.File, DataDir: cfg.Storage.DataDir,
	}
	s := b.front.Load().Stats()
	info.ConnectedClients, info.BlockedClients = s.ConnectedClients, s.BlockedClients
	info.WatchingClients, info.WatchedKeys = s.WatchingClients, s.WatchedKeys
	info.TotalConnections, info.RejectedConnections = s.TotalConnections, s.RejectedConnections
	info.TotalCommands, info.TotalErrorReplies = s.TotalCommands, s.TotalErrorReplies
	info.NetInputBytes, info.NetOutputBytes = s.NetInputBytes, s.NetOutputBytes
	info.OutputBacklog = s.Backlog
	info.QueryLimitDisconnections, info.OutputLimitDisconnections = s.QueryLimitDisconnections, s.OutputLimitDisconnections
	info.InternalErrors = s.Panics
	info.OpsPerSec, info.InputKbps, info.OutputKbps = s.OpsPerSec, s.InputKbps, s.OutputKbps
	info.RaftMessagesSent, info.RaftMessagesReceived = int64(b.node.sent.Load()), int64(b.node.received.Load())
	info.Fsyncs = b.node.data.log.Stats().Syncs
	info.Loading = b.loading()
	if r := b.node.replicas.Own(); r != nil {
		m := r.Machine()
		info.Keys, info.Expires = m.Keys(), m.Expiring()
		stats := m.Stats()
		info.Unsynced, info.BlockingKeys = stats.Unsynced, int64(r.Blocked().Len())
		info.Store = admin.StoreInfo{
			Dirty: stats.Store.Dirty, Clean: stats.Store.Clean, Checkpoints: stats.Store.Checkpoints, Last: stats.Store.Last,
			Writing: stats.Store.Writing,
			Stalls:  stats.Store.Stalls, Stalled: stats.Store.Stalled, Waiting: stats.Store.Waiting,
		}
		if last, running := b.lastSave(); last.After(info.Store.Last) || running {
			info.Store.Last, info.Store.Writing = last, running || info.Store.Writing
		}
		info.KeyspaceHits, info.KeyspaceMisses, info.ExpiredKeys = stats.Hits, stats.Misses, stats.Expired
		info.InternalErrors += stats.Panics
	}
	return info
}

// loading reports whether the node is to hold a shard's data and has not received
// it yet.
func (b *backend) loading() bool {
	me := b.LocalView().Me()
	if me == nil || me.Shard == nil {
		return false
	}
	r := b.node.replicas.Own()
	if r == nil {
		return true
	}
	if _, ok := r.Age(); ok {
		return false
	}
	m, _, _ := me.Shard.Member(me.ID)
	return !m.Synced || !r.Complete()
}

// newConfig makes the parameters that CONFIG shows, with hooks for those that
// the node acts upon.
func newConfig(n *node, b *backend) *admin.Config {
	cfg := &n.cfg
	return admin.NewConfig(admin.ConfigOptions{
		Values: map[string]string{
			"port": strconv.Itoa(cfg.Server.Port), "bind": cfg.Server.Host, "dir": cfg.Storage.DataDir,
			"cluster-announce-ip": cfg.Server.AnnounceHost, "cluster-announce-port": strconv.Itoa(cfg.Server.AnnouncePort),
			"cluster-announce-hostname": cfg.Server.AnnounceHostname, "cluster-preferred-endpoint-type": cfg.Server.PreferredEndpointType,
			"requirepass": cfg.Server.RequirePass,
			"maxclients":  strconv.Itoa(b.limits.MaxClients),
			// In whole seconds, and 0 is for never.
			"timeout":                   strconv.Itoa(int(math.Ceil(time.Duration(cfg.Server.Timeout).Seconds()))),
			"proto-max-bulk-len":        strconv.Itoa(b.limits.MaxBulk),
			"client-query-buffer-limit": strconv.Itoa(b.limits.QueryBuffer),
			"client-output-buffer-limit": admin.OutputLimits{
				Normal: redisOutputLimit(b.limits.Output),
				// Redis's defaults, for clients that AiKv does not have.
				Replica: admin.OutputLimit{Hard: 256 << 20, Soft: 64 << 20, SoftSeconds: 60},
				PubSub:  admin.OutputLimit{Hard: 32 << 20, Soft: 8 << 20, SoftSeconds: 60},
			}.String(),
			"loglevel":                      redisLevel(n.level.Level()),
			"logfile":                       cfg.Logging.File,
			"cluster-enabled":               "yes",
			"cluster-require-full-coverage": yesNo(cfg.Cluster.RequireFullCoverage),
			"cluster-allow-reads-when-down": yesNo(cfg.Cluster.AllowReadsWhenDown),
			"cluster-node-timeout":          strconv.FormatInt(time.Duration(cfg.Cluster.NodeTimeout).Milliseconds(), 10),
			"appendonly":                    "yes", "appendfsync": redisFsync(cfg.WAL.Fsync), "save": "",
		},
		Hooks: b.hooks(),
		Shared: map[string]func() string{
			"cluster-preferred-endpoint-type": func() string { return n.meta.Current().EndpointType },
		},
		Rewrite: rewriteConfig(cfg),
		ResetStat: func() {
			b.front.Load().ResetStats()
			if r := n.replicas.Own(); r != nil {
				r.Machine().ResetStats()
			}
		},
	})
}

// hooks put parameters of CONFIG SET into effect.
func (b *backend) hooks() map[string]func(context.Context, string) error {
	hooks := b.announceHooks()
	maps.Copy(hooks, b.logHooks())
	maps.Copy(hooks, map[string]func(context.Context, string) error{
		"loglevel": func(_ context.Context, value string) error {
			b.node.level.Set(slogLevel(value))
			return nil
		},
		"latency-monitor-threshold": func(_ context.Context, value string) error {
			ms, err := strconv.ParseInt(value, 10, 64)
			b.node.latency.SetThreshold(time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
			return err
		},
		"cluster-slot-stats-enabled": func(_ context.Context, value string) error {
			b.front.Load().CountSlots(value != "no")
			if r := b.node.replicas.Own(); r != nil && value == "no" {
				r.Machine().ForgetSlotBytes()
			}
			return nil
		},
		"maxclients": b.setMaxClients,
		"timeout":    b.limitHook(func(l *frontend.Limits, v int) { l.Timeout = time.Duration(v) * time.Second }),
		"proto-max-bulk-len": b.limitHook(func(l *frontend.Limits, v int) {
			l.MaxBulk = v
			b.node.maxString.Store(int64(command.MaxString(v)))
		}),
		"client-query-buffer-limit":  b.limitHook(func(l *frontend.Limits, v int) { l.QueryBuffer = v }),
		"client-output-buffer-limit": b.setOutputLimit,
	})
	return hooks
}

// logHooks put the parameters of the logs of commands into effect.
func (b *backend) logHooks() map[string]func(context.Context, string) error {
	return map[string]func(context.Context, string) error{
		"slowlog-log-slower-than":          b.logHook(command.LogSlow, (*frontend.Server).SetLogThreshold),
		"commandlog-request-larger-than":   b.logHook(command.LogLargeRequest, (*frontend.Server).SetLogThreshold),
		"commandlog-reply-larger-than":     b.logHook(command.LogLargeReply, (*frontend.Server).SetLogThreshold),
		"slowlog-max-len":                  b.logHook(command.LogSlow, setLogLength),
		"commandlog-large-request-max-len": b.logHook(command.LogLargeRequest, setLogLength),
		"commandlog-large-reply-max-len":   b.logHook(command.LogLargeReply, setLogLength),
	}
}

// logHook makes a number of CONFIG SET one of a log of commands.
func (b *backend) logHook(kind command.LogKind, set func(*frontend.Server, command.LogKind, int64)) func(context.Context, string) error {
	return func(_ context.Context, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err == nil {
			set(b.front.Load(), kind, n)
		}
		return err
	}
}

func setLogLength(f *frontend.Server, kind command.LogKind, n int64) {
	f.Log(kind).SetMost(int(min(n, math.MaxInt32)))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// redisLevel names a level as Redis's loglevel does.
func redisLevel(l slog.Level) string {
	switch {
	case l <= slog.LevelDebug:
		return "debug"
	case l <= slog.LevelInfo:
		return "notice"
	default:
		return "warning"
	}
}

func slogLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warning":
		return slog.LevelWarn
	default: // verbose and notice
		return slog.LevelInfo
	}
}

// redisFsync names our policy as Redis's appendfsync does.
func redisFsync(policy string) string {
	switch policy {
	case "interval":
		return "everysec"
	case "never":
		return "no"
	default:
		return "always"
	}
}

// limitHook makes a number of CONFIG SET a limit of the front end. Config runs
// its hooks one at a time.
func (b *backend) limitHook(set func(*frontend.Limits, int)) func(context.Context, string) error {
	return func(_ context.Context, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return err
		}
		set(&b.limits, n)
		b.front.Load().SetLimits(b.limits)
		return nil
	}
}

// setMaxClients is CONFIG SET maxclients.
func (b *backend) setMaxClients(_ context.Context, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	switch clients, _, err := clientsAllowed(n); {
	case err != nil:
		return err
	case clients < n:
		return resp.Error(fmt.Sprintf(
			"The operating system is not able to handle the specified number of clients, try with %d", clients))
	}
	b.limits.MaxClients = n
	b.front.Load().SetLimits(b.limits)
	return nil
}

// setOutputLimit is CONFIG SET client-output-buffer-limit.
func (b *backend) setOutputLimit(_ context.Context, value string) error {
	limits, why := admin.ParseOutputLimits(value, admin.OutputLimits{})
	if why != "" {
		return errors.New(why)
	}
	n := limits.Normal
	b.limits.Output = frontend.OutputLimit{
		Hard: int(n.Hard), Soft: int(n.Soft), SoftFor: time.Duration(n.SoftSeconds) * time.Second,
	}
	b.front.Load().SetLimits(b.limits)
	return nil
}

func redisOutputLimit(l frontend.OutputLimit) admin.OutputLimit {
	return admin.OutputLimit{Hard: int64(l.Hard), Soft: int64(l.Soft), SoftSeconds: int64(math.Ceil(l.SoftFor.Seconds()))}
}
