package frontend

import (
	"fmt"
	"testing"
)

func TestSplitLine(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"", `[]`},
		{" \t\r\n", `[]`},
		{"PING\r\n", `["PING"]`},
		{"  set  key\tvalue \r\n", `["set" "key" "value"]`},
		{`ECHO "a\x41\n\r\t\b\a\q"`, `["ECHO" "aA\n\r\t\b\aq"]`},
		{`ECHO 'a\'b\n'`, `["ECHO" "a'b\\n"]`},
		{`ECHO a"b c"`, `["ECHO" "ab c"]`},
		{`ECHO "" ''`, `["ECHO" "" ""]`},
		{`ECHO "\xzz\x4"`, `["ECHO" "xzzx4"]`},
		{`ECHO "\\" "\""`, `["ECHO" "\\" "\""]`},
		{`ECHO "\x00\xff"`, `["ECHO" "\x00\xff"]`},
		{`"PING`, "unbalanced"},
		{`'PING`, "unbalanced"},
		{`PING "a"b`, "unbalanced"},
		{`PING 'a'b`, "unbalanced"},
		{`PING "a""b"`, "unbalanced"},
		{`PING "a\`, "unbalanced"},
		{`PING "a\"`, "unbalanced"},
		{`PING 'a\'`, "unbalanced"},
	} {
		args, ok := splitLine([]byte(tc.line), nil)
		got := "unbalanced"
		if ok {
			got = fmt.Sprintf("%q", args)
		}
		if got != tc.want {
			t.Errorf("%q: %s, want %s", tc.line, got, tc.want)
		}
	}
}
