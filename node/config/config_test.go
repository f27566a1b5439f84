package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "aikv.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	c, err := Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("Load of nothing gives %+v", c)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings about the defaults: %q", w)
	}
}

func TestPrecedence(t *testing.T) {
	path := write(t, `
[server]
port = 7001
host = "127.0.0.2"
maxclients = 7
requirepass = "file"
[raft]
seeds = ["a:1", "b:2"]
`)
	env := []string{
		"AIKV_SERVER_PORT=7002", "AIKV_HOST=127.0.0.3", "AIKV_LOG_LEVEL=debug", "AIKV_RAFT_TICK=20ms",
		"AIKV_REQUIREPASS=", "AIKV_BIN=/x", "AIKV_RAFT_SERVICE_HOST=10.0.0.1", "AIKV_RAFT_PORT=tcp://10.0.0.1:50051",
		"AIKV_STORAGE_CACHE_SIZE=1gb", "AIKV_WAL_FSYNC=interval", "HOME=/root",
	}
	c, err := Load(path, env, []Setting{{"server.port", "7003", "--port"}, {"raft.seeds", " c:3 ,d:4,", "--seeds"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = path
	want.Server.Port = 7003
	want.Server.Host = "127.0.0.3"
	want.Server.MaxClients = 7
	want.Server.RequirePass = "file"
	want.Raft.Seeds = []string{"c:3", "d:4"}
	want.Raft.Tick = Duration(20 * time.Millisecond)
	want.Logging.Level = "debug"
	want.Storage.CacheSize = 1 << 30
	want.WAL.Fsync = FsyncInterval
	want.overriding = c.overriding // see TestRewriteRefuses
	want.unknownEnv = []string{"AIKV_RAFT_SERVICE_HOST"}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	warnings := strings.Join(c.Warnings(), "\n")
	if !strings.Contains(warnings, "AIKV_RAFT_SERVICE_HOST") || !strings.Contains(warnings, "wal.fsync is interval") {
		t.Errorf("warnings %q", warnings)
	}

	// The section's name counts more than the short one.
	c, err = Load("", []string{"AIKV_SERVER_PORT=1", "AIKV_PORT=2"}, nil)
	if err != nil || c.Server.Port != 1 {
		t.Errorf("port %d, %v", c.Server.Port, err)
	}
}

func TestErrorsNameTheirPlace(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[server]\nprot = 1", `FILE:2: unknown key server.prot (is server.port meant?)`},
		{"[server]\nport = 1\n\n[storage]\nlevel = \"debug\"", `FILE:5: unknown key storage.level (is logging.level meant?)`},
		{"[sever]\nport = 1", `FILE:1: unknown key sever`},
		{"[server.port]\nx = 1", `FILE:1: server.port: must be a whole number, not a table`},
		{"port = 1", `FILE:1: unknown key port (is server.port meant?)`},
		{"server = 1", `FILE:1: unknown key server`},
		{"\n[server]\nport = \"6379\"", `FILE:3: server.port: must be a whole number, not the text "6379"`},
		{"[server]\nport = 70000", `FILE:2: server.port: 70000 is not between 1 and 65535`},
		{"[server]\nport = 1.5", `FILE:2: server.port: must be a whole number, not the number 1.5`},
		{"[server]\nhost = true", `FILE:2: server.host: must be a text in quotes, not true`},
		{"[server]\nport = 1\nport = 2", `FILE:3: `},
		{"[server]\nport = ", `FILE:2: `},
		{"[server\n", `FILE:1: `},
		{"[raft]\ntick = 50", `FILE:2: raft.tick: must be a text in quotes, not the number 50`},
		{"[raft]\ntick = \"50\"", `FILE:2: raft.tick: "50" is not a duration such as "50ms" or "5s"`},
		{"[raft]\ntick = \"-1s\"", `FILE:2: raft.tick: "-1s" is not a duration such as "50ms" or "5s"`},
		{"[raft]\nseeds = \"a:1\"", `FILE:2: raft.seeds: must be a list of texts, not the text "a:1"`},
		{"[raft]\nseeds = [\"a:1\", 2]", `FILE:2: raft.seeds: must be a list of texts, not of the number 2`},
		{"[raft]\n\nseeds = [\"a\"]", `FILE:3: raft.seeds: "a" is not host:port`},
		{"[raft]\nannounce = \":1\"", `FILE:2: raft.announce: ":1" is not host:port`},
		{"[raft]\nport = 6379", `FILE:2: raft.port: is the client port; give it another one`},
		{"[raft]\nelection_ticks = 3", `FILE:2: raft.election_ticks: 3 is not between 4 and 10000`},
		{"[storage]\nwrite_buffer = \"4 parsecs\"", `FILE:2: storage.write_buffer: "4 parsecs" is not a size such as "64mb"`},
		{"[storage]\ndata_dir = \" \"", `FILE:2: storage.data_dir: must not be empty`},
		{"[wal]\nfsync = \"maybe\"", `FILE:2: wal.fsync: "maybe" is not always, interval or never`},
		{"[wal]\npreallocate = \"1gb\"", `FILE:2: wal.preallocate: 1gb is not between 4kb and 64mb`},
		{"[debug]\nfaults = \"true\"", `FILE:2: debug.faults: must be true or false, not the text "true"`},
		{"[cluster]\nreads = \"any\"", `FILE:2: cluster.reads: "any" is not lease or quorum`},
		{"[logging]\nlevel = \"loud\"", `FILE:2: logging.level: "loud" is not debug, info, warn or error`},
		{"[server]\nannounce_host = \"node1\"", `FILE:2: server.announce_host: "node1" is not an IP address`},
		{"[server]\nannounce_hostname = \"a b\"", `FILE:2: server.announce_hostname: "a b" is not a host name`},
		{"[server]\npreferred_endpoint_type = \"hostname\"", `server.announce_hostname: is needed with preferred_endpoint_type = "hostname"`},
	} {
		path := write(t, test.text)
		_, err := Load(path, nil, nil)
		want := strings.Replace(test.want, "FILE", path, 1)
		if err == nil {
			t.Errorf("%q: no error, want %s", test.text, want)
			continue
		}
		exact := !strings.HasSuffix(want, ": ")
		if got := err.Error(); exact && got != want || !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%q:\ngot  %s\nwant %s", test.text, got, want)
		}
	}
}

func TestErrorsOfOtherSources(t *testing.T) {
	path := write(t, "[server]\nport = 99999")
	for _, test := range []struct {
		path  string
		env   []string
		flags []Setting
		want  string
	}{
		{"/does/not/exist", nil, nil, "cannot read the configuration: open /does/not/exist: no such file or directory"},
		{"", []string{"AIKV_PORT=x"}, nil, `environment variable AIKV_PORT: server.port: "x" is not a whole number`},
		{"", []string{"AIKV_RAFT_TICK=1h"}, nil, `environment variable AIKV_RAFT_TICK: raft.tick: 1h is not between 1ms and 10s`},
		{"", nil, []Setting{{"server.port", "0", "--port"}}, `--port: server.port: 0 is not between 1 and 65535`},
		{"", nil, []Setting{{"server.ports", "0", "--set"}}, `--set: unknown key server.ports (is server.port meant?)`},
		// What a later source replaces is not complained about.
		{path, nil, []Setting{{"server.port", "7000", "--port"}}, ""},
	} {
		_, err := Load(test.path, test.env, test.flags)
		if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	c := Default()
	c.Server.Port = 0
	var bad *KeyError
	if err := c.Validate(); !errors.As(err, &bad) || bad.Key != "server.port" {
		t.Errorf("Validate: %v", err)
	}
}

func TestTOMLRoundTrip(t *testing.T) {
	c := Default()
	c.Server.RequirePass = "q\"uo\\te\ttab\x01é\u2028 # [x]"
	c.Raft.Seeds = []string{"a:1", "[::1]:2"}
	c.Raft.Tick = Duration(200 * time.Millisecond)
	c.Storage.CacheSize = 1000
	entries, err := parseTOML(c.TOML())
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, e := range entries {
		if !e.table {
			keys++
		}
	}
	if keys != len(Keys()) {
		t.Errorf("%d keys written, there are %d", keys, len(Keys()))
	}
	path := write(t, string(c.TOML()))
	c.File = path
	got, err := Load(path, nil, nil)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

func TestEveryKeyCanBeSetAndRead(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		if k.Doc == "" || strings.Contains(k.Doc, "\n") || seen[k.Env] {
			t.Errorf("%s: doc %q, env %s", k.Name, k.Doc, k.Env)
		}
		seen[k.Env] = true
		c := Default()
		text, ok := c.Text(k.Name)
		if !ok {
			t.Fatalf("%s: no text", k.Name)
		}
		if k.Name == "cluster.node_timeout" {
			text = "3s"
		}
		if _, err := Load("", []string{k.Env + "=" + text}, []Setting{{k.Name, text, "--set"}}); err != nil {
			t.Errorf("%s = %s: %v", k.Name, text, err)
		}
	}
	c := Default()
	if _, ok := c.Text("server.nothing"); ok {
		t.Error("an unknown key has a text")
	}
	for _, s := range shortEnv {
		if _, ok := c.Text(s.key); !ok {
			t.Errorf("%s stands for the unknown key %s", s.env, s.key)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "64mb": 64 << 20, "64 MB": 64 << 20, "1k": 1000, "1kb": 1024, "2g": 2e9, "3gb": 3 << 30, "7b": 7, "1m": 1e6,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %d, %v", text, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q: %s becomes %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "mb", "-1", "1.5mb", "1tb", "9223372036854775807kb", "0x10"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is the size %d", text, s)
		}
	}
}

func TestDurationTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 50 * time.Millisecond: "50ms", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s",
		10 * time.Second: "10s", time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
		var again Duration
		if err := again.UnmarshalText([]byte(want)); err != nil || again.Std() != d {
			t.Errorf("%s: %v, %v", want, again, err)
		}
	}
}

