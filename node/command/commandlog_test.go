package command

import (
	"fmt"
	"strings"
	"testing"
)

func TestCommandLog(t *testing.T) {
	var l CommandLog
	add := func(cost int64, words ...string) {
		args := make([][]byte, len(words))
		for i, word := range words {
			args[i] = []byte(word)
		}
		l.Add(LogEntry{Cost: cost, Args: args})
		for _, arg := range args {
			clear(arg) // they are the caller's
		}
	}
	shown := func(n int) string {
		var out []string
		for _, e := range l.Latest(n) {
			out = append(out, fmt.Sprintf("%d:%d:%s", e.ID, e.Cost, e.Args))
		}
		return strings.Join(out, " ")
	}
	add(1, "dropped")
	l.SetMost(3)
	for i := range int64(5) {
		add(i, "get", fmt.Sprint(i))
	}
	if got := shown(9); got != "5:4:[get 4] 4:3:[get 3] 3:2:[get 2]" || l.Len() != 3 {
		t.Error(got)
	}
	l.SetMost(2)
	if l.Len() != 3 { // as in Redis, which looks when it adds
		t.Error("the log was cut at once")
	}
	add(9, append([]string{strings.Repeat("x", 130)}, make([]string, 40)...)...)
	if got := shown(1); !strings.Contains(got, strings.Repeat("x", 128)+"... (2 more bytes)") || !strings.HasSuffix(got, "... (10 more arguments)]") {
		t.Error(got)
	}
	if l.Len() != 2 {
		t.Errorf("%d entries", l.Len())
	}
	l.Reset()
	if add(1, "a"); shown(9) != "7:1:[a]" {
		t.Error(shown(9))
	}
}
