package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which of our packages each may import (tests aside). A new
// package, or a new arrow, is a decision about the architecture: it changes
// this table and node/README.md together. Packages slot and resp are leaves
// that hold vocabulary only; rawio is one that holds system calls.
func arrows() map[string][]string {
	all := []string{
		"admin", "blocking", "command", "config", "data", "frontend", "keyspace", "metaraft", "migrate",
		"migration", "multiraft", "replica", "rawio", "resp", "sched", "shard", "slot", "snapshot", "storage", "topology", "transport", "wal",
	}
	return map[string][]string{
		".":     {"config", "resp", "server"},
		"admin": {"command", "migrate", "resp", "slot", "topology"},
		// The clients that are blocked on keys: queues, and no more.
		"blocking": {"keyspace"},
		"command":  {"keyspace", "longdouble", "resp", "slot"},
		// Runs commands, for tests.
		"command/commandtest": {"command", "keyspace", "resp", "storage"},
		"config":              {},
		"data":                {"command", "data/geo", "data/hashes", "data/hyperloglog", "data/keys", "data/lists", "data/sets", "data/sorting", "data/sortedsets", "data/streams", "data/strings"},
		"data/geo":            {"command", "data/sortedsets", "keyspace", "longdouble", "resp"},
		"data/hashes":         {"command", "keyspace", "longdouble", "resp"},
		"data/hyperloglog":    {"command", "keyspace", "resp"},
		"data/keys":           {"command", "data/option", "keyspace", "rdb", "resp", "slot"},
		"data/lists":          {"command", "data/option", "keyspace", "resp"},
		"data/option":         {"command", "resp"},
		"data/sets":           {"command", "data/option", "keyspace", "resp"},
		"data/sorting":        {"command", "data/option", "keyspace", "resp", "slot"},
		"data/sortedsets":     {"command", "data/option", "keyspace", "resp"},
		"data/streams":        {"command", "data/option", "keyspace", "resp"},
		"data/strings":        {"command", "data/option", "keyspace", "longdouble", "resp"},
		"longdouble":          {},
		"frontend":            {"blocking", "command", "multiraft", "rawio", "resp", "slot", "topology"},
		"keyspace":            {"keyspace/records", "keyspace/tree", "sched", "slot", "storage"},
		// A map of keys to bytes, in memory over a store.
		"keyspace/records": {"sched", "storage"},
		"metaraft":         {"sched", "slot", "storage", "topology"},
		"migrate":          {"resp"},
		"multiraft":        {"sched", "wal"},
		"migration":        {"keyspace", "resp", "sched", "shard", "slot", "topology"},
		"replica":          {"blocking", "command", "keyspace", "multiraft", "resp", "sched", "shard", "slot", "snapshot", "storage", "topology"},
		"rawio":            {},
		"rdb":              {},
		"resp":             {},
		"sched":            {},
		// A Sched under which a seed decides who runs, for tests.
		"sched/seeded": {"sched"},
		"server":       all,
		"shard":        {"blocking", "command", "keyspace", "keyspace/records", "resp", "slot", "storage"},
		"slot":         {},
		"snapshot":     {"multiraft", "sched", "storage"},
		"storage":      {"rawio"},
		"topology":     {"slot"},
		"transport":    {"rawio"},
		"wal":          {"rawio"},
		// What big values are made of: pure, pages in and pages out.
		"keyspace/tree": {},
		// A file system that loses what was not synced, for tests.
		"wal/crashfs": {"wal"},
	}
}

func TestImportArrows(t *testing.T) {
	const module = "github.com/genuineh/aikv/node"
	allowed := arrows()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		list, ok := allowed[pkg]
		if !ok {
			t.Errorf("%s: package %s is not in the table", path, pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if own, ok := strings.CutPrefix(name, module+"/"); ok && !slices.Contains(list, own) {
				t.Errorf("%s imports %s; %s may only import %v", path, own, pkg, list)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{".", "config", "server", "slot"} {
		if !seen[pkg] {
			t.Errorf("no package %s was found: the test looks at the wrong place", pkg)
		}
	}
}
