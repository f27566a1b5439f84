package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// metaLeader returns the node that leads MetaRaft, as far as the first node knows.
func (f *fleet) metaLeader() (leader *process, err error) {
	status, err := f.nodes[0].ask("cluster", "metaraft", "status")
	if err != nil {
		return nil, err
	}
	for _, p := range f.nodes {
		id, err := p.id()
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(status) {
			if strings.TrimSpace(line) == "leader:"+id {
				return p, nil
			}
		}
	}
	return nil, fmt.Errorf("nobody leads MetaRaft:\n%s", status)
}

// A shard whose voters live needs nobody else. Three of MetaRaft's five voters
// hang while a change of the topology is appended, which nobody can commit any
// more; all processes die, and only two voters of the shard come back, the last of
// MetaRaft's. They elect a leader all the same, and serve.
func TestShardNeedsOnlyItsOwnVoters(t *testing.T) {
	t.Parallel()
	f := startShard(t, 5)
	master := f.nodes[0]
	if err := master.set("k", "v"); err != nil {
		t.Fatal(err)
	}
	survivors := []*process{master}
	for _, p := range f.nodes[2:] {
		lines, err := p.groups("arbiter")
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) > 0 {
			survivors = append(survivors, p)
		}
	}
	if len(survivors) != 2 {
		t.Fatalf("%d nodes are the shard's arbiters", len(survivors)-1)
	}
	eventually(t, func() error {
		leader, err := f.metaLeader()
		if err == nil && leader != master {
			leader.kill() // another one is elected
			leader.mustStart("")
			err = fmt.Errorf("node %d leads MetaRaft", leader.index)
		}
		return err
	})
	f.united()
	master.threeVoters()

	for _, p := range f.nodes {
		if p != survivors[0] && p != survivors[1] {
			if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, func() error { // a signal takes a moment
		err := master.client.Do(t.Context(), "cluster", "bumpepoch").Err()
		if conclude(err) != unknown {
			return fmt.Errorf("without a majority of MetaRaft: %v", err)
		}
		return nil
	})
	for _, p := range f.nodes {
		p.kill()
	}
	for _, p := range survivors {
		p.mustStart("")
	}
	eventually(t, func() error { return master.set("k", "later") })
	eventually(t, func() error {
		got, err := master.get("k")
		if err == nil && got != "later" {
			t.Fatalf("GET k = %q", got)
		}
		return err
	})
	for _, p := range f.nodes {
		if p.cmd == nil {
			p.mustStart("")
		}
	}
	f.united()
	master.threeVoters()
}
