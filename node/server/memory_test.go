package server

import "testing"

func TestIdleness(t *testing.T) {
	var idle idleness
	const kb, mb = 1 << 10, 1 << 20
	for i, c := range []struct {
		allocated uint64
		want      bool
	}{
		{20 * mb, false}, // a bring-up
		{20*mb + 300*kb, true},
		{20*mb + 600*kb, false}, // little to collect
		{90 * mb, false},        // work
		{95 * mb, false},        // still
		{95*mb + 100*kb, true},
		{95*mb + 100*kb, false},
	} {
		if got := idle.step(c.allocated); got != c.want {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
}
