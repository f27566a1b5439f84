package server

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/config"
)

// CONFIG REWRITE has what CONFIG SET changed hold after a restart, and says so where
// that cannot be.
func TestConfigRewrite(t *testing.T) {
	ports := testConfig(t)
	path := filepath.Join(t.TempDir(), "aikv.toml")
	text := "[server]\nport = " + strconv.Itoa(ports.Server.Port) + " # mine\n[raft]\nport = " + strconv.Itoa(ports.Raft.Port) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() config.Config {
		t.Helper()
		cfg, err := config.Load(path, nil, []config.Setting{
			{Key: "storage.data_dir", Value: ports.Storage.DataDir, Source: "--data-dir"},
			{Key: "server.maxclients", Value: "50", Source: "--set server.maxclients"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	cfg := load()
	stop := run(t, cfg)
	expect(t, cfg, "OK", "CONFIG", "REWRITE")
	expect(t, cfg, "OK", "CONFIG", "SET", "cluster-node-timeout", "3000", "timeout", "60", "loglevel", "verbose", "maxmemory", "0",
		"client-output-buffer-limit", "normal 2mb 1mb 30", "cluster-require-full-coverage", "no")
	expect(t, cfg, "OK", "CONFIG", "REWRITE")
	expect(t, cfg, "OK", "CONFIG", "SET", "maxclients", "40", "latency-tracking", "no")
	expect(t, cfg, "ERR Rewriting config file: no key of "+path+" stands for latency-tracking, which holds until the node ends",
		"CONFIG", "REWRITE")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg = load()
	if c := cfg.Cluster; c.NodeTimeout != config.Duration(3*time.Second) || c.RequireFullCoverage {
		t.Errorf("cluster: %+v", c)
	}
	if cfg.Logging.Level != "info" || cfg.Server.Timeout != config.Duration(time.Minute) ||
		cfg.Server.OutputBufferLimit.String() != "2mb 1mb 30s" {
		t.Errorf("server: %+v, level %s", cfg.Server, cfg.Logging.Level)
	}
	after, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(after), strings.TrimSuffix(text, "[raft]\nport = "+strconv.Itoa(ports.Raft.Port)+"\n")) {
		t.Errorf("the file: %v\n%s", err, after)
	}
	stop = run(t, cfg)
	defer func() { _ = stop() }()
	expect(t, cfg, "OK", "CONFIG", "SET", "maxclients", "40")
	expect(t, cfg, "ERR Rewriting config file: server.maxclients is given by --set server.maxclients, which counts more than the file",
		"CONFIG", "REWRITE")
}

// Every parameter that acts can be rewritten, but for those that are known to hold until
// the node ends; and all keys exist.
func TestFileSettings(t *testing.T) {
	settings := fileSettings()
	homeless := []string{
		"cluster-allow-replica-migration", "cluster-announce-bus-port", "cluster-announce-human-nodename",
		"cluster-slot-migration-write-pause-timeout", "cluster-slot-stats-enabled", "commandlog-large-reply-max-len",
		"commandlog-large-request-max-len", "commandlog-reply-larger-than", "commandlog-request-larger-than",
		"latency-monitor-threshold", "latency-tracking", "latency-tracking-info-percentiles", "slowlog-log-slower-than", "slowlog-max-len",
	}
	for _, name := range admin.NewConfig(admin.ConfigOptions{}).Acting() {
		if _, ok := settings[name]; ok == slices.Contains(homeless, name) {
			t.Errorf("%s has a key: %v", name, ok)
		}
		delete(settings, name)
	}
	for name := range settings {
		t.Errorf("%s is no parameter that acts", name)
	}
	cfg := config.Default()
	for name, setting := range fileSettings() {
		if _, ok := cfg.Text(setting.key); !ok {
			t.Errorf("%s: there is no key %s", name, setting.key)
		}
	}
}
