package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// asks returns a value of the parameter that Redis takes and that is none of those
// that the node starts with or does anyway, "" if it has none.
func (p *param) asks() string {
	special := map[string]string{
		"bind": "10.1.2.3", "cluster-announce-hostname": "a.example", "cluster-announce-human-nodename": "one",
		"cluster-announce-ip": "10.1.2.3", "latency-tracking-info-percentiles": "50", "maxmemory-clients": "10%",
		"notify-keyspace-events": "KEA", "oom-score-adj-values": "1 2 3", "proc-title-template": "{title} {port}", "save": "3600 1",
		"client-output-buffer-limit": "normal 1mb 0 0", "cluster-slot-stats-enabled": "cpu net",
	}
	if value, ok := special[p.name]; ok {
		return value
	}
	switch p.kind {
	case booleanParam:
		return p.other([]string{"yes", "no"})
	case enumParam:
		return p.other(strings.Split(p.words, ", "))
	case integerParam, memoryParam:
		var values []string
		for _, n := range []int64{p.low, p.low + 1, p.low + 2, p.high} {
			if p.kind == memoryParam || n <= p.high {
				values = append(values, strconv.FormatInt(n, 10))
			}
		}
		return p.other(values)
	case textParam:
		return "x"
	}
	return ""
}

func (p *param) other(values []string) string {
	for _, value := range values {
		if !p.allows(value, p.value, p.value) {
			return value
		}
	}
	return ""
}

// TestParamsActOrRefuse sets every parameter to a value that asks for something:
// those that act take it, and are read somewhere or have a hook; the others refuse
// it with a reason, keep what they had, and take what the node does anyway.
func TestParamsActOrRefuse(t *testing.T) {
	// What the node acts upon: hooks of the server, and what is read where it matters.
	acting := []string{
		"client-output-buffer-limit", "client-query-buffer-limit", "cluster-allow-reads-when-down", "cluster-allow-replica-migration",
		"cluster-announce-bus-port", "cluster-slot-migration-write-pause-timeout",
		"cluster-announce-hostname", "cluster-announce-human-nodename", "cluster-announce-ip", "cluster-announce-port",
		"cluster-node-timeout", "cluster-preferred-endpoint-type", "cluster-require-full-coverage", "cluster-slot-stats-enabled", "latency-tracking",
		"commandlog-large-reply-max-len", "commandlog-large-request-max-len", "commandlog-reply-larger-than",
		"commandlog-request-larger-than", "slowlog-log-slower-than", "slowlog-max-len",
		"latency-monitor-threshold", "latency-tracking-info-percentiles", "loglevel", "maxclients",
		"proto-max-bulk-len", "requirepass", "timeout",
	}
	for _, p := range redisParams() {
		acted := 0
		opts := ConfigOptions{}
		if p.acts {
			opts.Hooks = map[string]func(context.Context, string) error{p.name: func(context.Context, string) error { acted++; return nil }}
		}
		c := NewConfig(opts)
		set := func(value string) error { return c.Set(t.Context(), [][]byte{[]byte(p.name), []byte(value)}) }
		if p.acts != slices.Contains(acting, p.name) {
			t.Errorf("%s: acts is %v", p.name, p.acts)
		}
		value := p.asks()
		err := set(value)
		switch {
		case p.kind == immutableParam || p.kind == protectedParam:
			if now := set(p.value); err == nil || now == nil {
				t.Errorf("%s: not refused, even to its present value: %v, %v", p.name, err, now)
			}
			continue
		case p.acts && (err != nil || acted != 1 || c.Value(p.name) == p.value):
			t.Errorf("%s %q: %v, acted %d times, the value is %q", p.name, value, err, acted, c.Value(p.name))
		case !p.acts && value == "" && p.kind != booleanParam && p.same != "*":
			t.Errorf("%s: no value asks for anything", p.name)
		case !p.acts && value != "" && p.same != "*":
			want := "ERR CONFIG SET failed (possibly related to argument '" + p.name + "') - " + p.why
			if p.why == "" || err == nil || err.Error() != want {
				t.Errorf("%s %q: %v, want %s", p.name, value, err, want)
			}
			if c.Value(p.name) != p.value {
				t.Errorf("%s is %q after a refusal", p.name, c.Value(p.name))
			}
		}
		harmless := []string{p.value}
		if p.same != "" && p.same != "*" {
			harmless = append(harmless, p.same)
		}
		for _, value := range append(harmless, p.value) {
			if err := set(value); err != nil {
				t.Errorf("%s %q, which the node does anyway: %v", p.name, value, err)
			}
		}
	}
}

// TestNodenames takes what Redis 7.2 does.
func TestNodenames(t *testing.T) {
	for name, good := range map[string]bool{"": true, "one": true, "rack-1_a.b": true, "a b": false, "a,b": false, "a=b": false, "a\n": false} {
		if _, why := parseNodename(name); (why == "") != good {
			t.Errorf("%q: %q", name, why)
		}
	}
}
