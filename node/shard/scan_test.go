package shard

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// TestScanAcrossReplicas: whichever replica answers each call of a SCAN, as when
// the leader changes, every key that was there throughout is returned, once,
// whatever comes, goes and changes meanwhile.
func TestScanAcrossReplicas(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	replicas := make([]*Machine, 3)
	for i := range replicas {
		m, err := Open(storage.NewMemory(), command.NewTable(data.Commands()), Options{Keyspace: keyspace.Options{CacheBytes: int64(i-1) << 20}})
		if err != nil {
			t.Fatal(err)
		}
		replicas[i] = m
	}
	run := func(payloads ...[]byte) {
		for _, m := range replicas {
			apply(t, m, 1000, payloads...)
		}
	}
	const stay = 300
	run(AppendOwn(nil, slot.Full(), 1))
	for i := range stay {
		run(payload(fmt.Sprintf("set stay:%d 1", i)))
	}
	churn := func() []byte {
		name := func() string { return fmt.Sprintf("go:{%d}%d", rnd.IntN(5), rnd.IntN(100)) }
		tag := rnd.IntN(50)
		switch rnd.IntN(6) {
		case 0, 1:
			return payload("set " + name() + " v")
		case 2:
			return payload("del " + name())
		case 3:
			return payload(fmt.Sprintf("mset {%[1]d}a 1 {%[1]d}b 2", tag))
		case 4:
			return payload(fmt.Sprintf("rename {%[1]d}a {%[1]d}c", tag))
		default:
			return payload(fmt.Sprintf("set stay:%d %d px 999999", rnd.IntN(stay), tag))
		}
	}
	cmd, err := command.NewTable(data.Commands()).Lookup(words("scan 0"))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		found := make(map[string]int)
		for cursor := "0"; ; {
			m := replicas[rnd.IntN(len(replicas))]
			v, _ := read(t, m, cmd, words(fmt.Sprintf("scan %s count %d", cursor, 1+rnd.IntN(30))), 1000)
			for _, key := range v.Elems[1].Elems {
				found[string(key.Str)]++
			}
			if cursor = string(v.Elems[0].Str); cursor == "0" {
				break
			}
			run(churn(), churn())
		}
		for i := range stay {
			if n := found["stay:"+strconv.Itoa(i)]; n != 1 {
				t.Fatalf("stay:%d was returned %d times (seed %d)", i, n, seed)
			}
		}
	}
}
