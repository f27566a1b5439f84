package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// slotStatsRow returns the row of CLUSTER SLOT-STATS.
func (a *admin) slotStatsRow() *command.Command {
	return &command.Command{
		Name: "slot-stats", Arity: -4, Flags: command.FlagLoading | command.FlagStale,
		Tips: []string{"nondeterministic_output", "request_policy:all_shards"},
		Doc: command.Doc{
			Usage:   "(SLOTSRANGE <start-slot> <end-slot>|ORDERBY <metric> [LIMIT <limit>] [ASC|DESC])",
			Summary: "Tells of this node's slots how many keys they have and what they cost.", Since: "8.2.0", Group: "cluster",
			Complexity: "O(N) where N is the total number of slots based on arguments. O(N*log(N)) with ORDERBY subcommand.",
		},
		Local: a.clusterSlotStats,
	}
}

const (
	errSlotRange   = resp.Error("ERR Invalid or out of range slot")
	errSlotMetric  = resp.Error("ERR Unrecognized sort metric for ORDERBY.")
	errSlotLimit   = resp.Error("ERR Limit has to lie in between 1 and 16384 (maximum number of slots).")
	errFilterTwice = resp.Error("ERR Multiple filters of the same type are disallowed.")
)

// The places of metrics in slotMetrics. All but the first are there while slots are
// counted.
const (
	metricKeys = iota
	metricBytes
	metricCPU
	metricIn
	metricOut
)

// slotMetrics are what is told of a slot, in this order.
func slotMetrics() []string {
	return []string{"key-count", "memory-bytes", "cpu-usec", "network-bytes-in", "network-bytes-out"}
}

// slotStats is what is told of a slot.
type slotStats struct {
	slot    uint16
	metrics [metricOut + 1]int64
}

func (a *admin) clusterSlotStats(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	load := a.node.Sessions().SlotLoad()
	var shown []int
	for metric := range slotMetrics() {
		if metric == metricKeys || load != nil && countsSlotMetric(a.node.Config().Value("cluster-slot-stats-enabled"), metric) {
			shown = append(shown, metric)
		}
	}
	switch {
	case args.Len() == 3 && args.Is("slotsrange"):
		return a.slotsRange(ctx, load, shown, args, r)
	case args.IsWith("orderby", 1):
		return a.slotsByMetric(ctx, load, shown, args, r)
	default:
		return args.ErrSubcommand()
	}
}

// slotStatsWords are the values of cluster-slot-stats-enabled beside no and yes, which
// may come together: cpu, net, mem.
func slotStatsWords() []string { return []string{"cpu", "net", "mem"} }

// countsSlotMetric reports whether a value of cluster-slot-stats-enabled asks for a metric.
func countsSlotMetric(value string, metric int) bool {
	word := map[int]string{metricBytes: "mem", metricCPU: "cpu", metricIn: "net", metricOut: "net"}[metric]
	return value == "yes" || slices.Contains(strings.Fields(value), word)
}

// parseSlotStats is the parse of cluster-slot-stats-enabled, with Redis 8.6's values.
func parseSlotStats(text string) (value, why string) {
	on := make(map[string]bool)
	words := strings.Fields(strings.ToLower(text))
	for _, word := range words {
		switch {
		case word == "yes":
			for _, each := range slotStatsWords() {
				on[each] = true
			}
		case slices.Contains(slotStatsWords(), word):
			on[word] = true
		case word != "no":
			words = nil
		}
	}
	switch {
	case len(words) == 0:
		return "", "argument(s) must be one of the following: no, yes, cpu, net, mem"
	case len(on) == 0:
		return "no", ""
	case len(on) == len(slotStatsWords()):
		return "yes", ""
	}
	var shown []string
	for _, word := range slotStatsWords() {
		if on[word] {
			shown = append(shown, word)
		}
	}
	return strings.Join(shown, " "), ""
}

