package command

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Latencies are counted in buckets: eight for each power of two nanoseconds, so
// that a percentile is off by an eighth at most, up to 2^maxLatencyBits.
const (
	latencySteps    = 3 // as a power of two
	minLatencyBits  = 10
	maxLatencyBits  = 36
	latencyBuckets  = (maxLatencyBits - minLatencyBits) << latencySteps
	shortestLatency = 1 << minLatencyBits
)

// CallStats counts the calls of one command. Its zero value is ready. All methods
// may be called concurrently; Add costs three atomic additions at most.
type CallStats struct {
	rejected, failed, nanos atomic.Int64
	latencies               [latencyBuckets]atomic.Int64
}

// Add counts calls that took so long each; so many of them ended in an error.
func (s *CallStats) Add(calls, failed int, took time.Duration) {
	s.nanos.Add(int64(took) * int64(calls))
	s.latencies[latencyBucket(took)].Add(int64(calls))
	if failed > 0 {
		s.failed.Add(int64(failed))
	}
}

// Reject counts a call that was refused before it ran.
func (s *CallStats) Reject() { s.rejected.Add(1) }

// latencyBucket returns the bucket that counts a latency.
func latencyBucket(d time.Duration) int {
	n := uint64(min(max(d, shortestLatency), 1<<maxLatencyBits-1))
	exponent := bits.Len64(n) - 1
	return (exponent-minLatencyBits)<<latencySteps | int(n>>(exponent-latencySteps)&(1<<latencySteps-1))
}

// latencyOf returns the longest latency that a bucket counts.
func latencyOf(bucket int) time.Duration {
	exponent := minLatencyBits + bucket>>latencySteps
	step := uint64(bucket&(1<<latencySteps-1)) + 1
	return time.Duration(1<<exponent + step<<(exponent-latencySteps) - 1)
}

// CallSummary is what CallStats had counted at some moment.
type CallSummary struct {
	Command                 *Command
	Calls, Rejected, Failed int64
	Time                    time.Duration // of all calls together
	latencies               [latencyBuckets]int64
}

// Summary returns the counts of this moment.
func (s *CallStats) Summary(c *Command) *CallSummary {
	sum := &CallSummary{
		Command: c, Rejected: s.rejected.Load(), Failed: s.failed.Load(), Time: time.Duration(s.nanos.Load()),
	}
	for i := range s.latencies {
		sum.latencies[i] = s.latencies[i].Load()
		sum.Calls += sum.latencies[i]
	}
	return sum
}

// Percentile returns the latency that so many percent of the calls kept within.
func (s *CallSummary) Percentile(percent float64) time.Duration {
	wanted := percent / 100 * float64(s.Calls)
	last, seen := 0, int64(0)
	for i, n := range s.latencies {
		if n == 0 {
			continue
		}
		last, seen = i, seen+n
		if float64(seen) >= wanted {
			break
		}
	}
	return latencyOf(last)
}

// LatencyCount says how many calls took so many microseconds at most.
type LatencyCount struct{ Microseconds, Calls int64 }

// Histogram counts the calls within each power of two nanoseconds, as LATENCY
// HISTOGRAM shows it: only where one was counted that the one before was not. The
// times are those of Redis, which rounds them up by the width of its buckets.
func (s *CallSummary) Histogram() []LatencyCount {
	var counts []LatencyCount
	seen, shown := int64(0), int64(0)
	for i, n := range s.latencies {
		seen += n
		if last := 1 << latencySteps; i%last != last-1 || seen == shown {
			continue
		}
		limit := int64(1) << (minLatencyBits + i>>latencySteps + 1)
		counts = append(counts, LatencyCount{(limit + limit>>7 - 1) / 1000, seen})
		shown = seen
	}
	return counts
}

// ErrorCount says how many replies were errors of a kind: ERR, MOVED, ….
type ErrorCount struct {
	Kind  string
	Count int64
}
