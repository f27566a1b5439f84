package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A replica is reset while MetaRaft has no majority. That is OK, and when the
// majority is back the others are rid of it, and its shard has another voter.
func TestResetWithoutAMajority(t *testing.T) {
	t.Parallel()
	const keys = 1000
	f := startShard(t, 5)
	master, replica := f.nodes[0], f.nodes[1]
	master.fill("k", keys)
	bare, _ := f.arbiters()
	if len(bare) != 1 {
		t.Fatalf("%d arbiters", len(bare))
	}
	left := replica.must("cluster", "myid")
	// The shard's arbiter last: who is known to be dead cannot be counted on.
	dead := slices.DeleteFunc(slices.Clone(f.nodes[2:]), func(p *process) bool { return p == bare[0] })
	dead = append(dead, bare[0])
	for _, p := range dead {
		p.kill()
	}
	if text := replica.order("cluster", "reset"); text != "" {
		t.Fatalf("RESET: %s", text)
	}
	for _, p := range dead {
		p.mustStart("")
	}
	for _, p := range append(dead, master) {
		eventually(t, func() error {
			text, err := p.ask("cluster", "nodes")
			if err == nil && (strings.Contains(text, left) || strings.Count(text, "\n") != 4) {
				err = fmt.Errorf("node %d shows\n%s", p.index, text)
			}
			return err
		})
	}
	master.threeVoters()
	master.holds("k", keys)
	if text := replica.must("cluster", "nodes"); strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, left) {
		t.Errorf("the node that was reset shows\n%s", text)
	}
	f.meets(1, 0) // and it can come back
	f.united()
}
