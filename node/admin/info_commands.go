package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func infoCommandStats(w *infoWriter, s *infoSource) {
	for _, c := range s.node.Sessions().CallStats() {
		perCall := 0.0
		if c.Calls > 0 {
			perCall = microseconds(c.Time) / float64(c.Calls)
		}
		w.line("cmdstat_"+c.Command.FullName(), fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			c.Calls, c.Time.Microseconds(), perCall, c.Rejected, c.Failed))
	}
}

func infoErrorStats(w *infoWriter, s *infoSource) {
	for _, e := range s.node.Sessions().ErrorCounts() {
		w.line("errorstat_"+e.Kind, "count="+strconv.FormatInt(e.Count, 10))
	}
}

// infoLatencyStats shows the percentiles that latency-tracking-info-percentiles
// names, in microseconds.
func infoLatencyStats(w *infoWriter, s *infoSource) {
	config := s.node.Config()
	if config.Value("latency-tracking") == "no" {
		return
	}
	percentiles := strings.Fields(config.Value("latency-tracking-info-percentiles"))
	for _, c := range s.node.Sessions().CallStats() {
		if c.Calls == 0 || len(percentiles) == 0 {
			continue
		}
		var fields []string
		for _, text := range percentiles {
			percent, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue // CONFIG SET lets none through
			}
			fields = append(fields, fmt.Sprintf("p%s=%.3f", text, microseconds(c.Percentile(percent))))
		}
		w.line("latency_percentiles_usec_"+c.Command.FullName(), strings.Join(fields, ","))
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