func addrs(texts ...string) []net.Addr {
	var list []net.Addr
	for _, text := range texts {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			panic(err)
		}
		list = append(list, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	return list
}

func TestAddresses(t *testing.T) {
	one := addrs("127.0.0.1/8", "::1/128", "fe80::1/64", "172.17.0.2/16")
	several := addrs("10.0.0.1/8", "192.168.1.1/24", "2001:db8::1/64")
	for _, test := range []struct {
		change  func(*Config)
		machine []net.Addr
		client  string
		raft    string
		certain bool
	}{
		{func(*Config) {}, one, "127.0.0.1", "127.0.0.1:50051", true},
		{func(c *Config) { c.Server.Host = "0.0.0.0" }, one, "172.17.0.2", "172.17.0.2:50051", true},
		{func(c *Config) { c.Server.Host = "0.0.0.0" }, several, "10.0.0.1", "10.0.0.1:50051", false},
		{func(c *Config) { c.Server.Host = "0.0.0.0" }, nil, "127.0.0.1", "127.0.0.1:50051", false},
		{func(c *Config) { c.Server.Host = "::" }, addrs("2001:db8::1/64"), "2001:db8::1", "[2001:db8::1]:50051", true},
		{func(c *Config) { c.Server.Host, c.Server.AnnounceHost = "0.0.0.0", "1.2.3.4" }, several, "1.2.3.4", "1.2.3.4:50051", true},
		{func(c *Config) {
			c.Server.Host, c.Server.AnnounceHost, c.Raft.Announce = "0.0.0.0", "1.2.3.4", "aikv1:50051"
		}, several, "1.2.3.4", "aikv1:50051", true},
		{func(c *Config) { c.Raft.Host = "10.9.9.9" }, several, "127.0.0.1", "10.9.9.9:50051", true},
	} {
		c := Default()
		test.change(&c)
		client, certain := c.AnnouncedHost(test.machine)
		raft, raftCertain := c.AnnouncedRaft(test.machine)
		if client != test.client || raft != test.raft || certain != test.certain || raftCertain != test.certain {
			t.Errorf("%+v %+v: %s %v, %s %v", c.Server, c.Raft, client, certain, raft, raftCertain)
		}
	}
	c := Default()
	c.Server.Host, c.Server.AnnouncePort = "::1", 7000
	if c.ClientListen() != "[::1]:6379" || c.RaftListen() != "[::1]:50051" || c.AnnouncedPort() != 7000 {
		t.Errorf("%s %s %d", c.ClientListen(), c.RaftListen(), c.AnnouncedPort())
	}
	c.Server.Host = "0.0.0.0"
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "without a password") {
		t.Errorf("warnings %q", w)
	}
}

