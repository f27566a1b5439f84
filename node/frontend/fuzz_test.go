package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/tidwall/redcon"
)

// FuzzFrames: however input is cut into pieces, the same commands and the same
// error come out, nothing panics, arguments never outgrow the input, and what
// redcon by itself accepts of arrays is the beginning of what we read.
func FuzzFrames(f *testing.F) {
	for _, tc := range frameCases() {
		if len(tc.data) <= maxLine {
			f.Add([]byte(tc.data), 1)
		}
	}
	for _, text := range garbage() {
		if len(text) <= 4<<10 {
			f.Add([]byte(text), 5)
		}
	}
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\nECHO \"a\\x41\\n\" 'b\\''\r\n"), 3)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 1 || n > len(data)+1 || len(data) > 1<<16 {
			t.Skip()
		}
		whole, wholeErr := readAll(bytes.Clone(data), len(data)+1, testLimits)
		cut, cutErr := readAll(bytes.Clone(data), n, testLimits)
		if fmt.Sprintf("%q %v", whole, wholeErr) != fmt.Sprintf("%q %v", cut, cutErr) {
			t.Errorf("whole: %q %v\ncut by %d: %q %v", whole, wholeErr, n, cut, cutErr)
		}
		var broken protocolError
		if wholeErr != nil && (!errors.As(wholeErr, &broken) || broken == "invalid request") {
			t.Errorf("guard and parser disagree: %v", wholeErr)
		}
		size := 0
		for _, args := range whole {
			for _, arg := range args {
				size += len(arg)
			}
		}
		if size > len(data) {
			t.Errorf("%d bytes of arguments from %d bytes", size, len(data))
		}
		if wholeErr == nil {
			// Of a line that ends in another byte than LF, redcon waits for the end.
			want, ok := redconReads(data)
			if ok && fmt.Sprintf("%q", whole[:min(len(want), len(whole))]) != fmt.Sprintf("%q", want) {
				t.Errorf("%q, redcon reads %q", whole, want)
			}
		}
	})
}

// redconReads reads arrays with redcon alone; ok is false if there is something
// else, or something that it refuses. It trusts counts and lengths, so data must
// have passed the guard.
func redconReads(data []byte) (commands [][]string, ok bool) {
	for rest := bytes.Clone(data); len(rest) > 0; {
		if rest[0] != '*' {
			return nil, false
		}
		complete, args, _, after, err := redcon.ReadNextCommand(rest, nil)
		if err != nil {
			return nil, false
		}
		if !complete {
			break
		}
		rest = after
		if len(args) == 0 {
			continue
		}
		var words []string
		for _, arg := range args {
			words = append(words, string(arg))
		}
		commands = append(commands, words)
	}
	return commands, true
}

// FuzzInputMemory: what a connection's input allocates is bounded by what it was
// sent, not by what it was promised.
func FuzzInputMemory(f *testing.F) {
	for _, tc := range frameCases() {
		if len(tc.data) <= maxLine {
			f.Add([]byte(tc.data))
		}
	}
	f.Add([]byte("*1048576\r\n$67108864\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip()
		}
		in := &input{conn: &drip{bytes.Clone(data), 1 << 12}, maxQuery: 256 << 20}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for {
			_, ok, err := in.next(frameLimits{maxBulk: 100 << 20})
			if err != nil {
				break
			}
			if ok {
				continue
			}
			if err := in.fill(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
		}
		runtime.ReadMemStats(&after)
		// An argument of a byte takes 24 in the list, and lists and buffers double.
		if got, bound := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+100*len(data)); got > bound {
			t.Fatalf("%d bytes allocated for %d, bound %d", got, len(data), bound)
		}
	})
}
