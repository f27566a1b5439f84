package shard

import (
	"fmt"
	"testing"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// TestClusterScan: a client that sends each cursor to the shard that owns its slot finds
// every key of the cluster once, though shards hold keys of slots that they do not own.
func TestClusterScan(t *testing.T) {
	table := command.NewTable(data.Commands())
	shards := make([]*Machine, 3)
	own := func(n uint16) int { return int(n/300) % len(shards) }
	slots := make([]slot.Set, len(shards))
	for n := range uint16(slot.Count) {
		slots[own(n)].Add(n)
	}
	for i := range shards {
		m, err := Open(storage.NewMemory(), table, Options{})
		if err != nil {
			t.Fatal(err)
		}
		shards[i] = m
		apply(t, m, 1000, AppendOwn(nil, slot.Full(), 1))
		for k := range 500 {
			if key := fmt.Sprintf("k%d", k); own(slot.Of([]byte(key))) == i || k%10 == 0 {
				apply(t, m, 1000, payload("set "+key+" v")) // some are left in others
			}
		}
		gone := slot.Set{}
		for n := range uint16(slot.Count) {
			if own(n) != i {
				gone.Add(n)
			}
		}
		apply(t, m, 1000, AppendSeal(nil, gone, 2))
	}
	cmd, err := table.Lookup(words("clusterscan 0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []int{1, 7, 1000} {
		found, calls := make(map[string]int), 0
		for cursor := "0"; ; calls++ {
			m := shards[own(slot.Of([]byte(cursor)))]
			v, _ := read(t, m, cmd, words(fmt.Sprintf("clusterscan %s count %d", cursor, count)), 1000)
			if len(v.Elems) != 2 {
				t.Fatalf("CLUSTERSCAN %s: %s", cursor, v.Str)
			}
			for _, key := range v.Elems[1].Elems {
				found[string(key.Str)]++
			}
			if cursor = string(v.Elems[0].Str); cursor == "0" {
				break
			}
		}
		for k := range 500 {
			if key := fmt.Sprintf("k%d", k); found[key] != 1 {
				t.Errorf("count %d: %s was returned %d times", count, key, found[key])
			}
		}
		if most := 1 + 500/count + slot.Count/300 + 2; calls > most {
			t.Errorf("count %d took %d calls, not %d", count, calls, most)
		}
	}
}