// A Raft port that other machines can reach needs a secret, of some length.
func TestSecrets(t *testing.T) {
	const good = "0123456789abcdef"
	for _, test := range []struct {
		change func(c *Config)
		key    string // that the error names; empty: none
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Server.Host = "localhost" }, ""},
		{func(c *Config) { c.Server.Host = "127.8.8.8" }, ""},
		{func(c *Config) { c.Server.Host = "::1" }, ""},
		{func(c *Config) { c.Server.Host = "0.0.0.0" }, "raft.token"},
		{func(c *Config) { c.Server.Host = "a.host" }, "raft.token"},
		{func(c *Config) { c.Server.Host, c.Raft.Host = "0.0.0.0", "127.0.0.1" }, ""},
		{func(c *Config) { c.Raft.Host = "::" }, "raft.token"},
		{func(c *Config) { c.Raft.Host, c.Raft.Token = "::", good }, ""},
		{func(c *Config) { c.Raft.Host, c.Raft.TokenFile = "::", "file" }, ""},
		{func(c *Config) { c.Raft.Token = "short" }, "raft.token"},
		{func(c *Config) { c.Raft.Token = good + " " + good }, "raft.token"},
		{func(c *Config) { c.Raft.Token, c.Raft.TokenOld = good, good }, ""},
		{func(c *Config) { c.Raft.Token, c.Raft.TokenOld = good, "short" }, "raft.token_old"},
		{func(c *Config) { c.Raft.TokenOld = good }, "raft.token"},
	} {
		c := Default()
		test.change(&c)
		err := c.Validate()
		if err == nil {
			err = c.CheckSecret()
		}
		var bad *KeyError
		if errors.As(err, &bad); (err == nil) != (test.key == "") || err != nil && bad.Key != test.key {
			t.Errorf("host %q, Raft host %q, token %q: %v", c.Server.Host, c.Raft.Host, c.Raft.Token, err)
		}
	}
}
