package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRewriteTOML(t *testing.T) {
	literals := map[string]string{"server.timeout": `"5s"`, "server.maxclients": "77", "cluster.require_full_coverage": "false"}
	for _, c := range []struct{ name, before, after string }{
		{
			"values, with comments around them",
			"# mine\n[server] # clients\n  timeout   =  \"1s\"  # a second\nport = 7\nmaxclients = 5\n\n[cluster]\nrequire_full_coverage = true # all\n",
			"# mine\n[server] # clients\n  timeout   =  \"5s\"  # a second\nport = 7\nmaxclients = 77\n\n[cluster]\nrequire_full_coverage = false # all\n",
		},
		{
			"keys that are not there, at the end of their sections",
			"[server]\nport = 7 # seven\n\n# about the log\n[logging]\nlevel = \"info\"\n[cluster]",
			"[server]\nport = 7 # seven\nmaxclients = 77\ntimeout = \"5s\"\n\n# about the log\n[logging]\nlevel = \"info\"\n[cluster]\nrequire_full_coverage = false\n",
		},
		{
			"no sections",
			"", "\n[cluster]\nrequire_full_coverage = false\n\n[server]\nmaxclients = 77\ntimeout = \"5s\"\n",
		},
		{
			"dotted and quoted keys, and no newline at the end",
			"server.\"timeout\"='1s'\nserver.maxclients=1\ncluster.require_full_coverage=true",
			"server.\"timeout\"=\"5s\"\nserver.maxclients=77\ncluster.require_full_coverage=false",
		},
		{
			"lists of several lines",
			"[cluster]\nrequire_full_coverage = true\n[server]\nmaxclients = 1\ntimeout = '0s'\n[raft]\nseeds = [\n \"a:1\", # one\n \"b:2\",\n]\n",
			"[cluster]\nrequire_full_coverage = false\n[server]\nmaxclients = 77\ntimeout = \"5s\"\n[raft]\nseeds = [\n \"a:1\", # one\n \"b:2\",\n]\n",
		},
	} {
		if after, err := rewriteTOML([]byte(c.before), literals); err != nil || string(after) != c.after {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, after, c.after)
		}
	}
	for _, document := range []string{
		"server = {port = 7}\n", "server = {timeout = \"1s\", port = 7}\n", "server.port = 7\n[cluster]\n", "[server",
	} {
		if after, err := rewriteTOML([]byte(document), literals); err == nil {
			t.Errorf("%q became %q", document, after)
		}
	}
}

func TestRewrite(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "aikv.toml"), filepath.Join(folder, "link.toml")
	write := func(text string) Config {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		c, err := Load(link, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	c := write("[server]\ntimeout = \"1s\" # short\n")
	if err := c.Rewrite(map[string]string{"server.timeout": "90s", "server.requirepass": `a"b`, "server.proto_max_bulk_len": "2097152b"}); err != nil {
		t.Fatal(err)
	}
	again, err := Load(link, nil, nil)
	if err != nil || again.Server.Timeout != Duration(90*time.Second) || again.Server.RequirePass != `a"b` || again.Server.ProtoMaxBulkLen != 2<<20 {
		t.Errorf("read again: %v, %+v", err, again.Server)
	}
	text, err := os.ReadFile(path)
	if want := "[server]\ntimeout = \"1m30s\" # short\nproto_max_bulk_len = \"2mb\"\nrequirepass = \"a\\\"b\"\n"; err != nil || string(text) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, text, want)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 2 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestRewriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aikv.toml")
	const before = "[server]\nport = 7001\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, []string{"AIKV_SERVER_TIMEOUT=5s"}, []Setting{{"server.port", "7003", "--port"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ key, value, why string }{
		{"server.timeout", "1s", "given by environment variable AIKV_SERVER_TIMEOUT"},
		{"server.port", "1", "given by --port"},
		{"server.nosuch", "1", "no key"},
		{"server.maxclients", "x", "not a whole number"},
		{"server.maxclients", "0", "server.maxclients"},
		{"cluster.node_timeout", "1ms", "node_timeout"},
	} {
		err := c.Rewrite(map[string]string{test.key: test.value, "logging.level": "warn"})
		if err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s = %s: %v", test.key, test.value, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != before {
		t.Errorf("the file is %q: %v", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := c.Rewrite(map[string]string{"logging.level": "warn"}); err == nil {
		t.Error("a file that is gone was rewritten")
	}
}
