package keys_test

import (
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/resp"
)

// TestDigestsAreRedis: equal values have the digest that Redis gives them, by which
// redis-cli tells whether two servers have the same.
func TestDigestsAreRedis(t *testing.T) {
	theirs := commandtest.Redis(t, "--enable-debug-command", "yes")
	ours := commandtest.New(t, data.Commands())
	for _, line := range []string{
		"SET string value", "SET empty x", "SET number 12345", "SET expiring v PX 100000000", "APPEND string s",
		"RPUSH list a b c 4 a", "SADD set c a b 7", "SADD ints 3 1 2", "ZADD sorted 1 a 2.5 b 1e300 c -3 d inf e", "HSET hash f v g w 1 2",
		"HSET hash g x", "XADD stream 5-1 f v g w", "XADD stream 5-2 f x", "XADD stream 7-0 a b", "XDEL stream 5-2",
	} {
		ours.Do(line)
		theirs.Ask(strings.Fields(line)...)
	}
	for _, key := range strings.Fields("string empty number expiring list set ints sorted hash stream nosuch") {
		got := ours.Run(command.Digest([][]byte{[]byte(key)}))
		want := theirs.Ask("DEBUG", "DIGEST-VALUE", key)
		if g, w := resp.FormatCLI(got, true), resp.FormatCLI(want, true); g != w || len(g) < 40 {
			t.Errorf("%s: %s, the server says %s", key, g, w)
		}
	}
}
