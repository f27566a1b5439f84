package keyspace

import (
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// cpu returns the time that the process has computed.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchCache is what the config gives to a store's cache.
const benchCache = 128 << 20

// BenchmarkLoad sets 64 bytes in transactions of 25: random new keys, from half a
// million to a million, then keys that are there, of a hundred thousand that are in
// use, and of all. What is told is the CPU of the whole process, compactions included, an
// operation.
func BenchmarkLoad(b *testing.B) {
	const keys, hot = 1_000_000, 100_000
	ks, err := Open(benchLevel(b), Options{CacheBytes: benchCache})
	if err != nil {
		b.Fatal(err)
	}
	index := uint64(0)
	value, name := make([]byte, 64), make([]byte, 0, 32)
	set := func(from, to, among int) {
		for i := from; i < to; i += 25 {
			index++
			tx := ks.Begin()
			tx.StartEntry(index, 1)
			for j := range 25 {
				name = benchName(name, (i+j)*7919%among)
				tx.SetString(name, value, 0)
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	run := func(name string, from, to, among int) {
		begun := cpu(b)
		set(from, to, among)
		settle(b, ks)
		b.ReportMetric(float64(cpu(b)-begun)/float64(to-from), name+"-cpu-ns/op")
	}
	for b.Loop() {
		set(0, keys/2, keys)
		run("new", keys/2, keys, keys)
		set(0, hot, hot)
		run("overwrite", 0, keys, hot)
		run("overwrite-all", 0, keys, keys)
	}
}

// settle returns when all is in the store, and the store is at rest.
func settle(b *testing.B, ks *Keyspace) {
	if _, err := ks.Sync(ks.Applied()); err != nil {
		b.Fatal(err)
	}
	time.Sleep(2 * time.Second)
}

// BenchmarkLoadSlot is BenchmarkLoad for keys that share a slot, which a filter of that
// slot has to know all of: of 400,000, most of which are there, in random order.
func BenchmarkLoadSlot(b *testing.B) {
	const keys, there, ops = 400_000, 333_000, 1_000_000
	ks, err := Open(benchLevel(b), Options{CacheBytes: benchCache})
	if err != nil {
		b.Fatal(err)
	}
	index, random := uint64(0), rand.New(rand.NewPCG(1, 2))
	value, name := make([]byte, 64), make([]byte, 0, 32)
	set := func(n int) {
		for range n / 25 {
			index++
			tx := ks.Begin()
			tx.StartEntry(index, 1)
			for range 25 {
				name = strconv.AppendInt(append(name[:0], "key:{tag}"...), int64(random.IntN(keys)), 10)
				tx.SetString(name, value, 0)
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		set(there)
		settle(b, ks)
		begun := cpu(b)
		set(ops)
		settle(b, ks)
		b.ReportMetric(float64(cpu(b)-begun)/ops, "cpu-ns/op")
	}
}
