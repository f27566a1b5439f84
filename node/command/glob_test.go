package command_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/command/commandtest"
)

// TestMatchIsRedis compares Match with Redis's own matcher, on random patterns.
func TestMatchIsRedis(t *testing.T) {
	o := commandtest.Redis(t)
	seed := time.Now().UnixNano()
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	draw := func(alphabet string, limit int) string {
		b := make([]byte, rnd.IntN(limit)+1)
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 3000 {
		key, pattern := draw("abc-]^\\", 6), draw("abc*?[]^-\\", 8)
		if pattern == "*" {
			continue
		}
		o.Ask("SET", key, "")
		want := len(o.Ask("KEYS", pattern).Elems) == 1
		o.Ask("DEL", key)
		if got := command.Match([]byte(pattern), []byte(key), false); got != want {
			t.Errorf("Match(%q, %q) = %v, Redis says %v (seed %d)", pattern, key, got, want, seed)
		}
	}
}
