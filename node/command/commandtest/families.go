package commandtest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Families runs the files of testdata, each on a bench of its own. Directives:
//
//	run [proto=N]     each line is a command; without proto the reply is shown as redis-cli does
//	advance ms=N      lets time pass
//	limit bytes=N     sets proto-max-bulk-len
//
// go test -rewrite makes the files say what the commands answer now.
func Families(t *testing.T, bench func(t *testing.T) *Bench) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		b := bench(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return b.Directive(t, d) })
	})
}

// Directive runs one directive of a file.
func (b *Bench) Directive(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "run":
		return b.lines(t, d)
	case "advance":
		var ms int64
		d.ScanArgs(t, "ms", &ms)
		b.Now += ms
		return ""
	case "limit":
		d.ScanArgs(t, "bytes", &b.Limit)
		return ""
	default:
		t.Fatalf("unknown directive %s", d.Cmd)
		return ""
	}
}

func (b *Bench) lines(t *testing.T, d *datadriven.TestData) string {
	proto := 0
	if d.HasArg("proto") {
		d.ScanArgs(t, "proto", &proto)
	}
	var out strings.Builder
	for _, line := range strings.Split(d.Input, "\n") {
		b.Behind = false
		if b.Before != nil {
			b.Before()
		}
		reply := b.Show(line, proto)
		fmt.Fprintf(&out, "> %s\n", line)
		if b.After != nil {
			out.WriteString(b.After())
		}
		if b.Behind {
			out.WriteString("[behind]\n")
		}
		out.WriteString(reply)
	}
	return strings.ReplaceAll(out.String(), "\r\n", "\\r\n")
}

// Script returns the commands of a file of testdata, for Game.Lines.
func Script(t testing.TB, path string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	commands := false
	for _, line := range strings.Split(string(text), "\n") {
		switch directive, _, _ := strings.Cut(line, " "); {
		case line == "----":
			commands = false
		case commands:
			lines = append(lines, line)
		default:
			commands = directive == "run"
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no commands", path)
	}
	return lines
}
