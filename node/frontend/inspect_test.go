package frontend

import (
	"fmt"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// slotScripts are pipelines that cost the slot of k something, or nothing.
func slotScripts() [][]string {
	return [][]string{
		{"SET k v"},
		{"GET k"},
		{"GET {k}none"},
		{"LPUSH k x"},
		{"INCRBY k x"},
		{"GET k x"},
		{"MSET {k}1 a {k}2 b"},
		{"MSET a 1 k 2"},
		{"SET k v", "GET k", "GET k"},
		{"MULTI", "SET k v", "DISCARD"},
		{"MULTI", "SET k v", "EXEC"},
		{"MULTI", "GET k", "EXEC"},
		{"MULTI", "SET k v", "DBSIZE", "EXEC"},
		{"WATCH k", "UNWATCH"},
		{"WATCH k", "SET k 2", "MULTI", "GET k", "EXEC"},
		{"RPUSH l{k} a b", "LRANGE l{k} 0 -1", "DEL l{k}"},
		{"RPUSH l{k} a", "BLPOP l{k} 0"},
		{"BLPOP l{k} 0.01"},
		{"OBJECT ENCODING k"},
		{"STRLEN k", "DBSIZE", "SCAN 0", "CLUSTER KEYSLOT k"},
		{"SET a 1", "SET b 2"},
		{"MULTI", "SET k v", "GET", "EXEC"},
	}
}

// slotCosts plays the scripts and returns what each has cost the slot of k.
func slotCosts(t *testing.T, addr string) map[string]string {
	t.Helper()
	costs := make(map[string]string)
	watcher := dialTo(t, addr)
	for _, script := range slotScripts() {
		c := dialTo(t, addr)
		watcher.want([]string{"CONFIG RESETSTAT"}, "OK")
		for _, line := range script {
			var text strings.Builder
			words := strings.Fields(line)
			fmt.Fprintf(&text, "*%d\r\n", len(words))
			for _, word := range words {
				fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
			}
			c.send(text.String())
		}
		for range script {
			c.reply()
		}
		own := fmt.Sprint(slot.Of([]byte("k")))
		stats := watcher.do("CLUSTER SLOT-STATS SLOTSRANGE " + own + " " + own)[0]
		fields := strings.Fields(strings.Trim(stats, "[]"))
		var kept []string
		for i, field := range fields {
			if field == "key-count" || strings.HasPrefix(field, "network-bytes") {
				kept = append(kept, strings.TrimLeft(field, "[")+fields[i+1])
			}
		}
		costs[strings.Join(script, "; ")] = strings.Join(kept, " ")
		_ = c.Close()
	}
	return costs
}

// TestSlotsAreCounted: commands cost their slots what they cost in Redis 8 and Valkey 9.
func TestSlotsAreCounted(t *testing.T) {
	f := start(t, nil)
	f.dial().want([]string{"CONFIG SET cluster-slot-stats-enabled yes"}, "OK")
	ours := slotCosts(t, f.server.Addr().String())
	load := f.server.SlotLoad().Use(slot.Of([]byte("k")))
	if load.CPU != 0 {
		t.Errorf("after commands that were refused: %+v", load)
	}
	// Redis counts the reply to each command of a transaction several times; Redis 8 one
	// that was refused besides.
	twice := "they count replies in transactions again and again"
	different := map[string]string{
		"MULTI; SET k v; EXEC": twice, "MULTI; GET k; EXEC": twice, "MULTI; SET k v; DBSIZE; EXEC": twice,
		"WATCH k; SET k 2; MULTI; GET k; EXEC": twice, "MULTI; SET k v; GET; EXEC": "Redis 8 counts the error",
	}
	commandtest.ClusterOracles(t, func(t *testing.T, o *commandtest.Oracle) {
		if o.Name == "redis-server" {
			t.Skip("7.0 does not count slots")
		}
		counted := map[string]string{"redis-server-8": "net", "valkey-server-9": "yes"}[o.Name] // 8 takes no yes while it runs
		o.Ask("CONFIG", "SET", "cluster-slot-stats-enabled", counted)
		if ok := o.Ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); ok.Kind == resp.KindError {
			t.Fatal(string(ok.Str))
		}
		eventually(t, "a cluster", func() bool { return o.Ask("GET", "k").Kind != resp.KindError })
		theirs := slotCosts(t, o.Addr)
		for script, cost := range ours {
			if cost != theirs[script] && different[script] == "" {
				t.Errorf("%s: %s; the server says %s", script, cost, theirs[script])
			}
		}
	})
}

// What nobody asks for is not counted, and what was counted of a slot goes with it.
func TestSlotCountsEnd(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"SET k v"}, "OK")
	if f.server.SlotLoad() != nil {
		t.Error("slots are counted that nobody asked for")
	}
	f.server.CountSlots(true)
	c.want([]string{"SET k v"}, "OK")
	own := slot.Of([]byte("k"))
	if use := f.server.SlotLoad().Use(own); use.In == 0 || use.Out != 5 || use.CPU <= 0 || use.CPU > patience {
		t.Errorf("a SET has cost %+v", use)
	}
	view := buildView(1, 1)
	f.node.view.Store(view)
	eventually(t, "a lost slot that is forgotten", func() bool { return f.server.SlotLoad().Use(own).In == 0 })
	f.server.CountSlots(false)
	if f.server.SlotLoad() != nil {
		t.Error("slots are still counted")
	}
}
