package server

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/testbed/limit"
)

// ask runs a command on a node, with its words.
func ask(t *testing.T, c *resp.Client, line string) resp.Value {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
	defer cancel()
	v, err := c.Do(ctx, strings.Fields(line)...)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

// infoField returns a field of INFO.
func infoField(t *testing.T, c *resp.Client, section, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(string(ask(t, c, "INFO "+section).Str), "\r\n"+name+":")
	if !found {
		t.Fatalf("INFO %s has no %s", section, name)
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// TestSaveAndShutdown: SAVE and BGSAVE make checkpoints; SHUTDOWN ends the node, and what was
// written is there after any kind of it.
func TestSaveAndShutdown(t *testing.T) {
	cfg := testConfig(t)
	for round, how := range []string{"SHUTDOWN", "SHUTDOWN NOSAVE NOW", "SHUTDOWN SAVE FORCE", "SHUTDOWN NOSAVE"} {
		ended := make(chan error, 1)
		go func() { ended <- Run(t.Context(), cfg, slog.New(slog.DiscardHandler), new(slog.LevelVar)) }()
		c := dialNode(t, cfg.Server.Port)
		if round == 0 {
			ask(t, c, "CLUSTER ADDSLOTSRANGE 0 16383")
		}
		key := "key" + strconv.Itoa(round)
		eventually(t, "a write", func() bool { return string(ask(t, c, "SET "+key+" v").Str) == "OK" })
		for i := range round {
			if v := ask(t, c, "GET key"+strconv.Itoa(i)); string(v.Str) != "v" {
				t.Errorf("%s has lost a key: %s", how, v.Str)
			}
		}
		ask(t, c, "CONFIG SET latency-monitor-threshold 1")
		before := infoField(t, c, "persistence", "store_checkpoints")
		if v := ask(t, c, "SAVE"); string(v.Str) != "OK" {
			t.Fatalf("SAVE: %s", v.Str)
		}
		if after := infoField(t, c, "persistence", "store_checkpoints"); after == before || infoField(t, c, "persistence", "rdb_changes_since_last_save") != "0" {
			t.Errorf("SAVE has made no checkpoint: %s, %s", before, after)
		}
		if saved := ask(t, c, "LASTSAVE").Int; time.Since(time.Unix(saved, 0)) > limit.Wait() {
			t.Errorf("LASTSAVE says %d", saved)
		}
		ask(t, c, "SET "+key+" v")
		if v := ask(t, c, "BGSAVE"); string(v.Str) != "Background saving started" {
			t.Errorf("BGSAVE: %s", v.Str)
		}
		eventually(t, "a checkpoint", func() bool {
			return infoField(t, c, "persistence", "rdb_changes_since_last_save") == "0" && infoField(t, c, "persistence", "rdb_bgsave_in_progress") == "0"
		})
		ask(t, c, "SET "+key+" v") // which no checkpoint has
		ctx, cancel := context.WithTimeout(t.Context(), limit.Wait())
		if v, err := c.Do(ctx, strings.Fields(how)...); err == nil {
			t.Errorf("%s was answered: %s", how, v.Str)
		}
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
		case <-time.After(limit.Wait()):
			t.Fatalf("%s does not end the node", how)
		}
	}
}

// dialNode connects to a node as soon as it answers.
func dialNode(t *testing.T, port int) (c *resp.Client) {
	t.Helper()
	eventually(t, "a node that answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // deadline: a try, and there are others
		defer cancel()
		var err error
		c, err = resp.Dial(ctx, "127.0.0.1:"+strconv.Itoa(port))
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}
