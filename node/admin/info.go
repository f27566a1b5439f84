package admin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// infoSource is what the sections of one INFO are made from.
type infoSource struct {
	node Node
	info NodeInfo
	ctx  context.Context
	view *topology.View
	repl replication
	now  time.Time
}

// infoSection is one section of INFO.
type infoSection struct {
	name  string
	write func(w *infoWriter, s *infoSource)
	// extra sections are shown with "all", "everything" and by name alone.
	extra bool
}

func infoSections() []infoSection {
	return []infoSection{
		{name: "server", write: infoServer},
		{name: "clients", write: infoClients},
		{name: "memory", write: infoMemory},
		{name: "persistence", write: infoPersistence},
		{name: "stats", write: infoStats},
		{name: "replication", write: infoReplication},
		{name: "cpu", write: infoCPU},
		{name: "modules", write: func(*infoWriter, *infoSource) {}},
		{name: "commandstats", write: infoCommandStats, extra: true},
		{name: "errorstats", write: infoErrorStats},
		{name: "latencystats", write: infoLatencyStats, extra: true},
		{name: "cluster", write: infoCluster},
		{name: "raft", write: infoRaft},
		{name: "migration", write: infoMigration},
		{name: "keyspace", write: infoKeyspace},
	}
}

// infoWriter writes lines as redis-cli wants them: it looks for the CR.
type infoWriter struct{ strings.Builder }

func (w *infoWriter) line(name string, value any) { fmt.Fprintf(w, "%s:%v\r\n", name, value) }

func (a *admin) info(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	wanted := make(map[string]bool)
	usual, all := !args.More(), false
	for args.More() {
		switch name := lower(args.Next()); name {
		case "default":
			usual = true
		case "all", "everything":
			all = true
		default:
			wanted[name] = true
		}
	}
	view := a.node.View(ctx)
	s := infoSource{ctx: ctx, node: a.node, info: a.node.Info(), view: view, repl: replicationOf(view, a.node), now: time.Now()}
	var w infoWriter
	for _, section := range infoSections() {
		if !all && !(usual && !section.extra) && !wanted[section.name] {
			continue
		}
		if w.Len() > 0 {
			w.WriteString("\r\n")
		}
		title := strings.ToUpper(section.name[:1]) + section.name[1:]
		if section.name == "cpu" {
			title = "CPU"
		}
		w.WriteString("# " + title + "\r\n")
		section.write(&w, &s)
	}
	r.Verbatim(w.String())
	return nil
}

func infoServer(w *infoWriter, s *infoSource) {
	executable, _ := os.Executable() // an empty line tells as much as an error
	up := seconds(s.now.Sub(s.info.Started))
	w.line("redis_version", RedisVersion)
	w.line("redis_git_sha1", "00000000") // as Redis's releases say
	w.line("redis_git_dirty", 0)
	w.line("aikv_version", s.info.Version)
	w.line("redis_mode", "cluster")
	w.line("os", runtime.GOOS+" "+runtime.GOARCH)
	w.line("arch_bits", strconv.IntSize)
	w.line("multiplexing_api", "go")
	w.line("go_version", runtime.Version())
	w.line("process_id", os.Getpid())
	w.line("process_supervised", "no")
	w.line("run_id", s.info.RunID)
	w.line("tcp_port", s.info.Port)
	w.line("raft_addr", s.info.RaftAddr)
	w.line("server_time_usec", s.now.UnixMicro())
	w.line("uptime_in_seconds", up)
	w.line("uptime_in_days", up/(24*60*60))
	w.line("executable", executable)
	w.line("config_file", s.info.ConfigFile)
	w.line("listener0", fmt.Sprintf("name=tcp,bind=%s,port=%d", s.node.Config().Value("bind"), s.info.Port))
	w.line("data_dir", s.info.DataDir)
}

func infoClients(w *infoWriter, s *infoSource) {
	w.line("connected_clients", s.info.ConnectedClients)
	w.line("cluster_connections", len(s.view.Nodes)-1)
	w.line("maxclients", s.node.Config().Value("maxclients"))
	w.line("client_output_backlog", s.info.OutputBacklog)
	w.line("blocked_clients", s.info.BlockedClients)
	w.line("tracking_clients", 0)
	w.line("watching_clients", s.info.WatchingClients)
	w.line("total_watched_keys", s.info.WatchedKeys)
	w.line("total_blocking_keys", s.info.BlockingKeys)
}

func infoMemory(w *infoWriter, s *infoSource) {
	m := processMemory()
	bytesLine := func(name string, n uint64) {
		w.line(name, n)
		w.line(name+"_human", humanBytes(n))
	}
	bytesLine("used_memory", m.used)
	bytesLine("used_memory_rss", m.rss)
	bytesLine("used_memory_peak", m.peak)
	w.line("go_memory_total", m.total)
	bytesLine("maxmemory", 0)
	w.line("maxmemory_policy", s.node.Config().Value("maxmemory-policy"))
	ratio := 0.0
	if m.used > 0 {
		ratio = float64(m.rss) / float64(m.used)
	}
	w.line("mem_fragmentation_ratio", strconv.FormatFloat(ratio, 'f', 2, 64))
	w.line("mem_allocator", "go")
	w.line("lazyfreed_objects", 0)
}

// memory is what the process takes, in bytes.
type memory struct{ used, total, rss, peak uint64 }

