package streams_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/rdb"
	"github.com/genuineh/aikv/node/resp"
)

// TestFamilies plays testdata.
func TestFamilies(t *testing.T) {
	commandtest.Families(t, func(t *testing.T) *commandtest.Bench { return commandtest.New(t, data.Commands()) })
}

// TestNodesAsRedis grows and trims a long stream at a real server, too: how much an
// approximate trim removes depends on the nodes that Redis keeps the entries in.
func TestNodesAsRedis(t *testing.T) {
	commandtest.Oracles(t, func(t *testing.T, o *commandtest.Oracle) {
		allow := differ(o.Name)
		g := &commandtest.Game{Bench: commandtest.New(t, data.Commands()), Oracle: o, Differ: allow}
		seq := 0
		g.Random(6000, func(rnd *rand.Rand) []string {
			pick := func(words ...string) string { return words[rnd.IntN(len(words))] }
			at := func() string { return fmt.Sprintf("1000-%d", max(seq-rnd.IntN(600), 0)) }
			switch n := rnd.IntN(100); {
			case n < 3:
				return []string{"XTRIM", "s", "MAXLEN", pick("~", "~", "="), fmt.Sprint(rnd.IntN(600))}
			case n < 5:
				return []string{"XTRIM", "s", "MINID", pick("~", "~", "="), at()}
			case n < 7:
				return []string{"XTRIM", "s", "MAXLEN", "~", fmt.Sprint(rnd.IntN(600)), "LIMIT", fmt.Sprint(rnd.IntN(300))}
			case n < 12:
				return []string{"XDEL", "s", at(), at(), at()}
			case n < 15:
				return []string{"XINFO", "STREAM", "s"}
			case n < 17:
				return []string{"XLEN", "s"}
			}
			seq += 1 + rnd.IntN(3)*rnd.IntN(200)
			args := []string{"XADD", "s"}
			if rnd.IntN(20) == 0 {
				args = append(args, "MAXLEN", "~", "500")
			}
			args = append(args, fmt.Sprintf("%d-%d", 1000+seq/50000, seq), pick("a", "field"), pick("1", "-4097", strings.Repeat("x", rnd.IntN(1<<rnd.IntN(12)))))
			if rnd.IntN(8) == 0 {
				args = append(args, "b", fmt.Sprint(rnd.Int64()>>rnd.IntN(64)))
			}
			return args
		})
	})
}

// TestDumpAsRedis: a stream that Redis 7.0 has made by the same commands is dumped as it
// dumps it, node by node, where nothing depends on the clock: with the same bytes, but that
// what is compressed may be compressed otherwise.
func TestDumpAsRedis(t *testing.T) {
	o := commandtest.Redis(t)
	b := commandtest.New(t, data.Commands())
	same := func(lines ...string) {
		t.Helper()
		for _, line := range append([]string{"FLUSHALL"}, lines...) {
			var args []string
			for _, word := range commandtest.Words(t, line) {
				args = append(args, string(word))
			}
			o.Ask(args...)
			b.Do(line)
		}
		ours, theirs := b.Do("DUMP s").Str, o.Ask("DUMP", "s").Str
		loose := rdb.Limits{String: 1 << 20, Total: 1 << 28}
		mine, err1 := rdb.Decode(ours, loose)
		his, err2 := rdb.Decode(theirs, loose)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(mine, his) || len(ours) < 64 && string(ours) != string(theirs) {
			t.Errorf("%.100q\n%q\nRedis writes\n%q", lines, ours, theirs)
		}
	}
	same("XADD s 1-1 a 1")
	same("XADD s 1-1 a 1", "XADD s 1-2 a 2", "XADD s 5-0 b text c 70000", `XADD s 6-0 a "\x00\xff"`, "XADD s 7-1 a 300")
	same("XADD s 18446744073709551615-1 a 1", "XTRIM s MAXLEN 0", "XSETID s 18446744073709551615-2 ENTRIESADDED 7 MAXDELETEDID 3-3")
	same("XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h 5-5")
	var long []string
	for i := range 400 {
		long = append(long, fmt.Sprintf("XADD s %d-%d field %d other %s", 1526919030474+i*i, i%3, i*i*i, strings.Repeat("v", i%90)))
	}
	same(long...)
	same(append(long, "XTRIM s MAXLEN ~ 150")...)
}

