package server

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/testbed/limit"
)

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func testConfig(t *testing.T) config.Config {
	cfg := config.Default()
	cfg.Server.Port, cfg.Raft.Port = freePort(t), freePort(t)
	cfg.Storage.DataDir = filepath.Join(t.TempDir(), "data")
	return cfg
}

// run starts a node and returns how to stop it; stop returns Run's result.
func run(t *testing.T, cfg config.Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Run(ctx, cfg, slog.New(slog.DiscardHandler), new(slog.LevelVar)) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(limit.Wait()):
			t.Fatal("the node does not stop")
			return nil
		}
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	for deadline := time.Now().Add(limit.Wait()); ; {
		if reply, err := do(cfg, "CLUSTER", "INFO"); err == nil && !reply.IsError() {
			return stop
		}
		if time.Now().After(deadline) {
			t.Fatal("the node does not answer")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func do(cfg config.Config, args ...string) (resp.Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit.Wait())
	defer cancel()
	client, err := resp.Dial(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Server.Port)))
	if err != nil {
		return resp.Value{}, err
	}
	defer client.Close()
	return client.Do(ctx, args...)
}

func expect(t *testing.T, cfg config.Config, want string, args ...string) {
	t.Helper()
	reply, err := do(cfg, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	if got := string(reply.Str); got != want {
		t.Fatalf("%v: got %q, want %q", args, got, want)
	}
}

func TestDataSurvivesRestart(t *testing.T) {
	cfg := testConfig(t)
	stop := run(t, cfg)
	expect(t, cfg, "OK", "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	expect(t, cfg, "OK", "SET", "key", "value")
	id, err := do(cfg, "CLUSTER", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatalf("Run returned %v", err)
	}
	stop = run(t, cfg)
	expect(t, cfg, string(id.Str), "CLUSTER", "MYID")
	for deadline := time.Now().Add(limit.Wait()); ; time.Sleep(5 * time.Millisecond) {
		reply, err := do(cfg, "GET", "key")
		if err == nil && string(reply.Str) == "value" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET key: %q, %v", reply.Str, err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAnnouncedNameIsWhatClientsAreTold(t *testing.T) {
	cfg := testConfig(t)
	cfg.Server.AnnounceHostname, cfg.Server.PreferredEndpointType = "one.example", config.EndpointHostname
	run(t, cfg)
	expect(t, cfg, "OK", "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	reply, err := do(cfg, "CLUSTER", "SLOTS")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(reply.Elems[0].Elems[2].Elems[0].Str); got != "one.example" {
		t.Errorf("CLUSTER SLOTS names %q", got)
	}
	reply, err = do(cfg, "CONFIG", "GET", "cluster-announce-hostname")
	if err != nil || len(reply.Elems) != 2 || string(reply.Elems[1].Str) != "one.example" {
		t.Errorf("CONFIG GET: %+v, %v", reply, err)
	}
}

// Whoever starts a second node by mistake gets one clear line, and the first
// one goes on.
func TestConflictsAreRefused(t *testing.T) {
	first := testConfig(t)
	stop := run(t, first)
	cases := []struct {
		name, want string
		change     func(*config.Config)
	}{
		{"client port", "is in use by another program", func(c *config.Config) { c.Server.Port = first.Server.Port }},
		{"raft port", "is in use by another program", func(c *config.Config) { c.Raft.Port = first.Raft.Port }},
		{"data folder", "in use by another process", func(c *config.Config) { c.Storage.DataDir = first.Storage.DataDir }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(t)
			c.change(&cfg)
			err := Run(context.Background(), cfg, slog.New(slog.DiscardHandler), new(slog.LevelVar))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Run returned %v, want one line with %q", err, c.want)
			}
		})
	}
	expect(t, first, "PONG", "PING")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerDataIsRefused(t *testing.T) {
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.Storage.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	format := filepath.Join(cfg.Storage.DataDir, "FORMAT")
	if err := os.WriteFile(format, []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Run(context.Background(), cfg, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("Run returned %v", err)
	}
	if entries, err := os.ReadDir(cfg.Storage.DataDir); err != nil || len(entries) != 1 {
		t.Errorf("the folder was touched: %v, %v", entries, err)
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	want := identity{
		Node: 1, Cluster: 2, MetaID: 3,
		Beginning: metaraft.Beginning{PendingTarget: "host:1", ConfigEpoch: 4, Follows: 5, Farewells: []metaraft.Farewell{
			{Cluster: 6, Node: 7, MetaID: 8, Lineage: metaraft.Lineage{{Start: 9, Mark: 10}}, Members: []string{"host:2"}},
		}},
	}
	blob, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeIdentity(blob)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	blob[0] = identityFormat + 1
	if _, err := decodeIdentity(blob); err == nil {
		t.Error("a newer format was accepted")
	}
}

// A removed member stays connected for a while, and no longer.
func TestRemovedMembersLinger(t *testing.T) {
	var l peerStreams
	now := time.Now()
	l.update(map[uint64]string{1: "a", 2: "b"}, now)
	if got := l.update(map[uint64]string{1: "a"}, now); got[2] != "b" || !l.lingering() {
		t.Errorf("right after its removal: %v", got)
	}
	if got := l.update(map[uint64]string{1: "a"}, now.Add(linger-1)); got[2] != "b" {
		t.Errorf("just before the end: %v", got)
	}
	if got := l.update(map[uint64]string{1: "a"}, now.Add(linger)); len(got) != 1 || l.lingering() {
		t.Errorf("at the end: %v", got)
	}
}

// CONFIG SET takes what the configuration file takes, no more, and what it sets
// holds at once.
func TestClientLimits(t *testing.T) {
	cfg := testConfig(t)
	cfg.Server.OutputBufferLimit = config.OutputLimit{Hard: 64 << 20, Soft: 1 << 20, SoftFor: config.Duration(time.Minute)}
	run(t, cfg)
	get := func(name string) string {
		t.Helper()
		reply, err := do(cfg, "CONFIG", "GET", name)
		if err != nil || len(reply.Elems) != 2 {
			t.Fatalf("CONFIG GET %s: %v, %v", name, reply, err)
		}
		return string(reply.Elems[1].Str)
	}
	const others = " slave 268435456 67108864 60 pubsub 33554432 8388608 60"
	if got := get("client-output-buffer-limit"); got != "normal 67108864 1048576 60"+others {
		t.Errorf("client-output-buffer-limit is %q", got)
	}
	expect(t, cfg, "OK", "CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
	if got := get("client-output-buffer-limit"); got != "normal 1048576 0 0"+others {
		t.Errorf("client-output-buffer-limit is %q", got)
	}
	for name, set := range map[string]func(*config.Config, config.Size){
		"proto-max-bulk-len":        func(c *config.Config, v config.Size) { c.Server.ProtoMaxBulkLen = v },
		"client-query-buffer-limit": func(c *config.Config, v config.Size) { c.Server.QueryBufferLimit = v },
	} {
		for _, value := range []config.Size{1<<20 - 1, 1 << 20, 100 << 20, 100<<20 + 1, 112 << 20, 112<<20 + 1} {
			file := config.Default()
			set(&file, value)
			reply, err := do(cfg, "CONFIG", "SET", name, strconv.Itoa(int(value)))
			if err != nil || reply.IsError() != (file.Validate() != nil) {
				t.Errorf("%s %d: CONFIG SET says %s, the file %v", name, value, reply.Str, file.Validate())
			}
		}
	}
	expect(t, cfg, "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to "+
		"handle the specified number of clients, try with "+strconv.Itoa(clientsOf(t)), "CONFIG", "SET", "maxclients", "4294967295")
}

// clientsOf returns how many clients the limit of open files allows.
func clientsOf(t *testing.T) int {
	t.Helper()
	clients, _, err := clientsAllowed(4294967295)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func TestClientsWithin(t *testing.T) {
	for _, tc := range []struct {
		wanted int
		limit  uint64
		want   int
	}{
		{10000, 1 << 20, 10000},
		{10000, 10640, 10000},
		{10000, 10639, 9999},
		{10000, 1281, 641},
		{10000, 1280, 640},
		{10000, 256, 128},
		{10, 256, 10},
		{10, 1, 1},
		{10000, 1<<64 - 1, 10000}, // unlimited
	} {
		if got := clientsWithin(tc.wanted, tc.limit); got != tc.want {
			t.Errorf("%d clients with %d files: %d, want %d", tc.wanted, tc.limit, got, tc.want)
		}
	}
}

// A data folder that was given relative to the working directory is named in full.
func TestDataFolderIsNamedInFull(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg := testConfig(t)
	cfg.Storage.DataDir = "data"
	run(t, cfg)
	full, err := filepath.Abs("data")
	if err != nil {
		t.Fatal(err)
	}
	other := testConfig(t)
	other.Storage.DataDir = "data"
	err = Run(t.Context(), other, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err == nil || !strings.Contains(err.Error(), full) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second node on the folder: %v, which names not both %s and its holder", err, full)
	}
}