// slotsRange is CLUSTER SLOT-STATS SLOTSRANGE.
func (a *admin) slotsRange(ctx context.Context, load *command.SlotLoad, shown []int, args *command.Args, r *resp.Reply) error {
	var ends [2]int64
	for i := range ends {
		n, err := args.Int()
		if err != nil || n < 0 || n >= slot.Count {
			return errSlotRange
		}
		ends[i] = n
	}
	if ends[0] > ends[1] {
		return command.Errorf("Start slot number %d is greater than end slot number %d", ends[0], ends[1])
	}
	var all []slotStats
	own := a.ownSlots(ctx)
	for s := range own.All {
		if int64(s) >= ends[0] && int64(s) <= ends[1] {
			all = append(all, slotStats{slot: s})
		}
	}
	return a.writeSlotStats(load, shown, all, r)
}

// slotsByMetric is CLUSTER SLOT-STATS ORDERBY.
func (a *admin) slotsByMetric(ctx context.Context, load *command.SlotLoad, shown []int, args *command.Args, r *resp.Reply) error {
	metric := slices.Index(slotMetrics(), lower(args.Next()))
	if !slices.Contains(shown, metric) {
		return errSlotMetric
	}
	limit, ascending, err := takeSlotOrder(args)
	if err != nil {
		return err
	}
	var all []slotStats
	own := a.ownSlots(ctx)
	for s := range own.All {
		one := slotStats{slot: s}
		if err := a.measure(&one, load, metric); err != nil {
			return err
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(x, y slotStats) int {
		order := cmp.Compare(y.metrics[metric], x.metrics[metric])
		if ascending {
			order = -order
		}
		return order
	})
	return a.writeSlotStats(load, shown, all[:min(limit, len(all))], r)
}

// takeSlotOrder takes what may follow the metric.
func takeSlotOrder(args *command.Args) (limit int, ascending bool, err error) {
	limit = slot.Count
	limited, ordered := false, false
	for args.More() {
		asc := false
		switch {
		case args.IsWith("limit", 1):
			n, err := args.Int()
			switch {
			case err != nil || n < 1 || n > slot.Count:
				return 0, false, errSlotLimit
			case limited:
				return 0, false, errFilterTwice
			}
			limit, limited = int(n), true
			continue
		case args.Is("asc"):
			asc = true
		case args.Is("desc"):
		default:
			return 0, false, command.ErrSyntax
		}
		if ordered {
			return 0, false, errFilterTwice
		}
		ascending, ordered = asc, true
	}
	return limit, ascending, nil
}

// ownSlots returns the slots of this node's shard.
func (a *admin) ownSlots(ctx context.Context) slot.Set {
	if me := a.node.View(ctx).Me(); me != nil && me.Shard != nil {
		return me.Shard.Slots
	}
	return slot.Set{}
}

// measure fills in a metric.
func (a *admin) measure(one *slotStats, load *command.SlotLoad, metric int) (err error) {
	switch metric {
	case metricKeys:
		one.metrics[metric] = a.node.SlotKeys(one.slot)
	case metricBytes:
		one.metrics[metric], err = a.node.SlotBytes(one.slot)
	case metricCPU:
		one.metrics[metric] = load.Use(one.slot).CPU.Microseconds()
	case metricIn:
		one.metrics[metric] = load.Use(one.slot).In
	case metricOut:
		one.metrics[metric] = load.Use(one.slot).Out
	}
	return err
}

func (a *admin) writeSlotStats(load *command.SlotLoad, shown []int, all []slotStats, r *resp.Reply) error {
	r.Array(len(all))
	for i := range all {
		one := &all[i]
		r.Array(2)
		r.Int(int64(one.slot))
		r.Map(len(shown))
		for _, metric := range shown {
			if err := a.measure(one, load, metric); err != nil {
				return err
			}
			r.BulkString(slotMetrics()[metric])
			r.Int(one.metrics[metric])
		}
	}
	return nil
}
