package command

import (
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/resp"
)

// Commands on strings refuse hashes and sorted sets, as Redis does; those on keys
// do not care, and what sets a whole string overwrites anything.
func TestWrongType(t *testing.T) {
	b := newBench(t)
	fill := func() {
		b.index++
		tx := b.keys.Begin()
		defer tx.Discard()
		tx.StartEntry(b.index, b.now)
		tx.SetString([]byte("{k}s"), []byte("text"), 0)
		for _, key := range []string{"{k}h", "{k}z"} {
			tx.Delete([]byte(key))
		}
		h, err := tx.Hash([]byte("{k}h"))
		if err != nil {
			t.Fatal(err)
		}
		h.Set([]byte("f"), []byte("v"), 0)
		z, err := tx.SortedSet([]byte("{k}z"))
		if err != nil {
			t.Fatal(err)
		}
		z.Set([]byte("m"), 1)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"get K", "getset K v", "getdel K", "getex K", "getex K persist", "append K v", "strlen K", "getrange K 0 -1",
		"substr K 0 -1", "setrange K 1 v", "incr K", "decr K", "incrby K 1", "decrby K 1", "incrbyfloat K 1",
		"set K v get", "setbit K 1 1", "getbit K 1", "bitcount K", "bitpos K 1", "bitop and {k}d K", "bitop not {k}d K",
		"bitfield K set u8 0 1", "bitfield K get u8 0", "bitfield_ro K get u8 0",
	} {
		for _, key := range []string{"{k}h", "{k}z"} {
			fill()
			line := strings.ReplaceAll(line, "K", key)
			if v := b.do(words(t, line)); !strings.HasPrefix(string(v.Str), "WRONGTYPE ") {
				t.Errorf("%s: %s", line, resp.FormatCLI(v, false))
			}
		}
	}
	for line, want := range map[string]string{
		"type {k}h": "hash", "type {k}z": "zset", "mget {k}h {k}s": "1) (nil)\n2) \"text\"",
		"object encoding {k}h": `"listpack"`, "object encoding {k}z": `"listpack"`, "object encoding {k}s": `"embstr"`,
		"setnx {k}h v": "(integer) 0", "exists {k}h {k}z": "(integer) 2", "expire {k}h 10": "(integer) 1",
		"set {k}h v": "OK", "setex {k}z 10 v": "OK", "mset {k}h v": "OK", "bitop not {k}h {k}s": "(integer) 4",
		"scan 0 type hash": "1) \"0\"\n2) 1) \"{k}h\"", "scan 0 type zset": "1) \"0\"\n2) 1) \"{k}z\"",
		"memory usage {k}h": "(integer) 57", "rename {k}h {k}s": "OK", "copy {k}z {k}h replace": "(integer) 1",
		"del {k}h {k}z": "(integer) 2",
	} {
		fill()
		if got := strings.TrimSpace(resp.FormatCLI(b.do(words(t, line)), true)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}