// Everything of a stream comes back from DUMP, but what 7.0 does not write.
func TestRestore(t *testing.T) {
	b := commandtest.New(t, data.Commands())
	for i := range 300 {
		b.Do(fmt.Sprintf("XADD s %d-0 a %d", i+1, i))
	}
	for _, line := range []string{
		"XGROUP CREATE s g 0", "XGROUP CREATE s h 50", "XREADGROUP GROUP g c COUNT 100 STREAMS s >", "XREADGROUP GROUP g d COUNT 5 STREAMS s >",
		"XACK s g 3-0 4-0", "XDEL s 100-0 200-0", "XGROUP CREATECONSUMER s h idle",
	} {
		b.Do(line)
	}
	restore := b.Run([][]byte{[]byte("RESTORE"), []byte("t"), []byte("0"), b.Do("DUMP s").Str})
	if string(restore.Str) != "OK" {
		t.Fatalf("%s", restore.Str)
	}
	for _, line := range []string{"XRANGE # - +", "XPENDING # g - + 1000", "XINFO GROUPS #", "XINFO STREAM #", "XLEN #"} {
		one, other := b.Do(strings.Replace(line, "#", "s", 1)), b.Do(strings.Replace(line, "#", "t", 1))
		if a, b := resp.Append(nil, one, 3), resp.Append(nil, other, 3); string(a) != string(b) {
			t.Errorf("%s:\n%q\nnot\n%q", line, b, a)
		}
	}
}

// benchStream returns a bench with a stream of so many entries, and a group that has
// read them up to the last hundred.
func benchStream(b testing.TB, entries int) *commandtest.Bench {
	bench := commandtest.New(b, data.Commands())
	for i := 0; i < entries; i += 100 {
		tx := bench.Begin()
		s, err := tx.Stream([]byte("s"))
		if err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			id := s.Head().Last
			id.MS, id.Seq = uint64(i+j+1), 0
			s.Append(id, [][]byte{[]byte("field"), fmt.Appendf(nil, "%064d", i+j)})
		}
		s.End()
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	bench.Do(fmt.Sprintf("XGROUP CREATE s g %d-0", max(entries-100, 0)))
	return bench
}

// BenchmarkStream: what commands cost in streams of a hundred and of a million entries.
func BenchmarkStream(b *testing.B) {
	for _, entries := range []int{100, 1_000_000} {
		for _, c := range []struct{ name, line string }{
			{"XADD", "XADD s * field value"},
			{"XRANGE10", "XRANGE s %d-0 + COUNT 10"},
			{"XREADGROUP", "XREADGROUP GROUP g c COUNT 1 STREAMS s >"},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, entries), func(b *testing.B) {
				bench := benchStream(b, entries)
				line := c.line
				if strings.Contains(line, "%d") {
					line = fmt.Sprintf(line, entries/2)
				}
				words := commandtest.Words(b, line)
				// Now and then it is as it was.
				anew := commandtest.Words(b, fmt.Sprintf("XGROUP SETID s g %d-0", max(entries-100, 0)))
				trim := commandtest.Words(b, fmt.Sprintf("XTRIM s MAXLEN %d", entries))
				b.ResetTimer()
				for i := range b.N {
					if i%100 == 99 {
						b.StopTimer()
						bench.Encoded(anew, 3)
						bench.Encoded(trim, 3)
						b.StartTimer()
					}
					bench.Encoded(words, 3)
				}
			})
		}
	}
}
