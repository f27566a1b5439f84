package command

import (
	"reflect"
	"testing"
	"time"
)

func TestLatencyMonitor(t *testing.T) {
	var m LatencyMonitor
	at := func(second int64) time.Time { return time.Unix(second, 500) }
	m.Sample("command", at(1), time.Hour)
	if got := m.Summaries(); got != nil {
		t.Fatalf("without a threshold: %v", got)
	}
	m.SetThreshold(10 * time.Millisecond)
	m.Sample("command", at(1), 10*time.Millisecond-1)
	m.Sample("command", at(1), 10*time.Millisecond)
	m.Sample("command", at(1), 30*time.Millisecond)
	m.Sample("command", at(1), 20*time.Millisecond)
	m.Sample("command", at(2), 15*time.Millisecond)
	m.Sample("fork", at(3), 40*time.Millisecond)
	history, longest := m.History("command")
	want := []LatencySample{{at(1), 30 * time.Millisecond}, {at(2), 15 * time.Millisecond}}
	if !reflect.DeepEqual(history, want) || longest != 30*time.Millisecond {
		t.Errorf("history %v, longest %v", history, longest)
	}
	summaries := []LatencySummary{
		{"command", want[1], 30 * time.Millisecond},
		{"fork", LatencySample{at(3), 40 * time.Millisecond}, 40 * time.Millisecond},
	}
	if got := m.Summaries(); !reflect.DeepEqual(got, summaries) {
		t.Errorf("summaries %v", got)
	}
	if n := m.Reset("nosuch", "fork", "fork"); n != 1 {
		t.Errorf("Reset of one event: %d", n)
	}
	for i := range int64(latencyHistory + 5) {
		m.Sample("command", at(10+i), 10*time.Millisecond)
	}
	history, longest = m.History("command")
	if len(history) != latencyHistory || history[0].At != at(15) || longest != 30*time.Millisecond {
		t.Errorf("%d samples from %v on, longest %v", len(history), history[0].At, longest)
	}
	if n := m.Reset(); n != 1 || m.Summaries() != nil {
		t.Errorf("Reset of all: %d", n)
	}
}

// The counts of LATENCY HISTOGRAM: of all calls within a power of two.
func TestCallHistogram(t *testing.T) {
	var s CallStats
	s.Add(3, 0, 500*time.Nanosecond)
	s.Add(1, 0, 3*time.Microsecond)
	s.Add(2, 0, 4095*time.Nanosecond)
	s.Add(1, 0, 40*time.Microsecond)
	s.Add(1, 0, time.Hour)
	got := s.Summary(nil).Histogram()
	if want := []LatencyCount{{2, 3}, {4, 6}, {66, 7}, {69256347, 8}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
