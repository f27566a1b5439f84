package admin

import (
	"context"
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// memoryCommands returns those rows of MEMORY that are about the node.
func (a *admin) memoryCommands() []*command.Command {
	tips := []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}
	return []*command.Command{{
		Name: "memory", Arity: -2,
		Subcommands: []*command.Command{
			{
				Name: "doctor", Arity: 2, Tips: tips,
				Doc:   command.Doc{Summary: "Says in words what is odd about the memory that the node takes.", Since: "4.0.0", Group: "server", Complexity: "O(1)"},
				Local: a.memoryDoctor,
			},
			{
				Name: "malloc-stats", Arity: 2, Tips: tips,
				Doc:   command.Doc{Summary: "Tells what Go's runtime knows of the memory.", Since: "4.0.0", Group: "server", Complexity: "Depends on how much memory is allocated, could be slow"},
				Local: a.memoryMallocStats,
			},
			{
				Name: "purge", Arity: 2, Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
				Doc:   command.Doc{Summary: "Collects garbage, and gives memory back to the operating system.", Since: "4.0.0", Group: "server", Complexity: "Depends on how much memory is allocated, could be slow"},
				Local: a.memoryPurge,
			},
			{
				Name: "stats", Arity: 2, Tips: tips,
				Doc:   command.Doc{Summary: "Tells what the memory of the node is used for.", Since: "4.0.0", Group: "server", Complexity: "O(1)"},
				Local: a.memoryStats,
			},
		},
	}}
}

func (a *admin) memoryPurge(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	debug.FreeOSMemory()
	r.OK()
	return nil
}

// memoryMallocStats lists what Go's runtime says of its memory.
func (a *admin) memoryMallocStats(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	var samples []metrics.Sample
	for _, d := range metrics.All() {
		if d.Kind == metrics.KindUint64 && (strings.HasPrefix(d.Name, "/memory/") || strings.HasPrefix(d.Name, "/gc/")) {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(samples)
	var out strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&out, "%s %d\n", s.Name, s.Value.Uint64())
	}
	r.Verbatim(out.String())
	return nil
}

// nodeMemory is what the memory of a node is used for, in bytes.
type nodeMemory struct {
	memory
	clients, links int64 // their buffers
	dirty, clean   int64 // records of the shard
	keys           int64
}

func (a *admin) measureMemory(ctx context.Context) nodeMemory {
	info := a.node.Info()
	m := nodeMemory{memory: processMemory(), dirty: info.Store.Dirty, clean: info.Store.Clean, keys: info.Keys}
	for _, s := range a.node.Sessions().List() {
		if s.Buffers != nil {
			b := s.Buffers()
			m.clients += b.Query + b.QueryFree + b.Output
		}
	}
	v, live := a.node.View(ctx), a.node.Live()
	for _, n := range v.Nodes {
		if n.ID != v.Self {
			m.links += int64(live.Contact(n.ID).SendBuffer)
		}
	}
	return m
}

// memoryStats has those of Redis's fields that mean something here.
func (a *admin) memoryStats(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	m := a.measureMemory(ctx)
	dataset := m.dirty + m.clean
	at, pairs := r.Here(), 0
	number := func(name string, n int64) {
		r.BulkString(name)
		r.Int(n)
		pairs++
	}
	ratio := func(name string, of, by float64) {
		r.BulkString(name)
		r.Double(of / max(by, 1))
		pairs++
	}
	number("peak.allocated", int64(m.peak))
	number("total.allocated", int64(m.used))
	number("replication.backlog", 0) // it is the Raft log, on disk
	number("clients.slaves", 0)
	number("clients.normal", m.clients)
	number("cluster.links", m.links)
	number("aof.buffer", 0)
	number("overhead.total", max(int64(m.used)-dataset, 0))
	number("keys.count", m.keys)
	number("keys.bytes-per-key", dataset/max(m.keys, 1))
	number("dataset.bytes", dataset)
	ratio("dataset.percentage", 100*float64(dataset), float64(m.used))
	number("dataset.dirty.bytes", m.dirty)
	ratio("peak.percentage", 100*float64(m.rss), float64(m.peak))
	number("allocator.allocated", int64(m.used))
	number("allocator.resident", int64(m.total))
	ratio("rss-overhead.ratio", float64(m.rss), float64(m.total))
	number("rss-overhead.bytes", int64(m.rss)-int64(m.total))
	ratio("fragmentation", float64(m.rss), float64(m.used))
	number("fragmentation.bytes", int64(m.rss)-int64(m.used))
	r.MapAt(at, pairs)
	return nil
}

// What MEMORY DOCTOR takes for odd.
const (
	littleMemory = 32 << 20 // less than this is not worth a word
	muchClients  = 16 << 20
	muchLinks    = 16 << 20
)

func (a *admin) memoryDoctor(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	m := a.measureMemory(ctx)
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if m.rss > littleMemory {
		if m.peak > m.rss+m.rss/2 {
			say("Peak: the process took %s once, %s now. It gives memory back when it idles; MEMORY PURGE does so at once.", humanBytes(m.peak), humanBytes(m.rss))
		}
		if m.rss > 3*m.used {
			say("Garbage: of %s that the process takes, %s is in use. Go collects when what is in use has doubled; MEMORY PURGE collects now.", humanBytes(m.rss), humanBytes(m.used))
		}
	}
	if m.clients > muchClients {
		say("Clients: their buffers hold %s. CLIENT LIST shows whose: qbuf, omem.", humanBytes(uint64(m.clients)))
	}
	if m.links > muchLinks {
		say("Links: %s wait to be sent to other nodes. CLUSTER LINKS shows to which.", humanBytes(uint64(m.links)))
	}
	if info := a.node.Info(); info.Store.Stalls > 0 {
		say("Checkpoints: writes have waited %d times, %v together, for changes to reach the disk. A larger storage.dirty_size or a faster disk helps.",
			info.Store.Stalls, info.Store.Stalled)
	}
	if len(found) == 0 {
		r.Verbatim("Nothing is odd about the memory of this node.\n")
		return nil
	}
	r.Verbatim("This is odd about the memory of this node:\n\n * " + strings.Join(found, "\n * ") + "\n")
	return nil
}
