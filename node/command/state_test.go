package command

import "testing"

// TestRandIsFixed: the numbers of a seed are the same in every version of the program,
// since replicas of two must agree.
func TestRandIsFixed(t *testing.T) {
	r := Rand{state: 1}
	for i, want := range []uint64{10451216379200822465, 13757245211066428519, 17911839290282890590} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d is %d, not %d", i, got, want)
		}
	}
}

// TestRandIsFair: every result is about as likely as any other, and none is missed.
func TestRandIsFair(t *testing.T) {
	r := Rand{state: 7}
	const sides, throws = 6, 60_000
	var seen [sides]int
	for range throws {
		seen[r.IntN(sides)]++
	}
	for side, n := range seen {
		if n < throws/sides*9/10 || n > throws/sides*11/10 {
			t.Errorf("%d came %d times of %d", side, n, throws)
		}
	}
}

// TestTxRand: every command of the log has numbers of its own, and the same entry the
// same ones again, whatever ran in between.
func TestTxRand(t *testing.T) {
	draw := func(e Entry, op uint32) uint64 {
		tx := Tx{Entry: e, op: op}
		first := tx.Rand().Uint64()
		if next := tx.Rand().Uint64(); next == first {
			t.Error("a command gets the same number twice")
		}
		return first
	}
	seen := make(map[uint64]bool)
	for seed := range uint64(10) {
		for index := range uint64(10) {
			for op := range uint32(10) {
				e := Entry{Seed: seed, Index: index}
				n := draw(e, op)
				if n != draw(e, op) {
					t.Fatalf("seed %d, entry %d, command %d: two numbers", seed, index, op)
				}
				if seen[n] {
					t.Fatalf("seed %d, entry %d, command %d: another command's number", seed, index, op)
				}
				seen[n] = true
			}
		}
	}
}
