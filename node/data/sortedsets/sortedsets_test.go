package sortedsets_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
)

// TestFamilies plays testdata; TestScriptsAsRedis of package server compares most of its
// commands with redis-server.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestRandomMembers: ZRANDMEMBER answers as many members as it was asked for, members
// all of them, different ones if the count is positive, and in the end each of them.
func TestRandomMembers(t *testing.T) {
	const size = 300
	b := commandtest.New(t, data.Commands())
	for i := range size {
		b.Do(fmt.Sprintf("ZADD z %d m%d", i, i))
	}
	for _, count := range []int{1, 7, size / 2, size - 1, size, size + 1, -1, -7, -2 * size} {
		seen := make(map[string]bool)
		wanted := count
		if count < 0 {
			wanted = -count
		}
		for round := 0; len(seen) < size; round++ {
			reply := b.Do("ZRANDMEMBER z " + strconv.Itoa(count) + " WITHSCORES")
			if want := min(wanted, size); count > 0 && len(reply.Elems) != want || count < 0 && len(reply.Elems) != wanted {
				t.Fatalf("count %d: %d members", count, len(reply.Elems))
			}
			now := make(map[string]bool)
			for _, pair := range reply.Elems {
				member, score := pair.Elems[0].Str, pair.Elems[1].Str
				if !bytes.Equal(member[1:], score) {
					t.Fatalf("count %d: %s has the score %s", count, member, score)
				}
				if count > 0 && now[string(member)] {
					t.Fatalf("count %d: %s twice", count, member)
				}
				now[string(member)], seen[string(member)] = true, true
			}
			if round > 100*size {
				t.Fatalf("count %d: only %d members were ever chosen", count, len(seen))
			}
		}
	}
}
