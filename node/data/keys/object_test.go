package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
)

// MEMORY USAGE of a large value tells about what its elements take, whatever its type.
func TestMemoryUsage(t *testing.T) {
	b := commandtest.New(t, data.Commands())
	const n, size = 2000, 100
	for _, line := range []string{"RPUSH list", "SADD set", "ZADD zset", "HSET hash"} {
		args := commandtest.Words(t, line)
		key := string(args[1])
		for i := range n {
			element := fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", size))[:size]
			switch key {
			case "zset":
				args = append(args, fmt.Append(nil, i), element)
			case "hash":
				args = append(args, element[:size/2], element[size/2:])
			default:
				args = append(args, element)
			}
		}
		b.Run(args)
		least, most := int64(n*size*3/4), int64(n*size*3) // pages may be full
		if got := b.Do("MEMORY USAGE " + key).Int; got < least || got > most {
			t.Errorf("the %s takes %d bytes, not between %d and %d", key, got, least, most)
		}
	}
}
