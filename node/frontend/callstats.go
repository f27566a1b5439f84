package frontend

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// callStats counts the calls of all commands, by Command.Index, and the errors
// that were answered.
type callStats struct {
	byRow  []atomic.Pointer[command.CallStats] // nil until the first call
	errors *errorCounts
}

func newCallStats(table *command.Table) callStats {
	return callStats{byRow: make([]atomic.Pointer[command.CallStats], len(table.Rows())), errors: &errorCounts{}}
}

// of returns the counters of a command.
func (s *callStats) of(cmd *command.Command) *command.CallStats {
	p := &s.byRow[cmd.Index()]
	if stats := p.Load(); stats != nil {
		return stats
	}
	p.CompareAndSwap(nil, new(command.CallStats))
	return p.Load()
}

// errorCounts counts error replies by their first word.
type errorCounts struct {
	mu     sync.Mutex
	counts map[string]int64
}

// maxErrorKinds bounds the kinds of errors that are told apart, as in Redis.
const maxErrorKinds = 128

func (e *errorCounts) add(text []byte) {
	kind, _, more := bytes.Cut(text, []byte{' '})
	if !more || len(kind) > 64 {
		kind = []byte("ERR")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counts == nil {
		e.counts = make(map[string]int64)
	}
	if _, known := e.counts[string(kind)]; !known && len(e.counts) >= maxErrorKinds {
		kind = []byte("ERR")
	}
	e.counts[string(kind)]++
}

func (e *errorCounts) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts = nil
}

// CallStats returns the counts of every command that was called, in the order of
// the table.
func (s *Server) CallStats() []*command.CallSummary {
	var all []*command.CallSummary
	for i, row := range s.opts.Table.Rows() {
		if stats := s.calls.byRow[i].Load(); stats != nil {
			all = append(all, stats.Summary(row))
		}
	}
	return all
}

// ErrorCounts returns how many replies were errors, by kind.
func (s *Server) ErrorCounts() []command.ErrorCount {
	e := s.calls.errors
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []command.ErrorCount
	for kind, n := range e.counts {
		all = append(all, command.ErrorCount{Kind: kind, Count: n})
	}
	slices.SortFunc(all, func(a, b command.ErrorCount) int { return cmp.Compare(a.Kind, b.Kind) })
	return all
}

// lap returns how long it is since the last lap, or since the input arrived. One
// look at the clock a run is all that the counting of latencies costs.
func (c *conn) lap() time.Duration {
	now := c.server.opts.Now()
	took := now.Sub(c.lapped)
	c.lapped = now
	return took
}

// count counts the run's commands from one to another, which took so long each.
// Neighbours of one kind, such as all of a pipeline mostly, are counted as one.
func (c *conn) count(ops []op, took time.Duration) {
	if c.server.monitors.Load() != nil {
		c.showAll(ops)
	}
	for len(ops) > 0 {
		cmd, n, failed := ops[0].cmd, 0, 0
		for ; n < len(ops) && ops[n].cmd == cmd; n++ {
			if ops[n].failed() {
				failed++
			}
		}
		if cmd != nil {
			c.called(cmd, n, failed, took)
		}
		for i := range ops[:n] {
			c.countInner(&ops[i], took)
		}
		ops = ops[n:]
	}
}

// called counts calls of a command that took so long each. What commands that wait
// took says nothing of the node.
func (c *conn) called(cmd *command.Command, calls, failed int, took time.Duration) {
	c.server.calls.of(cmd).Add(calls, failed, took)
	switch {
	case cmd.Flags&command.FlagBlocking != 0:
	case cmd.Flags&command.FlagFast != 0:
		c.server.opts.Latency.Sample(command.EventFastCommand, c.lapped, took)
	default:
		c.server.opts.Latency.Sample(command.EventCommand, c.lapped, took)
	}
}

// reject refuses a command that is known.
func (c *conn) reject(cmd *command.Command, err error) {
	c.server.calls.of(cmd).Reject()
	c.refuse(err)
}

// countError counts an error reply, as it is encoded.
func (s *Server) countError(encoded []byte) {
	s.counters.errors.Add(1)
	s.calls.errors.add(resp.ErrorText(encoded))
}
