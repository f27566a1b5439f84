package kit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// golden is a folder of testbed/golden: what nodes answered, and what the awk
// programs of the scripts make of it.
type golden struct {
	name    string
	shape   map[string]string
	answers []answers
	want    map[string][]string // by program
}

func goldens(t *testing.T) (all []golden) {
	t.Helper()
	folders, err := filepath.Glob("../golden/*/want")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, want := range folders {
		folder := filepath.Dir(want)
		g := golden{name: filepath.Base(folder), shape: map[string]string{}, want: sections(read(want), "== ")}
		for line := range strings.Lines(read(filepath.Join(folder, "shape"))) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			g.shape[key] = value
		}
		for i := 0; ; i++ {
			path := filepath.Join(folder, fmt.Sprintf("ans.%d", i))
			if _, err := os.Stat(path); err != nil {
				break
			}
			s := sections(read(path), "@@")
			text := func(part string) string { return strings.Join(s[part], "\n") + "\n" }
			g.answers = append(g.answers, answers{
				addr: strconv.Itoa(i), cluster: text("cluster"), nodes: text("nodes"), raft: text("info"),
			})
		}
		all = append(all, g)
	}
	return all
}

// sections splits a text at lines that begin with mark and name what follows.
func sections(text, mark string) map[string][]string {
	parts, name := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, mark); ok {
			name = rest
		} else if line != "" {
			parts[name] = append(parts[name], line)
		}
	}
	return parts
}

// Ready means the same for the kit and for the checklist of the scripts.
func TestReadyIsTheChecklist(t *testing.T) {
	judged := 0
	for _, g := range goldens(t) {
		if g.shape["LOOSE"] == "1" {
			continue // clusters of the kit keep their shape
		}
		judged++
		shards, err := strconv.Atoi(g.shape["MASTERS"])
		if err != nil {
			t.Fatal(err)
		}
		ready := true
		for _, point := range g.want["check"] {
			if strings.Contains(point, " bad ") {
				ready = false
			}
		}
		if err := complete(g.answers, shards); (err == nil) != ready {
			t.Errorf("%s: the checklist says %v, the kit %v", g.name, ready, err)
		}
	}
	if judged < 3 {
		t.Errorf("%d cases", judged)
	}
}

// So does the split of the slots.
func TestSplitIsThatOfThePlan(t *testing.T) {
	for _, g := range goldens(t) {
		if g.name != "empty" {
			continue
		}
		var want, got []string
		for _, line := range g.want["plan"] {
			if strings.HasPrefix(line, "slots ") {
				want = append(want, line)
			}
		}
		for i := range 3 {
			got = append(got, fmt.Sprintf("slots %d %d %d", i, border(i, 3), border(i+1, 3)-1))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got %v, want %v", got, want)
		}
		return
	}
	t.Error("there is no case of empty nodes")
}
