package wal_test

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/genuineh/aikv/node/wal"
	"github.com/genuineh/aikv/node/wal/crashfs"
)

// TestAgainstModel writes random batches, with reopening in between, and
// compares everything readable with the model.
func TestAgainstModel(t *testing.T) {
	for seed := range int64(20) {
		rng := rand.New(rand.NewSource(seed))
		fs := crashfs.New()
		opts := small(fs, "wal")
		l := open(t, opts)
		m := newModel()
		var b wal.Batch
		for i := range 300 {
			fill(rng, &b, m)
			check(t, l.Write(&b))
			if i%20 == 0 {
				equal(t, dump(t, l), m.String())
			}
			if rng.Intn(60) == 0 {
				check(t, l.Close())
				l = open(t, opts)
				equal(t, dump(t, l), m.String())
			}
		}
		check(t, l.Close())
	}
}

// TestCrashes crashes the machine at random moments, with and without a failing
// call before, also during recovery. What comes back must be the state after
// one of the batches, and not one before the last synced.
func TestCrashes(t *testing.T) {
	lives := 0
	for seed := range int64(150) {
		rng := rand.New(rand.NewSource(seed))
		fs := crashfs.New()
		states := []*model{newModel()} // possible after a crash, oldest first
		for range 6 {
			l := openThroughCrashes(t, rng, &fs)
			m := recovered(t, seed, dump(t, l), states)
			states = []*model{m}
			lives++

			armed := rng.Intn(2) == 0
			fs.Fail(failAfter(rng, armed, 150))
			var b wal.Batch
			for range 1 + rng.Intn(60) {
				m = m.clone()
				fill(rng, &b, m)
				b.SetSync(rng.Intn(3) > 0)
				err := l.Write(&b)
				states = append(states, m)
				if err != nil {
					if !errors.Is(err, errInjected) {
						t.Fatalf("seed %d: %v", seed, err)
					}
					break
				}
				if b.NeedsSync() && !b.Empty() {
					states = states[len(states)-1:]
				}
			}
			fs = fs.Crash(rng)
		}
	}
	t.Logf("%d lives", lives)
}

var errInjected = errors.New("injected")

// failAfter fails all calls but reads after some number of them.
func failAfter(rng *rand.Rand, armed bool, most int) func(crashfs.Op, string) error {
	if !armed {
		return nil
	}
	left := rng.Intn(most)
	return func(op crashfs.Op, _ string) error {
		if op == crashfs.OpRead {
			return nil
		}
		if left--; left < 0 {
			return errInjected
		}
		return nil
	}
}

// openThroughCrashes opens the log, at times only after crashes on the way.
func openThroughCrashes(t *testing.T, rng *rand.Rand, fs **crashfs.FS) *wal.Log {
	for {
		(*fs).Fail(failAfter(rng, rng.Intn(3) == 0, 8))
		l, err := wal.Open(small(*fs, "wal"))
		(*fs).Fail(nil)
		if err == nil {
			return l
		}
		if !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		*fs = (*fs).Crash(rng)
	}
}

// recovered returns the state that the log came back with.
func recovered(t *testing.T, seed int64, got string, states []*model) *model {
	for i := len(states) - 1; i >= 0; i-- {
		if states[i].String() == got {
			return states[i].clone()
		}
	}
	t.Fatalf("seed %d: recovered\n%s\nwhich is none of %d states, the first of them\n%s\nthe last\n%s",
		seed, got, len(states), states[0], fmt.Sprint(states[len(states)-1]))
	return nil
}
