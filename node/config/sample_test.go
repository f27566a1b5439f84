package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the settings of the sample files anew")

const samples = "../../config"

// TestSampleFiles holds config/*.toml and the defaults together: after its
// header, which ends with the first empty line, a sample is what TOML writes.
func TestSampleFiles(t *testing.T) {
	defaults := Default()
	want := defaults.TOML()
	for _, name := range []string{"aikv.toml", "aikv-cluster.toml"} {
		path := filepath.Join(samples, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		header, body, ok := bytes.Cut(text, []byte("\n\n"))
		if !ok || !bytes.HasPrefix(header, []byte("# ")) {
			t.Fatalf("%s has no header", path)
		}
		if *update {
			text = append(append(bytes.Clone(header), "\n\n"...), want...)
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			body = want
		}
		if !bytes.Equal(body, want) {
			t.Errorf("%s differs from the defaults: run go test ./node/config -update", path)
		}
		c, err := Load(path, nil, nil)
		defaults.File = path
		if err != nil || !reflect.DeepEqual(c, defaults) {
			t.Errorf("%s read: %+v, %v", path, c, err)
		}
	}
}

// TestReadmeNamesEveryKey wants a row for each key, under its section, with
// its default.
func TestReadmeNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(samples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(text), "\n### [")[1:] {
		name, body, _ := strings.Cut(part, "]")
		sections[name] = body
	}
	defaults := Default()
	known := map[string]bool{}
	for _, k := range Keys() {
		known[k.Section()+"."+k.Field()] = true
		value, _ := defaults.Text(k.Name)
		row := "| `" + k.Field() + "` | `" + value + "` | "
		if value == "" {
			row = "| `" + k.Field() + "` | | "
		}
		if !strings.Contains(sections[k.Section()], "\n"+row) {
			t.Errorf("config/README.md has no row %q under [%s]", row, k.Section())
		}
	}
	for section, body := range sections {
		for _, line := range strings.Split(body, "\n") {
			if field, ok := strings.CutPrefix(line, "| `"); ok {
				if field, _, _ = strings.Cut(field, "`"); !known[section+"."+field] {
					t.Errorf("config/README.md describes the unknown key %s.%s", section, field)
				}
			}
		}
	}
}
