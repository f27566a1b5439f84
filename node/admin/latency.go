package admin

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// latencySubcommands returns the rows of LATENCY.
func (a *admin) latencySubcommands() []*command.Command {
	const flags = command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale
	tips := []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}
	return []*command.Command{
		{
			Name: "doctor", Arity: 2, Flags: flags, Tips: tips,
			Doc:   command.Doc{Summary: "Says in words what took long, and what to do about it.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.latencyDoctor,
		},
		{
			Name: "graph", Arity: 3, Flags: flags, Tips: tips,
			Doc:   command.Doc{Usage: "<event>", Summary: "Draws how long an event took.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.latencyGraph,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "histogram", Arity: -2, Flags: flags, Tips: tips,
			Doc:   command.Doc{Usage: "[<command> ...]", Summary: "Returns how many calls of commands took how long.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			Local: a.latencyHistogram,
		},
		{
			Name: "history", Arity: 3, Flags: flags, Tips: tips,
			Doc:   command.Doc{Usage: "<event>", Summary: "Returns when an event took long, and how long.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.latencyHistory,
		},
		{
			Name: "latest", Arity: 2, Flags: flags, Tips: tips,
			Doc:   command.Doc{Summary: "Returns the last of each kind of event.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.latencyLatest,
		},
		{
			Name: "reset", Arity: -2, Flags: flags,
			Tips:  []string{"request_policy:all_nodes", "response_policy:agg_sum"},
			Doc:   command.Doc{Usage: "[<event> ...]", Summary: "Forgets events.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.latencyReset,
		},
	}
}

func (a *admin) latencyLatest(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	events := a.node.Latency().Summaries()
	r.Array(len(events))
	for _, e := range events {
		r.Array(4)
		r.BulkString(e.Event)
		r.Int(e.Last.At.Unix())
		r.Int(e.Last.Took.Milliseconds())
		r.Int(e.Longest.Milliseconds())
	}
	return nil
}

func (a *admin) latencyHistory(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	samples, _ := a.node.Latency().History(string(args.Next()))
	r.Array(len(samples))
	for _, s := range samples {
		r.Array(2)
		r.Int(s.At.Unix())
		r.Int(s.Took.Milliseconds())
	}
	return nil
}

func (a *admin) latencyReset(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	var events []string
	for args.More() {
		events = append(events, string(args.Next()))
	}
	r.Int(int64(a.node.Latency().Reset(events...)))
	return nil
}

// latencyHistogram shows the commands that were called, of a container all that are in it.
func (a *admin) latencyHistogram(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	called := make(map[*command.Command]*command.CallSummary)
	var wanted []*command.CallSummary
	for _, c := range a.node.Sessions().CallStats() {
		if c.Calls > 0 {
			called[c.Command] = c
			if !args.More() {
				wanted = append(wanted, c)
			}
		}
	}
	for args.More() {
		row := e.Table.ByFullName(args.Next())
		if row == nil {
			continue
		}
		for _, c := range append([]*command.Command{row}, row.Subcommands...) {
			if called[c] != nil {
				wanted = append(wanted, called[c])
			}
		}
	}
	r.Map(len(wanted))
	for _, c := range wanted {
		r.BulkString(c.Command.FullName())
		r.Map(2)
		r.BulkString("calls")
		r.Int(c.Calls)
		r.BulkString("histogram_usec")
		counts := c.Histogram()
		r.Map(len(counts))
		for _, n := range counts {
			r.Int(n.Microseconds)
			r.Int(n.Calls)
		}
	}
	return nil
}

func (a *admin) latencyGraph(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	event := args.Next()
	samples, longest := a.node.Latency().History(string(event))
	if len(samples) == 0 {
		return command.Errorf("No samples available for event '%s'", command.Printable(event, 128))
	}
	r.Verbatim(drawLatency(string(event), samples, longest, time.Now()))
	return nil
}

// The size of LATENCY GRAPH's picture, and what its columns end in.
const (
	graphColumns = 80
	graphRows    = 4
	graphTops    = "_o#"
)

// drawLatency draws a column for each sample, as high as it took between the least and
// the most, and writes below, from the top down, how long ago that was.
func drawLatency(event string, samples []command.LatencySample, longest time.Duration, now time.Time) string {
	low, high := int64(math.MaxInt64), int64(0)
	for _, s := range samples {
		low, high = min(low, s.Took.Milliseconds()), max(high, s.Took.Milliseconds())
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s - high %d ms, low %d ms (all time high %d ms)\n%s\n",
		event, high, low, longest.Milliseconds(), strings.Repeat("-", graphColumns))
	for len(samples) > 0 {
		part := samples[:min(len(samples), graphColumns)]
		samples = samples[len(part):]
		columns := make([]string, len(part))
		height := 0
		for i, s := range part {
			steps := int64(graphRows * len(graphTops))
			step := min((s.Took.Milliseconds()-low)*steps/max(high-low, 1), steps-1)
			columns[i] = graphColumn(int(step)) + " " + age(now.Sub(s.At))
			height = max(height, len(columns[i]))
		}
		for row := range height {
			for _, column := range columns {
				if row < len(column) {
					out.WriteByte(column[row])
				} else {
					out.WriteByte(' ')
				}
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// graphColumn returns a column from the top down: a bar, and on it the mark for what is
// left of the step.
func graphColumn(step int) string {
	full, top := step/len(graphTops), graphTops[step%len(graphTops)]
	return strings.Repeat(" ", graphRows-1-full) + string(top) + strings.Repeat("|", full)
}

// age says how long ago something was, in one unit.
func age(d time.Duration) string {
	n := seconds(d)
	switch {
	case n < 60:
		return strconv.FormatInt(n, 10) + "s"
	case n < 60*60:
		return strconv.FormatInt(n/60, 10) + "m"
	case n < 24*60*60:
		return strconv.FormatInt(n/(60*60), 10) + "h"
	default:
		return strconv.FormatInt(n/(24*60*60), 10) + "d"
	}
}

func (a *admin) latencyDoctor(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	monitor := a.node.Latency()
	events := monitor.Summaries()
	if len(events) == 0 {
		text := "Nothing has taken as long as latency-monitor-threshold says.\n"
		if monitor.Threshold() == 0 {
			text = "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n"
		}
		r.Verbatim(text)
		return nil
	}
	var out strings.Builder
	out.WriteString("Some events have taken long:\n\n")
	now := time.Now()
	for i, e := range events {
		samples, _ := monitor.History(e.Event)
		if len(samples) > 0 { // nobody has reset it meanwhile
			fmt.Fprintf(&out, "%d. %s\n", i+1, describeLatency(e, samples, now))
		}
	}
	out.WriteString("\nWhat to look at:\n\n")
	for _, e := range events {
		if advice := latencyAdvice(e.Event); advice != "" {
			out.WriteString("- " + advice + "\n")
		}
	}
	r.Verbatim(out.String())
	return nil
}

// describeLatency is a line of LATENCY DOCTOR, in the form of Redis's.
func describeLatency(e command.LatencySummary, samples []command.LatencySample, now time.Time) string {
	n := float64(len(samples))
	sum, deviation := 0.0, 0.0
	for _, s := range samples {
		sum += float64(s.Took.Milliseconds())
	}
	for _, s := range samples {
		deviation += math.Abs(float64(s.Took.Milliseconds()) - sum/n)
	}
	return fmt.Sprintf("%s: %d latency spikes (average %.0fms, mean deviation %.0fms, period %.2f sec). Worst all time event %dms.",
		e.Event, len(samples), sum/n, deviation/n, now.Sub(samples[0].At).Seconds()/n, e.Longest.Milliseconds())
}

func latencyAdvice(event string) string {
	switch event {
	case command.EventCommand:
		return command.EventCommand + ": LATENCY HISTOGRAM and INFO commandstats show which commands take long. Those whose cost grows " +
			"with a value or with all keys (KEYS, HGETALL, ZRANGE 0 -1, DEL of large values) take shorter in pieces (SCAN, HSCAN, ZSCAN)."
	case command.EventFastCommand:
		return command.EventFastCommand + ": what is cheap by itself has waited: a write until a majority of its shard has synced it, " +
			"a read behind others of its pipeline, or any command for a processor. INFO raft shows how far the voters are."
	case command.EventLogSync:
		return command.EventLogSync + ": the disk takes long to sync the Raft log, and every write waits for it. A faster disk for " +
			"storage.data_dir helps, or one that other programs use less."
	case command.EventApply:
		return command.EventApply + ": committed entries took long to run, and writes behind them waited: see what " + command.EventCommand + " says. " +
			"MEMORY DOCTOR tells whether they waited for checkpoints."
	case command.EventCheckpoint:
		return command.EventCheckpoint + ": much has changed, or the disk is slow. Writes go on meanwhile, unless INFO persistence counts store_stalls."
	case command.EventElection:
		return command.EventElection + ": a group had no leader for so long, and its writes waited. Nodes or the network were away, " +
			"or a node got no processor for an election timeout: see raft.tick and raft.election_ticks."
	default:
		return ""
	}
}
