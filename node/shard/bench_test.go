package shard

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/storage"
)

// BenchmarkApply is what redis-benchmark's writes cost one replica, in entries of 100
// commands, as they are when many clients send pipelines of 16: a random one of a hundred
// thousand keys, or a single list, hash or sorted set.
func BenchmarkApply(b *testing.B) {
	const perEntry, keys = 100, 100_000
	value := strings.Repeat("x", 64)
	random := rand.New(rand.NewPCG(1, 2))
	key := func() string { return fmt.Sprintf("key:{tag}:%012d", random.IntN(keys)) }
	mset := func() string {
		line := "mset"
		for range 10 {
			line += " " + key() + " " + value
		}
		return line
	}
	for _, c := range []struct {
		name string
		line func() string
	}{
		{"set", func() string { return "set " + key() + " " + value }},
		{"incr", func() string { return "incr n" + key() }},
		{"mset", mset},
		{"lpush", func() string { return "lpush list " + value }},
		{"lpop", func() string { return "lpop list" }},
		{"hset", func() string { return fmt.Sprintf("hset hash field%d %s", random.IntN(10), value) }},
		{"zadd", func() string { return fmt.Sprintf("zadd sorted %d member%d", random.IntN(100000), random.IntN(100)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := open(b, storage.NewMemory())
			apply(b, m, 1, AppendOwn(nil, slot.Full(), 1))
			if c.name == "lpop" {
				for range 20_000 {
					apply(b, m, 1, payload("lpush list "+strings.Repeat(value+" ", 100)))
				}
			}
			entries := make([]Entry, 64)
			for i := range entries {
				payloads := make([][]byte, perEntry)
				for j := range payloads {
					payloads[j] = payload(c.line())
				}
				entries[i] = entry(m.Applied(), 1, payloads...)
			}
			index := m.Applied()
			b.ReportAllocs()
			b.ResetTimer()
			begun := cpu(b)
			for n := 0; n < b.N; n += perEntry {
				e := &entries[n/perEntry%len(entries)]
				index++
				e.Index = index
				for _, r := range e.Replies {
					r.Init(2)
				}
				if err := m.Apply([]Entry{*e}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the time that the process has computed, which others on the machine do not
// add to.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