func processMemory() memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	m := memory{used: samples[0].Value.Uint64(), total: samples[1].Value.Uint64()}
	status, err := os.ReadFile("/proc/self/status") // Linux alone has it
	if err != nil {
		m.rss, m.peak = m.total, m.total
		return m
	}
	field := func(name string) uint64 {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":"))
		fields := bytes.Fields(rest[:min(len(rest), 64)])
		if len(fields) == 0 {
			return 0
		}
		kb, _ := strconv.ParseUint(string(fields[0]), 10, 64)
		return kb << 10
	}
	m.rss, m.peak = field("VmRSS"), field("VmHWM")
	return m
}

// humanBytes writes n as Redis does: "991.73K".
func humanBytes(n uint64) string {
	units := []string{"K", "M", "G", "T", "P"}
	if n < 1024 {
		return strconv.FormatUint(n, 10) + "B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + units[unit]
}

// infoPersistence speaks of the Raft log as Redis does of its append-only
// file: every acknowledged write is in it, synced.
func infoPersistence(w *infoWriter, s *infoSource) {
	loading := 0
	if s.info.Loading {
		loading = 1
	}
	w.line("loading", loading)
	w.line("async_loading", 0)
	w.line("rdb_changes_since_last_save", s.info.Unsynced)
	w.line("rdb_bgsave_in_progress", digit(s.info.Store.Writing)) // a checkpoint is what a snapshot is to Redis
	saved := s.info.Store.Last
	if saved.IsZero() {
		saved = s.info.Started
	}
	w.line("rdb_last_save_time", saved.Unix())
	w.line("rdb_last_bgsave_status", "ok")
	w.line("aof_enabled", 1)
	w.line("aof_rewrite_in_progress", 0)
	w.line("aof_rewrite_scheduled", 0)
	w.line("aof_last_bgrewrite_status", "ok")
	w.line("aof_last_write_status", "ok") // the process ends when one fails
	w.line("raft_log_fsyncs", s.info.Fsyncs)
	store := &s.info.Store
	w.line("store_dirty_bytes", store.Dirty)
	w.line("store_clean_bytes", store.Clean)
	w.line("store_unsynced_entries", s.info.Unsynced)
	w.line("store_checkpoints", store.Checkpoints)
	w.line("store_checkpoint_age", int64(s.now.Sub(saved).Seconds()))
	w.line("store_waiting", digit(store.Waiting))
	w.line("store_stalls", store.Stalls)
	w.line("store_stalled_ms", store.Stalled.Milliseconds())
}

func infoStats(w *infoWriter, s *infoSource) {
	n := &s.info
	w.line("total_connections_received", n.TotalConnections)
	w.line("total_commands_processed", n.TotalCommands)
	w.line("instantaneous_ops_per_sec", n.OpsPerSec)
	w.line("total_net_input_bytes", n.NetInputBytes)
	w.line("total_net_output_bytes", n.NetOutputBytes)
	w.line("instantaneous_input_kbps", strconv.FormatFloat(n.InputKbps, 'f', 2, 64))
	w.line("instantaneous_output_kbps", strconv.FormatFloat(n.OutputKbps, 'f', 2, 64))
	w.line("rejected_connections", n.RejectedConnections)
	w.line("expired_keys", n.ExpiredKeys)
	w.line("evicted_keys", 0)
	w.line("evicted_clients", 0)
	w.line("keyspace_hits", n.KeyspaceHits)
	w.line("keyspace_misses", n.KeyspaceMisses)
	w.line("pubsub_channels", 0)
	w.line("pubsub_patterns", 0)
	w.line("unexpected_error_replies", 0)
	w.line("total_error_replies", n.TotalErrorReplies)
	w.line("client_query_buffer_limit_disconnections", n.QueryLimitDisconnections)
	w.line("client_output_buffer_limit_disconnections", n.OutputLimitDisconnections)
	w.line("internal_errors", n.InternalErrors)
}

func infoReplication(w *infoWriter, s *infoSource) {
	r := s.repl
	if m := r.master; m != nil {
		link := "down"
		if r.linkUp {
			link = "up"
		}
		w.line("role", "slave")
		w.line("master_host", m.Address.Host)
		w.line("master_port", m.Address.Port)
		w.line("master_link_status", link)
		w.line("master_sync_in_progress", digit(r.syncing))
		w.line("slave_repl_offset", r.offset)
		w.line("slave_priority", 100)
		w.line("slave_read_only", 1)
	} else {
		w.line("role", "master")
	}
	w.line("connected_slaves", len(r.replicas))
	for i, replica := range r.replicas {
		state := "wait_bgsave" // what Redis says of one that is not there yet
		if replica.online {
			state = "online"
		}
		w.line("slave"+strconv.Itoa(i), fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d",
			replica.node.Address.Host, replica.node.Address.Port, state, replica.offset, replica.lag))
	}
	w.line("master_failover_state", "no-failover")
	var shard topology.GroupID
	if r.shard != nil {
		shard = r.shard.ID
	}
	w.line("master_replid", shard)
	w.line("master_repl_offset", r.offset)
}

func infoCPU(w *infoWriter, _ *infoSource) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return
	}
	line := func(name string, t syscall.Timeval) {
		w.line(name, strconv.FormatFloat(time.Duration(t.Nano()).Seconds(), 'f', 6, 64))
	}
	line("used_cpu_sys", usage.Stime)
	line("used_cpu_user", usage.Utime)
}

func infoCluster(w *infoWriter, _ *infoSource) { w.line("cluster_enabled", 1) }

// infoKeyspace shows a database only if it has keys: tools take "db0:" for
// "not empty".
func infoKeyspace(w *infoWriter, s *infoSource) {
	if s.info.Keys > 0 {
		w.line("db0", fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", s.info.Keys, s.info.Expires))
	}
}
