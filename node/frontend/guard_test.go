package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// drip delivers its bytes n at a time.
type drip struct {
	rest []byte
	n    int
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.n)], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

var testLimits = frameLimits{maxBulk: 1 << 20}

// readAll reads every command of data, delivered n bytes at a time, and
// returns them with the error that ended it: nil if the data did.
func readAll(data []byte, n int, limits frameLimits) (commands [][]string, err error) {
	in := &input{conn: &drip{data, n}, maxQuery: 4 << 20}
	for {
		for {
			args, ok, err := in.next(limits)
			if err != nil {
				return commands, err
			}
			if !ok {
				break
			}
			var words []string
			for _, arg := range args {
				words = append(words, string(arg))
			}
			commands = append(commands, words)
		}
		if err := in.fill(); errors.Is(err, io.EOF) {
			return commands, nil
		} else if err != nil {
			return commands, err
		}
	}
}

type frameCase struct {
	name, data string
	want       string // the commands as %q
	err        string // "": none
}

func frameCases() []frameCase {
	return []frameCase{
		{"array", "*1\r\n$4\r\nPING\r\n", `[["PING"]]`, ""},
		{"two", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", `[["PING"] ["ECHO" ""]]`, ""},
		{"binary", "*2\r\n$1\r\n\r\r\n$4\r\n\r\n$3\r\n", `[["\r" "\r\n$3"]]`, ""},
		{"empty arrays", "*0\r\n*-1\r\n*-5\r\nPING\r\n", `[["PING"]]`, ""},
		{"empty lines", "\r\n\n   \r\nPING\n", `[["PING"]]`, ""},
		{"empty name", "*1\r\n$0\r\n\r\n", `[[""]]`, ""},
		{"inline dollar", "$3\r\nabc\r\n", `[["$3"] ["abc"]]`, ""},
		{"unchecked ends", "*1\rx$4\ryPINGzzPING\r\n", `[["PING"] ["PING"]]`, ""},
		{"incomplete", "*2\r\n$4\r\nECHO\r\n$3\r\nab", `[]`, ""},
		{"count not a number", "*x\r\n", `[]`, "invalid multibulk length"},
		{"count with plus", "*+1\r\n", `[]`, "invalid multibulk length"},
		{"count with zero", "*01\r\n", `[]`, "invalid multibulk length"},
		{"count empty", "*\r\n", `[]`, "invalid multibulk length"},
		{"count minus zero", "*-0\r\n", `[]`, "invalid multibulk length"},
		{"count huge", "*1000000000\r\n", `[]`, "invalid multibulk length"},
		{"count overflows", "*99999999999999999999\r\n", `[]`, "invalid multibulk length"},
		{"count without CR", "*1\n$4\r\nPING\r\n", `[]`, "invalid multibulk length"},
		{"length overflows", "*1\r\n$9223372036854775800\r\n", `[]`, "invalid bulk length"},
		{"length negative", "*1\r\n$-1\r\n", `[]`, "invalid bulk length"},
		{"length over the limit", "*1\r\n$1048577\r\n", `[]`, "invalid bulk length"},
		{"length with zero", "*1\r\n$04\r\nPING\r\n", `[]`, "invalid bulk length"},
		{"length empty", "*1\r\n$\r\n", `[]`, "invalid bulk length"},
		{"no dollar", "*1\r\nPING\r\n", `[]`, "expected '$', got 'P'"},
		{"no dollar but empty", "*1\r\n\r\n", `[]`, "expected '$', got ' '"},
		{"no dollar but LF", "*1\r\n\nx\r\n", `[]`, "expected '$', got ' '"},
		{"after a good one", "PING\r\n*1\r\nx\r\nPING\r\n", `[["PING"]]`, "expected '$', got 'x'"},
		{"open quote", "ECHO \"abc\r\n", `[]`, "unbalanced quotes in request"},
		{"inline too long", strings.Repeat("x", maxLine+1), `[]`, "too big inline request"},
		{"inline line too long", strings.Repeat("x", maxLine) + "\r\n", `[]`, "too big inline request"},
		{"count too long", "*" + strings.Repeat("1", maxLine), `[]`, "too big mbulk count string"},
		{"length too long", "*1\r\n$" + strings.Repeat("1", maxLine), `[]`, "too big bulk count string"},
	}
}

func TestFrames(t *testing.T) {
	for _, tc := range frameCases() {
		for _, n := range []int{1, 2, 3, 7, 1 << 20} {
			if n < 7 && len(tc.data) > maxLine {
				continue // the next test is about those
			}
			t.Run(fmt.Sprintf("%s by %d", tc.name, n), func(t *testing.T) {
				got, err := readAll([]byte(tc.data), n, testLimits)
				if shown := fmt.Sprintf("%q", got); shown != tc.want {
					t.Errorf("commands %s, want %s", shown, tc.want)
				}
				checkProtocolError(t, err, tc.err)
			})
		}
	}
}

func checkProtocolError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected error %v", err)
	case want != "" && (err == nil || err.Error() != "ERR Protocol error: "+want):
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestFramesUnauthenticated(t *testing.T) {
	limits := frameLimits{maxBulk: 1 << 20, unauthenticated: true}
	for data, want := range map[string]string{
		"*11\r\n":                          "unauthenticated multibulk length",
		"*1\r\n$16385\r\n":                 "unauthenticated bulk length",
		"*10\r\n$16384\r\n":                "",
		"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*": "",
	} {
		_, err := readAll([]byte(data), 1, limits)
		checkProtocolError(t, err, want)
	}
}

// A header alone must not make us allocate what it announces, and a command
// may not outgrow the query buffer.
func TestInputMemory(t *testing.T) {
	in := &input{conn: &drip{[]byte("*1\r\n$67108864\r\nabc"), 100}, maxQuery: 1 << 20}
	for range 2 {
		if _, ok, err := in.next(frameLimits{maxBulk: 64 << 20}); ok || err != nil {
			t.Fatalf("next: %v, %v", ok, err)
		}
		_ = in.fill()
	}
	if len(in.buf) > firstBuffer {
		t.Errorf("buffer of %d bytes for a bare header", len(in.buf))
	}

	endless := io.MultiReader(strings.NewReader("*1\r\n$67108864\r\n"), neverEnding{})
	in = &input{conn: endless, maxQuery: 1 << 20}
	for {
		if _, ok, err := in.next(frameLimits{maxBulk: 64 << 20}); ok || err != nil {
			t.Fatalf("next: %v, %v", ok, err)
		}
		if err := in.fill(); err != nil {
			if !errors.Is(err, errQueryBuffer) {
				t.Fatalf("fill: %v", err)
			}
			break
		}
		if len(in.buf) > 2<<20 {
			t.Fatalf("buffer of %d bytes", len(in.buf))
		}
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// After a large command the connection falls back to a small buffer, and keeps
// nothing of it alive.
func TestInputShrinks(t *testing.T) {
	big := strings.Repeat("v", 900_000)
	data := fmt.Sprintf("ECHO 1\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\nPING\r\n", len(big), big)
	in := &input{conn: &drip{[]byte(data), 1 << 20}, maxQuery: 4 << 20}
	var names []string
	for {
		args, ok, err := in.next(testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			names = append(names, string(args[0]))
			continue
		}
		if err := in.fill(); err != nil {
			break
		}
	}
	if fmt.Sprint(names) != "[ECHO ECHO PING]" {
		t.Errorf("commands %v", names)
	}
	if len(in.buf) > keepBuffer {
		t.Errorf("kept %d bytes", len(in.buf))
	}
	for _, arg := range in.args[:cap(in.args)] {
		if arg != nil {
			t.Error("an argument is still referred to")
		}
	}
}

// Commands of one pipeline stay valid together until the next fill.
func TestInputPipelineIsStable(t *testing.T) {
	var data bytes.Buffer
	for i := range 300 {
		fmt.Fprintf(&data, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$4\r\nv%03d\r\n", i, i)
	}
	for _, n := range []int{50, 4096, 1 << 20} {
		in := &input{conn: &drip{data.Bytes(), n}, maxQuery: 4 << 20}
		total := 0
		for {
			var pipeline [][][]byte
			for {
				args, ok, err := in.next(testLimits)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				pipeline = append(pipeline, args)
			}
			for i, args := range pipeline {
				want := fmt.Sprintf("SET k%03d v%03d", total+i, total+i)
				if got := string(bytes.Join(args, []byte(" "))); got != want {
					t.Fatalf("command %d of a pipeline of %d is %q, want %q", i, len(pipeline), got, want)
				}
			}
			total += len(pipeline)
			if err := in.fill(); err != nil {
				break
			}
		}
		if total != 300 {
			t.Errorf("%d commands, want 300", total)
		}
	}
}
