package frontend

import (
	"fmt"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
)

// Every command is counted under its name, with what became of it; so are errors.
func TestCallsAreCounted(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.do("SET k v", "SET k v", "GET k", "INCR k", "GET k", "GET", "CLUSTER MYID", "CLUSTER MYID x", "NOSUCH")
	f.node.own.submitErrs = []error{multiraft.ErrNoQuorum}
	c.do("SET k v")
	f.node.own.leads.Store(false)
	c.do("SET k v")
	f.node.own.leads.Store(true)
	c.do("MULTI", "SET k v", "EXEC")

	counted := func() map[string]string {
		all := make(map[string]string)
		for _, s := range f.server.CallStats() {
			all[s.Command.FullName()] = fmt.Sprintf("%d calls, %d rejected, %d failed", s.Calls, s.Rejected, s.Failed)
			if (s.Calls > 0) != (s.Time > 0) || s.Time > time.Duration(s.Calls)*patience {
				t.Errorf("%s took %v", s.Command.FullName(), s.Time)
			}
		}
		return all
	}
	want := map[string]string{
		"set": "4 calls, 1 rejected, 1 failed", "get": "2 calls, 1 rejected, 0 failed", "incr": "1 calls, 0 rejected, 1 failed",
		"cluster|myid": "1 calls, 1 rejected, 0 failed",
		"multi":        "1 calls, 0 rejected, 0 failed", "exec": "1 calls, 0 rejected, 0 failed",
	}
	if got := counted(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := fmt.Sprint(f.server.ErrorCounts()); got != "[{CLUSTERDOWN 2} {ERR 4}]" {
		t.Errorf("errors: %s", got)
	}
	f.server.ResetStats()
	if got := counted(); len(got) > 0 || len(f.server.ErrorCounts()) > 0 {
		t.Errorf("after a reset: %v, %v", got, f.server.ErrorCounts())
	}
}

// What a command waits for counts as its time.
func TestLatencyIsCounted(t *testing.T) {
	var monitor command.LatencyMonitor
	f := start(t, func(o *Options) { o.Latency = &monitor })
	c := f.dial()
	const least = 30 * time.Millisecond
	monitor.SetThreshold(least)
	gate := make(chan struct{})
	f.node.own.mu.Lock()
	f.node.own.gate = gate
	f.node.own.mu.Unlock()
	c.send("SET k 1\r\nSET k 2\r\n")
	eventually(t, "a submitted write", func() bool { return len(f.node.own.takeEvents()) > 0 })
	held := time.Now()
	eventually(t, "some time", func() bool { return time.Since(held) > least })
	close(gate)
	c.reply()
	c.reply()
	s := f.server.CallStats()[0]
	if s.Calls != 2 || s.Time < 2*least || s.Percentile(50) < least {
		t.Errorf("%d calls of %s took %v, half of them %v", s.Calls, s.Command.Name, s.Time, s.Percentile(50))
	}
	if events := monitor.Summaries(); len(events) != 1 || events[0].Event != command.EventCommand || events[0].Longest < least {
		t.Errorf("latency events: %v", events)
	}
}
