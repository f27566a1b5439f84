package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A shard's replica and its arbiter are gone for good. FORGET FORCE of one of them
// makes the shard go on from the master's copy, with all keys; it survives crashes
// at each step of that, and gets new voters, of which one takes over later.
func TestShardGoesOnFromItsLivingCopy(t *testing.T) {
	t.Parallel()
	for _, crash := range []string{"", "refoundBegin", "refounded"} {
		t.Run("crash at "+crash, func(t *testing.T) {
			t.Parallel()
			const keys = 3000
			f := startShard(t, 5, "AIKV_CLUSTER_ARBITER_GRACE=1h", "AIKV_WAL_GROUP_ENTRIES=16")
			master, replica := f.nodes[0], f.nodes[1]
			master.fill("k", keys)
			bare, _ := f.arbiters()
			if len(bare) != 1 {
				t.Fatalf("%d arbiters", len(bare))
			}
			dead := []*process{replica, bare[0]}
			ids := []string{replica.must("cluster", "myid"), bare[0].must("cluster", "myid")}
			for _, p := range dead {
				p.kill()
				if err := os.RemoveAll(p.dir); err != nil {
					t.Fatal(err)
				}
			}
			operator := f.nodes[2]
			if operator == bare[0] {
				operator = f.nodes[3]
			}
			operator.seesFailed(ids...)
			if crash != "" {
				master.arm(crash, "panic")
			}
			text, err := operator.ask("cluster", "forget", ids[0], "force")
			if err == nil && !strings.Contains(text, "go on from node") || err != nil && (crash == "" || conclude(err) != unknown) {
				t.Errorf("FORGET FORCE: %q, %v", text, err)
			}
			if crash != "" {
				eventually(t, func() error {
					if !master.down() {
						return fmt.Errorf("node %d has not come by %s", master.index, crash)
					}
					return nil
				})
				master.kill()
				master.mustStart("")
			}
			master.holds("k", keys)
			operator.must("cluster", "forget", ids[1], "force")
			master.threeVoters()
			master.holds("k", keys)

			var spare *process
			for _, p := range f.nodes[2:] {
				if p.cmd != nil && p != operator {
					spare = p
				}
			}
			spare.must("cluster", "replicate", master.must("cluster", "myid"))
			f.nodes = []*process{master, operator, spare}
			f.united()
			master.threeVoters()
			master.kill()
			master.mustStart("") // over the folder that the former member made
			eventually(t, func() error {
				err := spare.client.Do(t.Context(), "cluster", "failover", "takeover").Err()
				if err != nil && strings.Contains(err.Error(), "to a replica") {
					return nil // an earlier try was carried out without an answer
				}
				return err
			})
			spare.holds("k", keys)
		})
	}
}
