package shard

import (
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// What few bytes may make is told before it is made, and too much of it is not
// committed at one time.
func TestWeight(t *testing.T) {
	m := open(t, storage.NewMemory())
	bomb := "\x00\xc3\x05\x40\xfa" + "\x00x\xe0\xf0\x00" + "0123456789" // 250 bytes of five
	for line, want := range map[string]int{
		"set k v": 0, "setbit k 536870911 1": 536870911 / 8, "setbit k x 1": 0, "setrange k 1000 v": 1000,
		"bitfield k set u8 80000 1 get u8 9000000": 80000/8 + 8, "bitfield k incrby u16 #1000 1": 1000*16/8 + 8,
		"restore k 0 x": 0, "restore k 0 " + bomb: 250, "restore k 0 " + bomb + " replace": 250,
		"bitfield k get u8 9000000": 0, "bitop not a b": unknownWeight, "copy a b": unknownWeight,
		"sunionstore a b": unknownWeight, "zunionstore a 1 b": unknownWeight, "sort a store b": unknownWeight,
	} {
		if got, err := m.Check(payload(line)); err != nil || got != want {
			t.Errorf("%s weighs %d, %v, not %d", line, got, err, want)
		}
	}
}

func TestHeavyEntriesAreCommittedApart(t *testing.T) {
	m := open(t, storage.NewMemory())
	apply(t, m, 1, AppendOwn(nil, slot.Full(), 1))
	for line, want := range map[string]int{
		"setbit k 100 1":        4,
		"copy {a}not {a}there":  1, // as far as one can tell
		"setrange k 20000000 v": 4,
		"setrange k 40000000 v": 2,
	} {
		var entries []Entry
		for i := range uint64(4) {
			entries = append(entries, entry(m.Applied()+1+i, 1000, payload(line)))
		}
		if n, err := m.applyTogether(entries); err != nil || n != want || m.Applied() != entries[n-1].Index {
			t.Errorf("%s: %d of 4 were committed together, up to %d, %v, not %d", line, n, m.Applied(), err, want)
		}
	}
}
