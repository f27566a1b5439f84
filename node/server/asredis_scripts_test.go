package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestScriptsAsRedis plays testdata/asredis/*.txt to this node and to a
// redis-server, in RESP2 and RESP3, and compares the replies byte for byte. A
// line is a command, a word in double quotes a Go string; an empty line empties
// both servers.
func TestScriptsAsRedis(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "asredis", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	d := newDuel(t, installedRedis(t))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for proto := 2; proto <= 3; proto++ {
			d.speak(proto)
			for _, part := range strings.Split(string(text), "\n\n") {
				if f := d.play(script(t, part)); f != nil {
					t.Errorf("%s, RESP%d:\n%s", path, proto, f)
				}
			}
		}
	}
}

// script returns a pipeline for each line.
func script(t *testing.T, text string) (pipelines [][][]string) {
	t.Helper()
	word := regexp.MustCompile(`"(\\.|[^"\\])*"|\S+`)
	for _, line := range strings.Split(text, "\n") {
		words := word.FindAllString(line, -1)
		if len(words) == 0 {
			continue
		}
		for i, w := range words {
			if strings.HasPrefix(w, `"`) {
				var err error
				if words[i], err = strconv.Unquote(w); err != nil {
					t.Fatalf("%s: %v", w, err)
				}
			}
		}
		pipelines = append(pipelines, [][]string{words})
	}
	return pipelines
}
