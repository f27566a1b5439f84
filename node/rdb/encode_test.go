package rdb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/rdb"
)

// large are commands that make values which Redis does not keep in one piece.
func large() map[string]string {
	many := func(n int, format string) string {
		var words []string
		for i := range n {
			words = append(words, strings.ReplaceAll(format, "#", fmt.Sprint(i)))
		}
		return strings.Join(words, " ")
	}
	return map[string]string{
		"hash of 512":        "HSET k " + many(512, "field:# #"),
		"hash of 513":        "HSET k " + many(513, "field:# #"),
		"hash of long":       "HSET k a " + strings.Repeat("x", 64) + " b " + strings.Repeat("y", 65),
		"set of 128":         "SADD k " + many(128, "m#"),
		"set of 129":         "SADD k " + many(129, "m#"),
		"set of 512 numbers": "SADD k " + many(512, "#000"),
		"set of 513 numbers": "SADD k " + many(513, "#000"),
		"zset of 128":        "ZADD k " + many(128, "#.25 m#"),
		"zset of 129":        "ZADD k " + many(129, "#.25 m#"),
		"list of 5000":       "RPUSH k " + many(5000, "element:#"),
		"list of large":      "RPUSH k " + many(3, "# "+strings.Repeat("#", 9000)),
		"list of nearly":     "RPUSH k " + many(20, strings.Repeat("#", 8180)),
	}
}

// TestServersRestore has real servers restore what is written here: the content is the
// same, and so is the encoding, as if their own commands had made the value.
func TestServersRestore(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		all := shapes()
		for name, line := range large() {
			all = append(all, shape{name, nil, []string{line}})
		}
		for _, s := range all {
			s.config = nil
			if !s.make(t, o) {
				continue
			}
			want, encoding := content(o), string(o.Ask("OBJECT", "ENCODING", "k").Str)
			v, err := rdb.Decode(o.Ask("DUMP", "k").Str, loose)
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
			payload := encode(v, strings.HasPrefix(encoding, "listpack"))
			if encoding == "intset" {
				payload = rdb.EncodeSet(v.Len(), true, slices.Values(v.Elements))
			}
			reply := o.Ask("RESTORE", "k", "0", string(payload), "REPLACE")
			if reply.IsError() {
				// Valkey does not read Redis's hashes whose fields expire.
				if o.Name != "valkey-server-9" || v.ExpireAt == nil || !strings.Contains(string(reply.Str), "version") {
					t.Errorf("%s: %s", s.name, reply.Str)
				}
				continue
			}
			if got := content(o); got != want {
				t.Errorf("%s is\n%.300s, not\n%.300s", s.name, got, want)
			}
			if got := string(o.Ask("OBJECT", "ENCODING", "k").Str); got != encoding && s.name != "string/appended" {
				t.Errorf("%s is a %s, not a %s", s.name, got, encoding)
			}
		}
	})
}

// What is long and repeats takes less than it has bytes.
func TestCompressed(t *testing.T) {
	if n := len(rdb.EncodeString([]byte(strings.Repeat("compress me ", 1000)))); n > 1000 {
		t.Errorf("%d bytes", n)
	}
	if n := len(rdb.EncodeList(slices.Values([][]byte{[]byte(strings.Repeat("a", 8000)), []byte(strings.Repeat("b", 9000))}))); n > 500 {
		t.Errorf("%d bytes", n)
	}
}
