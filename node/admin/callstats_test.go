package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
)

func TestInfoOfCalls(t *testing.T) {
	b := newBench(t)
	get, slots := b.Table.ByFullName([]byte("get")), b.Table.ByFullName([]byte("cluster|slots"))
	var stats, few command.CallStats
	stats.Add(97, 0, 10*time.Microsecond)
	stats.Add(2, 2, 500*time.Microsecond)
	stats.Add(1, 0, 20*time.Millisecond)
	stats.Reject()
	few.Reject()
	b.node.sessions.calls = []*command.CallSummary{few.Summary(slots), stats.Summary(get)}

	text := string(b.do(words(t, "INFO commandstats latencystats errorstats")).Str)
	want := "# Commandstats\r\n" +
		"cmdstat_cluster|slots:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n" +
		"cmdstat_get:calls=100,usec=21970,usec_per_call=219.70,rejected_calls=1,failed_calls=2\r\n" +
		"\r\n# Errorstats\r\nerrorstat_ERR:count=3\r\nerrorstat_MOVED:count=2\r\n" +
		"\r\n# Latencystats\r\nlatency_percentiles_usec_get:p50=10.239,p99=524.287,p99.9=20971.519\r\n"
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	for args, shown := range map[string]bool{"": false, " default": false, " all": true, " everything": true} {
		text := string(b.do(words(t, "INFO"+args)).Str)
		if got := strings.Contains(text, "cmdstat_get"); got != shown {
			t.Errorf("INFO%s shows commands: %v", args, got)
		}
		if !strings.Contains(text, "errorstat_ERR:count=3\r\n") {
			t.Errorf("INFO%s does not show errors", args)
		}
	}
	b.do(words(t, "CONFIG SET latency-tracking no"))
	if text := string(b.do(words(t, "INFO latencystats")).Str); text != "# Latencystats\r\n" {
		t.Errorf("without latency-tracking: %q", text)
	}
}
