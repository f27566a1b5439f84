package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

func TestLatencyEvents(t *testing.T) {
	b := newBench(t)
	ask := func(line string) string {
		return strings.Join(strings.Fields(resp.FormatCLI(b.do(words(t, line)), false)), " ")
	}
	if got := ask("LATENCY DOCTOR"); !strings.Contains(got, "CONFIG SET latency-monitor-threshold") {
		t.Errorf("while it is off: %s", got)
	}
	m := &b.node.latency
	m.SetThreshold(10 * time.Millisecond)
	if got := ask("LATENCY DOCTOR"); !strings.Contains(got, "Nothing has taken as long") {
		t.Errorf("without events: %s", got)
	}
	start := time.Unix(1_700_000_000, 0)
	m.Sample(command.EventCommand, start, 20*time.Millisecond)
	m.Sample(command.EventCommand, start.Add(time.Second), 50*time.Millisecond)
	m.Sample(command.EventLogSync, start, 12*time.Millisecond)
	for line, want := range map[string]string{
		"LATENCY LATEST":          "command 1700000001 50 50 raft-log-fsync 1700000000 12 12",
		"LATENCY HISTORY command": "1700000000 20 1700000001 50",
	} {
		if got := ask(line); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", line, got, want)
		}
	}
	doctor := ask("LATENCY DOCTOR")
	for _, want := range []string{
		"1. command: 2 latency spikes (average 35ms, mean deviation 15ms, period ", "Worst all time event 50ms.",
		"2. raft-log-fsync: 1 latency spikes (average 12ms", "- raft-log-fsync: the disk",
	} {
		if !strings.Contains(doctor, want) {
			t.Errorf("LATENCY DOCTOR lacks %q:\n%s", want, doctor)
		}
	}
	for _, step := range [][2]string{{"LATENCY RESET nosuch command", "1"}, {"LATENCY RESET", "1"}, {"LATENCY RESET", "0"}} {
		if got := ask(step[0]); got != step[1] {
			t.Errorf("%s: %s", step[0], got)
		}
	}
}

// The picture is the one that redis-server draws of the same samples.
func TestLatencyGraph(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	samples := []command.LatencySample{
		{At: now.Add(-90 * time.Second), Took: 28 * time.Millisecond},
		{At: now.Add(-12 * time.Second), Took: 50 * time.Millisecond},
		{At: now, Took: 77 * time.Millisecond},
	}
	got := drawLatency("command", samples, 80*time.Millisecond, now)
	want := "command - high 77 ms, low 28 ms (all time high 80 ms)\n" + strings.Repeat("-", 80) + "\n" +
		"  #\n  |\n #|\n_||\n   \n110\nm2s\n s \n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	many := make([]command.LatencySample, 100)
	for i := range many {
		many[i] = command.LatencySample{At: now.Add(time.Duration(i-100) * time.Second), Took: 20 * time.Millisecond}
	}
	if lines := strings.Split(drawLatency("x", many, 0, now), "\n"); len(lines) != 2+8+8+1 || len(lines[2]) != 80 || len(lines[10]) != 20 {
		t.Errorf("a hundred samples of one height:\n%s", strings.Join(lines, "\n"))
	}
}

func TestLatencyHistogram(t *testing.T) {
	b := newBench(t)
	b.Env.Session.SetProto(3)
	summary := func(name string, calls int) *command.CallSummary {
		var stats command.CallStats
		stats.Add(calls, 0, 10*time.Microsecond)
		stats.Reject()
		return stats.Summary(b.Table.ByFullName([]byte(name)))
	}
	b.node.sessions.calls = []*command.CallSummary{summary("client|id", 1), summary("client|list", 2), summary("get", 3), summary("set", 0)}
	for line, want := range map[string]string{
		"LATENCY HISTOGRAM": "client|id calls 1 histogram_usec 16 1 client|list calls 2 histogram_usec 16 2 " +
			"get calls 3 histogram_usec 16 3",
		"LATENCY HISTOGRAM get nosuch set": "get calls 3 histogram_usec 16 3",
		"LATENCY HISTOGRAM client":         "client|id calls 1 histogram_usec 16 1 client|list calls 2 histogram_usec 16 2",
		"LATENCY HISTOGRAM CLIENT|LIST":    "client|list calls 2 histogram_usec 16 2",
	} {
		if got := strings.Join(strings.Fields(resp.FormatCLI(b.do(words(t, line)), false)), " "); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", line, got, want)
		}
	}
}
