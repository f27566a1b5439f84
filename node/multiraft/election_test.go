package multiraft

import (
	"testing"
	"time"
)

// Those that are left tell how long their group was without a leader, and nobody tells
// it of the first one.
func TestElectionsAreTold(t *testing.T) {
	var told []time.Duration
	l := newLab(t, 3, 1, func(opts *Options) {
		opts.Elected = func(without time.Duration) { told = append(told, without) }
	})
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	l.finish(l.write(n, testGroup, 1))
	if len(told) > 0 {
		t.Errorf("told of %v before anybody was away", told)
	}
	begun := l.now
	l.isolate(n, true)
	l.until("another leader", func() bool {
		for _, other := range l.nodes {
			if other != n && other.replicas[testGroup].group.Leads() {
				return true
			}
		}
		return false
	})
	if len(told) == 0 {
		t.Error("nobody was told")
	}
	for _, without := range told {
		if without < 0 || without > l.now.Sub(begun) {
			t.Errorf("without a leader for %v, in %v", without, l.now.Sub(begun))
		}
	}
}
