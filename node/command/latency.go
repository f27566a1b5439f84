package command

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// LatencyMonitor remembers what took long: of each kind of event those samples
// that reached the threshold, as Redis's latency monitor does. Its zero value is
// ready and records nothing, as its threshold is 0, and Sample may be called on nil. All
// methods may be called concurrently; a Sample below the threshold costs one atomic load.
type LatencyMonitor struct {
	threshold atomic.Int64 // nanoseconds

	mu     sync.Mutex
	events map[string]*latencyEvent
}

// The events that the monitor hears of: commands by whether they have FlagFast, syncs of
// the Raft log, the application of committed entries, checkpoints of shards, and how long
// a group was without a leader. Those of commands have Redis's names.
const (
	EventCommand     = "command"
	EventFastCommand = "fast-command"
	EventLogSync     = "raft-log-fsync"
	EventApply       = "raft-apply"
	EventCheckpoint  = "checkpoint"
	EventElection    = "raft-election"
)

// latencyHistory is how many samples are kept of an event.
const latencyHistory = 160

// LatencySample is the longest that an event took in one second.
type LatencySample struct {
	At   time.Time
	Took time.Duration
}

type latencyEvent struct {
	samples []LatencySample // the oldest first
	longest time.Duration   // of all, also of those that are not kept
}

// LatencySummary is what is remembered of a kind of event.
type LatencySummary struct {
	Event   string
	Last    LatencySample
	Longest time.Duration
}

// SetThreshold has samples recorded that took at least as long; 0: none.
func (m *LatencyMonitor) SetThreshold(d time.Duration) { m.threshold.Store(int64(d)) }

// Threshold returns what SetThreshold has set.
func (m *LatencyMonitor) Threshold() time.Duration { return time.Duration(m.threshold.Load()) }

// Sample says that an event ended at a time and how long it had taken.
func (m *LatencyMonitor) Sample(event string, at time.Time, took time.Duration) {
	if m == nil {
		return
	}
	if threshold := m.threshold.Load(); threshold == 0 || int64(took) < threshold {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[event]
	if e == nil {
		if m.events == nil {
			m.events = make(map[string]*latencyEvent)
		}
		e = &latencyEvent{}
		m.events[event] = e
	}
	e.longest = max(e.longest, took)
	if n := len(e.samples); n > 0 && e.samples[n-1].At.Unix() == at.Unix() {
		e.samples[n-1].Took = max(e.samples[n-1].Took, took)
		return
	}
	if len(e.samples) == latencyHistory {
		e.samples = slices.Delete(e.samples, 0, 1)
	}
	e.samples = append(e.samples, LatencySample{at, took})
}

// Took is Sample for an event that ends now.
func (m *LatencyMonitor) Took(event string, took time.Duration) {
	if m != nil && m.threshold.Load() > 0 {
		m.Sample(event, time.Now(), took)
	}
}

// Summaries returns one summary for each kind of event, by name.
func (m *LatencyMonitor) Summaries() []LatencySummary {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []LatencySummary
	for _, name := range slices.Sorted(maps.Keys(m.events)) {
		e := m.events[name]
		all = append(all, LatencySummary{name, e.samples[len(e.samples)-1], e.longest})
	}
	return all
}

// History returns the samples of an event, the oldest first, and how long it took at
// most; none if there was no such event.
func (m *LatencyMonitor) History(event string) ([]LatencySample, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[event]
	if e == nil {
		return nil, 0
	}
	return slices.Clone(e.samples), e.longest
}

// Reset forgets events, all if none is named, and returns how many there were.
func (m *LatencyMonitor) Reset(events ...string) (forgotten int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.events)
	if len(events) == 0 {
		clear(m.events)
	}
	for _, name := range events {
		delete(m.events, name)
	}
	return before - len(m.events)
}
